//! The listener, over real sockets on loopback.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;
use crate::exchange::tests::{exchange, signed_headers};

async fn started(limits: ServerLimits) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    serving(ApiServer::over(exchange(), limits)).await
}

async fn serving(server: ApiServer) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.serve(listener, async move { drop(stopped.await) }));
    (address, stop, task)
}

fn text(method: &str, target: &str) -> Vec<u8> {
    let headers = signed_headers("iot", method, target, b"");
    let headers: Vec<String> =
        headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\n{}\r\n", headers.concat()).into_bytes()
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 8192];
    let count = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn a_connection_is_kept_and_ends_with_the_server() {
    let (address, stop, task) = started(ServerLimits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(&text("GET", "/things?maxResults=5")).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("ListThings"), "{answer}");
    }
    stop.send(()).unwrap();
    task.await.unwrap();
    assert_eq!(read_some(&mut stream).await, "", "the idle connection is closed");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn silence_and_slow_heads_are_cut_off() {
    let limits = ServerLimits { head_patience: Duration::from_millis(100), ..ServerLimits::default() };
    let (address, _stop, _task) = started(limits).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(&text("GET", "/things")).await.unwrap();
    assert!(read_some(&mut idle).await.starts_with("HTTP/1.1 200"));
    for (name, stream) in [("silent", &mut silent), ("slow", &mut slow), ("idle", &mut idle)] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{name} is still open");
    }
}

/// Asks again and again, and says how often it was answered until the connection ended, or `longest` was over.
async fn pester(stream: &mut TcpStream, request: &[u8], status: &str, longest: Duration) -> (usize, bool) {
    let (until, mut answered) = (Instant::now() + longest, 0);
    while Instant::now() < until {
        if stream.write_all(request).await.is_err() {
            return (answered, true);
        }
        let mut answer = [0; 8192];
        let Ok(count @ 1..) = stream.read(&mut answer).await else { return (answered, true) };
        assert!(answer[..count].starts_with(format!("HTTP/1.1 {status}").as_bytes()));
        answered += 1;
        sleep(Duration::from_millis(20)).await;
    }
    (answered, false)
}

/// A request that needs no signature, and succeeds without one.
const UNSIGNED: &[u8] =
    b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSCognitoIdentityService.GetId\r\n\
    Content-Length: 2\r\n\r\n{}";
