//! Messages and sessions end when they are to, within a second or two: not later, and not earlier.

mod lives;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dialect::Divergence;
use events::{DropReason, Kind};
use identity::Timestamp;
use mqtt::{Connect, Packet, Publish, QoS, ReasonCode, Version};

use super::{Checker, word};
use crate::book::{Book, Session};
use crate::fact::Fact;
use crate::heard::Heard;
use lives::Lives;

/// How late a message may be when it first goes out.
const MESSAGE_SLACK: u64 = 1_100;
/// How early and how late a session may end.
const SESSION_SLACK: Duration = Duration::from_secs(3);

/// When messages end, and what each wire has been given before.
#[derive(Default)]
pub(super) struct Expiry {
    lives: Lives,
    /// The first and the last copy of each message.
    ends: BTreeMap<String, (Timestamp, Timestamp)>,
    given: BTreeSet<(usize, u16, String)>,
    /// When wires were seated, and when they were given the first message: what waits at a seat until the disk knows of
    /// it has its place in the window.
    seated: BTreeMap<usize, Timestamp>,
    flushed: BTreeMap<usize, Timestamp>,
    /// What was there when a CONNECT took the seat, by wire.
    before: BTreeMap<usize, Option<Session>>,
}

/// When a message that is handed in now ends.
fn ends(publish: &Publish, now: Timestamp, book: &Book) -> Timestamp {
    let clamp = book.dialect().has(Divergence::MessageExpiryClamp);
    let least = if clamp { book.dialect().limits().message_expiry_min } else { 0 };
    match publish.message_expiry_interval {
        Some(seconds) => Timestamp(now.millis() + u64::from(seconds.max(least)) * 1000),
        None => Timestamp::NEVER,
    }
}

impl Expiry {
    fn took(&mut self, publish: &Publish, now: Timestamp, book: &Book) {
        let end = ends(publish, now, book);
        let (first, last) = self.ends.entry(word(publish)).or_insert((end, end));
        (*first, *last) = (end.min(*first), end.max(*last));
        self.lives.published(publish, now, book);
    }

    fn gave(
        &mut self,
        (wire, client): (usize, usize),
        publish: &Publish,
        now: Timestamp,
        late: bool,
        book: &Book,
    ) -> Result<(), String> {
        self.lives.gave(wire, client, publish, late);
        let message = word(publish);
        let id = publish.packet_id.map_or(0, mqtt::PacketId::get);
        // [MQTT-4.3.3-7] one of QoS 2 does not expire once it was sent, on whatever connection. Its delivery has begun when it
        // is stored under its identifier, and DUP says that it was, although a connection that was refused may never have
        // brought it.
        let exactly = publish.qos == QoS::ExactlyOnce;
        let place = if exactly { (usize::MAX, client as u16) } else { (wire, id) };
        let again =
            id != 0 && !self.given.insert((place.0, place.1, message.clone())) || exactly && publish.dup;
        let version = book.seats.get(&wire).map(|seat| seat.connect.version);
        let expires = version == Some(Version::V5) || book.dialect().has(Divergence::ExpiryCrossesVersions);
        let never = (Timestamp::NEVER, Timestamp::NEVER);
        let (first, end) = self.ends.get(&message).copied().unwrap_or(never);
        // What has a place in the window of a slow link keeps it.
        let seated = self.seated.get(&wire).copied().unwrap_or(now);
        let kept_waiting = *self.flushed.entry(wire).or_insert(now) > seated + Duration::from_secs(1);
        if again || late || kept_waiting || !expires || end == Timestamp::NEVER {
            return Ok(());
        }
        if now.millis() > end.millis() + MESSAGE_SLACK {
            let late = now.since(end).as_millis();
            return Err(format!("{message} was sent on wire {wire} {late} ms after it had expired"));
        }
        let (least, most) = (first.since(now).as_millis() as u64, end.since(now).as_millis() as u64);
        match publish.message_expiry_interval.map(u64::from) {
            Some(said) if said * 1000 > most + 1000 || (said + 1) * 1000 <= least => {
                Err(format!("{message} was sent with {said} s to live, and has {most} ms"))
            }
            _ => Ok(()),
        }
    }

