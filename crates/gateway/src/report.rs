//! What observers are told of the doors.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use broker::Link;
use dialect::Fault;
use events::{
    Client, ConfigProblem, ConnectRefused, ConnectionRefusedLimit, Event, HandshakeFailed, Listening,
};
use identity::{CertificateId, Principal};
use mqtt::Version;

use crate::door::{Door, Shared, Visitor};
use crate::handshake::Unshaken;
use crate::refusal::Refusal;

pub(crate) fn listening(shared: &Shared, door: &Door, address: SocketAddr) {
    emit(shared, &Event::Listening(Listening { listener: door.name(), address }));
}

/// The system gives us no more sockets. Said once per drought.
pub(crate) fn accept_failed(shared: &Shared, door: &Door, error: &io::Error) {
    let detail =
        format!("the {} listener cannot accept: {error}; is the limit of open files too low?", door.name());
    emit(shared, &Event::ConfigProblem(ConfigProblem { setting: "limits.connections", detail: &detail }));
}

pub(crate) fn limit_reached(shared: &Shared, door: &Door, peer: SocketAddr) {
    let limit = shared.limits.connections;
    emit(
        shared,
        &Event::ConnectionRefusedLimit(ConnectionRefusedLimit { listener: door.name(), peer, limit }),
    );
}

pub(crate) fn plain_from_elsewhere(shared: &Shared, peer: SocketAddr) {
    emit(
        shared,
        &Event::HandshakeFailed(HandshakeFailed {
            peer,
            local: None,
            server_name: None,
            authentication: "AWS_X509",
            certificate_id: None,
            reason: "NOT_AUTHENTICATED",
            detail: &"the plaintext port serves this machine only",
            remedy: "connect by TLS with a client certificate",
        }),
    );
}

pub(crate) fn unshaken(shared: &Shared, visitor: &Visitor, unshaken: &Unshaken) {
    let Some(refusal) = &unshaken.refusal else { return };
    turned_away(shared, (visitor.peer, visitor.local), unshaken.server_name.as_deref(), refusal);
}

/// A peer whose TLS handshake is done was turned away before MQTT began.
pub(crate) fn refused(shared: &Shared, link: &Link, refusal: &Refusal) {
    turned_away(shared, (link.peer, link.local), link.server_name.as_deref(), refusal);
}

fn turned_away(
    shared: &Shared,
    (peer, local): (SocketAddr, SocketAddr),
    server_name: Option<&str>,
    refusal: &Refusal,
) {
    emit(
        shared,
        &Event::HandshakeFailed(HandshakeFailed {
            peer,
            local: Some(local),
            server_name,
            authentication: refusal.authentication,
            certificate_id: refusal.certificate_id.as_ref().map(CertificateId::as_str),
            reason: refusal.reason,
            detail: &refusal.detail,
            remedy: &refusal.remedy,
        }),
    );
}

/// The first packet was no CONNECT.
pub(crate) fn not_connected(
    shared: &Shared,
    (principal, link): (&Principal, &Link),
    version: Option<Version>,
    fault: Fault,
    detail: &dyn Display,
) {
    let client = Client { client_id: "", principal, peer: Some(link.peer), version, standing: 0 };
    emit(shared, &Event::ConnectRefused(ConnectRefused { client, fault, detail, remedy: None, trace: None }));
}

fn emit(shared: &Shared, event: &Event<'_>) {
    shared.observers.emit(shared.clock.now(), event);
}
