//! The way to the collector: a POST, and what its answer means.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::Value;
use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{OtlpSettings, text};

/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 64 * 1024;
/// Characters of an answer that are repeated.
const REPEATED: usize = 200;

/// The export cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpProblem(String);

impl OtlpProblem {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn thread(error: &io::Error) -> Self {
        Self(format!("its thread cannot be started: {error}"))
    }
}

impl fmt::Display for OtlpProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for OtlpProblem {}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The collector has it.
    Taken,
    /// It has it, but for some items.
    Partly { rejected: u64, why: String },
    /// It will never take it.
    Refused(String),
    /// It may take it later.
    Away(String),
}

/// Exports that were taken, and that were not.
#[derive(Debug, Default)]
pub(super) struct Counts {
    taken: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }
}

/// One collector.
pub(super) struct Way {
    base: String,
    agent: ureq::Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
    counts: Arc<Counts>,
}

impl Way {
    pub fn new(settings: &OtlpSettings) -> Result<Self, OtlpProblem> {
        let base = settings.endpoint.trim_end_matches('/').to_owned();
        check(&base, settings.trusted.is_some())?;
        let headers = settings.headers.iter().map(|(name, value)| header(name, value));
        let headers = headers.collect::<Result<_, _>>()?;
        let tls = TlsConfig::builder().root_certs(roots(settings.trusted.as_deref())?).build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(settings.timeout))
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls)
            .build();
        Ok(Self { base, agent: config.into(), headers, counts: Arc::default() })
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Sends the body of a signal (`metrics`, `logs`).
    pub fn send(&self, signal: &str, body: &Value) -> Outcome {
        let outcome = self.post(signal, body);
        let count = if outcome == Outcome::Taken { &self.counts.taken } else { &self.counts.failed };
        count.fetch_add(1, Relaxed);
        outcome
    }

    fn post(&self, signal: &str, body: &Value) -> Outcome {
        let mut request =
            self.agent.post(format!("{}/v1/{signal}", self.base)).content_type("application/json");
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        let mut response = match request.send(text(body)) {
            Ok(response) => response,
            Err(error) => return Outcome::Away(error.to_string()),
        };
        let status = response.status().as_u16();
        // An answer that cannot be read says no more than its status.
        let answer = response.body_mut().with_config().limit(ANSWER_MAX).read_to_string().unwrap_or_default();
        judged(signal, status, &answer)
    }
}

/// Source: OTLP specification, *OTLP/HTTP Response*: these four statuses may be tried again, all others not.
fn judged(signal: &str, status: u16, answer: &str) -> Outcome {
    let says = || {
        let answer: String = answer.chars().filter(|c| !c.is_control()).take(REPEATED).collect();
        format!("/v1/{signal} answered HTTP status {status} {answer}").trim_end().to_owned()
    };
    match status {
        200..=299 => partly(answer),
        429 | 502 | 503 | 504 => Outcome::Away(says()),
        _ => Outcome::Refused(says()),
    }
}

/// `partialSuccess` of an answer; its numbers may stand as strings.
fn partly(answer: &str) -> Outcome {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let partial = answer.get("partialSuccess").unwrap_or(&Value::Null);
    let number = |name: &str| {
        let value = partial.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|count| *count > 0)
    };
    let Some(rejected) = number("rejectedLogRecords").or_else(|| number("rejectedDataPoints")) else {
        return Outcome::Taken;
    };
    let why = partial.get("errorMessage").and_then(Value::as_str).unwrap_or("it does not say why");
    let why: String = why.chars().take(REPEATED).collect();
    Outcome::Partly { rejected, why: format!("{rejected} items were rejected: {why}") }
}

fn check(endpoint: &str, trusted: bool) -> Result<(), OtlpProblem> {
    let no = |what: &str| Err(OtlpProblem(format!("endpoint {endpoint:?} {what}")));
    let Ok(uri) = endpoint.parse::<Uri>() else { return no("is not a URL") };
    // A user in the URL would be a secret in the log.
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) || uri.query().is_some() {
        return no("must have a host, and neither user nor query: put credentials into [otlp.headers]");
    }
    match uri.scheme_str() {
        Some("http") => Ok(()),
        Some("https") if trusted => Ok(()),
        Some("https") => no("needs ca_file: the certificates (PEM) that the collector is trusted by"),
        _ => no("must start with http:// or https://"),
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), OtlpProblem> {
    let no = |what| OtlpProblem(format!("header {name:?}: {what}"));
    let known: HeaderName = name.parse().map_err(|_| no("this is no name of a header"))?;
    let value =
        HeaderValue::from_str(value).map_err(|_| no("its value has characters that no header may have"))?;
    Ok((known, value))
}

fn roots(pem: Option<&[u8]>) -> Result<RootCerts, OtlpProblem> {
    let Some(pem) = pem else { return Ok(RootCerts::from(Vec::<Certificate<'static>>::new())) };
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| OtlpProblem(format!("ca_file: {error}")))?
        {
            found.push(certificate);
        }
    }
    match found.is_empty() {
        true => Err(OtlpProblem("ca_file has no certificate".into())),
        false => Ok(found.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_checked_before_the_start() {
        assert_eq!(check("http://127.0.0.1:4318", false), Ok(()));
        assert_eq!(check("https://collector.example.com/otlp", true), Ok(()));
        for (endpoint, says) in [
            ("collector:4318", "http"),
            ("", "not a URL"),
            ("http://", "not a URL"),
            ("https://collector", "ca_file"),
            ("http://me:hush@collector", "[otlp.headers]"),
            ("http://collector/?key=hush", "[otlp.headers]"),
            ("http://a b", "not a URL"),
        ] {
            let problem = check(endpoint, false).unwrap_err().to_string();
            assert!(problem.contains(says), "{endpoint}: {problem}");
        }
        assert!(header("a b", "x").is_err() && header("a", "x\ny").is_err());
        assert!(roots(Some(b"no pem")).is_err());
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(judged("logs", 200, "{}"), Outcome::Taken);
        assert_eq!(judged("logs", 200, "not json"), Outcome::Taken);
        assert_eq!(judged("logs", 200, r#"{"partialSuccess":{"rejectedLogRecords":"0"}}"#), Outcome::Taken);
        let partly =
            judged("logs", 200, r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}"#);
        assert_eq!(partly, Outcome::Partly { rejected: 3, why: "3 items were rejected: old".into() });
        let partly = judged("metrics", 200, r#"{"partialSuccess":{"rejectedDataPoints":2}}"#);
        assert!(matches!(partly, Outcome::Partly { rejected: 2, .. }));
        for status in [429, 502, 503, 504] {
            assert!(matches!(judged("logs", status, ""), Outcome::Away(_)));
        }
        let refused = judged("logs", 404, "no\nsuch page");
        assert_eq!(refused, Outcome::Refused("/v1/logs answered HTTP status 404 nosuch page".into()));
    }
}
