//! Messages of one wake are delivered together where they can be: nobody may see a difference.

use std::sync::Arc;

use mqtt::{Packet, PacketId, QoS, Version};
use proptest::prelude::*;
use store::memory::{MemoryJournal, MemoryStore};

use super::house::{Client, House, publish, subscribe};

/// The name, the filters, and whether it is away.
type Listener = (&'static str, &'static [(&'static str, QoS)], bool);

/// Who listens.
const LISTENERS: [Listener; 6] = [
    ("exact", &[("a", QoS::AtLeastOnce)], false),
    ("two", &[("a", QoS::AtMostOnce), ("b", QoS::AtLeastOnce)], false),
    ("all", &[("#", QoS::AtMostOnce)], false),
    ("below", &[("+/c", QoS::AtLeastOnce)], false),
    ("shared", &[("$share/g/b", QoS::AtLeastOnce)], false),
    ("away", &[("a", QoS::AtLeastOnce), ("+/c", QoS::AtLeastOnce)], true),
];

fn step() -> impl Strategy<Value = (u8, &'static str, bool, bool)> {
    let topic =
        prop_oneof![4 => Just("a"), 2 => Just("b"), 2 => Just("a/c"), 2 => Just("b/c"), 1 => Just("nobody")];
    (0u8..12, topic, any::<bool>(), prop::bool::weighted(0.1))
}

/// Publishes, now and then an own subscription.
fn packets(steps: &[(u8, &'static str, bool, bool)]) -> Vec<Packet> {
    let packet = |(at, (what, topic, acknowledged, retain)): (usize, &(u8, &'static str, bool, bool))| {
        let qos = if *acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        if *what == 0 {
            return subscribe(&[(topic, qos)]);
        }
        let mut packet = publish(topic, "", qos, *retain);
        if let Packet::Publish(publish) = &mut packet {
            publish.payload = format!("{at}").into_bytes().into();
            publish.packet_id = publish.packet_id.and(PacketId::new(u16::try_from(at).unwrap() + 1));
        }
        packet
    };
    steps.iter().enumerate().map(packet).collect()
}

fn clients(house: &Arc<House>) -> Vec<Client> {
    let enter = |(name, filters, _): &(&str, &[(&str, QoS)], bool)| {
        let mut client = house.client_with(name, Version::V5, |connect| {
            connect.clean_start = false;
            let lasts = matches!(*name, "two" | "away");
            connect.properties.session_expiry_interval = lasts.then_some(3600);
        });
        client.send([subscribe(filters)]);
        client.take();
        client
    };
    LISTENERS.iter().map(enter).collect()
}

/// What each client got, and the publisher last, if the packets come in wakes of so many.
fn got(packets: &[Packet], at_once: usize) -> Vec<Vec<String>> {
    let house = House::on(Arc::new(MemoryStore::new()), Some(Arc::new(MemoryJournal::default())), |_| {});
    let mut clients = clients(&house);
    for (client, (_, _, away)) in clients.iter_mut().zip(LISTENERS) {
        if away {
            client.cut();
        }
    }
    let mut publisher = house.client("publisher", Version::V5);
    for wake in packets.chunks(at_once) {
        publisher.send(wake.to_vec());
    }
    let told = |packets: Vec<Packet>| packets.iter().map(|packet| format!("{packet:?}")).collect::<Vec<_>>();
    let mut all = Vec::new();
    for (client, (name, _, away)) in clients.iter_mut().zip(LISTENERS) {
        if away {
            *client = house.client_with(name, Version::V5, |connect| connect.clean_start = false);
        }
        all.push(told(client.take()));
    }
    // Acknowledgements come at the end of a wake, in their order, and other answers before them.
    let (acks, others) = publisher.take().into_iter().partition(|packet| matches!(packet, Packet::PubAck(_)));
    all.extend([told(acks), told(others)]);
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn one_wake_brings_what_many_bring(steps in proptest::collection::vec(step(), 1..90)) {
        let packets = packets(&steps);
        let (by_one, together) = (got(&packets, 1), got(&packets, packets.len()));
        for (one, other) in by_one.iter().zip(&together) {
            prop_assert_eq!(one, other);
        }
    }
}
