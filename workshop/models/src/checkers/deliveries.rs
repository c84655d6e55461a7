//! What goes over the wire: each PUBLISH was told of by an event, so that what is permitted and billed is what is given; it
//! matches a subscription that the session had when the message came or later; and it has no higher QoS than it came with.
//! A queue that is said to be full may be.

use std::collections::{BTreeMap, BTreeSet};

use events::{DropReason, Kind};
use identity::Timestamp;
use mqtt::{Packet, Publish, QoS, ReasonCode, Subscribe, Unsubscribe};

use super::{Checker, word};
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;

/// A subscription that a session may have had.
struct Had {
    filter: String,
    /// The place of the fact by which it began, among all facts.
    from: u64,
    /// That of the answer to its end.
    until: u64,
    /// The wire of a session that begins anew: if that comes to nothing, the one before is back.
    over_with: Option<usize>,
}

/// An UNSUBSCRIBE that is not answered yet.
struct Leaving {
    filters: Vec<String>,
    /// Those of which the broker said that they are gone.
    gone: BTreeSet<String>,
    at: u64,
}

/// A message as it was handed in.
struct Born {
    topic: String,
    /// First.
    at: u64,
    qos: QoS,
    /// How often.
    times: usize,
}

#[derive(Default)]
pub(super) struct Deliveries {
    place: u64,
    /// By client.
    had: BTreeMap<usize, Vec<Had>>,
    leaving: BTreeMap<(usize, u16), Leaving>,
    /// By its word.
    born: BTreeMap<String, Born>,
    /// Deliveries that were told of and are not given yet, by wire and topic.
    told: BTreeMap<(usize, String), u64>,
    /// What each wire's packet identifiers stand for.
    given: BTreeMap<(usize, u16), String>,
    /// What each client has acknowledged, and how often.
    settled: BTreeMap<(usize, String), usize>,
    wills: usize,
}

/// What a filter asks for, without the name of a group.
fn plain(filter: &str) -> &str {
    let rest = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    rest.map_or(filter, |(_, plain)| plain)
}

