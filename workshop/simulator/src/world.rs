//! A world: one machine with its disk and process, its clients and links, in one thread and virtual time. It carries out
//! a trace step by step, tells the checkers everything, and at the end brings everybody home to see whether all is there.

mod death;
mod deeds;
mod extras;
mod finish;
mod law;
mod noted;
mod speech;

use std::sync::Arc;
use std::time::Duration;

use identity::Timestamp;
use models::book::Book;
use models::checkers::{self, Checker};
use models::fact::Fact;
use models::heard::Ears;
use models::marks::{Mark, Marks};
use models::rules::Rules;
use mqtt::{Packet, Version};
use registry::CERTIFICATES;
use registry::attachments::TARGET_POLICIES;
use registry::policies::POLICIES;
use services::ApiError;

use crate::action::Action;
use crate::client::{Client, Reaction};
use crate::clock::Clock;
use crate::disk::{Disk, Mood};
use crate::flaw::Flaw;
use crate::house::{self, House, Plan, Unstarted};
use crate::rng::Rng;
use crate::run::Case;
use crate::settings::{CLIENTS, Settings};
use crate::tasks::Task;
use crate::wire::{Scene, Wire};

/// Turns after which a world that does not come to rest has gone wrong.
const MOST_TURNS: usize = 200_000;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which checker saw it.
    pub checker: &'static str,
    /// What.
    pub what: String,
    /// In which step; the last one and more is the end.
    pub step: usize,
}

/// Somebody who is told every fact.
type Listener = Box<dyn FnMut(Timestamp, &Fact)>;

/// A world.
pub struct World {
    settings: Settings,
    clock: Clock,
    rng: Rng,
    disk: Disk,
    house: Option<House>,
    ears: Arc<Ears>,
    clients: Vec<Client>,
    wires: Vec<Wire>,
    operations: Vec<Task<Result<(), ApiError>>>,
    book: Book,
    checkers: Vec<Box<dyn Checker>>,
    /// What happened at least once.
    pub marks: Marks,
    failure: Option<Failure>,
    step: usize,
    messages: u64,
    /// Packets that clients wrote.
    written: u64,
    next_wire: usize,
    /// When the process started.
    started: Timestamp,
    seed: u64,
    processes: u64,
    told: Option<Listener>,
    pings: Vec<Timestamp>,
    /// Moves after which the process dies.
    fuse: Option<u64>,
}

impl World {
    /// A world at its beginning: certificates and policies are there, and the process runs.
    pub fn new(case: &Case) -> Self {
        let (seed, flaw) = (case.seed, case.flaw);
        session::mutation::set(Flaw::inside(flaw));
        let settings = Settings::of(case);
        let (clock, marks) = (Clock::default(), Marks::default());
        let disk = Disk::new(clock.clone(), marks.clone(), Flaw::of_disk(flaw));
        let clients = (0..=CLIENTS).map(Client::new).collect();
        let mut world = Self {
            book: Book::new(settings.dialect.clone()),
            settings,
            clock,
            rng: Rng::new(seed),
            disk,
            house: None,
            ears: Ears::new(),
            clients,
            wires: Vec::new(),
            operations: Vec::new(),
            checkers: checkers::all(&marks),
            marks,
            failure: None,
            step: 0,
            messages: 0,
            written: 0,
            next_wire: 0,
            started: Timestamp::default(),
            seed,
            processes: 0,
            told: None,
            pings: vec![Timestamp::NEVER; CLIENTS + 1],
            fuse: None,
        };
        (0..=CLIENTS).for_each(|client| house::register(&world.disk, client));
        world.start();
        world.lay_down_the_law();
        world
    }

    /// From now on somebody is told every fact.
    pub fn tell(&mut self, listener: impl FnMut(Timestamp, &Fact) + 'static) {
        self.told = Some(Box::new(listener));
    }

    /// Carries out a trace and brings the world to its end. The promise that was broken, if one was.
    pub fn run(&mut self, trace: &[Action]) -> Option<Failure> {
        for action in trace {
            if self.failure.is_some() {
                break;
            }
            self.step = action.number;
            self.rng = Rng::new(action.entropy);
            self.disk.reseed(action.entropy ^ 0x6469_736b);
            self.light_the_fuse(action.entropy);
            self.act(action.deed);
            let pause = if self.rng.chance(30) { 0 } else { self.rng.below(60) };
            self.pass(Duration::from_millis(pause));
        }
        if self.failure.is_none() {
            self.step = trace.last().map_or(0, |last| last.number + 1);
            self.finish();
        }
        session::mutation::set(None);
        self.failure.clone()
    }

