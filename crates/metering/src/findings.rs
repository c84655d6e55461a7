//! Findings: what costs more than it has to, seen in the numbers of a minute or of any other time.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::item::{Dimension, Item};
use crate::usage::{By, Counts, OTHERS, Usage};

/// Findings of one kind that are told: the heaviest.
const MOST: usize = 10;
const MINUTE: u64 = 60_000;

/// Something that costs more than it has to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name.
    pub id: &'static str,
    /// The client or topic prefix; empty for all of the traffic.
    pub subject: String,
    /// What was seen.
    pub detail: String,
}

/// All findings of a time, by kind, heaviest first.
pub fn findings(usage: &Usage) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(just_over(usage));
    found.extend(storms(usage));
    found.extend(pubacks(usage));
    found.extend(retained(usage));
    found.extend(small(usage));
    found.extend(expired(usage));
    found
}

/// Sums of an item by client or topic, heaviest first, without what is lumped together.
fn sums(usage: &Usage, item: Item, by: By) -> Vec<(String, Counts)> {
    let mut sums: BTreeMap<&str, Counts> = BTreeMap::new();
    for row in usage.rows.iter().filter(|row| row.name.item == item && row.name.client != OTHERS) {
        *sums.entry(row.name.part(by)).or_default() += row.counts;
    }
    let mut sums: Vec<(String, Counts)> =
        sums.into_iter().map(|(name, sum)| (name.to_owned(), sum)).collect();
    sums.sort_by(|a, b| b.1.units.cmp(&a.1.units).then_with(|| a.0.cmp(&b.0)));
    sums
}

/// Whether something happened more often than so many times a minute.
fn rate_above(events: u64, per_minute: u64, usage: &Usage) -> bool {
    let minutes = usage.elapsed().max(MINUTE);
    u128::from(events) * u128::from(MINUTE) > u128::from(per_minute) * u128::from(minutes)
}

fn told(id: &'static str, all: impl Iterator<Item = (String, String)>) -> impl Iterator<Item = Finding> {
    all.take(MOST).map(move |(subject, detail)| Finding { id, subject, detail })
}

fn just_over(usage: &Usage) -> impl Iterator<Item = Finding> {
    let over = sums(usage, Item::PublishIn, By::Topic).into_iter();
    let over = over.filter(|(_, counts)| counts.near >= 10 && counts.near * 2 >= counts.events());
    let detail = |counts: Counts| {
        format!(
            "{} of {} messages pass a step of 5 KB by a few bytes, and cost one unit more",
            counts.near,
            counts.events()
        )
    };
    told("just-over-step", over.map(move |(topic, counts)| (topic, detail(counts))))
}

fn storms(usage: &Usage) -> impl Iterator<Item = Finding> {
    let often = sums(usage, Item::Connect, By::Client).into_iter();
    let often = often.filter(|(_, counts)| counts.events() >= 5 && rate_above(counts.events(), 2, usage));
    let seconds = usage.elapsed() / 1000;
    told(
        "reconnect-storm",
        often
            .map(move |(client, counts)| {
                let detail = format!(
                    "connected {} times in {seconds} s; each costs a message and a started minute",
                    counts.events()
                );
                (client, detail)
            })
            .collect::<Vec<_>>()
            .into_iter(),
    )
}

fn pubacks(usage: &Usage) -> Option<Finding> {
    let all = usage.units(Dimension::Messaging);
    let pubacks = sums(usage, Item::Acknowledgement, By::Kind).first().map_or(0, |(_, counts)| counts.units);
    (pubacks >= 100 && pubacks >= all / 4).then(|| Finding {
        id: "chatty-pubacks",
        subject: String::new(),
        detail: format!("{pubacks} of {all} messages are PUBACKs of devices; with QoS 0 there were none"),
    })
}

