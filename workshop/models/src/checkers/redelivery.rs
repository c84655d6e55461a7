//! Only what is unacknowledged is sent again; a packet identifier in use stands for one message; and a client gets no
//! more copies of a message than there were publishes of it.

use std::collections::{BTreeMap, BTreeSet};

use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Publish, QoS};

use super::{Checker, is_shared, word};
use crate::book::Book;
use crate::fact::Fact;

/// What one client owes.
#[derive(Default)]
struct Owes {
    epoch: u64,
    /// By packet identifier: the message, its topic, and whether its acknowledgement may have been seen.
    open: BTreeMap<u16, (String, String, bool)>,
    /// First copies of each message.
    copies: BTreeMap<String, u64>,
    /// Topics of messages that were dropped: their identifiers are free.
    dropped: BTreeSet<String>,
}

/// Per client.
#[derive(Default)]
pub(super) struct Redelivery {
    owes: BTreeMap<usize, Owes>,
    /// How often each message was handed in.
    published: BTreeMap<String, u64>,
    /// The session in which a message of QoS 2 was handed in last: in another one it is a new message.
    exactly: BTreeMap<String, u64>,
}

impl Redelivery {
    fn gave(&mut self, client: usize, publish: &Publish, book: &Book) -> Result<(), String> {
        // What a retained message or a group does is watched elsewhere; what only deletes a retained message has no name.
        if publish.retain || publish.payload.is_empty() {
            return Ok(());
        }
        let (message, topic) = (word(publish), publish.topic.as_str().to_owned());
        let owes = self.owes.entry(client).or_default();
        let epoch = book.sessions.get(&client).map_or(0, |session| session.epoch);
        if owes.epoch != epoch {
            *owes = Owes { epoch, ..Owes::default() };
        }
        if let Some(id) = publish.packet_id.map(mqtt::PacketId::get) {
            match owes.open.get(&id) {
                Some((known, ..)) if *known == message => return Ok(()),
                Some((known, topic, maybe)) if !maybe && !owes.dropped.contains(topic) => {
                    return Err(format!(
                        "identifier {id} of client {client} stands for {known} and for {message}"
                    ));
                }
                _ => {}
            }
            owes.open.insert(id, (message.clone(), topic.clone(), false));
        }
        let copies = owes.copies.entry(message.clone()).or_insert(0);
        *copies += 1;
        let published = self.published.get(&message).copied().unwrap_or(0);
        if *copies > published && !is_shared(&topic) && !book.doubtful.contains(&message) {
            return Err(format!(
                "client {client} was sent {message} on {topic} as new {copies} times, published {published} times"
            ));
        }
        Ok(())
    }

    fn took(&mut self, client: usize, packet: &Packet, sure: bool, book: &Book) {
        match packet {
            Packet::Publish(publish) if publish.qos == QoS::ExactlyOnce => {
                let session = book.sessions.get(&client).map_or(0, |session| session.epoch);
                if self.exactly.insert(word(publish), session) != Some(session) {
                    *self.published.entry(word(publish)).or_insert(0) += 1;
                }
            }
            Packet::Publish(publish) => *self.published.entry(word(publish)).or_insert(0) += 1,
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                let id = ack.packet_id.get();
                let owes = self.owes.entry(client).or_default();
                if sure {
                    owes.open.remove(&id);
                } else if let Some((.., maybe)) = owes.open.get_mut(&id) {
                    *maybe = true;
                }
            }
            _ => {}
        }
    }

    /// After a restart everything after the last trim may come again, and identifiers begin anew.
    fn died(&mut self) {
        for owes in self.owes.values_mut() {
            owes.open.clear();
            owes.copies.clear();
        }
    }
}

impl Checker for Redelivery {
    fn name(&self) -> &'static str {
        "redelivery"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Took { client, packet, sure, .. } => self.took(*client, packet, *sure, book),
            Fact::Gave { client, packet, .. } => {
                if let Packet::Publish(publish) = &**packet {
                    return self.gave(*client, publish, book);
                }
            }
            Fact::Heard(heard) => match (heard.kind, Book::client(&heard.client)) {
                (Kind::WillPublished, _) => {
                    // A will is a publish without a packet; its payload names the wire.
                    let wire = heard.wire.unwrap_or_default();
                    *self.published.entry(format!("w{wire}")).or_insert(0) += 1;
                }
                (Kind::DeliveryDropped | Kind::ReceiveDenied, Some(client)) => {
                    self.owes.entry(client).or_default().dropped.insert(heard.topic.clone());
                }
                _ => {}
            },
            Fact::Died { .. } => self.died(),
            _ => {}
        }
        Ok(())
    }
}
