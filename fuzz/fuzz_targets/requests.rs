//! Any bytes as an HTTP request, from its head to the input of an operation: route, labels, query, headers, JSON, constraints.
//! The first byte chooses the service.
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

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use model::Service;
use route::{Labels, Unrouted};

const SERVICES: [Service; 3] = [Service::Iot, Service::IotData, Service::IotJobsData];

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let mut room = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut room);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else { return };
    let (Some(method), Some(target)) = (request.method, request.path) else { return };
    let Ok(uri) = target.parse::<Uri>() else { return };
    let headers: HeaderMap = request.headers.iter().filter_map(header).collect();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let found = match choice % 5 {
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
});

fn header(one: &httparse::Header<'_>) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(one.name.as_bytes()).ok()?, HeaderValue::from_bytes(one.value).ok()?))
}
