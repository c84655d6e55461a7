//! SUBSCRIBE and UNSUBSCRIBE: policy, routes, answer, retained messages, in this order.

use dialect::{Answer, Divergence, Fault};
use identity::Timestamp;
use mqtt::{PacketId, QoS, ReasonCode, RetainHandling, Text, TopicFilter};
use router::Route;
use session::{Asked, SubscribeAsked, Subscription, UnsubscribeAsked, Violation};
use smallvec::SmallVec;

use crate::cell::Subscriber;
use crate::connection::Connection;
use crate::link::Flow;

/// A subscription that was granted.
struct Granted {
    asked: Asked,
    /// The client had no subscription with this filter before.
    new: bool,
}

/// Decides each filter; if one costs the connection, none is subscribed.
pub(super) fn filters(connection: &mut Connection, asked: SubscribeAsked, now: Timestamp) -> Flow {
    let SubscribeAsked { packet_id, filters } = asked;
    let mut decided: SmallVec<[Result<Asked, Fault>; 2]> = SmallVec::new();
    for (filter, outcome) in filters {
        let checked = outcome.map_err(|violation| {
            connection.inner().report_subscribe_refused(connection.client(), &filter, &violation, now);
            violation.fault
        });
        decided.push(checked.and_then(|asked| authorise(connection, asked, now)));
    }
    let coded = decided.iter().map(|decision| match decision {
        Ok(_) => Ok(ReasonCode::Success),
        Err(fault) => code(connection, *fault, decided.iter().any(Result::is_ok)).ok_or(*fault),
    });
    let coded: Result<Codes, Fault> = coded.collect();
    match coded.and_then(|codes| enter(connection, decided, &codes, now)) {
        Ok((codes, granted)) => conclude(connection, packet_id, codes, granted, now),
        Err(fault) => connection.fail(fault, &"a filter of a SUBSCRIBE was refused", now),
    }
}

/// The code for the SUBACK, or `None` if the dialect ends the connection. What AWS does to a 3.1.1 client when only
/// `some` filters are denied is not known: a switch (subscribe-some-denied-v3).
fn code(connection: &Connection, fault: Fault, some: bool) -> Option<ReasonCode> {
    let dialect = &connection.inner().dialect;
    match dialect.answer(fault, connection.version()) {
        Answer::SubAck(code) => Some(code),
        _ if some && fault == Fault::SubscribeDenied && !dialect.has(Divergence::SubscribeSomeDeniedV3) => {
            Some(ReasonCode::UnspecifiedError)
        }
        _ => None,
    }
}

/// iot:Subscribe on the filter as it was sent.
fn authorise(connection: &Connection, asked: Asked, now: Timestamp) -> Result<Asked, Fault> {
    let view = connection.standing.view();
    match view.authorizer.subscribe(asked.filter.as_str(), now) {
        Ok(_permit) => Ok(asked),
        Err(denial) => {
            connection.inner().report_subscribe_denied(
                connection.client(),
                asked.filter.as_str(),
                &denial,
                now,
            );
            Err(Fault::SubscribeDenied)
        }
    }
}

type Codes = SmallVec<[ReasonCode; 2]>;

/// Notes the subscriptions in the session, as far as the limits go, and adds their routes.
fn enter(
    connection: &Connection,
    decided: SmallVec<[Result<Asked, Fault>; 2]>,
    coded: &[ReasonCode],
    now: Timestamp,
) -> Result<(Codes, Vec<Granted>), Fault> {
    let (mut codes, mut granted) = (Codes::new(), Vec::new());
    for (decision, refused) in decided.into_iter().zip(coded) {
        let Ok(asked) = decision else {
            codes.push(*refused);
            continue;
        };
        let Some(new) = note(connection, &asked) else {
            let violation =
                Violation { fault: Fault::TooManySubscriptions, detail: too_many(connection).into() };
            let filter = asked.filter.as_text();
            connection.inner().report_subscribe_refused(connection.client(), filter, &violation, now);
            codes.push(
                code(connection, Fault::TooManySubscriptions, true).ok_or(Fault::TooManySubscriptions)?,
            );
            continue;
        };
        codes.push(granted_code(asked.qos));
        granted.push(Granted { asked, new });
    }
    Ok((codes, granted))
}

fn too_many(connection: &Connection) -> String {
    let limits = connection.inner().dialect.limits();
    let (own, all) = (limits.subscriptions_per_connection, limits.subscriptions);
    format!("the connection has {own} subscriptions (L-45957C13) or the account has {all} (L-52CBB99B)")
}

