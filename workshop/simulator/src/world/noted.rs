//! Which marks a fact hits.

use dialect::DisconnectReason;
use events::{DropReason, Kind};
use models::checkers::is_shared;
use models::fact::Fact;
use models::heard::Heard;
use models::marks::Mark;
use mqtt::{Packet, QoS};

use super::World;

impl World {
    pub(super) fn mark(&self, fact: &Fact) {
        match fact {
            Fact::Heard(heard) => self.mark_heard(heard),
            Fact::Gave { packet, .. } => {
                if let Packet::Publish(publish) = &**packet {
                    if publish.retain {
                        self.marks.hit(Mark::RetainedRead);
                    }
                    if is_shared(&publish.topic) {
                        self.marks.hit(Mark::SharedDelivered);
                    }
                }
            }
            Fact::Seen { publish, .. } if publish.qos == QoS::ExactlyOnce => self.marks.hit(Mark::Exactly),
            Fact::Refused { wire } if self.book.seats.get(wire).is_some_and(|seat| seat.accepted) => {
                self.marks.hit(Mark::ConnectFailedByStore);
            }
            _ => {}
        }
    }

    fn mark_heard(&self, heard: &Heard) {
        if heard.properties > 0 {
            self.marks.hit(Mark::Accompanied);
        }
        if heard.bytes > STEP {
            self.marks.hit(Mark::ManySteps);
        }
        match heard.kind {
            Kind::Connected if heard.flag => {
                self.marks.hit(Mark::Resumed);
                if self.book.crashes > 0 {
                    self.marks.hit(Mark::ResumedAfterCrash);
                }
            }
            Kind::Disconnected => self.mark_end(heard),
            Kind::DeliveryDropped => self.mark_drop(heard),
            Kind::WillPublished => {
                self.marks.hit(Mark::WillSent);
                let seat = heard.wire.and_then(|wire| self.book.seats.get(&wire));
                let delay =
                    seat.and_then(|seat| seat.connect.will.as_ref()).and_then(|will| will.delay_interval);
                if delay.is_some_and(|delay| delay > 0) {
                    self.marks.hit(Mark::WillDelayed);
                }
                if self.now() == self.started {
                    self.marks.hit(Mark::WillSentAfterCrash);
                }
            }
            Kind::Redelivered => self.mark_again(heard),
            Kind::ConnectRefused | Kind::PublishRefused | Kind::SubscribeRefused => self.mark_refusal(heard),
            other => {
                if let Some((_, mark)) = PLAIN.iter().find(|(kind, _)| *kind == other) {
                    self.marks.hit(*mark);
                }
            }
        }
    }

    fn mark_refusal(&self, heard: &Heard) {
        match (heard.kind, heard.fault.as_str()) {
            (Kind::ConnectRefused, "ConnectDenied") => self.marks.hit(Mark::ConnectDenied),
            (Kind::ConnectRefused, "TakenOver") => self.marks.hit(Mark::Overtaken),
            (_, fault) => {
                if fault == "ConnectThrottled" {
                    self.marks.hit(Mark::AccountThrottled);
                }
                if ["Throttled", "Quota", "TooMany"].iter().any(|word| fault.contains(word)) {
                    self.marks.hit(Mark::Throttled);
                }
            }
        }
    }

    fn mark_end(&self, heard: &Heard) {
        match heard.reason {
            Some(DisconnectReason::MqttKeepAliveTimeout) => self.marks.hit(Mark::KeepAliveTimeout),
            Some(DisconnectReason::DuplicateClientId) => self.marks.hit(Mark::TakenOver),
            Some(DisconnectReason::ClientInitiatedDisconnect) => {
                let seat = heard.wire.and_then(|wire| self.book.seats.get(&wire));
                if seat.is_some_and(|seat| seat.connect.will.is_some()) {
                    self.marks.hit(Mark::WillKept);
                }
            }
            _ => {}
        }
    }

    fn mark_drop(&self, heard: &Heard) {
        match heard.dropped {
            Some(DropReason::Expired) => self.marks.hit(Mark::MessageExpired),
            Some(DropReason::QueueFull) => self.marks.hit(Mark::QueueFull),
            _ => {}
        }
    }

    /// On the wire's first moments it is a session that goes on, later an answer that is missing.
    fn mark_again(&self, heard: &Heard) {
        let seat = heard.wire.and_then(|wire| self.book.seats.get(&wire));
        let again = seat.is_some_and(|seat| seat.welcomed);
        self.marks.hit(if again { Mark::Redelivered } else { Mark::SentAgainOnResume });
    }
}

/// Bytes of one step of the bill.
const STEP: usize = 5 * 1024;

const PLAIN: &[(Kind, Mark)] = &[
    (Kind::SessionExpired, Mark::SessionExpired),
    (Kind::RetainedStored, Mark::RetainedStored),
    (Kind::RetainedDeleted, Mark::RetainedDeleted),
    (Kind::PublishDenied, Mark::PublishDenied),
    (Kind::SubscribeDenied, Mark::SubscribeDenied),
    (Kind::ReceiveDenied, Mark::ReceiveDenied),
    (Kind::PolicyReloaded, Mark::PolicyChanged),
    (Kind::CertificateDeactivated, Mark::CertificateSwitchedOff),
];
