//! Signing: what our command line and our tests do.

use identity::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::canonical::{self, Form, PathForm, Scope};
use super::{ALGORITHM, Request, date};

/// An access key.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `AKIA...`
    pub access_key_id: &'a str,
    /// The secret half.
    pub secret_access_key: &'a str,
    /// The token of temporary credentials.
    pub session_token: Option<&'a str>,
}

/// For whom a signature is made.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `eu-west-1`
    pub region: &'a str,
    /// `iot`, `iotdata`, ...
    pub service: &'a str,
}

/// Signs a request. `request` must have its `Host` header, and every header that it has is signed except those
/// that proxies change. Gives the headers to add: `X-Amz-Date`, with a token `X-Amz-Security-Token`, `Authorization`.
pub fn sign(
    request: &Request<'_>,
    body: &[u8],
    credentials: &Credentials<'_>,
    target: &Target<'_>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let moment = date::basic(now);
    let mut added = vec![("x-amz-date", moment.clone())];
    added.extend(credentials.session_token.map(|token| ("x-amz-security-token", token.to_owned())));

    let mut headers = request.headers.to_vec();
    headers.extend(added.iter().map(|(name, value)| (*name, value.as_bytes())));
    let mut names: Vec<String> =
        headers.iter().map(|(name, _)| name.to_ascii_lowercase()).filter(|name| is_signed(name)).collect();
    names.sort();
    names.dedup();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let body_hash =
        request.header("x-amz-content-sha256").map_or_else(|| canonical::sha256_hex(body), str::to_owned);
    let form = Form { path: PathForm::Literal, unsigned_parameters: &[], bare_host: false };
    let whole = canonical::request(&Request { headers: &headers, ..*request }, &form, &names, &body_hash);
    let scope = scope(&moment, target);
    let signature =
        canonical::hex(&canonical::signature(credentials.secret_access_key, scope, &moment, &whole));
    let credential = credential(credentials, scope);
    let value = format!(
        "{ALGORITHM} Credential={credential}, SignedHeaders={}, Signature={signature}",
        names.join(";")
    );
    added.push(("authorization", value));
    added
}

/// Signs a request whose body is empty in its query string, and gives the whole new query. Only `host` is signed.
pub fn presign(
    request: &Request<'_>,
    credentials: &Credentials<'_>,
    target: &Target<'_>,
    expires_seconds: u32,
    now: Timestamp,
) -> String {
    let moment = date::basic(now);
    let scope = scope(&moment, target);
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut query = format!(
        "{}{}X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={moment}&X-Amz-Expires={expires_seconds}\
         &X-Amz-SignedHeaders=host",
        request.query,
        if request.query.is_empty() { "" } else { "&" },
        encode(&credential(credentials, scope)),
    );
    if let Some(token) = credentials.session_token {
        query.push_str(&format!("&X-Amz-Security-Token={}", encode(token)));
    }
    let form = Form { path: PathForm::Literal, unsigned_parameters: &[], bare_host: false };
    let request = Request { query: &query, ..*request };
    let whole = canonical::request(&request, &form, &["host"], &canonical::sha256_hex(b""));
    let signature = canonical::signature(credentials.secret_access_key, scope, &moment, &whole);
    format!("{query}&X-Amz-Signature={}", canonical::hex(&signature))
}

fn scope<'a>(moment: &'a str, target: &Target<'a>) -> Scope<'a> {
    let date = moment.split_once('T').map_or(moment, |(date, _)| date);
    Scope { date, region: target.region, service: target.service }
}

fn credential(credentials: &Credentials<'_>, scope: Scope<'_>) -> String {
    format!("{}/{}/{}/{}/aws4_request", credentials.access_key_id, scope.date, scope.region, scope.service)
}

fn is_signed(name: &str) -> bool {
    !matches!(
        name,
        "authorization"
            | "connection"
            | "expect"
            | "keep-alive"
            | "transfer-encoding"
            | "te"
            | "user-agent"
            | "x-amzn-trace-id"
    )
}
