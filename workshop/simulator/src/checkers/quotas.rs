//! Quotas are never exceeded: the window of unacknowledged messages, subscriptions of a connection, publishes in a
//! second, and what all of the account's clients do in one.

use std::collections::{BTreeMap, BTreeSet};

use dialect::{Limits, Rate};
use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Version};

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;
use crate::marks::{Mark, Marks};

/// Counts of one wire.
#[derive(Default)]
struct Counts {
    /// Identifiers that the client owes an answer for.
    owed: BTreeSet<u16>,
    /// A QoS 2 message was received and not completed.
    publishes: Vec<Timestamp>,
}

/// By wire.
pub(super) struct Quotas {
    marks: Marks,
    counts: BTreeMap<usize, Counts>,
    connects: BTreeMap<String, Vec<Timestamp>>,
    account: Account,
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
/// counted: of a CONNECT it is told late, when its session is stored.
fn beyond(moments: &mut Vec<Timestamp>, rate: Rate, now: Timestamp) -> bool {
    let Some(limit) = rate.limit() else { return false };
    moments.push(now);
    let newest = moments.iter().copied().max().unwrap_or(now);
    moments.retain(|moment| newest.millis() - moment.millis() < 1000);
    moments.len() as u64 > 2 * u64::from(limit)
}

impl Quotas {
    pub(super) fn new(marks: Marks) -> Self {
        Self { marks, counts: BTreeMap::new(), connects: BTreeMap::new(), account: Account::default() }
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
        self.account.heard(heard.kind, now, limits)?;
        match (heard.kind, heard.wire) {
            (Kind::PublishIn, Some(wire)) => {
                let rate = limits.publishes_per_connection;
                if beyond(&mut self.counts.entry(wire).or_default().publishes, rate, now) {
                    return Err(format!("wire {wire} published faster than {rate:?}"));
                }
            }
            (Kind::Connected, _) => {
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

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        let limits = book.dialect().limits();
        match fact {
            Fact::Gave { wire, packet, .. } => return self.gave(*wire, packet, book),
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
                self.account = Account::default();
            }
            _ => {}
        }
        Ok(())
    }
}
