//! Whose quotas: a value for every quota at once.

use std::fmt;

use crate::{Divergence, Quota, QuotaId};

/// A set of values for all quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaProfile {
    /// AWS's values in most Regions.
    Aws,
    /// AWS's values in the Regions with lower defaults.
    AwsSelect,
    /// No rates, and counts as wide as this broker can bear. What belongs to the way AWS speaks MQTT (sizes, the window that
    /// CONNACK tells, clamps) stays with its divergence.
    Unlimited,
}

impl QuotaProfile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Aws, Self::AwsSelect, Self::Unlimited];

    /// The name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsSelect => "aws-select",
            Self::Unlimited => "unlimited",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The value of a quota, in its unit. Those that this broker cannot widen keep AWS's.
    pub fn value(self, quota: &Quota) -> u64 {
        match self {
            Self::Aws => quota.default,
            Self::AwsSelect => quota.select,
            Self::Unlimited => quota.oasis.unwrap_or(quota.default),
        }
    }
}

/// True if no profile touches the quota, because it is what a divergence consists of. The exceptions: counts of the
/// account, which have lower values in some Regions; and how many messages a client may leave unacknowledged, of which it
/// is told nothing and which its own Receive Maximum bounds. (How many the broker takes is another matter: CONNACK says it.)
pub(crate) fn belongs_to_a_divergence(id: QuotaId) -> bool {
    let free = matches!(id, QuotaId::RetainedMessages | QuotaId::InflightOut);
    !free && Divergence::ALL.iter().any(|divergence| divergence.quotas().contains(&id))
}

impl fmt::Display for QuotaProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for profile in QuotaProfile::ALL {
            assert_eq!(QuotaProfile::named(profile.name()), Some(profile));
        }
        assert_eq!(QuotaProfile::named("nonsense"), None);
    }

    #[test]
    fn sizes_stay_with_their_divergence() {
        assert!(belongs_to_a_divergence(QuotaId::PayloadSize));
        assert!(!belongs_to_a_divergence(QuotaId::ConnectsPerClientId));
        assert!(!belongs_to_a_divergence(QuotaId::RetainedMessages));
        assert!(belongs_to_a_divergence(QuotaId::InflightIn));
        assert!(!belongs_to_a_divergence(QuotaId::InflightOut));
    }
}
