//! The client's side of MQTT over WebSocket: the upgrade, then binary frames [MQTT-6.0.0-1].
//!
//! Source: developer guide, *MQTT over the WebSocket protocol*: path `/mqtt`, subprotocol `mqtt`, and for IAM callers a
//! signature of the service `iotdevicegateway` in the query.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use identity::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::fault::{BenchError, Fault};

/// Bytes of the buffer that the library reads into.
const READ_BUFFER: usize = 8 * 1024;
/// Longest frame taken: a broker may put many packets into one.
const FRAME_MAX: usize = 8 << 20;
/// How long a signed request may be used; one is made for each connection.
const SIGNED_SECONDS: u32 = 300;

/// Where to upgrade, and with whose signature.
#[derive(Clone)]
pub struct Upgrade {
    /// `ws://host:port/path`, also over TLS: the encryption is there already.
    authority: String,
    path: String,
    signer: Option<Signer>,
}

/// A key pair of IAM, and the Region that it signs for.
#[derive(Clone)]
struct Signer {
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Upgrade {
    /// For this broker. `region`: sign, with the key pair in the environment.
    ///
    /// # Errors
    /// The environment has no key pair.
    pub fn new(host: &str, port: u16, path: &str, region: Option<&str>) -> Result<Self, BenchError> {
        let signer = region.map(Signer::from_environment).transpose()?;
        Ok(Self { authority: format!("{host}:{port}"), path: path.to_owned(), signer })
    }

    fn url(&self) -> String {
        let query =
            self.signer.as_ref().map(|signer| format!("?{}", signer.query(&self.authority, &self.path)));
        format!("ws://{}{}{}", self.authority, self.path, query.unwrap_or_default())
    }

    /// Upgrades a connection.
    ///
    /// # Errors
    /// [`Fault::Upgrade`], with the broker's status and words.
    pub async fn upgrade<S>(&self, stream: S) -> Result<WebSocketStream<S>, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut request =
            self.url().into_client_request().map_err(|error| Fault::Upgrade(error.to_string()))?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_MAX))
            .max_frame_size(Some(FRAME_MAX));
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => Err(Fault::Upgrade(format!(
                "{}: {}",
                answer.status(),
                String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default())
            ))),
            Err(error) => Err(Fault::Upgrade(error.to_string())),
        }
    }
}

impl Signer {
    fn from_environment(region: &str) -> Result<Self, BenchError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let needed = |name: &str| {
            set(name).ok_or_else(|| BenchError::Option(format!("--sigv4 needs {name} in the environment")))
        };
        Ok(Self {
            region: region.to_owned(),
            access_key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_access_key: needed("AWS_SECRET_ACCESS_KEY")?,
            session_token: set("AWS_SESSION_TOKEN"),
        })
    }

    fn query(&self, authority: &str, path: &str) -> String {
        let headers: [(&str, &[u8]); 1] = [("host", authority.as_bytes())];
        let request = sigv4::Request { method: "GET", path, query: "", headers: &headers };
        let credentials = sigv4::Credentials {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: self.session_token.as_deref(),
        };
        let target = sigv4::Target { region: &self.region, service: "iotdevicegateway" };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        sigv4::presign(&request, &credentials, &target, SIGNED_SECONDS, Timestamp::default() + since)
    }
}

/// Sends bytes as one frame.
///
/// # Errors
/// The connection is gone.
pub async fn send<S>(socket: &mut WebSocketStream<S>, bytes: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(Message::Binary(Bytes::copy_from_slice(bytes))).await.map_err(io::Error::other)
}

/// Waits for a frame of bytes; 0 = the end. Loses nothing when dropped.
///
/// # Errors
/// The connection broke, or the broker sent text.
pub async fn receive<S>(socket: &mut WebSocketStream<S>, input: &mut BytesMut) -> io::Result<usize>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match socket.next().await {
            None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed) | Ok(Message::Close(_))) => {
                return Ok(0);
            }
            Some(Err(error)) => return Err(io::Error::other(error)),
            Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => {
                input.extend_from_slice(&bytes);
                return Ok(bytes.len());
            }
            Some(Ok(Message::Text(_))) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a text frame: no MQTT"));
            }
            Some(Ok(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_address_carries_everything_but_the_secret() {
        let signer = Signer {
            region: "eu-west-1".into(),
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "SECRET".into(),
            session_token: None,
        };
        let upgrade = Upgrade { authority: "h:1".into(), path: "/mqtt".into(), signer: Some(signer) };
        let url = upgrade.url();
        assert!(url.starts_with("ws://h:1/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256"), "{url}");
        assert!(url.contains("iotdevicegateway") && url.contains("X-Amz-Signature="), "{url}");
        assert!(!url.contains("SECRET"), "{url}");
    }
}
