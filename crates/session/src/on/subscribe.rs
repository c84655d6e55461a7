//! SUBSCRIBE and UNSUBSCRIBE: each filter is checked by itself.

use dialect::{Dialect, Divergence, Fault};
use mqtt::{PacketId, QoS, RetainHandling, Subscribe, Text, TopicFilter, Unsubscribe};
use smallvec::SmallVec;

use crate::{Notes, Step, Violation, check};

/// One filter of a SUBSCRIBE that may be asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The filter.
    pub filter: TopicFilter,
    /// The QoS to grant.
    pub qos: QoS,
    /// Do not send the client its own messages.
    pub no_local: bool,
    /// Keep the publisher's RETAIN flag.
    pub retain_as_published: bool,
    /// When to send retained messages.
    pub retain_handling: RetainHandling,
}

/// A SUBSCRIBE: for each filter, in the packet's order, what is asked for or why it can't be had.
#[derive(Clone, Debug)]
pub struct SubscribeAsked {
    /// To answer with.
    pub packet_id: PacketId,
    /// The filters as sent, with the outcome of the checks.
    pub filters: SmallVec<[(Text, Result<Asked, Violation>); 1]>,
}

/// An UNSUBSCRIBE.
#[derive(Clone, Debug)]
pub struct UnsubscribeAsked {
    /// To answer with.
    pub packet_id: PacketId,
    /// The filters as sent.
    pub filters: SmallVec<[Text; 1]>,
}

pub(crate) fn receive(subscribe: Subscribe, dialect: &Dialect, notes: &mut Notes) -> Step {
    if subscribe.subscription_identifier.is_some() && dialect.has(Divergence::NoSubscriptionIdentifier) {
        let detail = "SUBSCRIBE carries a subscription identifier (no-subscription-identifier)";
        return Step::Violated(Violation::new(Fault::SubscriptionIdentifier, detail));
    }
    let (count, most) = (subscribe.filters.len(), dialect.limits().subscribe_filters);
    if count > most {
        let detail = format!("SUBSCRIBE has {count} filters, the limit is {most} (L-A6574E9E)");
        return too_many(subscribe, &Violation::new(Fault::TooManyFilters, detail));
    }
    // [MQTT-3.8.3-4]
    if subscribe.filters.iter().any(|request| request.no_local && request.filter.starts_with("$share/")) {
        let detail = "No Local on a shared subscription";
        return Step::Violated(Violation::new(Fault::ProtocolError, detail));
    }
    let wants_qos2 = subscribe.filters.iter().any(|request| request.qos == QoS::ExactlyOnce);
    if wants_qos2 && dialect.has(Divergence::NoQos2) {
        notes.push(Divergence::NoQos2);
        if dialect.has(Divergence::Qos2SubscribeNoSuback) {
            notes.push(Divergence::Qos2SubscribeNoSuback);
            return Step::Nothing;
        }
    }
    let filters =
        subscribe.filters.into_iter().map(|request| (request.filter.clone(), ask(request, dialect, notes)));
    Step::Subscribe(SubscribeAsked { packet_id: subscribe.packet_id, filters: filters.collect() })
}

/// Every filter gets the same refusal.
fn too_many(subscribe: Subscribe, violation: &Violation) -> Step {
    let filters = subscribe.filters.into_iter().map(|request| (request.filter, Err(violation.clone())));
    Step::Subscribe(SubscribeAsked { packet_id: subscribe.packet_id, filters: filters.collect() })
}

fn ask(request: mqtt::SubscribeRequest, dialect: &Dialect, notes: &mut Notes) -> Result<Asked, Violation> {
    let filter = check::subscribe_filter(&request.filter, dialect)?;
    let ignored = request.no_local && dialect.has(Divergence::NoLocalIgnored);
    if ignored {
        notes.push(Divergence::NoLocalIgnored);
    }
    Ok(Asked {
        filter,
        qos: if request.qos == QoS::ExactlyOnce { QoS::AtLeastOnce } else { request.qos },
        no_local: request.no_local && !ignored,
        retain_as_published: request.retain_as_published,
        retain_handling: request.retain_handling,
    })
}

/// How many filters one UNSUBSCRIBE may have. AWS names no number; a connection has fifty subscriptions.
const MOST_FORGOTTEN: usize = 1000;

pub(crate) fn forget(unsubscribe: Unsubscribe) -> Step {
    if unsubscribe.filters.len() > MOST_FORGOTTEN {
        let detail = format!("UNSUBSCRIBE with more than {MOST_FORGOTTEN} filters");
        return Step::Violated(Violation::new(Fault::ProtocolError, detail));
    }
    Step::Unsubscribe(UnsubscribeAsked { packet_id: unsubscribe.packet_id, filters: unsubscribe.filters })
}
