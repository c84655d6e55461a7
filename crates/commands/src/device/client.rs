//! Signed calls to the AWS IoT API.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use identity::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::server::Server;
use super::trust;
use crate::plain;

/// A path segment keeps only the letters that need no encoding anywhere.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A longer answer is not read. The longest of a server's: some 40 MB of divergences, and as much of a bill with long names.
const LONGEST: u64 = 256 << 20;

/// One operation of the API.
#[derive(Clone, Debug)]
pub struct Call {
    operation: &'static str,
    method: &'static str,
    path: String,
    query: String,
    header: Option<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    /// The operation's name (for errors), its method and the segments of its path, not encoded.
    pub fn new(operation: &'static str, method: &'static str, path: &[&str]) -> Self {
        let path = path
            .iter()
            .fold(String::new(), |path, segment| format!("{path}/{}", utf8_percent_encode(segment, SEGMENT)));
        Self { operation, method, path, query: String::new(), header: None, body: None }
    }

    /// With a query string, encoded.
    pub fn query(self, query: &str) -> Self {
        Self { query: query.to_owned(), ..self }
    }

    /// The page of a list that a token leads to, or the first, as large as it may be.
    pub fn page(self, token: Option<&str>) -> Self {
        let more = token.map(|token| format!("&nextToken={}", utf8_percent_encode(token, SEGMENT)));
        Self { query: format!("maxResults=250{}", more.unwrap_or_default()), ..self }
    }

    /// With more behind the query.
    pub fn and(self, more: &str) -> Self {
        Self { query: format!("{}&{more}", self.query), ..self }
    }

    /// With one more header.
    pub fn header(self, name: &'static str, value: &str) -> Self {
        Self { header: Some((name, value.to_owned())), ..self }
    }

    /// With a JSON body.
    pub fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// A call that failed.
#[derive(Debug)]
pub enum CallFailed {
    /// Nobody answered, at this URL.
    Unreachable(String, String),
    /// The answer is longer than [`LONGEST`].
    TooLong {
        /// The operation.
        operation: &'static str,
    },
    /// The API refused: operation, error code, message.
    Refused {
        /// The operation.
        operation: &'static str,
        /// AWS's error code, such as `ResourceNotFoundException`.
        code: String,
        /// The API's words.
        message: String,
    },
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(url, error) => write!(
                f,
                "the server's API at {url} does not answer: {error}; look whether the server runs, and whether the port of \
                 [api] is open to this machine (http:// unless something in front of it speaks TLS)"
            ),
            Self::TooLong { operation } => {
                write!(
                    f,
                    "the answer to {operation} is longer than {} MiB: ask for less of it",
                    LONGEST >> 20
                )
            }
            // Words of a server that may repeat what a device called itself.
            Self::Refused { operation, code, message } => {
                write!(f, "{operation} was refused: {} ({})", plain(message), plain(code))
            }
        }
    }
}

/// Speaks to one server.
pub struct Client<'a> {
    server: &'a Server,
    agent: ureq::Agent,
    longest: u64,
}

impl<'a> Client<'a> {
    /// A client of this server; nothing is connected yet.
    pub fn new(server: &'a Server) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIME_LIMIT))
            .proxy(None)
            .tls_config(trust::config(server.trusted.as_ref()))
            .build();
        Self { server, agent: config.into(), longest: LONGEST }
    }

    /// The answer's JSON body; `null` for an empty one.
    pub fn call(&self, call: &Call) -> Result<Value, CallFailed> {
        let unreachable = |error: &dyn fmt::Display| {
            CallFailed::Unreachable(self.server.api_url.clone(), format!("{error}"))
        };
        let mut response = self.send(call).map_err(|error| unreachable(&error))?;
        let status = response.status();
        let error_type = response.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let error_type = error_type.map(str::to_owned);
        let body = response.body_mut().with_config().limit(self.longest);
        let text = body.read_to_string().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => CallFailed::TooLong { operation: call.operation },
            error => unreachable(&error),
        })?;
        let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(json);
        }
        let message = json.get("message").or_else(|| json.get("Message")).and_then(Value::as_str);
        Err(CallFailed::Refused {
            operation: call.operation,
            code: error_type.unwrap_or_else(|| status.to_string()),
            message: message.map_or(text.clone(), str::to_owned),
        })
    }

    fn send(&self, call: &Call) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let authority = self.server.authority();
        let mut headers: Vec<(&str, &[u8])> = vec![("host", authority.as_bytes())];
        if call.body.is_some() {
            headers.push(("content-type", b"application/json"));
        }
        headers.extend(call.header.iter().map(|(name, value)| (*name, value.as_bytes())));
        let request =
            sigv4::Request { method: call.method, path: &call.path, query: &call.query, headers: &headers };
        let added = self.sign(&request, body.as_bytes());

        let separator = if call.query.is_empty() { "" } else { "?" };
        let uri = format!("{}{}{separator}{}", self.server.api_url, call.path, call.query);
        let mut builder = ureq::http::Request::builder().method(call.method).uri(uri);
        for (name, value) in &headers {
            builder = builder.header(*name, *value);
        }
        for (name, value) in &added {
            builder = builder.header(*name, value);
        }
        self.agent.run(builder.body(body).map_err(ureq::Error::from)?)
    }

    fn sign(&self, request: &sigv4::Request<'_>, body: &[u8]) -> Vec<(&'static str, String)> {
        let credentials = sigv4::Credentials {
            access_key_id: &self.server.access_key_id,
            secret_access_key: &self.server.secret_access_key,
            session_token: self.server.session_token.as_deref(),
        };
        let target = sigv4::Target { region: &self.server.region, service: "iot" };
        sigv4::sign(request, body, &credentials, &target, now())
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default() + since
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// One answer of so many bytes; what the client makes of it.
    fn answered(bytes: usize, longest: u64) -> Result<Value, CallFailed> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = Server {
            api_url: format!("http://{}", listener.local_addr().unwrap()),
            region: "us-east-1".into(),
            access_key_id: "AKIA".into(),
            secret_access_key: "hush".into(),
            session_token: None,
            mqtt_port: None,
            ca_file: None,
            trusted: None,
        };
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let body = format!("\"{}\"", "x".repeat(bytes - 2));
            // Who finds it too long hangs up.
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{body}");
        });
        let client = Client { longest, ..Client::new(&server) };
        let answer = client.call(&Call::new("GetDivergences", "GET", &["thingcore", "divergences"]));
        answering.join().unwrap();
        answer
    }

    #[test]
    fn a_long_answer_is_read_and_one_that_is_too_long_is_called_that() {
        const BYTES: usize = 11 << 20;
        let answer = answered(BYTES, LONGEST).unwrap();
        assert_eq!(answer.as_str().map(str::len), Some(BYTES - 2));
        let failed = answered(BYTES, BYTES as u64 - 1).unwrap_err();
        assert!(matches!(failed, CallFailed::TooLong { operation: "GetDivergences" }), "{failed}");
        assert!(failed.to_string().contains("is longer than 256 MiB"), "{failed}");
    }
}
