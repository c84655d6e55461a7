use std::collections::BTreeMap;

use dialect::Rate;
use mqtt::{Carried, Message, QoS, TopicName};
use proptest::prelude::*;
use smallvec::SmallVec;

use super::*;
use crate::Parcel;

const NOON: Timestamp = Timestamp(1_700_000_000_000);
const LANES: [Lane; 2] = [Lane::Live, Lane::Queued];

fn offer(lane: Lane, number: u64, until: Timestamp) -> Offer {
    let message = Message {
        topic: TopicName::try_from("t").unwrap(),
        payload: number.to_string().into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Carried::default(),
        expires_at: None,
        published_by_v5: true,
    };
    Offer {
        parcel: Arc::new(Parcel::new(message)),
        qos: QoS::AtLeastOnce,
        retain: false,
        share_name: Some("g".into()),
        place: None,
        group: Some(Arc::new(GroupPlace { group: "$share/g/t".into(), lane, number, until })),
        identifiers: SmallVec::new(),
    }
}

fn fill(queue: &mut Queue, lane: Lane, numbers: std::ops::RangeInclusive<u64>) {
    let last = *numbers.end();
    numbers.clone().for_each(|_| assert!(queue.announce(lane, 1000)));
    queue.arrived(lane, last);
    let reading = queue.next_read(lane).unwrap();
    let page = numbers.map(|number| (number, Some(offer(lane, number, Timestamp::NEVER)))).collect();
    queue.take_page(lane, reading, page);
}

fn due(queue: &mut Queue) -> Option<u64> {
    queue.next_queued().and_then(|due| number(&due.offer))
}

#[test]
fn everybody_can_be_the_first_and_all_are_tried() {
    let members = ["a", "b", "c"];
    for (random, order) in [(0, ["a", "b", "c"]), (1, ["b", "c", "a"]), (5, ["c", "a", "b"])] {
        assert_eq!(from_random(&members, random).copied().collect::<Vec<_>>(), order);
    }
    assert_eq!(from_random::<u8>(&[], 7).count(), 0);
}

#[test]
fn a_full_queue_takes_no_more_and_keeps_the_old() {
    let mut queue = Queue::default();
    assert!(queue.announce(Lane::Queued, 2) && queue.announce(Lane::Queued, 2));
    assert!(!queue.announce(Lane::Queued, 2));
    assert!(queue.announce(Lane::Live, 2), "what goes out at once does not queue");
    assert_eq!(queue.waiting(), 3);
}

#[test]
fn a_group_begins_behind_what_an_earlier_one_left() {
    let queue = Queue::after(7, 0);
    assert_eq!(queue.next_read(Lane::Live).unwrap().after, 7);
    assert_eq!(queue.next_read(Lane::Queued).unwrap().after, 0);
    assert_eq!((queue.last(Lane::Live), queue.last(Lane::Queued)), (7, 0));
}

#[test]
fn what_expired_behind_one_that_waits_is_told_of_once() {
    let mut queue = Queue::default();
    (1..=3).for_each(|_| assert!(queue.announce(Lane::Queued, 10)));
    queue.arrived(Lane::Queued, 3);
    let mut told = Vec::new();
    for _ in 0..3 {
        let reading = queue.next_read(Lane::Queued).unwrap();
        let until = |number| if number == 2 { NOON } else { Timestamp::NEVER };
        let page = (1..=3).map(|number| (number, Some(offer(Lane::Queued, number, until(number)))));
        queue.take_page(Lane::Queued, reading, page.collect());
        told.extend(queue.expire(NOON).iter().filter_map(number));
        assert_eq!(queue.waiting(), 2);
        queue.unload();
    }
    assert_eq!(told, [2]);
    let reading = queue.next_read(Lane::Queued).unwrap();
    let page = (1..=3).map(|number| (number, Some(offer(Lane::Queued, number, Timestamp::NEVER))));
    queue.take_page(Lane::Queued, reading, page.collect());
    assert_eq!([due(&mut queue), due(&mut queue), due(&mut queue)], [Some(1), Some(3), None]);
}

