//! What a receiver makes of a message: new, late, again, or not of this run.

use std::sync::{Arc, PoisonError};

use mqtt::{Ack, Packet, Publish, QoS};

use crate::client::Client;
use crate::fault::Fault;
use crate::latency::Latencies;
use crate::load::tally::Batch;
use crate::load::{Pattern, Plan, Shared};
use crate::sequence::{Arrival, Sequence};
use crate::stamp::Stamp;

/// A receiver's books.
pub struct Receipt {
    shared: Arc<Shared>,
    number: u32,
    /// The publisher that the first of `sequences` belongs to.
    first_publisher: u32,
    /// One for each publisher that this receiver hears; none: the group keeps them together.
    sequences: Vec<Sequence>,
}

impl Receipt {
    /// Of receiver `number`.
    pub fn new(plan: &Plan, shared: &Arc<Shared>, number: u32) -> Self {
        let (first_publisher, publishers) = match plan.pattern {
            Pattern::Pairs | Pattern::Request => (number, 1),
            Pattern::FanOut => (0, 1),
            Pattern::FanIn => (0, plan.clients),
            Pattern::Shared => (0, 0),
        };
        let sequences = vec![Sequence::default(); publishers as usize];
        Self { shared: Arc::clone(shared), number, first_publisher, sequences }
    }

    /// Acknowledges and counts everything that has arrived; what is no message goes to `other`.
    pub fn take(
        &mut self,
        client: &mut Client,
        measured: bool,
        other: &mut impl FnMut(Packet) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let now = self.shared.now();
        let shared = Arc::clone(&self.shared);
        let mut latencies = measured.then(|| shared.latencies.shard(self.number as usize));
        let mut batch = Batch::default();
        while let Some(packet) = client.take()? {
            match packet {
                Packet::Publish(publish) => {
                    acknowledge(client, &publish)?;
                    self.count(&publish, now, latencies.as_deref_mut(), &mut batch);
                }
                packet => other(packet)?,
            }
        }
        shared.tally.add(batch);
        Ok(())
    }

    fn count(&mut self, publish: &Publish, now: u64, latencies: Option<&mut Latencies>, batch: &mut Batch) {
        let stamp = Stamp::read(&publish.payload).filter(|stamp| stamp.run == self.shared.run);
        let Some((stamp, arrival)) = stamp.and_then(|stamp| Some((stamp, self.arrive(stamp)?))) else {
            batch.foreign += 1;
            return;
        };
        match arrival {
            Arrival::Newest { advance } => {
                batch.delivered += 1;
                self.settle(stamp, if self.in_group() { 1 } else { advance });
            }
            Arrival::Late => {
                batch.delivered += 1;
                batch.late += 1;
                if self.in_group() {
                    self.settle(stamp, 1);
                }
            }
            Arrival::Duplicate => batch.duplicated += 1,
            Arrival::Forgotten => batch.foreign += 1,
        }
        if let (Some(latencies), Arrival::Newest { .. } | Arrival::Late) = (latencies, arrival) {
            latencies.record(now.saturating_sub(stamp.sent_at));
        }
    }

    fn arrive(&mut self, stamp: Stamp) -> Option<Arrival> {
        if self.in_group() {
            let sequence = self.shared.group.get(stamp.publisher as usize)?;
            return Some(sequence.lock().unwrap_or_else(PoisonError::into_inner).arrive(stamp.sequence));
        }
        let at = stamp.publisher.checked_sub(self.first_publisher)?;
        Some(self.sequences.get_mut(at as usize)?.arrive(stamp.sequence))
    }

    /// In a group a newer message says nothing about older ones: another member has them. Each opens the window by itself,
    /// so that no member falls further behind than the window is wide.
    fn in_group(&self) -> bool {
        self.sequences.is_empty()
    }

    fn settle(&self, stamp: Stamp, deliveries: u64) {
        if let Some(window) = self.shared.windows.get(stamp.publisher as usize) {
            window.settle(deliveries);
        }
    }
}

/// Says thank you for a message, if its quality of service wants that.
pub fn acknowledge(client: &mut Client, publish: &Publish) -> Result<(), Fault> {
    match (publish.packet_id, publish.qos) {
        (Some(id), QoS::AtLeastOnce) => client.push(&Packet::PubAck(Ack::success(id))),
        _ => Ok(()),
    }
}
