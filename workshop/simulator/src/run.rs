//! One seed, many seeds, and what is left of a trace when everything that the failure does not need is taken out.

use std::time::{Duration, Instant};

use models::marks::Marks;

use crate::action::{Action, trace};
use crate::flaw::Flaw;
use crate::world::{Failure, World};

/// Steps of a world, unless somebody asks for another number.
pub const STEPS: usize = 150;

/// Which edition of worlds is drawn: a seed is one world in each. What is recorded of an older one stays what it was.
///
/// 2: deaths in the middle of a turn and of a start, clients that may not retain, Retain Handling, narrow rates of one client.
/// 3: what packets carry beside what they need (properties, user names, reasons), messages of more than one step of the bill.
/// 4: Retain As Published, Maximum Packet Size of clients, another Session Expiry Interval in a DISCONNECT, wills that are retained or of
/// QoS 2, subscriptions to their topics, three and four filters in a SUBSCRIBE.
pub const EDITION: u32 = 4;

/// How often a failing trace is tried again with less in it.
const TRIES: usize = 400;

/// A world to be run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Decides everything.
    pub seed: u64,
    /// How many steps are drawn.
    pub steps: usize,
    /// The steps that are carried out; all of them if there is no list.
    pub keep: Option<Vec<usize>>,
    /// What is wrong on purpose.
    pub flaw: Option<Flaw>,
    /// What else is drawn from the seed: [`EDITION`], or an older one.
    pub edition: u32,
}

impl Case {
    /// All steps of a seed.
    pub fn new(seed: u64, steps: usize) -> Self {
        Self { seed, steps, keep: None, flaw: None, edition: EDITION }
    }

    /// The steps that are carried out.
    pub fn trace(&self) -> Vec<Action> {
        let mut all = trace(self.seed, self.steps);
        if let Some(keep) = &self.keep {
            all.retain(|action| keep.contains(&action.number));
        }
        all
    }

    /// Runs it. The broken promise, if there is one, and the marks.
    pub fn run(&self) -> (Option<Failure>, Marks) {
        let (failure, world) = self.play();
        (failure, world.marks.clone())
    }

    fn play(&self) -> (Option<Failure>, World) {
        let mut world = World::new(self);
        let failure = world.run(&self.trace());
        (failure, world)
    }

    /// The command that runs it again. One without an edition is of the first.
    pub fn command(&self) -> String {
        let mut command = format!("thingcore-sim run --seed {} --steps {}", self.seed, self.steps);
        if self.edition > 1 {
            command += &format!(" --edition {}", self.edition);
        }
        if let Some(keep) = &self.keep {
            command += &format!(" --keep {}", ranges(keep));
        }
        if let Some(flaw) = self.flaw {
            command += &format!(" --flaw {}", flaw.name());
        }
        command
    }

    /// The smallest part of it, as far as it is found, in which the same checker fails.
    pub fn shrink(&self, failure: &Failure) -> (Self, Failure) {
        let mut best = (self.clone(), failure.clone());
        let mut keep: Vec<usize> = self.trace().iter().map(|action| action.number).collect();
        keep.retain(|number| *number <= failure.step);
        let (mut tries, mut piece) = (0, keep.len().div_ceil(2));
        while piece > 0 && tries < TRIES {
            let mut at = 0;
            while at < keep.len() && tries < TRIES {
                let end = (at + piece).min(keep.len());
                let fewer: Vec<usize> = keep.iter().take(at).chain(keep.iter().skip(end)).copied().collect();
                let case = Self { keep: Some(fewer.clone()), ..self.clone() };
                tries += 1;
                match case.run().0.filter(|found| found.checker == failure.checker) {
                    Some(found) => (keep, best) = (fewer, (case, found)),
                    None => at += piece,
                }
            }
            piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
        }
        best
    }
}

/// `1,4-6`: a list of numbers in short.
pub fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let words = parts.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    let joined = words.collect::<Vec<_>>().join(",");
    if joined.is_empty() { "none".to_owned() } else { joined }
}

/// The other way.
pub fn numbers(text: &str) -> Option<Vec<usize>> {
    if text == "none" {
        return Some(Vec::new());
    }
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(all)
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Totals {
    /// Worlds that were run.
    pub seeds: u64,
    /// Those that failed, with the broken promise.
    pub failures: Vec<(Case, Failure)>,
    /// What happened in any of them.
    pub marks: Marks,
    /// The time that went by in all of them.
    pub lived: Duration,
}

/// Runs seeds from `first` on for so long. Stops early after so many failures.
pub fn many(first: u64, steps: usize, time: Duration, most_failures: usize) -> Totals {
    let (begun, mut totals) = (Instant::now(), Totals::default());
    for seed in first.. {
        if begun.elapsed() >= time || totals.failures.len() >= most_failures {
            break;
        }
        let case = Case::new(seed, steps);
        let (failure, world) = case.play();
        totals.seeds += 1;
        totals.marks.add(&world.marks);
        totals.lived += world.lived();
        totals.failures.extend(failure.map(|failure| (case, failure)));
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_short() {
        assert_eq!(ranges(&[1, 4, 5, 6, 9]), "1,4-6,9");
        assert_eq!(numbers("1,4-6,9"), Some(vec![1, 4, 5, 6, 9]));
        assert_eq!((ranges(&[]), numbers("none")), ("none".to_owned(), Some(vec![])));
        assert_eq!(numbers("x"), None);
    }
}
