//! A subscriber: counts what arrives, acknowledges it, and opens its publishers' windows.

use std::sync::Arc;

use mqtt::{Ack, Packet, Publish, QoS};

use crate::client::Client;
use crate::course::{Follower, Phase};
use crate::fault::Fault;
use crate::latency::Latencies;
use crate::load::tally::Batch;
use crate::load::{Pattern, Plan, Shared};
use crate::sequence::{Arrival, Sequence};
use crate::stamp::Stamp;

/// A subscriber whose subscription the broker has confirmed.
pub struct Subscriber {
    client: Client,
    shared: Arc<Shared>,
    number: u32,
    /// The publisher that the first of `sequences` belongs to.
    first_publisher: u32,
    /// One for each publisher that this subscriber hears.
    sequences: Vec<Sequence>,
}

impl Subscriber {
    /// Connects and subscribes.
    pub async fn open(plan: &Plan, shared: &Arc<Shared>, number: u32) -> Result<Self, Fault> {
        let mut client = Client::open(&plan.target, number as usize, &shared.client_id("s", number)).await?;
        client.subscribe(&shared.topic(plan.pattern, number), plan.qos).await?;
        let (first_publisher, publishers) = match plan.pattern {
            Pattern::Pairs => (number, 1),
            Pattern::FanOut => (0, 1),
            Pattern::FanIn => (0, plan.clients),
        };
        Ok(Self {
            client,
            shared: Arc::clone(shared),
            number,
            first_publisher,
            sequences: vec![Sequence::default(); publishers as usize],
        })
    }

    /// Receives until the run ends.
    pub async fn run(mut self, mut follower: Follower) -> Result<(), Fault> {
        loop {
            tokio::select! {
                filled = self.client.fill() => filled?,
                () = follower.reached(Phase::End) => break,
            }
            self.receive(follower.phase() == Phase::Measure)?;
            self.client.flush().await?;
        }
        self.client.close().await
    }

    /// Counts everything that has arrived.
    fn receive(&mut self, measured: bool) -> Result<(), Fault> {
        let now = self.shared.now();
        let shared = Arc::clone(&self.shared);
        let mut latencies = measured.then(|| shared.latencies.shard(self.number as usize));
        let mut batch = Batch::default();
        while let Some(packet) = self.client.take()? {
            match packet {
                Packet::Publish(publish) => {
                    self.count(&publish, now, latencies.as_deref_mut(), &mut batch)?
                }
                other => return Err(Fault::Unexpected(other.name())),
            }
        }
        shared.tally.add(batch);
        Ok(())
    }

    fn count(
        &mut self,
        publish: &Publish,
        now: u64,
        latencies: Option<&mut Latencies>,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        if let (Some(id), QoS::AtLeastOnce) = (publish.packet_id, publish.qos) {
            self.client.push(&Packet::PubAck(Ack::success(id)))?;
        }
        let stamp = Stamp::read(&publish.payload).filter(|stamp| stamp.run == self.shared.run);
        let Some((stamp, arrival)) = stamp.and_then(|stamp| Some((stamp, self.arrive(stamp)?))) else {
            batch.foreign += 1;
            return Ok(());
        };
        match arrival {
            Arrival::Newest { advance } => {
                batch.delivered += 1;
                self.settle(stamp, advance);
            }
            Arrival::Late => {
                batch.delivered += 1;
                batch.late += 1;
            }
            Arrival::Duplicate => batch.duplicated += 1,
            Arrival::Forgotten => batch.foreign += 1,
        }
        if let (Some(latencies), Arrival::Newest { .. } | Arrival::Late) = (latencies, arrival) {
            latencies.record(now.saturating_sub(stamp.sent_at));
        }
        Ok(())
    }

    fn arrive(&mut self, stamp: Stamp) -> Option<Arrival> {
        let at = stamp.publisher.checked_sub(self.first_publisher)?;
        Some(self.sequences.get_mut(at as usize)?.arrive(stamp.sequence))
    }

    fn settle(&self, stamp: Stamp, deliveries: u64) {
        if let Some(window) = self.shared.windows.get(stamp.publisher as usize) {
            window.settle(deliveries);
        }
    }
}
