use dialect::Dialect;
use mqtt::{Message, TopicName};
use proptest::prelude::*;

use super::*;

fn session_record() -> impl Strategy<Value = SessionRecord> {
    let filter = prop_oneof![
        "[a-z]{1,4}(/[a-z]{1,4}){0,3}",
        Just("a/+/#".to_owned()),
        "\\$share/[a-z]{1,3}/[a-z]{1,3}"
    ];
    let subscription = (filter, 0..=2_u8, any::<[bool; 2]>(), proptest::option::of(1..=268_435_455_u32));
    let subscription = subscription.prop_map(|(filter, qos, [no_local, retain_as_published], identifier)| {
        SubscriptionRecord { filter, qos, no_local, retain_as_published, identifier }
    });
    let subscriptions = proptest::collection::btree_map("[a-z]{1,3}", subscription, 0..5);
    let numbers = || proptest::collection::btree_set(1..=65_535_u16, 0..4);
    let finished = proptest::collection::btree_set(1..1000_u64, 0..4);
    let head = ("[0-9a-f]{8}", prop_oneof![Just(4_u8), Just(5)], any::<u32>(), any::<Option<u32>>());
    (head, subscriptions, numbers(), 0..1000_u64, numbers(), finished, 0..9_u64).prop_map(
        |(
            (incarnation, version, expiry, ended),
            subscriptions,
            received,
            seen,
            released,
            finished,
            next_version,
        )| {
            let mut subscriptions: Vec<_> = subscriptions.into_values().collect();
            subscriptions.sort_by(|one, other| one.filter.cmp(&other.filter));
            subscriptions.dedup_by(|one, other| one.filter == other.filter);
            SessionRecord {
                incarnation,
                version,
                expiry,
                ended: ended.map(|millis| Timestamp(millis.into())),
                subscriptions,
                received: received.into_iter().collect(),
                seen,
                released: released.into_iter().collect(),
                finished: finished.into_iter().collect(),
                next_version,
                connection: None,
            }
        },
    )
}

/// Whatever order a session keeps things in.
fn sorted(mut record: SessionRecord) -> SessionRecord {
    record.subscriptions.sort_by(|one, other| one.filter.cmp(&other.filter));
    record.received.sort_unstable();
    record.released.sort_unstable();
    record.finished.sort_unstable();
    record
}

proptest! {
    #[test]
    fn a_session_comes_back_as_it_was_written(record in session_record()) {
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(&serde_json::from_str::<SessionRecord>(&text).unwrap(), &record);
        let session = record.session(&Dialect::oasis()).unwrap();
        let next_version = record.next_version;
        let again = SessionRecord { next_version, ..SessionRecord::of(&session, &record.incarnation, record.ended) };
        prop_assert_eq!(sorted(again), sorted(record));
    }

    #[test]
    fn a_journal_says_whose_it_is(id in "[a-c$é]{1,4}", incarnation in "[0-9a-f]{0,4}") {
        let client_id = ClientId::new(&id).unwrap();
        let whose = Some((client_id.clone(), incarnation.clone()));
        prop_assert_eq!(owner(&journal_key(&client_id, &incarnation)), whose.clone());
        prop_assert_eq!(owner(&received_key(&client_id, &incarnation)), whose);
        prop_assert_eq!(owner(&Key::of(&["$group", client_id.as_str(), &incarnation])), None);
    }

    #[test]
    fn a_retained_message_comes_back(topic in "[a-z/]{1,9}", payload in ".{1,20}", stored: u64, expires: Option<u64>) {
        let message = Message {
            topic: TopicName::try_from(topic.as_str()).unwrap(),
            payload: payload.into_bytes().into(),
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: mqtt::Carried::default(),
            expires_at: expires,
            published_by_v5: true,
        };
        let (stored, value) = (Timestamp(stored), RetainedRecord::encode(&message, Timestamp(stored)));
        prop_assert_eq!(RetainedRecord::decode(&value), Some(RetainedRecord { stored, message }));
        prop_assert_eq!(RetainedRecord::decode(&value[..value.len() - 1]), None);
    }

    #[test]
    fn what_is_no_record_is_an_error_and_no_panic(text in ".{0,60}", message in "[0-9a-z\u{e4}]{0,9}") {
        drop(serde_json::from_str::<SessionRecord>(&text));
        drop(serde_json::from_str::<WillRecord>(&text));
        let will = format!(r#"{{"principal":{{"Plain":"p"}},"peer":"127.0.0.1:1","server_name":null,"expiry":1,"message":"{message}"}}"#);
        let is_hexadecimal = message.len().is_multiple_of(2) && message.bytes().all(|byte| byte.is_ascii_hexdigit());
        prop_assert_eq!(serde_json::from_str::<WillRecord>(&will).is_ok(), is_hexadecimal);
    }
}

/// As many and as long as a session takes, whatever stands in them, with all that may stand beside them.
#[test]
fn as_many_subscriptions_as_a_session_takes_fit_into_its_record() {
    for (unit, length) in [("x", 900), ("\u{1}", 300), ("\"", 9), ("\u{20ac}\n", 40), ("y", 1)] {
        let mut session = Session::recovered(Version::V5, 9, &Dialect::oasis());
        let ids = (1..=u16::MAX).collect::<Vec<_>>();
        let (received, finished) =
            (ids[..2000].to_vec(), (0..4096).map(|number| u64::MAX - number).collect());
        session.restore_exactly_once(&ExactlyOnce { received, seen: u64::MAX, released: ids, finished });
        let mut full = None;
        for number in 0..20_000 {
            let filter = TopicFilter::try_from(format!("{number}/{}", unit.repeat(length))).unwrap();
            let (identifier, qos) = (Some(268_435_455), QoS::ExactlyOnce);
            let known = Subscription { filter, qos, no_local: true, retain_as_published: true, identifier };
            if !session.has_room_for(&known) {
                full = Some(number);
                break;
            }
            session.subscribe(known);
        }
        assert!(full.is_some_and(|number| number > 200), "{full:?}");
        let record =
            SessionRecord { next_version: u64::MAX, ..SessionRecord::of(&session, &"i".repeat(36), None) };
        let bytes = serde_json::to_vec(&record).unwrap().len();
        assert!(bytes <= store::Batch::MAX_VALUE_BYTES, "{bytes} bytes");
    }
}

#[test]
fn what_the_first_version_wrote_is_read() {
    let text = r#"{"incarnation":"i","version":4,"expiry":3600,"ended":null,"subscriptions":[{"filter":"a/+","qos":1}]}"#;
    let record: SessionRecord = serde_json::from_str(text).unwrap();
    assert_eq!((record.seen, record.received.len(), record.subscriptions.len()), (0, 0, 1));
    assert_eq!(
        serde_json::to_string(&record).unwrap(),
        text,
        "and what has no new parts is written as before"
    );
}

#[test]
fn a_grant_that_cannot_be_read_is_none() {
    let record = GrantRecord { authorizer: "a".to_owned(), documents: vec!["{".to_owned()] };
    assert!(record.grant().is_none());
}
