//! The flight recorder: the last facts about each client, principal and address, within a number of bytes.
//!
//! What is kept: connections, subscriptions, and every refusal, throttle, discard and failed handshake. A fact that
//! repeats one of the last few of its subject is counted, not kept again. Traffic is not kept at all (see
//! [`Traffic`](crate::Traffic) for what is known of it). Nothing becomes a sentence before somebody asks.

mod record;
mod rings;
mod view;
mod why;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use events::{Event, KindSet, Observer};
use identity::{Principal, Timestamp};

use record::{KINDS, Record, Whom};
use rings::Rings;

pub use record::MOST_TEXT;
pub use view::EventView;
pub use why::{Why, WhyCause, WhyEntry};

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightSettings {
    /// Bytes for one client; beyond, its oldest facts go.
    pub bytes_per_client: usize,
    /// Bytes for all; beyond, the oldest facts of whoever has most go. 0 remembers nothing.
    pub bytes: usize,
}

impl Default for FlightSettings {
    fn default() -> Self {
        Self { bytes_per_client: 16 * 1024, bytes: 32 * 1024 * 1024 }
    }
}

/// Remembers the last facts about each subject.
pub struct FlightRecorder {
    on: bool,
    /// Half of the room: whoever has a client id.
    clients: Rings,
    /// A quarter: certificates and access keys that got not so far as a client id. Strangers can fill this part and
    /// the next only.
    principals: Rings,
    /// A quarter: addresses of those who showed nothing.
    addresses: Rings,
}

impl FlightRecorder {
    /// Nothing is remembered yet.
    pub fn new(settings: FlightSettings) -> Arc<Self> {
        let FlightSettings { bytes_per_client: each, bytes } = settings;
        let (clients, principals) = (Rings::new(each, bytes / 2), Rings::new(each, bytes / 4));
        Arc::new(Self { on: bytes > 0, clients, principals, addresses: Rings::new(each, bytes / 4) })
    }

    /// Subjects and bytes that are kept now.
    pub fn size(&self) -> (usize, usize) {
        let parts = [&self.clients, &self.principals, &self.addresses];
        parts.iter().map(|part| part.size()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// What is known of a client id, a certificate id (or access key), or an IP address, and what it means.
    pub fn why(&self, subject: &str, now: Timestamp) -> Why {
        why::explain(subject, self.timeline(subject), now)
    }

    /// The facts about a subject, oldest first.
    fn timeline(&self, subject: &str) -> Vec<WhyEntry> {
        let mut found = Found::default();
        self.clients.read(subject, &mut |client_id, record| found.add(client_id, record));
        let certificates = std::mem::take(&mut found.principals);
        self.principals.read(subject, &mut |_, record| found.add("", record));
        let address: Option<IpAddr> = subject.parse().ok();
        let network = address.map(|ip| address_of(ip).to_string());
        self.addresses.read(network.as_deref().unwrap_or(subject), &mut |_, record| found.add("", record));
        if address.is_some() || is_principal(subject) {
            let fits = |record: &Record| {
                let theirs = record.principal.as_deref().map(Principal::identifier) == Some(subject);
                theirs || (address.is_some() && record.peer.map(|peer| peer.ip()) == address)
            };
            self.clients.find(&fits, &mut |client_id, record| found.add(client_id, record));
        }
        if address.is_some() {
            let fits = |record: &Record| record.peer.map(|peer| peer.ip()) == address;
            self.principals.find(&fits, &mut |_, record| found.add("", record));
        }
        // What befell the client's certificate before it could say its client id again.
        for principal in certificates {
            self.principals.read(principal.identifier(), &mut |_, record| found.add("", record));
        }
        why::in_order(found.entries)
    }

    fn remember(&self, at: Timestamp, event: &Event<'_>) {
        let whom = Whom::of(event);
        let client_id = event.client_id();
        if !client_id.is_empty() {
            return self.clients.add(client_id, at, event, &whom);
        }
        match event {
            Event::HandshakeFailed(e) => {
                if let Some(id) = e.certificate_id {
                    return self.principals.add(id, at, event, &whom);
                }
            }
            Event::CertificateNotRegistered(e) => {
                return self.principals.add(e.certificate_id, at, event, &whom);
            }
            Event::ProvisioningFailed(e) => return self.principals.add(e.certificate_id, at, event, &whom),
            Event::ApiRefused(e) if !e.access_key.is_empty() => {
                return self.principals.add(e.access_key, at, event, &whom);
            }
            _ => {}
        }
        match (whom.principal, whom.peer) {
            (Some(principal), _) => self.principals.add(principal.identifier(), at, event, &whom),
            (None, Some(peer)) => self.addresses.add(&address_of(peer.ip()).to_string(), at, event, &whom),
            (None, None) => {}
        }
    }
}

/// What is found about a subject.
#[derive(Default)]
struct Found {
    entries: Vec<WhyEntry>,
    /// Who the subject was.
    principals: HashSet<Arc<Principal>>,
}

impl Found {
    fn add(&mut self, client_id: &str, record: &Record) {
        let nobody = Principal::Plain("".into());
        if let Some(event) = record.event(client_id, &nobody) {
            let view = EventView::of(record.last, &event);
            self.entries.push(WhyEntry { view, since: record.at.seconds(), times: record.times });
            self.principals.extend(record.principal.clone());
        }
    }
}

/// Of IPv6 a network counts as one: whoever has one has 2^64 addresses.
fn address_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(six) => {
            six.to_ipv4_mapped().map_or_else(|| IpAddr::V6((six.to_bits() >> 64 << 64).into()), Into::into)
        }
    }
}

/// Whether a subject looks like a certificate id or an access key.
fn is_principal(subject: &str) -> bool {
    let hex = subject.len() == 64 && subject.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex || subject.starts_with("AKIA") || subject.starts_with("ASIA") || subject.starts_with("AIDA")
}

impl Observer for FlightRecorder {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        self.remember(at, event);
    }

    fn wanted(&self) -> KindSet {
        match self.on {
            true => KINDS.iter().fold(KindSet::NONE, |set, kind| set.with(*kind)),
            false => KindSet::NONE,
        }
    }
}

impl fmt::Debug for FlightRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subjects, bytes) = self.size();
        write!(f, "FlightRecorder({subjects} subjects, {bytes} bytes)")
    }
}
