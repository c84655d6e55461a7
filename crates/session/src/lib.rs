//! One client's conversation with the broker, as a machine without I/O: packets, deliveries and the time go in,
//! steps for the broker and packets for the client come out.
//!
//! Invariant: nothing here knows of other clients, policies, sockets or clocks. What must be decided elsewhere (is it
//! allowed, who gets it) is handed out as a [`Step`] and comes back through [`Conversation::settle`] and its like.
//!
//! Where to look: [`Terms`] is what CONNECT agreed, [`Session`] is what survives the connection, [`Conversation`] is
//! what ends with it, `on/` has a file for each kind of packet, [`check`] has AWS's limits on topics and properties,
//! [`group`] is the queue of a shared subscription's group, [`lately`] remembers for a while who went,
//! [`Wakes`] whom to wake, [`Moments`] whom to look at later, [`Directory`] who
//! is there.

mod aliases;
pub mod check;
mod conversation;
mod directory;
pub mod group;
pub mod lately;
mod moments;
pub mod mutation;
mod on;
mod outbox;
mod paper;
mod parcel;
mod session;
mod spare;
pub mod stored;
pub mod tape;
mod terms;
pub mod throttle;
mod wakes;
mod will;

pub use conversation::{Conversation, Step};
pub use directory::{Directory, Named};
pub use moments::Moments;
pub use on::publish::Inbound;
pub use on::subscribe::{Asked, SubscribeAsked, UnsubscribeAsked};
pub use outbox::Outbox;
pub use paper::{Paper, Scroll};
pub use parcel::Parcel;
pub use session::exactly_once::ExactlyOnce;
pub use session::in_flight::Unsent;
pub use session::{Delivered, Dropped, Gate, Offer, PAGE, Place, Session, Subscription};
pub use terms::{Terms, connect_bytes};
pub use wakes::Wakes;
pub use will::WillPlan;

use std::borrow::Cow;

use dialect::{Dialect, Divergence, Fault};
use mqtt::Version;
use smallvec::SmallVec;

/// The client broke a rule: which, and in what way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, with its answer on the wire.
    pub fault: Fault,
    /// What a person should know: values, limits.
    pub detail: Cow<'static, str>,
    /// The divergence because of which there is such a rule, where the fault alone does not tell.
    pub row: Option<Divergence>,
}

impl Violation {
    /// By a fault that tells all of it.
    pub fn new(fault: Fault, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { fault, detail: detail.into(), row: None }
    }

    /// The rule exists because of this divergence.
    pub fn by(self, row: Divergence) -> Self {
        Self { row: Some(row), ..self }
    }

    /// Notes the divergences that the client sees in the answer.
    pub(crate) fn note(&self, packet: &'static str, version: Version, dialect: &Dialect, notes: &mut Notes) {
        let shown = dialect.shown(self.fault, version);
        let rows = shown.chain(self.row.filter(|row| dialect.has(*row)));
        notes.extend(rows.map(|row| Note::new(row, packet, self.detail.clone())));
    }
}

/// A divergence from OASIS MQTT that showed while a packet was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which.
    pub divergence: Divergence,
    /// The packet in which it shows.
    pub packet: &'static str,
    /// What the client did.
    pub detail: Cow<'static, str>,
}

impl Note {
    pub(crate) fn new(
        divergence: Divergence,
        packet: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { divergence, packet, detail: detail.into() }
    }
}

/// What showed while packets were taken in.
pub type Notes = SmallVec<[Note; 1]>;
