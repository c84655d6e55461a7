//! Closing a link so that its last bytes arrive.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits::Limits;

/// Bytes of a peer that does not stop talking which are read and dropped before the socket is closed all the same.
const LINGER_BYTES: usize = 256 * 1024;

/// Writes `last`, says goodbye (TLS close_notify, FIN), and waits a moment for the peer to close:
/// closing with unread bytes would send a reset, which overtakes the last packet. `last` that did not get out in
/// time is dropped.
pub(crate) async fn say<S>(mut stream: S, last: Bytes, limits: &Limits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let speaking = async {
        stream.write_all(&last).await?;
        stream.shutdown().await
    };
    if let Ok(Ok(())) = timeout(limits.flush, speaking).await {
        let _ = timeout(limits.linger, drain(&mut stream)).await;
    }
}

/// Closes without a last word.
pub(crate) async fn close<S>(stream: S, limits: &Limits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(stream, Bytes::new(), limits).await;
}

async fn drain<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut scrap = [0; 1024];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut scrap).await {
            Ok(0) | Err(_) => return,
            Ok(read) => left = left.saturating_sub(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_bytes_arrive_although_the_peer_talks_on() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            say(socket, Bytes::from_static(b"goodbye"), &Limits::default()).await;
        });
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(&[7; 50_000]).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"goodbye");
        drop(client);
        server.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_not_waited_for() {
        let (near, _far) = tokio::io::duplex(16);
        say(near, Bytes::from_static(&[1; 4096]), &Limits::default()).await;
    }
}
