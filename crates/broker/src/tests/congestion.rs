//! When the disk does not keep up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use mqtt::{Packet, QoS, Version};
use store::Append;

use super::house::{House, publish};
use crate::durable::{Job, Then};

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_was_not_read_from_is_woken_when_the_disk_has_caught_up() {
    let journal = Arc::new(store::memory::MemoryJournal::new());
    let house = House::on(Arc::new(store::memory::MemoryStore::new()), Some(journal), |_| {});
    let mut client = house.client("c", Version::V5);
    assert!(client.is_read());
    let large = Append { body: vec![0; 65 << 20].into(), to: Vec::new() };
    house.broker.0.committer.submit(Job { appends: vec![(large, Vec::new())], ..Job::new(Then::Rest) });
    let bell = Arc::new(Bell::default());
    client.sleeps(&Waker::from(bell.clone()));
    assert!(!client.is_read());
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    house.work();
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "nothing of its own would have woken it");
    assert!(client.is_read());
}

#[test]
fn retained_messages_that_wait_for_the_disk_hold_their_publishers_up() {
    let journal = Arc::new(store::memory::MemoryJournal::new());
    let on = Arc::new(store::memory::MemoryStore::new());
    let house = House::on(on, Some(journal), |dialect| *dialect = dialect::Dialect::oasis());
    let mut client = house.client("c", Version::V5);
    let mut packet = publish("t", "", QoS::AtLeastOnce, true);
    if let Packet::Publish(publish) = &mut packet {
        publish.payload = vec![b'x'; 700_000].into();
    }
    // One topic: the index holds one of them, and each waits to be written.
    for _ in 0..100 {
        client.send([packet.clone()]);
    }
    assert!(!client.is_read());
    house.work();
    assert!(client.is_read());
}
