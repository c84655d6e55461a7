//! MQTT over WebSocket as a stream of bytes: binary frames in, binary frames out.
//!
//! Source: developer guide, *MQTT over the WebSocket protocol*; MQTT 5.0 section 6. How MQTT packets are cut into frames
//! means nothing [MQTT-6.0.0-1]. Everything of RFC 6455 is the library's; here are its limits and its ends.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes of the buffer that the library reads into.
const READ_BUFFER: usize = 4 * 1024;

/// A frame or message may be this much longer than the longest MQTT packet: many small packets may share one.
const ABOVE_PACKET: usize = 64 * 1024;

/// No frame is taken beyond this, whatever packets may measure: it is held in memory until it is complete.
const LONGEST_MESSAGE: usize = 8 * 1024 * 1024;

/// The longest header of a frame that a server sends.
const FRAME_HEADER: usize = 10;

/// The client closed its WebSocket with a Close frame: AWS counts that as its own wish (no will).
#[derive(Debug)]
pub(crate) struct ClosedByClient;

impl fmt::Display for ClosedByClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client closed its WebSocket")
    }
}

impl std::error::Error for ClosedByClient {}

/// The server's side of a WebSocket, after the upgrade.
#[derive(Debug)]
pub(crate) struct WebSocketBytes<S> {
    socket: WebSocketStream<S>,
    /// What is left of the last frame.
    incoming: Bytes,
    /// The longest frame that is sent; more is cut. It is also what the library may keep for a peer that does not read:
    /// then pongs are left out but for the last [RFC 6455, 5.5.3], and writing waits.
    longest: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketBytes<S> {
    /// Over an upgraded connection, for MQTT packets of at most `packet_bytes`.
    pub(crate) async fn new(stream: S, packet_bytes: u32) -> Self {
        let longest = (packet_bytes as usize).saturating_add(ABOVE_PACKET).min(LONGEST_MESSAGE);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(longest.saturating_add(FRAME_HEADER))
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self { socket, incoming: Bytes::new(), longest }
    }

    /// [MQTT-6.0.0-2] what is no binary frame closes the connection.
    fn refuse_text(&mut self, cx: &mut Context<'_>) -> io::Error {
        let reason = "MQTT travels in binary frames".into();
        let close = Message::Close(Some(CloseFrame { code: CloseCode::Unsupported, reason }));
        if Pin::new(&mut self.socket).start_send(close).is_ok() {
            // As much of it as goes out at once: the connection is lost anyway.
            let _ = Pin::new(&mut self.socket).poll_flush(cx);
        }
        io::Error::new(io::ErrorKind::InvalidInput, "a text frame: MQTT travels in binary frames")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.incoming.is_empty() {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(ended(error)),
                None => return Poll::Ready(Ok(())),
            };
            match message {
                Message::Binary(bytes) => self.incoming = bytes,
                Message::Close(_) => {
                    // The library has a Close frame to answer with [RFC 6455, 5.5.1]. As much of it as goes out at once.
                    let _ = Pin::new(&mut self.socket).poll_flush(cx);
                    return Poll::Ready(Err(io::Error::other(ClosedByClient)));
                }
                Message::Text(_) => return Poll::Ready(Err(self.refuse_text(cx))),
                // The library answers pings by itself.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        let taken = self.incoming.len().min(buf.remaining());
        buf.put_slice(self.incoming.get(..taken).unwrap_or_default());
        self.incoming.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let piece = buf.get(..self.longest).unwrap_or(buf);
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
            let frame = Message::Binary(Bytes::copy_from_slice(piece));
            match Pin::new(&mut self.socket).start_send(frame) {
                Ok(()) => return Poll::Ready(Ok(piece.len())),
                // Pongs are in the way, and nothing of the piece was taken. Once they are out there is room.
                Err(Error::WriteBufferFull(_)) => {
                    ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(broken)?;
                }
                Err(error) => return Poll::Ready(Err(broken(error))),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    /// A Close frame, then the end of the stream below.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What waits makes room for the Close frame.
        ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(broken)?;
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            Err(error) => return Poll::Ready(Err(broken(error))),
        }
        Pin::new(self.socket.get_mut()).poll_shutdown(cx)
    }
}

/// What the end of reading means: nothing more comes, or the peer broke the protocol.
fn ended(error: Error) -> io::Result<()> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ok(()),
        other => Err(broken(other)),
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidInput, format!("WebSocket: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    async fn pair() -> (WebSocketBytes<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(256 * 1024);
        let client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        (WebSocketBytes::new(near, 1000).await, client)
    }

    #[tokio::test]
    async fn frames_are_cut_as_anybody_likes() {
        let (mut server, mut client) = pair().await;
        for piece in [b"ab".as_slice(), b"", b"c"] {
            client.send(Message::Binary(Bytes::copy_from_slice(piece))).await.unwrap();
        }
        client.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
        client.send(Message::Binary(Bytes::from_static(b"def"))).await.unwrap();
        let mut read = [0; 6];
        server.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"abcdef");
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"?")));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Binary(Bytes::from_static(b"answer")));
    }

    /// Pings that nobody reads the answers of.
    const FLOOD: usize = 20_000;

    /// Sends [`FLOOD`] pings of 125 bytes, the last one with another content, without reading.
    async fn flood(client: &mut DuplexStream) {
        for number in 0..FLOOD {
            let content = if number + 1 == FLOOD { b'z' } else { b'a' };
            let mut frame = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
            frame.extend_from_slice(&[content; 125]);
            client.write_all(&frame).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_does_not_read_its_pongs_is_not_remembered_them() {
        let (near, mut far) = tokio::io::duplex(16 * 1024);
        let mut server = WebSocketBytes::new(near, 1000).await;
        let flooded = flood(&mut far);
        let mut read = [0; 8];
        tokio::select! {
            () = flooded => {}
            ended = server.read(&mut read) => panic!("{ended:?}"),
        }
        // The last of them are on their way.
        for _ in 0..1000 {
            let polled = std::future::poll_fn(|cx| {
                Poll::Ready(Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut read)).is_ready())
            });
            assert!(!polled.await);
            tokio::task::yield_now().await;
        }
        // A message in the middle of it arrives, and so does the end.
        let data = vec![7; 100_000];
        let speaking = async {
            server.write_all(&data).await.unwrap();
            server.shutdown().await.unwrap();
            drop(server);
        };
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(speaking, far.read_to_end(&mut heard));
        read.unwrap();
        let pongs = heard.windows(2).filter(|two| *two == [0x8A, 125]).count();
        assert!(pongs > 100 && pongs < 1000, "{pongs} pongs");
        assert!(heard.windows(125).any(|run| run == [b'z'; 125]), "the last ping is answered");
        assert_eq!(heard.iter().filter(|byte| **byte == 7).count(), data.len());
        assert!(heard.ends_with(&[0x88, 0]), "a Close frame is the end");
    }

    #[tokio::test]
    async fn what_is_longer_than_a_frame_may_be_is_cut() {
        let (mut server, mut client) = pair().await;
        let sent: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        let said = sent.clone();
        tokio::spawn(async move {
            server.write_all(&said).await.unwrap();
            server.flush().await.unwrap();
            let _ = server.read(&mut [0; 8]).await;
        });
        let mut heard = Vec::new();
        while heard.len() < sent.len() {
            let Some(Ok(Message::Binary(piece))) = client.next().await else { panic!("no frame") };
            assert!(piece.len() <= ABOVE_PACKET + 1000);
            heard.extend_from_slice(&piece);
        }
        assert_eq!(heard, sent);
    }

    #[tokio::test]
    async fn a_close_frame_is_the_clients_own_wish() {
        let (mut server, mut client) = pair().await;
        client.send(Message::Close(None)).await.unwrap();
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<ClosedByClient>()), "{error}");
        assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))), "it is answered");
    }

    #[tokio::test]
    async fn text_and_too_long_frames_end_it() {
        let (mut server, mut client) = pair().await;
        client.send(Message::Text("hello".into())).await.unwrap();
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert!(error.to_string().contains("text frame"), "{error}");
        let Some(Ok(Message::Close(Some(close)))) = client.next().await else { panic!("no Close frame") };
        assert_eq!(close.code, CloseCode::Unsupported);

        let (mut server, mut client) = pair().await;
        let _ = client.send(Message::Binary(vec![0; ABOVE_PACKET + 1001].into())).await;
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert!(error.to_string().contains("WebSocket"), "{error}");
    }

    #[tokio::test]
    async fn the_servers_end_is_a_close_frame() {
        let (mut server, mut client) = pair().await;
        let ending = tokio::spawn(async move { server.shutdown().await });
        assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))));
        drop(client);
        let _ = ending.await.unwrap();
    }

    #[tokio::test]
    async fn a_frame_without_mask_is_refused() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut server = WebSocketBytes::new(near, 1000).await;
        far.write_all(&[0x82, 1, b'x']).await.unwrap();
        assert!(server.read(&mut [0; 8]).await.is_err());
    }
}
