//! One client's dice: how often it was asked about each quirk.

use std::time::Duration;

use crate::chance::{draw, is_under};
use crate::{Quirk, Quirks};

/// A client meets a quirk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Which.
    pub quirk: Quirk,
    /// How far it goes, up to the extent of the rule; zero for quirks without one.
    pub extent: Duration,
}

/// Counts one client's questions, so that its sequence does not depend on other clients. Costs a null pointer until the
/// first question while rules are in force.
#[derive(Debug, Default)]
pub struct Dice(Option<Box<Counts>>);

#[derive(Debug)]
struct Counts {
    edition: u64,
    asked: [u32; Quirk::COUNT],
}

impl Dice {
    /// Dice that were not thrown yet.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether the client meets the quirk this time. Every question counts that a rule is in force for; new rules
    /// begin from the first question again.
    #[inline]
    pub fn strikes(&mut self, quirks: &Quirks, client: &str, quirk: Quirk) -> Option<Strike> {
        if quirks.is_off() {
            return None;
        }
        self.throw(quirks, client, quirk)
    }

    #[cold]
    fn throw(&mut self, quirks: &Quirks, client: &str, quirk: Quirk) -> Option<Strike> {
        let (edition, rules) = quirks.in_force();
        let odds = rules.odds(quirk, client)?;
        let fresh = || Box::new(Counts { edition, asked: [0; Quirk::COUNT] });
        let counts = self.0.get_or_insert_with(fresh);
        if counts.edition != edition {
            *counts = fresh();
        }
        let asked = counts.asked.get_mut(quirk as usize)?;
        let nth = *asked;
        *asked = asked.wrapping_add(1);
        let (number, far) = draw(odds.seed, quirk.id(), client, nth);
        is_under(number, odds.probability).then(|| Strike { quirk, extent: extent(quirk, odds.up_to, far) })
    }
}

/// Between nothing and the whole; a life lasts at least half.
fn extent(quirk: Quirk, up_to: Duration, number: u64) -> Duration {
    let most = u64::try_from(up_to.as_millis()).unwrap_or(u64::MAX);
    let least = if quirk == Quirk::ConnectionLife { most / 2 } else { most.min(1) };
    let span = (most - least).saturating_add(1);
    Duration::from_millis(least + number % span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rule, Rules};
    use proptest::prelude::*;

    fn quirks(probability: f64, seed: u64) -> Quirks {
        let rule = |quirk: &Quirk| Rule {
            row: quirk.id().into(),
            client: "*".into(),
            probability,
            seed,
            up_to_seconds: None,
        };
        Quirks::new(Rules::new(Quirk::ALL.iter().map(rule).collect()).unwrap())
    }

    fn sequence(quirks: &Quirks, client: &str, quirk: Quirk, length: usize) -> Vec<Option<Strike>> {
        let mut dice = Dice::new();
        (0..length).map(|_| dice.strikes(quirks, client, quirk)).collect()
    }

    #[test]
    fn without_rules_nothing_strikes_and_nothing_is_kept() {
        let mut dice = Dice::new();
        assert_eq!(dice.strikes(&Quirks::default(), "c", Quirk::Qos0Duplicates), None);
        assert!(dice.0.is_none());
        assert_eq!(size_of::<Dice>(), size_of::<usize>());
    }

    #[test]
    fn new_rules_begin_from_the_start() {
        let quirks = quirks(0.5, 3);
        let mut dice = Dice::new();
        let mut throw = |quirks: &Quirks| {
            (0..20).map(|_| dice.strikes(quirks, "c", Quirk::UnorderedDelivery)).collect::<Vec<_>>()
        };
        let first = throw(&quirks);
        let second = throw(&quirks);
        assert_ne!(first, second);
        quirks.replace(self::quirks(0.5, 3).rules().as_ref().clone());
        assert_eq!(throw(&quirks), first);
    }

    #[test]
    fn quirks_and_clients_have_sequences_of_their_own() {
        let quirks = quirks(0.5, 3);
        let of = |client, quirk| {
            sequence(&quirks, client, quirk, 64).iter().map(Option::is_some).collect::<Vec<_>>()
        };
        assert_ne!(of("a", Quirk::Qos0Duplicates), of("b", Quirk::Qos0Duplicates));
        assert_ne!(of("a", Quirk::Qos0Duplicates), of("a", Quirk::Rate100Discard));
    }

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_sequence_whatever_others_do(
            seed: u64,
            probability in 0.0..=1.0,
            others in proptest::collection::vec((0..Quirk::COUNT, 0..3usize), 0..60),
        ) {
            let quirks = quirks(probability, seed);
            let alone = sequence(&quirks, "sensor-7", Quirk::SubackBeforeActive, 20);
            let mut dice = Dice::new();
            let mut others_dice = [Dice::new(), Dice::new(), Dice::new()];
            let mut among = Vec::new();
            for (kind, who) in others.iter().chain(std::iter::repeat(&(0, 0))).take(80) {
                others_dice[*who].strikes(&quirks, "other", Quirk::ALL[*kind]);
                if among.len() < 20 {
                    among.push(dice.strikes(&quirks, "sensor-7", Quirk::SubackBeforeActive));
                }
                // A client's own questions about other quirks do not disturb it either.
                dice.strikes(&quirks, "sensor-7", Quirk::Qos0Duplicates);
            }
            prop_assert_eq!(alone, among);
        }

        #[test]
        fn extents_keep_their_bounds(seed: u64) {
            let quirks = quirks(1.0, seed);
            for quirk in Quirk::ALL {
                let most = quirk.usual_extent();
                for strike in sequence(&quirks, "c", *quirk, 10) {
                    let extent = strike.unwrap().extent;
                    prop_assert!(extent <= most && (extent.is_zero() == most.is_zero()));
                    prop_assert!(*quirk != Quirk::ConnectionLife || extent >= most / 2);
                }
            }
        }
    }
}
