//! What is remembered, how much of it, and what is made of it.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dialect::{DisconnectReason, Fault};
use events::*;
use identity::CertificateId;
use mqtt::QoS;
use proptest::prelude::*;

use super::*;

const AT: Timestamp = Timestamp(1_800_000_000_000);

fn certificate(letter: &str) -> Principal {
    Principal::Certificate(CertificateId::new(&letter.repeat(64)).unwrap())
}

fn client<'a>(client_id: &'a str, principal: &'a Principal, peer: &str) -> Client<'a> {
    Client {
        client_id,
        principal,
        peer: Some(peer.parse().unwrap()),
        version: Some(mqtt::Version::V311),
        standing: 0,
    }
}

fn recorder(bytes_per_client: usize, bytes: usize) -> Arc<FlightRecorder> {
    FlightRecorder::new(FlightSettings { bytes_per_client, bytes })
}

fn connected(client: Client<'_>) -> Event<'_> {
    let (session_identifier, clean, session_present) = ("s", true, false);
    Connected {
        thing_name: "",
        client,
        keep_alive: 30,
        session_expiry: 0,
        clean,
        session_present,
        session_identifier,
        bytes: 0,
    }
    .into()
}

fn ended<'a>(client: Client<'a>, fault: Fault, detail: &'a dyn Display) -> Event<'a> {
    let (reason, fault, duration) = (fault.disconnect_reason(), Some(fault), Duration::from_secs(2));
    let (session_identifier, trace, remedy, untold) = ("s", None, None, false);
    Disconnected { client, reason, fault, detail, remedy, duration, session_identifier, trace, untold }.into()
}

fn denied<'a>(client: Client<'a>, topic: &'a str, decision: &'a dyn Display) -> Event<'a> {
    let remedy = &"add arn to the Resource of statement 2 of policy P";
    let (origin, action, trace) = (client.into(), "iot:Publish", None);
    PublishDenied { origin, action, topic, decision, remedy, trace }.into()
}

/// Counts how often it is put into words.
struct Counted<'a>(&'a AtomicUsize);

impl Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Ordering::Relaxed);
        f.write_str("no statement matched")
    }
}

#[test]
fn what_befell_a_shared_certificate_before_the_client_came_is_not_the_clients() {
    let (all, who) = (recorder(16_384, 1 << 20), certificate("a"));
    let stranger = client("", &who, "10.0.0.8:1");
    let (fault, later) = (Fault::UnsupportedProtocolVersion, AT + Duration::from_secs(1));
    let refused = ConnectRefused { client: stranger, fault, detail: &"level 132", remedy: None, trace: None };
    all.observe(AT, &refused.into());
    all.observe(later, &connected(client("sensor-7", &who, "10.0.0.7:4000")));
    let why = all.why("sensor-7", later);
    assert_eq!((why.cause, why.timeline.len()), (None, 2), "it is shown, and not blamed");
    assert!(all.why(&"a".repeat(64), later).cause.is_some());
    // Since it came, it may well be its own.
    let refused = ConnectRefused { client: stranger, fault, detail: &"level 132", remedy: None, trace: None };
    all.observe(later + Duration::from_secs(1), &refused.into());
    assert!(all.why("sensor-7", later).cause.is_some());
}

#[test]
fn a_denial_over_https_counts_more_than_the_request_that_tells_it() {
    let (all, who) = (recorder(16_384, 1 << 20), certificate("a"));
    let (peer, key) = ("10.0.0.7:4000".parse().unwrap(), "a".repeat(64));
    let origin = Origin::Http { principal: &who, peer: Some(peer) };
    let (remedy, decision) = (&"add arn to the Resource of statement 2 of policy P", &"no statement matched");
    let (action, topic, trace) = ("iot:Publish", "dev/8", None);
    all.observe(AT, &PublishDenied { origin, action, topic, decision, remedy, trace }.into());
    let (operation, error, message) = ("Publish", "ForbiddenException", &"no statement matched");
    all.observe(AT, &ApiRefused { operation, error, message, access_key: &key, peer }.into());
    let cause = all.why(&key, AT).cause.unwrap();
    assert_eq!((cause.what.as_str(), cause.entry.view.event.as_str()), ("refused", "publish.denied"));
    assert!(
        cause.entry.view.remedy.contains("statement 2 of policy P")
            && cause.then.contains("ForbiddenException")
    );
}

