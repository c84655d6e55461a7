//! Who came by HTTPS to a device endpoint: what the transport knows of a caller before a request is read, and what a
//! custom authorizer said of it.
//!
//! Source: developer guide, *Custom authentication*: for HTTP the function is invoked for every request, unless the
//! authorizer has `enableCachingForHttp` and the connection is the same.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::Credential;
use customauth::{AuthorizerChoice, HttpPart, Presented, TlsPart};
use http::HeaderMap;
use identity::Timestamp;
use parking_lot::Mutex;

use crate::{Access, Authenticated, AuthenticationRefused, RefusalReason};

/// A connection of a device endpoint that speaks HTTPS.
#[derive(Debug)]
pub struct HttpsGuest {
    /// The caller's address.
    pub peer: SocketAddr,
    /// The endpoint that it asked for, if the server has it.
    pub server_name: Option<Arc<str>>,
    /// Who its client certificate says it is, on endpoints that ask for one.
    pub certificate: Option<Credential>,
    /// Whether a signature counts here.
    pub takes_signature: bool,
    /// Whether a custom authorizer may be asked, or with a certificate must be.
    pub authorizer: Option<HttpsAuthorizer>,
}

/// Custom authorizers for the requests of one connection.
#[derive(Debug)]
pub struct HttpsAuthorizer {
    /// What the endpoint says about them.
    pub choice: AuthorizerChoice,
    /// The client's certificate, PEM.
    certificate_pem: Option<String>,
    /// `connectionMetadata.id`.
    connection_id: String,
    /// The answer to the last request that may serve for the next one.
    cached: Mutex<Option<Cached>>,
}

/// An answer, for what it was given, and how long it serves.
#[derive(Debug)]
struct Cached {
    asked: HttpPart,
    until: Timestamp,
    answer: Authenticated,
}

impl HttpsAuthorizer {
    /// For a new connection.
    pub fn new(choice: AuthorizerChoice, certificate_pem: Option<String>) -> Self {
        let connection_id = uuid::Uuid::new_v4().to_string();
        Self { choice, certificate_pem, connection_id, cached: Mutex::new(None) }
    }

    fn cached(&self, asked: &HttpPart, now: Timestamp) -> Option<Authenticated> {
        let cached = self.cached.lock();
        cached
            .as_ref()
            .filter(|cached| cached.until > now && cached.asked == *asked)
            .map(|c| c.answer.clone())
    }
}

/// What of a request an authorizer gets to see.
pub fn http_part(headers: &HeaderMap, query: &str) -> HttpPart {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    HttpPart { headers: headers.iter().map(header).collect(), query: query.to_owned() }
}

/// Without the length of the message. Any other header may be what the authorizer goes by: its tokenKeyName, or what its
/// function reads.
fn without_length(part: &HttpPart) -> HttpPart {
    let headers = part.headers.iter().filter(|(name, _)| name != "content-length").cloned().collect();
    HttpPart { headers, query: part.query.clone() }
}

impl Access {
    /// Asks the custom authorizer that is responsible for a request of a guest, or takes what it said of such a request
    /// before on the same connection.
    ///
    /// # Errors
    /// Why nobody is authenticated; [`RefusalReason::Throttled`] before anybody is asked.
    pub async fn authenticate_request(
        &self,
        guest: &HttpsGuest,
        authorizer: &HttpsAuthorizer,
        http: HttpPart,
        now: Timestamp,
    ) -> Result<Credential, AuthenticationRefused> {
        let asked = without_length(&http);
        if let Some(answer) = authorizer.cached(&asked, now) {
            return Ok(credential(answer, guest.certificate.as_ref()));
        }
        if !self.broker.may_ask_for_request(now) {
            let detail = "requests that an authorizer is asked about come too often";
            return Err(AuthenticationRefused::new(RefusalReason::Throttled, None, detail));
        }
        let principal_id = guest.certificate.as_ref().map(|one| one.principal.identifier().to_owned());
        let tls = TlsPart {
            server_name: guest.server_name.as_deref().map(str::to_owned),
            certificate_pem: authorizer.certificate_pem.clone(),
            principal_id,
        };
        let connection_id = authorizer.connection_id.clone();
        let presented = Presented { tls: Some(tls), http: Some(http), mqtt: None, connection_id };
        let answer = self.authenticate(&presented, &authorizer.choice, now).await?;
        if answer.cache_for_http {
            let until = now + answer.grant.refresh_after;
            *authorizer.cached.lock() = Some(Cached { asked, until, answer: answer.clone() });
        }
        Ok(credential(answer, guest.certificate.as_ref()))
    }
}

/// Who a request is from, by an authorizer's answer. It is for one request and not renewed.
fn credential(answer: Authenticated, certificate: Option<&Credential>) -> Credential {
    answer.credential(certificate.cloned(), Timestamp::NEVER, None)
}

#[cfg(test)]
mod tests {
    use services::shapes::{AuthorizerStatus, CreateAuthorizerRequest};

    use super::*;
    use crate::tests::{FUNCTION, NOW, Scene};

    #[test]
    fn an_answer_is_kept_for_the_same_headers_only() {
        let scene = Scene::new();
        let input = CreateAuthorizerRequest {
            authorizer_name: "kept".into(),
            authorizer_function_arn: FUNCTION.into(),
            signing_disabled: Some(true),
            status: Some(AuthorizerStatus::Active),
            enable_caching_for_http: Some(true),
            ..Default::default()
        };
        scene.run(scene.access.create_authorizer(input, NOW)).unwrap();
        scene.functions.answer(Ok(r#"{"isAuthenticated":true,"principalId":"p1","policyDocuments":[]}"#));
        let choice = AuthorizerChoice { default: Some("kept".into()), allow_override: false };
        let authorizer = HttpsAuthorizer::new(choice, None);
        let guest = HttpsGuest {
            peer: ([127, 0, 0, 1], 9).into(),
            server_name: None,
            certificate: None,
            takes_signature: false,
            authorizer: None,
        };
        let asked = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let http = HttpPart { headers: headers.collect(), query: String::new() };
            scene.run(scene.access.authenticate_request(&guest, &authorizer, http, NOW)).unwrap();
            scene.functions.asked().len()
        };
        assert_eq!([asked(&[("content-length", "1")]), asked(&[("content-length", "2")])], [1, 0]);
        for name in ["date", "content-type", "x-amz-mqtt5-user-properties", "authorization"] {
            assert_eq!(asked(&[(name, "mine")]), 1, "{name}");
            assert_eq!(asked(&[(name, "mine"), ("content-length", "7")]), 0, "{name}");
            assert_eq!(asked(&[(name, "yours")]), 1, "{name}");
        }
    }
}
