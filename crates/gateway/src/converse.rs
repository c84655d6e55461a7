//! One socket's way: handshake, credential, first packet, conversation.
//!
//! Several tasks, each ended by starting the next, because a task is as large as its largest moment: the handshake (and
//! HTTP, where it is spoken), the greeting, the conversation, which is the small one that stays. Until the conversation
//! begins a task is dropped when the doors close; after that the broker says goodbye.

use std::sync::Arc;

use access::{HttpsAuthorizer, HttpsGuest};
use broker::{Credential, Link};
use bytes::{Bytes, BytesMut};
use identity::{CustomPrincipal, Principal};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::budget::Place;
use crate::clock::Clock;
use crate::credential::credential_of;
use crate::custom::Presenting;
use crate::door::{Door, Shared, Visitor};
use crate::driver::Driver;
use crate::endpoint::Terms;
use crate::greet::{self, Greeted};
use crate::handshake::{Shaken, Unshaken, shake_hands};
use crate::http::{self, HttpVisit};
use crate::refusal::Refusal;
use crate::report;
use crate::rewound::Rewound;
use crate::tls::TlsStream;
use crate::way::{Authentication, Port, Speech, Way};

/// The first byte of CONNECT.
const CONNECT: u8 = 0x10;

/// Brings a socket to the point where MQTT or HTTP begins, and starts its conversation.
pub(crate) async fn enter(shared: &Arc<Shared>, socket: TcpStream, visitor: Visitor) {
    let port = match &*visitor.door {
        Door::Plain { principal } => {
            let introduction = Introduction::Known(Credential::of(Principal::Plain(Arc::clone(principal))));
            let link = link_of(&visitor, None);
            let guest = Guest { link, introduction, place: visitor.place };
            return spawn(shared, socket, BytesMut::new(), guest);
        }
        Door::Mqtt => Port::Mqtt,
        Door::Tls => Port::Shared,
        Door::Https => Port::Https,
    };
    match timeout(shared.limits.handshake, shake_hands(shared, socket, port)).await {
        Ok(Ok(shaken)) => welcome(shared, shaken, visitor).await,
        Ok(Err(unshaken)) => report::unshaken(shared, &visitor, &unshaken),
        Err(_) => {
            let seconds = shared.limits.handshake.as_secs_f64();
            report::unshaken(shared, &visitor, &Unshaken::from(Refusal::too_slow(seconds)));
        }
    }
}

/// After the handshake: who it is as far as TLS tells, and what is spoken.
async fn welcome(shared: &Arc<Shared>, shaken: Shaken, visitor: Visitor) {
    let Shaken { stream, way, endpoint, asked, chain } = shaken;
    let link = link_of(&visitor, endpoint.name.clone());
    let certificate = match way.authentication.takes_certificate() {
        true => match credential_of(shared, &chain, &endpoint, Clock::wall()).await {
            Ok(credential) => Some(credential),
            Err(refusal) => {
                let unshaken = Unshaken { server_name: asked, refusal: Some(refusal) };
                report::unshaken(shared, &visitor, &unshaken);
                return crate::farewell::close(stream, &shared.limits).await;
            }
        },
        false => None,
    };
    let pem = chain.first().filter(|_| way.authentication.takes_authorizer());
    let pem = pem.map(|leaf| pki::pem::encode(pki::pem::CERTIFICATE, leaf));
    let arrival = Arrival { link, place: visitor.place, way, asked, terms: endpoint.terms, certificate, pem };
    match arrival.way.speech {
        Speech::Mqtt => {
            let guest = arrival.guest();
            spawn(shared, stream, BytesMut::new(), guest);
        }
        Speech::MqttOrWebSocket => sniff(shared, stream, arrival).await,
        Speech::Http { .. } => speak_http(shared, Rewound::new(Bytes::new(), stream), arrival),
    }
}

/// A peer whose TLS handshake is done, before anything else was said.
struct Arrival {
    link: Link,
    place: Place,
    way: Way,
    /// The server name that it asked for, whatever it was.
    asked: Option<Arc<str>>,
    /// The endpoint's.
    terms: Terms,
    certificate: Option<Credential>,
    /// The certificate's text, if an authorizer gets it.
    pem: Option<String>,
}

