//! Signature Version 4 as strangers write it: a claim is read or refused, and none holds with a key they have not.
//! Lines: method, path, query, then headers.
#![no_main]

use identity::Timestamp;
use libfuzzer_sys::fuzz_target;
use sigv4::{Claim, Expected, Request, SignedPath, parameters};

const SECRET: &str = "a secret that no input knows";
// 2026-01-01T00:00:00Z, as the seeds say.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, path, query) = (next(), next(), next());
    let headers: Vec<(&str, &[u8])> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.as_bytes())).collect();
    let request = Request { method, path, query, headers: &headers };
    for (name, value) in parameters(query) {
        assert!(name.len() + value.len() <= query.len(), "decoding makes nothing longer");
    }
    let _ = (request.session_token(), Claim::is_made_by(&request));
    let Ok(claim) = Claim::read(&request) else { return };
    let expected =
        Expected { region: "us-east-1", services: &["iotdata", "iotdevicegateway", "execute-api"], now: NOW };
    let _ = claim.check(&request, &expected);
    for form in [SignedPath::AsItCame, SignedPath::OrNormalised] {
        assert!(claim.verify(&request, b"", SECRET, form).is_err(), "a signature without its key holds");
    }
});
