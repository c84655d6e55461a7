//! What if: the same traffic done otherwise, and what that would save. Each suggestion is computed alone, from counters;
//! savings of several do not add up where they touch the same messages.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::bill::Bill;
use crate::item::{Dimension, Item};
use crate::money::Money;
use crate::prices::Prices;
use crate::usage::{Counts, OTHERS, SHORT_TOPIC, Usage, UsageRow};

/// Who sends fewer messages than this has little to put together.
const FEW: u64 = 10;
/// Messages that are put into one at most.
const MOST_BATCHED: u64 = 10;

/// A change that would save something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    /// A stable name.
    pub id: &'static str,
    /// What to change.
    pub change: String,
    /// What it rests on.
    pub assumption: String,
    /// Messaging units fewer.
    pub units: u64,
    /// Money less, in the measured time.
    pub saves: Money,
}

/// All that would save anything, biggest first.
pub fn what_if(usage: &Usage, prices: &Prices, free_tier: bool) -> Vec<Suggestion> {
    let before = Bill::of_usage(usage, prices, free_tier).total;
    let saved = |units: u64| {
        let after = |dimension: Dimension| match dimension {
            Dimension::Messaging => usage.units(dimension).saturating_sub(units),
            _ => usage.units(dimension),
        };
        before - Bill::of(after, prices, free_tier).total
    };
    let all =
        [batching(usage), qos0(usage), retained(usage), basic_ingest(usage), topics(usage), pings(usage)];
    let mut suggestions: Vec<Suggestion> =
        all.into_iter().flatten().map(|one| Suggestion { saves: saved(one.units), ..one }).collect();
    suggestions.sort_by(|a, b| b.units.cmp(&a.units).then_with(|| a.id.cmp(b.id)));
    suggestions
}

fn suggestion(
    id: &'static str,
    units: u64,
    change: impl Into<String>,
    assumption: &str,
) -> Option<Suggestion> {
    let (change, assumption) = (change.into(), assumption.to_owned());
    (units > 0).then_some(Suggestion { id, change, assumption, units, saves: Money::ZERO })
}

/// The rows of some items, as far as they are billed and not lumped together.
fn rows<'a>(usage: &'a Usage, items: &'a [Item]) -> impl Iterator<Item = &'a UsageRow> {
    usage.rows.iter().filter(move |row| {
        let item = row.name.item;
        items.contains(&item) && usage.switches.is_billed(item) && row.name.client != OTHERS
    })
}

fn units<'a>(rows: impl Iterator<Item = &'a UsageRow>) -> u64 {
    rows.map(|row| row.counts.units).fold(0, u64::saturating_add)
}

/// How many messages of these sizes go into one step.
fn fits(counts: Counts, step: u64) -> u64 {
    let average = counts.bytes.div_ceil(counts.events().max(1)).max(1);
    (step / average).min(MOST_BATCHED)
}

fn batching(usage: &Usage) -> Option<Suggestion> {
    let step = Item::PublishIn.row().step.bytes(usage.switches.kilobyte);
    // Of each prefix: so many as fit for every one of its publishers.
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows(usage, &[Item::PublishIn]).filter(|row| row.counts.events() >= FEW) {
        let fits = fits(row.counts, step);
        sizes.entry(&row.name.topic).and_modify(|size| *size = (*size).min(fits)).or_insert(fits);
    }
    let touched = [Item::PublishIn, Item::Retained, Item::Delivery, Item::Queued];
    let mut saved = 0u64;
    let mut best: (u64, &str, u64) = (0, "", 0);
    for (topic, size) in sizes.into_iter().filter(|(_, size)| *size >= 2) {
        let of = rows(usage, &touched).filter(|row| row.name.topic == topic);
        let less = of.map(|row| row.counts.units.saturating_sub(row.counts.events().div_ceil(size)));
        let less = less.fold(0, u64::saturating_add);
        saved = saved.saturating_add(less);
        best = best.max((less, topic, size));
    }
    let (_, topic, size) = best;
    let change = format!("put up to {size} messages into one (most of all on {topic})");
    suggestion(
        "batching",
        saved,
        change,
        "messages may wait for each other; PUBACKs, which become fewer too, are not counted",
    )
}

fn qos0(usage: &Usage) -> Option<Suggestion> {
    let waited: BTreeSet<&str> = rows(usage, &[Item::Queued]).map(|row| row.name.client.as_str()).collect();
    let saved =
        units(rows(usage, &[Item::Acknowledgement]).filter(|row| !waited.contains(row.name.client.as_str())));
    suggestion(
        "qos0",
        saved,
        "deliver to devices with QoS 0 instead of QoS 1",
        "devices bear a lost message; those for which messages were queued keep QoS 1",
    )
}

