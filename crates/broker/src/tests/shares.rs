//! Shared subscriptions: who gets a message, what waits for the group, and what comes back to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dialect::{Dialect, Divergence, QuotaProfile};
use mqtt::{Connect, Packet, Publish, QoS, Text, Unsubscribe, UserProperties, Version};
use proptest::prelude::*;
use store::memory::{MemoryJournal, MemoryStore};
use store::{Journal, Key, Position, Store, block_on};

use super::house::{Client, House, Watched, connect, subscribe};

const GROUP: &str = "$share/g/work";
const ONE: QoS = QoS::AtLeastOnce;

struct Disk {
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
}

impl Disk {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), journal: Arc::new(MemoryJournal::new()) }
    }

    fn house(&self, change: impl FnOnce(&mut Dialect)) -> Arc<House> {
        House::on(self.store.clone(), Some(self.journal.clone()), change)
    }

    fn waiting(&self) -> usize {
        let rows = ["live", "queued"].map(|row| Key::of(&["$group", GROUP, row]));
        rows.iter().map(|key| block_on(self.journal.read(key, Position::START, 1000)).unwrap().len()).sum()
    }
}

fn lasting(connect: &mut Connect) {
    connect.clean_start = false;
    if connect.version == Version::V5 {
        connect.properties.session_expiry_interval = Some(600);
    }
}

fn member(house: &Arc<House>, id: &str) -> Client {
    let mut client = house.client_with(id, Version::V5, lasting);
    client.subscribe(GROUP, ONE);
    client
}

