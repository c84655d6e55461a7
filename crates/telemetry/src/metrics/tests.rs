//! Counting events, and the text that a scrape sees.

use super::*;
use events::{
    Client, Connected, DeliveryDropped, Disconnected, HandshakeFailed, Origin, PublishDenied, PublishIn,
};
use identity::Principal;
use mqtt::QoS;
use proptest::prelude::*;
use std::time::Duration;

const AT: Timestamp = Timestamp(0);

fn client(principal: &Principal) -> Client<'_> {
    Client { client_id: "c", principal, peer: None, version: None, standing: 0 }
}

#[test]
fn a_scrape_shows_what_happened() {
    let metrics = MetricsObserver::new();
    let who = Principal::Plain("p".into());
    let publish = |origin| PublishIn {
        origin,
        topic: "a",
        topic_key: 0,
        qos: QoS::AtMostOnce,
        retain: true,
        bytes: 5,
        packet_id: None,
        properties: 0,
    };
    metrics.observe(AT, &publish(Origin::Client(client(&who))).into());
    metrics.observe(AT, &publish(Origin::Http { principal: &who, peer: None }).into());
    metrics.observe(AT, &publish(Origin::Http { principal: &who, peer: None }).into());
    metrics.observe(
        AT,
        &HandshakeFailed {
            peer: "127.0.0.1:1".parse().unwrap(),
            local: None,
            server_name: None,
            authentication: "AWS_X509",
            certificate_id: None,
            reason: "DEVICE_CERTIFICATE_REVOKED",
            detail: &"",
            remedy: "",
        }
        .into(),
    );
    metrics.observe(AT, &DeliveryDropped { client_id: "c", topic: "a", why: DropReason::QueueFull }.into());
    metrics.watch_gauge("thingcore_sessions", "Sessions", || 42);
    metrics.watch_counter("thingcore_log_lines_dropped", "Lines", || 7);
    metrics.watch_counters("thingcore_units", "Units", "item", || vec![("a", 1), ("b", 2)]);
    let text = metrics.render();
    for line in [
        "# TYPE aws_iot_publish_in_success counter",
        "aws_iot_publish_in_success_total{protocol=\"MQTT\"} 1",
        "aws_iot_publish_in_success_total{protocol=\"HTTP\"} 2",
        "aws_iot_publish_retained_success_total{protocol=\"HTTP\"} 2",
        "aws_iot_connection_authn_error_total{protocol=\"MQTT\"} 1",
        "aws_iot_queued_throttle_total{protocol=\"MQTT\"} 1",
        "thingcore_publish_in_bytes_total{protocol=\"HTTP\"} 10",
        "thingcore_handshake_failures_total{reason=\"DEVICE_CERTIFICATE_REVOKED\"} 1",
        "thingcore_deliveries_dropped_total{reason=\"QUEUE_FULL\"} 1",
        "thingcore_divergences_observed_total{divergence=\"no-qos2\"} 0",
        "thingcore_refusals_total{fault=\"ConnectDenied\"} 0",
        "thingcore_store_failures_total 0",
        "thingcore_connections 0",
        "thingcore_sessions 42",
        "thingcore_log_lines_dropped_total 7",
        "thingcore_units_total{item=\"b\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn denials_over_http_are_not_counted() {
    let metrics = MetricsObserver::new();
    let who = Principal::Plain("p".into());
    for origin in [Origin::Client(client(&who)), Origin::Http { principal: &who, peer: None }] {
        let denied = PublishDenied {
            origin,
            action: "iot:Publish",
            topic: "a",
            decision: &"no",
            remedy: &"yes",
            trace: None,
        };
        metrics.observe(AT, &denied.into());
    }
    assert_eq!(metrics.count(Metric::PublishInAuthError), 1);
}

#[test]
fn every_counter_has_its_own_place() {
    let metrics = MetricsObserver::new();
    (0..TOTAL).for_each(|counter| metrics.counters.add(counter, 1));
    let text = metrics.render();
    let counters = text.lines().filter(|line| line.ends_with("} 1") || line.ends_with("_total 1"));
    assert_eq!(counters.count(), TOTAL);
}

proptest! {
    #[test]
    fn the_gauge_is_connected_minus_disconnected(steps in proptest::collection::vec(any::<bool>(), 0..60)) {
        let metrics = MetricsObserver::new();
        let who = Principal::Plain("p".into());
        let mut open = 0;
        for up in steps {
            let client = client(&who);
            if up {
                let (keep_alive, session_expiry, session_identifier) = (30, 0, "s");
                let (clean, session_present) = (true, false);
                metrics.observe(AT, &Connected { thing_name: "", client, keep_alive, session_expiry, clean, session_present, session_identifier, bytes: 0 }.into());
                open += 1;
            } else if open > 0 {
                let reason = DisconnectReason::ConnectionLost;
                let (duration, detail, session_identifier) = (Duration::ZERO, &"", "s");
                metrics.observe(AT, &Disconnected { client, reason, fault: None, detail, remedy: None, duration, session_identifier, trace: None, untold: false }.into());
                open -= 1;
            }
            prop_assert_eq!(metrics.connections(), open);
        }
    }
}