fn retained(usage: &Usage) -> impl Iterator<Item = Finding> {
    let published: BTreeMap<String, Counts> = sums(usage, Item::PublishIn, By::Topic).into_iter().collect();
    let retained = sums(usage, Item::Retained, By::Topic).into_iter();
    let every = retained.filter(move |(topic, counts)| {
        let published = published.get(topic).map_or(0, |counts| counts.events());
        counts.events() >= 10 && counts.events() >= published
    });
    told(
        "retained-every-publish",
        every.map(|(topic, counts)| {
            (
                topic,
                format!(
                    "all of {} messages were published with RETAIN, which costs them a second time",
                    counts.events()
                ),
            )
        }),
    )
}

fn small(usage: &Usage) -> impl Iterator<Item = Finding> {
    let step = Item::PublishIn.row().step.bytes(usage.switches.kilobyte);
    let many = sums(usage, Item::PublishIn, By::Client).into_iter();
    let many = many.filter(|(_, counts)| {
        let average = counts.bytes / counts.events().max(1);
        counts.events() >= 30 && average * 10 <= step && rate_above(counts.events(), 30, usage)
    });
    told(
        "small-publishes",
        many.map(|(client, counts)| {
            let average = counts.bytes / counts.events().max(1);
            (
                client,
                format!(
                    "{} publishes of {average} bytes each; ten in one would cost a tenth",
                    counts.events()
                ),
            )
        })
        .collect::<Vec<_>>()
        .into_iter(),
    )
}

fn expired(usage: &Usage) -> impl Iterator<Item = Finding> {
    let expired = sums(usage, Item::QueueExpired, By::Client).into_iter();
    told(
        "queue-expired",
        expired.map(|(client, counts)| {
            (
                client,
                match counts.events() {
                    1 => "once, messages that were queued (and paid for) expired unread".to_owned(),
                    times => {
                        format!("{times} times, messages that were queued (and paid for) expired unread")
                    }
                },
            )
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Switches;
    use crate::usage::{Name, UsageRow};
    use identity::Timestamp;

    fn found(rows: &[(&str, &str, Item, u64, u64)]) -> Vec<(&'static str, String)> {
        let row = |(client, topic, item, events, each): &(&str, &str, Item, u64, u64)| {
            let one = Counts::of(*item, *each, 3, 1024);
            let counts = (0..*events).fold(Counts::default(), |sum, _| sum + one);
            let name =
                Name { client: (*client).into(), principal: "p".into(), topic: (*topic).into(), item: *item };
            UsageRow { name, counts }
        };
        let rows = rows.iter().map(row).collect();
        let switches = Switches::default();
        let usage = Usage {
            from: Timestamp(0),
            to: Timestamp(60_000),
            switches,
            rows,
            devices: 1,
            devices_at_least: false,
        };
        findings(&usage).into_iter().map(|finding| (finding.id, finding.subject)).collect()
    }

    #[test]
    fn each_is_found() {
        let one = |row| found(&[row]);
        assert_eq!(one(("c", "t", Item::PublishIn, 20, 5200)), [("just-over-step", "t".to_owned())]);
        assert_eq!(one(("c", "", Item::Connect, 6, 100)), [("reconnect-storm", "c".to_owned())]);
        assert_eq!(one(("c", "", Item::Acknowledgement, 100, 0)), [("chatty-pubacks", String::new())]);
        assert_eq!(one(("c", "t", Item::Retained, 10, 50)), [("retained-every-publish", "t".to_owned())]);
        assert_eq!(one(("c", "t", Item::PublishIn, 40, 50)), [("small-publishes", "c".to_owned())]);
        assert_eq!(one(("c", "t", Item::QueueExpired, 1, 0)), [("queue-expired", "c".to_owned())]);
    }

    #[test]
    fn ordinary_traffic_is_left_alone() {
        let rows = [
            ("c", "t", Item::PublishIn, 20, 1000),
            ("c", "t", Item::Retained, 9, 50),
            ("c", "", Item::Connect, 2, 100),
            ("c", "", Item::Acknowledgement, 20, 0),
        ];
        assert_eq!(found(&rows), []);
    }
}
