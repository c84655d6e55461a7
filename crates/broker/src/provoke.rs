//! Where the broker asks for quirks: misbehaviour on demand. Off, each question is one load.

use std::sync::Arc;

use dialect::Fault;
use identity::{ClientId, Timestamp};
use mqtt::QoS;
use quirks::{Quirk, Quirks, Strike};
use router::Route;
use session::Offer;

use crate::broker::{Broker, Inner};
use crate::cell::{Cell, Subscriber};
use crate::connection::Connection;
use crate::publish::{Fate, Report};
use crate::receive::Acknowledgement;
use standing::Standing;

/// Changes of policies that wait, of all clients; beyond that they take effect at once.
const MOST_LATE: usize = 10_000;

impl Broker {
    /// What is provoked: rules can be exchanged at any time.
    pub fn quirks(&self) -> &Arc<Quirks> {
        &self.0.quirks
    }

    /// Puts those changes of policies in force that were held back until now (policy-propagation). To be called about
    /// once a second.
    pub async fn apply_late(&self, now: Timestamp) {
        for standing in self.0.due_late(now) {
            self.0.refresh(&standing, now).await;
        }
    }
}

impl Inner {
    /// Whether the client meets a quirk now; told if so. Enters the cell.
    pub fn provoke(
        &self,
        cell: &Cell,
        quirk: Quirk,
        packet: &'static str,
        what: &str,
        now: Timestamp,
    ) -> Option<Strike> {
        if self.quirks.is_off() {
            return None;
        }
        let client_id = cell.client_id.as_str();
        let strike = cell.enter(|seat| seat.dice.strikes(&self.quirks, client_id, quirk))?;
        self.diverges_for(quirk.divergence(), client_id, packet, &format_args!("provoked: {what}"), now);
        Some(strike)
    }

    /// qos0-duplicates and unordered-delivery, after a message went into the outbox.
    pub fn provoke_delivery(&self, route: &Route<Subscriber>, report: &Report, retain: bool, now: Timestamp) {
        if self.quirks.is_off() || !matches!(report.fate, Fate::Sent) {
            return;
        }
        let cell = &route.target.cell;
        let duplicates = report.qos == QoS::AtMostOnce
            && self.provoke(cell, Quirk::Qos0Duplicates, "PUBLISH", "got a message twice", now).is_some();
        if duplicates {
            let parcel = report.parcel.clone();
            let identifiers = Default::default();
            let offer = Offer {
                parcel,
                qos: report.qos,
                retain,
                share_name: None,
                place: None,
                group: None,
                identifiers,
            };
            let offered = cell.enter(|seat| self.offer(seat, route.target.session, &offer, now));
            offered.and_then(|offered| offered.waker).into_iter().for_each(std::task::Waker::wake);
        }
        let what = "got a message before the one ahead of it";
        if self.provoke(cell, Quirk::UnorderedDelivery, "PUBLISH", what, now).is_some() {
            cell.enter(|seat| seat.live.as_mut().map(|live| live.talk.overtake()));
        }
    }

    /// unordered-delivery, for the acknowledgements of one wake.
    pub fn provoke_acknowledgements(&self, cell: &Cell, acks: &mut [Acknowledgement], now: Timestamp) {
        let [.., one, other] = acks else { return };
        let what = "got an acknowledgement before the one ahead of it";
        if self.provoke(cell, Quirk::UnorderedDelivery, "PUBACK", what, now).is_some() {
            std::mem::swap(one, other);
        }
    }

    /// redelivery-new-packet-id, after messages went out again.
    pub fn provoke_renumbering(&self, cell: &Cell, reports: &[Report], now: Timestamp) {
        if self.quirks.is_off() || !reports.iter().any(|report| matches!(report.fate, Fate::SentAgain(_))) {
            return;
        }
        let what = "got a message again under another packet identifier";
        if self.provoke(cell, Quirk::RedeliveryNewPacketId, "PUBLISH", what, now).is_some() {
            cell.enter(|seat| match (&mut seat.live, &mut seat.kept) {
                (Some(live), Some(kept)) => kept.session.renumber(&mut live.talk),
                _ => false,
            });
        }
    }

    /// connection-life, when a client has come.
    pub fn provoke_end(&self, connection: &Connection, now: Timestamp) {
        let what = "has a connection that the server will end";
        let strike = self.provoke(connection.cell(), Quirk::ConnectionLife, "DISCONNECT", what, now);
        if let Some(strike) = strike {
            let generation = connection.generation();
            connection.cell().enter(|seat| {
                if let Some((live, _)) = seat.of(generation) {
                    let end = now + strike.extent;
                    if end < live.until.0 {
                        live.until = (end, Fault::ServerShutdown);
                    }
                }
            });
        }
    }

    /// session-expiry-slack, when a client has gone.
    pub fn provoke_slack(&self, cell: &Cell, now: Timestamp) {
        let has_end = |seat: &mut crate::cell::Seat| {
            let ends_at = seat.kept.as_ref().map_or(Timestamp::NEVER, |kept| kept.ends_at);
            seat.live.is_none() && ends_at != Timestamp::NEVER
        };
        if self.quirks.is_off() || !cell.enter(has_end) {
            return;
        }
        let what = "has a session that lasts too long";
        if let Some(strike) = self.provoke(cell, Quirk::SessionExpirySlack, "DISCONNECT", what, now) {
            cell.enter(|seat| {
                if let (Some(kept), None) = (&mut seat.kept, &seat.live) {
                    kept.ends_at = kept.ends_at + strike.extent;
                }
            });
        }
    }

    /// policy-propagation: true if the change reaches the client later.
    pub fn provoke_lateness(&self, standing: &Arc<Standing>, now: Timestamp) -> bool {
        if self.quirks.is_off() {
            return false;
        }
        let client_id = standing.bearer.client_id.as_ref().map(ClientId::as_str);
        let Some(cell) = client_id.and_then(|client_id| self.directory.find(client_id)) else { return false };
        let what = "is under policies that have changed";
        let Some(strike) = self.provoke(&cell, Quirk::PolicyPropagation, "PUBLISH", what, now) else {
            return false;
        };
        let mut late = self.late.lock();
        let has_room = late.len() < MOST_LATE;
        if has_room {
            late.push((now + strike.extent, standing.clone()));
        }
        has_room
    }

    fn due_late(&self, now: Timestamp) -> Vec<Arc<Standing>> {
        let mut late = self.late.lock();
        let due =
            late.iter().filter(|(when, _)| *when <= now).map(|(_, standing)| standing.clone()).collect();
        late.retain(|(when, _)| *when > now);
        due
    }
}
