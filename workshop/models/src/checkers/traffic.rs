//! What is told of is what went over the wires, to the byte: each CONNECT that was accepted, PUBLISH in and out, PUBACK, SUBSCRIBE
//! and PINGREQ once, with the sizes that count for the bill, and nothing else. `bill` compares the meter with the events, this
//! compares the events with the packets; together they compare the bill with the traffic.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use events::{DropReason, Kind};
use identity::Timestamp;
use mqtt::{Connect, MessageProperties, Packet, Publish, QoS, Text, UserProperties, Version};

use super::{Checker, is_shared};
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;

/// A message as it counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    topic: String,
    payload: usize,
    properties: usize,
}

/// A PUBLISH that the broker was handed and did not tell of yet.
struct Handed {
    size: Size,
    retain: bool,
    id: Option<u16>,
    /// False for what may be known already, or was perhaps not looked at.
    must: bool,
}

/// What one wire has brought, or was promised, and was not told of yet, or not given.
#[derive(Default)]
struct Line {
    connect: Option<usize>,
    handed: Vec<Handed>,
    /// Refusals of publishes by topic: nothing tells which of them it was.
    refused: BTreeMap<String, usize>,
    /// Identifier and size of each PUBACK.
    acknowledged: Vec<(u16, usize)>,
    subscribed: VecDeque<usize>,
    pings: usize,
    /// Deliveries that were told of, in order.
    told: VecDeque<Size>,
    /// What each identifier stood for last.
    given: BTreeMap<u16, Size>,
    /// What the client has while it waits to be sent to it again: that copy need not go out any more.
    withdrawn: Vec<Size>,
    /// How many of a topic expired, perhaps when they had been told of and waited for the link.
    expired: BTreeMap<String, usize>,
    /// A packet of it was perhaps not looked at.
    is_unsure: bool,
}

#[derive(Default)]
pub(super) struct Traffic {
    /// By wire, of this process.
    lines: BTreeMap<usize, Line>,
    /// Every message that anybody ever handed in.
    known: BTreeSet<Size>,
    /// Every will, by client.
    wills: BTreeSet<(usize, Size)>,
}

fn of_pairs(pairs: &UserProperties) -> usize {
    pairs.iter().map(|(key, value)| key.len() + value.len()).sum()
}

fn of_text(text: Option<&Text>) -> usize {
    text.map_or(0, |text| text.len())
}

/// What an application chose the length of.
fn of_properties(properties: &MessageProperties) -> usize {
    of_text(properties.content_type.as_ref())
        + of_text(properties.response_topic.as_ref())
        + properties.correlation_data.as_ref().map_or(0, |data| data.len())
        + of_pairs(&properties.user_properties)
}

fn of_will(connect: &Connect) -> Option<Size> {
    connect.will.as_deref().map(|will| Size {
        topic: will.topic.as_str().to_owned(),
        payload: will.payload.len(),
        properties: of_properties(&will.properties),
    })
}

fn of_connect(connect: &Connect) -> usize {
    let will = of_will(connect).map_or(0, |will| will.topic.len() + will.payload + will.properties);
    connect.client_id.len()
        + of_text(connect.user_name.as_ref())
        + connect.password.as_ref().map_or(0, |password| password.len())
        + of_pairs(&connect.properties.user_properties)
        + will
}

fn of_publish(publish: &Publish) -> Size {
    Size {
        topic: publish.topic.as_str().to_owned(),
        payload: publish.payload.len(),
        properties: of_properties(&publish.properties),
    }
}

fn of_event(heard: &Heard) -> Size {
    Size { topic: heard.topic.clone(), payload: heard.bytes, properties: heard.properties }
}

impl Traffic {
    fn asked(&mut self, wire: usize, client: usize, connect: &Connect) {
        self.wills.extend(of_will(connect).map(|will| (client, will)));
        self.lines.entry(wire).or_default().connect = Some(of_connect(connect));
    }

    fn took(&mut self, wire: usize, packet: &Packet, sure: bool) {
        let line = self.lines.entry(wire).or_default();
        line.is_unsure |= !sure;
        match packet {
            Packet::Publish(publish) => {
                let size = of_publish(publish);
                self.known.insert(size.clone());
                let id = publish.packet_id.map(mqtt::PacketId::get);
                let is_again = publish.qos == QoS::ExactlyOnce && publish.dup;
                line.handed.push(Handed { size, retain: publish.retain, id, must: sure && !is_again });
            }
            Packet::PubAck(ack) => {
                let size = of_pairs(&ack.user_properties) + of_text(ack.reason_string.as_ref());
                line.acknowledged.push((ack.packet_id.get(), size));
                line.is_acknowledged(ack.packet_id.get());
            }
            Packet::PubRec(ack) => line.is_acknowledged(ack.packet_id.get()),
            Packet::Subscribe(subscribe) => {
                let filters: usize = subscribe.filters.iter().map(|request| request.filter.len()).sum();
                line.subscribed.push_back(filters + of_pairs(&subscribe.user_properties));
            }
            Packet::PingReq => line.pings += 1,
            _ => {}
        }
    }

