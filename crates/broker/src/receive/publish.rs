//! A client's PUBLISH.

use std::sync::Arc;

use dialect::{Answer, Fault};
use events::Origin;
use identity::Timestamp;
use mqtt::{PacketId, QoS};
use quirks::Quirk;
use session::{Inbound, Parcel, Violation};

use super::{Acknowledgement, Ground, Taken};
use crate::connection::Connection;
use crate::publish::Sender;
use crate::receive;
use session::throttle::publish_fault;
use standing::Flow;

/// A PUBLISH that is not taken.
struct Refusal<'a> {
    fault: Fault,
    detail: &'a dyn std::fmt::Display,
    qos: QoS,
    packet_id: Option<PacketId>,
    trace: String,
}

/// Authorises and distributes; what was taken, and what of it has to be on disk first, is noted in `taken`.
pub(super) fn message(
    connection: &mut Connection,
    Ground { inner, standing, view }: &Ground,
    inbound: Inbound,
    taken: &mut Taken,
    now: Timestamp,
) -> Flow {
    let Inbound { message, packet_id } = inbound;
    let qos = message.qos;
    let permits = match inner.authorise_publish(view, &message, now) {
        Ok(permits) => permits,
        Err(denied) => {
            let trace = inner.uuid();
            inner.report_publish_denied(Origin::Client(connection.client()), &denied, &trace, now);
            let fault =
                if qos == QoS::AtMostOnce { Fault::PublishDeniedQos0 } else { Fault::PublishDeniedQos1 };
            let detail = format!("{} on topic/{} is not allowed", denied.action, denied.topic);
            let allowed = "published to a topic without permission";
            inner.report_shown(fault, connection.client(), "PUBLISH", &allowed, now);
            return answer(connection, Refusal { fault, detail: &detail, qos, packet_id, trace }, taken, now);
        }
    };
    if inner.provoke(connection.cell(), Quirk::Rate100Discard, "PUBLISH", "was throttled", now).is_some() {
        let detail = "discarded on demand (rate-100-discard)";
        let topic = message.topic.as_str();
        let violation = Violation::new(publish_fault(qos), detail);
        return refused(connection, (&violation, topic), (qos, packet_id), taken, now);
    }
    if let Err(violation) = inner.admit_retained(&message, now) {
        let topic = message.topic.as_str();
        inner.report_violation(&violation, connection.client(), "PUBLISH", now);
        return refused(connection, (&violation, topic), (qos, packet_id), taken, now);
    }
    let mut parcel = Arc::new(Parcel::new(message));
    inner.enrich(standing, view, &mut parcel, now);
    let sender = Sender::client(connection.client(), connection.session());
    let known = taken.volley.matches();
    let known = inner.routes.is_known(parcel.message.topic.as_str(), known).then(|| known.topic_key());
    inner.report_publish_in(sender.origin, &parcel.message, (packet_id, known.unwrap_or(0)), now);
    inner.join(permits, parcel, (sender, &mut taken.volley, known.is_some()), &mut taken.outcome, now);
    let answer = |packet_id| Acknowledgement { packet_id, answer: receive::Answer::taken(qos) };
    taken.acknowledgements.extend(packet_id.map(answer));
    Flow::Continue
}

/// A PUBLISH that broke a rule which does not cost the connection.
pub(super) fn refused(
    connection: &mut Connection,
    (violation, topic): (&Violation, &str),
    (qos, packet_id): (QoS, Option<PacketId>),
    taken: &mut Taken,
    now: Timestamp,
) -> Flow {
    let trace = connection.inner().uuid();
    let origin = Origin::Client(connection.client());
    connection.inner().report_publish_refused(origin, topic, violation, &trace, now);
    let refusal = Refusal { fault: violation.fault, detail: &violation.detail, qos, packet_id, trace };
    answer(connection, refusal, taken, now)
}

/// [MQTT-4.3.3-9] an identifier whose message was refused stands for a new message the next time.
pub(super) fn forget(connection: &Connection, packet_id: PacketId) {
    let session = connection.session();
    connection.cell().enter(|seat| {
        // The client may be back already.
        if let Some(kept) = seat.kept.as_mut().filter(|kept| kept.id == session) {
            kept.session.forget_received(packet_id);
        }
    });
}

/// Answers as the dialect's table of refusals says.
fn answer(connection: &mut Connection, refusal: Refusal<'_>, taken: &mut Taken, now: Timestamp) -> Flow {
    taken.fire(connection, now);
    let Refusal { fault, detail, qos, packet_id, trace } = refusal;
    if let Some(packet_id) = packet_id.filter(|_| qos == QoS::ExactlyOnce) {
        forget(connection, packet_id);
    }
    let answer = connection.inner().dialect.answer(fault, connection.version()).for_qos(qos);
    match (answer, packet_id) {
        (Answer::NoAck, _) => Flow::Continue,
        (Answer::PubAck(code), Some(packet_id)) => {
            let answer = receive::Answer::Refused { qos, fault, code, trace };
            taken.acknowledgements.push(Acknowledgement { packet_id, answer });
            Flow::Continue
        }
        _ => connection.fail_traced(fault, detail, &trace, now),
    }
}
