//! The data plane: publishing, and the retained messages.

use identity::Timestamp;
use serde_json::Map;
use services::Services;
use services::shapes::PublishRequest;

use super::{Entry, built, fault, origin, read};
use crate::answer::{Fault, Reply};
use crate::decode::Decoded;
use crate::exchange::Caller;
use crate::model::Service;

pub(super) const BUILT: &[Entry] = built![IotData:
    GetRetainedMessage => get_retained_message,
    ListRetainedMessages => list_retained_messages,
];

pub(super) const PUBLISH: &[Entry] = &[Entry {
    service: Service::IotData,
    name: "Publish",
    call: |by, input, caller, now| Box::pin(publish(&by.services, input, caller, now)),
}];

/// `Publish` has a raw payload and an origin, and answers a body that the model does not mention.
async fn publish(
    services: &Services,
    mut input: Decoded,
    caller: Caller,
    now: Timestamp,
) -> Result<Reply, Fault> {
    let payload = std::mem::take(&mut input.payload);
    let request = PublishRequest { payload, ..read(input)? };
    services.publish(request, origin(caller), now).await.map_err(fault)?;
    let mut members = Map::new();
    members.insert("message".into(), "OK".into());
    members.insert("traceId".into(), uuid::Uuid::new_v4().to_string().into());
    Ok(Reply { members, payload: None })
}
