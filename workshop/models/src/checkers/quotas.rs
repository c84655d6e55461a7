//! Quotas are never exceeded: the window of unacknowledged messages, subscriptions of a connection, what is kept for one
//! that is away, publishes and bytes in a second, and what all of the account's clients do in one.

mod throughput;

use std::collections::{BTreeMap, BTreeSet};

use dialect::{Limits, Rate};
use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Version};

use super::{Checker, is_shared};
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;
use crate::marks::{Mark, Marks};
use throughput::Given;

/// Counts of one wire.
#[derive(Default)]
struct Counts {
    /// Identifiers that the client owes an answer for.
    owed: BTreeSet<u16>,
    /// A QoS 2 message was received and not completed.
    publishes: Vec<Timestamp>,
    given: Given,
}

/// By wire.
pub(super) struct Quotas {
    marks: Marks,
    counts: BTreeMap<usize, Counts>,
    connects: BTreeMap<String, Vec<Timestamp>>,
    account: Account,
    /// When the CONNECT of each wire was read.
    asked: BTreeMap<usize, Timestamp>,
    /// Messages that were put by for clients since they went, in this process. What waited before is not known as surely.
    kept: BTreeMap<usize, usize>,
}

/// What all clients did.
#[derive(Default)]
struct Account {
    connects: Vec<Timestamp>,
    published: Vec<Timestamp>,
    delivered: Vec<Timestamp>,
}

impl Account {
    fn heard(&mut self, kind: Kind, now: Timestamp, limits: &Limits) -> Result<(), String> {
        let (moments, rate, what) = match kind {
            Kind::Connected => (&mut self.connects, limits.connects_per_account, "connected"),
            Kind::PublishIn => (&mut self.published, limits.publishes_in_per_account, "published"),
            Kind::PublishOut => (&mut self.delivered, limits.publishes_out_per_account, "were sent messages"),
            _ => return Ok(()),
        };
        match beyond(moments, rate, now) {
            true => Err(format!("all clients together {what} faster than {rate:?}")),
            false => Ok(()),
        }
    }
}

/// More than a bucket of this rate can have given: what was in it, and what came in since. A moment is the one in which it was
/// counted, which may be told late.
fn beyond(moments: &mut Vec<Timestamp>, rate: Rate, now: Timestamp) -> bool {
    let Some(limit) = rate.limit() else { return false };
    moments.push(now);
    let newest = moments.iter().copied().max().unwrap_or(now);
    moments.retain(|moment| newest.millis() - moment.millis() < 1000);
    moments.len() as u64 > 2 * u64::from(limit)
}

