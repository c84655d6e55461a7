//! What is retained on a topic is the last that was written there. After a crash it may be any write since the last one
//! that was acknowledged. What a subscription brings is what was there when it was made, if it asks for that.

mod arrivals;

use std::collections::{BTreeMap, BTreeSet};

use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Publish};

use super::{Checker, word};
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;
use arrivals::Arrivals;

type Topics = BTreeMap<String, Kept>;

/// A write: the message, or nothing if it deleted; when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Write {
    message: Option<String>,
    ends: Timestamp,
}

/// One topic.
#[derive(Default)]
struct Kept {
    /// Every write, in order.
    writes: Vec<Write>,
    /// What is there now is one of these; none of them is the emptiness before the first write.
    now: Vec<Option<usize>>,
    /// The last one that was acknowledged.
    sure: Option<usize>,
}

impl Kept {
    fn write(&self, at: Option<usize>) -> Option<&Write> {
        self.writes.get(at?)
    }

    fn is_one_of(&self, message: Option<&str>, at: Timestamp, slack: u64) -> bool {
        let fits = |place: &Option<usize>| match self.write(*place) {
            None => message.is_none(),
            Some(write) => {
                let expired = write.ends.millis() <= at.millis() + slack;
                write.message.as_deref() == message || (message.is_none() && expired)
            }
        };
        self.now.iter().any(fits)
    }

    /// What may be there now.
    fn choice(&self) -> BTreeSet<Option<String>> {
        self.now.iter().map(|at| self.write(*at).and_then(|write| write.message.clone())).collect()
    }

    /// Whether nothing of what may be there is about to expire.
    fn lasts(&self, now: Timestamp) -> bool {
        self.now
            .iter()
            .filter_map(|at| self.write(*at))
            .all(|write| write.ends.millis() > now.millis() + 1_000)
    }
}

/// By topic.
#[derive(Default)]
pub(super) struct Retained {
    topics: Topics,
    /// Writes that were handed in and not told of yet: by wire.
    asked: Vec<(usize, Publish)>,
    /// Writes that were not acknowledged: topic and place.
    open: BTreeMap<(usize, u16), (String, usize)>,
    /// The latest time that any process had: what expired by it may be gone, although the clock was set back since.
    latest: Timestamp,
    arrivals: Arrivals,
}

impl Retained {
    /// The broker accepted one.
    fn accepted(&mut self, wire: usize, topic: &str, id: Option<u16>, now: Timestamp) {
        let same = |(known, publish): &(usize, Publish)| {
            let same_id = publish.packet_id.map(mqtt::PacketId::get) == id;
            *known == wire && publish.topic.as_str() == topic && same_id
        };
        let Some(at) = self.asked.iter().position(same) else { return };
        let (_, publish) = self.asked.remove(at);
        let kept = self.topics.entry(topic.to_owned()).or_default();
        let ends =
            publish.message_expiry_interval.map(|seconds| now.millis() + u64::from(seconds.max(1)) * 1000);
        let message = (!publish.payload.is_empty()).then(|| word(&publish));
        kept.writes.push(Write { message, ends: ends.map_or(Timestamp::NEVER, Timestamp) });
        let place = kept.writes.len() - 1;
        kept.now = vec![Some(place)];
        self.arrivals.changed(topic, kept);
        if let Some(id) = publish.packet_id {
            self.open.insert((wire, id.get()), (topic.to_owned(), place));
        }
    }

    /// A will with RETAIN is a write that nobody acknowledges.
    fn will(&mut self, heard: &Heard, book: &Book) {
        let seat = heard.wire.and_then(|wire| book.seats.get(&wire));
        let Some(will) = seat.and_then(|seat| seat.connect.will.as_deref()).filter(|will| will.retain) else {
            return;
        };
        let kept = self.topics.entry(heard.topic.clone()).or_default();
        let message = String::from_utf8_lossy(&will.payload).into_owned();
        kept.writes.push(Write { message: Some(message), ends: Timestamp::NEVER });
        kept.now = vec![Some(kept.writes.len() - 1)];
        self.arrivals.changed(&heard.topic, kept);
    }

