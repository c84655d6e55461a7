//! SUBSCRIBE and UNSUBSCRIBE: each filter is checked by itself.

use dialect::{Dialect, Divergence, Fault};
use mqtt::{PacketId, QoS, RetainHandling, Subscribe, Text, TopicFilter, Unsubscribe, Version};
use smallvec::SmallVec;

use crate::mutation::{self, Mutation};
use crate::{Note, Notes, Step, Violation, check};

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
    /// The Subscription Identifier of the packet.
    pub identifier: Option<u32>,
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

impl SubscribeAsked {
    /// Notes the divergences that the client sees in the refusals; a run of refusals for one fault counts once.
    pub(crate) fn note(&self, version: Version, dialect: &Dialect, notes: &mut Notes) {
        let mut last = None;
        for violation in self.filters.iter().filter_map(|(_, outcome)| outcome.as_ref().err()) {
            if last.replace(violation.fault) != Some(violation.fault) && notes.len() < MOST_NOTES {
                violation.note("SUBSCRIBE", version, dialect, notes);
            }
        }
    }
}

/// Notes of one packet beyond which nothing new is learnt.
const MOST_NOTES: usize = 32;

pub(crate) fn receive(subscribe: Subscribe, version: Version, dialect: &Dialect, notes: &mut Notes) -> Step {
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
        notes.push(Note::new(Divergence::NoQos2, "SUBSCRIBE", "subscribed with QoS 2"));
        if dialect.has(Divergence::Qos2SubscribeNoSuback) {
            let detail = "subscribed with QoS 2 and gets no SUBACK";
            notes.push(Note::new(Divergence::Qos2SubscribeNoSuback, "SUBSCRIBE", detail));
            return Step::Nothing;
        }
    }
    let forgotten = mutation::is(Mutation::ForgetsIdentifier);
    let identifier = subscribe.subscription_identifier.filter(|_| !forgotten);
    let filters = subscribe.filters.into_iter().map(|request| {
        note_options(&request, version, dialect, notes);
        (request.filter.clone(), ask(request, identifier, dialect))
    });
    Step::Subscribe(SubscribeAsked { packet_id: subscribe.packet_id, filters: filters.collect() })
}

/// Every filter gets the same refusal.
fn too_many(subscribe: Subscribe, violation: &Violation) -> Step {
    let filters = subscribe.filters.into_iter().map(|request| (request.filter, Err(violation.clone())));
    Step::Subscribe(SubscribeAsked { packet_id: subscribe.packet_id, filters: filters.collect() })
}

/// Options that have no effect, and what only AWS has.
fn note_options(request: &mqtt::SubscribeRequest, version: Version, dialect: &Dialect, notes: &mut Notes) {
    let mut note = |divergence, what: &str| {
        if notes.len() < MOST_NOTES {
            let detail = format!("{what} {}", &*request.filter);
            notes.push(Note::new(divergence, "SUBSCRIBE", detail));
        }
    };
    if request.no_local && dialect.has(Divergence::NoLocalIgnored) {
        note(Divergence::NoLocalIgnored, "asked for No Local on");
    }
    if request.retain_as_published && dialect.has(Divergence::RetainAsPublishedIgnored) {
        note(Divergence::RetainAsPublishedIgnored, "asked for Retain As Published on");
    }
    let handling = request.retain_handling != RetainHandling::SendAtSubscribe;
    if handling && dialect.has(Divergence::RetainHandlingIgnored) {
        note(Divergence::RetainHandlingIgnored, "asked for another Retain Handling on");
    }
    // shared-sub-in-v3: in either dialect.
    if version == Version::V311 && request.filter.starts_with("$share/") {
        note(Divergence::SharedSubInV3, "subscribed with MQTT 3.1.1 to");
    }
}

fn ask(
    request: mqtt::SubscribeRequest,
    identifier: Option<u32>,
    dialect: &Dialect,
) -> Result<Asked, Violation> {
    let filter = check::subscribe_filter(&request.filter, dialect)?;
    let ignored = request.no_local && dialect.has(Divergence::NoLocalIgnored);
    Ok(Asked {
        filter,
        qos: if dialect.has(Divergence::NoQos2) { request.qos.min(QoS::AtLeastOnce) } else { request.qos },
        no_local: request.no_local && !ignored,
        retain_as_published: request.retain_as_published,
        retain_handling: request.retain_handling,
        identifier,
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
