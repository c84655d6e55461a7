//! HTTP connections of device endpoints: how long they live, and what changes of an endpoint mean to those that are open.

use std::time::Duration;

use rustls::DEFAULT_VERSIONS;
use thingcore_gateway::Limits;

use super::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_when_its_connection_has_lived_its_time() {
    let limits = Limits {
        http_connection: Duration::from_millis(300),
        flush: Duration::from_millis(50),
        ..Limits::default()
    };
    let house = House::open(limits).await;
    let connector = house.connector(None, &["http/1.1"], DEFAULT_VERSIONS);
    let request = b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let heard = house.say(house.tls, connector, request).await;
    assert!(heard.starts_with("HTTP/1.1 200") && heard.ends_with("GET /slow by nobody"), "{heard}");
    // And it is the last one: the server closed, or `say` would have waited on.
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_never_answered_is_cut_at_last() {
    let limits = Limits {
        http_connection: Duration::from_millis(100),
        last_response: Duration::from_millis(100),
        ..Limits::default()
    };
    let house = House::open(limits).await;
    let connector = house.connector(None, &["http/1.1"], DEFAULT_VERSIONS);
    let request = b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(house.say(house.tls, connector, request).await, "");
}
