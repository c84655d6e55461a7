//! Subscriptions made and dropped: once a second each of these clients takes four filters, sends itself a message for
//! each, and gives the filters back.

use std::sync::Arc;
use std::time::Duration;

use fleet::{Client, Fault, Stay};
use mqtt::{PacketId, QoS};

use crate::soak::churn::{await_all, message};
use crate::soak::world::{Phase, Seat, World};

const EVERY: Duration = Duration::from_secs(1);

/// A client that changes its mind.
pub async fn client(world: Arc<World>, seat: Seat, number: u32) {
    let mut turn = 0_u64;
    let turn = &mut turn;
    while !world.at(Phase::Quiet) {
        if let Err(fault) = connected(&world, &seat, number, turn).await {
            world.books.error(seat.role, fault.kind(), &format!("{}: {fault}", seat.name));
            world.pause(EVERY, Phase::Quiet).await;
        }
    }
}

async fn connected(world: &World, seat: &Seat, number: u32, turn: &mut u64) -> Result<(), Fault> {
    let mut client = world.open(seat, Stay::Clean).await?;
    while !world.at(Phase::Quiet) {
        *turn += 1;
        change(world, &mut client, number, *turn).await?;
        world.pause(EVERY, Phase::Quiet).await;
    }
    client.close().await
}

async fn change(world: &World, client: &mut Client, number: u32, turn: u64) -> Result<(), Fault> {
    let base = format!("{}/{turn}", world.topic("c", number));
    let filters = [
        format!("{base}/a"),
        format!("{base}/b/+"),
        format!("{base}/c/#"),
        format!("$share/bench/{base}/d/+"),
    ];
    client.subscribe_all(&filters, QoS::AtLeastOnce).await?;
    let (mut id, mut expected) = (PacketId::FIRST, std::collections::HashSet::new());
    for (at, topic) in ["a", "b/x", "c/x", "d/x"].iter().enumerate() {
        let sequence = turn * 4 + at as u64;
        client.push(&message(world, &format!("{base}/{topic}"), (number, sequence), id, false)?)?;
        expected.insert((number, sequence));
        id = id.following();
    }
    await_all(client, expected.len(), expected).await?;
    client.unsubscribe(&filters).await?;
    world.books.churn.subscriptions.add(filters.len() as u64);
    Ok(())
}