fn retained(usage: &Usage) -> Option<Suggestion> {
    let saved = units(rows(usage, &[Item::Retained]));
    let change = "publish without RETAIN";
    suggestion("retained-off", saved, change, "nobody needs the last message of a topic when it subscribes")
}

fn basic_ingest(usage: &Usage) -> Option<Suggestion> {
    let delivered: BTreeSet<&str> =
        rows(usage, &[Item::Delivery, Item::Queued]).map(|row| row.name.topic.as_str()).collect();
    let saved =
        units(rows(usage, &[Item::PublishIn]).filter(|row| !delivered.contains(row.name.topic.as_str())));
    suggestion(
        "basic-ingest",
        saved,
        "publish to $aws/rules/RULE/... what goes to no subscriber",
        "a rule takes these messages; rules and actions cost the same either way",
    )
}

fn topics(usage: &Usage) -> Option<Suggestion> {
    let items = [Item::PublishIn, Item::Will, Item::Retained, Item::Delivery, Item::Queued];
    let saved = rows(usage, &items).map(|row| row.counts.spill).fold(0, u64::saturating_add);
    let change = format!("topics of {SHORT_TOPIC} bytes: the longer ones lift messages over a step");
    suggestion("shorter-topics", saved, change, "payloads stay the same")
}

fn pings(usage: &Usage) -> Option<Suggestion> {
    let saved = units(rows(usage, &[Item::PingBeyond]));
    let change = "a keep-alive of 30 s or longer";
    suggestion(
        "keep-alive",
        saved,
        change,
        "pings that come sooner are charged, as the switch ping-beyond says",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Switches;
    use crate::usage::Name;
    use identity::Timestamp;

    fn row(client: &str, topic: &str, item: Item, events: u64, each: u64) -> UsageRow {
        let one = Counts::of(item, each, topic.len() as u64, 1024);
        let counts = (0..events).fold(Counts::default(), |sum, _| sum + one);
        let name = Name { client: client.into(), principal: "p".into(), topic: topic.into(), item };
        UsageRow { name, counts }
    }

    fn found(rows: Vec<UsageRow>) -> Vec<(&'static str, u64)> {
        let switches = Switches::default();
        let usage = Usage {
            from: Timestamp(0),
            to: Timestamp(60_000),
            switches,
            rows,
            devices: 1,
            devices_at_least: false,
        };
        let prices = Prices::shipped("us-east-1").unwrap();
        let all = what_if(&usage, &prices, false);
        assert!(all.iter().all(|one| one.saves == Money::per_million("1").unwrap().times(one.units.into())));
        all.into_iter().map(|one| (one.id, one.units)).collect()
    }

    #[test]
    fn batches_are_as_large_as_a_step_takes() {
        let rows =
            vec![row("d", "t/x", Item::PublishIn, 100, 1000), row("s", "t/x", Item::Delivery, 100, 1000)];
        assert_eq!(found(rows), [("batching", 2 * 80)]);
        assert_eq!(
            found(vec![row("d", "t", Item::PublishIn, 9, 100), row("s", "t", Item::Delivery, 1, 1)]),
            []
        );
    }

    #[test]
    fn who_was_away_keeps_its_qos() {
        let rows = vec![
            row("d", "", Item::Acknowledgement, 40, 0),
            row("away", "", Item::Acknowledgement, 7, 0),
            row("away", "t", Item::Queued, 7, 100),
        ];
        assert_eq!(found(rows), [("qos0", 40)]);
    }

    #[test]
    fn what_nobody_gets_can_go_to_a_rule() {
        let rows = vec![
            row("d", "t/1", Item::PublishIn, 3, 4000),
            row("d", "t/2", Item::PublishIn, 5, 4000),
            row("s", "t/2", Item::Delivery, 5, 4000),
        ];
        assert_eq!(found(rows), [("basic-ingest", 3)]);
    }

    #[test]
    fn the_biggest_comes_first() {
        let topic = "a/very/long/topic/that/costs/a/step";
        let rows = vec![
            row("d", topic, Item::PublishIn, 10, 5130),
            row("s", topic, Item::Delivery, 10, 5130),
            row("d", topic, Item::Retained, 10, 5130),
            row("d", "", Item::PingBeyond, 5, 0),
        ];
        assert_eq!(found(rows), [("shorter-topics", 30), ("retained-off", 20), ("keep-alive", 5)]);
    }
}
