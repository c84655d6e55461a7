//! A naive client of the standard against a session, over a link that loses what is under way and a broker that dies:
//! every message of QoS 2 arrives exactly once, in both directions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// The client publishes the next message.
    Publish,
    /// The broker has the next message for the client.
    Offer,
    /// So many packets reach the broker.
    ToBroker(usize),
    /// So many packets reach the client.
    ToClient(usize),
    /// The connection is lost with all that is under way; the client comes back with this Receive Maximum.
    Cut(u16),
    /// The broker dies: it knows what is stored.
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Publish),
        6 => Just(Act::Offer),
        10 => (1usize..6).prop_map(Act::ToBroker),
        10 => (1usize..6).prop_map(Act::ToClient),
        2 => (1u16..6).prop_map(Act::Cut),
        1 => Just(Act::Kill),
    ]
}

/// The standard's figure 4.3, method B on both sides.
#[derive(Default)]
struct Naive {
    next: u32,
    /// Sent and not received: identifier and payload.
    sent: VecDeque<(u16, u32)>,
    released: VecDeque<u16>,
    pending: BTreeSet<u16>,
    got: Vec<u32>,
}

impl Naive {
    fn publish(&mut self) -> Packet {
        let busy = |id: &u16| self.sent.iter().any(|(one, _)| one == id) || self.released.contains(id);
        let number = (1..).find(|id| !busy(id)).unwrap();
        self.next += 1;
        self.sent.push_back((number, self.next));
        publish(number, self.next.to_be_bytes().to_vec(), false)
    }

    fn resume(&self) -> Vec<Packet> {
        let sent = self.sent.iter().map(|(id, number)| publish(*id, number.to_be_bytes().to_vec(), true));
        let released = self.released.iter().map(|number| Packet::PubRel(Ack::success(id(*number))));
        released.chain(sent).collect()
    }

