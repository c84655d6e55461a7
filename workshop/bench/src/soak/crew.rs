//! Everybody who takes part: who sits where, getting ready, and going.

use std::sync::Arc;
use std::time::Duration;

use fleet::{BenchError, gather};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::soak::churn::{away, retained, storm, subscriptions};
use crate::soak::telemetry::{Publisher, Subscriber};
use crate::soak::world::{Phase, Seat, Seats, World};

/// How long everybody may take to go.
const FAREWELL: Duration = Duration::from_secs(45);

/// How many of each kind.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Publishers and subscribers of telemetry, one to one.
    pub pairs: u32,
    /// Devices that leave and come back at once.
    pub storm: u32,
    /// Devices with sessions that last, each with a publisher.
    pub away: u32,
    /// Clients that change their subscriptions.
    pub changing: u32,
    /// New subscribers that look at retained messages.
    pub readers: u32,
}

impl Sizes {
    /// Telemetry only.
    pub const fn telemetry(pairs: u32) -> Self {
        Self { pairs, storm: 0, away: 0, changing: 0, readers: 0 }
    }

    /// Certificates that they need.
    pub fn certificates(&self) -> u32 {
        let writers = u32::from(self.readers > 0);
        Seats::certificates(&[
            self.pairs,
            self.pairs,
            self.storm,
            self.away,
            self.away,
            self.changing,
            self.readers,
            writers,
        ])
    }

    /// Connections at once, at most.
    pub const fn connections(&self) -> u32 {
        2 * self.pairs + self.storm + 2 * self.away + self.changing + self.readers + 1
    }
}

/// All clients of a run.
pub struct Crew {
    world: Arc<World>,
    clients: JoinSet<()>,
    /// Things whose policies may be edited: those of the telemetry.
    pub devices: Vec<String>,
    seats: Seats,
}

impl Crew {
    /// Connects the telemetry; the clock stands still until somebody gives it a pace.
    ///
    /// # Errors
    /// A client could not get ready.
    pub async fn telemetry(world: &Arc<World>, pairs: u32) -> Result<Self, BenchError> {
        fleet::descriptors(u64::from(2 * pairs))?;
        let mut crew = Self {
            world: Arc::clone(world),
            clients: JoinSet::new(),
            devices: Vec::new(),
            seats: Seats::default(),
        };
        let mut listening = Vec::new();
        for number in 0..pairs {
            listening.push(crew.seat("subscriber", number));
        }
        let seats = Arc::new(listening);
        let opened = gather(pairs, |number| {
            let (world, seats) = (Arc::clone(world), Arc::clone(&seats));
            async move {
                let seat = seats.get(number as usize).cloned();
                let seat = seat.ok_or_else(|| BenchError::Option("a client without a seat".into()))?;
                let subscriber = Subscriber::new(&world, number);
                match subscriber.open(&seat).await {
                    Ok(client) => Ok((subscriber, client, seat)),
                    Err(fault) => Err(BenchError::NotReady(seat.name, fault)),
                }
            }
        });
        for (subscriber, client, seat) in opened.await? {
            crew.clients.spawn(subscriber.run(client, seat));
        }
        for number in 0..pairs {
            let seat = crew.seat("publisher", number);
            let publisher = Publisher::new(world, &seat, number)
                .map_err(|fault| BenchError::NotReady(seat.name.clone(), fault))?;
            crew.clients.spawn(publisher.run(seat));
        }
        crew.clock();
        Ok(crew)
    }

    fn seat(&mut self, role: &'static str, number: u32) -> Seat {
        let seat = self.seats.take(&self.world, role, number);
        let edited = role == "publisher" || role == "subscriber";
        if edited && seat.door == crate::soak::world::Door::Tls {
            self.devices.push(seat.name.clone());
        }
        seat
    }

    /// The clock of the telemetry, on a thread of its own.
    fn clock(&self) {
        let world = Arc::clone(&self.world);
        std::thread::spawn(move || {
            let wake = |publisher: u32| {
                if let Some(wake) = world.wakes.get(publisher as usize) {
                    wake.notify_one();
                }
            };
            world.schedule.run(world.origin, || world.at(Phase::End), wake);
        });
    }

    /// The churn begins: all kinds but the policies, which have a thread of their own.
    pub fn churn(&mut self, sizes: &Sizes) {
        for number in 0..sizes.storm {
            let seat = self.seat("storm", number);
            self.clients.spawn(storm::device(Arc::clone(&self.world), seat, number));
        }
        for number in 0..sizes.away {
            let (device, publisher) = (self.seat("away", number), self.seat("queueing", number));
            self.clients.spawn(away::pair(Arc::clone(&self.world), device, publisher, number));
        }
        for number in 0..sizes.changing {
            let seat = self.seat("changing", number);
            self.clients.spawn(subscriptions::client(Arc::clone(&self.world), seat, number));
        }
        if sizes.readers > 0 {
            let board = retained::Board::new();
            let seat = self.seat("retaining", 0);
            self.clients.spawn(retained::writer(Arc::clone(&self.world), seat, Arc::clone(&board)));
            for number in 0..sizes.readers {
                let seat = self.seat("reading", number);
                self.clients.spawn(retained::reader(Arc::clone(&self.world), seat, Arc::clone(&board)));
            }
        }
    }

    /// Everybody goes; who does not is an error.
    pub async fn farewell(mut self) {
        self.world.enter(Phase::End);
        let all = async {
            while let Some(outcome) = self.clients.join_next().await {
                if let Err(error) = outcome {
                    self.world.books.error("client", "ended badly", &error.to_string());
                }
            }
        };
        if timeout(FAREWELL, all).await.is_err() {
            let text = format!("{} clients had not ended after {} s", self.clients.len(), FAREWELL.as_secs());
            self.world.books.error("client", "did not end", &text);
        }
    }
}
