//! What is particular to a world beside its trace: dialect, quotas and the size, drawn from the seed; and what is
//! deliberately wrong in it.

use std::sync::Arc;

use broker::Durability;
use dialect::{Dialect, QuotaProfile};

use crate::flaw::Flaw;
use crate::rng::Rng;

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
}

impl Settings {
    /// Those of a seed. A third of the worlds speak OASIS MQTT; of the others a quarter has AWS's rates.
    pub fn of(seed: u64, flaw: Option<Flaw>) -> Self {
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
        Self { dialect: Arc::new(dialect), name, durability, flaw }
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
        ] {
            dialect.set_quota(quota, 3).unwrap();
        }
    }

    #[test]
    fn both_dialects_come() {
        let names: Vec<_> = (0..50).map(|seed| Settings::of(seed, None).name).collect();
        assert!(names.contains(&"aws") && names.contains(&"oasis"));
    }
}
