//! Messages of shared subscriptions that come from the queue of their group: they are on their way to the client, but
//! they are not its own. When it goes, they go back.

use std::sync::Arc;

use identity::Timestamp;
use mqtt::QoS;

use super::{Delivered, Dropped, Offer, Session, send_once};
use crate::Conversation;
use crate::group::GroupPlace;

impl Session {
    /// True if a message of QoS 1 would probably find room.
    pub fn is_ready(&self, live: &Conversation) -> bool {
        self.in_flight() < usize::from(live.terms().send_window) && live.outbox.has_room(QoS::AtLeastOnce, 0)
    }

    /// Sends a message of a group's queue, or gives it back if there is no room for it now.
    ///
    /// # Errors
    /// The offer itself.
    pub fn take_share(
        &mut self,
        live: &mut Conversation,
        offer: Offer,
        now: Timestamp,
    ) -> Result<Delivered, Offer> {
        if offer.parcel.is_expired(now) {
            return Ok(Delivered::Dropped(Dropped::Expired));
        }
        if live.is_too_large(&offer) {
            return Ok(Delivered::Dropped(Dropped::TooLargeForClient));
        }
        if offer.qos == QoS::AtMostOnce {
            return Ok(send_once(live, &offer, now));
        }
        self.try_send(live, &offer, now).ok_or(offer)
    }

    pub(super) fn settle_offer(&mut self, offer: Offer) {
        self.settle(offer.place);
        self.settled.extend(offer.group);
    }

    /// The places of messages of groups that are done with, since this was asked last.
    pub fn take_settled(&mut self) -> Vec<Arc<GroupPlace>> {
        std::mem::take(&mut self.settled)
    }

    /// The client went: what it owes an acknowledgement for and belongs to a group.
    pub fn surrender(&mut self) -> Vec<Offer> {
        let mut back = Vec::new();
        let settled = &mut self.settled;
        self.in_flight.retain_whole(|sent| {
            // [MQTT-4.8.2-4] [MQTT-4.8.2-5] one of QoS 2 is the client's as soon as it was sent.
            if sent.offer.qos == QoS::ExactlyOnce {
                settled.extend(sent.offer.group.take());
            }
            let stays = sent.offer.group.is_none();
            if !stays {
                back.push(sent.offer.clone());
            }
            stays
        });
        back
    }
}
