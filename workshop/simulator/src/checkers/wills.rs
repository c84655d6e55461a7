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

/// A will that is to come.
#[derive(Clone, Copy, Debug)]
struct Due {
    client: usize,
    /// By the time of whoever sends it. It comes sooner only if its session is thrown away.
    from: Timestamp,
    until: Timestamp,
    /// It has to come; else it may.
    must: bool,
}

/// By wire.
#[derive(Default)]
pub(super) struct Wills {
    due: BTreeMap<usize, Due>,
    /// Ended, and the disk may still hold their wills.
    lingering: BTreeSet<usize>,
    running: bool,
}

impl Wills {
    fn ended(&mut self, heard: &Heard, now: Timestamp, book: &Book) {
        let Some((wire, seat)) = heard.wire.and_then(|wire| Some((wire, book.seats.get(&wire)?))) else {
            return;
        };
        self.lingering.insert(wire);
        let Some(will) = &seat.connect.will else { return };
        let own = heard.reason == Some(DisconnectReason::ClientInitiatedDisconnect);
        let said_goodbye = own && seat.goodbye.is_some();
        if said_goodbye && seat.goodbye != Some(ReasonCode::DisconnectWithWill) {
            return;
        }
        let taken_over = heard.reason == Some(DisconnectReason::DuplicateClientId);
        let at_once = taken_over && book.dialect().has(Divergence::TakeoverWill);
        let delay = if at_once { 0 } else { delay(&seat.connect, will.delay_interval, book) };
        let (least, most) = book.sessions.get(&seat.client).map_or((0, 0), Session::outlives);
        // [MQTT-3.1.3-9] the session's end or the delay's, whichever is first.
        let wait = |session: u32| Duration::from_secs(delay.min(session).into());
        let (from, until) = (heard.at + wait(least), now + wait(most));
        self.due.insert(wire, Due { client: seat.client, from, until, must: true });
    }

    fn published(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        let Some(wire) = heard.wire else { return Ok(()) };
        // Its record leaves the disk after it is where it has to be: a start that fails in between brings it again.
        self.lingering.insert(wire);
        match self.due.remove(&wire) {
            Some(due) if heard.at >= due.from || is_thrown_away(due.client, book) => Ok(()),
            Some(due) => {
                let early = due.from.since(heard.at).as_millis();
                Err(format!("the will of {} on wire {wire} came {early} ms before its time", heard.client))
            }
            None if heard.kind == Kind::WillRefused => Ok(()),
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
            due.must &= !heard.flag;
            due.until = now;
        }
    }

    /// Whoever was connected is lost, and its will is due when the process starts again.
    fn died(&mut self, graceful: bool, book: &Book) {
        self.running = false;
        for (wire, seat) in book.seats.iter().filter(|(_, seat)| seat.accepted) {
            let lingers = self.lingering.contains(wire) || self.due.contains_key(wire);
            if seat.connect.will.is_none() || (seat.ended && !lingers) {
                continue;
            }
            let must = !graceful && is_certain(seat) && !lingers;
            // At once, and the next process may have its clock set back.
            let from = Timestamp::default();
            self.due.insert(*wire, Due { client: seat.client, from, until: Timestamp::NEVER, must });
        }
        self.lingering.clear();
    }

    fn overdue(&mut self, now: Timestamp) -> Result<(), String> {
        if !self.running {
            return Ok(());
        }
        let late = self.due.iter().find(|(_, due)| due.must && due.until + SLACK < now);
        if let Some((wire, due)) = late {
            return Err(format!("the will of client {} on wire {wire} never came", due.client));
        }
        self.due.retain(|_, due| due.until + SLACK >= now);
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
                Kind::Disconnected => self.ended(heard, now, book),
                Kind::WillPublished | Kind::WillRefused => return self.published(heard, book),
                Kind::Connected => self.came_back(heard, now),
                _ => {}
            },
            Fact::Died { graceful } => self.died(*graceful, book),
            Fact::Started { .. } => {
                self.running = true;
                for due in self.due.values_mut().filter(|due| due.until == Timestamp::NEVER) {
                    due.until = now;
                }
            }
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