fn publish(house: &Arc<House>, payloads: &[&'static str]) {
    let mut publisher = house.client("publisher", Version::V5);
    for payload in payloads {
        publisher.publish("work", payload, ONE);
    }
    let acknowledged = publisher.take();
    assert_eq!(acknowledged.len(), payloads.len(), "{acknowledged:?}");
    publisher.cut();
}

/// What is to be forgotten is, at the latest at the next tick.
fn settle(house: &House) {
    for _ in 0..2 {
        house.work();
        house.pass(1);
    }
    house.work();
}

fn text(message: &Publish) -> String {
    String::from_utf8(message.payload.to_vec()).unwrap()
}

/// What a client gets within so many steps of 50 ms, acknowledged at once.
fn drain(house: &House, client: &mut Client, steps: usize) -> Vec<String> {
    let mut got = Vec::new();
    for _ in 0..steps {
        for message in client.messages() {
            client.ack(message.packet_id);
            got.push(text(&message));
        }
        house.pass_millis(50);
    }
    got
}

#[test]
fn while_somebody_is_there_each_message_goes_to_one_member() {
    let disk = Disk::new();
    let house = disk.house(|_| {});
    let mut clients: Vec<_> = ["a", "b", "c"].iter().map(|id| member(&house, id)).collect();
    let mut counts = [0; 3];
    for _ in 0..60 {
        publish(&house, &["x"]);
        for (count, client) in counts.iter_mut().zip(&mut clients) {
            let messages = client.messages();
            *count += messages.len();
            messages.iter().for_each(|message| client.ack(message.packet_id));
        }
    }
    assert_eq!(counts.iter().sum::<usize>(), 60);
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    settle(&house);
    assert_eq!(disk.waiting(), 0, "what was acknowledged is forgotten");
}

#[test]
fn what_comes_while_nobody_is_there_drains_to_the_first_who_comes_shared_group_queue() {
    let disk = Disk::new();
    let house = disk.house(|_| {});
    member(&house, "a").cut();
    member(&house, "b").cut();
    publish(&house, &["1", "2", "3"]);
    assert!(house.heard("shared-group-queue"));
    let mut b = house.client_with("b", Version::V5, lasting);
    assert_eq!(drain(&house, &mut b, 10), ["1", "2", "3"]);
    assert_eq!(house.client_with("a", Version::V5, lasting).payloads(), Vec::<String>::new());
}

#[test]
fn a_member_that_is_new_gets_what_waited() {
    let house = Disk::new().house(|_| {});
    member(&house, "a").cut();
    publish(&house, &["1"]);
    let mut fresh = house.client("fresh", Version::V311);
    fresh.send([subscribe(&[(GROUP, ONE)])]);
    assert_eq!(drain(&house, &mut fresh, 3), ["1"]);
}

#[test]
fn the_queue_drains_at_twenty_a_second_beside_live_messages() {
    let house = Disk::new().house(|dialect| dialect.set_profile(QuotaProfile::Aws));
    member(&house, "a").cut();
    let mut publisher = house.client("publisher", Version::V5);
    for _ in 0..60 {
        publisher.publish("work", "old", ONE);
    }
    assert_eq!(publisher.take().len(), 60);
    house.pass(2);
    let mut a = house.client_with("a", Version::V5, lasting);
    publisher.publish("work", "live", ONE);
    publisher.take();
    let first = drain(&house, &mut a, 20);
    assert!(first.iter().take(3).any(|text| text == "live"), "{first:?}");
    let old = first.iter().filter(|text| *text == "old").count();
    assert!((18..=21).contains(&old), "{old} in a second");
    assert_eq!(drain(&house, &mut a, 60).len() + old, 60);
}

#[test]
fn what_a_member_leaves_unacknowledged_goes_to_another() {
    let house = Disk::new().house(|_| {});
    let mut a = member(&house, "a");
    publish(&house, &["1"]);
    assert_eq!(a.payloads(), ["1"]);
    let mut b = member(&house, "b");
    assert!(b.messages().is_empty());
    a.cut();
    assert_eq!(drain(&house, &mut b, 3), ["1"]);
    let mut a = house.client_with("a", Version::V5, lasting);
    assert!(drain(&house, &mut a, 3).is_empty(), "it is the group's, not the session's");
}

#[test]
fn what_a_clean_session_leaves_goes_back_if_a_persistent_member_exists() {
    let house = Disk::new().house(|_| {});
    member(&house, "away").cut();
    let mut clean = house.client("clean", Version::V311);
    clean.subscribe(GROUP, ONE);
    publish(&house, &["1"]);
    assert_eq!(clean.payloads(), ["1"]);
    clean.cut();
    let mut back = house.client_with("away", Version::V5, lasting);
    assert_eq!(drain(&house, &mut back, 3), ["1"]);
}

#[test]
fn a_full_window_leaves_the_message_to_the_others_and_then_to_the_queue() {
    let house = Disk::new().house(|_| {});
    let narrow = |connect: &mut Connect| {
        lasting(connect);
        connect.properties.receive_maximum = Some(1);
    };
    let mut clients = ["a", "b"].map(|id| {
        let mut client = house.client_with(id, Version::V5, narrow);
        client.subscribe(GROUP, ONE);
        client
    });
    publish(&house, &["1"]);
    publish(&house, &["2"]);
    publish(&house, &["3"]);
    let mut held: Vec<_> = clients.iter_mut().map(|client| client.messages()).collect();
    assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    let [a, _] = &mut clients;
    a.ack(held.remove(0).remove(0).packet_id);
    assert_eq!(drain(&house, a, 3), ["3"]);
}

#[test]
fn nothing_waits_without_a_persistent_member_and_never_at_qos_0() {
    let disk = Disk::new();
    let house = disk.house(|_| {});
    let mut clean = house.client("clean", Version::V5);
    clean.subscribe(GROUP, ONE);
    publish(&house, &["1"]);
    assert_eq!(clean.payloads(), ["1"]);
    assert_eq!(disk.waiting(), 0);
    let mut zero = house.client_with("zero", Version::V5, lasting);
    zero.subscribe(GROUP, QoS::AtMostOnce);
    zero.cut();
    clean.cut();
    publish(&house, &["2"]);
    member(&house, "a").cut();
    house.client("publisher", Version::V5).publish("work", "3", QoS::AtMostOnce);
    house.work();
    assert_eq!(disk.waiting(), 0);
}

#[test]
fn a_full_queue_drops_the_new() {
    let house = Disk::new().house(|dialect| dialect.limits_mut().shared_group_queue = 2);
    member(&house, "a").cut();
    publish(&house, &["1", "2", "3"]);
    assert!(house.heard("queue"), "{:?}", house.events());
    let mut a = house.client_with("a", Version::V5, lasting);
    assert_eq!(drain(&house, &mut a, 5), ["1", "2"]);
}

#[test]
fn the_queue_survives_a_restart_and_what_was_on_its_way_comes_again() {
    let disk = Disk::new();
    let house = disk.house(|_| {});
    let mut a = member(&house, "a");
    publish(&house, &["sent"]);
    assert_eq!(a.payloads(), ["sent"]);
    a.cut();
    publish(&house, &["queued"]);
    drop(house);
    let house = disk.house(|_| {});
    assert_eq!(block_on(house.broker.recover(house.now())).unwrap().0, 1);
    let mut a = house.client_with("a", Version::V5, lasting);
    let mut got = drain(&house, &mut a, 5);
    got.sort();
    assert_eq!(got, ["queued", "sent"]);
    settle(&house);
    assert_eq!(disk.waiting(), 0);
}

#[test]
fn what_waited_too_long_is_reclaimed_although_nobody_comes() {
    let disk = Disk::new();
    let house = disk.house(|dialect| dialect.limits_mut().session_expiry_max = 600);
    member(&house, "a").cut();
    publish(&house, &["1", "2"]);
    assert_eq!(disk.waiting(), 2);
    let mut away = house.client_with("b", Version::V5, |connect| {
        lasting(connect);
        connect.properties.session_expiry_interval = Some(600);
    });
    away.subscribe(GROUP, ONE);
    // `b` was sent one of them; both are over before it could answer.
    away.cut();
    for _ in 0..11 {
        house.pass(59);
        house.work();
    }
    house.pass(59);
    house.work();
    settle(&house);
    assert_eq!(disk.waiting(), 0);
}

#[test]
fn a_member_that_may_still_be_refused_is_handed_nothing() {
    let store = MemoryStore::new();
    let house = House::on(Arc::new(store.clone()), Some(Arc::new(MemoryJournal::new())), |_| {});
    let mut keeper = member(&house, "keeper");
    let mut first = house.client_with("first", Version::V5, lasting);
    // What it is handed at QoS 0 is done with.
    first.subscribe(GROUP, QoS::AtMostOnce);
    keeper.cut();
    first.cut();
    publish(&house, &["waits"]);
    store.fail("full");
    let mut again = connect("first", Version::V5);
    lasting(&mut again);
    assert!(house.try_connect(House::anybody(), again).is_err(), "its session cannot be stored");
    settle(&house);
    store.recover();
    let mut first = house.client_with("first", Version::V5, lasting);
    settle(&house);
    assert_eq!(first.payloads(), ["waits"]);
}

#[test]
fn a_group_that_loses_its_last_member_forgets_what_waits() {
    let disk = Disk::new();
    let house = disk.house(|_| {});
    member(&house, "a").cut();
    publish(&house, &["1"]);
    house.client("a", Version::V5);
    house.work();
    settle(&house);
    assert_eq!(disk.waiting(), 0);
    let mut a = member(&house, "a");
    assert!(drain(&house, &mut a, 3).is_empty());
}

fn unsubscribe() -> Packet {
    Packet::Unsubscribe(Unsubscribe {
        packet_id: mqtt::PacketId::new(7).unwrap(),
        filters: std::iter::once(Text::try_from(GROUP).unwrap()).collect(),
        user_properties: UserProperties::default(),
    })
}

#[test]
fn a_new_group_does_not_find_what_the_one_of_its_name_before_left() {
    let disk = Disk {
        store: Arc::new(MemoryStore::new()),
        journal: Arc::new(Watched { journal: MemoryJournal::new(), appends: || true, trims: false }),
    };
    let house = disk.house(|_| {});
    let mut a = member(&house, "a");
    publish(&house, &["unacknowledged"]);
    assert_eq!(a.payloads(), ["unacknowledged"]);
    a.send([unsubscribe()]);
    house.work();
    a.subscribe(GROUP, ONE);
    publish(&house, &["new"]);
    assert_eq!(drain(&house, &mut a, 5), ["new"]);
    assert_eq!(disk.waiting(), 2, "nothing could be trimmed");
}

#[test]
fn without_the_row_a_message_waits_for_the_member_that_was_chosen() {
    let disk = Disk::new();
    let house = disk.house(|dialect| dialect.set(Divergence::SharedGroupQueue, false));
    member(&house, "a").cut();
    publish(&house, &["1"]);
    assert_eq!(disk.waiting(), 0);
    let mut fresh = house.client("fresh", Version::V5);
    fresh.subscribe(GROUP, ONE);
    assert!(drain(&house, &mut fresh, 3).is_empty());
    let mut a = house.client_with("a", Version::V5, lasting);
    assert_eq!(drain(&house, &mut a, 5), ["1"]);
}

#[derive(Clone, Debug)]
enum Act {
    Publish,
    Come { member: usize, lasts: bool },
    Go(usize),
    Take { member: usize, acknowledges: bool },
    Pass(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Publish),
        3 => (0usize..3, any::<bool>()).prop_map(|(member, lasts)| Act::Come { member, lasts }),
        2 => (0usize..3).prop_map(Act::Go),
        6 => (0usize..3, any::<bool>()).prop_map(|(member, acknowledges)| Act::Take { member, acknowledges }),
        3 => (1u64..300).prop_map(Act::Pass),
        1 => Just(Act::Restart),
    ]
}