    fn gave(&mut self, wire: usize, packet: &Packet) -> Result<(), String> {
        let line = self.lines.entry(wire).or_default();
        match packet {
            Packet::Publish(publish) => {
                let size = of_publish(publish);
                let first = line.next_told(&size);
                line.given.extend(publish.packet_id.map(|id| (id.get(), size.clone())));
                match first.as_ref() == Some(&size) {
                    true => Ok(()),
                    false => Err(format!(
                        "wire {wire} was given {size:?}, and the next that was told of is {first:?}"
                    )),
                }
            }
            // MQTT 3.1.1 hears the same of what was refused, which was told of otherwise.
            Packet::PubAck(ack) | Packet::PubRec(ack) if !ack.code.is_failure() => {
                let id = Some(ack.packet_id.get());
                let mut waits = line.handed.iter().filter(|handed| handed.must && handed.id == id);
                let untold = waits.find(|handed| !line.refused.contains_key(&handed.size.topic));
                match untold {
                    Some(untold) => Err(format!(
                        "wire {wire} heard that {:?} was taken, and no event told of it",
                        untold.size
                    )),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn heard(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        match heard.kind {
            Kind::Queued => return self.queued(heard, book),
            Kind::DeliveryDropped if heard.dropped == Some(DropReason::Expired) => {
                let wire = Book::client(&heard.client).and_then(|client| book.online(client));
                let line = self.lines.entry(wire.unwrap_or(usize::MAX)).or_default();
                *line.expired.entry(heard.topic.clone()).or_insert(0) += 1;
            }
            Kind::WillPublished => return self.will(heard),
            _ => {}
        }
        match heard.wire {
            Some(wire) => self.lines.entry(wire).or_default().heard(wire, heard),
            None => Ok(()),
        }
    }

    fn will(&self, heard: &Heard) -> Result<(), String> {
        let size = of_event(heard);
        let client = Book::client(&heard.client);
        match client.is_some_and(|client| self.wills.contains(&(client, size.clone()))) {
            true => Ok(()),
            false => Err(format!("no will of {} is {size:?}", heard.client)),
        }
    }

    /// What waits is what somebody handed in, or a will; without properties if the session is of MQTT 3.1.1, which has none. What
    /// waits for a group, and not for one member, has them: another member may take it.
    fn queued(&self, heard: &Heard, book: &Book) -> Result<(), String> {
        let session = Book::client(&heard.client).and_then(|client| book.sessions.get(&client));
        // After a crash there may be another than the book has, or of another version.
        let session = session.filter(|session| session.is_certain());
        let version = session.map(|session| session.version);
        let is_whole = version != Some(Version::V311) || is_shared(&heard.topic);
        let size = of_event(heard);
        let bare = |known: &Size| Size { properties: 0, ..known.clone() };
        let waits = |known: &Size| {
            (is_whole && *known == size) || (version != Some(Version::V5) && bare(known) == size)
        };
        match self.known.iter().chain(self.wills.iter().map(|(_, will)| will)).any(waits) {
            true => Ok(()),
            false => Err(format!("nobody ever handed in {size:?}, which waits for {}", heard.client)),
        }
    }

    /// Nothing is on its way: what was handed in was told of.
    fn idle(&mut self, book: &Book) -> Result<(), String> {
        for (wire, line) in
            self.lines.iter_mut().filter(|(wire, line)| book.is_open(**wire) && !line.is_unsure)
        {
            if let Some(handed) = line.untold() {
                return Err(format!("wire {wire} handed in {:?}, and no event told of it", handed.size));
            }
            let rest = (line.acknowledged.len(), line.subscribed.len(), line.pings);
            if rest != (0, 0, 0) {
                return Err(format!("of wire {wire} no event told of PUBACK, SUBSCRIBE, PINGREQ: {rest:?}"));
            }
        }
        Ok(())
    }

    /// Everybody has taken everything: what was told of was given.
    fn drained(&mut self, book: &Book) -> Result<(), String> {
        let left = self.lines.iter_mut().filter(|(wire, _)| book.is_open(**wire)).find_map(|(wire, line)| {
            let left = line.ungiven();
            left.map(|size| format!("wire {wire} was never given {size:?}, which was told of"))
        });
        left.map_or(Ok(()), Err)
    }
}

impl Line {
    fn heard(&mut self, wire: usize, heard: &Heard) -> Result<(), String> {
        let size = of_event(heard);
        let is_right = match heard.kind {
            Kind::Connected => self.connect.take() == Some(heard.bytes),
            Kind::PublishIn => {
                let same = |handed: &Handed| {
                    (&handed.size, handed.retain, handed.id) == (&size, heard.flag, heard.packet_id)
                };
                let at = self.handed.iter().position(same);
                at.map(|at| self.handed.remove(at)).is_some()
            }
            Kind::PublishDenied | Kind::PublishRefused => {
                *self.refused.entry(heard.topic.clone()).or_insert(0) += 1;
                true
            }
            Kind::PublishOut | Kind::Redelivered => {
                self.told.push_back(size);
                true
            }
            Kind::Acknowledged => {
                let same = |(id, bytes): &(u16, usize)| (Some(*id), *bytes) == (heard.packet_id, heard.bytes);
                let at = self.acknowledged.iter().position(same);
                at.map(|at| self.acknowledged.remove(at)).is_some()
            }
            Kind::SubscribeReceived => self.subscribed.pop_front() == Some(heard.bytes),
            Kind::PingAnswered => {
                let was_there = self.pings > 0;
                self.pings = self.pings.saturating_sub(1);
                was_there
            }
            _ => true,
        };
        match is_right {
            true => Ok(()),
            false => Err(format!(
                "{:?} was told of wire {wire}, which brought no such packet: {} bytes, {} of properties, {:?}",
                heard.kind, heard.bytes, heard.properties, heard.topic
            )),
        }
    }

    fn is_acknowledged(&mut self, id: u16) {
        let again = self.given.remove(&id).filter(|size| self.told.contains(size));
        self.withdrawn.extend(again);
    }

    /// The delivery that was told of first and is due, or the first if that is not this one.
    fn next_told(&mut self, size: &Size) -> Option<Size> {
        while let Some(first) = self.told.pop_front() {
            if first == *size || !self.is_excused(&first) {
                return Some(first);
            }
        }
        None
    }

    /// Whether this need not be given; each excuse counts once.
    fn is_excused(&mut self, told: &Size) -> bool {
        if let Some(at) = self.withdrawn.iter().position(|withdrawn| withdrawn == told) {
            self.withdrawn.swap_remove(at);
            return true;
        }
        let left = self.expired.get_mut(&told.topic).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// What was told of, must be given, and was not.
    fn ungiven(&mut self) -> Option<Size> {
        std::mem::take(&mut self.told).into_iter().find(|told| !self.is_excused(told))
    }

    /// What was handed in and neither taken nor refused.
    fn untold(&mut self) -> Option<Handed> {
        let mut refused = std::mem::take(&mut self.refused);
        let mut is_refused = |topic: &str| {
            let left = refused.get_mut(topic).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        };
        let handed = std::mem::take(&mut self.handed).into_iter();
        handed.filter(|handed| handed.must).find(|handed| !is_refused(&handed.size.topic))
    }
}

impl Checker for Traffic {
    fn name(&self) -> &'static str {
        "traffic"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Asked { wire, client, connect } => self.asked(*wire, *client, connect),
            Fact::Took { wire, packet, sure, .. } => self.took(*wire, packet, *sure),
            Fact::Gave { wire, packet, .. } if book.seats.get(wire).is_some_and(|seat| !seat.ended) => {
                return self.gave(*wire, packet);
            }
            Fact::Heard(heard) => return self.heard(heard, book),
            Fact::Idle => return self.idle(book),
            Fact::Drained => return self.drained(book),
            Fact::Died { .. } => self.lines.clear(),
            _ => {}
        }
        Ok(())
    }

    /// A link that is given only so much in a second takes its time.
    fn waits_for(&self, book: &Book) -> Option<String> {
        let mut lines = self.lines.iter().filter(|(wire, _)| book.is_open(**wire));
        let owed =
            |line: &Line| line.told.len() > line.withdrawn.len() + line.expired.values().sum::<usize>();
        lines
            .find(|(_, line)| owed(line))
            .map(|(wire, _)| format!("wire {wire} was not given all that was told of"))
    }
}
