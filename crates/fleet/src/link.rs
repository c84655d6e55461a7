//! What carries a connection's bytes: TCP, TLS, or a WebSocket over either.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;

use crate::fault::Fault;
use crate::target::Target;
use crate::websocket;

/// Bytes asked of the socket at once.
const READ_BYTES: usize = 16 * 1024;

/// A connection's bytes, both ways.
pub enum Link {
    /// TCP.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// WebSocket over TCP.
    Ws(Box<WebSocketStream<TcpStream>>),
    /// WebSocket over TLS.
    Wss(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

impl Link {
    /// Connects the client with this number, as the target wants it.
    ///
    /// # Errors
    /// TCP, TLS or the upgrade failed.
    pub async fn open(target: &Target, number: usize) -> Result<Self, Fault> {
        let stream = target.dial(number).await?;
        let Some(credentials) = &target.credentials else {
            return Ok(match &target.upgrade {
                None => Self::Plain(stream),
                Some(upgrade) => Self::Ws(Box::new(upgrade.upgrade(stream).await?)),
            });
        };
        let stream = credentials.handshake(number, stream).await?;
        Ok(match &target.upgrade {
            None => Self::Tls(Box::new(stream)),
            Some(upgrade) => Self::Wss(Box::new(upgrade.upgrade(stream).await?)),
        })
    }

    /// Sends all of these bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Ws(socket) => websocket::send(socket, bytes).await,
            Self::Wss(socket) => websocket::send(socket, bytes).await,
        }
    }

    /// Waits for bytes and appends them; 0 = the end. Loses nothing when dropped.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn receive(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => {
                input.reserve(READ_BYTES);
                stream.read_buf(input).await
            }
            Self::Tls(stream) => {
                input.reserve(READ_BYTES);
                stream.read_buf(input).await
            }
            Self::Ws(socket) => websocket::receive(socket, input).await,
            Self::Wss(socket) => websocket::receive(socket, input).await,
        }
    }

    /// Ends the connection in good order.
    ///
    /// # Errors
    /// It was gone already.
    pub async fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Ws(socket) => socket.close(None).await.map_err(io::Error::other),
            Self::Wss(socket) => socket.close(None).await.map_err(io::Error::other),
        }
    }
}