#[test]
fn a_member_drains_twenty_in_a_second() {
    let (mut queue, rate) = (Queue::default(), Rate::per_second(20));
    fill(&mut queue, Lane::Queued, 1..=100);
    let mut sent = [0; 2];
    for milli in 0..1000 {
        let now = NOON + Duration::from_millis(milli);
        for (member, count) in [(7, 0), (8, 1)] {
            if queue.drains_at(member) <= now && due(&mut queue).is_some() {
                queue.drained(member, rate, now);
                sent[count] += 1;
            }
        }
    }
    assert_eq!(sent, [20, 20]);
    queue.keep_members(|member| member == 7);
    assert_eq!(queue.drains_at(8), Timestamp::default());
}

#[test]
fn what_a_member_left_goes_first_and_settled_messages_do_not_come_back() {
    let mut queue = Queue::default();
    fill(&mut queue, Lane::Queued, 1..=3);
    let first = queue.next_queued().unwrap().offer;
    let second = queue.next_queued().unwrap().offer;
    queue.settle(second.group.as_deref().unwrap());
    queue.come_back(second);
    queue.come_back(first);
    assert_eq!([due(&mut queue), due(&mut queue), due(&mut queue)], [Some(1), Some(3), None]);
}

#[test]
fn a_live_message_that_finds_nobody_sends_the_next_ones_to_the_queue() {
    let mut queue = Queue::default();
    assert_eq!((queue.lane(true), queue.lane(false)), (Lane::Live, Lane::Queued));
    fill(&mut queue, Lane::Live, 1..=1);
    let due = queue.next_live().unwrap();
    queue.give_back(due);
    assert_eq!(queue.lane(true), Lane::Queued);
    assert!(queue.next_live().is_some() && queue.next_live().is_none());
    assert_eq!(queue.lane(true), Lane::Live);
}

