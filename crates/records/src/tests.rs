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
    (head, subscriptions, numbers(), 0..1000_u64, numbers(), finished).prop_map(
        |((incarnation, version, expiry, ended), subscriptions, received, seen, released, finished)| {
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
        let session = record.session(&Dialect::oasis());
        let again = SessionRecord::of(&session, &record.incarnation, record.ended);
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