    fn heard(&mut self, heard: &Heard, now: Timestamp, book: &Book) -> Result<(), String> {
        match heard.kind {
            Kind::SessionExpired => expired(heard, now, book),
            Kind::Connected => self.connected(heard, now, book),
            Kind::DeliveryDropped if heard.dropped == Some(DropReason::Expired) => {
                self.lives.dropped(heard, book)
            }
            _ => Ok(()),
        }
    }

    fn connected(&mut self, heard: &Heard, now: Timestamp, book: &Book) -> Result<(), String> {
        let Some(wire) = heard.wire else { return Ok(()) };
        let client = Book::client(&heard.client).unwrap_or(usize::MAX);
        self.before.insert(wire, book.sessions.get(&client).cloned());
        self.seated.insert(wire, now);
        // The book has the time of the event, not that of the CONNACK.
        self.welcomed(wire, heard.flag, now, book)
    }

    fn welcomed(&mut self, wire: usize, present: bool, now: Timestamp, book: &Book) -> Result<(), String> {
        let Some(before) = self.before.remove(&wire) else { return Ok(()) };
        let Some(seat) = book.seats.get(&wire) else { return Ok(()) };
        match (expected(before.as_ref(), &seat.connect, now, book), present) {
            (Some(true), false) => Err(format!("the session of client {} was gone too early", seat.client)),
            (Some(false), true) => Err(format!("client {} found a session that was over", seat.client)),
            _ => Ok(()),
        }
    }
}

/// The broker says that a session ended by its expiry: then its time was over.
fn expired(heard: &Heard, now: Timestamp, book: &Book) -> Result<(), String> {
    let session = Book::client(&heard.client).and_then(|client| book.sessions.get(&client));
    let Some(session) = session.filter(|session| session.sure) else { return Ok(()) };
    match session.ended {
        Some((first, _))
            if now + SESSION_SLACK < first + Duration::from_secs(session.outlives().0.into()) =>
        {
            Err(format!("the session of {} expired too early", heard.client))
        }
        Some(_) => Ok(()),
        None => Err(format!("the session of {} expired while the client was there", heard.client)),
    }
}

/// Whether a session has to be there; nothing if it may or may not.
fn expected(before: Option<&Session>, connect: &Connect, now: Timestamp, book: &Book) -> Option<bool> {
    if connect.clean_start {
        return Some(false);
    }
    let session = before?;
    if !session.sure {
        return None;
    }
    if session.version != connect.version && book.dialect().has(Divergence::CrossVersionNoResume) {
        return Some(false);
    }
    let Some((first, last)) = session.ended else { return Some(true) };
    let (least, most) = session.outlives();
    let lives = |seconds: u32| Duration::from_secs(seconds.into());
    if least == u32::MAX || now + SESSION_SLACK < first + lives(least) {
        return Some(true);
    }
    (most < u32::MAX && now > last + lives(most) + SESSION_SLACK).then_some(false)
}

impl Checker for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn see(&mut self, now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Took { wire, client, packet, sure } => match &**packet {
                Packet::Publish(publish) => self.took(publish, now, book),
                answer if *sure => self.lives.answered(*wire, *client, answer),
                _ => {}
            },
            Fact::Heard(heard) => return self.heard(heard, now, book),
            Fact::Died { .. } => self.lives.died(),
            Fact::Gave { wire, client, packet, late, .. } => match &**packet {
                Packet::Publish(publish) => return self.gave((*wire, *client), publish, now, *late, book),
                Packet::ConnAck(connack) if connack.code == ReasonCode::Success => {
                    let clean = book.seats.get(wire).is_some_and(|seat| seat.connect.clean_start);
                    if clean && connack.session_present {
                        return Err(format!("a clean start on wire {wire} found a session"));
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}