#[test]
fn what_was_kept_long_enough_is_dropped() {
    let mut queue = Queue::default();
    let reading = queue.next_read(Lane::Queued).unwrap();
    let page =
        (1..=4).map(|number| (number, Some(offer(Lane::Queued, number, NOON + Duration::from_secs(number)))));
    queue.take_page(Lane::Queued, reading, page.collect());
    let over = queue.expire(NOON + Duration::from_secs(2));
    assert_eq!(over.iter().filter_map(number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(due(&mut queue), Some(3));
}

#[test]
fn an_empty_page_is_the_end_unless_something_came_meanwhile() {
    let mut queue = Queue::default();
    let reading = queue.next_read(Lane::Queued).unwrap();
    queue.arrived(Lane::Queued, 5);
    queue.take_page(Lane::Queued, reading, Vec::new());
    let reading = queue.next_read(Lane::Queued).expect("record 5 may not have been in the page");
    queue.take_page(Lane::Queued, reading, Vec::new());
    assert_eq!(queue.next_read(Lane::Queued), None);
}

#[derive(Clone, Debug)]
enum Act {
    Publish { live: bool },
    Read(Lane, usize),
    Give { live: bool, member: usize },
    Refuse { live: bool },
    Acknowledge(usize),
    Leave,
    Unload,
    Trim,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let lane = || prop_oneof![Just(Lane::Live), Just(Lane::Queued)];
    prop_oneof![
        6 => any::<bool>().prop_map(|live| Act::Publish { live }),
        6 => (lane(), 1usize..5).prop_map(|(lane, limit)| Act::Read(lane, limit)),
        6 => (any::<bool>(), 0usize..3).prop_map(|(live, member)| Act::Give { live, member }),
        1 => any::<bool>().prop_map(|live| Act::Refuse { live }),
        5 => (0usize..3).prop_map(Act::Acknowledge),
        1 => Just(Act::Leave),
        1 => Just(Act::Unload),
        2 => Just(Act::Trim),
        1 => Just(Act::Restart),
    ]
}

/// A journal of two rows, and members who hold what they were given.
#[derive(Default)]
struct World {
    queue: Queue,
    rows: BTreeMap<(Lane, u64), ()>,
    last: u64,
    held: Vec<(usize, Offer)>,
    settled: BTreeSet<(Lane, u64)>,
}

fn key(offer: &Offer) -> (Lane, u64) {
    offer.group.as_ref().map(|place| (place.lane, place.number)).unwrap()
}

impl World {
    fn read(&mut self, lane: Lane, limit: usize) {
        let Some(reading) = self.queue.next_read(lane) else { return };
        let after = self.rows.range((lane, reading.after + 1)..=(lane, u64::MAX)).take(limit);
        let page = after.map(|((_, number), ())| (*number, Some(offer(lane, *number, Timestamp::NEVER))));
        let page = page.collect();
        self.queue.take_page(lane, reading, page);
    }

    fn next(&mut self, live: bool) -> Option<Due> {
        if live { self.queue.next_live() } else { self.queue.next_queued() }
    }

    fn give(&mut self, live: bool, member: usize) -> Result<bool, TestCaseError> {
        let Some(due) = self.next(live) else { return Ok(false) };
        let key = key(&due.offer);
        prop_assert!(self.held.iter().all(|(_, held)| self::key(held) != key), "{key:?} went to two members");
        prop_assert!(!self.settled.contains(&key), "{key:?} came again after it was acknowledged");
        self.held.push((member, due.offer));
        Ok(true)
    }

    fn trim(&mut self) -> Result<(), TestCaseError> {
        for lane in LANES {
            let Some(upto) = self.queue.trim(lane) else { continue };
            let gone: Vec<_> = self.rows.range((lane, 0)..=(lane, upto)).map(|(key, ())| *key).collect();
            for key in gone {
                prop_assert!(self.settled.contains(&key), "{key:?} was forgotten");
                self.rows.remove(&key);
            }
        }
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), TestCaseError> {
        match act {
            Act::Publish { live } => {
                let lane = self.queue.lane(live);
                prop_assert!(self.queue.announce(lane, 10_000));
                self.last += 2;
                self.rows.insert((lane, self.last), ());
                self.queue.arrived(lane, self.last);
            }
            Act::Read(lane, limit) => self.read(lane, limit),
            Act::Give { live, member } => self.give(live, member).map(|_| ())?,
            Act::Refuse { live } => {
                if let Some(due) = self.next(live) {
                    self.queue.give_back(due);
                }
            }
            Act::Acknowledge(at) if at < self.held.len() => self.acknowledge(at),
            Act::Acknowledge(_) => {}
            Act::Leave => {
                std::mem::take(&mut self.held).into_iter().for_each(|(_, offer)| self.queue.come_back(offer))
            }
            Act::Unload => self.queue.unload(),
            Act::Trim => self.trim()?,
            Act::Restart => {
                // A restart brings again what was acknowledged and not trimmed: at least once.
                self.held.clear();
                self.settled.clear();
                self.queue = Queue::default();
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, at: usize) {
        let (_, offer) = self.held.remove(at);
        self.settled.insert(key(&offer));
        self.queue.settle(offer.group.as_deref().unwrap());
    }
}

proptest! {
    /// Whatever happens: no message is with two members at a time, none comes again after it was acknowledged, none is
    /// forgotten before, and in the end each has been handed out.
    #[test]
    fn each_message_goes_to_one_member_and_none_is_lost(acts in proptest::collection::vec(act(), 1..200)) {
        let mut world = World::default();
        for act in acts {
            world.act(act)?;
        }
        world.act(Act::Leave)?;
        for _ in 0..1000 {
            LANES.into_iter().for_each(|lane| world.read(lane, 64));
            while world.give(true, 0)? || world.give(false, 0)? {
                world.acknowledge(0);
            }
        }
        world.trim()?;
        prop_assert!(world.rows.keys().all(|key| world.settled.contains(key)), "{:?} was never handed out", world.rows);
        prop_assert!(!world.queue.has_work());
        prop_assert_eq!(world.queue.waiting(), 0);
    }
}
