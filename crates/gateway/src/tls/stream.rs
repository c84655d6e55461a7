//! The TLS stream: records pass through buffers of the thread, so that an idle connection keeps its keys and nothing else.
//!
//! It drives rustls's unbuffered connection. The buffered one keeps 4 KiB for the next read for as long as it lives.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{Accepted, Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::scratch;

/// Bytes asked of the socket per read: a record of the largest size, nearly.
const READ_BYTES: usize = 16 * 1024;
/// Bytes that are sealed at a time, and so what waits for the socket at most: what a stalled write is measured by.
const WRITE_BYTES: usize = 16 * 1024;
/// More than sealing adds to a piece of [`WRITE_BYTES`]: headers and tags of two records, and a key update.
const SEAL_BYTES: usize = 256;
/// How often a failed connection is asked for its alert.
const ALERTS: usize = 4;

/// Reads a ClientHello. The bytes come back with it: the connection reads them again, once it has a configuration.
///
/// # Errors
/// The peer went, or what it sent is no ClientHello: then it was sent the alert.
pub(crate) async fn hello<S>(socket: &mut S) -> io::Result<(Accepted, BytesMut)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut acceptor, mut incoming) = (Acceptor::default(), BytesMut::with_capacity(2048));
    loop {
        let before = incoming.len();
        incoming.reserve(1024);
        if socket.read_buf(&mut incoming).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut fresh = incoming.get(before..).unwrap_or_default();
        while !fresh.is_empty() {
            acceptor.read_tls(&mut fresh)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok((accepted, incoming)),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut last = Vec::new();
                    alert.write_all(&mut last)?;
                    // Whether it arrives or not: the fault is what counts.
                    let _ = socket.write_all(&last).await;
                    return Err(failed(error));
                }
            }
        }
    }
}