#[test]
fn messages_that_went_with_their_session_were_discarded() {
    let all = recorder(16_384, 1 << 20);
    all.observe(AT, &SessionExpired { client_id: "empty", queued: 0 }.into());
    assert_eq!(all.why("empty", AT).cause, None);
    all.observe(AT, &SessionExpired { client_id: "sensor-7", queued: 3 }.into());
    let cause = all.why("sensor-7", AT).cause.unwrap();
    assert_eq!(cause.what, "discarded");
    assert!(cause.entry.view.remedy.contains("before its session expires"), "{:?}", cause.entry.view);
}

#[test]
fn messages_that_were_sent_again_are_told_together() {
    let (all, who) = (recorder(16_384, 1 << 20), certificate("a"));
    let sensor = client("sensor-7", &who, "10.0.0.7:4000");
    for attempt in 2..5 {
        let again = Redelivered { client: sensor, topic: "dev/7", attempt, bytes: 1, properties: 0 };
        all.observe(AT, &again.into());
    }
    let why = all.why("sensor-7", AT);
    assert!(
        why.hints[0].starts_with("messages of QoS 1 were sent again 3 times, the last on dev/7"),
        "{:?}",
        why.hints
    );
    assert_eq!(why.cause, None, "nobody was refused anything");
}

#[test]
fn a_denied_publish_is_the_cause_of_the_ending_that_follows() {
    let (all, who) = (recorder(16_384, 1 << 20), certificate("a"));
    let sensor = client("sensor-7", &who, "10.0.0.7:4000");
    all.observe(AT, &connected(sensor));
    all.observe(AT, &denied(sensor, "dev/8", &"no statement matched"));
    all.observe(AT, &ended(sensor, Fault::PublishDeniedQos1, &"iot:Publish is not allowed"));
    for subject in ["sensor-7", &"a".repeat(64), "10.0.0.7"] {
        let why = all.why(subject, AT);
        let cause = why.cause.unwrap();
        assert_eq!(cause.what, "refused", "{subject}");
        assert_eq!(cause.entry.view.remedy, "add arn to the Resource of statement 2 of policy P");
        assert!(cause.entry.view.says.contains("sensor-7 may not iot:Publish on topic/dev/8"));
        assert!(cause.then.contains("AUTH_ERROR"), "{}", cause.then);
        assert_eq!(why.timeline.len(), 3);
    }
    assert!(all.why("sensor-8", AT).cause.is_none());
}

#[test]
fn the_same_again_is_counted_and_hardly_formatted() {
    let (all, who, formatted) = (recorder(16_384, 1 << 20), certificate("a"), AtomicUsize::new(0));
    let sensor = client("c", &who, "10.0.0.7:4000");
    for step in 0..1000 {
        all.observe(AT + Duration::from_millis(step), &denied(sensor, "t", &Counted(&formatted)));
    }
    assert_eq!(formatted.load(Ordering::Relaxed), 1);
    let why = all.why("c", AT);
    assert_eq!((why.timeline.len(), why.timeline[0].times), (1, 1000));
    // A policy may have changed meanwhile: the words are made anew once a second.
    all.observe(AT + Duration::from_secs(2), &denied(sensor, "t", &"another reason"));
    assert!(all.why("c", AT).timeline[0].view.says.ends_with("another reason"));
}

