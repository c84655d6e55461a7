//! The bill: units and prices make money, tier by tier.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Switches;
use crate::item::{Dimension, Item};
use crate::money::Money;
use crate::prices::Prices;
use crate::usage::{By, Counts, Name, Usage};

/// Units that fell into a tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierLine {
    /// From this unit of the month on.
    pub from: u64,
    /// How many.
    pub units: u64,
    /// Of one.
    pub price: Money,
    /// Of all.
    pub cost: Money,
    /// Whether the price was seen on AWS's pages.
    pub confirmed: bool,
}

/// A dimension on a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Which.
    #[serde(serialize_with = "name")]
    pub dimension: Dimension,
    /// All units.
    pub units: u64,
    /// Of which the free tier took.
    pub free: u64,
    /// Of which there is no price.
    pub unpriced: u64,
    /// The others.
    pub tiers: Vec<TierLine>,
    /// Their sum.
    pub cost: Money,
}

fn name<S: serde::Serializer>(dimension: &Dimension, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(dimension.name())
}

/// A month's bill. What was measured counts as if it were all there was in the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// One of each dimension, in order.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Money,
}

impl Bill {
    /// Of so many units of each dimension.
    pub fn of(units: impl Fn(Dimension) -> u64, prices: &Prices, free_tier: bool) -> Self {
        let lines: Vec<Line> =
            Dimension::ALL.iter().map(|one| line(*one, units(*one), prices, free_tier)).collect();
        let total = lines.iter().map(|line| line.cost).sum();
        Self { lines, total }
    }

    /// Of what was used.
    pub fn of_usage(usage: &Usage, prices: &Prices, free_tier: bool) -> Self {
        Self::of(|dimension| usage.units(dimension), prices, free_tier)
    }

    /// The line of a dimension.
    pub fn line(&self, dimension: Dimension) -> Option<&Line> {
        self.lines.iter().find(|line| line.dimension == dimension)
    }

    /// The part of a dimension's cost that some of its units bear.
    pub fn share(&self, dimension: Dimension, units: u64) -> Money {
        let Some(line) = self.line(dimension) else { return Money::ZERO };
        line.cost.share(u128::from(units), u128::from(line.units))
    }
}

fn line(dimension: Dimension, units: u64, prices: &Prices, free_tier: bool) -> Line {
    let free = if free_tier { prices.free(dimension).min(units) } else { 0 };
    let billed = units - free;
    let tiers: Vec<TierLine> = prices
        .tiers(dimension)
        .iter()
        .map(|tier| {
            let within = billed.min(tier.to).saturating_sub(tier.from);
            let (from, price, confirmed) = (tier.from, tier.price, tier.confirmed);
            TierLine { from, units: within, price, cost: price.times(within.into()), confirmed }
        })
        .filter(|tier| tier.units > 0)
        .collect();
    let priced: u64 = tiers.iter().map(|tier| tier.units).sum();
    let cost = tiers.iter().map(|tier| tier.cost).sum();
    Line { dimension, units, free, unpriced: billed - priced, tiers, cost }
}

/// A client, topic, item... on a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Who or what.
    pub name: String,
    /// Billed units by dimension, those that are not 0.
    pub units: Vec<(&'static str, u64)>,
    /// How many events.
    pub events: u64,
    /// The group's part of the bill.
    pub cost: Money,
}

/// The bill split up: dearest first. Parts are rounded down to a picodollar.
pub fn split(usage: &Usage, bill: &Bill, by: By) -> Vec<Group> {
    shares(usage, bill, usage.grouped(by))
}

/// The same by groups of the caller's, of which a row may be in several and counts in each: the groups of the client's
/// thing, for example. What is in none is in the group with the empty name.
pub fn split_among<'a>(
    usage: &'a Usage,
    bill: &Bill,
    groups: impl Fn(&'a Name) -> &'a [String],
) -> Vec<Group> {
    shares(usage, bill, usage.grouped_among(groups))
}

fn shares(usage: &Usage, bill: &Bill, counted: BTreeMap<(&str, Item), Counts>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for ((name, item), counts) in counted {
        if groups.last().is_none_or(|group| group.name != name) {
            let (name, cost) = (name.to_owned(), Money::ZERO);
            groups.push(Group { name, units: Vec::new(), events: 0, cost });
        }
        if let Some(group) = groups.last_mut() {
            group.take(item, counts, &usage.switches, bill);
        }
    }
    groups.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| a.name.cmp(&b.name)));
    groups
}

