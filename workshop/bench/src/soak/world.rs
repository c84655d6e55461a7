//! What the clients of a soak share: where the broker is, who sits on which credential, the clock, the course, the books.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Parser;
use fleet::cli::TargetArgs;
use fleet::{BenchError, Client, Fault, Schedule, Stay, Target, unique_run};
use tokio::sync::{Notify, watch};

use crate::broker::Running;
use crate::compare::tls_words;
use crate::prepared::Prepared;
use crate::soak::books::Books;

/// Of four clients so many come with mutual TLS, the rest over plain TCP.
const TLS_OF_FOUR: u32 = 3;
/// How long a client that lost its connection waits before it comes again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Messages flow and the churn goes on.
    Load,
    /// Nothing new begins: what is on its way may arrive.
    Quiet,
    /// Everybody goes.
    End,
}

/// Through which door a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Plain TCP.
    Plain,
    /// Mutual TLS with a certificate and a policy of the client's own.
    Tls,
}

impl Door {
    /// Of client `number` of its kind.
    pub const fn of(number: u32) -> Self {
        if number % 4 < TLS_OF_FOUR { Self::Tls } else { Self::Plain }
    }
}

/// Who a client is.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its door.
    pub door: Door,
    /// Its place among all of its door: which certificate it shows.
    at: usize,
    /// Its client id.
    pub name: String,
    /// What it does, for errors.
    pub role: &'static str,
}

/// Hands out seats, so that no two clients have one certificate or client id.
#[derive(Debug, Default)]
pub struct Seats {
    tls: usize,
    plain: usize,
}

impl Seats {
    /// The next seat for client `number` of this role.
    pub fn take(&mut self, world: &World, role: &'static str, number: u32) -> Seat {
        let door = Door::of(number);
        let next = match door {
            Door::Tls => &mut self.tls,
            Door::Plain => &mut self.plain,
        };
        let at = *next;
        *next += 1;
        let name = world.target(door).client_id(world.run, role, number, at);
        Seat { door, at, name, role }
    }

    /// Certificates that clients of these kinds need, each so many.
    pub fn certificates(kinds: &[u32]) -> u32 {
        kinds
            .iter()
            .map(|count| (0..*count).filter(|number| Door::of(*number) == Door::Tls).count() as u32)
            .sum()
    }
}

/// A device that does nothing: who has this certificate.
pub struct Device {
    at: usize,
    /// Its client id.
    pub name: String,
}

impl Device {
    /// With certificate `number`.
    pub fn of(world: &World, number: u32) -> Self {
        let at = number as usize;
        Self { at, name: world.target(Door::Tls).client_id(world.run, "idle", number, at) }
    }

    /// Connects, and holds no more memory than it must.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn open(&self, world: &World) -> Result<Client, Fault> {
        let mut client = Client::open(world.target(Door::Tls), self.at, &self.name).await?;
        client.rest();
        Ok(client)
    }
}

/// What everybody shares.
pub struct World {
    plain: Target,
    tls: Target,
    /// The run by number.
    pub run: u64,
    /// When the stamps' time began.
    pub origin: Instant,
    /// When each telemetry message is due.
    pub schedule: Schedule,
    /// Wakes the telemetry publishers.
    pub wakes: Box<[Notify]>,
    /// The books.
    pub books: Books,
    /// The number of the last connect storm.
    pub storms: watch::Sender<u64>,
    course: watch::Sender<Phase>,
    /// How many times as often as later storms and edits come, in thousandths.
    haste: AtomicU64,
}

/// The options of a target, as if they had been typed.
#[derive(Debug, Parser)]
struct Typed {
    #[command(flatten)]
    target: TargetArgs,
}

async fn target(words: &[String]) -> Result<Target, BenchError> {
    let typed = Typed::try_parse_from(std::iter::once("soak".to_owned()).chain(words.iter().cloned()));
    Target::resolve(&typed.map_err(|error| BenchError::Option(error.to_string()))?.target).await
}

impl World {
    /// Around a running broker, for so many telemetry publishers.
    ///
    /// # Errors
    /// The broker tells no port, or a credential is unusable.
    pub async fn new(
        running: &Running,
        prepared: &Prepared,
        publishers: u32,
    ) -> Result<Arc<Self>, BenchError> {
        let port = |name: &str| {
            let port = running.port_of(name).map(|port| vec!["--port".to_owned(), port.to_string()]);
            port.ok_or_else(|| BenchError::Option(format!("the broker tells no port {name}")))
        };
        let mut tls = port("mqtt")?;
        tls.extend(tls_words(prepared));
        Ok(Arc::new(Self {
            plain: target(&port("plain")?).await?,
            tls: target(&tls).await?,
            run: unique_run(),
            origin: Instant::now(),
            schedule: Schedule::new(0, publishers),
            wakes: (0..publishers).map(|_| Notify::new()).collect(),
            books: Books::default(),
            storms: watch::Sender::new(0),
            course: watch::Sender::new(Phase::Load),
            haste: AtomicU64::new(1_000),
        }))
    }

    /// What is behind a door.
    pub const fn target(&self, door: Door) -> &Target {
        match door {
            Door::Plain => &self.plain,
            Door::Tls => &self.tls,
        }
    }

    /// Connects who has this seat.
    ///
    /// # Errors
    /// As [`Client::open_session`].
    pub async fn open(&self, seat: &Seat, stay: Stay) -> Result<Client, Fault> {
        Client::open_session(self.target(seat.door), seat.at, &seat.name, stay).await
    }

    /// A topic of this run.
    pub fn topic(&self, role: &str, number: u32) -> String {
        format!("{}/{:016x}/{role}/{number}", self.plain.prefix, self.run)
    }

    /// Nanoseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How many times as often as later storms and edits come now.
    pub fn haste(&self) -> f64 {
        self.haste.load(Relaxed) as f64 / 1_000.0
    }

    /// From now on so many times as often.
    pub fn hasten(&self, times: f64) {
        self.haste.store((times * 1_000.0).max(1.0) as u64, Relaxed);
    }

    /// A connect storm begins.
    pub fn storm(&self) {
        self.storms.send_modify(|storm| *storm += 1);
    }

    /// Goes on to this phase.
    pub fn enter(&self, phase: Phase) {
        self.course.send_replace(phase);
    }

    /// Whether the run has come to this phase.
    pub fn at(&self, phase: Phase) -> bool {
        *self.course.borrow() >= phase
    }

    /// Waits until the run has come to this phase.
    pub async fn reached(&self, phase: Phase) {
        // The sender lives as long as this.
        let _ = self.course.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Lets time pass; false when the run came to this phase before it was over.
    pub async fn pause(&self, time: Duration, phase: Phase) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => !self.at(phase),
            () = self.reached(phase) => false,
        }
    }

    /// Does something again and again until the run has come to this phase, counts what goes wrong, and rests after
    /// that: a client that was thrown out comes back, so that the load goes on.
    pub async fn persist<F>(&self, seat: &Seat, until: Phase, mut once: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), Fault>>,
    {
        while !self.at(until) {
            if let Err(fault) = once().await {
                self.books.error(seat.role, fault.kind(), &format!("{}: {fault}", seat.name));
                self.pause(PAUSE, until).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_four_come_with_tls() {
        let doors: Vec<Door> = (0..8).map(Door::of).collect();
        assert_eq!(doors.iter().filter(|door| **door == Door::Tls).count(), 6);
        assert_eq!(Seats::certificates(&[4, 5, 1]), 3 + 4 + 1);
    }
}