#[test]
fn a_shared_client_id_names_both_users() {
    let (all, one, two) = (recorder(16_384, 1 << 20), certificate("a"), certificate("b"));
    for step in 0..6 {
        let (new, old) = match step % 2 {
            0 => (client("c", &one, "10.0.0.7:1"), client("c", &two, "10.0.0.8:1")),
            _ => (client("c", &two, "10.0.0.8:1"), client("c", &one, "10.0.0.7:1")),
        };
        let at = AT + Duration::from_secs(step);
        all.observe(at, &ended(old, Fault::TakenOver, &"the client id connected again"));
        all.observe(at, &connected(new));
    }
    let why = all.why("c", AT);
    assert_eq!(why.cause.unwrap().entry.view.disconnect_reason, "DUPLICATE_CLIENTID");
    let hint = &why.hints[0];
    assert!(hint.contains("10.0.0.7") && hint.contains("10.0.0.8") && hint.contains("6 times"), "{hint}");
}

#[test]
fn who_never_got_a_client_id_is_found_by_certificate_and_address() {
    let all = recorder(16_384, 1 << 20);
    let id = "c".repeat(64);
    let failed = |certificate_id| {
        let (peer, detail, remedy) =
            ("10.0.0.9:1".parse().unwrap(), &"it is INACTIVE", "aws iot update-certificate");
        let (local, server_name, authentication) = (None, None, "AWS_X509");
        let reason = "DEVICE_CERTIFICATE_INACTIVE";
        HandshakeFailed { peer, local, server_name, authentication, certificate_id, reason, detail, remedy }
    };
    all.observe(AT, &failed(Some(id.as_str())).into());
    all.observe(AT, &failed(None).into());
    let by_id = all.why(&id, AT).cause.unwrap();
    assert_eq!(
        (by_id.what.as_str(), by_id.entry.view.remedy.as_str()),
        ("turned away", "aws iot update-certificate")
    );
    assert_eq!(all.why("10.0.0.9", AT).timeline.len(), 2);
}

#[test]
fn a_goodbye_is_no_trouble() {
    let (all, who) = (recorder(16_384, 1 << 20), certificate("a"));
    let client = client("c", &who, "10.0.0.7:1");
    let (reason, session_identifier) = (DisconnectReason::ClientInitiatedDisconnect, "s");
    let (fault, detail, remedy, trace) = (None, &"", None, None);
    let (duration, untold) = (Duration::from_secs(1), false);
    let goodbye =
        Disconnected { client, reason, fault, detail, remedy, duration, session_identifier, trace, untold };
    all.observe(AT, &goodbye.into());
    let why = all.why("c", AT);
    assert!(why.cause.is_none() && why.timeline.len() == 1);
}

