//! What is dropped as expired has expired. A drop tells of a topic, not of a message: it stands for the one that ended first
//! of those that the client may still be owed, and that one is gone then.

use std::collections::BTreeMap;

use dialect::Divergence;
use identity::Timestamp;
use mqtt::{Packet, Publish};

use super::ends;
use crate::book::Book;
use crate::checkers::{is_shared, word};
use crate::heard::Heard;

/// A message, as often as it was published.
#[derive(Default)]
struct Life {
    ends: Vec<Timestamp>,
    /// Each subscription brings it anew.
    retained: bool,
}

const CLIENT: &str = "client";
/// For whom a copy is: a client, or the group that it is in.
type Whose = (&'static str, usize);

/// By topic and message.
#[derive(Default)]
pub(super) struct Lives {
    topics: BTreeMap<String, BTreeMap<String, Life>>,
    /// Copies that are done with, acknowledged or dropped, since the process started: what it read again may go again.
    gone: BTreeMap<(Whose, String), usize>,
    /// What each wire's packet identifiers stand for, if it may expire.
    given: BTreeMap<(usize, u16), Given>,
    /// How often a message of a topic was dropped.
    drops: BTreeMap<(Whose, String), u64>,
}

/// A message that a client has and did not answer.
struct Given {
    topic: String,
    message: String,
    /// How often one of its topic had been dropped before.
    drops: u64,
}

/// Simulated clients belong to one group: an odd number to one, an even number to the other.
fn whose(client: usize, topic: &str) -> Whose {
    if is_shared(topic) { ("group", client % 2) } else { (CLIENT, client) }
}

impl Lives {
    /// A message was handed in.
    pub(super) fn published(&mut self, publish: &Publish, now: Timestamp, book: &Book) {
        let topic = publish.topic.as_str();
        let mut end = ends(publish, now, book);
        if end == Timestamp::NEVER && is_shared(topic) && book.dialect().has(Divergence::SharedGroupQueue) {
            // A group keeps nothing for longer than a session may last.
            end = now + std::time::Duration::from_secs(book.dialect().limits().session_expiry_max.into());
        }
        if end == Timestamp::NEVER {
            return;
        }
        let life = self.topics.entry(topic.to_owned()).or_default().entry(word(publish)).or_default();
        life.ends.push(end);
        life.retained |= publish.retain;
    }

    /// A client was given a message. One of QoS 0 is done with. What had to wait for the link may have been dropped before.
    pub(super) fn gave(&mut self, wire: usize, client: usize, publish: &Publish, late: bool) {
        let (topic, message) = (publish.topic.as_str(), word(publish));
        if !self.topics.get(topic).is_some_and(|known| known.contains_key(&message)) {
            return;
        }
        let (whose, topic) = (whose(client, topic), topic.to_owned());
        match publish.packet_id {
            Some(id) if !late => {
                let drops = self.drops.get(&(whose, topic.clone())).copied().unwrap_or(0);
                self.given.insert((wire, id.get()), Given { topic, message, drops });
            }
            Some(_) => {}
            None => self.goes(whose, message),
        }
    }

    /// A client's answer was certainly taken in.
    pub(super) fn answered(&mut self, wire: usize, client: usize, packet: &Packet) {
        let (Packet::PubAck(ack) | Packet::PubRec(ack)) = packet else { return };
        let Some(Given { topic, message, drops }) = self.given.remove(&(wire, ack.packet_id.get())) else {
            return;
        };
        let whose = whose(client, &topic);
        // If one was dropped since it was given, it may be the one: then the answer came too late.
        if self.drops.get(&(whose, topic)).copied().unwrap_or(0) == drops {
            self.goes(whose, message);
        }
    }

    /// A process is over: what it was done with may be read again.
    pub(super) fn died(&mut self) {
        self.gone.clear();
        self.given.clear();
        self.drops.clear();
    }

    fn goes(&mut self, whose: Whose, message: String) {
        *self.gone.entry((whose, message)).or_insert(0) += 1;
    }

    /// The broker dropped a message because it had expired.
    pub(super) fn dropped(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        let Some(client) = Book::client(&heard.client) else { return Ok(()) };
        let whose = whose(client, &heard.topic);
        *self.drops.entry((whose, heard.topic.clone())).or_insert(0) += 1;
        match self.first_over(whose, heard, book) {
            Some(message) => {
                self.goes(whose, message);
                Ok(())
            }
            None => Err(format!(
                "a message on {} was dropped for {} as expired, and none that it is owed has expired",
                heard.topic, heard.client
            )),
        }
    }

    /// Of the messages that may be meant, the one that ended first; before all, one of which nobody knows how often it comes.
    fn first_over(&self, whose: Whose, heard: &Heard, book: &Book) -> Option<String> {
        let known = self.topics.get(&heard.topic).into_iter().flatten();
        let over = known.filter_map(|(message, life)| {
            let end = life.ends.iter().copied().filter(|end| *end <= heard.at).min()?;
            let endless = life.retained || book.doubtful.contains(message);
            let gone = self.gone.get(&(whose, message.clone())).copied().unwrap_or(0);
            (endless || gone < life.ends.len()).then_some((!endless, end, message))
        });
        over.min().map(|(.., message)| message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use events::{DropReason, Kind};

    fn publish(message: &str, seconds: u32) -> Publish {
        Publish {
            qos: mqtt::QoS::AtLeastOnce,
            topic: mqtt::Text::try_from("t/a/0").unwrap(),
            packet_id: mqtt::PacketId::new(1),
            payload: bytes::Bytes::copy_from_slice(message.as_bytes()),
            message_expiry_interval: Some(seconds),
            ..Publish::default()
        }
    }

    fn drop_at(seconds: u64) -> Heard {
        Heard {
            kind: Kind::DeliveryDropped,
            at: Timestamp(seconds * 1000),
            client: "c1".to_owned(),
            wire: None,
            topic: "t/a/0".to_owned(),
            flag: false,
            packet_id: None,
            bytes: 0,
            properties: 0,
            dropped: Some(DropReason::Expired),
            reason: None,
            action: "",
            fault: String::new(),
        }
    }

    #[test]
    fn a_drop_needs_a_message_that_has_expired_and_is_not_done_with() {
        let book = Book::new(Arc::new(dialect::Dialect::aws()));
        let mut lives = Lives::default();
        lives.published(&publish("m1", 10), Timestamp(0), &book);
        lives.published(&publish("m2", 20), Timestamp(0), &book);
        assert!(lives.dropped(&drop_at(9), &book).is_err(), "nothing has expired");
        assert_eq!(lives.dropped(&drop_at(10), &book), Ok(()));
        assert!(lives.dropped(&drop_at(19), &book).is_err(), "that one is gone");
        lives.gave(4, 1, &publish("m2", 20), false);
        let puback = mqtt::Ack {
            packet_id: mqtt::PacketId::FIRST,
            code: mqtt::ReasonCode::Success,
            reason_string: None,
            user_properties: mqtt::UserProperties::default(),
        };
        lives.answered(4, 1, &Packet::PubAck(puback));
        assert!(lives.dropped(&drop_at(30), &book).is_err(), "the client has it");
        lives.died();
        assert_eq!(lives.dropped(&drop_at(30), &book), Ok(()), "it may have been read again");
    }
}
