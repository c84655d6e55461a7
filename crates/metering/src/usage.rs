//! What was used, by whom: the numbers without prices, as the API tells them and as bills are made of.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign, Sub};

use identity::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Switches;
use crate::item::{Dimension, Item};

/// Counters of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Billable units.
    pub units: u64,
    /// The bytes that counted.
    pub bytes: u64,
    /// Units beyond the first of each event: `units - extra` is the number of events.
    pub extra: u64,
    /// Units that topics of [`SHORT_TOPIC`] bytes would have saved.
    pub spill: u64,
    /// Events that passed a step by [`NEAR`] bytes at most.
    pub near: u64,
}

/// A topic as short as it can reasonably be, bytes.
pub const SHORT_TOPIC: u64 = 16;
/// Passing a step by this many bytes is a pity.
pub const NEAR: u64 = 380;

impl Counts {
    /// Each number as large as the larger one.
    pub fn max(self, other: Self) -> Self {
        Self {
            units: self.units.max(other.units),
            bytes: self.bytes.max(other.bytes),
            extra: self.extra.max(other.extra),
            spill: self.spill.max(other.spill),
            near: self.near.max(other.near),
        }
    }

    /// Of one event of `item`: `bytes` count, of which `topic_bytes` are the topic.
    #[inline]
    pub fn of(item: Item, bytes: u64, topic_bytes: u64, kilobyte: u64) -> Self {
        if bytes <= kilobyte && bytes > 0 {
            return Self { units: 1, bytes, ..Self::default() };
        }
        let step = item.row().step;
        let units = step.units(bytes, kilobyte);
        if units <= 1 {
            return Self { units, bytes, ..Self::default() };
        }
        let shorter = bytes.saturating_sub(topic_bytes.saturating_sub(SHORT_TOPIC));
        let over = bytes.saturating_sub((units - 1).saturating_mul(step.bytes(kilobyte)));
        Self {
            units,
            bytes,
            extra: units - 1,
            spill: units - step.units(shorter, kilobyte),
            near: u64::from(over <= NEAR),
        }
    }

    /// How many events.
    pub fn events(self) -> u64 {
        self.units.saturating_sub(self.extra)
    }

    /// Whether there is anything.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_add(other.units),
            bytes: self.bytes.saturating_add(other.bytes),
            extra: self.extra.saturating_add(other.extra),
            spill: self.spill.saturating_add(other.spill),
            near: self.near.saturating_add(other.near),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Counts {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_sub(other.units),
            bytes: self.bytes.saturating_sub(other.bytes),
            extra: self.extra.saturating_sub(other.extra),
            spill: self.spill.saturating_sub(other.spill),
            near: self.near.saturating_sub(other.near),
        }
    }
}

/// Who and what a row is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The client id; empty for HTTP and the API.
    pub client: String,
    /// The principal's identifier; empty if it was not known.
    pub principal: String,
    /// The first levels of the topic, or the operation of the API.
    pub topic: String,
    /// What.
    pub item: Item,
}

/// What the topics of Basic Ingest begin with; the rule's name follows.
pub const BASIC_INGEST: &str = "$aws/rules/";

/// What stands in place of names where rows are lumped together.
pub const OTHERS: &str = "(others)";

impl Name {
    /// Of what has no row of its own.
    pub fn others(item: Item) -> Self {
        Self { client: OTHERS.into(), principal: OTHERS.into(), topic: OTHERS.into(), item }
    }

    /// The rule that takes it, if one does.
    pub fn rule(&self) -> Option<&str> {
        match self.item {
            Item::BasicIngest => self.topic.strip_prefix(BASIC_INGEST)?.split('/').next(),
            Item::RuleTriggered | Item::ActionExecuted => Some(&self.topic),
            _ => None,
        }
    }