    /// How much time went by in it.
    pub fn lived(&self) -> Duration {
        self.clock.lived()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn fail(&mut self, checker: &'static str, what: String) {
        let step = self.step;
        self.failure.get_or_insert(Failure { checker, what, step });
    }

    /// Everybody is told a fact.
    fn report(&mut self, fact: &Fact) {
        let now = self.now();
        self.mark(fact);
        if let Some(told) = &mut self.told {
            told(now, fact);
        }
        for checker in &mut self.checkers {
            if let Err(what) = checker.see(now, fact, &self.book)
                && self.failure.is_none()
            {
                self.failure = Some(Failure { checker: checker.name(), what, step: self.step });
            }
        }
        self.book.note(now, fact);
    }

    /// What was heard, and what the registry says now.
    fn listen(&mut self) {
        for heard in self.ears.take() {
            self.report(&Fact::Heard(heard));
        }
        let touched = self.disk.take_touched();
        let law = [POLICIES.space(), TARGET_POLICIES.space(), CERTIFICATES.space()];
        if touched.iter().any(|space| law.contains(space)) {
            let rules = Rules::read(&self.disk.records(), CLIENTS + 1);
            self.report(&Fact::Ruled(Arc::new(rules)));
        }
    }

    /// Starts a process; a disk that does not answer is tried again.
    fn start(&mut self) {
        let flaw = self.settings.flaw;
        let plan = Plan {
            dialect: self.settings.dialect.clone(),
            durability: self.settings.durability,
            miscounts: flaw == Some(Flaw::Miscounts),
            dies_after: None,
        };
        for attempt in 0..100 {
            // A broken disk is replaced at some time.
            if attempt == 10 {
                self.disk.set_mood(Mood::default());
            }
            self.ears = Ears::new();
            // A change that was on its way to the disk when the process before died is law for this one.
            self.listen();
            self.processes += 1;
            self.started = self.now();
            let seed = self.seed.wrapping_mul(1000).wrapping_add(self.processes);
            let plan = Plan { dies_after: self.dies_in_start(seed), ..plan.clone() };
            let started = House::start(&plan, &self.disk, &self.clock, &self.ears, seed);
            self.listen();
            match started {
                Ok(house) => {
                    self.house = Some(house);
                    return self.report(&Fact::Started { since: self.started });
                }
                Err(Unstarted::Failed) => self.marks.hit(Mark::RecoveryFailed),
                Err(Unstarted::Died) => self.marks.hit(Mark::DiedInStart),
            }
            // What the start did before it failed is done; the next one goes on from there.
            self.report(&Fact::Died { graceful: true });
            self.disk.crash();
            self.clock.pass(Duration::from_secs(1));
        }
        self.fail("start", "the process does not start".to_owned());
    }

    /// Lets time pass, and everything happen that is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now() + time;
        while self.failure.is_none() {
            let process = self.processes;
            self.churn();
            if self.processes != process {
                // It died. The clock of the next one may be behind, and has not that far to go.
                return;
            }
            let next = self.next_moment();
            if next > until {
                break;
            }
            self.clock.move_to(next.max(Timestamp(self.now().millis() + 1)));
        }
        self.clock.move_to(until);
    }

    fn next_moment(&self) -> Timestamp {
        let house = self.house.as_ref().map_or(Timestamp::NEVER, |house| house.tick);
        let wires = self.wires.iter().map(|wire| wire.next(self.now())).min().unwrap_or(Timestamp::NEVER);
        let pings = self.pings.iter().copied().min().unwrap_or(Timestamp::NEVER);
        house.min(wires).min(pings).min(self.disk.next())
    }

    /// Does everything that can be done without time passing.
    fn churn(&mut self) {
        for turn in 0.. {
            let mut moved = self.disk.turn();
            self.listen();
            self.burns(moved);
            let now = self.now();
            if let Some(house) = &mut self.house {
                let turned = house.turn(now);
                if house.is_broken {
                    self.fail("process", "a loop of the broker ended".to_owned());
                }
                moved |= turned;
                self.listen();
                self.burns(turned);
            }
            let went_on = self.go_on_with_operations();
            moved |= went_on | self.burns(went_on);
            moved |= self.move_wires();
            moved |= self.ping();
            if self.failure.is_some() {
                return;
            }
            if !moved {
                break;
            }
            if turn > MOST_TURNS {
                return self.fail("rest", "the world does not come to rest".to_owned());
            }
        }
        self.note_idleness();
    }

