//! No refusal, throttle, discard, ending or failed handshake without subject, reason and remedy: the catalogue, walked.

use std::time::Duration;

use dialect::Fault;
use identity::Principal;
use mqtt::QoS;

use super::*;
use crate::*;

/// Each kind that tells of something that somebody did not get, with each of its reasons. A new kind of that sort has to
/// be put here: the test below says so.
fn all_troubles(each: &mut dyn FnMut(Event<'_>)) {
    let principal = Principal::Plain("p".into());
    let peer = Some(([10, 0, 0, 7], 5).into());
    let client = Client { client_id: "c", principal: &principal, peer, version: None, standing: 0 };
    let (detail, remedy, origin) =
        (&"detail" as &dyn Display, &"add iot:Publish" as &dyn Display, client.into());
    let (decision, topic, trace) = (detail, "t", None);
    for &fault in Fault::ALL {
        each(ConnectRefused { client, fault, detail, remedy: None, trace }.into());
        each(PublishRefused { origin, topic, fault, detail, trace }.into());
        each(SubscribeRefused { client, filter: "f", fault, detail, trace }.into());
        let (reason, fault) = (fault.disconnect_reason(), Some(fault));
        each(ended(client, reason, fault).into());
    }
    for &reason in DisconnectReason::ALL {
        each(ended(client, reason, None).into());
    }
    for &why in DropReason::ALL {
        each(DeliveryDropped { client_id: "c", topic, why }.into());
    }
    each(PublishDenied { origin, action: "iot:Publish", topic, decision, remedy, trace }.into());
    each(SubscribeDenied { client, filter: "f", decision, remedy, trace }.into());
    each(ReceiveDenied { client, topic, decision, remedy }.into());
    each(WillRefused { client, topic, decision, remedy }.into());
    each(ReservedUnserved { origin, topic, missing: detail }.into());
    each(ThrottleExceeded { client, quota: "q", value: 1 }.into());
    each(SessionExpired { client_id: "c", queued: 1 }.into());
    each(RetainedFull { topic, limit: 1 }.into());
    let reason = "TARGET_CLIENT_NOT_CONNECTED";
    each(DirectMessageRefused { origin, client_id: "c", topic, reason, detail }.into());
    of_the_doors(each);
    of_the_house(&principal, each);
}

fn ended(client: Client<'_>, reason: DisconnectReason, fault: Option<Fault>) -> Disconnected<'_> {
    let (duration, session_identifier) = (Duration::ZERO, "s");
    Disconnected {
        client,
        reason,
        fault,
        detail: &"",
        remedy: None,
        duration,
        session_identifier,
        trace: None,
        untold: false,
    }
}

fn of_the_doors(each: &mut dyn FnMut(Event<'_>)) {
    let peer = ([10, 0, 0, 7], 5).into();
    let (reason, detail, remedy) = ("NOT_AUTHENTICATED", &"detail", "show a certificate");
    let (local, server_name, certificate_id, authentication) = (None, None, None, "AWS_X509");
    each(
        HandshakeFailed { peer, local, server_name, authentication, certificate_id, reason, detail, remedy }
            .into(),
    );
    each(ConnectionRefusedLimit { listener: "mqtt", peer, limit: 1 }.into());
    let certificate_id = "ab";
    each(CertificateNotRegistered { certificate_id, detail, remedy }.into());
    let (ca_certificate_id, is_ours) = ("cd", true);
    each(ProvisioningFailed { certificate_id, ca_certificate_id, detail, remedy, is_ours }.into());
}

fn of_the_house(principal: &Principal, each: &mut dyn FnMut(Event<'_>)) {
    each(CertificateDeactivated { principal, status: "INACTIVE" }.into());
    each(CredentialRevoked { principal, reason: "gone" }.into());
    each(FeedLagged {}.into());
    each(StoreUnclosed { torn: false }.into());
    each(StoreUnclosed { torn: true }.into());
    each(StoreFailed { what: "it", detail: &"full" }.into());
    let (error, message) = ("AccessDeniedException", &"no");
    let peer = ([10, 0, 0, 7], 5).into();
    let (operation, client_id, topic, caller) = (LogType::GetConnection, "c", "", "AKIA");
    let (missing, detail) = (Some("ResourceNotFoundException"), &"not there");
    each(DeviceCall { operation, client_id, topic, asked: &[], caller, peer, error: missing, detail }.into());
    each(ApiRefused { operation: "CreateThing", error, message, access_key: "AKIA", peer }.into());
    each(ExportFailed { endpoint: "http://collector:4318", detail: &"refused" }.into());
    each(ConfigProblem { setting: "s", detail: &"odd" }.into());
    each(CostFinding { finding: "reconnect-storm", subject: "c", detail: &"often" }.into());
}

#[test]
fn every_trouble_has_subject_reason_and_remedy() {
    let mut seen = KindSet::NONE;
    all_troubles(&mut |event| {
        seen = seen.with(event.kind());
        let goodbye = matches!(&event, Event::Disconnected(e) if !e.reason.sends_will() && e.fault.is_none());
        let remedy = event.remedy().map(|remedy| remedy.to_string()).unwrap_or_default();
        assert_eq!(remedy.is_empty(), goodbye, "{event:?} says nothing of what to do");
        assert!(!remedy.ends_with('.'), "{event:?}: {remedy}");
        assert!(!event.to_string().is_empty(), "{event:?}");
        if event.is_failure() && !matches!(event, Event::RetainedFull(_) | Event::StoreFailed(_)) {
            let reason = event.log_reason().is_some() || event.kind().log_type().is_none();
            assert!(reason, "{event:?} has no reason");
        }
        assert!(!subject(&event).is_empty(), "{event:?} is about nobody");
    });
    for kind in Kind::ALL.iter().filter(|kind| kind.level() >= Level::Warn) {
        assert!(seen.has(*kind), "{kind:?} is not walked: put it into all_troubles");
    }
}

/// Whom or what an event names.
fn subject(event: &Event<'_>) -> String {
    match event {
        Event::HandshakeFailed(e) => e.peer.to_string(),
        Event::ConnectionRefusedLimit(e) => e.peer.to_string(),
        Event::CertificateNotRegistered(e) => e.certificate_id.to_owned(),
        Event::ProvisioningFailed(e) => e.certificate_id.to_owned(),
        Event::CertificateDeactivated(e) => e.principal.to_string(),
        Event::CredentialRevoked(e) => e.principal.to_string(),
        Event::ApiRefused(e) => e.access_key.to_owned(),
        Event::ConfigProblem(e) => e.setting.to_owned(),
        Event::ExportFailed(e) => e.endpoint.to_owned(),
        Event::CostFinding(e) => e.subject.to_owned(),
        Event::StoreFailed(e) => e.what.to_owned(),
        Event::RetainedFull(e) => e.topic.to_owned(),
        Event::FeedLagged(_) => "the feed".to_owned(),
        Event::StoreUnclosed(_) => "the store".to_owned(),
        _ => event.client_id().to_owned(),
    }
}

#[test]
fn no_row_of_the_api_stands_twice() {
    let names: Vec<_> =
        [FORBIDDEN, WRONG, STATE, OURS, SIGNATURE].into_iter().flatten().map(|row| row.0).collect();
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert_eq!(of_api_error("NoSuchException"), None);
}

#[test]
fn a_specific_remedy_wins_over_the_tables() {
    let principal = Principal::Plain("p".into());
    let client = Client { client_id: "c", principal: &principal, peer: None, version: None, standing: 0 };
    let event: Event<'_> = SubscribeRefused {
        client,
        filter: "f",
        fault: Fault::TooManyFilters,
        detail: &"9 filters",
        trace: None,
    }
    .into();
    assert!(event.remedy().unwrap().to_string().contains("at most 8 filters"));
    let remedy = Some(&"give 10.0.0.7 another id" as &dyn Display);
    let event: Event<'_> =
        ConnectRefused { client, fault: Fault::ConnectDenied, detail: &"", remedy, trace: None }.into();
    assert_eq!(event.remedy().unwrap().to_string(), "give 10.0.0.7 another id");
    let event: Event<'_> = Subscribed { client, filter: "f", qos: QoS::AtMostOnce }.into();
    assert!(event.remedy().is_none());
}
