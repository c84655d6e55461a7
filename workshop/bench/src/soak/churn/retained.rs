//! Retained messages: writers replace them all along, readers come new and must get what was acknowledged last, or
//! something newer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fleet::{Client, Fault, Stamp, Stay, acknowledge};
use mqtt::{Packet, PacketId, QoS};
use tokio::time::timeout;

use crate::soak::churn::{PATIENCE, await_all, message};
use crate::soak::world::{Phase, Seat, World};

/// Topics that hold a message.
pub const TOPICS: u32 = 50;
const WRITE_EVERY: Duration = Duration::from_millis(100);
const READ_EVERY: Duration = Duration::from_millis(500);

/// The number that was acknowledged last for each topic; 0 = none.
#[derive(Debug)]
pub struct Board(Box<[AtomicU64]>);

impl Board {
    /// With nothing on it.
    pub fn new() -> Arc<Self> {
        Arc::new(Self((0..TOPICS).map(|_| AtomicU64::new(0)).collect()))
    }

    fn get(&self, topic: u32) -> u64 {
        self.0.get(topic as usize).map_or(0, |number| number.load(Relaxed))
    }
}

/// Replaces one message after the other. There is one writer: numbers rise.
pub async fn writer(world: Arc<World>, seat: Seat, board: Arc<Board>) {
    let number = AtomicU64::new(0);
    let connected = || async {
        let mut client = world.open(&seat, Stay::Clean).await?;
        while world.pause(WRITE_EVERY, Phase::Quiet).await {
            let sequence = number.fetch_add(1, Relaxed) + 1;
            let topic = (sequence % u64::from(TOPICS)) as u32;
            let name = world.topic("r", topic);
            client.push(&message(&world, &name, (topic, sequence), PacketId::FIRST, true)?)?;
            await_all(&mut client, 1, HashSet::new()).await?;
            if let Some(known) = board.0.get(topic as usize) {
                known.store(sequence, Relaxed);
            }
            world.books.churn.retained_updates.add(1);
        }
        client.close().await
    };
    world.persist(&seat, Phase::Quiet, connected).await;
}

/// Comes again and again, each time for another topic.
pub async fn reader(world: Arc<World>, seat: Seat, board: Arc<Board>) {
    let turn = AtomicU64::new(0);
    let look = || async {
        world.pause(READ_EVERY, Phase::Quiet).await;
        let topic = (turn.fetch_add(1, Relaxed) % u64::from(TOPICS)) as u32;
        let known = board.get(topic);
        let mut client = world.open(&seat, Stay::Clean).await?;
        client.subscribe(&world.topic("r", topic), QoS::AtLeastOnce).await?;
        if known > 0 {
            let read = timeout(PATIENCE, retained(&mut client)).await;
            let found = read.map_err(|_| Fault::Timeout("retained message"))??;
            world.books.churn.retained_reads.add(1);
            if found < known {
                world.books.churn.lost.add(1);
                let text = format!("topic {topic}: {known} was acknowledged and {found} came");
                world.books.error(seat.role, "stale retained message", &text);
            }
        }
        client.close().await
    };
    world.persist(&seat, Phase::Quiet, look).await;
}

/// The number of the first message that comes.
async fn retained(client: &mut Client) -> Result<u64, Fault> {
    loop {
        while let Some(packet) = client.take()? {
            let Packet::Publish(publish) = packet else { return Err(Fault::Unexpected(packet.name())) };
            acknowledge(client, &publish)?;
            client.flush().await?;
            if let Some(stamp) = Stamp::read(&publish.payload) {
                return Ok(stamp.sequence);
            }
        }
        client.fill().await?;
    }
}