const REFUSED: &[u8] = b"GET /things HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_stranger_that_is_refused_again_and_again_does_not_keep_its_seat() {
    let head_patience = Duration::from_millis(300);
    let limits = ServerLimits { head_patience, connections: 1, ..ServerLimits::default() };
    let (address, _stop, _task) = started(limits).await;
    // Success without a signature lets nobody in either.
    for (request, status) in [(REFUSED, "403"), (UNSIGNED, "200")] {
        let begun = Instant::now();
        let mut stranger = TcpStream::connect(address).await.unwrap();
        // A mistake may be mended on the same connection.
        let (answered, ended) = pester(&mut stranger, request, status, Duration::from_secs(5)).await;
        assert!(ended && answered > 1, "it was answered {answered} times");
        assert!(begun.elapsed() >= head_patience, "it ended after {:?}", begun.elapsed());
        drop(stranger);
        // The one seat is free again.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(&text("GET", "/things")).await.unwrap();
        assert!(read_some(&mut next).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn whoever_has_been_let_in_stays_though_it_is_refused_later() {
    let limits = ServerLimits { head_patience: Duration::from_millis(200), ..ServerLimits::default() };
    let (address, _stop, _task) = started(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&text("GET", "/things")).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"));
    let (_, ended) = pester(&mut stream, REFUSED, "403", Duration::from_millis(600)).await;
    assert!(!ended);
    stream.write_all(&text("GET", "/things")).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_signature_that_holds_lets_in_whatever_the_answer_is() {
    let limits = ServerLimits { head_patience: Duration::from_millis(200), ..ServerLimits::default() };
    let (address, _stop, _task) = started(limits).await;
    for (method, path, status) in [("GET", "/no/such/path", "404"), ("DELETE", "/things/t", "409")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&text(method, path)).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let (_, ended) = pester(&mut stream, REFUSED, "403", Duration::from_millis(600)).await;
        assert!(!ended, "after {status}");
    }
}

#[tokio::test]
async fn a_request_under_way_when_the_time_is_over_is_answered() {
    let (short, long) = (Duration::from_millis(100), Duration::from_secs(5));
    let mut patient = exchange();
    patient.limits.patience = long;
    let limits =
        ServerLimits { head_patience: short, grace: long, farewell: short / 10, ..ServerLimits::default() };
    let (address, stop, task) = serving(ApiServer::over(patient, limits)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (head, rest) = UNSIGNED.split_at(UNSIGNED.len() - 1);
    stream.write_all(head).await.unwrap();
    sleep(short * 4).await;
    stream.write_all(rest).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(read_some(&mut stream).await, "", "it was the last");
    // The end of the server does not wait so long.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head).await.unwrap();
    sleep(short * 4).await;
    stop.send(()).unwrap();
    timeout(Duration::from_secs(2), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let (address, _stop, _task) = started(ServerLimits::default()).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    for (what, head) in [("long", long), ("many", many)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(head.as_bytes()).await;
        // The answer may be lost when the peer is still sending.
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer).await.is_ok();
        assert!(!read || answer == *b"HTTP/1.1 431" || answer == *b"HTTP/1.1 414", "{what}");
    }
    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n").await.unwrap();
    assert!(read_some(&mut garbage).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_seat() {
    let limits = ServerLimits { connections: 1, ..ServerLimits::default() };
    let (address, _stop, _task) = started(limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&text("GET", "/things")).await.unwrap();
    read_some(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(&text("GET", "/things")).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), read_some(&mut second)).await;
    assert!(waiting.is_err());
    drop(first);
    assert!(read_some(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_is_too_large_still_gets_its_answer() {
    let (address, _stop, _task) = started(ServerLimits::default()).await;
    for authorised in [true, false] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let headers = if authorised { signed_headers("iot", "POST", "/things/t", b"") } else { Vec::new() };
        let headers: Vec<String> =
            headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("POST /things/t HTTP/1.1\r\n{}Content-Length: 1000000\r\n\r\n", headers.concat());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; 1_000_000]).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(if authorised { "HTTP/1.1 413" } else { "HTTP/1.1 403" }), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    // The double's patience with a body is 50 ms.
    let (address, _stop, _task) = started(ServerLimits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers = signed_headers("iot", "POST", "/things/t", b"");
    let headers: Vec<String> =
        headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST /things/t HTTP/1.1\r\n{}Content-Length: 10\r\n\r\nabc", headers.concat());
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn pages_in_a_browser_cannot_call_a_guarded_server() {
    let guarded = Exchange { guard_against_browsers: true, ..exchange() };
    let (address, _stop, _task) = serving(ApiServer::over(guarded, ServerLimits::default())).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = String::from_utf8(text("GET", "/things")).unwrap();
    let with = |header: &str| head.replace("\r\n\r\n", &format!("\r\n{header}\r\n\r\n"));
    for (request, status) in [
        (head.clone(), 200),
        (with("Origin: http://localhost"), 200),
        (with("Origin: https://evil.example"), 403),
        (with("Sec-Fetch-Site: cross-site"), 403),
        (head.replace("host: localhost", "host: evil.example"), 403),
        (head.replace("GET", "OPTIONS").replace("host: localhost", "host: evil.example"), 403),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}\n{answer}");
        assert_eq!(answer.contains("--dev"), status == 403, "{answer}");
    }
    // Others are not asked: the signature is enough.
    let (address, _stop, _task) = started(ServerLimits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(with("Origin: https://console.example").as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"));
}