#[test]
fn every_kind_that_is_kept_comes_back_as_it_was() {
    let who = certificate("a");
    let c = client("c", &who, "10.0.0.7:1");
    let (detail, remedy, topic, trace) = (&"detail" as &dyn Display, &"remedy" as &dyn Display, "t/1", None);
    let (origin, certificate_id, peer) = (Origin::Client(c), "ab", "10.0.0.7:1".parse().unwrap());
    let (fault, decision, ca_certificate_id, packet) = (Fault::TooManyFilters, detail, "", "PUBLISH");
    let all: Vec<Event<'_>> = vec![
        connected(c),
        ended(c, Fault::Malformed, detail),
        ConnectRefused { client: c, fault, detail, remedy: Some(remedy), trace }.into(),
        PublishRefused { origin, topic, fault, detail, trace }.into(),
        denied(c, topic, detail),
        ReceiveDenied { client: c, topic, decision, remedy }.into(),
        DeliveryDropped { client_id: "c", topic, why: DropReason::QueueFull }.into(),
        DirectMessageRefused { origin, client_id: "c", topic, reason: "INVALID_TOPIC", detail }.into(),
        Redelivered { client: c, topic, attempt: 3, bytes: 0, properties: 0 }.into(),
        Subscribed { client: c, filter: "f", qos: QoS::AtLeastOnce }.into(),
        SubscribeRefused { client: c, filter: "f", fault, detail, trace }.into(),
        SubscribeDenied { client: c, filter: "f", decision, remedy, trace }.into(),
        Unsubscribed { client: c, filter: "f", existed: true }.into(),
        ThrottleExceeded { client: c, quota: "publishes-per-connection", value: 100 }.into(),
        WillPublished { client: c, topic, bytes: 0, properties: 0, retain: false }.into(),
        WillRefused { client: c, topic, decision, remedy }.into(),
        SessionResumed { client: c, subscriptions: 2, queued: 3 }.into(),
        SessionExpired { client_id: "c", queued: 4 }.into(),
        ReservedUnserved { origin, topic, missing: detail }.into(),
        DivergenceObserved {
            divergence: dialect::Divergence::NoQos2,
            client_id: "c",
            client: Some(c),
            packet,
            detail,
        }
        .into(),
        PolicyReloaded { principal: &who, epoch: 5 }.into(),
        CertificateDeactivated { principal: &who, status: "INACTIVE" }.into(),
        CredentialRevoked { principal: &who, reason: "it is gone" }.into(),
        CertificateNotRegistered { certificate_id, detail, remedy: "r" }.into(),
        ProvisioningFailed { certificate_id, ca_certificate_id, detail, remedy: "r", is_ours: true }.into(),
        ConnectionRefusedLimit { listener: "mqtt", peer, limit: 7 }.into(),
        ApiRefused {
            operation: "CreateThing",
            error: "AccessDeniedException",
            message: detail,
            access_key: "AKIA",
            peer,
        }
        .into(),
    ];
    let nobody = Principal::Plain("".into());
    let mut seen = KindSet::NONE.with(Kind::HandshakeFailed);
    for event in &all {
        seen = seen.with(event.kind());
        let whom = Whom::of(event);
        let outline = record::Outline::of(event);
        let record = Record::new(AT, event, &whom, outline, None);
        assert!(record.says(event, &whom, &outline), "{event:?}");
        let again = record
            .event(event.client_id(), &nobody)
            .unwrap_or_else(|| panic!("{event:?} does not come back"));
        assert_eq!(EventView::of(AT, &again), EventView::of(AT, event));
    }
    assert!(KINDS.iter().all(|kind| seen.has(*kind)), "a kind is not tried here");
}

#[test]
fn nothing_is_kept_if_nothing_may_be() {
    assert_eq!(recorder(16_384, 0).wanted(), KindSet::NONE);
}

/// Also if the two have their room in the same shard, which is drawn at the start: so there are many starts.
#[test]
fn a_flood_pushes_out_its_own_past_and_not_that_of_others() {
    const ROOM: usize = 256 * 1024;
    for _ in 0..32 {
        let (all, who) = (recorder(1 << 20, ROOM), certificate("a"));
        let quiet = client("quiet", &who, "10.0.0.7:1");
        all.observe(AT, &denied(quiet, "t", &"no"));
        for number in 0..2000 {
            let loud = client("loud", &who, "10.0.0.8:1");
            let topic = format!("t/{number}");
            all.observe(AT + Duration::from_secs(number), &denied(loud, &topic, &"no"));
        }
        assert_eq!(all.why("quiet", AT).timeline.len(), 1);
        let kept = all.size().1;
        assert!((ROOM / 64..=ROOM).contains(&kept), "{kept} bytes: a shard is full");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_room_is_kept(steps in proptest::collection::vec((0..40_u8, 0..30_u8, 0..200_usize), 0..400)) {
        let (all, who) = (recorder(4096, 64 * 1024), certificate("a"));
        for (step, (id, topic, long)) in steps.iter().enumerate() {
            let (id, topic) = (format!("c{id}"), format!("t{topic}{}", "x".repeat(*long)));
            let event_at = AT + Duration::from_millis(step as u64 * 10);
            all.observe(event_at, &denied(client(&id, &who, "10.0.0.7:1"), &topic, &"no"));
            let why = all.why(&id, event_at);
            let bytes: usize = why.timeline.iter().map(|entry| entry.view.says.len()).sum();
            prop_assert!(bytes <= 4096 + 1024);
            prop_assert!(!why.timeline.is_empty(), "what was just told is there");
        }
        prop_assert!(all.size().1 <= 64 * 1024);
    }
}
