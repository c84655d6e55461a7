//! Connections, and messages to one of them.

use identity::Timestamp;
use services::Services;
use services::shapes::SendDirectMessageRequest;

use super::{Entry, built_for_caller, origin, read, reply};
use crate::answer::{Fault, Reply};
use crate::decode::Decoded;
use crate::exchange::Caller;
use crate::model::Service;

pub(super) const BUILT: &[Entry] = built_for_caller![IotData:
    DeleteConnection => delete_connection,
    GetConnection => get_connection,
    ListSubscriptions => list_subscriptions,
];

pub(super) const DIRECT: &[Entry] = &[Entry {
    service: Service::IotData,
    name: "SendDirectMessage",
    call: |by, input, caller, now| Box::pin(direct(&by.services, input, caller, now)),
}];

/// `SendDirectMessage` has a raw payload.
async fn direct(
    services: &Services,
    mut input: Decoded,
    caller: Caller,
    now: Timestamp,
) -> Result<Reply, Fault> {
    let payload = std::mem::take(&mut input.payload);
    let request = SendDirectMessageRequest { payload, ..read(input)? };
    reply(services.send_direct_message(request, origin(caller), now).await)
}
