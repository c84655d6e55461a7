//! The log as a whole: what comes out of the writer.

use super::*;
use dialect::{DisconnectReason, Fault};
use events::{
    Client, ConnectRefused, Connected, Disconnected, HandshakeFailed, PublishDenied, PublishIn, Subscribed,
};
use identity::Principal;
use mqtt::{QoS, Version};
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

/// 2026-01-02T03:04:05.678Z
const AT: Timestamp = Timestamp(1_767_323_045_678);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, events: impl FnOnce(&LogObserver)) -> String {
    let page = Page::default();
    let settings = LogSettings {
        format,
        level: Level::Debug,
        account: "123456789012".into(),
        capacity: 4096,
        export: None,
    };
    let (log, thread) = LogObserver::start_with(settings, Box::new(page.clone()), || AT).unwrap();
    events(&log);
    thread.finish();
    String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
}

const HUMAN: Format = Format::Human { colour: false };

fn principal() -> Principal {
    Principal::Plain("tester".into())
}

fn client(principal: &Principal) -> Client<'_> {
    let peer = Some("10.0.0.7:4711".parse().unwrap());
    Client { client_id: "sensor-7", principal, peer, version: Some(Version::V5), standing: 0 }
}

fn denied<'a>(client: Client<'a>, topic: &'a str) -> Event<'a> {
    let decision = &"no statement matched; nearest: statement 2 of policy sensor-policy";
    Event::from(PublishDenied {
        origin: client.into(),
        action: "iot:Publish",
        topic,
        decision,
        remedy: &"allow it",
        trace: Some("t-1"),
    })
}

#[test]
fn a_denial_is_one_line() {
    let who = principal();
    let text = logged(HUMAN, |log| log.observe(AT, &denied(client(&who), "dev/8/data")));
    assert_eq!(
        text,
        "2026-01-02T03:04:05.678Z  DENIED    sensor-7 may not iot:Publish on topic/dev/8/data: no statement matched; \
         nearest: statement 2 of policy sensor-policy -> allow it\n"
    );
}

#[test]
fn colour_only_when_asked() {
    let who = principal();
    let text = logged(Format::Human { colour: true }, |log| log.observe(AT, &denied(client(&who), "a")));
    assert!(text.contains("\x1b[31mDENIED"), "{text:?}");
    let text = logged(HUMAN, |log| log.observe(AT, &denied(client(&who), "a")));
    assert!(!text.contains('\x1b'));
}

#[test]
fn a_refusal_says_what_to_do() {
    let who = principal();
    let refused = ConnectRefused {
        client: client(&who),
        fault: Fault::ClientPacketSizeTooSmall,
        detail: &"256",
        remedy: None,
        trace: None,
    };
    let text = logged(HUMAN, |log| log.observe(AT, &refused.into()));
    assert!(text.ends_with(" -> announce a Maximum Packet Size of at least 512 bytes, or none\n"), "{text}");
}

#[test]
fn names_cannot_forge_lines() {
    let who = principal();
    let forger = Client { client_id: "a\nb\x1b[2J\u{202E}", ..client(&who) };
    let text = logged(HUMAN, |log| log.observe(AT, &denied(forger, "x\r\ny")));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("a\\u{a}b\\u{1b}[2J\\u{202e} may not"), "{text}");
}

#[test]
fn identical_denials_become_a_count() {
    let who = principal();
    let text = logged(HUMAN, |log| {
        for n in 0..1000 {
            log.observe(Timestamp(AT.0 + n), &denied(client(&who), "dev/8/data"));
        }
        log.observe(AT, &denied(client(&who), "dev/9/data"));
    });
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(text.contains("nearest: statement 2 of policy sensor-policy (+999 more in 10 s)"), "{text}");
}