impl Quotas {
    pub(super) fn new(marks: Marks) -> Self {
        Self {
            marks,
            counts: BTreeMap::new(),
            connects: BTreeMap::new(),
            account: Account::default(),
            asked: BTreeMap::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Last words are not counted, nor those to whoever is not let in.
    fn gave_bytes(&mut self, wire: usize, bytes: usize, now: Timestamp, book: &Book) -> Result<(), String> {
        if book.seats.get(&wire).is_none_or(|seat| seat.ended) {
            return Ok(());
        }
        let most = book.seats.get(&wire).and_then(|seat| seat.connect.properties.maximum_packet_size);
        if most.is_some_and(|most| bytes > most as usize) {
            return Err(format!("wire {wire} was given {bytes} bytes in a packet, and takes {most:?}"));
        }
        let rate = book.dialect().limits().throughput_per_connection;
        let given = &mut self.counts.entry(wire).or_default().given;
        given.more(bytes, rate, now).map_err(|owed| format!("wire {wire} was given more although {owed}"))
    }

    /// A message waits. For who is there it waits for the window, or for nothing but the disk.
    fn queued(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        let client = Book::client(&heard.client).filter(|client| book.online(*client).is_none());
        let Some(client) = client.filter(|_| !is_shared(&heard.topic)) else { return Ok(()) };
        let (most, kept) =
            (book.dialect().limits().session_queue_messages, self.kept.entry(client).or_insert(0));
        *kept += 1;
        match *kept > most {
            true => Err(format!("{kept} messages were put by for {}, which may have {most}", heard.client)),
            false => Ok(()),
        }
    }

    fn gave(&mut self, wire: usize, packet: &Packet, book: &Book) -> Result<(), String> {
        let Packet::Publish(publish) = packet else { return Ok(()) };
        let (Some(id), Some(seat)) = (publish.packet_id, book.seats.get(&wire)) else { return Ok(()) };
        let own = match seat.connect.version {
            Version::V5 => seat.connect.properties.receive_maximum.unwrap_or(u16::MAX),
            Version::V311 => u16::MAX,
        };
        let window = own.min(book.dialect().limits().inflight_out);
        let owed = &mut self.counts.entry(wire).or_default().owed;
        owed.insert(id.get());
        if owed.len() == usize::from(window) {
            self.marks.hit(Mark::WindowFull);
        }
        if owed.len() > usize::from(window) {
            return Err(format!(
                "wire {wire} has {} unacknowledged messages, its window is {window}",
                owed.len()
            ));
        }
        Ok(())
    }

    fn heard(&mut self, heard: &Heard, now: Timestamp, book: &Book) -> Result<(), String> {
        let limits = book.dialect().limits();
        // The account's rate has counted a CONNECT when it was read, that of its client when it was decided.
        let asked =
            heard.wire.filter(|_| heard.kind == Kind::Connected).and_then(|wire| self.asked.get(&wire));
        self.account.heard(heard.kind, asked.copied().unwrap_or(now), limits)?;
        match (heard.kind, heard.wire) {
            (Kind::PublishIn, Some(wire)) => {
                let rate = limits.publishes_per_connection;
                if beyond(&mut self.counts.entry(wire).or_default().publishes, rate, now) {
                    return Err(format!("wire {wire} published faster than {rate:?}"));
                }
            }
            (Kind::Queued, _) => return self.queued(heard, book),
            (Kind::Disconnected, _) => self.begins_anew(heard),
            // What could not be written does not wait.
            (Kind::StoreFailed, _) => self.kept.clear(),
            (Kind::Connected, _) => {
                self.begins_anew(heard);
                let rate = limits.connects_per_client_id;
                if beyond(self.connects.entry(heard.client.clone()).or_default(), rate, now) {
                    return Err(format!("{} connected more often than {rate:?}", heard.client));
                }
            }
            // What the broker gives up is not owed any more.
            (Kind::DeliveryDropped | Kind::ReceiveDenied, _) => {
                let wire = Book::client(&heard.client).and_then(|client| book.online(client));
                wire.into_iter().for_each(|wire| self.counts.entry(wire).or_default().owed.clear());
            }
            _ => {}
        }
        Ok(())
    }

    /// A client came or went.
    fn begins_anew(&mut self, heard: &Heard) {
        self.kept.retain(|client, _| Book::client(&heard.client) != Some(*client));
    }

    fn took(&mut self, wire: usize, packet: &Packet) {
        let owed = &mut self.counts.entry(wire).or_default().owed;
        match packet {
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                owed.remove(&ack.packet_id.get());
            }
            Packet::PubRec(ack) if ack.code.is_failure() => {
                owed.remove(&ack.packet_id.get());
            }
            _ => {}
        }
    }
}

impl Checker for Quotas {
    fn name(&self) -> &'static str {
        "quotas"
    }

    fn see(&mut self, now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        let limits = book.dialect().limits();
        match fact {
            Fact::Asked { wire, .. } => {
                self.asked.insert(*wire, now);
            }
            Fact::Gave { wire, packet, bytes, .. } => {
                self.gave_bytes(*wire, *bytes, now, book)?;
                return self.gave(*wire, packet, book);
            }
            Fact::Took { wire, packet, .. } => self.took(*wire, packet),
            Fact::Heard(heard) => return self.heard(heard, heard.at, book),
            Fact::Idle => {
                let most = limits.subscriptions_per_connection;
                let over = book.sessions.iter().find(|(_, session)| session.subs.len() > most);
                if let Some((client, session)) = over {
                    let count = session.subs.len();
                    return Err(format!("client {client} has {count} subscriptions, and may have {most}"));
                }
            }
            Fact::Died { .. } => {
                self.connects.clear();
                self.kept.clear();
                self.account = Account::default();
            }
            _ => {}
        }
        Ok(())
    }
}
