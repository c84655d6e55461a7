//! Connect storms: some hundred devices that do nothing, leave at once and come back at once. Each subscribes again,
//! sends itself a message, and is content when that arrives.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use fleet::{Client, Fault, Stay};
use mqtt::{PacketId, QoS};

use crate::soak::churn::{await_all, message};
use crate::soak::world::{Phase, Seat, World};

/// A device that storms.
pub async fn device(world: Arc<World>, seat: Seat, number: u32) {
    let mut turn = 0_u64;
    while !world.at(Phase::End) {
        turn += 1;
        if let Err(fault) = stay(&world, &seat, number, turn).await {
            world.books.error(seat.role, fault.kind(), &format!("{}: {fault}", seat.name));
            world.pause(std::time::Duration::from_secs(1), Phase::End).await;
        }
    }
}

/// From one storm to the next.
async fn stay(world: &World, seat: &Seat, number: u32, turn: u64) -> Result<(), Fault> {
    let mut storms = world.storms.subscribe();
    let begun = Instant::now();
    let mut client = world.open(seat, Stay::Clean).await?;
    if turn > 1 {
        let nanoseconds = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        world.books.connects.shard(number as usize).record(nanoseconds);
        world.books.churn.returns.add(1);
    }
    greet(world, &mut client, number, turn).await?;
    client.rest();
    tokio::select! {
        _ = storms.changed() => {}
        () = world.reached(Phase::End) => {}
        filled = client.fill() => {
            filled?;
            let packet = client.take()?.map_or("part of a packet", |packet| packet.name());
            return Err(Fault::Unexpected(packet));
        }
    }
    // Every other device has no time for a DISCONNECT.
    if number.is_multiple_of(2) { client.close().await } else { Ok(()) }
}

async fn greet(world: &World, client: &mut Client, number: u32, turn: u64) -> Result<(), Fault> {
    let topic = world.topic("s", number);
    client.subscribe(&topic, QoS::AtLeastOnce).await?;
    client.push(&message(world, &topic, (number, turn), PacketId::FIRST, false)?)?;
    await_all(client, 1, HashSet::from([(number, turn)])).await
}
