//! The administration port over real sockets.

use super::*;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Running {
    address: SocketAddr,
    well: Arc<AtomicBool>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

async fn start() -> Running {
    let well = Arc::new(AtomicBool::new(true));
    let asked = well.clone();
    let health =
        Health::new(move || if asked.load(Relaxed) { Ok(()) } else { Err("the store is gone".into()) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let admin = Admin::new(MetricsObserver::new(), health);
    tokio::spawn(admin.serve(listener, async move { drop(stopped.await) }));
    Running { address, well, _stop: stop }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_and_health() {
    let running = start().await;
    let metrics = ask(running.address, "GET /metrics HTTP/1.1").await;
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(
        metrics.contains("application/openmetrics-text") && metrics.contains("aws_iot_connect_success_total")
    );
    assert!(ask(running.address, "GET /healthz HTTP/1.1").await.ends_with("ok\n"));
    running.well.store(false, Relaxed);
    let ill = ask(running.address, "GET /healthz HTTP/1.1").await;
    assert!(ill.starts_with("HTTP/1.1 503") && ill.ends_with("the store is gone\n"), "{ill}");
}

#[tokio::test]
async fn everything_else_is_not_found() {
    let running = start().await;
    for request in
        ["GET / HTTP/1.1", "GET /metrics/x HTTP/1.1", "POST /metrics HTTP/1.1", "GET /../etc/passwd HTTP/1.1"]
    {
        let answer = ask(running.address, request).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{request}: {answer}");
    }
    assert!(ask(running.address, "nonsense").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn idle_connections_are_bounded() {
    let running = start().await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        // The half of a head takes a place for sure.
        socket.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        idle.push(socket);
    }
    // Connections are accepted in order, so this one finds no place and is closed without a byte.
    let mut more = TcpStream::connect(running.address).await.unwrap();
    let mut answer = Vec::new();
    let read = more.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{read:?}");
    idle.truncate(CONNECTIONS / 2);
    // Freed places serve again, as soon as the server has seen the ends.
    loop {
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        let sent = socket.write_all(b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n").await;
        let mut answer = String::new();
        if sent.is_ok() && socket.read_to_string(&mut answer).await.is_ok() && answer.ends_with("ok\n") {
            break;
        }
        tokio::task::yield_now().await;
    }
}
