//! The upgrade of `GET /mqtt` to a WebSocket: who asks is known before it is granted.
//!
//! Source: developer guide, *MQTT over the WebSocket protocol*; RFC 6455 section 4.2. A refusal is 403 with a JSON body,
//! whatever was wrong with the signature; the event has the reason.

use std::sync::Arc;

use access::http_part;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use dialect::{Divergence, Fault};
use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::lingering::Lingering;
use super::{HttpVisit, refuse, signature};
use crate::clock::Clock;
use crate::converse::{self, Guest, Introduction};
use crate::custom::Presenting;
use crate::door::Shared;
use crate::refusal::Refusal;
use crate::rewound::Rewound;
use crate::websocket::WebSocketBytes;

/// The one path of MQTT over WebSocket.
const PATH: &str = "/mqtt";

/// The one version of the WebSocket protocol.
const VERSION: &str = "13";

/// True if the request wants to become a WebSocket.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    lists(request.headers().get_all(UPGRADE).iter(), "websocket")
}

/// Grants or refuses the upgrade. What follows a granted one goes on in a task of its own.
pub(super) async fn answer<S>(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    visit: &Arc<HttpVisit>,
) -> Response<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let lenient = shared.broker.dialect().has(Divergence::WsSubprotocolLenient);
    let granted = match (visit.websocket, agree(&parts, lenient)) {
        (true, Ok(granted)) => granted,
        (true, Err((status, why))) => {
            let mut response = refuse(shared, visit, &Refusal::wrong_speech(why), status);
            if status == StatusCode::UPGRADE_REQUIRED {
                // [RFC 6455, 4.4] the version that is spoken here.
                response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            }
            return response;
        }
        (false, _) => {
            let refusal = Refusal::no_websocket_here();
            return refuse(shared, visit, &refusal, StatusCode::FORBIDDEN);
        }
    };
    if shared.guard_against_browsers
        && let Err(why) = of_this_machine(&parts.headers)
    {
        return refuse(shared, visit, &Refusal::foreign_page(&why), StatusCode::FORBIDDEN);
    }
    let introduction = match introduce(shared, &parts, visit).await {
        Ok(introduction) => introduction,
        Err(refusal) => return refuse(shared, visit, &refusal, StatusCode::FORBIDDEN),
    };
    let Some(place) = visit.place.lock().take() else {
        let refusal = Refusal::wrong_speech("a second upgrade of one connection");
        return refuse(shared, visit, &refusal, StatusCode::BAD_REQUEST);
    };
    let life = shared.broker.dialect().limits().websocket_duration;
    let mut link = visit.link.clone();
    link.transport = "mqtt/wss";
    if shared.broker.dialect().has(Divergence::Ws24h) {
        link.ends = Some((shared.clock.now() + life, Fault::WebsocketExpired));
    }
    let guest = Guest { link, introduction, place };
    tokio::spawn(go_on::<S>(Arc::clone(shared), upgrade, guest));
    switching(&granted)
}

/// After the response is out: from HTTP's stream to frames to MQTT.
async fn go_on<S>(shared: Arc<Shared>, upgrade: OnUpgrade, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The peer left before the response was written, or this is not our stream: there is nobody to talk to.
    let Ok(upgraded) = upgrade.await else { return };
    let Some(stream) = stream_of::<S>(upgraded) else { return };
    let packet_bytes = shared.broker.dialect().limits().packet_bytes;
    let frames = WebSocketBytes::new(stream, packet_bytes).await;
    converse::spawn(&shared, frames, BytesMut::new(), guest);
}

fn stream_of<S>(upgraded: Upgraded) -> Option<Rewound<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let parts = upgraded.downcast::<TokioIo<Lingering<S>>>().ok()?;
    Some(Rewound::new(parts.read_buf, parts.io.into_inner().into_inner()))
}

/// Who asks. Where a signature counts, it counts first; without one, and whatever else stands in the Authorization
/// header, a custom authorizer is asked when CONNECT is there: AWS's SDKs name it in the user name only, and offer no
/// ALPN that would say so before.
async fn introduce(shared: &Shared, parts: &Parts, visit: &HttpVisit) -> Result<Introduction, Refusal> {
    if visit.authentication.takes_signature() && signature::is_there(parts) {
        let principal = signature::verify(shared, parts, Clock::wall()).await?;
        return Ok(Introduction::Known(broker::Credential::of(principal)));
    }
    let Some(authorizer) = &visit.guest.authorizer else { return Err(Refusal::no_credential()) };
    let server_name = visit.guest.server_name.as_deref();
    let http = Some(http_part(&parts.headers, parts.uri.query().unwrap_or_default()));
    let presenting = Presenting::new(server_name, http, authorizer.choice.clone(), None);
    Ok(Introduction::Custom(Box::new(presenting)))
}

/// What says that a page of elsewhere asks, if anything does. A page cannot choose its Origin, and its browser's Host is
/// the name that it believes to talk to.
fn of_this_machine(headers: &HeaderMap) -> Result<(), String> {
    let named = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let hosts: Vec<_> = named(HOST).collect();
    if hosts.is_empty() || !hosts.iter().all(|host| access::is_loopback(host)) {
        return Err(format!("at the host {:?}", hosts.join(", ")));
    }
    match named(ORIGIN).find(|origin| !access::is_loopback_origin(origin)) {
        Some(origin) => Err(format!("by a page of {origin:?}")),
        None => Ok(()),
    }
}

