//! What `thingcore top` shows, at one moment.

use serde::{Deserialize, Serialize};

use crate::{Totals, TrafficSummary};

/// The counters and the busiest clients and topics. Two of them, one after the other, make the rates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopSnapshot {
    /// Seconds since 1970.
    pub at: f64,
    /// The counters since the start.
    pub totals: Totals,
    /// The busiest of the last seconds, estimated.
    pub traffic: TrafficSummary,
}