impl Deliveries {
    fn took(&mut self, wire: usize, client: usize, packet: &Packet) {
        match packet {
            Packet::Publish(publish) if !publish.payload.is_empty() => self.handed_in(publish),
            Packet::Subscribe(subscribe) => self.subscribed(client, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.leaves(wire, unsubscribe),
            Packet::PubAck(ack) | Packet::PubRec(ack) => {
                if let Some(message) = self.given.remove(&(wire, ack.packet_id.get())) {
                    *self.settled.entry((client, message)).or_insert(0) += 1;
                }
            }
            _ => {}
        }
    }

    fn handed_in(&mut self, publish: &Publish) {
        let (topic, at) = (publish.topic.as_str().to_owned(), self.place);
        let fresh = || Born { topic, at, qos: publish.qos, times: 0 };
        let born = self.born.entry(word(publish)).or_insert_with(fresh);
        born.qos = born.qos.max(publish.qos);
        born.times += 1;
    }

    fn subscribed(&mut self, client: usize, subscribe: &Subscribe) {
        let had = self.had.entry(client).or_default();
        had.extend(subscribe.filters.iter().map(|request| Had {
            filter: request.filter.as_str().to_owned(),
            from: self.place,
            until: u64::MAX,
            over_with: None,
        }));
    }

    fn leaves(&mut self, wire: usize, unsubscribe: &Unsubscribe) {
        let filters = unsubscribe.filters.iter().map(|one| one.as_str().to_owned()).collect();
        let leaving = Leaving { filters, gone: BTreeSet::new(), at: self.place };
        self.leaving.insert((wire, unsubscribe.packet_id.get()), leaving);
    }

    /// What was unsubscribed from brings nothing that is handed in from now on.
    fn left(&mut self, wire: usize, client: usize, id: u16) {
        let Some(leaving) = self.leaving.remove(&(wire, id)) else { return };
        let over = |had: &&mut Had| had.from < leaving.at && leaving.gone.contains(&had.filter);
        let had = self.had.get_mut(&client).into_iter().flatten();
        had.filter(over).for_each(|had| had.until = had.until.min(self.place));
    }

    fn gave(&mut self, wire: usize, client: usize, packet: &Packet, book: &Book) -> Result<(), String> {
        match packet {
            Packet::UnsubAck(ack) => self.left(wire, client, ack.packet_id.get()),
            Packet::ConnAck(ack) if ack.code == ReasonCode::Success => {
                // From now on there is only the new session.
                let had = self.had.entry(client).or_default();
                had.retain(|had| had.over_with != Some(wire));
            }
            Packet::Publish(publish) if book.seats.get(&wire).is_some_and(|seat| !seat.ended) => {
                return self.delivered(wire, client, publish, book);
            }
            _ => {}
        }
        Ok(())
    }

    fn delivered(
        &mut self,
        wire: usize,
        client: usize,
        publish: &Publish,
        book: &Book,
    ) -> Result<(), String> {
        let (topic, message) = (publish.topic.as_str(), word(publish));
        if let Some(id) = publish.packet_id {
            self.given.insert((wire, id.get()), message.clone());
        }
        let told = self.told.entry((wire, topic.to_owned())).or_insert(0);
        if *told == 0 {
            return Err(format!("wire {wire} was given {message} on {topic}, and no event told of it"));
        }
        *told -= 1;
        let born = self.born.get(&message);
        let since = born.map_or(0, |born| born.at);
        let mut had = self.had.get(&client).into_iter().flatten().filter(|had| had.over_with.is_none());
        if !had.any(|had| had.until >= since && book.matches(plain(&had.filter), topic)) {
            return Err(format!(
                "wire {wire} was given {message} on {topic}, to which it had not subscribed"
            ));
        }
        match born.filter(|born| born.qos < publish.qos) {
            Some(born) => Err(format!(
                "wire {wire} was given {message} with {:?}, and it came with {:?}",
                publish.qos, born.qos
            )),
            None => Ok(()),
        }
    }

    fn heard(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        let client = Book::client(&heard.client);
        match heard.kind {
            Kind::PublishOut | Kind::Redelivered => {
                let wire = heard.wire.unwrap_or(usize::MAX);
                *self.told.entry((wire, heard.topic.clone())).or_insert(0) += 1;
            }
            Kind::WillPublished => self.wills += 1,
            Kind::Unsubscribed => {
                let of_wire = self.leaving.iter_mut().filter(|((wire, _), _)| heard.wire == Some(*wire));
                let names = of_wire.filter(|(_, leaving)| leaving.filters.contains(&heard.topic));
                names.for_each(|(_, leaving)| {
                    leaving.gone.insert(heard.topic.clone());
                });
            }
            Kind::Connected if !heard.flag => {
                let had = client.and_then(|client| self.had.get_mut(&client)).into_iter().flatten();
                had.for_each(|had| had.over_with = heard.wire);
            }
            Kind::DeliveryDropped if heard.dropped == Some(DropReason::QueueFull) => {
                return client.map_or(Ok(()), |client| self.is_full(client, book));
            }
            _ => {}
        }
        Ok(())
    }

    /// A session may hold what was handed in for it and is not acknowledged, and what it found retained. Not more.
    fn is_full(&self, client: usize, book: &Book) -> Result<(), String> {
        let most = book.dialect().limits().session_queue_messages;
        let had: Vec<_> = self.had.get(&client).into_iter().flatten().collect();
        let is_for = |born: &Born| had.iter().any(|had| book.matches(plain(&had.filter), &born.topic));
        let waits = |(message, born): (&String, &Born)| {
            let settled = self.settled.get(&(client, message.clone())).copied().unwrap_or(0);
            if born.qos != QoS::AtMostOnce && is_for(born) { born.times.saturating_sub(settled) } else { 0 }
        };
        let handed: usize = self.born.iter().map(waits).sum();
        match handed + had.len() + self.wills < most {
            true => Err(format!(
                "the queue of client {client} was full with {handed} messages for it, and may hold {most}"
            )),
            false => Ok(()),
        }
    }

    /// The process died: what it had decided and not answered may be undone.
    fn died(&mut self) {
        self.told.clear();
        self.given.clear();
        self.leaving.clear();
        // What was acknowledged and not trimmed is back.
        self.settled.clear();
        self.had.values_mut().flatten().for_each(|had| had.over_with = None);
    }
}

impl Checker for Deliveries {
    fn name(&self) -> &'static str {
        "deliveries"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        self.place += 1;
        match fact {
            Fact::Took { wire, client, packet, .. } => self.took(*wire, *client, packet),
            Fact::Gave { wire, client, packet, .. } => return self.gave(*wire, *client, packet, book),
            Fact::Heard(heard) => return self.heard(heard, book),
            Fact::Died { .. } => self.died(),
            _ => {}
        }
        Ok(())
    }
}
