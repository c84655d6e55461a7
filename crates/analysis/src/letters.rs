//! The alphabet of a question: the characters that its patterns spell, the special ones, and one fresh character for
//! each class of those that nobody spells. All characters of a class behave alike, so nothing is lost.

use hashbrown::HashMap;

/// A character by its place in the alphabet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Letter(u16);

impl Letter {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    fn at(index: usize) -> Option<Self> {
        u16::try_from(index).ok().map(Self)
    }
}

/// The characters of a question.
#[derive(Debug)]
pub(crate) struct Letters {
    all: Vec<char>,
    places: HashMap<char, Letter>,
}

/// Characters that mean something to MQTT or to names.
const SPECIAL: [char; 6] = ['/', '+', '#', '$', '*', '?'];
/// Of each class one that is not spelled is added: the first is allowed in a thing's name and in hexadecimal numbers,
/// the second in a thing's name, the third in attributes, the last nowhere but in client ids and topics.
const CLASSES: [&str; 4] = ["a0b1c2d3e4f56789", "xyzghijklmnopqrstuvwXYZ-_:", ".,@=[]", "~!%^&()|;<> "];
/// More spelled characters than this are not told apart in the alphabet's tables.
const MOST: usize = u16::MAX as usize - 16;

impl Letters {
    /// The alphabet for some spelled texts; nothing if they have too many different characters.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut letters = Self { all: Vec::new(), places: HashMap::new() };
        for c in texts.into_iter().flat_map(str::chars) {
            letters.add(c);
            if letters.all.len() > MOST {
                return None;
            }
        }
        for class in CLASSES {
            if let Some(fresh) = class.chars().find(|c| !letters.places.contains_key(c)) {
                letters.add(fresh);
            }
        }
        SPECIAL.into_iter().for_each(|c| letters.add(c));
        Some(letters)
    }

    fn add(&mut self, c: char) {
        let next = self.all.len();
        if let Some(place) = Letter::at(next)
            && *self.places.entry(c).or_insert(place) == place
            && next == self.places.len() - 1
        {
            self.all.push(c);
        }
    }

    pub(crate) fn place(&self, c: char) -> Option<Letter> {
        self.places.get(&c).copied()
    }

    pub(crate) fn character(&self, letter: Letter) -> char {
        self.all.get(letter.index()).copied().unwrap_or('/')
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Letter, char)> + '_ {
        self.all.iter().enumerate().filter_map(|(place, c)| Some((Letter::at(place)?, *c)))
    }
}

/// A character of a thing's name.
pub(crate) fn in_thing_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-')
}

/// A character of a thing attribute's value.
pub(crate) fn in_attributes(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.,@/:#=[]-".contains(c)
}

/// A character of a certificate's value that may be substituted.
pub(crate) fn in_certificates(c: char) -> bool {
    !matches!(c, '*' | '$' | '+' | '?' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alphabet_has_what_is_spelled_what_is_special_and_fresh_ones() {
        let letters = Letters::of(["fleet/ü", "a"]).unwrap();
        for c in "fletüa/+#$".chars() {
            let place = letters.place(c).unwrap();
            assert_eq!(letters.character(place), c);
        }
        assert!(letters.place('0').is_some(), "the first of its class that is not spelled");
        assert_eq!(letters.iter().count(), letters.len());
    }
}
