//! AWS's quotas as a table: each number of the dialect stands here and nowhere else.

mod api;
mod ledger;
mod table;

use std::fmt;

pub use api::{API_RATES, ApiRate};
pub use ledger::Keeping;
pub use table::{QUOTAS, QuotaId};

/// The value of a quota that does not hold.
pub const UNLIMITED: u64 = u32::MAX as u64;

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes of UTF-8 or payload. A KB of AWS's broker quotas is 1024 of them.
    Bytes,
    /// Unicode characters.
    Characters,
    /// Things.
    Count,
    /// Things in a second.
    PerSecond,
    /// Bytes in a second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Days.
    Days,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Characters => "characters",
            Self::Count => "",
            Self::PerSecond => "per second",
            Self::BytesPerSecond => "bytes per second",
            Self::Seconds => "seconds",
            Self::Days => "days",
        })
    }
}

/// For whom a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole account in one Region.
    Account,
    /// One connection, online or (for queued messages) away.
    Connection,
    /// One client id.
    ClientId,
    /// One packet or request.
    Request,
    /// One topic.
    Topic,
    /// One group of shared subscriptions.
    SharedGroup,
    /// One resource of the registry.
    Resource,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Connection => "connection",
            Self::ClientId => "client id",
            Self::Request => "packet or request",
            Self::Topic => "topic",
            Self::SharedGroup => "shared group",
            Self::Resource => "resource",
        })
    }
}

/// One row of the table of quotas.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Which quota.
    pub id: QuotaId,
    /// Stable name, for configuration.
    pub name: &'static str,
    /// The code of Service Quotas (service `iotcore`), where AWS gives one.
    pub code: Option<&'static str>,
    /// What AWS calls it.
    pub title: &'static str,
    /// Value in most Regions, in `unit`.
    pub default: u64,
    /// Value in the Regions with lower defaults, in `unit`.
    pub select: u64,
    /// Value of the `oasis` dialect, where it has one.
    pub oasis: Option<u64>,
    /// What the value counts.
    pub unit: Unit,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
    /// For whom it counts.
    pub scope: Scope,
    /// What happens beyond it.
    pub consequence: &'static str,
    /// Whether this broker keeps it, and what proves it.
    pub keeping: Keeping,
    /// Where it is documented.
    pub source: &'static str,
}

impl Unit {
    /// True for what counts in a second.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::PerSecond | Self::BytesPerSecond)
    }
}

impl Quota {
    /// The row that AWS's code or this broker's name names.
    pub fn find(name_or_code: &str) -> Option<&'static Self> {
        QUOTAS.iter().find(|quota| quota.name == name_or_code || quota.code == Some(name_or_code))
    }
}

impl QuotaId {
    /// The row.
    pub fn row(self) -> &'static Quota {
        // A test keeps the table in the order of the enum, so the place is always found.
        QUOTAS.get(self as usize).unwrap_or(&QUOTAS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_in_the_order_of_the_ids() {
        for (place, quota) in QUOTAS.iter().enumerate() {
            assert_eq!(quota.id as usize, place, "{}", quota.name);
            assert_eq!(quota.id.row().name, quota.name);
        }
    }

    #[test]
    fn names_and_codes_are_unique() {
        let names: BTreeSet<_> = QUOTAS.iter().map(|q| q.name).collect();
        assert_eq!(names.len(), QUOTAS.len());
        // One code may stand twice only where AWS puts two numbers behind it.
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = QUOTAS.iter().filter_map(|q| q.code).filter(|c| !seen.insert(*c)).collect();
        assert_eq!(twice, Vec::<&str>::new());
    }

    #[test]
    fn codes_have_the_form_of_service_quotas() {
        for code in QUOTAS.iter().filter_map(|q| q.code) {
            let digits = code.strip_prefix("L-").unwrap_or_default();
            assert_eq!(digits.len(), 8, "{code}");
            assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)), "{code}");
        }
    }

    #[test]
    fn select_regions_never_get_more() {
        for quota in &QUOTAS {
            assert!(quota.select <= quota.default, "{}", quota.name);
            assert!(!quota.consequence.is_empty() && !quota.consequence.contains('|'), "{}", quota.name);
        }
    }
}
