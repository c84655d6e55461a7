//! Deterministic automata for the values of variables: which client ids a Connect statement allows, for instance.

use std::hash::Hash;

use hashbrown::HashMap;

use crate::letters::{Letter, Letters};

/// A language of non-empty texts. State 0 is where reading begins.
#[derive(Debug)]
pub(crate) struct Dfa {
    /// By state, then letter. `DEAD` leads nowhere.
    next: Vec<Vec<u16>>,
    accepting: Vec<bool>,
}

pub(crate) const DEAD: u16 = u16::MAX;

/// More states than this are not built: the language is then taken wider than it is.
pub(crate) const MOST_STATES: usize = 2048;
/// Nor is what takes more work than this, of which a state is its weight for each letter: patterns of some hundred
/// wildcards have states that weigh as much.
const MOST_WORK: usize = 1 << 22;

/// A text, as one more character behind another.
struct Text {
    state: u16,
    last: char,
    before: usize,
    bytes: usize,
}

impl Dfa {
    /// Explores an automaton given by its start, its step and its end; nothing if it has too many states, or steps from
    /// them are too much work: `weight` says how much one is.
    pub(crate) fn explore<K: Clone + Eq + Hash>(
        letters: &Letters,
        start: K,
        step: impl Fn(&K, Letter) -> Option<K>,
        accepts: impl Fn(&K) -> bool,
        weight: impl Fn(&K) -> usize,
    ) -> Option<Self> {
        let mut numbers: HashMap<K, u16> = HashMap::from_iter([(start.clone(), 0)]);
        let mut keys = vec![start];
        let mut next: Vec<Vec<u16>> = Vec::new();
        let mut work = 0;
        while let Some(key) = keys.get(next.len()).cloned() {
            work += weight(&key).saturating_mul(letters.len());
            if work > MOST_WORK {
                return None;
            }
            let mut row = Vec::with_capacity(letters.len());
            for (letter, _) in letters.iter() {
                let Some(reached) = step(&key, letter) else {
                    row.push(DEAD);
                    continue;
                };
                let fresh = u16::try_from(keys.len()).ok()?;
                let number = *numbers.entry(reached.clone()).or_insert(fresh);
                if number == fresh {
                    keys.push(reached);
                }
                row.push(number);
            }
            next.push(row);
            if keys.len() > MOST_STATES {
                return None;
            }
        }
        let accepting = keys.iter().map(accepts).collect();
        Some(Self { next, accepting }.trimmed())
    }

    /// All non-empty texts of some characters.
    pub(crate) fn of_characters(letters: &Letters, first: fn(char) -> bool, all: fn(char) -> bool) -> Self {
        let row = |allowed: &dyn Fn(char) -> bool| {
            letters.iter().map(|(_, c)| if allowed(c) { 1 } else { DEAD }).collect::<Vec<u16>>()
        };
        let start = row(&|c| first(c) && all(c));
        Self { next: vec![start, row(&all)], accepting: vec![false, true] }
    }

    /// Ways that lead nowhere are cut off.
    fn trimmed(mut self) -> Self {
        let distances = self.distances();
        for to in self.next.iter_mut().flatten() {
            if distances.get(usize::from(*to)).is_none_or(|distance| *distance == usize::MAX) {
                *to = DEAD;
            }
        }
        self
    }

