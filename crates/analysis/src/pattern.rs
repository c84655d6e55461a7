//! Patterns as a person reads them, with their variables, and what can be said of them by their spelling alone.

use std::fmt;

use policy::{Piece, ResourceView, Variable};

use crate::world::World;

/// The values of variables that are fixed.
type Known<'k> = &'k dyn Fn(Variable<'_>) -> Option<String>;

/// One sign of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    Letter(char),
    One,
    Any,
    /// By the name that the policy spells.
    Variable(String),
}

/// A pattern of names: what follows the kind in the last field of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    signs: Vec<Sign>,
    /// It is one of whole fields, kind included, for want of a place where the kind ends.
    whole: bool,
}

impl Pattern {
    /// `*`
    pub(crate) fn everything() -> Self {
        Self::of(vec![Sign::Any])
    }

    fn of(signs: Vec<Sign>) -> Self {
        Self { signs, whole: false }
    }

    /// Of a resource in a world, with the values that are fixed there; nothing if it is of another kind.
    pub(crate) fn read(world: &World<'_>, resource: &ResourceView<'_>, kind: &str) -> Option<Self> {
        Self::spelled(&|variable| world.known(0, variable).map(str::to_owned), resource, kind)
    }

    /// The same with values from elsewhere.
    pub(crate) fn spelled(known: Known<'_>, resource: &ResourceView<'_>, kind: &str) -> Option<Self> {
        let signs: Vec<Sign> = resource.pieces().iter().flat_map(|piece| signs(known, piece)).collect();
        let mut rest = &signs[..];
        for c in kind.chars() {
            match rest.split_first() {
                Some((Sign::Letter(d), after)) if *d == c => rest = after,
                Some((Sign::One, after)) => rest = after,
                Some((Sign::Any, after)) if after.iter().all(|sign| *sign == Sign::Any) => {
                    return Some(Self::everything());
                }
                Some((Sign::Any | Sign::Variable(_), _)) => return Some(Self { signs, whole: true }),
                Some((Sign::Letter(_), _)) | None => return None,
            }
        }
        Some(Self::of(rest.to_vec()))
    }

    /// Without `$share/NAME/` at its beginning.
    pub(crate) fn without_share(&self) -> Self {
        let share: Vec<Sign> = "$share/".chars().map(Sign::Letter).collect();
        let stripped = self.signs.strip_prefix(&share[..]).and_then(|rest| {
            let slash = rest.iter().position(|sign| *sign == Sign::Letter('/'))?;
            rest.get(slash + 1..)
        });
        stripped.map_or_else(|| self.clone(), |rest| Self::of(rest.to_vec()))
    }

    /// The topics that filters spelled so bring, as a pattern; nothing if that is not one.
    ///
    /// Where only `*` can stand for `+` and `#` it is the pattern itself: `*` is any text, levels included.
    pub(crate) fn brings(&self) -> Option<Self> {
        let plain = self.without_share();
        let open = matches!(plain.signs.first(), Some(Sign::Any))
            && plain.signs.iter().any(|sign| *sign != Sign::Any);
        let sure = plain.signs.iter().all(|sign| match sign {
            Sign::Letter(c) => !matches!(c, '+' | '#'),
            Sign::Any => true,
            Sign::One => false,
            // A client id or an attribute may be a wildcard; a thing's name may not.
            Sign::Variable(name) => name.eq_ignore_ascii_case("iot:Connection.Thing.ThingName"),
        });
        (sure && !open && !self.whole).then_some(plain)
    }

