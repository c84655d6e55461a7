//! A will is published where the table says, and nowhere else: whenever a connection ends without the client's own
//! goodbye, or with a goodbye that asks for it; not before its delay is over, unless its session is; and not when the
//! session comes back before that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dialect::{DisconnectReason, Divergence};
use events::Kind;
use identity::Timestamp;
use mqtt::{Connect, ReasonCode};

use super::Checker;
use crate::book::{Book, Seat, Session};
use crate::fact::Fact;
use crate::heard::Heard;

/// How late a will may be.
const SLACK: Duration = Duration::from_secs(3);

/// Longer than any world.
const LONG: Duration = Duration::from_secs(1 << 30);

/// A will that is to come.
#[derive(Clone, Copy, Debug)]
struct Due {
    client: usize,
    /// By the time of whoever sends it. It comes sooner only if its session is thrown away.
    from: Timestamp,
    until: Timestamp,
    /// It has to come; else it may.
    must: bool,
    /// The process died, and the next one does not run yet: how long it waits from then on, at the least and at the most.
    waits: Option<(Duration, Duration)>,
    /// A CONNECT has resumed its session on this wire and may still be refused: then it waits until then, as before.
    held: Option<(usize, Timestamp)>,
}

impl Due {
    fn may_come(&self, at: Timestamp) -> bool {
        at >= self.from || self.waits.is_some_and(|(least, _)| least.is_zero())
    }
}

/// By wire.
#[derive(Default)]
pub(super) struct Wills {
    due: BTreeMap<usize, Due>,
    /// Accepted, by whatever process.
    seated: BTreeSet<usize>,
    /// Ended, and the disk may still hold their wills.
    lingering: BTreeSet<usize>,
    /// Their CONNECT was refused because of the disk, which may have their wills all the same.
    refused: BTreeSet<usize>,
    /// The same, by a process before this one.
    doubtful: BTreeSet<usize>,
    running: bool,
}

impl Wills {
    fn ended(&mut self, heard: &Heard, now: Timestamp, book: &Book) {
        let Some((wire, seat)) = heard.wire.and_then(|wire| Some((wire, book.seats.get(&wire)?))) else {
            return;
        };
        self.lingering.insert(wire);
        // Who is gone before it was accepted has no will.
        let Some(will) = seat.connect.will.as_ref().filter(|_| self.seated.contains(&wire)) else { return };
        let own = heard.reason == Some(DisconnectReason::ClientInitiatedDisconnect);
        let said_goodbye = own && seat.goodbye.is_some();
        if said_goodbye && seat.goodbye != Some(ReasonCode::DisconnectWithWill) {
            return;
        }
        let taken_over = heard.reason == Some(DisconnectReason::DuplicateClientId);
        let at_once = taken_over && book.dialect().has(Divergence::TakeoverWill);
        let delay = if at_once { 0 } else { delay(&seat.connect, will.delay_interval, book) };
        let session = book.sessions.get(&seat.client);
        let (least, most) = wait(delay, session.map_or((0, 0), Session::outlives));
        let (from, until) = (heard.at + least, now + most);
        let client = seat.client;
        self.due.insert(wire, Due { client, from, until, must: true, waits: None, held: None });
    }

    fn published(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        let Some(wire) = heard.wire else { return Ok(()) };
        // Its record leaves the disk after it is where it has to be: a start that fails in between brings it again.
        self.lingering.insert(wire);
        match self.due.remove(&wire) {
            Some(due) if due.may_come(heard.at) || is_thrown_away(due.client, book) => Ok(()),
            Some(due) => {
                let early = due.from.since(heard.at).as_millis();
                Err(format!("the will of {} on wire {wire} came {early} ms before its time", heard.client))
            }
            None if heard.kind == Kind::WillRefused || self.doubtful.contains(&wire) => Ok(()),
            None => {
                let goodbye = book.seats.get(&wire).and_then(|seat| seat.goodbye);
                Err(format!(
                    "the will of {} on wire {wire} came without a reason (goodbye: {goodbye:?})",
                    heard.client
                ))
            }
        }
    }

    /// The client is back: a will that waits for its delay is dropped if the session goes on, and has gone out if not.
    fn came_back(&mut self, heard: &Heard, now: Timestamp) {
        let Some(client) = Book::client(&heard.client) else { return };
        for due in self.due.values_mut().filter(|due| due.client == client && due.until > now) {
            due.held = heard.wire.map(|wire| (wire, due.until));
            due.must &= !heard.flag;
            due.until = now;
        }
    }

    /// It is known whether the client is back. If not, a will whose time has come meanwhile goes out when somebody looks.
    fn decided(&mut self, wire: usize, is_back: bool, now: Timestamp) {
        for due in self.due.values_mut().filter(|due| due.held.is_some_and(|(by, _)| by == wire)) {
            let held = due.held.take().filter(|_| !is_back);
            due.until = held.map_or(due.until, |(_, until)| until.max(now + SLACK));
        }
    }