#[test]
fn different_denials_of_one_client_become_a_count_too() {
    let who = principal();
    let text = logged(HUMAN, |log| {
        for n in 0..500 {
            log.observe(AT, &denied(client(&who), &format!("t/{n}")));
        }
    });
    assert!(text.lines().count() <= CLIENT_BURST as usize + 1, "{text}");
    assert!(text.contains("more refusals of sensor-7 (+480 more in 10 s)"), "{text}");
}

#[test]
fn traffic_is_never_held_back() {
    let who = principal();
    let origin = client(&who).into();
    let publish = PublishIn {
        origin,
        topic: "a",
        topic_key: 0,
        qos: QoS::AtLeastOnce,
        retain: true,
        bytes: 3,
        packet_id: Some(1),
        properties: 0,
    };
    let text = logged(HUMAN, |log| (0..50).for_each(|_| log.observe(AT, &publish.into())));
    assert_eq!(text.lines().count(), 50);
    assert!(text.starts_with(
        "2026-01-02T03:04:05.678Z  PUBLISH   sensor-7 published to a (QoS 1, 3 bytes, retained)\n"
    ));
}

/// A writer that does not get on.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_queue_costs_lines_and_no_time() {
    let who = principal();
    let (free, stuck) = std::sync::mpsc::channel();
    let settings = LogSettings { capacity: 4, level: Level::Debug, ..LogSettings::default() };
    let (log, thread) = LogObserver::start(settings, Box::new(Stuck(stuck))).unwrap();
    let origin = client(&who).into();
    let publish = PublishIn {
        origin,
        topic: "a",
        topic_key: 0,
        qos: QoS::AtMostOnce,
        retain: false,
        bytes: 3,
        packet_id: None,
        properties: 0,
    };
    // The buffer takes some, the queue four; a writer that waited would hang here for ever.
    (0..10_000).for_each(|_| log.observe(AT, &publish.into()));
    assert!(log.dropped() > 0);
    drop(free);
    thread.finish();
}

#[test]
fn quiet_levels_are_not_wanted() {
    let settings = LogSettings { level: Level::Warn, ..LogSettings::default() };
    let (log, _thread) = LogObserver::start(settings, Box::new(Page::default())).unwrap();
    let who = principal();
    assert!(log.is_logged(&denied(client(&who), "a")));
    assert!(!log.is_logged(&publish(client(&who))));
    assert!(!log.is_logged(&events::PingAnswered { client: client(&who) }.into()));
    assert!(!log.is_logged(&events::Stopping {}.into()));
}

