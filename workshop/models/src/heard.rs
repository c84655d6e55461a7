//! The ears of a world: every event of the broker, as an owned fact for the models, and as what the meter bills.

use std::sync::Arc;

use dialect::DisconnectReason;
use events::{Client, DropReason, Event, Kind, Observer};
use identity::Timestamp;
use parking_lot::Mutex;

/// The port of the client at the first wire; wire 5 has five more.
pub const FIRST_PORT: u16 = 10_000;

/// An event as the models see it. Fields that it does not have are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which.
    pub kind: Kind,
    /// The time by which the broker did it: of the moment in which it began, and the clock may have jumped meanwhile.
    pub at: Timestamp,
    /// The client id.
    pub client: String,
    /// The wire of the connection, if the event tells of one.
    pub wire: Option<usize>,
    /// Topic or filter.
    pub topic: String,
    /// RETAIN of a publish; session present of a CONNECT; QoS 0 of a delivery.
    pub flag: bool,
    /// The packet identifier of a publish or of what is acknowledged.
    pub packet_id: Option<u16>,
    /// Bytes of payload, or of the packet, as they count for the bill.
    pub bytes: usize,
    /// Bytes of MQTT 5 properties of a message, as they count.
    pub properties: usize,
    /// Why a message was dropped.
    pub dropped: Option<DropReason>,
    /// Why a connection ended.
    pub reason: Option<DisconnectReason>,
    /// The action that was denied.
    pub action: &'static str,
    /// The name of the fault of a refusal or an end; what failed; why a will was refused.
    pub fault: String,
}

/// The wire of a client's address.
fn wire(client: Option<Client<'_>>) -> Option<usize> {
    let port = client?.peer?.port();
    port.checked_sub(FIRST_PORT).map(usize::from)
}

impl Heard {
    /// Of an event.
    pub fn of(at: Timestamp, event: &Event<'_>) -> Self {
        let client = event.client().or(match event.origin() {
            Some(events::Origin::Client(client)) => Some(client),
            _ => None,
        });
        let plain = Self {
            kind: event.kind(),
            at,
            client: event.client_id().to_owned(),
            wire: wire(client),
            topic: event.topic().unwrap_or_default().to_owned(),
            flag: false,
            packet_id: None,
            bytes: 0,
            properties: 0,
            dropped: None,
            reason: None,
            action: "",
            fault: event.fault().map(|fault| format!("{fault:?}")).unwrap_or_default(),
        };
        match event {
            Event::Connected(e) => Self { flag: e.session_present, bytes: e.bytes, ..plain },
            Event::PublishIn(e) => {
                let plain = Self { packet_id: e.packet_id, ..plain };
                Self { flag: e.retain, bytes: e.bytes, properties: e.properties, ..plain }
            }
            Event::PublishOut(e) => {
                let flag = e.qos == mqtt::QoS::AtMostOnce;
                Self { flag, bytes: e.bytes, properties: e.properties, ..plain }
            }
            Event::Redelivered(e) => Self { bytes: e.bytes, properties: e.properties, ..plain },
            Event::Queued(e) => Self { bytes: e.bytes, properties: e.properties, ..plain },
            Event::WillPublished(e) => {
                Self { flag: e.retain, bytes: e.bytes, properties: e.properties, ..plain }
            }
            Event::Acknowledged(e) => Self { packet_id: Some(e.packet_id), bytes: e.bytes, ..plain },
            Event::SubscribeReceived(e) => Self { bytes: e.bytes, ..plain },
            Event::PublishDenied(e) => Self { action: e.action, ..plain },
            Event::DeliveryDropped(e) => Self { dropped: Some(e.why), ..plain },
            Event::Disconnected(e) => Self { reason: Some(e.reason), ..plain },
            Event::Subscribed(e) => Self { topic: e.filter.to_owned(), ..plain },
            Event::SubscribeRefused(e) => Self { topic: e.filter.to_owned(), ..plain },
            Event::SubscribeDenied(e) => Self { topic: e.filter.to_owned(), ..plain },
            Event::Unsubscribed(e) => Self { topic: e.filter.to_owned(), ..plain },
            Event::WillRefused(e) => Self { fault: e.decision.to_string(), ..plain },
            Event::StoreFailed(e) => Self { fault: format!("{}: {}", e.what, e.detail), ..plain },
            _ => plain,
        }
    }
}

/// Keeps what it hears until the world takes it.
#[derive(Debug, Default)]
pub struct Ears(Mutex<Vec<Heard>>);

impl Ears {
    /// Ears for an observer list.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What was heard since the last call.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Observer for Ears {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        if event.kind() != Kind::DivergenceObserved {
            self.0.lock().push(Heard::of(at, event));
        }
    }
}
