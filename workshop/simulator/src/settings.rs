//! What is particular to a world beside its trace: dialect, quotas and the size, drawn from the seed; and what is
//! deliberately wrong in it.

use std::sync::Arc;

use broker::Durability;
use dialect::{Dialect, QuotaProfile};

use crate::flaw::Flaw;
use crate::rng::Rng;
use crate::run::Case;

/// Clients of a world. One more watches at the end.
pub const CLIENTS: usize = 6;

/// The settings of a world.
#[derive(Clone)]
pub struct Settings {
    /// How the broker speaks.
    pub dialect: Arc<Dialect>,
    /// The dialect's name.
    pub name: &'static str,
    /// What a PUBACK promises.
    pub durability: Durability,
    /// What is wrong on purpose.
    pub flaw: Option<Flaw>,
    /// Now and then the process dies in the middle of what it does.
    pub dies_midway: bool,
    /// Some clients may publish everything and retain nothing, and some ask for what is retained otherwise than by default.
    pub retains_otherwise: bool,
    /// Packets carry properties, a CONNECT a user name; and some messages are larger than a step of the bill.
    pub carries_more: bool,
    /// Clients ask for what few ask for: see the fourth edition.
    pub asks_for_more: bool,
}

impl Settings {
    /// Those of a seed. A third of the worlds speak OASIS MQTT; of the others a quarter has AWS's rates.
    pub fn of(case: &Case) -> Self {
        let Case { seed, flaw, edition, .. } = *case;
        let mut rng = Rng::new(seed ^ 0x7365_7474);
        let oasis = rng.chance(35);
        let mut dialect = if oasis { Dialect::oasis() } else { Dialect::aws() };
        if !oasis && !rng.chance(25) {
            dialect.set_profile(QuotaProfile::Unlimited);
        }
        if rng.chance(30) {
            set(&mut dialect, "session-queue-messages", rng.between(5, 30));
        }
        if rng.chance(30) {
            set(&mut dialect, "inflight-out", rng.between(2, 8));
        }
        if rng.chance(20) {
            set(&mut dialect, "subscriptions-per-connection", rng.between(2, 4));
        }
        if rng.chance(15) {
            set(&mut dialect, "throughput-per-connection", 2_000);
        }
        if rng.chance(20) {
            set(&mut dialect, "publishes-in-per-account", rng.between(3, 12));
            set(&mut dialect, "publishes-out-per-account", rng.between(5, 20));
            set(&mut dialect, "connects-per-account", rng.between(2, 4));
        }
        let durability = match flaw {
            Some(Flaw::SettlesBeforeTheDisk) => Durability::Relaxed,
            _ => Durability::Group,
        };
        let name = if oasis { "oasis" } else { "aws" };
        // From a sequence of its own, so that all else stays what it was.
        let mut rng = Rng::new(seed ^ 0x6564_3200);
        if edition >= 2 {
            narrow(&mut dialect, &mut rng);
        }
        let dies_midway = rng.chance(25) && edition >= 2;
        let (retains_otherwise, carries_more, asks_for_more) = (edition >= 2, edition >= 3, edition >= 4);
        let dialect = Arc::new(dialect);
        Self { dialect, name, durability, flaw, dies_midway, retains_otherwise, carries_more, asks_for_more }
    }
}

/// Rates of one client that it meets now and then.
fn narrow(dialect: &mut Dialect, rng: &mut Rng) {
    if rng.chance(10) {
        set(dialect, "publishes-per-connection", rng.between(2, 5));
    }
    if rng.chance(25) {
        set(dialect, "connects-per-client-id", 1);
    }
}

fn set(dialect: &mut Dialect, quota: &str, value: u64) {
    // The names are those of the table; a test looks.
    let _known = dialect.set_quota(quota, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quotas_have_these_names() {
        let mut dialect = Dialect::aws();
        for quota in [
            "session-queue-messages",
            "inflight-out",
            "subscriptions-per-connection",
            "throughput-per-connection",
            "publishes-in-per-account",
            "publishes-out-per-account",
            "connects-per-account",
            "publishes-per-connection",
            "connects-per-client-id",
        ] {
            dialect.set_quota(quota, 3).unwrap();
        }
    }

    #[test]
    fn both_dialects_come() {
        let names: Vec<_> = (0..50).map(|seed| Settings::of(&Case::new(seed, 0)).name).collect();
        assert!(names.contains(&"aws") && names.contains(&"oasis"));
    }
}
