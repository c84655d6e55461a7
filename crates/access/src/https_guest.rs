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

/// An answer, for what it was given, and how long it serves at most: a change of its authorizer ends it before.
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
    /// Such an answer counts for as long as its authorizer is as it was, which is looked up for each request, as
    /// certificates and IAM keys are. What AWS does is not known. This is the safe side: an operator who switches an
    /// authorizer off or changes the keys of its tokens means those as well who are in.
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
        if let Some(answer) = authorizer.cached(&asked, now)
            && self.still_vouches(&answer, now).await?
        {
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
    use services::shapes::{
        AuthorizerStatus, CreateAuthorizerRequest, DeleteAuthorizerRequest, UpdateAuthorizerRequest,
    };

    use super::*;
    use crate::Line;
    use crate::tests::{FUNCTION, NOW, Scene};

    /// An authorizer `kept`, whose answers may be, and a connection on which it decides.
    struct Kept {
        scene: Scene,
        authorizer: HttpsAuthorizer,
        guest: HttpsGuest,
    }

    impl Kept {
        fn new() -> Self {
            let scene = Scene::new();
            let choice = AuthorizerChoice { default: Some("kept".into()), allow_override: false };
            let guest = HttpsGuest {
                peer: ([127, 0, 0, 1], 9).into(),
                server_name: None,
                certificate: None,
                takes_signature: false,
                authorizer: None,
            };
            let kept = Self { scene, authorizer: HttpsAuthorizer::new(choice, None), guest };
            kept.create();
            kept.scene
                .functions
                .answer(Ok(r#"{"isAuthenticated":true,"principalId":"p1","policyDocuments":[]}"#));
            kept
        }

        fn create(&self) {
            let input = CreateAuthorizerRequest {
                authorizer_name: "kept".into(),
                authorizer_function_arn: FUNCTION.into(),
                signing_disabled: Some(true),
                status: Some(AuthorizerStatus::Active),
                enable_caching_for_http: Some(true),
                ..Default::default()
            };
            self.scene.run(self.scene.access.create_authorizer(input, NOW)).unwrap();
        }

        fn update(&self, input: UpdateAuthorizerRequest) {
            let input = UpdateAuthorizerRequest { authorizer_name: "kept".into(), ..input };
            self.scene.run(self.scene.access.update_authorizer(input, NOW)).unwrap();
        }

        fn request(&self, headers: &[(&str, &str)]) -> Result<(), RefusalReason> {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let http = HttpPart { headers: headers.collect(), query: String::new() };
            let asked = self.scene.access.authenticate_request(&self.guest, &self.authorizer, http, NOW);
            self.scene.run(asked).map(|_| ()).map_err(|refused| refused.reason)
        }

        /// How often the function was asked for a request that is let in.
        fn asked(&self, headers: &[(&str, &str)]) -> usize {
            self.request(headers).unwrap();
            self.scene.functions.asked().len()
        }
    }

    #[test]
    fn an_answer_is_kept_for_the_same_headers_only() {
        let kept = Kept::new();
        assert_eq!([kept.asked(&[("content-length", "1")]), kept.asked(&[("content-length", "2")])], [1, 0]);
        for name in ["date", "content-type", "x-amz-mqtt5-user-properties", "authorization"] {
            assert_eq!(kept.asked(&[(name, "mine")]), 1, "{name}");
            assert_eq!(kept.asked(&[(name, "mine"), ("content-length", "7")]), 0, "{name}");
            assert_eq!(kept.asked(&[(name, "yours")]), 1, "{name}");
        }
    }

    #[test]
    fn an_answer_does_not_outlive_its_authorizer() {
        let kept = Kept::new();
        let status = |status| UpdateAuthorizerRequest { status: Some(status), ..Default::default() };
        assert_eq!([kept.asked(&[]), kept.asked(&[])], [1, 0]);
        kept.update(UpdateAuthorizerRequest { token_key_name: Some("new".into()), ..Default::default() });
        assert_eq!([kept.asked(&[]), kept.asked(&[])], [1, 0], "a change is asked about once");
        kept.update(status(AuthorizerStatus::Inactive));
        assert_eq!(kept.request(&[]), Err(RefusalReason::InactiveAuthorizer));
        kept.update(status(AuthorizerStatus::Active));
        assert_eq!(kept.asked(&[]), 1, "what was said before counts no more");
        kept.update(status(AuthorizerStatus::Inactive));
        let input = DeleteAuthorizerRequest { authorizer_name: "kept".into() };
        kept.scene.run(kept.scene.access.delete_authorizer(input, NOW)).unwrap();
        assert_eq!(kept.request(&[]), Err(RefusalReason::UnknownAuthorizer));
        kept.create();
        assert_eq!(kept.asked(&[]), 1, "another one of the same name");
        kept.scene.store.fail("unplugged");
        assert_eq!(kept.request(&[]), Err(RefusalReason::RegistryUnavailable));
    }

    #[test]
    fn a_request_with_a_certificate_does_not_wait_behind_strangers() {
        let mut kept = Kept::new();
        let id = identity::CertificateId::new(&"ab".repeat(32)).unwrap();
        let answer = format!(r#"{{"isAuthenticated":true,"principalId":"{id}","policyDocuments":[]}}"#);
        kept.asked(&[]);
        kept.guest.certificate = Some(Credential::of(identity::Principal::Certificate(id)));
        kept.scene.functions.answer(Ok(&answer));
        kept.asked(&[("a", "b")]);
        assert_eq!(kept.scene.functions.lines(), [Line::Entry, Line::Proven]);
    }
}