/// What was agreed on.
struct Granted {
    accept: String,
    subprotocol: Option<&'static str>,
}

/// Checks the shape of the request: status and reason of what is wrong with it.
fn agree(parts: &Parts, lenient: bool) -> Result<Granted, (StatusCode, &'static str)> {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    let header = |name: HeaderName| {
        let mut values = parts.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    if parts.method != Method::GET || parts.version < http::Version::HTTP_11 {
        return Err((BAD, "a WebSocket begins with GET by HTTP/1.1"));
    }
    if parts.uri.path() != PATH {
        return Err((StatusCode::NOT_FOUND, "MQTT over WebSocket is at /mqtt"));
    }
    if !lists(parts.headers.get_all(CONNECTION).iter(), "upgrade") {
        return Err((BAD, "the Connection header does not say upgrade"));
    }
    if header(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err((StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version is not 13"));
    }
    let key = header(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).ok().is_none_or(|nonce| nonce.len() != 16) {
        return Err((BAD, "Sec-WebSocket-Key is not base64 of 16 bytes"));
    }
    let offered = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let subprotocol = match () {
        () if lists(offered.iter(), "mqtt") => Some("mqtt"),
        () if lenient && lists(offered.iter(), "mqttv3.1") => Some("mqttv3.1"),
        () if lenient && offered.iter().next().is_none() => None,
        () => return Err((BAD, "Sec-WebSocket-Protocol does not offer mqtt")),
    };
    Ok(Granted { accept: derive_accept_key(key), subprotocol })
}

/// Whether one of the comma-separated words of a header is this one, in any case.
fn lists<'a>(mut values: impl Iterator<Item = &'a HeaderValue>, word: &str) -> bool {
    values.any(|value| {
        value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
    })
}

/// 101, with the headers that AWS sends.
fn switching(granted: &Granted) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(accept) = HeaderValue::try_from(&granted.accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(subprotocol) = granted.subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A right request with one header changed.
    fn parts(changed: &str, value: Option<&str>) -> Parts {
        let mut request = Request::get("/mqtt?X-Amz-Algorithm=x");
        for (name, right) in [
            ("host", "h"),
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "other, mqtt"),
        ] {
            match (name == changed, value) {
                (true, None) => {}
                (true, Some(value)) => request = request.header(name, value),
                (false, _) => request = request.header(name, right),
            }
        }
        request.body(()).unwrap().into_parts().0
    }

    fn status(changed: &str, value: Option<&str>) -> u16 {
        agree(&parts(changed, value), false).map_or_else(|(status, _)| status.as_u16(), |_| 101)
    }

    #[test]
    fn the_answer_is_that_of_the_rfc() {
        let granted = agree(&parts("", None), false).unwrap();
        assert_eq!(granted.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let response = switching(&granted);
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "mqtt");
    }

    #[test]
    fn every_part_of_the_request_is_checked() {
        assert_eq!(status("connection", Some("close")), 400);
        assert_eq!(status("sec-websocket-version", Some("8")), 426);
        assert_eq!(status("sec-websocket-version", None), 426);
        assert_eq!(status("sec-websocket-key", Some("c2hvcnQ=")), 400);
        assert_eq!(status("sec-websocket-key", None), 400);
        assert_eq!(status("sec-websocket-protocol", None), 400);
        assert_eq!(status("sec-websocket-protocol", Some("mqttv3.1")), 400);
        let mut elsewhere = parts("", None);
        elsewhere.uri = "/mqtt/".parse().unwrap();
        assert_eq!(agree(&elsewhere, false).err().map(|(status, _)| status.as_u16()), Some(404));
        elsewhere = parts("", None);
        elsewhere.method = Method::POST;
        assert_eq!(agree(&elsewhere, false).err().map(|(status, _)| status.as_u16()), Some(400));
    }

    #[test]
    fn pages_of_elsewhere_are_known_by_host_and_origin() {
        let asked = |headers: &[(HeaderName, &str)]| {
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                all.append(name.clone(), value.parse().unwrap());
            }
            of_this_machine(&all)
        };
        let host = (HOST, "localhost:4443");
        assert_eq!(asked(std::slice::from_ref(&host)), Ok(()));
        assert_eq!(asked(&[(HOST, "[::1]:4443"), (ORIGIN, "http://localhost:3000")]), Ok(()));
        for bad in ["https://evil.example", "null", "", "http://localhost.evil.example:4443"] {
            assert!(asked(&[host.clone(), (ORIGIN, bad)]).unwrap_err().contains("a page of"), "{bad}");
        }
        for bad in ["evil.example", "192.0.2.1:4443", ""] {
            assert!(asked(&[(HOST, bad)]).unwrap_err().contains("at the host"), "{bad}");
        }
        assert!(asked(&[]).is_err());
        let own = (ORIGIN, "http://127.0.0.1");
        assert!(asked(&[host.clone(), own, (ORIGIN, "http://evil.example")]).is_err(), "all of them count");
        assert!(asked(&[host, (HOST, "evil.example")]).is_err());
    }

    #[test]
    fn subprotocols_may_be_taken_leniently() {
        let granted = |value| agree(&parts("sec-websocket-protocol", value), true).unwrap().subprotocol;
        assert_eq!(granted(Some("mqttv3.1")), Some("mqttv3.1"));
        assert_eq!(granted(None), None);
        assert!(agree(&parts("sec-websocket-protocol", Some("chat")), true).is_err());
    }
}
