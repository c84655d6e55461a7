//! HTTP/1.1 behind a finished handshake: HTTPS requests, and the upgrade to MQTT over WebSocket.
//!
//! What a request means is somebody else's business ([`Requests`]); here are the bounds of the conversation and the
//! upgrade. Sources: developer guide, *HTTPS*, *MQTT over the WebSocket protocol*; RFC 9112, RFC 6455.

mod lingering;
mod signature;
mod upgrade;

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::HttpsGuest;
use broker::Link;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until};

use crate::budget::Place;
use crate::door::Shared;
use crate::endpoint::Terms;
use crate::limits::Limits;
use crate::refusal::{Alert, Refusal};
use crate::report;
use crate::way::Authentication;
use lingering::Lingering;

/// Bytes of the buffer that a request head must fit in, roughly. More is answered with 431.
const HEAD_BYTES: usize = 32 * 1024;
/// Headers of a request. More is answered with 431.
const HEADERS: usize = 64;

/// The response to a request, some time.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send + 'a>>;

/// Answers HTTPS requests of device endpoints.
pub trait Requests: Send + Sync {
    /// Answers one. A success (2xx) says that whoever asks has been let in: no stranger may be given one.
    fn answer<'a>(&'a self, request: Request<Incoming>, guest: &'a HttpsGuest) -> Answering<'a>;
}

/// One connection that speaks HTTP.
pub(crate) struct HttpVisit {
    pub(crate) guest: HttpsGuest,
    pub(crate) link: Link,
    /// The server name that the peer asked for, whatever it was.
    pub(crate) asked: Option<Arc<str>>,
    /// The terms of its endpoint at the handshake.
    pub(crate) terms: Terms,
    pub(crate) authentication: Authentication,
    /// HTTPS requests are taken.
    pub(crate) requests: bool,
    /// The upgrade to a WebSocket is taken.
    pub(crate) websocket: bool,
    /// The socket's place; it goes with the WebSocket.
    pub(crate) place: Mutex<Option<Place>>,
}

/// Serves until the peer leaves, its time is over, or the doors close. An upgraded connection goes on by itself.
pub(crate) async fn serve<S>(shared: Arc<Shared>, stream: S, visit: HttpVisit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let visit = Arc::new(visit);
    let limits = Arc::clone(&shared.limits);
    // The registry lets in by a certificate, before the first request.
    let is_let_in = Arc::new(AtomicBool::new(visit.guest.certificate.is_some()));
    let answering = (Arc::clone(&shared), Arc::clone(&visit), Arc::clone(&is_let_in));
    let answer = service_fn(move |request| {
        let (shared, visit, is_let_in) = answering.clone();
        async move {
            let response = answer::<S>(&shared, request, &visit).await;
            if response.status().is_success() {
                is_let_in.store(true, Ordering::Relaxed);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.first_packet)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(Lingering::new(stream, limits.linger)), answer)
        .with_upgrades();
    let mut serving = pin!(serving);
    tokio::select! {
        served = &mut serving => return served.unwrap_or_else(|error| broken(&shared, &visit, &error)),
        () = shared.closing() => {}
        () = time_is_over(&limits, &is_let_in) => {}
    }
    serving.as_mut().graceful_shutdown();
    let doors_close = async {
        shared.closing().await;
        sleep(limits.flush).await;
    };
    tokio::select! {
        _ = serving => {}
        () = doors_close => {}
        () = sleep(limits.last_response) => {}
    }
}

/// Returns when no further request is taken. Whoever has not been let in has the time of a CONNECT for it, however many
/// requests are refused meanwhile: a client that has made a mistake may mend it, and a stranger does not keep its place.
async fn time_is_over(limits: &Limits, is_let_in: &AtomicBool) {
    let begun = Instant::now();
    sleep(limits.first_packet.min(limits.http_connection)).await;
    if is_let_in.load(Ordering::Relaxed) {
        sleep_until(begun + limits.http_connection).await;
    }
}

/// The peer's end of a conversation is not worth an event, unless it was none from the start on.
fn broken(shared: &Shared, visit: &HttpVisit, error: &hyper::Error) {
    if error.is_parse() {
        report::refused(shared, &visit.link, &Refusal::not_http(error));
    }
}

async fn answer<S>(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    visit: &Arc<HttpVisit>,
) -> Response<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Err((refusal, status)) = check_endpoint(shared, visit).await {
        let mut response = refuse(shared, visit, &refusal, status);
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        return response;
    }
    if upgrade::is_asked_for(&request) {
        return upgrade::answer::<S>(shared, request, visit).await;
    }
    if !visit.requests {
        let refusal = Refusal::wrong_speech("an HTTPS request to an endpoint for MQTT over WebSocket only");
        return refuse(shared, visit, &refusal, StatusCode::FORBIDDEN);
    }
    shared.requests.answer(request, &visit.guest).await
}

/// Whether the endpoint is still what it was at the handshake: what an operator changes holds for connections that are open,
/// at their next request. A peer whose endpoint has other terms now comes again, and is let in on those.
async fn check_endpoint(shared: &Shared, visit: &HttpVisit) -> Result<(), (Refusal, StatusCode)> {
    let Some(asked) = visit.asked.as_deref() else { return Ok(()) };
    let endpoint = shared.endpoint(Some(asked)).await.map_err(|refusal| {
        let status = match refusal.alert {
            Alert::AccessDenied => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (refusal, status)
    })?;
    if endpoint.terms == visit.terms && endpoint.name == visit.link.server_name {
        return Ok(());
    }
    Err((Refusal::endpoint_changed(asked), StatusCode::SERVICE_UNAVAILABLE))
}

/// AWS's answer to a peer that may not come in, and the event that says why.
fn refuse(
    shared: &Shared,
    visit: &HttpVisit,
    refusal: &Refusal,
    status: StatusCode,
) -> Response<Full<Bytes>> {
    report::refused(shared, &visit.link, refusal);
    let message = status.canonical_reason().unwrap_or_default();
    let trace = uuid::Uuid::new_v4().to_string();
    let body = json!({ "message": message, "traceId": trace }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Ok(id) = header::HeaderValue::try_from(trace) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
