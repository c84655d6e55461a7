//! A message carries the identifiers of subscriptions that match it, and no others [MQTT-3.3.4-3] to [MQTT-3.3.4-5]. What
//! waited may carry those that its subscriptions had when it came: a client's identifiers are remembered as long as its
//! session.

use std::collections::BTreeMap;

use identity::Timestamp;
use mqtt::{Packet, Publish, Subscribe, Version};

use super::{Checker, is_shared};
use crate::book::Book;
use crate::fact::Fact;
use crate::marks::{Mark, Marks};

/// The identifiers that each filter of a session was ever subscribed to with; `None` is a subscription without one.
type Known = BTreeMap<String, Vec<Option<u32>>>;

pub(super) struct Identifiers {
    marks: Marks,
    /// By client.
    known: BTreeMap<usize, Known>,
}

impl Identifiers {
    pub(super) fn new(marks: Marks) -> Self {
        Self { marks, known: BTreeMap::new() }
    }

    fn subscribed(&mut self, client: usize, subscribe: &Subscribe) {
        let known = self.known.entry(client).or_default();
        for request in &subscribe.filters {
            known
                .entry(request.filter.as_str().to_owned())
                .or_default()
                .push(subscribe.subscription_identifier);
        }
    }

    fn gave(&self, client: usize, publish: &Publish, book: &Book) -> Result<(), String> {
        let topic = publish.topic.as_str();
        let matching = |(filter, _): &(&String, &Vec<Option<u32>>)| {
            let filter =
                filter.splitn(3, '/').nth(2).filter(|_| filter.starts_with("$share/")).unwrap_or(filter);
            book.matches(filter, topic)
        };
        let known: Vec<Option<u32>> = self
            .known
            .get(&client)
            .into_iter()
            .flatten()
            .filter(matching)
            .flat_map(|(_, all)| all.clone())
            .collect();
        for identifier in &publish.subscription_identifiers {
            self.marks.hit(Mark::Identified);
            if !known.contains(&Some(*identifier)) {
                return Err(format!(
                    "client {client} got a message on {topic} with identifier {identifier}, which matches nothing"
                ));
            }
        }
        let always = !known.is_empty() && known.iter().all(Option::is_some);
        if always && publish.subscription_identifiers.is_empty() && !is_shared(topic) {
            return Err(format!(
                "client {client} got a message on {topic} without the identifier of its subscription"
            ));
        }
        Ok(())
    }
}

impl Checker for Identifiers {
    fn name(&self) -> &'static str {
        "identifiers"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Took { client, packet, .. } => {
                if let Packet::Subscribe(subscribe) = &**packet {
                    self.subscribed(*client, subscribe);
                }
            }
            Fact::Gave { wire, client, packet, .. } => {
                let version = book.seats.get(wire).map(|seat| seat.connect.version);
                if let Packet::Publish(publish) = &**packet
                    && version == Some(Version::V5)
                {
                    return self.gave(*client, publish, book);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