    /// By state: how many characters the nearest end is away.
    fn distances(&self) -> Vec<usize> {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.next.len()];
        for (state, row) in self.next.iter().enumerate() {
            for to in row {
                before.get_mut(usize::from(*to)).into_iter().for_each(|before| before.push(state));
            }
        }
        let mut distances = vec![usize::MAX; self.next.len()];
        let ends = self.accepting.iter().enumerate().filter(|(_, is)| **is).map(|(state, _)| state);
        let (mut front, mut away): (Vec<usize>, usize) = (ends.collect(), 0);
        while !front.is_empty() {
            let mut next = Vec::new();
            for state in front {
                if let Some(distance) = distances.get_mut(state).filter(|distance| **distance == usize::MAX) {
                    *distance = away;
                    next.extend(before.get(state).into_iter().flatten());
                }
            }
            (front, away) = (next, away + 1);
        }
        distances
    }

    pub(crate) fn step(&self, state: u16, letter: Letter) -> Option<u16> {
        let to = *self.next.get(usize::from(state))?.get(letter.index())?;
        (to != DEAD).then_some(to)
    }

    /// Where a letter leads, by state: letters with the same answer are alike.
    pub(crate) fn column(&self, letter: Letter) -> impl Iterator<Item = u16> + '_ {
        self.next.iter().map(move |row| row.get(letter.index()).copied().unwrap_or(DEAD))
    }

    pub(crate) fn accepts_at(&self, state: u16) -> bool {
        self.accepting.get(usize::from(state)).copied().unwrap_or(false)
    }

    /// Up to `count` of the shortest texts, of at most `longest` bytes. Bounded by `longest` rounds over the states.
    pub(crate) fn shortest(&self, letters: &Letters, count: usize, longest: usize) -> Vec<String> {
        let distances = self.distances();
        let mut texts = vec![Text { state: 0, last: '\0', before: 0, bytes: 0 }];
        let (mut found, mut done) = (Vec::new(), 0);
        while done < texts.len() && found.len() < count {
            let round = done..texts.len();
            done = texts.len();
            let mut ways = vec![0; self.next.len()];
            for before in round {
                let Some(&Text { state, bytes, .. }) = texts.get(before) else { continue };
                for (letter, last) in letters.iter() {
                    let Some(to) = self.step(state, letter) else { continue };
                    let bytes = bytes + last.len_utf8();
                    let (Some(ways), Some(more)) =
                        (ways.get_mut(usize::from(to)), distances.get(usize::from(to)))
                    else {
                        continue;
                    };
                    if *ways < count && bytes.saturating_add(*more) <= longest {
                        *ways += 1;
                        texts.push(Text { state: to, last, before, bytes });
                    }
                }
            }
            let round = texts.iter().enumerate().skip(done);
            let ending = round.filter(|(_, text)| self.accepts_at(text.state)).map(|(place, _)| place);
            found.extend(ending);
        }
        found.truncate(count);
        found.into_iter().map(|place| spelled(&texts, place)).collect()
    }
}

fn spelled(texts: &[Text], mut place: usize) -> String {
    let mut reversed = Vec::new();
    while let Some(text) = texts.get(place).filter(|_| place > 0) {
        reversed.push(text.last);
        place = text.before;
    }
    reversed.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_explored_and_listed() {
        let letters = Letters::of(["ab"]).unwrap();
        let (a, b) = (letters.place('a').unwrap(), letters.place('b').unwrap());
        // a b* a
        let step = |state: &u8, letter: Letter| match (*state, letter) {
            (0, l) if l == a => Some(1),
            (1, l) if l == b => Some(1),
            (1, l) if l == a => Some(2),
            _ => None,
        };
        let dfa = Dfa::explore(&letters, 0_u8, step, |state| *state == 2, |_| 1).unwrap();
        assert_eq!(dfa.shortest(&letters, 3, 128), ["aa", "aba", "abba"]);
        assert_eq!(dfa.shortest(&letters, 3, 3), ["aa", "aba"]);
        assert!(dfa.shortest(&letters, 3, 1).is_empty());
        let heavy = |_: &u8| MOST_WORK / 3;
        assert!(Dfa::explore(&letters, 0_u8, step, |state| *state == 2, heavy).is_none(), "too much work");
    }

    #[test]
    fn what_leads_nowhere_is_cut_off() {
        let letters = Letters::of(["ab"]).unwrap();
        let (a, b) = (letters.place('a').unwrap(), letters.place('b').unwrap());
        // a, or b and then for ever.
        let step = |state: &u8, letter: Letter| match (*state, letter) {
            (0, l) if l == a => Some(1),
            (0 | 2, l) if l == b => Some(2),
            _ => None,
        };
        let dfa = Dfa::explore(&letters, 0_u8, step, |state| *state == 1, |_| 1).unwrap();
        assert_eq!((dfa.step(0, a).is_some(), dfa.step(0, b)), (true, None));
        assert_eq!(dfa.shortest(&letters, 3, 128), ["a"]);
    }
}
