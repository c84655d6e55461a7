//! What observers are told of a call.

use std::net::SocketAddr;

use events::{ApiCall, ApiRefused, Event, Observers};
use identity::Timestamp;

use crate::answer::Fault;
use crate::exchange::Known;

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

fn operation(known: &Known) -> &'static str {
    known.operation.unwrap_or_default()
}

fn access_key(known: &Known) -> &str {
    known.access_key_id.as_deref().unwrap_or_default()
}