impl Group {
    fn take(&mut self, item: Item, counts: Counts, switches: &Switches, bill: &Bill) {
        self.events = self.events.saturating_add(counts.events());
        if !switches.is_billed(item) || counts.units == 0 {
            return;
        }
        let dimension = item.row().dimension;
        self.cost = self.cost + bill.share(dimension, counts.units);
        match self.units.iter_mut().find(|(name, _)| *name == dimension.name()) {
            Some((_, units)) => *units = units.saturating_add(counts.units),
            None => self.units.push((dimension.name(), counts.units)),
        }
    }
}

#[cfg(test)]
mod tests {
    use identity::Timestamp;

    use super::*;
    use crate::usage::UsageRow;

    fn prices() -> Prices {
        Prices::shipped("eu-west-1").unwrap()
    }

    /// The example of AWS's page, and what the fact sheet computes beside it.
    #[test]
    fn the_worked_example_comes_out_to_the_cent() {
        let devices = 100_000u64;
        let units = |dimension| match dimension {
            Dimension::Connectivity => devices * 30 * 24 * 60,
            Dimension::Messaging => devices * 325 * 30,
            Dimension::ShadowRegistry => devices * 100 * 30,
            Dimension::Rules | Dimension::Actions => devices * 200 * 30,
        };
        let bill = Bill::of(units, &prices(), false);
        let costs: Vec<String> = bill.lines.iter().map(|line| line.cost.to_cents()).collect();
        assert_eq!(costs, ["345.60", "975.00", "375.00", "90.00", "90.00"]);
        assert_eq!(bill.total.to_cents(), "1875.60");
    }

    #[test]
    fn units_above_a_tier_are_cheaper() {
        let units = |dimension| if dimension == Dimension::Messaging { 6_000_000_000 } else { 0 };
        let bill = Bill::of(units, &prices(), false);
        let line = bill.line(Dimension::Messaging).unwrap();
        let tiers: Vec<(u64, String)> =
            line.tiers.iter().map(|tier| (tier.units, tier.cost.to_cents())).collect();
        let expected = [(1_000_000_000, "1000.00"), (4_000_000_000, "3200.00"), (1_000_000_000, "700.00")];
        assert_eq!(tiers, expected.map(|(units, cost)| (units, cost.to_owned())));
        assert!(line.tiers[0].confirmed && !line.tiers[1].confirmed);
    }

    #[test]
    fn the_free_tier_covers_fifty_devices() {
        let units = |dimension| match dimension {
            Dimension::Connectivity => 50 * 30 * 24 * 60,
            Dimension::Messaging => 50 * 300 * 30,
            _ => 0,
        };
        let bill = Bill::of(units, &prices(), true);
        assert_eq!((bill.total, bill.lines[1].free), (Money::ZERO, 450_000));
        assert_eq!(Bill::of(units, &prices(), false).total.to_cents(), "0.62");
    }

    #[test]
    fn who_is_in_several_groups_counts_in_each() {
        let row = |client: &str, units| {
            let name = Name { client: client.into(), ..Name::others(Item::PublishIn) };
            UsageRow { name, counts: Counts { units, ..Counts::default() } }
        };
        let (rows, switches) = (vec![row("a", 3), row("b", 2), row("c", 1)], Switches::default());
        let usage = Usage {
            from: Timestamp(0),
            to: Timestamp(1),
            switches,
            rows,
            devices: 3,
            devices_at_least: false,
        };
        let (both, one) = (["g".to_owned(), "h".to_owned()], ["h".to_owned()]);
        let bill = Bill::of_usage(&usage, &prices(), false);
        let groups = split_among(&usage, &bill, |name| match name.client.as_str() {
            "a" => &both,
            "b" => &one,
            _ => &[],
        });
        let found: Vec<(&str, u64)> =
            groups.iter().map(|group| (group.name.as_str(), group.units[0].1)).collect();
        assert_eq!(found, [("h", 5), ("g", 3), ("", 1)]);
    }

    #[test]
    fn what_has_no_price_is_said() {
        let bill = Bill::of(|_| 5, &Prices::shipped("ap-northeast-1").unwrap(), false);
        assert_eq!(bill.line(Dimension::Rules).unwrap().unpriced, 5);
        assert_eq!(bill.line(Dimension::Messaging).unwrap().unpriced, 0);
    }
}
