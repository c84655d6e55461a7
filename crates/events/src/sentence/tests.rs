//! The sentences that people read.

use super::*;
use dialect::{DisconnectReason, Fault, Metric};
use identity::{CertificateId, Principal};
use std::time::Duration;

fn principal() -> Principal {
    Principal::Certificate(CertificateId::new(&"ab".repeat(32)).unwrap())
}

fn client(principal: &Principal) -> Client<'_> {
    Client {
        client_id: "sensor-7",
        principal,
        peer: Some("127.0.0.1:5000".parse().unwrap()),
        version: Some(Version::V5),
        standing: 0,
    }
}

#[test]
fn a_denial_says_who_what_and_why() {
    let who = principal();
    let event = Event::PublishDenied(PublishDenied {
        origin: client(&who).into(),
        action: "iot:Publish",
        topic: "dev/8/data",
        decision: &"no statement matched; nearest: statement 2 of policy p",
        remedy: &"allow it",
        trace: None,
    });
    assert_eq!(
        event.to_string(),
        "sensor-7 may not iot:Publish on topic/dev/8/data: no statement matched; nearest: statement 2 of policy p"
    );
    assert_eq!(event.metric(), Some(Metric::PublishInAuthError));
    assert_eq!(event.log_reason(), Some("AUTHORIZATION_FAILURE"));
    assert!(event.is_failure() && event.remedy().is_some());
}

#[test]
fn a_denied_connect_reads_like_any_denial() {
    let who = principal();
    let event = Event::ConnectRefused(ConnectRefused {
        client: client(&who),
        fault: Fault::ConnectDenied,
        detail: &"no policy is attached",
        remedy: None,
        trace: Some("0b7e"),
    });
    assert_eq!(event.to_string(), "sensor-7 may not iot:Connect on client/sensor-7: no policy is attached");
    assert_eq!(event.metric(), Some(Metric::ConnectAuthError));
    assert_eq!(event.trace(), Some("0b7e"));
}

#[test]
fn a_refusal_names_the_rule_and_the_detail() {
    let who = principal();
    let refused = |fault, detail: &'static str| {
        Event::PublishRefused(PublishRefused {
            origin: client(&who).into(),
            topic: "a",
            fault,
            detail: Box::leak(Box::new(detail)),
            trace: None,
        })
        .to_string()
    };
    assert_eq!(
        refused(Fault::PayloadTooLarge, "131073 bytes"),
        "sensor-7 published to a: payload is too large: 131073 bytes"
    );
    assert_eq!(refused(Fault::Qos2Publish, ""), "sensor-7 published to a: QoS 2 is not supported");
}

#[test]
fn the_end_of_a_connection_says_its_cause() {
    let who = principal();
    let ended = |reason, fault, detail: &'static str| {
        let session_identifier = "s";
        let (client, duration) = (client(&who), Duration::from_secs(42));
        let detail: &'static dyn Display = Box::leak(Box::new(detail));
        let fact = Disconnected {
            client,
            reason,
            fault,
            detail,
            remedy: None,
            duration,
            session_identifier,
            trace: None,
            untold: false,
        };
        (Event::from(fact).to_string(), Event::from(fact).is_failure(), Event::from(fact).log_reason())
    };
    let goodbye = ended(DisconnectReason::ClientInitiatedDisconnect, None, "");
    assert_eq!(goodbye.0, "sensor-7 disconnected after 42 s: CLIENT_INITIATED_DISCONNECT");
    assert_eq!((goodbye.1, goodbye.2), (false, Some("CLIENT_INITIATED_DISCONNECT")));
    let taken = ended(DisconnectReason::DuplicateClientId, Some(Fault::TakenOver), "by 127.0.0.1:9");
    assert_eq!(
        taken.0,
        "sensor-7 disconnected after 42 s: DUPLICATE_CLIENTID: session was taken over by another connection: by 127.0.0.1:9"
    );
    // The log spells it otherwise than the event does. Developer guide, *CloudWatch Logs AWS IoT log entries*.
    assert_eq!((taken.1, taken.2), (true, Some("DUPLICATE_CLIENT_ID")));
}

#[test]
fn a_client_without_id_is_known_by_its_address() {
    let who = principal();
    let nameless = Client { client_id: "", ..client(&who) };
    assert_eq!(nameless.to_string(), "a client at 127.0.0.1:5000");
    let http = Origin::Http { principal: &who, peer: None };
    assert_eq!(http.protocol(), "HTTP");
    assert!(http.to_string().ends_with("(HTTPS)"));
}

#[test]
fn a_direct_message_that_failed_says_why_in_awss_word() {
    let who = Principal::AccessKey("AKIATEST".into());
    let event = Event::DirectMessageRefused(DirectMessageRefused {
        origin: Origin::Http { principal: &who, peer: None },
        client_id: "sensor-7",
        topic: "do/it",
        reason: "TARGET_CLIENT_NOT_CONNECTED",
        detail: &"the client is away",
    });
    let sentence = event.to_string();
    assert!(
        sentence
            .ends_with("sent do/it directly to sensor-7: the client is away (TARGET_CLIENT_NOT_CONNECTED)"),
        "{sentence}"
    );
    assert_eq!(event.log_reason(), Some("TARGET_CLIENT_NOT_CONNECTED"));
    assert_eq!((event.client_id(), event.topic()), ("sensor-7", Some("do/it")));
}
