//! A stream that does not close before its peer has had a moment to read the last answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes of a peer that does not stop talking which are read and dropped before the socket is closed all the same.
const BYTES: usize = 256 * 1024;

/// Its shutdown ends what is sent, and is over when the peer has closed too, or has had its time: closing with unread bytes, of
/// a further request or a body that nobody wanted, would send a reset, which overtakes the answer.
pub(super) struct Lingering<S> {
    stream: S,
    patience: Duration,
    end: End,
}

enum End {
    /// It is open.
    NotYet,
    /// Nothing is sent any more.
    Waiting { until: Pin<Box<Sleep>>, left: usize },
    /// The peer has closed, or has had its time.
    Over,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, end: End::NotYet }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, patience, end } = self.get_mut();
        let mut scrap = [0; 1024];
        loop {
            match end {
                End::NotYet => {
                    ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                    *end = End::Waiting { until: Box::pin(sleep(*patience)), left: BYTES };
                }
                End::Waiting { until, left } => {
                    let mut read = ReadBuf::new(&mut scrap);
                    let is_late = until.as_mut().poll(cx).is_ready();
                    let has_left =
                        is_late || ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)).is_err();
                    *left = left.saturating_sub(read.filled().len());
                    if has_left || read.filled().is_empty() || *left == 0 {
                        *end = End::Over;
                    }
                }
                End::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    /// The seconds that a goodbye takes, and what the peer heard of it.
    async fn goodbye(peer: impl AsyncFnOnce(&mut tokio::io::DuplexStream)) -> (u64, Vec<u8>) {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut near = Lingering::new(near, PATIENCE);
        near.write_all(b"goodbye").await.unwrap();
        peer(&mut far).await;
        let began = Instant::now();
        near.shutdown().await.unwrap();
        drop(near);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        (began.elapsed().as_secs(), heard)
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_a_peer_that_stays_and_for_no_other() {
        let said = b"goodbye".to_vec();
        assert_eq!(goodbye(async |_| {}).await, (1, said.clone()));
        assert_eq!(goodbye(async |far| far.shutdown().await.unwrap()).await, (0, said.clone()));
        let more = async |far: &mut tokio::io::DuplexStream| {
            far.write_all(&[7; 50_000]).await.unwrap();
            far.shutdown().await.unwrap();
        };
        assert_eq!(goodbye(more).await, (0, said.clone()));
        let endless = async |far: &mut tokio::io::DuplexStream| far.write_all(&vec![7; BYTES]).await.unwrap();
        assert_eq!(goodbye(endless).await, (0, said));
    }
}
