//! The canonical request, the string to sign and the signature.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha2::{Digest as _, Sha256};

use super::{ALGORITHM, Request};

/// All but the unreserved characters of RFC 3986.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same, for a whole path.
const PATH: &AsciiSet = &STRICT.remove(b'/');

/// How a signer may have treated empty and dotted segments of the path. AWS's page says to normalise; the Go SDK
/// and curl do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathForm {
    /// Segments as they are.
    Literal,
    /// `.`, `..` and empty segments resolved.
    Normalised,
}

/// The canonical URI. The path is encoded a second time, as every service but S3 wants it.
pub fn path(raw: &str, form: PathForm) -> String {
    let raw = if raw.is_empty() { "/" } else { raw };
    match form {
        PathForm::Literal => percent_encode(raw.as_bytes(), PATH).to_string(),
        PathForm::Normalised => percent_encode(normalised(raw).as_bytes(), PATH).to_string(),
    }
}

fn normalised(raw: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let slash = if raw.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

/// The parameters of a query string, decoded; `+` is a space. Every one of them costs memory: for requests that are
/// believed.
pub fn parameters(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    pairs(query).map(|(key, value)| (decoded(key), decoded(value)))
}

/// The same, as they are.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

pub(super) fn decoded(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes()).collect()
}

/// The canonical query string, without the parameters named in `except`.
pub fn query(raw: &str, except: &[&str]) -> String {
    let encode = |bytes: &[u8]| percent_encode(bytes, STRICT).to_string();
    let mut pairs: Vec<(String, String)> = parameters(raw)
        .filter(|(key, _)| !except.iter().any(|name| name.as_bytes() == key))
        .map(|(key, value)| (encode(&key), encode(&value)))
        .collect();
    pairs.sort();
    let joined: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    joined.join("&")
}

/// The canonical headers (with their final line end) for the names given, lower-case and sorted. A name that has
/// no header gives an empty value, so that its absence changes the signature.
pub fn headers(request: &Request<'_>, names: &[&str]) -> Vec<u8> {
    let mut values: BTreeMap<&str, Vec<u8>> = names.iter().map(|name| (*name, Vec::new())).collect();
    for (index, (name, value)) in request.headers.iter().enumerate() {
        let Some(folded) = values.get_mut(name.to_ascii_lowercase().as_str()) else { continue };
        let is_first = !request.headers.iter().take(index).any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !is_first {
            folded.push(b',');
        }
        fold(value, folded);
    }
    let mut out = Vec::new();
    for (name, value) in values {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(&value);
        out.push(b'\n');
    }
    out
}

/// The value of a Host header without its port.
fn without_port<'a>(name: &str, value: &'a [u8]) -> &'a [u8] {
    if !name.eq_ignore_ascii_case("host") {
        return value;
    }
    let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (host, port) = value.split_at(value.len() - digits);
    if port.is_empty() { value } else { host.strip_suffix(b":").unwrap_or(value) }
}

/// Appends a header value without its outer white space and with inner runs of spaces as one space.
fn fold(value: &[u8], out: &mut Vec<u8>) {
    let words = value.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The parts of a canonical request that vary between signers.
pub struct Form<'a> {
    /// The treatment of the path.
    pub path: PathForm,
    /// Query parameters that were not signed.
    pub unsigned_parameters: &'a [&'a str],
    /// The port of the Host header was not signed.
    pub bare_host: bool,
}

/// The canonical request.
pub fn request(request: &Request<'_>, form: &Form<'_>, signed_headers: &[&str], body_hash: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let head =
        [request.method, &path(request.path, form.path), &query(request.query, form.unsigned_parameters)];
    for line in head {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    match form.bare_host {
        true => {
            let bare: Vec<(&str, &[u8])> =
                request.headers.iter().map(|(n, v)| (*n, without_port(n, v))).collect();
            out.extend_from_slice(&headers(&Request { headers: &bare, ..*request }, signed_headers));
        }
        false => out.extend_from_slice(&headers(request, signed_headers)),
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(body_hash.as_bytes());
    out
}

/// `20150830/us-east-1/iam/aws4_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Eight digits.
    pub date: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The service.
    pub service: &'a str,
}

/// The signature of a canonical request.
pub fn signature(secret: &str, scope: Scope<'_>, moment: &str, canonical: &[u8]) -> [u8; 32] {
    let to_sign = string_to_sign(scope, moment, canonical);
    let steps = [scope.date, scope.region, scope.service, "aws4_request", &to_sign];
    let mut key = [b"AWS4", secret.as_bytes()].concat();
    let mut last = [0; 32];
    for step in steps {
        last = hmac(&key, step.as_bytes());
        key = last.to_vec();
    }
    last
}

/// The string to sign.
pub fn string_to_sign(scope: Scope<'_>, moment: &str, canonical: &[u8]) -> String {
    let Scope { date, region, service } = scope;
    format!("{ALGORITHM}\n{moment}\n{date}/{region}/{service}/aws4_request\n{}", sha256_hex(canonical))
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length; the error of the signature's type cannot happen.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mut mac| {
        mac.update(data);
        mac.finalize().into_bytes().into()
    })
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Thirty-two bytes from 64 hexadecimal digits.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
