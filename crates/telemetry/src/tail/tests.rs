//! Readers: what they see, and what they lose.

use std::time::Duration;

use events::{Client, Connected, PingAnswered, PublishDenied, Stopping, Subscribed};
use identity::Principal;
use mqtt::QoS;

use super::*;

const AT: Timestamp = Timestamp(1_800_000_000_000);

fn connected<'a>(client_id: &'a str, principal: &'a Principal) -> Event<'a> {
    let client =
        Client { client_id, principal, peer: Some(([10, 0, 0, 7], 1).into()), version: None, standing: 0 };
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

fn block_on<F: std::future::Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn read(tail: &Tail, id: &str) -> TailAnswer {
    block_on(tail.read(id, Duration::ZERO, AT)).unwrap()
}

fn open(tail: &Tail, filter: TailFilter) -> String {
    tail.open(filter.ready().unwrap(), AT).unwrap()
}

#[test]
fn a_reader_sees_what_fits_from_now_on() {
    let (tail, who) = (Tail::new(), Principal::Plain("p".into()));
    tail.observe(AT, &connected("too-early", &who));
    let all = open(&tail, TailFilter::default());
    let mine = open(&tail, TailFilter { client: "sensor-*".into(), ..TailFilter::default() });
    let there = open(&tail, TailFilter { subject: "10.0.0.7".into(), ..TailFilter::default() });
    let elsewhere = open(&tail, TailFilter { subject: "10.0.0.8".into(), ..TailFilter::default() });
    tail.observe(AT, &connected("sensor-7", &who));
    tail.observe(AT, &connected("other", &who));
    let ids = |id: &str| -> Vec<String> { read(&tail, id).events.into_iter().map(|e| e.client_id).collect() };
    assert_eq!(ids(&all), ["sensor-7", "other"]);
    assert_eq!(ids(&mine), ["sensor-7"]);
    assert_eq!(ids(&there), ["sensor-7", "other"]);
    assert!(ids(&elsewhere).is_empty() && ids(&all).is_empty());
}

#[test]
fn topics_and_reasons_filter() {
    let (tail, who) = (Tail::new(), Principal::Plain("p".into()));
    let client = Client { client_id: "c", principal: &who, peer: None, version: None, standing: 0 };
    let topic = open(&tail, TailFilter { topic: "a/+".into(), ..TailFilter::default() });
    let reason = open(&tail, TailFilter { reason: "authorization_failure".into(), ..TailFilter::default() });
    let (decision, remedy, trace) = (&"no", &"yes", None);
    let denied =
        PublishDenied { origin: client.into(), action: "iot:Publish", topic: "a/b", decision, remedy, trace };
    tail.observe(AT, &denied.into());
    tail.observe(AT, &Subscribed { client, filter: "a/+", qos: QoS::AtMostOnce }.into());
    tail.observe(AT, &Subscribed { client, filter: "b/#", qos: QoS::AtMostOnce }.into());
    let kinds = |id: &str| -> Vec<String> { read(&tail, id).events.into_iter().map(|e| e.event).collect() };
    assert_eq!(kinds(&topic), ["publish.denied", "subscribe.accepted"]);
    assert_eq!(kinds(&reason), ["publish.denied"]);
}

#[test]
fn a_slow_reader_loses_and_is_told_how_many() {
    let (tail, who) = (Tail::new(), Principal::Plain("p".into()));
    let id = open(&tail, TailFilter::default());
    for _ in 0..MOST_WAITING + 5 {
        tail.observe(AT, &connected("c", &who));
    }
    let answer = read(&tail, &id);
    assert_eq!((answer.events.len(), answer.lost), (MOST_WAITING, 5));
    assert_eq!(read(&tail, &id).lost, 0);
}

#[test]
fn readers_are_few_and_forgotten_if_they_do_not_call() {
    let tail = Tail::new();
    let first = open(&tail, TailFilter::default());
    for _ in 1..MOST_READERS {
        open(&tail, TailFilter::default());
    }
    assert_eq!(tail.open(TailFilter::default().ready().unwrap(), AT), Err(TailRefused::TooMany));
    let later = AT + Duration::from_secs(60);
    assert!(tail.open(TailFilter::default().ready().unwrap(), later).is_ok());
    assert_eq!(tail.readers(), 1);
    assert_eq!(block_on(tail.read(&first, Duration::ZERO, later)), Err(TailRefused::Forgotten));
}

#[test]
fn nobody_reading_means_nothing_wanted() {
    let (tail, who) = (Tail::new(), Principal::Plain("p".into()));
    let client = Client { client_id: "c", principal: &who, peer: None, version: None, standing: 0 };
    assert_eq!(tail.wanted.load(Relaxed), 0);
    let id = open(&tail, TailFilter::default());
    tail.observe(AT, &PingAnswered { client }.into());
    assert!(read(&tail, &id).events.is_empty(), "traffic is not asked for");
}

#[test]
fn whoever_waits_is_woken_by_an_event_and_by_the_end() {
    block_on(async {
        let (tail, who) = (Tail::new(), Principal::Plain("p".into()));
        let id = open(&tail, TailFilter::default());
        let wait = Duration::from_secs(20);
        let (answer, ()) = tokio::join!(tail.read(&id, wait, AT), async {
            tokio::task::yield_now().await;
            tail.observe(AT, &connected("c", &who));
        });
        assert_eq!(answer.unwrap().events.len(), 1);
        let (answer, ()) = tokio::join!(tail.read(&id, wait, AT), async {
            tokio::task::yield_now().await;
            tail.observe(AT, &Event::Stopping(Stopping {}));
        });
        let answer = answer.unwrap();
        assert!(answer.ended && answer.events.len() == 1, "{answer:?}");
    });
}
