//! The first packet: complete within a bounded time, a CONNECT, and the broker's answer to it.

use std::fmt::Display;

use broker::{Connection, Link};
use bytes::{Bytes, BytesMut};
use dialect::{Answer, Divergence, Fault};
use identity::{Principal, Timestamp};
use mqtt::{ConnAck, Decoder, Malformed, MalformedFault, Packet, ReasonCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::converse::Introduction;
use crate::custom::Admitted;
use crate::door::Shared;
use crate::farewell;
use crate::report;

/// A conversation that may begin.
pub(crate) struct Greeted {
    pub(crate) connection: Connection,
    pub(crate) decoder: Decoder,
    /// What the peer sent after its CONNECT.
    pub(crate) input: BytesMut,
}

/// What the peer said first, if not a CONNECT.
enum Silence {
    /// It closed the socket, with or without a part of a packet.
    Gone,
    /// It took too long.
    TooSlow,
    /// What came is no CONNECT.
    Wrong(Malformed),
}

/// Reads CONNECT and asks the broker. `None`: the peer was refused, and the refusal written to it.
pub(crate) async fn greet<S>(
    shared: &Shared,
    stream: &mut S,
    mut input: BytesMut,
    (introduction, link): (Introduction, Link),
) -> Option<Greeted>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let dialect = shared.broker.dialect();
    // mqtt31-accepted
    let takes_mqtt31 = dialect.has(Divergence::Mqtt31Accepted);
    let mut decoder = Decoder::for_server(dialect.limits().packet_bytes).with_mqtt31(takes_mqtt31);
    let deadline = Instant::now() + shared.limits.first_packet;
    let first = timeout_at(deadline, first_packet(stream, &mut decoder, &mut input)).await;
    let connect = match first.unwrap_or(Err(Silence::TooSlow)) {
        Ok(connect) => connect,
        Err(silence) => {
            refuse(shared, stream, &decoder, (&introduction.principal(), &link), silence).await;
            return None;
        }
    };
    // Before anybody is asked about it: an authorizer costs more than a CONNECT.
    let turn = match shared.broker.turn(&connect, &introduction.principal(), &link, shared.clock.now()) {
        Ok(turn) => turn,
        Err(refused) => {
            answer(shared, stream, refused).await;
            return None;
        }
    };
    let (credential, link) = match introduction {
        Introduction::Known(credential) => (credential, link),
        Introduction::Custom(presenting) => match presenting.admit(shared, &connect).await {
            Ok(Admitted { credential, ends }) => (credential, until(link, ends)),
            Err(refusal) => {
                report::refused(shared, &link, &refusal);
                let refused = shared.broker.refusal(Fault::AuthorizerRefused, connect.version);
                answer(shared, stream, refused).await;
                return None;
            }
        },
    };
    let clock = || shared.clock.now();
    match shared.broker.connect_in_turn(turn, connect, credential, link, &clock).await {
        Ok(connection) => {
            if decoder.is_mqtt31() {
                let (row, detail) = (Divergence::Mqtt31Accepted, &"came in with MQTT 3.1");
                connection.met(row, "CONNECT", detail, shared.clock.now());
            }
            Some(Greeted { connection, decoder, input })
        }
        Err(refused) => {
            answer(shared, stream, refused).await;
            None
        }
    }
}

/// The link with one more end of its life: the first counts.
fn until(link: Link, ends: (Timestamp, Fault)) -> Link {
    let first = link.ends.filter(|known| known.0 <= ends.0).unwrap_or(ends);
    Link { ends: Some(first), ..link }
}

async fn answer<S>(shared: &Shared, stream: &mut S, refused: broker::Refused)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(packet) = refused.packet {
        farewell::say(stream, encoded(&packet, refused.version), &shared.limits).await;
    }
}

async fn first_packet<S>(
    stream: &mut S,
    decoder: &mut Decoder,
    input: &mut BytesMut,
) -> Result<Box<mqtt::Connect>, Silence>
where
    S: AsyncRead + Unpin,
{
    loop {
        match decoder.decode(input) {
            Ok(Some(Packet::Connect(connect))) => return Ok(connect),
            // The decoder takes nothing but CONNECT first.
            Ok(Some(_)) => return Err(Silence::Gone),
            Ok(None) => {}
            Err(malformed) => return Err(Silence::Wrong(malformed)),
        }
        input.reserve(256);
        match stream.read_buf(input).await {
            Ok(0) | Err(_) => return Err(Silence::Gone),
            Ok(_) => {}
        }
    }
}

/// Ends it without a connection: says what AWS says to that fault, and tells the observers.
async fn refuse<S>(
    shared: &Shared,
    stream: &mut S,
    decoder: &Decoder,
    visitor: (&Principal, &Link),
    silence: Silence,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (fault, detail): (Fault, &dyn Display) = match &silence {
        // A peer that leaves before CONNECT has asked for nothing.
        Silence::Gone => return,
        Silence::TooSlow => (Fault::ConnectTimeout, &"no complete CONNECT in time"),
        Silence::Wrong(malformed) => (fault_of(malformed), malformed),
    };
    report::not_connected(shared, visitor, decoder.version(), fault, detail);
    let version = decoder.version().unwrap_or(Version::V311);
    if let Answer::ConnAck(code) = shared.broker.dialect().answer(fault, version) {
        let packet = Packet::ConnAck(Box::new(ConnAck::new(code)));
        farewell::say(stream, encoded(&packet, version), &shared.limits).await;
    }
}

fn fault_of(malformed: &Malformed) -> Fault {
    match &malformed.fault {
        MalformedFault::PacketTooLarge { .. } => Fault::ConnectTooLarge,
        MalformedFault::NotConnectFirst => Fault::NotConnectFirst,
        MalformedFault::UnsupportedProtocol { .. } => Fault::UnsupportedProtocolVersion,
        _ if malformed.reason_code() == ReasonCode::ProtocolError => Fault::ProtocolError,
        _ => Fault::Malformed,
    }
}

/// The packet's bytes; none for a packet that is longer than MQTT can say.
fn encoded(packet: &Packet, version: Version) -> Bytes {
    let mut out = BytesMut::new();
    match mqtt::encode(packet, version, &mut out) {
        Ok(()) => out.freeze(),
        Err(_) => Bytes::new(),
    }
}