    fn receive(&mut self, packet: Packet) -> Option<Packet> {
        match packet {
            Packet::Publish(publish) => {
                let packet_id = publish.packet_id.unwrap();
                if self.pending.insert(packet_id.get()) {
                    self.got.push(u32::from_be_bytes(publish.payload[..].try_into().unwrap()));
                }
                Some(Packet::PubRec(Ack::success(packet_id)))
            }
            Packet::PubRel(ack) => {
                self.pending.remove(&ack.packet_id.get());
                Some(Packet::PubComp(Ack::success(ack.packet_id)))
            }
            Packet::PubRec(ack) => {
                let number = ack.packet_id.get();
                if self.sent.iter().any(|(id, _)| *id == number) {
                    self.sent.retain(|(id, _)| *id != number);
                    self.released.push_back(number);
                }
                Some(Packet::PubRel(Ack::success(ack.packet_id)))
            }
            Packet::PubComp(ack) => {
                self.released.retain(|number| *number != ack.packet_id.get());
                None
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Both ends, the link and the disk.
struct World {
    side: Side,
    client: Naive,
    window: u16,
    to_broker: VecDeque<Packet>,
    to_client: VecDeque<Packet>,
    journal: BTreeMap<u64, u32>,
    last: u64,
    gap: u64,
    stored: ExactlyOnce,
    published: Vec<u32>,
    offered: u32,
}

impl World {
    fn new(version: Version, gap: u64) -> Self {
        let dialect = Dialect::oasis();
        let session = Session::journaled(version, 1000, &dialect);
        let side = Side::with(session, version, Some(5), dialect);
        Self {
            side,
            client: Naive::default(),
            window: 5,
            to_broker: VecDeque::new(),
            to_client: VecDeque::new(),
            journal: BTreeMap::new(),
            last: 0,
            gap,
            stored: ExactlyOnce::default(),
            published: Vec::new(),
            offered: 0,
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Publish => self.to_broker.push_back(self.client.publish()),
            Act::Offer => self.offer(),
            Act::ToBroker(count) => (0..count).for_each(|_| self.reach_broker()),
            Act::ToClient(count) => (0..count).for_each(|_| self.reach_client()),
            Act::Cut(window) => {
                self.window = window;
                self.reconnect();
            }
            Act::Kill => {
                let version = self.side.version;
                self.side.session = Session::recovered(version, 1000, &self.side.dialect);
                self.side.session.restore_exactly_once(&self.stored);
                self.reconnect();
            }
        }
        self.pump();
    }

    fn offer(&mut self) {
        self.offered += 1;
        let offer = super::offer(self.offered.to_be_bytes().to_vec());
        let delivered = self.side.session.deliver(Some(&mut self.side.talk), &offer, NOW);
        assert_eq!(delivered, Delivered::Enqueue);
        self.last += self.gap;
        self.journal.insert(self.last, self.offered);
        self.side.session.arrived(self.last);
    }

    fn reach_broker(&mut self) {
        let Some(packet) = self.to_broker.pop_front() else { return };
        match self.side.receive(packet) {
            Step::Publish(inbound) => {
                let packet_id = inbound.packet_id.unwrap();
                self.published.push(u32::from_be_bytes(inbound.message.payload[..].try_into().unwrap()));
                self.side.session.seal_received(packet_id);
                self.store();
                self.side.talk.record(packet_id);
            }
            Step::Repeated(packet_id) => self.side.talk.record(packet_id),
            Step::Recorded { packet_id, known } => {
                self.store();
                self.side.talk.release(packet_id, known);
            }
            Step::Released { packet_id, known } => {
                self.store();
                self.side.talk.complete(packet_id, known);
            }
            Step::Acknowledged | Step::Nothing => {}
            other => panic!("{other:?}"),
        }
    }

    fn store(&mut self) {
        self.stored = self.side.session.exactly_once();
    }

    fn reach_client(&mut self) {
        if let Some(packet) = self.to_client.pop_front() {
            self.to_broker.extend(self.client.receive(packet));
        }
    }

    fn reconnect(&mut self) {
        self.to_broker = self.client.resume().into();
        self.to_client.clear();
        self.side.reconnect(Some(self.window));
    }

    /// Reads pages and sends what may be sent; forgets what is done with.
    fn pump(&mut self) {
        let session = &mut self.side.session;
        for _ in 0..1000 {
            session.resend_parked(&mut self.side.talk, &self.side.dialect, &mut Open, NOW);
            while let Some(offer) = session.next_ready(&self.side.talk, NOW) {
                assert_eq!(session.send_next(&mut self.side.talk, offer, NOW), Delivered::Sent);
            }
            let Some(reading) = session.next_read() else { break };
            let page = self.journal.range(reading.part.after + 1..).take(3).map(|(number, payload)| {
                let place = Some(Place { number: *number, is_backlog: reading.is_backlog });
                (*number, Some(Offer { place, ..super::offer(payload.to_be_bytes().to_vec()) }))
            });
            session.take_page(reading, page.collect());
        }
        if let Some(upto) = session.trim() {
            self.journal = self.journal.split_off(&(upto + 1));
        }
        self.to_client.extend(self.side.written());
    }

    /// Lets everything arrive.
    fn settle(&mut self) {
        for _ in 0..2000 {
            self.act(Act::ToClient(50));
            self.act(Act::ToBroker(50));
            if self.to_client.is_empty() && self.to_broker.is_empty() {
                break;
            }
        }
    }
}

proptest! {
    #[test]
    fn every_message_arrives_exactly_once(
        version in prop_oneof![Just(Version::V311), Just(Version::V5)],
        gap in prop_oneof![1u64..4, Just(40_000)],
        acts in proptest::collection::vec(act(), 1..300),
    ) {
        let mut world = World::new(version, gap);
        for act in acts {
            world.act(act);
        }
        world.settle();
        world.act(Act::Cut(5));
        world.settle();
        let (mut published, mut got) = (world.published.clone(), world.client.got.clone());
        published.sort_unstable();
        got.sort_unstable();
        prop_assert_eq!(published, (1..=world.client.next).collect::<Vec<_>>(), "from the client");
        prop_assert_eq!(got, (1..=world.offered).collect::<Vec<_>>(), "to the client");
        prop_assert!(world.client.released.is_empty() && world.client.pending.is_empty());
        prop_assert_eq!(world.side.session.in_flight() + world.side.session.unreleased(), 0);
        prop_assert!(world.stored.received.is_empty());
    }
}