fn entries(events: impl FnOnce(&LogObserver)) -> Vec<serde_json::Value> {
    logged(Format::Json, events).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_has_the_fields_of_awss_log() {
    let who = principal();
    let [entry] = &entries(|log| log.observe(AT, &denied(client(&who), "dev/8/data")))[..] else { panic!() };
    for (key, value) in [
        ("timestamp", "2026-01-02 03:04:05.678"),
        ("logLevel", "ERROR"),
        ("traceId", "t-1"),
        ("accountId", "123456789012"),
        ("status", "Failure"),
        ("eventType", "Publish-In"),
        ("protocol", "MQTT"),
        ("clientId", "sensor-7"),
        ("principalId", "tester"),
        ("sourceIp", "10.0.0.7"),
        ("topicName", "dev/8/data"),
        ("reason", "AUTHORIZATION_FAILURE"),
        ("event", "publish.denied"),
    ] {
        assert_eq!(entry[key], value, "{key}");
    }
    assert_eq!(entry["sourcePort"], 4711);
    assert!(entry["remedy"].is_string() && entry["details"].as_str().unwrap().contains("nearest"));
}

#[test]
fn json_of_a_connection() {
    let who = principal();
    let connected = Connected {
        thing_name: "sensor",
        client: client(&who),
        keep_alive: 1200,
        session_expiry: 3600,
        clean: false,
        session_present: true,
        session_identifier: "s",
        bytes: 9,
    };
    let ended = Disconnected {
        client: client(&who),
        reason: DisconnectReason::DuplicateClientId,
        fault: Some(Fault::TakenOver),
        detail: &"",
        remedy: None,
        duration: Duration::from_secs(1),
        session_identifier: "s",
        trace: None,
        untold: false,
    };
    let subscribed = Subscribed { client: client(&who), filter: "a/+", qos: QoS::AtLeastOnce };
    let all = entries(|log| {
        [connected.into(), subscribed.into(), ended.into()].iter().for_each(|e| log.observe(AT, e))
    });
    assert_eq!((&all[0]["status"], &all[0]["logLevel"]), (&"Success".into(), &"INFO".into()));
    assert_eq!(all[0]["keepAliveDuration"], 1200);
    assert_eq!(all[0]["thingName"], "sensor");
    assert_eq!(all[0]["cleanSession"], false);
    assert_eq!(all[1]["subscriptions"], serde_json::json!([{"topicName": "a/+", "reasonCode": 1}]));
    assert_eq!((&all[2]["eventType"], &all[2]["status"]), (&"Disconnect".into(), &"Failure".into()));
    assert_eq!(all[2]["disconnectReason"], "DUPLICATE_CLIENTID");
    assert_eq!(all[2]["reason"], "DUPLICATE_CLIENT_ID");
}

#[test]
fn json_of_a_failed_handshake() {
    let failed = HandshakeFailed {
        peer: "10.0.0.7:4711".parse().unwrap(),
        local: Some("10.0.0.1:8883".parse().unwrap()),
        server_name: Some("iot.example"),
        authentication: "AWS_X509",
        certificate_id: Some("abab"),
        reason: "DEVICE_CERTIFICATE_NOT_REGISTERED",
        detail: &"certificate abab is not registered",
        remedy: "register it",
    };
    let all = entries(|log| log.observe(AT, &failed.into()));
    assert_eq!(all[0]["eventType"], "Connection.AuthNError");
    assert_eq!(all[0]["serverNameIndication"], "iot.example");
    assert_eq!(all[0]["targetPort"], 8883);
    assert_eq!(all[0]["remedy"], "register it");
    assert_eq!(all[0]["logLevel"], "ERROR");
}

#[test]
fn new_trace_ids_are_uuids_and_differ() {
    let (log, _thread) = LogObserver::start(LogSettings::default(), Box::new(Page::default())).unwrap();
    let event = Event::from(events::Stopping {});
    let (a, b) = (log.trace(&event), log.trace(&event));
    assert_ne!(a, b);
    let groups: Vec<_> = a.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{a}");
    assert_eq!(a.as_bytes()[14], b'4');
    assert!(matches!(a.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{a}");
}

fn publish<'a>(client: Client<'a>) -> Event<'a> {
    let (origin, qos) = (client.into(), QoS::AtMostOnce);
    PublishIn {
        origin,
        topic: "a",
        topic_key: 0,
        qos,
        retain: false,
        bytes: 3,
        packet_id: None,
        properties: 0,
    }
    .into()
}

fn received<'a>(client: Client<'a>) -> Event<'a> {
    events::SubscribeReceived { client, filters: 1, bytes: 9 }.into()
}

/// A log that says nothing of its own below ERROR, with these levels.
fn levelled(levels: LogLevels) -> (Arc<LogObserver>, LogThread) {
    let settings = LogSettings { level: Level::Error, ..LogSettings::default() };
    let (log, thread) = LogObserver::start(settings, Box::new(Page::default())).unwrap();
    log.set_levels(Some(levels));
    (log, thread)
}

const DEBUG: Threshold = Threshold::From(Level::Debug);
const INFO: Threshold = Threshold::From(Level::Info);
const ERROR: Threshold = Threshold::From(Level::Error);

