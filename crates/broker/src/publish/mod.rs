//! The walk of a message, a file a stage: authorise, retain, route, deliver.

mod authorise;
mod deliver;
mod enrich;
mod retain;
mod route;
mod share;
mod volley;

use std::sync::Arc;

use events::{Client, Origin};
use identity::Timestamp;
use mqtt::QoS;
use session::Parcel;

pub(crate) use authorise::{Denied, Permits, WayOut};
pub(crate) use deliver::{Fate, Report};
pub(crate) use route::{Outcome, Waits};
pub(crate) use session::Wakes;
pub(crate) use volley::Volley;

/// Where a message comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    /// For events.
    pub origin: Origin<'a>,
    /// The publisher's session, which No Local spares; 0 if there is none.
    pub session: u64,
}

impl<'a> Sender<'a> {
    /// A client's PUBLISH.
    pub fn client(client: Client<'a>, session: u64) -> Self {
        Self { origin: Origin::Client(client), session }
    }

    /// The broker itself.
    pub fn service() -> Self {
        Self { origin: Origin::Service, session: 0 }
    }

    /// A will: its client is gone.
    pub fn will(client: Client<'a>) -> Self {
        Self { origin: Origin::Client(client), session: 0 }
    }
}

/// A retained message.
#[derive(Debug)]
pub(crate) struct Kept {
    pub parcel: Arc<Parcel>,
    pub stored: Timestamp,
    pub qos: QoS,
}

impl router::Weighed for Kept {
    fn weight(&self) -> usize {
        self.parcel.weight()
    }
}
