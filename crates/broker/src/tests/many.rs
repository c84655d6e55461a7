//! More who wait than one call of the journal takes, and who waits more than once.

use std::sync::Arc;

use dialect::{Dialect, Divergence};
use mqtt::{Connect, Packet, QoS, Version};
use store::memory::{MemoryJournal, MemoryStore};
use store::{Append, Journal, Position, block_on};

use super::house::{Client, House, publish, subscribe, will};
use crate::Flow;

const ONE: QoS = QoS::AtLeastOnce;

#[derive(Default)]
struct Disk(MemoryStore, Arc<MemoryJournal>);

impl Disk {
    fn house(&self, change: impl FnOnce(&mut Dialect)) -> Arc<House> {
        House::on(Arc::new(self.0.clone()), Some(self.1.clone()), change)
    }

    /// How many records wait in each queue.
    fn waiting(&self) -> Vec<usize> {
        let queues = block_on(self.1.queues(None, usize::MAX)).unwrap();
        let records = |queue| block_on(self.1.read(queue, Position::START, 1000)).unwrap().len();
        queues.iter().map(records).collect()
    }
}

fn lasting(connect: &mut Connect) {
    connect.clean_start = false;
}

fn subscriber(house: &Arc<House>, number: usize) -> Client {
    let mut client = house.client_with(&format!("c{number}"), Version::V311, lasting);
    client.subscribe("t", ONE);
    client
}

/// How many messages are acknowledged, of so many that come in one read.
fn acknowledged(house: &Arc<House>, count: usize) -> usize {
    let mut publisher = house.client("p", Version::V5);
    let flow = publisher.send((0..count).map(|_| publish("t", "x", ONE, false)));
    assert_eq!(flow, Flow::Continue);
    let acks = publisher.take();
    assert!(!publisher.closed, "{:?}", house.events().last());
    acks.iter().filter(|packet| matches!(packet, Packet::PubAck(_))).count()
}

#[test]
fn one_message_for_more_sessions_than_the_journal_takes_in_one_call() {
    let disk = Disk::default();
    let house = disk.house(|_| {});
    let many = Append::MAX_RECORDS + 1;
    let clients: Vec<_> = (0..many).map(|number| subscriber(&house, number)).collect();
    assert_eq!(acknowledged(&house, 1), 1);
    assert_eq!(disk.waiting(), vec![1; many]);
    // The process dies, and at the next start a will is due that as many wait for.
    let victim = house.client_with("victim", Version::V311, |connect| connect.will = will("t", "gone"));
    drop((victim, clients));
    let house = disk.house(|_| {});
    house.drive(house.broker.recover(house.now())).unwrap();
    assert_eq!(disk.waiting(), vec![2; many]);
}

#[test]
fn many_messages_of_one_read_for_more_sessions_than_the_journal_takes_in_one_call() {
    let disk = Disk::default();
    let house = disk.house(|_| {});
    let sessions = Append::MAX_RECORDS / 64 + 1;
    let mut clients: Vec<_> = (0..sessions).map(|number| subscriber(&house, number)).collect();
    assert_eq!(acknowledged(&house, 64), 64);
    assert_eq!(disk.waiting(), vec![64; sessions]);
    let ids: Vec<_> =
        clients[156].messages().iter().map(|message| message.packet_id.unwrap().get()).collect();
    assert_eq!(ids, (1..=64).collect::<Vec<_>>());
}

/// What waits for a session that two subscriptions bring one message each, and how much of it counts as waiting for ever.
fn copies(change: impl FnOnce(&mut Dialect), filters: [&str; 2]) -> usize {
    let disk = Disk::default();
    let house = disk.house(|dialect| {
        change(dialect);
        dialect.limits_mut().session_queue_messages = 4;
    });
    let mut client = house.client_with("c", Version::V311, lasting);
    client.send([subscribe(&[(filters[0], ONE), (filters[1], ONE)])]);
    client.take();
    let mut got = 0;
    for _ in 0..10 {
        assert_eq!(acknowledged(&house, 1), 1);
        let messages = client.messages();
        messages.iter().for_each(|message| client.ack(message.packet_id));
        got += messages.len();
    }
    assert!(!house.heard("delivery.dropped"), "its queue is never full");
    got
}

#[test]
fn who_waits_for_two_copies_of_a_message_gets_both_overlapping_subscriptions_copies() {
    let overlapping = |dialect: &mut Dialect| dialect.set(Divergence::OverlappingSubscriptionsCopies, true);
    assert_eq!(copies(overlapping, ["t", "+"]), 20);
    let no_queue = |dialect: &mut Dialect| dialect.set(Divergence::SharedGroupQueue, false);
    assert_eq!(copies(no_queue, ["t", "$share/g/t"]), 20);
}
