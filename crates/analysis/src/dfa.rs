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

impl Dfa {
    /// Explores an automaton given by its start, its step and its end; nothing if it has too many states.
    pub(crate) fn explore<K: Clone + Eq + Hash>(
        letters: &Letters,
        start: K,
        step: impl Fn(&K, Letter) -> Option<K>,
        accepts: impl Fn(&K) -> bool,
    ) -> Option<Self> {
        let mut numbers: HashMap<K, u16> = HashMap::from_iter([(start.clone(), 0)]);
        let mut keys = vec![start];
        let mut next: Vec<Vec<u16>> = Vec::new();
        while let Some(key) = keys.get(next.len()).cloned() {
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
        let mut alive = self.accepting.clone();
        loop {
            let before = alive.iter().filter(|is| **is).count();
            for (state, row) in self.next.iter().enumerate() {
                let leads = row.iter().any(|to| alive.get(usize::from(*to)).copied().unwrap_or(false));
                if let Some(slot) = alive.get_mut(state) {
                    *slot |= leads;
                }
            }
            if alive.iter().filter(|is| **is).count() == before {
                break;
            }
        }
        for to in self.next.iter_mut().flatten() {
            if !alive.get(usize::from(*to)).copied().unwrap_or(false) {
                *to = DEAD;
            }
        }
        self
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

    /// Up to `count` of the shortest texts that `wanted` likes, of at most `longest` bytes. Bounded by `longest`
    /// rounds over the states.
    pub(crate) fn shortest(&self, letters: &Letters, count: usize, longest: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut front: Vec<(u16, String)> = vec![(0, String::new())];
        for _ in 0..longest {
            let mut next: Vec<(u16, String)> = Vec::new();
            let mut seen: HashMap<u16, usize> = HashMap::new();
            for (state, text) in &front {
                for (letter, c) in letters.iter() {
                    let Some(to) = self.step(*state, letter) else { continue };
                    let ways = seen.entry(to).or_default();
                    if *ways >= count || text.len() + c.len_utf8() > longest {
                        continue;
                    }
                    *ways += 1;
                    next.push((to, format!("{text}{c}")));
                }
            }
            found.extend(
                next.iter().filter(|(state, _)| self.accepts_at(*state)).map(|(_, text)| text.clone()),
            );
            if found.len() >= count || next.is_empty() {
                break;
            }
            front = next;
        }
        found.truncate(count);
        found
    }
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
        let dfa = Dfa::explore(&letters, 0_u8, step, |state| *state == 2).unwrap();
        assert_eq!(dfa.shortest(&letters, 3, 128), ["aa", "aba", "abba"]);
    }
}