#[test]
fn levels_are_awss() {
    let who = principal();
    let seen = |threshold| {
        let (log, _thread) = levelled(LogLevels::new(threshold));
        [received(client(&who)), publish(client(&who)), denied(client(&who), "a")].map(|e| log.is_logged(&e))
    };
    assert_eq!(seen(DEBUG), [true, true, true]);
    assert_eq!(seen(INFO), [false, true, true]);
    assert_eq!(seen(Threshold::From(Level::Warn)), [false, false, true]);
    assert_eq!(seen(ERROR), [false, false, true]);
    assert_eq!(seen(Threshold::Silent), [false, false, false]);
}

#[test]
fn the_most_specific_level_decides() {
    let who = principal();
    let event = publish(client(&who));
    let mut levels = LogLevels::new(ERROR);
    let mut steps: Vec<bool> = Vec::new();
    let mut look = |levels: &LogLevels| steps.push(levelled(levels.clone()).0.is_logged(&event));
    look(&levels);
    levels.events.insert("Publish-In".into(), INFO);
    look(&levels);
    levels.member("sensor-7".into(), ERROR);
    look(&levels);
    levels.member("sensor-7".into(), INFO);
    levels.member("sensor-7".into(), Threshold::Silent);
    look(&levels);
    levels.addresses.insert("10.0.0.7".parse().unwrap(), ERROR);
    look(&levels);
    levels.principals.insert("tester".into(), INFO);
    look(&levels);
    levels.clients.insert("sensor-7".into(), Threshold::Silent);
    look(&levels);
    levels.clients.insert("sensor-7".into(), DEBUG);
    look(&levels);
    levels.clients.insert("sensor-7".into(), Threshold::Silent);
    levels.clients.insert("sensor-8".into(), DEBUG);
    look(&levels);
    assert_eq!(steps, [false, true, false, true, false, true, false, true, false]);
}

#[test]
fn pings_are_asked_for() {
    let who = principal();
    let ping = Event::from(events::PingAnswered { client: client(&who) });
    let mut levels = LogLevels::new(DEBUG);
    assert!(!levelled(levels.clone()).0.is_logged(&ping));
    levels.events.insert("Ping".into(), DEBUG);
    assert!(levelled(levels.clone()).0.is_logged(&ping));
    levels.default = ERROR;
    assert!(levelled(levels).0.is_logged(&ping));
}

#[test]
fn the_brokers_own_lines_follow_its_own_level() {
    let silent = || Some(LogLevels::new(Threshold::Silent));
    let (log, _thread) = LogObserver::start(LogSettings::default(), Box::new(Page::default())).unwrap();
    let who = principal();
    log.set_levels(silent());
    assert!(log.is_logged(&events::Stopping {}.into()));
    assert!(!log.is_logged(&denied(client(&who), "a")));
    log.set_levels(None);
    assert!(log.is_logged(&denied(client(&who), "a")) && !log.is_logged(&publish(client(&who))));
}

proptest::proptest! {
    /// What is thrown away by its kind alone would not have been written.
    #[test]
    fn kinds_hide_nothing(default in 0..5usize, single in 0..5usize, place in 0..5usize) {
        let all = [DEBUG, INFO, Threshold::From(Level::Warn), ERROR, Threshold::Silent];
        let mut levels = LogLevels::new(all[default]);
        match place {
            0 => drop(levels.clients.insert("sensor-7".into(), all[single])),
            1 => drop(levels.principals.insert("tester".into(), all[single])),
            2 => drop(levels.addresses.insert("10.0.0.7".parse().unwrap(), all[single])),
            3 => levels.member("sensor-7".into(), all[single]),
            _ => drop(levels.events.insert("Publish-In".into(), all[single])),
        }
        let who = principal();
        let ping = events::PingAnswered { client: client(&who) }.into();
        for event in [received(client(&who)), publish(client(&who)), denied(client(&who), "a"), ping] {
            let kinds = levels.kinds(Level::Error);
            proptest::prop_assert!(kinds.has(event.kind()) || !levels.admits(&event, Level::Error));
        }
    }
}
