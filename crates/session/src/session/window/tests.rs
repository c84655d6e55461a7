//! The window against a plain list: whatever is kept by copy comes back as it was, and is found where it stands.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::session::Place;

/// A message as the list has it: its identifier, QoS, number, length, and when it was sent.
type Listed = (u16, QoS, u32, usize, Timestamp);

fn offer(number: u32, bytes: usize, whole: bool, qos: QoS) -> Offer {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(bytes.max(4), 7);
    let message = Message {
        topic: TopicName::try_from(format!("t/{number}")).unwrap(),
        payload: Bytes::from(payload),
        qos,
        retain: number.is_multiple_of(2),
        properties: Carried::default(),
        expires_at: None,
        published_by_v5: number.is_multiple_of(3),
    };
    Offer {
        parcel: Arc::new(Parcel::new(message)),
        qos,
        retain: number.is_multiple_of(5),
        share_name: None,
        place: whole.then_some(Place { number: u64::from(number), is_backlog: false }),
        group: None,
        identifiers: SmallVec::new(),
    }
}

/// What the window would send again; it must be what was put in.
fn listed(sent: &InFlight) -> Listed {
    let message = &sent.offer.parcel.message;
    let number = u32::from_be_bytes(message.payload.get(..4).unwrap().try_into().unwrap());
    let again = offer(number, message.payload.len(), sent.offer.place.is_some(), sent.offer.qos);
    assert_eq!(*message, again.parcel.message);
    assert_eq!((sent.offer.retain, sent.offer.place), (again.retain, again.place));
    (sent.packet_id.get(), sent.offer.qos, number, message.payload.len(), sent.times().1)
}

fn all(window: &mut Window) -> Vec<Listed> {
    window.unfold();
    window.whole().map(listed).collect()
}

#[derive(Clone, Debug)]
enum Move {
    Send { bytes: usize, whole: bool, exact: bool, id: Option<u16> },
    Acknowledge { at: usize },
    Drop { every: usize },
    DropWhole,
    Renumber { to: u16 },
    Look,
}

fn any_move() -> impl Strategy<Value = Move> {
    let id = proptest::option::weighted(0.05, 1u16..200);
    let send = (4usize..300, proptest::bool::weighted(0.1), proptest::bool::weighted(0.05), id)
        .prop_map(|(bytes, whole, exact, id)| Move::Send { bytes, whole, exact, id });
    prop_oneof![
        20 => send,
        8 => Just(Move::Acknowledge { at: 0 }),
        6 => (0usize..20).prop_map(|at| Move::Acknowledge { at }),
        1 => (2usize..5).prop_map(|every| Move::Drop { every }),
        1 => Just(Move::DropWhole),
        1 => (300u16..400).prop_map(|to| Move::Renumber { to }),
        1 => Just(Move::Look),
    ]
}

/// As the session would choose it, from an identifier near the end of their range.
fn next_id(window: &Window, last: &mut u16) -> PacketId {
    loop {
        *last = last.checked_add(1).unwrap_or(1);
        let id = PacketId::new(*last).unwrap();
        if !window.uses(id) {
            return id;
        }
    }
}

fn sent(window: &mut Window, offer: &Offer, id: PacketId, now: Timestamp) {
    let message = &offer.parcel.message;
    let bytes = message.payload.len() + message.topic.as_str().len();
    let is_small = bytes <= COPIED_UP_TO && offer.place.is_none();
    let copied = window.copy(id, offer, now);
    assert!(!copied || (is_small && offer.qos == QoS::AtLeastOnce));
    if !copied {
        window.add(Box::new(InFlight::new(id, offer.waiting(), now)));
    }
}

proptest! {
    #[test]
    fn it_is_a_list(moves in proptest::collection::vec(any_move(), 1..200), from in 65_500u16..) {
        let (mut window, mut list) = (Window::default(), Vec::<Listed>::new());
        let (mut last, mut number) = (from, 0u32);
        for one in moves {
            number += 1;
            let now = Timestamp(u64::from(number));
            match one {
                Move::Send { bytes, whole, exact, id } => {
                    let own = id.and_then(PacketId::new).filter(|id| !window.uses(*id));
                    let id = own.unwrap_or_else(|| next_id(&window, &mut last));
                    prop_assert!(list.iter().all(|(used, ..)| *used != id.get()));
                    let qos = if exact { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
                    sent(&mut window, &offer(number, bytes, whole, qos), id, now);
                    list.push((id.get(), qos, number, bytes, now));
                }
                Move::Acknowledge { at } => {
                    let Some((id, qos, ..)) = list.get(at).copied() else { continue };
                    let id = PacketId::new(id).unwrap();
                    prop_assert_eq!(window.find(id, qos), Some(at));
                    let other = if qos == QoS::ExactlyOnce { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                    prop_assert_eq!(window.find(id, other), None);
                    if let Some(Sent::Whole(whole)) = window.remove(at) {
                        prop_assert_eq!(listed(&whole), list[at]);
                    }
                    list.remove(at);
                    prop_assert!(!window.uses(id));
                }
                Move::Drop { every } => {
                    let (mut nth, mut same) = (0, 0);
                    window.retain(|_| { nth += 1; nth % every != 0 });
                    list.retain(|_| { same += 1; same % every != 0 });
                }
                Move::DropWhole => {
                    let mut gone = Vec::new();
                    window.retain_whole(|sent| { gone.push(sent.packet_id.get()); false });
                    list.retain(|one| !gone.contains(&one.0));
                    prop_assert!(list.iter().all(|one| one.1 == QoS::AtLeastOnce && one.3 < COPIED_UP_TO));
                    prop_assert_eq!(window.whole().count(), 0);
                }
                Move::Renumber { to } => {
                    let to = PacketId::new(to).unwrap();
                    if window.uses(to) {
                        continue;
                    }
                    let mut first = None;
                    let done = window.renumber(to, |sent| { first = Some(sent.packet_id.get()); true });
                    let same = list.iter_mut().find(|one| Some(one.0) == first);
                    prop_assert_eq!(done, same.is_some());
                    same.into_iter().for_each(|one| one.0 = to.get());
                }
                Move::Look => prop_assert_eq!(&all(&mut window), &list),
            }
            prop_assert_eq!(window.len(), list.len());
            let first = list.iter().map(|one| one.4).min().unwrap_or(Timestamp::NEVER);
            prop_assert!(list.is_empty() || window.since().0 <= first);
        }
        prop_assert_eq!(&all(&mut window), &list);
        window.retain(|_| true);
        let first = list.iter().map(|one| one.4).min().unwrap_or(Timestamp::NEVER);
        prop_assert_eq!(window.since(), (first, first));
    }
}

/// Acknowledged in order, the moment of the next retry is exact, and the buffer goes when nothing is on its way.
#[test]
fn acknowledgements_in_order_leave_nothing_behind() {
    let (mut window, mut last) = (Window::default(), 0);
    for number in 0..10 {
        let id = next_id(&window, &mut last);
        sent(&mut window, &offer(number, 20, false, QoS::AtLeastOnce), id, Timestamp(number.into()));
    }
    for number in 1..=10 {
        let at = window.find(PacketId::new(number).unwrap(), QoS::AtLeastOnce).unwrap();
        assert!(matches!(window.remove(at), Some(Sent::Copied(_))));
        let next = if number < 10 { Timestamp(number.into()) } else { Timestamp::NEVER };
        assert_eq!(window.since(), (next, next));
    }
    assert_eq!((window.len(), window.ink.capacity()), (0, 0));
}
