//! One socket's way: handshake, credential, first packet, conversation.
//!
//! Three tasks, each ended by starting the next, because a task is as large as its largest moment: the handshake, the
//! greeting, the conversation, which is the small one that stays. Until the conversation begins a task is dropped when
//! the doors close; after that the broker says goodbye.

use std::sync::Arc;

use broker::{Credential, Link};
use identity::Principal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::credential::credential_of;
use crate::door::{Door, Shared, Visitor};
use crate::driver::Driver;
use crate::greet::{self, Greeted};
use crate::handshake::{Protocols, Unshaken, shake_hands};
use crate::refusal::Refusal;
use crate::report;

/// Brings a socket to the point where MQTT begins, and starts its conversation.
pub(crate) async fn enter(shared: &Arc<Shared>, socket: TcpStream, visitor: Visitor) {
    match &*visitor.door {
        Door::Plain { principal } => {
            let credential =
                Credential { principal: Principal::Plain(Arc::clone(principal)), certificate: None };
            spawn(shared, socket, Guest { link: link_of(&visitor, None), credential, visitor });
        }
        Door::Mqtt => enter_by_tls(shared, socket, visitor, Protocols::MqttOnly).await,
        Door::Tls => enter_by_tls(shared, socket, visitor, Protocols::ByAlpn).await,
    }
}

async fn enter_by_tls(shared: &Arc<Shared>, socket: TcpStream, visitor: Visitor, protocols: Protocols) {
    let shaking = shake_hands(socket, protocols, &shared.tls, &shared.turns);
    let shaken = match timeout(shared.limits.handshake, shaking).await {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(unshaken)) => return report::unshaken(shared, &visitor, &unshaken),
        Err(_) => {
            let seconds = shared.limits.handshake.as_secs_f64();
            return report::unshaken(shared, &visitor, &Unshaken::from(Refusal::too_slow(seconds)));
        }
    };
    match credential_of(&shared.broker, &shaken.leaf, Clock::wall()).await {
        Ok(credential) => {
            let name = shaken.server_name.and_then(|asked| shared.tls.names.known(&asked));
            let link = link_of(&visitor, name);
            spawn(shared, shaken.stream, Guest { link, credential, visitor });
        }
        Err(refusal) => {
            let unshaken = Unshaken { server_name: shaken.server_name, refusal: Some(refusal) };
            report::unshaken(shared, &visitor, &unshaken);
            crate::farewell::close(shaken.stream, &shared.limits).await;
        }
    }
}

/// A peer whose identity is known.
struct Guest {
    link: Link,
    credential: Credential,
    visitor: Visitor,
}

fn link_of(visitor: &Visitor, server_name: Option<Arc<str>>) -> Link {
    let transport = match *visitor.door {
        Door::Plain { .. } => "mqtt/plain",
        Door::Mqtt | Door::Tls => "mqtt/tls",
    };
    Link { peer: visitor.peer, local: visitor.local, server_name, transport }
}

fn spawn<S>(shared: &Arc<Shared>, stream: S, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(converse(Arc::clone(shared), stream, guest));
}

async fn converse<S>(shared: Arc<Shared>, mut stream: S, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Guest { link, credential, visitor } = guest;
    let greeted = tokio::select! {
        biased;
        greeted = greet::greet(&shared, &mut stream, credential, link) => greeted,
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
            tokio::spawn(driver.run(visitor.place));
        }
        None => crate::farewell::close(stream, &shared.limits).await,
    }
}