    /// A word of the row.
    pub fn part(&self, by: By) -> &str {
        match by {
            By::Client => &self.client,
            By::Rule => self.rule().unwrap_or(""),
            By::Principal => &self.principal,
            By::Topic => &self.topic,
            By::Kind => self.item.name(),
            By::Dimension => self.item.row().dimension.name(),
        }
    }
}

/// By what a bill is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Client id.
    Client,
    /// Rule that takes it; an empty name for what no rule takes.
    Rule,
    /// First levels of the topic.
    Topic,
    /// The item.
    Kind,
    /// Principal.
    Principal,
    /// Dimension of the price list.
    Dimension,
}

/// A row with its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// Who and what.
    #[serde(flatten)]
    pub name: Name,
    /// How much.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What was used in some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Begin, milliseconds since 1970.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// How open points are decided.
    pub switches: Switches,
    /// Heaviest first.
    pub rows: Vec<UsageRow>,
    /// Distinct clients that were connected.
    pub devices: u64,
    /// There may have been more: not every one has a row here.
    #[serde(default)]
    pub devices_at_least: bool,
}

impl Usage {
    /// The same rows in fewer, each with the sum.
    pub fn grouped(&self, by: By) -> BTreeMap<(&str, Item), Counts> {
        let mut groups: BTreeMap<(&str, Item), Counts> = BTreeMap::new();
        for row in &self.rows {
            *groups.entry((row.name.part(by), row.name.item)).or_default() += row.counts;
        }
        groups
    }

    /// The same by several names of the caller's: a row counts in each, and under the empty name if there is none.
    pub fn grouped_among<'a>(
        &'a self,
        among: impl Fn(&'a Name) -> &'a [String],
    ) -> BTreeMap<(&'a str, Item), Counts> {
        let mut groups: BTreeMap<(&'a str, Item), Counts> = BTreeMap::new();
        for row in &self.rows {
            let names = among(&row.name);
            let none = names.is_empty().then_some("");
            for name in names.iter().map(String::as_str).chain(none) {
                *groups.entry((name, row.name.item)).or_default() += row.counts;
            }
        }
        groups
    }

    /// Sums over everybody.
    pub fn items(&self) -> BTreeMap<Item, Counts> {
        let mut items = BTreeMap::new();
        for row in &self.rows {
            *items.entry(row.name.item).or_insert_with(Counts::default) += row.counts;
        }
        items
    }

    /// The billed units of a dimension.
    pub fn units(&self, dimension: Dimension) -> u64 {
        let billed = self.rows.iter().filter(|row| {
            row.name.item.row().dimension == dimension && self.switches.is_billed(row.name.item)
        });
        billed.map(|row| row.counts.units).fold(0, u64::saturating_add)
    }

    /// How long it was, milliseconds, one at least.
    pub fn elapsed(&self) -> u64 {
        self.to.millis().saturating_sub(self.from.millis()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_named_by_topics_and_by_their_own_rows() {
        let name = |item, topic: &str| Name { topic: topic.into(), ..Name::others(item) };
        assert_eq!(name(Item::BasicIngest, "$aws/rules/r/a").rule(), Some("r"));
        assert_eq!(name(Item::RuleTriggered, "r").part(By::Rule), "r");
        assert_eq!(name(Item::PublishIn, "r").rule(), None);
        assert_eq!(Name::others(Item::BasicIngest).part(By::Rule), "");
    }

    #[test]
    fn what_is_above_a_step_is_noted() {
        let of = |bytes, topic| Counts::of(Item::PublishIn, bytes, topic, 1024);
        assert_eq!(of(5120, 100), Counts { units: 1, bytes: 5120, ..Counts::default() });
        assert_eq!(of(5121, 100), Counts { units: 2, bytes: 5121, extra: 1, spill: 1, near: 1 });
        assert_eq!(of(5501, 10), Counts { units: 2, bytes: 5501, extra: 1, spill: 0, near: 0 });
        assert_eq!(of(5121, 100).events(), 1);
        assert_eq!(Counts::of(Item::HttpResponse, 0, 0, 1024).units, 0);
    }
}