    fn note_idleness(&mut self) {
        let idle = self.disk.is_idle() && self.house.as_ref().is_some_and(House::is_idle);
        if idle && self.operations.is_empty() && !self.wires.iter().any(Wire::is_connecting) {
            let held: Vec<_> =
                self.wires.iter().filter(|wire| wire.is_held()).map(|wire| wire.number).collect();
            if !held.is_empty() {
                self.report(&Fact::Held { wires: held });
            }
            self.report(&Fact::Idle);
        }
    }

    fn go_on_with_operations(&mut self) -> bool {
        let mut moved = false;
        let mut rest = Vec::new();
        for mut operation in std::mem::take(&mut self.operations) {
            moved |= operation.is_woken();
            match operation.turn() {
                None => rest.push(operation),
                Some(Ok(())) => {}
                Some(Err(_)) => self.marks.hit(Mark::ServiceFailed),
            }
        }
        self.operations.extend(rest);
        self.listen();
        moved
    }

    fn move_wires(&mut self) -> bool {
        let mut moved = false;
        let count = self.wires.len();
        let first = self.rng.place(count.max(1));
        for at in (0..count).map(|at| (first + at) % count.max(1)) {
            let one = self.move_wire(at);
            moved |= one;
            if self.burns(one) {
                break;
            }
        }
        let gone = |wire: &Wire| wire.is_over() && wire.is_drained();
        let lost: Vec<_> = self.wires.iter().filter(|wire| gone(wire)).map(|wire| wire.number).collect();
        for number in lost {
            self.clients.iter_mut().filter(|client| client.wire == Some(number)).for_each(Client::lost);
            self.wires.retain(|wire| wire.number != number);
        }
        moved
    }

    fn move_wire(&mut self, at: usize) -> bool {
        let now = self.now();
        let (Some(wire), Some(house)) = (self.wires.get_mut(at), &self.house) else { return false };
        let (mut facts, mut packets) = (Vec::new(), Vec::new());
        let mut scene = Scene {
            now,
            clock: &self.clock,
            broker: &house.broker,
            rng: &mut self.rng,
            facts: &mut facts,
            ears: &self.ears,
            marks: &self.marks,
        };
        let mut moved = wire.turn(&mut scene);
        while let Some(packet) = wire.hear(&mut scene) {
            packets.push(packet);
        }
        let (number, client, read) = (wire.number, wire.client, wire.take_read());
        let earlier = |unread: u64| read.is_some_and(|read| unread < read);
        if self.wires.iter().filter_map(Wire::first_unread).any(earlier) {
            self.marks.hit(Mark::LinkOvertaken);
        }
        facts.iter().for_each(|fact| self.report(fact));
        self.listen();
        moved |= !packets.is_empty();
        for packet in packets {
            self.client_hears(client, number, packet);
        }
        moved
    }

    fn client_hears(&mut self, number: usize, wire: usize, packet: Packet) {
        let lazy = self.rng.chance(60);
        let Some(client) = self.clients.get_mut(number).filter(|client| client.wire == Some(wire)) else {
            return;
        };
        let keeps_back = client.is_lazy && lazy;
        let Reaction { answers, message } = client.take(packet, keeps_back);
        if let Some(publish) = message {
            self.report(&Fact::Seen { client: number, publish: Arc::new(publish) });
        }
        for answer in answers {
            self.send(number, &answer);
        }
    }

    /// A client sends a packet on its wire.
    fn send(&mut self, number: usize, packet: &Packet) {
        let now = self.now();
        let Some(client) = self.clients.get(number) else { return };
        let version: Version = client.version;
        if let Some(wire) = self.wires.iter_mut().find(|wire| Some(wire.number) == client.wire) {
            self.written += 1;
            let noted =
                self.settings.carries_more.then(|| extras::with_a_note(packet, version, self.written));
            wire.write(noted.flatten().as_ref().unwrap_or(packet), version, self.written);
        }
        if let Some(ping) = self.pings.get_mut(number) {
            *ping = Timestamp(now.millis() + 20_000);
        }
    }

    /// Clients keep their connections alive.
    fn ping(&mut self) -> bool {
        let now = self.now();
        let mut moved = false;
        for number in 0..self.clients.len() {
            if self.pings.get(number).is_none_or(|due| *due > now) {
                continue;
            }
            moved = true;
            if let Some(ping) = self.pings.get_mut(number) {
                *ping = Timestamp::NEVER;
            }
            if self.clients.get(number).is_some_and(|client| client.is_connected) {
                self.send(number, &Packet::PingReq);
            }
        }
        moved
    }
}