/// Shakes hands with a peer whose ClientHello is at the beginning of `incoming`.
///
/// # Errors
/// The peer went, or rustls found a fault: then the peer was sent the alert.
pub(crate) async fn shake<S>(
    socket: S,
    incoming: BytesMut,
    config: Arc<ServerConfig>,
) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tls = UnbufferedServerConnection::new(config).map_err(failed)?;
    let mut stream = TlsStream {
        tls,
        socket,
        incoming,
        plain: BytesMut::new(),
        outgoing: BytesMut::new(),
        unread: true,
        answers: false,
        ended: false,
        failed: false,
        said_goodbye: false,
    };
    loop {
        let stepped = stream.step(Wish::Nothing, None);
        let pushed = poll_fn(|cx| stream.push(cx)).await;
        stepped?;
        pushed?;
        if !stream.tls.is_handshaking() {
            stream.release();
            return Ok(stream);
        }
        if stream.ended || poll_fn(|cx| stream.fill(cx)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What is wanted of the connection beside the records that came.
#[derive(Clone, Copy)]
enum Wish<'a> {
    Nothing,
    Seal(&'a [u8]),
    Goodbye,
}

/// A connection after its handshake.
pub(crate) struct TlsStream<S> {
    tls: UnbufferedServerConnection,
    socket: S,
    /// Records that came and are not complete, or were not looked at.
    incoming: BytesMut,
    /// What was said and found no room at the reader's.
    plain: BytesMut,
    /// Records that the socket has not taken.
    outgoing: BytesMut,
    /// True while `incoming` may hold a complete record.
    unread: bool,
    /// Reading brought about something that is to be sent: whoever reads sends it.
    answers: bool,
    /// The peer said close_notify.
    ended: bool,
    /// A fault ended it.
    failed: bool,
    /// We did.
    said_goodbye: bool,
}

impl<S> TlsStream<S> {
    /// The peer's certificates, its own first; none if it was asked for none.
    pub(crate) fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// Takes in the complete records of `incoming`, and grants the wish. What was said goes to the reader as far as it has
    /// room, the rest to `plain`.
    fn step(&mut self, wish: Wish<'_>, mut reader: Option<&mut ReadBuf<'_>>) -> io::Result<()> {
        self.unread = false;
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        loop {
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(&mut self.incoming);
            let done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        hand_over(record.map_err(failed)?.payload, reader.as_deref_mut(), &mut self.plain);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    written(&mut self.outgoing, SEAL_BYTES, |room| data.encode(room).map_err(too_short))?;
                    false
                }
                // It is sent before anything else is.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    match wish {
                        Wish::Nothing => {}
                        Wish::Seal(text) => written(&mut self.outgoing, text.len() + SEAL_BYTES, |room| {
                            traffic.encrypt(text, room).map_err(unsealed)
                        })?,
                        Wish::Goodbye => written(&mut self.outgoing, SEAL_BYTES, |room| {
                            traffic.queue_close_notify(room).map_err(unsealed)
                        })?,
                    }
                    true
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    // After it nothing counts; what we still have to say may go.
                    let first = !std::mem::replace(&mut self.ended, true);
                    !first || matches!(wish, Wish::Nothing)
                }
                // There is no early data, and a handshake waits for its peer.
                Ok(_) => true,
                Err(error) => {
                    self.failed = true;
                    self.add_alert();
                    self.incoming.clear();
                    return Err(failed(error));
                }
            };
            self.incoming.advance(discard.min(self.incoming.len()));
            if done {
                return Ok(());
            }
        }
    }

    /// What a connection that failed has to tell its peer. It is never asked to look at a record again: what rustls knows
    /// of records that came in part holds for these bytes only. As long as it wants to write it does not look.
    fn add_alert(&mut self) {
        for _ in 0..ALERTS {
            if !self.tls.wants_write() {
                return;
            }
            match self.tls.process_tls_records(&mut self.incoming).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let _ =
                        written(&mut self.outgoing, SEAL_BYTES, |room| data.encode(room).map_err(too_short));
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                _ => return,
            }
        }
    }

    /// Gives empty buffers back to the thread.
    fn release(&mut self) {
        if self.incoming.is_empty() {
            scratch::return_records(std::mem::take(&mut self.incoming));
        }
        if self.plain.is_empty() {
            self.plain = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> TlsStream<S> {
    /// Reads records from the socket; 0 is its end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.incoming.capacity() == 0 {
            self.incoming = scratch::rent_records();
        }
        self.incoming.reserve(READ_BYTES.saturating_sub(self.incoming.len()).max(READ_BYTES / 4));
        let read = pin!(self.socket.read_buf(&mut self.incoming)).poll(cx);
        match &read {
            Poll::Pending => self.release(),
            Poll::Ready(Ok(1..)) => self.unread = true,
            Poll::Ready(_) => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> TlsStream<S> {
    /// Sends what reading brought about: an answer to a key update, or an alert. Where somebody else writes, and waits for
    /// the socket, his place in the socket's queue is not taken.
    fn answer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.answers
            && let Poll::Ready(pushed) = self.push(cx)
        {
            self.answers = false;
            pushed?;
        }
        Ok(())
    }

    /// Gives the socket what waits for it.
    fn push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outgoing))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.outgoing.advance(taken),
            }
        }
        if self.outgoing.capacity() > 0 {
            scratch::return_sealed(std::mem::take(&mut self.outgoing));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.plain.is_empty() {
            let taken = this.plain.len().min(buf.remaining());
            buf.put_slice(this.plain.get(..taken).unwrap_or_default());
            this.plain.advance(taken);
        }
        loop {
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                this.release();
                return Poll::Ready(Ok(()));
            }
            this.answer(cx)?;
            if this.unread {
                let before = this.outgoing.len();
                let stepped = this.step(Wish::Nothing, Some(buf));
                this.answers |= this.outgoing.len() > before;
                let answered = this.answer(cx);
                stepped?;
                answered?;
            } else if ready!(this.fill(cx))? == 0 {
                // It was careless, or somebody cut the wire.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answers = false;
        ready!(this.push(cx))?;
        let some = buf.get(..WRITE_BYTES).unwrap_or(buf);
        this.step(Wish::Seal(some), None)?;
        if let Poll::Ready(pushed) = this.push(cx) {
            pushed?;
        }
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.push(cx))?;
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.said_goodbye, true) {
            // A connection that failed says its alert instead.
            let _ = this.step(Wish::Goodbye, None);
        }
        ready!(this.push(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

fn hand_over(text: &[u8], reader: Option<&mut ReadBuf<'_>>, rest: &mut BytesMut) {
    let mut later = text;
    if let Some(reader) = reader.filter(|_| rest.is_empty()) {
        let now;
        (now, later) = text.split_at(text.len().min(reader.remaining()));
        reader.put_slice(now);
    }
    rest.put_slice(later);
}

/// Why nothing was written.
enum Unwritten {
    /// It needs so much room.
    Short(usize),
    /// It cannot be written.
    Failed(io::Error),
}

fn too_short(error: EncodeError) -> Unwritten {
    match error {
        EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Unwritten::Short(required_size)
        }
        EncodeError::AlreadyEncoded => Unwritten::Failed(io::Error::other(error)),
    }
}

fn unsealed(error: EncryptError) -> Unwritten {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Unwritten::Short(required_size)
        }
        // So many records under one key: AWS's limits end a connection long before.
        EncryptError::EncryptExhausted => Unwritten::Failed(io::Error::other(error)),
    }
}

/// Appends what `write` writes into the room that it is given.
fn written(
    outgoing: &mut BytesMut,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Unwritten>,
) -> io::Result<()> {
    if outgoing.capacity() == 0 {
        *outgoing = scratch::rent_sealed();
    }
    let start = outgoing.len();
    loop {
        outgoing.resize(start + room, 0);
        let outcome = write(outgoing.get_mut(start..).unwrap_or_default());
        match outcome {
            Ok(bytes) => {
                outgoing.truncate(start + bytes);
                return Ok(());
            }
            Err(Unwritten::Short(required)) if required > room => room = required,
            Err(Unwritten::Short(_)) => {
                outgoing.truncate(start);
                return Err(io::Error::other("rustls asks for room that it has"));
            }
            Err(Unwritten::Failed(error)) => {
                outgoing.truncate(start);
                return Err(error);
            }
        }
    }
}

fn failed(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
