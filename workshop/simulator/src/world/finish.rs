//! The end of a world: everything works again, everybody comes home and takes what is waiting; then everybody leaves for
//! good.

use std::time::Duration;

use broker::Footprint;
use models::fact::Fact;
use mqtt::ReasonCode;
use store::{Space, Store, block_on};

use super::World;
use super::speech::Manner;
use crate::disk::Mood;
use crate::rng::Rng;
use crate::settings::CLIENTS;
use crate::wire::Mode;

/// How long a world may take to hand over what waits. Stored messages come ten in a second.
const LONGEST: u64 = 600;
/// Seconds without anybody who waits after which nothing is under way any more.
const QUIET: u64 = 5;
/// No session lasts longer in a world, unless it lasts for ever.
const LONGEST_SESSION: Duration = Duration::from_secs(3600);
/// The spaces of which nothing may be left.
const SPACES: [Space; 2] = [Space::new("sessions"), Space::new("wills")];

impl World {
    pub(super) fn finish(&mut self) {
        self.rng = Rng::new(self.seed ^ 0x0065_6e64);
        self.fuse = None;
        self.disk.set_mood(Mood::default());
        self.pass(Duration::from_secs(2));
        if self.rng.chance(60) {
            // What was promised so far has to be on the disk.
            let graceful = self.rng.chance(30);
            self.restart(graceful);
        }
        self.make_peace();
        self.pass(Duration::from_secs(5));
        self.bring_home();
        self.wait_until_all_is_there();
        for topic in ["r/0", "r/1", "r/2"] {
            self.probe(topic);
        }
        let clients = if self.settings.asks_for_more { CLIENTS } else { 0 };
        for client in 0..clients {
            self.probe(&format!("w/c{client}"));
        }
        if self.failure.is_none() {
            self.report(&Fact::Drained);
        }
        self.leave();
        self.close_the_books();
    }

    /// Everybody who has a session comes back to it.
    fn bring_home(&mut self) {
        self.wires
            .iter_mut()
            .filter(|wire| wire.mode != Mode::HalfOpen)
            .for_each(|wire| wire.set_mode(Mode::Free));
        for number in 0..CLIENTS {
            let lasting = self.book.sessions.get(&number).filter(|session| session.expiry > 0);
            if lasting.is_some() && self.book.online(number).is_none() {
                self.connect(number, Manner::home());
            }
        }
        self.clients.iter_mut().for_each(|client| client.is_lazy = false);
        self.pass(Duration::from_secs(2));
    }

    fn wait_until_all_is_there(&mut self) {
        let mut quiet = 0;
        for _ in 0..LONGEST {
            (0..=CLIENTS).for_each(|number| self.acknowledge_all(number));
            self.pass(Duration::from_secs(1));
            let due = self.someone_is_due();
            let book = &self.book;
            let waits = self.checkers.iter().any(|checker| checker.waits_for(book).is_some());
            quiet = if waits || due { 0 } else { quiet + 1 };
            // Whatever comes late comes in these seconds, and may make others wait again.
            if self.failure.is_some() || quiet > QUIET {
                break;
            }
        }
    }

    /// Somebody who has a session is not there: a stored connection may have failed or been turned away.
    fn someone_is_due(&mut self) -> bool {
        let mut any = false;
        for number in 0..CLIENTS {
            let lasting = self.book.sessions.get(&number).is_some_and(|session| session.expiry > 0);
            if lasting && self.book.online(number).is_none() {
                any = true;
                let idle = self.clients.get(number).is_some_and(|client| client.wire.is_none());
                if idle {
                    self.connect(number, Manner::home());
                }
            }
        }
        any
    }

    fn acknowledge_all(&mut self, number: usize) {
        let owed =
            self.clients.get_mut(number).map(|client| std::mem::take(&mut client.owed)).unwrap_or_default();
        owed.iter().for_each(|packet| self.send(number, packet));
    }

    /// Everybody begins a session that ends with the connection, and leaves.
    fn leave(&mut self) {
        for number in 0..CLIENTS {
            self.connect(number, Manner::leaving());
        }
        self.pass(Duration::from_secs(3));
        // Whom a rate of the account turned away tries again.
        for _ in 0..CLIENTS {
            let away = |client: &&crate::client::Client| client.wire.is_none();
            let away: Vec<usize> =
                self.clients.iter().take(CLIENTS).filter(away).map(|client| client.number).collect();
            away.into_iter().for_each(|number| self.connect(number, Manner::leaving()));
            self.pass(Duration::from_secs(1));
        }
        for number in 0..CLIENTS {
            self.goodbye(number, ReasonCode::Success);
        }
        self.pass(Duration::from_secs(5));
        // Group queues are looked through once a minute.
        self.pass(Duration::from_secs(70));
    }

    fn close_the_books(&mut self) {
        let now = self.now();
        let Some(house) = &self.house else { return };
        if let Err(what) = house.bill.compare(now) {
            return self.fail("bill", what);
        }
        let (connections, jobs) = (house.broker.connections(), house.broker.waiting_writes().0);
        let records = self.disk.records();
        let count =
            |space: &Space| block_on(records.scan(*space, &[], None, 1000)).map_or(0, |page| page.len());
        let records = SPACES.iter().map(count).sum();
        let (messages, shared) = self.disk.waiting();
        let footprint = house.broker.footprint();
        let moments = self.moments_left();
        if self.failure.is_none() {
            let footprint = Footprint { moments, ..footprint };
            self.report(&Fact::Emptied { connections, jobs, messages, shared, records, footprint });
        }
    }

    /// Moments in which somebody is to be looked at although none is left for whom there could be one. Nobody lived through
    /// this hour.
    fn moments_left(&mut self) -> usize {
        self.clock.skip(LONGEST_SESSION);
        self.pass(Duration::from_secs(2));
        self.house.as_ref().map_or(0, |house| house.broker.footprint().moments)
    }
}
