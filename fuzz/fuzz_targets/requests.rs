//! Any bytes as HTTP. To a service: a request, from its head to the input of an operation: route, labels, query, headers, JSON,
//! constraints. To the gateway: a conversation, with the upgrade to a WebSocket. The first byte chooses.
#![no_main]
#![allow(dead_code, unused_imports)]

// The API's own files: how a request becomes an input is nobody else's business.
#[path = "../../crates/api/src/acm.rs"]
mod acm;
#[path = "../../crates/api/src/constraints.rs"]
mod constraints;
#[path = "../../crates/api/src/decode.rs"]
mod decode;
#[path = "../../crates/api/src/generated/mod.rs"]
mod generated;
#[path = "../../crates/api/src/json_protocol.rs"]
mod json_protocol;
#[path = "../../crates/api/src/model.rs"]
mod model;
#[path = "../../crates/api/src/route.rs"]
mod route;
#[path = "../../crates/api/src/service_quotas.rs"]
mod service_quotas;

// The gateway's own files, from the first byte of HTTP to the first of a WebSocket.
#[path = "../../crates/gateway/src/budget.rs"]
mod budget;
#[path = "../../crates/gateway/src/http/mod.rs"]
mod gateway_http;
#[path = "../../crates/gateway/src/limits.rs"]
mod limits;
#[path = "../../crates/gateway/src/refusal.rs"]
mod refusal;
#[path = "../../crates/gateway/src/rewound.rs"]
mod rewound;
#[path = "../../crates/gateway/src/way.rs"]
mod way;
#[path = "../../crates/gateway/src/websocket.rs"]
mod websocket;

#[path = "requests/around.rs"]
mod around;
#[path = "requests/conversation.rs"]
mod conversation;

// By the names that the gateway's files have for them.
use around::{clock, converse, custom, door, endpoint, report};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use model::Service;
use route::{Labels, Unrouted};

const SERVICES: [Service; 3] = [Service::Iot, Service::IotData, Service::IotJobsData];

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((choice, bytes)) if choice % 6 == 5 => conversation::visit(bytes),
        Some((choice, bytes)) => ask(choice % 6, bytes),
        None => {}
    }
});

/// One request to a service.
fn ask(choice: u8, bytes: &[u8]) {
    let mut room = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut room);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else { return };
    let (Some(method), Some(target)) = (request.method, request.path) else { return };
    let Ok(uri) = target.parse::<Uri>() else { return };
    let headers: HeaderMap = request.headers.iter().filter_map(header).collect();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let found = match choice {
        3 => json_protocol::find(&acm::OPERATIONS, acm::TARGET_PREFIX, (method, path), &headers),
        4 => json_protocol::find(
            &service_quotas::OPERATIONS,
            service_quotas::TARGET_PREFIX,
            (method, path),
            &headers,
        ),
        other => route::find(SERVICES[usize::from(other)], method, path),
    };
    let Ok((operation, labels)) = found else { return };
    assert!(
        labels.iter().map(|(_, value)| value.len()).sum::<usize>() <= path.len(),
        "labels are longer than the path"
    );
    let body = Bytes::copy_from_slice(&bytes[head..]);
    if let Ok(decoded) = decode::decode(operation, labels, query, &headers, body) {
        let first = constraints::check(operation.input, &decoded.members);
        assert_eq!(first, constraints::check(operation.input, &decoded.members));
    }
}

fn header(one: &httparse::Header<'_>) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(one.name.as_bytes()).ok()?, HeaderValue::from_bytes(one.value).ok()?))
}
