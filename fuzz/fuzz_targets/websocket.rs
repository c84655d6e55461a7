//! Any bytes as frames of a client: the stream of MQTT under them ends, within its bounds, and however the bytes are cut
//! the same comes out.
#![no_main]

// The gateway's own file.
#[allow(dead_code)]
#[path = "../../crates/gateway/src/websocket.rs"]
mod websocket;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use websocket::WebSocketBytes;

const PACKET: u32 = 1_000;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, bytes)) = input.split_first() else { return };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let whole = read(bytes, bytes.len().max(1)).await;
            let pieces = read(bytes, usize::from(*cut).max(1)).await;
            assert_eq!(whole, pieces, "how the bytes are cut means something");
            assert!(whole.len() <= bytes.len(), "more came out than went in");
        });
    });
});

/// What MQTT gets to see of the bytes, sent in pieces.
async fn read(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut socket = WebSocketBytes::new(near, PACKET).await;
    let sending = async {
        for part in bytes.chunks(piece) {
            if far.write_all(part).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = far.shutdown().await;
        // What it answers is taken, so that it never waits for us.
        let mut answers = Vec::new();
        let _ = far.read_to_end(&mut answers).await;
    };
    let reading = async {
        let (mut all, mut some) = (Vec::new(), [0; 700]);
        while let Ok(count) = socket.read(&mut some).await {
            if count == 0 {
                break;
            }
            all.extend_from_slice(&some[..count]);
        }
        drop(socket);
        all
    };
    futures_util::future::join(sending, reading).await.1
}
