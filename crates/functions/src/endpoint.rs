//! A function behind HTTP: Lambda's Invoke API.
//!
//! Source: Lambda's API reference, *Invoke*. One connection for each invocation: they are rare, and a connection that
//! somebody closed in between would be a failed authentication.

use std::error::Error;
use std::fmt;

use access::FunctionFailed;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;

use crate::ANSWER_MAX;

/// The port when the URL has none.
const HTTP: u16 = 80;
/// How much of a refusal's text is repeated, in characters.
const REPEATED: usize = 256;
/// What stands for itself in a segment of a path.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

/// The text is no URL that can be posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEndpoint(String);

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an http:// URL (https:// is not built: put a proxy in between)", self.0)
    }
}

impl Error for InvalidEndpoint {}

impl Endpoint {
    /// Reads a URL such as `http://127.0.0.1:9001`.
    ///
    /// # Errors
    /// [`InvalidEndpoint`].
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(invalid)?;
        if uri.scheme_str() != Some("http") {
            return Err(invalid());
        }
        Ok(Self {
            // An IPv6 address stands in brackets.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(HTTP),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// Path and query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path of Lambda's API at which the function is invoked.
    pub(crate) fn invocations(&self, arn: &str) -> String {
        let name = utf8_percent_encode(arn, UNRESERVED);
        format!("{}/2015-03-31/functions/{name}/invocations", self.path.trim_end_matches('/'))
    }

    /// Invokes. Dropping the future closes the connection.
    pub(crate) async fn post(&self, path: &str, payload: Bytes) -> Result<Bytes, FunctionFailed> {
        let request = Request::post(path)
            .header("host", &self.authority)
            .header("content-type", "application/json")
            .header("x-amz-invocation-type", "RequestResponse")
            .body(Full::new(payload))
            .map_err(|error| self.refused("the request cannot be written", &error))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port));
        let stream = stream.await.map_err(|error| self.refused("cannot connect", &error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.refused("no HTTP connection", &error))?;
        let asking = async move {
            let response = sender.send_request(request).await;
            self.read(response.map_err(|error| self.refused("no answer", &error))?).await
        };
        // Both in this task: what is dropped together ends together.
        tokio::pin!(asking, connection);
        tokio::select! {
            answer = &mut asking => answer,
            ended = &mut connection => match ended {
                // What came before the end is still to be read.
                Ok(()) => asking.await,
                Err(error) => Err(self.refused("the connection broke", &error)),
            },
        }
    }

    async fn read(&self, response: http::Response<Incoming>) -> Result<Bytes, FunctionFailed> {
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, ANSWER_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(FunctionFailed::TooLarge),
            Err(error) => return Err(self.refused("the answer broke off", &error)),
        };
        judged(head.status, &head.headers, body).map_err(|failed| match failed {
            FunctionFailed::Refused(detail) => FunctionFailed::Refused(format!("{self}: {detail}")),
            other => other,
        })
    }

    fn refused(&self, what: &str, error: &dyn fmt::Display) -> FunctionFailed {
        FunctionFailed::Refused(format!("{self}: {what}: {error}"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

/// What a complete response means.
fn judged(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Bytes, FunctionFailed> {
    if !status.is_success() {
        let text: String = String::from_utf8_lossy(&body).chars().take(REPEATED).collect();
        return Err(FunctionFailed::Refused(format!("HTTP status {status}: {text}")));
    }
    match headers.get("x-amz-function-error") {
        None => Ok(body),
        Some(kind) => {
            Err(FunctionFailed::FunctionError(error_of(&body, &String::from_utf8_lossy(kind.as_bytes()))))
        }
    }
}

/// `MESSAGE: TYPE`, from the object that Lambda's runtimes write.
fn error_of(body: &[u8], kind: &str) -> String {
    let error: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
    let message = member("errorMessage").unwrap_or("it gave no message");
    let message: String = message.chars().take(REPEATED).collect();
    let kind: String = member("errorType").unwrap_or(kind).chars().take(REPEATED).collect();
    format!("{message}: {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_with_a_host() {
        let endpoint = Endpoint::parse("http://127.0.0.1:9001").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.path()), ("127.0.0.1", 9001, "/"));
        let endpoint = Endpoint::parse("http://[::1]/a/b?c=d").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.path()), ("::1", 80, "/a/b?c=d"));
        for bad in [
            "",
            "127.0.0.1:9001",
            "https://localhost",
            "/path",
            "http://",
            "http://me:hush@host",
            "http://a b",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_arn_is_one_segment_of_the_path() {
        let endpoint = Endpoint::parse("http://localhost:1/base/").unwrap();
        assert_eq!(
            endpoint.invocations("arn:aws:lambda:r:a:function:f"),
            "/base/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3Aa%3Afunction%3Af/invocations"
        );
    }

    #[test]
    fn an_error_of_the_function_says_message_and_type() {
        let body = br#"{"errorMessage":"no such user","errorType":"KeyError","stackTrace":[]}"#;
        assert_eq!(error_of(body, "Unhandled"), "no such user: KeyError");
        assert_eq!(error_of(b"junk", "Unhandled"), "it gave no message: Unhandled");
    }
}