    fn heard(&mut self, heard: &Heard, now: Timestamp, book: &Book) {
        match heard.kind {
            Kind::WillPublished => self.will(heard, book),
            Kind::PublishIn if heard.flag => {
                self.accepted(heard.wire.unwrap_or_default(), &heard.topic, heard.packet_id, now);
            }
            Kind::PublishRefused | Kind::PublishDenied => {
                let same = |(wire, publish): &(usize, Publish)| {
                    heard.wire == Some(*wire) && publish.topic.as_str() == heard.topic
                };
                if let Some(at) = self.asked.iter().position(same) {
                    self.asked.remove(at);
                }
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, wire: usize, id: u16) {
        if let Some((topic, place)) = self.open.remove(&(wire, id))
            && let Some(kept) = self.topics.get_mut(&topic)
        {
            kept.sure = kept.sure.max(Some(place));
        }
    }

    fn gave(
        &mut self,
        (wire, client): (usize, usize),
        packet: &Packet,
        late: bool,
        (now, book): (Timestamp, &Book),
    ) -> Result<(), String> {
        match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) if !ack.code.is_failure() => {
                self.acknowledged(wire, ack.packet_id.get());
            }
            Packet::SubAck(suback) => {
                self.arrivals.answered(wire, suback, late, &self.topics, self.latest, now);
            }
            Packet::Publish(publish) => return self.arrivals.gave(wire, client, publish, now, book),
            Packet::PubRel(ack) => self.arrivals.released(wire, ack.packet_id.get()),
            _ => {}
        }
        Ok(())
    }

    /// Somebody asked what is there.
    fn probed(&mut self, topic: &str, payload: Option<&str>) -> Result<(), String> {
        let Some(kept) = self.topics.get_mut(topic) else {
            return match payload {
                Some(found) => Err(format!("{found} is retained on {topic}, where nothing was written")),
                None => Ok(()),
            };
        };
        let message = payload.map(|text| text.split(' ').next().unwrap_or_default());
        if !kept.is_one_of(message, self.latest, 1_000) {
            let expected: Vec<_> = kept.now.iter().map(|at| kept.write(*at)).collect();
            return Err(format!("{message:?} is retained on {topic}, and should be one of {expected:?}"));
        }
        let same = |at: &Option<usize>| kept.write(*at).and_then(|write| write.message.as_deref()) == message;
        if let Some(found) = kept.now.iter().copied().find(same) {
            kept.now = vec![found];
        }
        Ok(())
    }

    fn died(&mut self) {
        for kept in self.topics.values_mut() {
            let last = kept.writes.len();
            // What was read in between does not say that it was on the disk.
            let before = if kept.sure.is_none() { vec![None] } else { Vec::new() };
            kept.now = before.into_iter().chain((kept.sure.unwrap_or(0)..last).map(Some)).collect();
        }
        self.asked.clear();
        self.open.clear();
        self.arrivals.died();
    }
}

impl Checker for Retained {
    fn name(&self) -> &'static str {
        "retained"
    }

    fn see(&mut self, now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        self.latest = self.latest.max(now);
        match fact {
            Fact::Took { wire, client, packet, .. } => {
                self.arrivals.took(*wire, *client, packet, &self.topics, book);
                if let Packet::Publish(publish) = &**packet
                    && publish.retain
                {
                    self.asked.push((*wire, Publish::clone(publish)));
                }
            }
            Fact::Heard(heard) => {
                self.heard(heard, now, book);
                self.arrivals.heard(heard, book);
            }
            Fact::Gave { wire, client, packet, late, .. } => {
                return self.gave((*wire, *client), packet, *late, (now, book));
            }
            Fact::Held { wires } => self.arrivals.held.clone_from(wires),
            Fact::Idle => return self.arrivals.idle(now, book),
            Fact::Probed { topic, payload } => return self.probed(topic, payload.as_deref()),
            Fact::Died { .. } => self.died(),
            _ => {}
        }
        Ok(())
    }
}