impl Arrival {
    /// The peer as it introduces itself to MQTT.
    fn guest(self) -> Guest {
        let Self { link, place, way, asked: _, terms, certificate, pem } = self;
        let introduction = match (way.authentication, certificate) {
            (Authentication::X509, Some(credential)) => Introduction::Known(credential),
            (_, certificate) => {
                let name = link.server_name.as_deref();
                let presenting = Presenting::new(name, None, terms.choice, certificate.zip(pem));
                Introduction::Custom(Box::new(presenting))
            }
        };
        Guest { link, introduction, place }
    }
}

/// ALPN `mqtt` is for MQTT and for MQTT over WebSocket: the first byte tells which it is.
async fn sniff(shared: &Arc<Shared>, mut stream: TlsStream<TcpStream>, arrival: Arrival) {
    let mut head = BytesMut::with_capacity(256);
    let read = timeout(shared.limits.first_packet, stream.read_buf(&mut head)).await;
    if !matches!(read, Ok(Ok(1..))) {
        return crate::farewell::close(stream, &shared.limits).await;
    }
    if head.first() == Some(&CONNECT) {
        return spawn(shared, stream, head, arrival.guest());
    }
    speak_http(shared, Rewound::new(head.freeze(), stream), arrival);
}

fn speak_http(shared: &Arc<Shared>, stream: Rewound<TlsStream<TcpStream>>, arrival: Arrival) {
    let Arrival { link, place, way, asked, terms, certificate, pem } = arrival;
    let (requests, websocket) = match way.speech {
        Speech::Http { requests, websocket } => (requests, websocket),
        Speech::Mqtt | Speech::MqttOrWebSocket => (false, true),
    };
    let choice = terms.choice.clone();
    let authorizer = way.authentication.takes_authorizer().then(|| HttpsAuthorizer::new(choice, pem));
    let guest = HttpsGuest {
        peer: link.peer,
        server_name: link.server_name.clone(),
        certificate,
        takes_signature: way.authentication.takes_signature(),
        authorizer,
    };
    let place = Mutex::new(Some(place));
    let authentication = way.authentication;
    let visit = HttpVisit { guest, link, asked, terms, authentication, requests, websocket, place };
    tokio::spawn(http::serve(Arc::clone(shared), stream, visit));
}

/// How a peer introduces itself before CONNECT.
pub(crate) enum Introduction {
    /// The transport knows who it is.
    Known(Credential),
    /// A custom authorizer is to be asked.
    Custom(Box<Presenting>),
}

impl Introduction {
    /// Who it is, as far as that is known.
    pub(crate) fn principal(&self) -> Principal {
        match self {
            Self::Known(credential) => credential.principal.clone(),
            Self::Custom(_) => Principal::Custom(Arc::new(CustomPrincipal {
                principal_id: "unknown".to_owned(),
                authorizer: "not asked yet".to_owned(),
            })),
        }
    }
}

/// A peer that may send CONNECT.
pub(crate) struct Guest {
    pub(crate) link: Link,
    pub(crate) introduction: Introduction,
    pub(crate) place: Place,
}

fn link_of(visitor: &Visitor, server_name: Option<Arc<str>>) -> Link {
    let transport = match *visitor.door {
        Door::Plain { .. } => "mqtt/plain",
        Door::Mqtt | Door::Tls => "mqtt/tls",
        Door::Https => "https",
    };
    Link { peer: visitor.peer, local: visitor.local, server_name, transport, ends: None }
}

/// Starts the conversation. `input` is what was read already.
pub(crate) fn spawn<S>(shared: &Arc<Shared>, stream: S, input: BytesMut, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(converse(Arc::clone(shared), stream, input, guest));
}

async fn converse<S>(shared: Arc<Shared>, mut stream: S, input: BytesMut, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Guest { link, introduction, place } = guest;
    let greeted = tokio::select! {
        biased;
        greeted = greet::greet(&shared, &mut stream, input, (introduction, link)) => greeted,
        () = shared.closing() => None,
    };
    match greeted {
        Some(Greeted { connection, decoder, input }) => {
            let driver = Driver::new(
                stream,
                connection,
                (decoder, input),
                shared.clock.clone(),
                Arc::clone(&shared.limits),
            );
            tokio::spawn(driver.run(place));
        }
        None => crate::farewell::close(stream, &shared.limits).await,
    }
}