/// Members that come and go, and what each message went through.
struct World {
    disk: Disk,
    house: Arc<House>,
    members: [Option<Client>; 3],
    published: u64,
    received: BTreeMap<u64, usize>,
    acknowledged: BTreeSet<u64>,
    /// What was with a member that went, or with the process when it died.
    loose: BTreeSet<u64>,
    held: [Vec<u64>; 3],
}

impl World {
    fn new() -> Self {
        let disk = Disk::new();
        let house = disk.house(|_| {});
        // One member is always away: the group queues.
        member(&house, "keeper").cut();
        let (received, acknowledged, loose) = Default::default();
        let (members, held) = Default::default();
        Self { disk, house, members, published: 0, received, acknowledged, loose, held }
    }

    fn publish(&mut self) {
        self.published += 1;
        let mut publisher = self.house.client("publisher", Version::V5);
        let mut packet = super::house::publish("work", "", ONE, false);
        if let mqtt::Packet::Publish(publish) = &mut packet {
            publish.payload = self.published.to_string().into();
        }
        publisher.send([packet]);
        assert_eq!(publisher.take().len(), 1, "every publish is acknowledged");
        publisher.cut();
    }

    fn come(&mut self, at: usize, lasts: bool) {
        self.go(at);
        let change: fn(&mut Connect) = if lasts { lasting } else { |_| {} };
        let mut client = self.house.client_with(&format!("member-{at}"), Version::V5, change);
        client.send([subscribe(&[(GROUP, ONE)])]);
        self.members[at] = Some(client);
    }

