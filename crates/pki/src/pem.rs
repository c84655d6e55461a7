//! PEM, read strictly: one block, one label, nothing after it (RFC 7468, with its rule that text before the block is
//! ignored, because `openssl x509 -text` writes such text).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::PkiFault;

/// The longest PEM text that is read, in bytes: what the service model allows for a certificate.
pub const MAX_BYTES: usize = 65_536;
/// Characters of base64 per line (RFC 7468 section 2).
const LINE: usize = 64;

/// The label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a certificate signing request.
pub const REQUEST: &str = "CERTIFICATE REQUEST";
/// What older tools call a certificate signing request.
pub const NEW_REQUEST: &str = "NEW CERTIFICATE REQUEST";
/// The label of a PKCS #8 private key.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The label of a PKCS #1 private key.
pub const RSA_PRIVATE_KEY: &str = "RSA PRIVATE KEY";
/// The label of a private key on an elliptic curve as OpenSSL writes it (SEC 1).
pub const EC_PRIVATE_KEY: &str = "EC PRIVATE KEY";
/// The label of a public key.
pub const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Writes one block.
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// Reads the one block of `text`, which must have one of `labels`.
///
/// # Errors
/// [`PkiFault::TooLong`], [`PkiFault::Pem`].
pub fn decode(labels: &[&'static str], text: &str) -> Result<Vec<u8>, PkiFault> {
    if text.len() > MAX_BYTES {
        return Err(PkiFault::TooLong { bytes: text.len() });
    }
    let expected = labels.first().copied().unwrap_or(CERTIFICATE);
    let fault = |detail| PkiFault::Pem { expected, detail };
    let start = text.find("-----BEGIN ").ok_or_else(|| fault("there is no BEGIN line"))?;
    let block = text.get(start..).unwrap_or_default();
    let (label, body) = labels
        .iter()
        .find_map(|label| block.strip_prefix(&format!("-----BEGIN {label}-----")).map(|body| (label, body)))
        .ok_or_else(|| fault("the block has another label"))?;
    let (base64, after) = body
        .split_once(&format!("-----END {label}-----"))
        .ok_or_else(|| fault("there is no END line for its BEGIN line"))?;
    if !after.trim().is_empty() {
        return Err(fault("something follows the block"));
    }
    let compact: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if compact.is_empty() {
        return Err(fault("the block is empty"));
    }
    STANDARD.decode(compact).map_err(|_| fault("its content is not base64"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_block_and_nothing_after_it() {
        let good = encode(CERTIFICATE, b"hello");
        assert_eq!(good, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n");
        assert_eq!(decode(&[CERTIFICATE], &good).unwrap(), b"hello");
        assert_eq!(decode(&[CERTIFICATE], &format!("Certificate:\n  x\n{good}\n \n")).unwrap(), b"hello");
        assert_eq!(decode(&[CERTIFICATE], &good.replace('\n', "\r\n")).unwrap(), b"hello");
        for bad in [
            String::new(),
            "hello".into(),
            format!("{good}{good}"),
            format!("{good}x"),
            good.replace("END CERTIFICATE", "END X"),
            good.replace("aGVsbG8=", ""),
            good.replace("aGVsbG8=", "aGVs*G8="),
            good.replace("aGVsbG8=", "aGVsbG8"),
            encode(PRIVATE_KEY, b"hello"),
        ] {
            assert!(matches!(decode(&[CERTIFICATE], &bad), Err(PkiFault::Pem { .. })), "{bad}");
        }
        assert!(decode(&[REQUEST, NEW_REQUEST], &encode(NEW_REQUEST, b"x")).is_ok());
    }

    #[test]
    fn length_is_bounded_before_anything_is_read() {
        let long = "x".repeat(MAX_BYTES + 1);
        assert_eq!(decode(&[CERTIFICATE], &long), Err(PkiFault::TooLong { bytes: MAX_BYTES + 1 }));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(der in proptest::collection::vec(any::<u8>(), 1..300)) {
            prop_assert_eq!(decode(&[CERTIFICATE], &encode(CERTIFICATE, &der)).unwrap(), der);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = decode(&[CERTIFICATE], &format!("-----BEGIN CERTIFICATE-----{text}-----END"));
            let _ = decode(&[CERTIFICATE], &text);
        }
    }
}
