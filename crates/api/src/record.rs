//! What observers are told of a call.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::SocketAddr;

use events::{ApiCall, ApiRefused, DeviceCall, Event, LogType, Observers};
use identity::Timestamp;

use crate::answer::{Fault, Reply};
use crate::exchange::{Known, plainly};

/// A call was answered with a success or a fault.
pub fn call(
    observers: &Observers,
    known: &Known,
    (status, response_bytes): (u16, usize),
    started: Timestamp,
    ended: Timestamp,
) {
    let request_bytes = known.request_bytes;
    let duration = ended.since(started);
    let (operation, access_key) = (operation(known), access_key(known));
    observers.emit(
        ended,
        &Event::ApiCall(ApiCall { operation, access_key, status, duration, request_bytes, response_bytes }),
    );
}

/// A call was answered with a fault. That a resource is not there is an answer, not a refusal: whoever asks first
/// whether it is there alarms nobody.
pub fn refusal(observers: &Observers, known: &Known, fault: &Fault, peer: SocketAddr, at: Timestamp) {
    if known.operation.is_some() && fault.error_type == "ResourceNotFoundException" {
        return;
    }
    observers.emit(
        at,
        &Event::ApiRefused(ApiRefused {
            operation: operation(known),
            error: &fault.error_type,
            message: &fault.message,
            access_key: access_key(known),
            peer,
        }),
    );
}

/// A call that AWS's log has an entry for was answered. That a direct message failed is an event of its own, which knows
/// AWS's reason.
pub fn of_device(
    observers: &Observers,
    known: &Known,
    outcome: Result<Option<&Reply>, &Fault>,
    peer: SocketAddr,
    at: Timestamp,
) {
    let Some(operation) = LogType::of_operation(operation(known)) else { return };
    let (reply, fault) = (outcome.ok().flatten(), outcome.err());
    if fault.is_some() && operation == LogType::SendDirectMessage {
        return;
    }
    let error = fault.map(name);
    let detail: &dyn Display = fault.map_or(&"", |fault| &fault.message);
    let (client_id, topic) = (&*known.about.0, &*known.about.1);
    let caller = access_key(known);
    // Other lists have a maxResults too, of which AWS's log does not tell.
    let mut told = if operation == LogType::ListRetainedMessage { Vec::new() } else { known.asked.clone() };
    let answers = [("qos", "qos"), ("lastModifiedTime", "lastModifiedDate")];
    let answered = |(member, name): (&str, _)| Some((name, plainly(reply?.members.get(member)?)));
    told.extend(answers.into_iter().filter_map(answered));
    let asked = &told;
    let call = DeviceCall { operation, client_id, topic, asked, caller, peer, error, detail };
    observers.emit(at, &Event::DeviceCall(call));
}

/// The errors of these operations are of AWS's table.
fn name(fault: &Fault) -> &'static str {
    match fault.error_type {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => "InternalFailureException",
    }
}

fn operation(known: &Known) -> &'static str {
    known.operation.unwrap_or_default()
}

fn access_key(known: &Known) -> &str {
    known.access_key_id.as_deref().unwrap_or_default()
}