    fn go(&mut self, at: usize) {
        if let Some(mut client) = self.members[at].take() {
            self.take(&mut client, at, false);
            client.cut();
            self.loose.extend(self.held[at].drain(..));
        }
    }

    fn take(&mut self, client: &mut Client, at: usize, acknowledges: bool) {
        for message in client.messages() {
            let number = text(&message).parse().unwrap();
            let before =
                self.received.insert(number, self.received.get(&number).map_or(1, |count| count + 1));
            assert!(before.is_none() || self.loose.contains(&number), "{number} came twice");
            if acknowledges {
                client.ack(message.packet_id);
                self.acknowledged.insert(number);
            } else {
                self.held[at].push(number);
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Publish => self.publish(),
            Act::Come { member, lasts } => self.come(member, lasts),
            Act::Go(member) => self.go(member),
            Act::Take { member, acknowledges } => {
                if let Some(mut client) = self.members[member].take() {
                    self.take(&mut client, member, acknowledges);
                    self.members[member] = Some(client);
                }
            }
            Act::Pass(millis) => self.house.pass_millis(millis),
            Act::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        // What was acknowledged and not trimmed comes again: at least once.
        (0..3).for_each(|at| self.go(at));
        self.loose.extend(1..=self.published);
        self.house = self.disk.house(|_| {});
        block_on(self.house.broker.recover(self.house.now())).unwrap();
    }

    fn finish(mut self) {
        (0..3).for_each(|at| self.go(at));
        let mut last = self.house.client_with("keeper", Version::V5, lasting);
        for _ in 0..self.published / 20 + 10 {
            self.take(&mut last, 0, true);
            self.house.pass_millis(50);
        }
        let missing: Vec<_> = (1..=self.published).filter(|n| !self.acknowledged.contains(n)).collect();
        assert!(missing.is_empty(), "{missing:?} never came");
        settle(&self.house);
        assert_eq!(self.disk.waiting(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever members do, every acknowledged message reaches somebody, and only one, unless that one went.
    #[test]
    fn each_acknowledged_message_reaches_one_member(acts in proptest::collection::vec(act(), 1..60)) {
        let mut world = World::new();
        acts.into_iter().for_each(|act| world.act(act));
        world.finish();
    }
}