    /// Whoever was connected is lost, and its will is due when the process starts again, or waits for its delay then.
    fn died(&mut self, graceful: bool, book: &Book) {
        self.running = false;
        self.doubtful.append(&mut self.refused);
        for (wire, seat) in book.seats.iter().filter(|(_, seat)| seat.accepted) {
            let (lingers, waiting) = (self.lingering.contains(wire), self.due.get(wire).copied());
            let Some(will) = &seat.connect.will else { continue };
            if seat.ended && !lingers && waiting.is_none() {
                continue;
            }
            let asked = delay(&seat.connect, will.delay_interval, book);
            // A session that is not there after the start keeps no will waiting.
            let session = book.sessions.get(&seat.client);
            let (least, most) = session.map_or((0, 0), Session::outlives);
            let least = if session.is_some_and(|session| session.sure) { least } else { 0 };
            // What lingers may be back with its session, which nobody knows any more.
            let may_only = lingers || waiting.is_some_and(|due| !due.must);
            let waits = if may_only { (Duration::ZERO, LONG) } else { wait(asked, (least, most)) };
            let until = Timestamp::NEVER;
            let due = match waiting.filter(|_| !lingers) {
                Some(due) => Due { until, waits: due.waits.or(Some(waits)), ..due },
                None => {
                    let must = !graceful && is_certain(seat) && !lingers;
                    let from = if lingers { Timestamp::default() } else { Timestamp::NEVER };
                    Due { client: seat.client, from, until, must, waits: Some(waits), held: None }
                }
            };
            self.due.insert(*wire, due);
        }
        self.lingering.clear();
    }

    /// Those that wait go on to, by the clock of the process that runs now, which may be behind that of the one before.
    fn started(&mut self, since: Timestamp, now: Timestamp) {
        self.running = true;
        for due in self.due.values_mut() {
            if let Some((least, most)) = due.waits.take() {
                (due.from, due.until) = (due.from.min(since + least), now + most);
            }
        }
    }

    fn overdue(&mut self, now: Timestamp) -> Result<(), String> {
        if !self.running {
            return Ok(());
        }
        let late = self.due.iter().find(|(_, due)| due.must && due.until + SLACK < now);
        if let Some((wire, due)) = late {
            return Err(format!("the will of client {} on wire {wire} never came", due.client));
        }
        self.due.retain(|_, due| due.until + SLACK >= now || due.held.is_some());
        Ok(())
    }
}

/// Somebody is about to begin anew: what the client's session kept waiting goes out before that is told.
fn is_thrown_away(client: usize, book: &Book) -> bool {
    let crosses = book.dialect().has(Divergence::CrossVersionNoResume);
    let before = book.sessions.get(&client).map(|session| session.version);
    let anew = |seat: &Seat| {
        seat.connect.clean_start || crosses && before.is_some_and(|version| version != seat.connect.version)
    };
    book.seats.values().any(|seat| seat.client == client && !seat.accepted && !seat.ended && anew(seat))
}

/// Its will was on the disk when the process died: the client had been welcomed, and was there.
fn is_certain(seat: &Seat) -> bool {
    seat.welcomed && !seat.ended && seat.goodbye.is_none()
}

/// [MQTT-3.1.3-9] The delay's end or the session's, whichever is first: at the least and at the most.
fn wait(delay: u32, (least, most): (u32, u32)) -> (Duration, Duration) {
    let wait = |session: u32| Duration::from_secs(delay.min(session).into());
    (wait(least), wait(most))
}

fn delay(connect: &Connect, asked: Option<u32>, book: &Book) -> u32 {
    let ignored = book.dialect().has(Divergence::WillDelayIgnored);
    if ignored || !connect.version.is_v5() { 0 } else { asked.unwrap_or(0) }
}

impl Checker for Wills {
    fn name(&self) -> &'static str {
        "wills"
    }

    fn see(&mut self, now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Heard(heard) => match heard.kind {
                Kind::Disconnected => {
                    heard.wire.into_iter().for_each(|wire| self.decided(wire, false, now));
                    self.ended(heard, now, book);
                }
                Kind::WillPublished | Kind::WillRefused => return self.published(heard, book),
                Kind::Connected => self.came_back(heard, now),
                _ => {}
            },
            Fact::Seated { wire } => {
                self.seated.insert(*wire);
                self.decided(*wire, true, now);
            }
            Fact::Refused { wire } => {
                self.decided(*wire, false, now);
                self.due.remove(wire);
                self.refused.insert(*wire);
            }
            Fact::Died { graceful } => self.died(*graceful, book),
            Fact::Started { since } => self.started(*since, now),
            Fact::Idle => {
                self.running = true;
                self.lingering.clear();
                return self.overdue(now);
            }
            Fact::Drained => return self.overdue(now),
            _ => {}
        }
        Ok(())
    }
}
