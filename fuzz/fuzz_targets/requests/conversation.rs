//! A peer of the gateway that speaks HTTP: requests one after another, the upgrade to a WebSocket with its signature or without,
//! and what comes behind it. Nobody comes in by a signature, as nobody has a key; and what a peer has ended ends.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use access::{HttpsAuthorizer, HttpsGuest};
use broker::Link;
use customauth::AuthorizerChoice;
use dialect::{Dialect, Divergence};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::budget::Places;
use crate::door::Shared;
use crate::endpoint::Terms;
use crate::gateway_http::{self, HttpVisit};
use crate::way::Authentication;

/// The strict one, and the one that takes WebSockets of any subprotocol.
static DIALECTS: LazyLock<[Dialect; 2]> = LazyLock::new(|| {
    [false, true].map(|lenient| {
        let mut dialect = Dialect::aws();
        dialect.set(Divergence::WsSubprotocolLenient, lenient);
        dialect
    })
});

const MOMENT: Duration = Duration::from_millis(10);

thread_local! {
    // Its time stands still, and jumps to the next timer when there is nothing else to do.
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
}

/// The first byte says how the peer is to show who it is, what is taken, whether pages of other hosts are, and in which dialect.
pub(crate) fn visit(input: &[u8]) {
    let Some((terms, bytes)) = input.split_first() else { return };
    RUNTIME.with(|runtime| runtime.block_on(speak(*terms, bytes)));
}

async fn speak(terms: u8, bytes: &[u8]) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let shared = Arc::new(Shared::new(&DIALECTS[usize::from(terms >> 7)], terms & 0x40 != 0));
    let serving = gateway_http::serve(Arc::clone(&shared), near, visit_of(terms));
    let began = Instant::now();
    let asking = async {
        let _ = far.write_all(bytes).await;
        // A peer that leaves before its answer gets none: it stays until there is nothing more to do.
        tokio::time::sleep(MOMENT).await;
        let _ = far.shutdown().await;
        let mut answer = Vec::new();
        let _ = far.read_to_end(&mut answer).await;
        answer
    };
    let ((), answer) = futures_util::future::join(serving, asking).await;
    assert!(began.elapsed() < MOMENT * 2, "it waited for a peer that had left");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "the answer is not HTTP");
    let is_in = shared.guests.load(Ordering::Relaxed) > 0;
    let is_told = answer.windows(12).any(|part| part == b"HTTP/1.1 101");
    assert!(is_told || !is_in, "a peer came in that was not told");
}

fn visit_of(terms: u8) -> HttpVisit {
    use Authentication::{Custom, CustomX509, SigV4, SigV4OrCustom, X509};
    let authentication = [SigV4OrCustom, SigV4, Custom, CustomX509, X509][usize::from(terms & 0x0F) % 5];
    let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    let local = SocketAddr::from(([192, 0, 2, 2], 443));
    let authorizer = || HttpsAuthorizer::new(AuthorizerChoice::default(), None);
    HttpVisit {
        guest: HttpsGuest {
            peer,
            server_name: None,
            certificate: None,
            takes_signature: authentication.takes_signature(),
            authorizer: authentication.takes_authorizer().then(authorizer),
        },
        link: Link { peer, local, server_name: None, transport: "https", ends: None },
        asked: Some("localhost".into()),
        terms: Terms,
        authentication,
        requests: terms & 0x10 == 0,
        websocket: terms & 0x20 == 0,
        place: Mutex::new(Places::new(1).take()),
    }
}