/// Notes one subscription. `None` if the session or the account is full; else whether it is new.
fn note(connection: &Connection, asked: &Asked) -> Option<bool> {
    let limits = connection.inner().dialect.limits();
    let full = connection.inner().routes.len() >= limits.subscriptions;
    let generation = connection.generation();
    let filter = asked.filter.detached();
    let (session, new) = connection.cell().enter(|seat| {
        let (_, kept) = seat.of(generation)?;
        let new = !kept.session.has_subscription(filter.as_str());
        if new && (full || kept.session.subscription_count() >= limits.subscriptions_per_connection) {
            return None;
        }
        let Asked { qos, no_local, retain_as_published, .. } = *asked;
        kept.session.subscribe(Subscription { filter: filter.clone(), qos, no_local, retain_as_published });
        Some((kept.id, new))
    })?;
    let target = Subscriber { cell: connection.cell().clone(), session };
    let Asked { qos, no_local, retain_as_published, .. } = *asked;
    connection.inner().routes.subscribe(&filter, Route { target, qos, no_local, retain_as_published });
    unroute_if_over(connection, &filter, session);
    Some(new)
}

/// If the session ended while its route was added, nobody else will take the route out.
fn unroute_if_over(connection: &Connection, filter: &TopicFilter, session: u64) {
    let alive = connection.cell().enter(|seat| seat.kept.as_ref().is_some_and(|kept| kept.id == session));
    if !alive {
        connection.inner().routes.unsubscribe(filter, session);
    }
}

fn granted_code(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQos1,
        QoS::ExactlyOnce => ReasonCode::GrantedQos2,
    }
}

/// SUBACK, then what the new subscriptions find retained.
fn conclude(
    connection: &mut Connection,
    packet_id: PacketId,
    codes: Codes,
    granted: Vec<Granted>,
    now: Timestamp,
) -> Flow {
    let generation = connection.generation();
    connection.cell().enter(|seat| {
        if let Some((live, _)) = seat.of(generation) {
            live.talk.suback(packet_id, codes);
        }
    });
    for Granted { asked, new } in granted {
        let inner = connection.inner();
        inner.report_subscribed(connection.client(), asked.filter.as_str(), asked.qos, now);
        if wants_retained(connection, &asked, new) {
            send_retained(connection, &asked, now);
        }
    }
    Flow::Continue
}

fn wants_retained(connection: &Connection, asked: &Asked, new: bool) -> bool {
    match asked.retain_handling {
        _ if connection.inner().dialect.has(Divergence::RetainHandlingIgnored) => true,
        RetainHandling::SendAtSubscribe => true,
        RetainHandling::SendIfNew => new,
        RetainHandling::DoNotSend => false,
    }
}

fn send_retained(connection: &Connection, asked: &Asked, now: Timestamp) {
    let inner = connection.inner();
    if inner.dialect.has(Divergence::RetainedExactOnly)
        && asked.filter.has_wildcard()
        && !inner.retained.is_empty()
    {
        inner.report_notes(connection.client(), &[Divergence::RetainedExactOnly], now);
    }
    for kept in inner.retained_for(&asked.filter, now) {
        // The offer goes the ordinary way, with its own iot:Receive; only its RETAIN flag is 1 [MQTT-3.3.1-8].
        let target = Subscriber { cell: connection.cell().clone(), session: connection.session() };
        let route = Route { target, qos: asked.qos, no_local: false, retain_as_published: false };
        inner.deliver_retained(&route, &kept.parcel, now);
    }
}

/// UNSUBSCRIBE: every filter is forgotten; MQTT 5 hears of each.
pub(super) fn forget(connection: &mut Connection, asked: UnsubscribeAsked, now: Timestamp) -> Flow {
    let codes: Codes = asked.filters.iter().map(|filter| forget_one(connection, filter, now)).collect();
    let generation = connection.generation();
    connection.cell().enter(|seat| {
        if let Some((live, _)) = seat.of(generation) {
            live.talk.unsuback(asked.packet_id, codes);
        }
    });
    Flow::Continue
}

fn forget_one(connection: &Connection, filter: &Text, now: Timestamp) -> ReasonCode {
    if TopicFilter::try_from(filter.clone()).is_err() {
        return ReasonCode::TopicFilterInvalid;
    }
    let generation = connection.generation();
    let gone = connection.cell().enter(|seat| {
        let (_, kept) = seat.of(generation)?;
        kept.session.unsubscribe(filter).map(|gone| (gone, kept.id))
    });
    connection.inner().report_unsubscribed(connection.client(), filter, gone.is_some(), now);
    match gone {
        Some((gone, session)) => {
            connection.inner().routes.unsubscribe(&gone.filter, session);
            ReasonCode::Success
        }
        // unsuback-codes: AWS does not list 0x11.
        None if connection.inner().dialect.has(Divergence::UnsubackCodes) => ReasonCode::Success,
        None => ReasonCode::NoSubscriptionExisted,
    }
}
