//! What a caller hands in as a certificate, a signing request or a public key: it is read or refused, by both ways in alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::{Certificate, RsaPublicKey, SigningRequest, certificate_id, facts, pem};

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 3 {
        // Bytes as they come from a handshake.
        0 => certificate(bytes),
        // The same in a block: a fuzzer does not find base64 by itself.
        1 => {
            let _ = SigningRequest::from_pem(&pem::encode(pem::REQUEST, bytes));
            let _ = RsaPublicKey::from_pem(&pem::encode(pem::PUBLIC_KEY, bytes));
        }
        _ => texts(&String::from_utf8_lossy(bytes)),
    }
});

fn certificate(der: &[u8]) {
    let told = facts(der);
    let Ok(read) = Certificate::from_der(der) else { return };
    assert_eq!(told.as_ref().ok(), Some(read.facts()), "two ways to read say two things");
    assert_eq!(read.id(), &certificate_id(der));
    let again = Certificate::from_pem(&read.pem()).expect("what was read can be written");
    assert_eq!(again, read);
    let _ = (read.check_key(), read.check_signature_algorithm(), read.common_name(), read.is_ca());
    let _ = read.verify_signed_by(&read);
}

fn texts(text: &str) {
    let _ = SigningRequest::from_pem(text);
    let _ = RsaPublicKey::from_pem(text);
    if let Ok(read) = Certificate::from_pem(text) {
        certificate(read.der());
    }
}
