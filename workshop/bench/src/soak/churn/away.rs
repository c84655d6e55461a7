//! Devices with sessions that last: each goes away, its publisher fills its queue, it comes back and drains it. What was
//! acknowledged to the publisher and does not come is lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fleet::{Client, Fault, Stamp, Stay, acknowledge};
use mqtt::{Packet, PacketId, QoS};
use tokio::time::timeout;

use crate::soak::churn::{PATIENCE, await_all, message};
use crate::soak::world::{Phase, Seat, World};

/// Messages that wait for a device when it comes back. It gets ten a second, as AWS does it.
const MESSAGES: u64 = 60;
/// Messages that are published at once.
const BATCH: u64 = 10;
const EVERY: Duration = Duration::from_secs(1);

/// A device and the publisher that fills its queue.
pub async fn pair(world: Arc<World>, device: Seat, publisher: Seat, number: u32) {
    let mut next = 0_u64;
    let mut begun = false;
    while !world.at(Phase::Quiet) {
        let cycle = cycle(&world, (&device, &publisher), number, (&mut next, &mut begun));
        if let Err(fault) = cycle.await {
            world.books.error(device.role, fault.kind(), &format!("{}: {fault}", device.name));
            world.pause(EVERY, Phase::Quiet).await;
        }
    }
    // The session ends with the run.
    if let Ok(client) = world.open(&device, Stay::Clean).await {
        let _ = client.close().await;
    }
}

async fn cycle(
    world: &World,
    (device, publisher): (&Seat, &Seat),
    number: u32,
    (next, begun): (&mut u64, &mut bool),
) -> Result<(), Fault> {
    let topic = world.topic("o", number);
    if !*begun {
        let mut client = world.open(device, Stay::Begin).await?;
        client.subscribe(&topic, QoS::AtLeastOnce).await?;
        client.close().await?;
        *begun = true;
    }
    let from = *next;
    let mut client = world.open(publisher, Stay::Clean).await?;
    while *next < from + MESSAGES && !world.at(Phase::Quiet) {
        batch(world, &mut client, &topic, number, next).await?;
        world.pause(EVERY, Phase::Quiet).await;
    }
    client.close().await?;
    let mut client = world.open(device, Stay::Resume).await?;
    drain(world, &mut client, number, from..*next).await?;
    // Every other time it has no time for a DISCONNECT. Its acknowledgements are on their way.
    if (*next / MESSAGES).is_multiple_of(2) { client.close().await } else { Ok(()) }
}

async fn batch(
    world: &World,
    client: &mut Client,
    topic: &str,
    number: u32,
    next: &mut u64,
) -> Result<(), Fault> {
    let mut id = PacketId::FIRST;
    for sequence in *next..*next + BATCH {
        client.push(&message(world, topic, (number, sequence), id, false)?)?;
        id = id.following();
    }
    *next += BATCH;
    await_all(client, BATCH as usize, HashSet::new()).await?;
    world.books.churn.queued.add(BATCH);
    Ok(())
}

/// Takes all of these messages. What belongs to an earlier time came again.
async fn drain(
    world: &World,
    client: &mut Client,
    number: u32,
    wanted: std::ops::Range<u64>,
) -> Result<(), Fault> {
    let mut missing: HashSet<u64> = wanted.collect();
    let churn = &world.books.churn;
    let take = async {
        loop {
            while let Some(packet) = client.take()? {
                let Packet::Publish(publish) = packet else { return Err(Fault::Unexpected(packet.name())) };
                acknowledge(client, &publish)?;
                let ours = |stamp: &Stamp| stamp.run == world.run && stamp.publisher == number;
                match Stamp::read(&publish.payload).filter(ours) {
                    Some(stamp) if missing.remove(&stamp.sequence) => churn.drained.add(1),
                    Some(_) => churn.drained_again.add(1),
                    None => return Err(Fault::Unexpected("a message of somebody else")),
                }
            }
            client.flush().await?;
            if missing.is_empty() {
                return Ok(());
            }
            client.fill().await?;
        }
    };
    match timeout(PATIENCE, take).await {
        Ok(taken) => taken,
        Err(_) => {
            churn.lost.add(missing.len() as u64);
            Err(Fault::Timeout("queued message"))
        }
    }
}
