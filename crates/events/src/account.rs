//! What an event says of itself beside its sentence: whom it is about, reason, remedy, trace, outcome.

use std::fmt;

use dialect::{Fault, Metric};

use crate::catalogue::{ConnectRefused, Disconnected, Event, PublishDenied, PublishRefused};
use crate::{Client, DropReason, LogType, Origin, Remedy, remedy};

impl<'a> Event<'a> {
    /// The client that it is about.
    pub fn client(&self) -> Option<Client<'a>> {
        match self {
            Self::Connected(e) => Some(e.client),
            Self::ConnectRefused(e) => Some(e.client),
            Self::Disconnected(e) => Some(e.client),
            Self::PingAnswered(e) => Some(e.client),
            Self::PublishOut(e) => Some(e.client),
            Self::Acknowledged(e) => Some(e.client),
            Self::SubscribeReceived(e) => Some(e.client),
            Self::ReceiveDenied(e) => Some(e.client),
            Self::Redelivered(e) => Some(e.client),
            Self::Subscribed(e) => Some(e.client),
            Self::SubscribeRefused(e) => Some(e.client),
            Self::SubscribeDenied(e) => Some(e.client),
            Self::Unsubscribed(e) => Some(e.client),
            Self::WillPublished(e) => Some(e.client),
            Self::WillRefused(e) => Some(e.client),
            Self::SessionResumed(e) => Some(e.client),
            Self::ThrottleExceeded(e) => Some(e.client),
            Self::DivergenceObserved(e) => e.client,
            _ => match self.origin() {
                Some(Origin::Client(client)) => Some(client),
                _ => None,
            },
        }
    }

    /// Where the publish that it is about came from.
    pub fn origin(&self) -> Option<Origin<'a>> {
        match self {
            Self::PublishIn(e) => Some(e.origin),
            Self::PublishRefused(e) => Some(e.origin),
            Self::PublishDenied(e) => Some(e.origin),
            Self::DirectMessageRefused(e) => Some(e.origin),
            Self::ReservedUnserved(e) => Some(e.origin),
            _ => None,
        }
    }

    /// The client id that it is about; empty if none is known.
    pub fn client_id(&self) -> &'a str {
        match self {
            Self::Queued(e) => e.client_id,
            Self::DeliveryDropped(e) => e.client_id,
            Self::DirectMessageRefused(e) => e.client_id,
            Self::SessionExpired(e) => e.client_id,
            Self::DeviceCall(e) => e.client_id,
            Self::DivergenceObserved(e) => e.client_id,
            _ => self.client().map_or("", |client| client.client_id),
        }
    }

    /// The topic or filter that it is about.
    pub fn topic(&self) -> Option<&'a str> {
        match self {
            Self::PublishIn(e) => Some(e.topic),
            Self::PublishRefused(e) => Some(e.topic),
            Self::PublishDenied(e) => Some(e.topic),
            Self::PublishOut(e) => Some(e.topic),
            Self::ReceiveDenied(e) => Some(e.topic),
            Self::Queued(e) => Some(e.topic),
            Self::DeliveryDropped(e) => Some(e.topic),
            Self::Redelivered(e) => Some(e.topic),
            Self::DirectMessageRefused(e) => Some(e.topic),
            Self::Subscribed(e) => Some(e.filter),
            Self::SubscribeRefused(e) => Some(e.filter),
            Self::SubscribeDenied(e) => Some(e.filter),
            Self::Unsubscribed(e) => Some(e.filter),
            Self::RetainedStored(e) => Some(e.topic),
            Self::RetainedDeleted(e) => Some(e.topic),
            Self::RetainedFull(e) => Some(e.topic),
            Self::WillPublished(e) => Some(e.topic),
            Self::WillRefused(e) => Some(e.topic),
            Self::ReservedUnserved(e) => Some(e.topic),
            Self::DeviceCall(e) => Some(e.topic).filter(|topic| !topic.is_empty()),
            _ => None,
        }
    }

    /// `eventType` of AWS's log entry, if AWS writes one.
    pub fn log_type(&self) -> Option<LogType> {
        match self {
            Self::DeviceCall(e) => Some(e.operation),
            _ => self.kind().log_type(),
        }
    }

    /// The rule that was broken.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::ConnectRefused(e) => Some(e.fault),
            Self::PublishRefused(e) => Some(e.fault),
            Self::SubscribeRefused(e) => Some(e.fault),
            Self::Disconnected(e) => e.fault,
            _ => None,
        }
    }

    /// `reason` of AWS's log entry for failures.
    pub fn log_reason(&self) -> Option<&'static str> {
        match self {
            Self::HandshakeFailed(e) => Some(e.reason),
            Self::PublishDenied(_)
            | Self::SubscribeDenied(_)
            | Self::ReceiveDenied(_)
            | Self::WillRefused(_) => Some("AUTHORIZATION_FAILURE"),
            Self::DeliveryDropped(e) => Some(e.why.as_str()),
            Self::DirectMessageRefused(e) => Some(e.reason),
            Self::DeviceCall(e) => e.error,
            Self::Disconnected(Disconnected { reason, fault: None, .. }) => Some(reason.as_str()),
            _ => self.fault().map(Fault::log_reason),
        }
    }

    /// The AWS metric that counts it. A publish with RETAIN also counts as `PublishRetained.Success`.
    pub fn metric(&self) -> Option<Metric> {
        match self {
            // AWS counts neither denials nor throttles of HTTP.
            Self::PublishDenied(PublishDenied { origin: Origin::Http { .. }, .. }) => None,
            Self::PublishRefused(PublishRefused { origin: Origin::Http { .. }, fault, .. })
                if fault.metric() == Some(Metric::PublishInThrottle) =>
            {
                None
            }
            Self::PublishDenied(e) if e.action == "iot:RetainPublish" => {
                Some(Metric::PublishRetainedAuthError)
            }
            Self::DeliveryDropped(e) => match e.why {
                DropReason::QueueFull | DropReason::QueueRate => Some(Metric::QueuedThrottle),
                DropReason::OutboxFull | DropReason::Rate => Some(Metric::PublishOutThrottle),
                DropReason::TooLargeForClient => Some(Metric::PublishOutClientError),
                DropReason::Expired | DropReason::RetryWindow => None,
            },
            // What ended it was mostly told, and counted, before.
            Self::Disconnected(e) => e.fault.filter(|_| e.untold).and_then(Fault::metric),
            Self::ProvisioningFailed(e) if e.is_ours => Some(Metric::ProvisionThingServerError),
            Self::ProvisioningFailed(_) => Some(Metric::ProvisionThingClientError),
            _ => self.kind().metric().or_else(|| self.fault().and_then(Fault::metric)),
        }
    }

    /// What somebody can do about it.
    pub fn remedy(&self) -> Option<Remedy<'a>> {
        let text = match self {
            Self::PublishDenied(e) => return Some(Remedy::Written(e.remedy)),
            Self::SubscribeDenied(e) => return Some(Remedy::Written(e.remedy)),
            Self::ReceiveDenied(e) => return Some(Remedy::Written(e.remedy)),
            Self::WillRefused(e) => return Some(Remedy::Written(e.remedy)),
            Self::ConnectRefused(ConnectRefused { remedy: Some(remedy), .. })
            | Self::Disconnected(Disconnected { remedy: Some(remedy), .. }) => {
                return Some(Remedy::Written(*remedy));
            }
            Self::Disconnected(Disconnected { fault: None, reason, .. }) => remedy::of_ending(*reason),
            Self::HandshakeFailed(e) => Some(e.remedy),
            Self::CertificateNotRegistered(e) => Some(e.remedy),
            Self::ProvisioningFailed(e) => Some(e.remedy),
            Self::DeliveryDropped(e) => Some(e.why.remedy()),
            Self::DirectMessageRefused(e) => remedy::of_direct(e.reason),
            Self::ApiRefused(e) => remedy::of_api_error(e.error),
            Self::DeviceCall(e) => e.error.and_then(remedy::of_api_error),
            Self::SessionExpired(e) => (e.queued > 0).then_some(remedy::LOST_WITH_ITS_SESSION),
            _ => self.fault().map(Fault::remedy).or_else(|| self.kind().remedy()),
        };
        text.map(Remedy::Text)
    }

    /// The trace id that the client was told.
    pub fn trace(&self) -> Option<&'a str> {
        match self {
            Self::ConnectRefused(e) => e.trace,
            Self::Disconnected(e) => e.trace,
            Self::PublishRefused(e) => e.trace,
            Self::PublishDenied(e) => e.trace,
            Self::SubscribeRefused(e) => e.trace,
            Self::SubscribeDenied(e) => e.trace,
            _ => None,
        }
    }

    /// `status` of AWS's log entry: whether the thing that was wanted happened.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Disconnected(e) => e.reason.sends_will(),
            Self::ConnectionRefusedLimit(_) | Self::RetainedFull(_) | Self::StoreFailed(_) => true,
            Self::ExportFailed(_) => true,
            Self::ApiRefused(_) | Self::CertificateNotRegistered(_) | Self::ProvisioningFailed(_) => true,
            _ => self.log_reason().is_some(),
        }
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.kind())
    }
}