    /// True if it matches all that another matches, as far as the spelling shows.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.whole != other.whole {
            return *self == Self::everything();
        }
        // Which places of the own signs are reached, after each sign of the other.
        let mut at = self.past_stars(vec![true]);
        for sign in &other.signs {
            let mut next = vec![false; self.signs.len() + 1];
            for (place, _) in at.iter().enumerate().filter(|(_, here)| **here) {
                let Some(own) = self.signs.get(place) else { continue };
                let (stays, goes) = match (own, sign) {
                    (Sign::Any, _) => (true, false),
                    (Sign::One, Sign::One | Sign::Letter(_)) => (false, true),
                    (own, sign) => (false, own == sign),
                };
                let to = if goes { place + 1 } else { place };
                if let Some(slot) = next.get_mut(to).filter(|_| stays || goes) {
                    *slot = true;
                }
            }
            at = self.past_stars(next);
        }
        at.get(self.signs.len()).copied().unwrap_or(false)
    }

    fn past_stars(&self, mut at: Vec<bool>) -> Vec<bool> {
        at.resize(self.signs.len() + 1, false);
        for (place, sign) in self.signs.iter().enumerate() {
            if *sign == Sign::Any
                && at.get(place).copied().unwrap_or(false)
                && let Some(slot) = at.get_mut(place + 1)
            {
                *slot = true;
            }
        }
        at
    }

    /// False if no name matches both, as the letters before their first wildcards show.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        if self.whole || other.whole {
            return true;
        }
        let heads = self.signs.iter().zip(&other.signs);
        let letters = heads.map_while(|pair| match pair {
            (Sign::Letter(one), Sign::Letter(other)) => Some(one == other),
            _ => None,
        });
        letters.into_iter().all(|same| same)
    }
}

/// What two patterns have in common: the narrower if one covers the other, else both.
pub(crate) fn narrower(one: &Pattern, other: &Pattern) -> Vec<String> {
    match (one.covers(other), other.covers(one)) {
        (true, _) => vec![other.to_string()],
        (_, true) => vec![one.to_string()],
        (false, false) => vec![one.to_string(), other.to_string()],
    }
}

fn signs(known: Known<'_>, piece: &Piece<'_>) -> Vec<Sign> {
    match piece {
        Piece::Text(text) => text.chars().map(Sign::Letter).collect(),
        Piece::Any => vec![Sign::Any],
        Piece::One => vec![Sign::One],
        Piece::Variable(variable) => match known(*variable) {
            Some(value) => value.chars().map(Sign::Letter).collect(),
            None => vec![Sign::Variable(variable.name().to_owned())],
        },
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole {
            f.write_str("whole field ")?;
        }
        for (place, sign) in self.signs.iter().enumerate() {
            match sign {
                Sign::Any => f.write_str("*")?,
                Sign::One => f.write_str("?")?,
                Sign::Variable(name) => write!(f, "${{{name}}}")?,
                Sign::Letter('$') if self.signs.get(place + 1) == Some(&Sign::Letter('{')) => {
                    f.write_str("${$}")?
                }
                Sign::Letter(c @ ('*' | '?')) => write!(f, "${{{c}}}")?,
                Sign::Letter(c) => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let sign = |c| match c {
            '*' => Sign::Any,
            '?' => Sign::One,
            '@' => Sign::Variable("iot:ClientId".into()),
            c => Sign::Letter(c),
        };
        Pattern::of(text.chars().map(sign).collect())
    }

    #[test]
    fn covering_is_told_by_the_spelling() {
        for (wide, narrow) in
            [("*", "a"), ("a/*", "a/b/*"), ("a*c", "ab*c"), ("?", "x"), ("a/@/*", "a/@/b"), ("*", "@?")]
        {
            assert!(pattern(wide).covers(&pattern(narrow)), "{wide} {narrow}");
        }
        for (one, other) in [("a", "*"), ("?", "*"), ("?", "@"), ("a/*", "b/*"), ("a*c", "a*"), ("@", "a")] {
            assert!(!pattern(one).covers(&pattern(other)), "{one} {other}");
        }
    }

    #[test]
    fn what_filters_bring_is_told_where_it_is_a_pattern() {
        let brings = |text: &str| pattern(text).brings().map(|pattern| pattern.to_string());
        assert_eq!(brings("a/*").as_deref(), Some("a/*"));
        assert_eq!(brings("$share/g/a/*/b").as_deref(), Some("a/*/b"));
        for text in ["a/+", "a/#", "a/?", "@/x", "*/a"] {
            assert_eq!(brings(text), None, "{text}");
        }
    }
}
