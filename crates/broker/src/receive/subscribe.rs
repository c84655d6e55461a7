//! SUBSCRIBE and UNSUBSCRIBE: policy, routes, answer, retained messages, in this order.

use std::sync::Arc;
use std::task::Waker;

use dialect::{Answer, Divergence, Fault, QuotaId};
use events::Client;
use identity::Timestamp;
use mqtt::{PacketId, ReasonCode, RetainHandling, Text, TopicFilter, Version};
use quirks::Quirk;
use router::Route;
use session::mutation::{self, Mutation};
use session::{Asked, Conversation, SubscribeAsked, Subscription, UnsubscribeAsked, Violation};
use smallvec::SmallVec;

use crate::broker::{Durability, Inner};
use crate::cell::{Cell, Subscriber};
use crate::connection::Connection;
use crate::durable::{Job, Then};
use crate::lifecycle::{Change, Named};
use crate::publish::Outcome;
use crate::report;
use standing::{Flow, Standing};

/// How many refused filters of one packet are told of.
const MOST_TOLD: usize = 8;

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
    let mut told = 0;
    for (filter, outcome) in filters {
        let checked = outcome.map_err(|violation| {
            // A packet with thousands of refused filters is one story, not thousands.
            if told < MOST_TOLD {
                connection.inner().report_subscribe_refused(connection.client(), &filter, &violation, now);
                told += 1;
            }
            violation.fault
        });
        decided.push(checked.and_then(|asked| authorise(connection, asked, now)));
    }
    let some = decided.iter().any(Result::is_ok);
    let coded = decided.iter().map(|decision| match decision {
        Ok(_) => Ok(ReasonCode::Success),
        Err(fault) => code(connection, *fault, some).ok_or(*fault),
    });
    let coded: Result<Codes, Fault> = coded.collect();
    if some && coded.as_ref().err() == Some(&Fault::SubscribeDenied) {
        let (row, detail) =
            (Divergence::SubscribeSomeDeniedV3, &"subscribed, among others, without permission");
        connection.inner().diverges(row, connection.client(), "SUBSCRIBE", detail, now);
    }
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

/// The account's rate, which counts what is asked for: to tell of a denial costs more than to subscribe. Then
/// iot:Subscribe on the filter as it was sent.
fn authorise(connection: &Connection, asked: Asked, now: Timestamp) -> Result<Asked, Fault> {
    let throttles = &connection.inner().throttles;
    let admitted = throttles.subscribe(connection.inner().dialect.limits(), now);
    admitted.map_err(|violation| refuse(connection, &asked.filter, &violation, now))?;
    let view = connection.standing.view();
    match view.authorizer.subscribe(asked.filter.as_str(), now) {
        Ok(_permit) => admit_member(connection, &asked.filter, now).map(|()| asked),
        Err(denial) => {
            connection.inner().report_subscribe_denied(
                connection.client(),
                asked.filter.as_str(),
                &denial,
                now,
            );
            let detail = &format_args!("subscribed without permission to {}", asked.filter.as_str());
            let client = connection.client();
            connection.inner().report_shown(Fault::SubscribeDenied, client, "SUBSCRIBE", detail, now);
            Err(Fault::SubscribeDenied)
        }
    }
}

/// The rate of the shared group, and the numbers of groups and members.
fn admit_member(connection: &Connection, filter: &TopicFilter, now: Timestamp) -> Result<(), Fault> {
    if filter.share_name().is_none() {
        return Ok(());
    }
    let (inner, fault) = (connection.inner(), Fault::SharedSubscriptionThrottled);
    let admitted = inner.throttles.shared_request(filter.as_str(), fault, inner.dialect.limits(), now);
    let admitted = admitted.and_then(|()| has_place(connection, filter, fault));
    admitted.map_err(|violation| refuse(connection, filter, &violation, now))
}

/// Tells of a filter that breaks a quota.
fn refuse(connection: &Connection, filter: &TopicFilter, violation: &Violation, now: Timestamp) -> Fault {
    let (inner, client) = (connection.inner(), connection.client());
    inner.report_subscribe_refused(client, filter.as_text(), violation, now);
    inner.report_violation(violation, client, "SUBSCRIBE", now);
    violation.fault
}

/// A member is never turned away from its own group. Two who come at once may both find the last place.
fn has_place(connection: &Connection, filter: &TopicFilter, fault: Fault) -> Result<(), Violation> {
    let inner = connection.inner();
    let generation = connection.generation();
    let limits = inner.dialect.limits();
    let is_member = connection.cell().enter(|seat| {
        seat.of(generation).is_some_and(|(_, kept)| kept.session.has_subscription(filter.as_str()))
    });
    let members = inner.routes.members(filter);
    let quota = match () {
        () if is_member => return Ok(()),
        () if members == 0 && inner.routes.groups() >= limits.shared_groups => QuotaId::SharedGroups,
        () if members >= limits.shared_group_members => QuotaId::SharedMembers,
        () => return Ok(()),
    };
    Err(session::throttle::violation(fault, quota, limits))
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
        let new = match note(connection, &asked, now) {
            Noted::New => true,
            Noted::Known => false,
            // Somebody else has the seat: nobody hears the answer.
            Noted::Gone => return Ok((codes, granted)),
            Noted::Full(why) => {
                let violation = Violation::new(Fault::TooManySubscriptions, why);
                let filter = asked.filter.as_text();
                let (inner, client) = (connection.inner(), connection.client());
                inner.report_subscribe_refused(client, filter, &violation, now);
                inner.report_shown(violation.fault, client, "SUBSCRIBE", &violation.detail, now);
                let code = code(connection, Fault::TooManySubscriptions, true);
                codes.push(code.ok_or(Fault::TooManySubscriptions)?);
                continue;
            }
        };
        codes.push(ReasonCode::granted(asked.qos));
        granted.push(Granted { asked, new });
    }
    Ok((codes, granted))
}

fn too_many(connection: &Connection) -> String {
    let limits = connection.inner().dialect.limits();
    let (own, all) = (limits.subscriptions_per_connection, limits.subscriptions);
    format!("the connection has {own} subscriptions (L-45957C13) or the account has {all} (L-52CBB99B)")
}

/// What came of a subscription in the session.
enum Noted {
    New,
    Known,
    /// The session or the account is full, and which of them.
    Full(String),
    /// The seat is lost.
    Gone,
}

fn note(connection: &Connection, asked: &Asked, now: Timestamp) -> Noted {
    let inner = connection.inner();
    let limits = inner.dialect.limits();
    let full = inner.routes.len() >= limits.subscriptions;
    let generation = connection.generation();
    let filter = asked.filter.detached();
    let noted = connection.cell().enter(|seat| {
        let Some((_, kept)) = seat.of(generation) else { return Noted::Gone };
        let new = !kept.session.has_subscription(filter.as_str());
        let bound = new && !mutation::is(Mutation::IgnoresSubscriptionBound);
        if bound && (full || kept.session.subscription_count() >= limits.subscriptions_per_connection) {
            return Noted::Full(too_many(connection));
        }
        let Asked { qos, no_local, retain_as_published, identifier, .. } = *asked;
        let filter = filter.clone();
        let subscription = Subscription { filter, qos, no_local, retain_as_published, identifier };
        if !kept.session.has_room_for(&subscription) {
            let most = session::stored::SUBSCRIPTIONS_BYTES;
            return Noted::Full(format!(
                "all subscriptions of a session have {most} bytes in the store at most"
            ));
        }
        kept.session.subscribe(subscription);
        if new { Noted::New } else { Noted::Known }
    });
    if matches!(noted, Noted::New | Noted::Known) {
        let what = "has a subscription that takes effect after its SUBACK";
        let late = inner.provoke(connection.cell(), Quirk::SubackBeforeActive, "SUBACK", what, now);
        let from = late.map_or(Timestamp::default(), |strike| now + strike.extent);
        inner.reconcile(connection.cell(), connection.session(), &filter, from);
    }
    noted
}

impl Inner {
    /// Makes the route table say of a filter what the session says. Session and table change one after the other, and
    /// two connections of one client may be at it at once: so the session is asked again until nothing moved.
    fn reconcile(&self, cell: &Arc<Cell>, session: u64, filter: &TopicFilter, from: Timestamp) {
        let wanted = || {
            cell.enter(|seat| {
                let kept = seat.kept.as_ref().filter(|kept| kept.id == session)?;
                kept.session.subscription(filter.as_str()).cloned()
            })
        };
        let mut want = wanted();
        loop {
            match &want {
                Some(known) => {
                    let target = Subscriber { cell: cell.clone(), session, from };
                    self.routes.subscribe(filter, target.route(known));
                }
                None => {
                    self.routes.unsubscribe(filter, session);
                }
            }
            let again = wanted();
            if again == want {
                // Who comes is served behind its SUBACK.
                return if want.is_none() {
                    self.kick_group(filter.as_str())
                };
            }
            want = again;
        }
    }
}

/// SUBACK, then what the new subscriptions find retained. For a session that lasts the subscriptions are written first.
fn conclude(
    connection: &mut Connection,
    packet_id: PacketId,
    codes: Codes,
    granted: Vec<Granted>,
    now: Timestamp,
) -> Flow {
    let lasts = !granted.is_empty();
    let answer = move |asker: &Asker, inner: &Inner, now: Timestamp| {
        asker.tell(|talk| talk.suback(packet_id, codes));
        let filters = granted.iter().map(|granted| granted.asked.filter.as_str());
        inner.tell_subscriptions(&asker.named(), Change::Subscribed, filters, now);
        for Granted { asked, new } in granted {
            inner.report_subscribed(asker.client(), asked.filter.as_str(), asked.qos, now);
            if wants_retained(inner, &asked, new) {
                send_retained(asker, inner, (&asked, new), now);
            }
            inner.kick_group(asked.filter.as_str());
        }
    };
    when_written(connection, lasts, answer, now)
}

/// Who asked, for an answer that may have to wait for the disk.
struct Asker {
    cell: Arc<Cell>,
    generation: u64,
    session: u64,
    standing: Arc<Standing>,
    version: Version,
    session_identifier: Arc<str>,
}

impl Asker {
    fn named(&self) -> Named<'_> {
        let session_identifier = &self.session_identifier;
        Named { standing: &self.standing, session_identifier, version_number: None }
    }

    fn client(&self) -> Client<'_> {
        Client { version: Some(self.version), ..report::standing_of(&self.standing) }
    }

    /// Something for the client's outbox, if it is still there.
    fn tell(&self, say: impl FnOnce(&mut Conversation)) {
        let waker = self.cell.enter(|seat| {
            let (live, _) = seat.of(self.generation)?;
            say(&mut live.talk);
            live.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Answers at once, or when the session's record is written.
fn when_written(
    connection: &Connection,
    lasts: bool,
    answer: impl FnOnce(&Asker, &Inner, Timestamp) + Send + 'static,
    now: Timestamp,
) -> Flow {
    let inner = connection.inner();
    let asker = Asker {
        cell: connection.cell().clone(),
        generation: connection.generation(),
        session: connection.session(),
        standing: connection.standing.clone(),
        version: connection.version(),
        session_identifier: connection.session_identifier.clone(),
    };
    let (cell, generation) = (asker.cell.clone(), asker.generation);
    if !lasts || !inner.is_kept(&cell) {
        answer(&asker, inner, now);
    } else if inner.durability == Durability::Relaxed {
        answer(&asker, inner, now);
        inner.keep(&cell);
    } else {
        let answer = Box::new(move |inner: &Inner, now: Timestamp| answer(&asker, inner, now));
        inner.committer.submit(Job::save(&cell, Then::Answer { cell: cell.clone(), generation, answer }));
    }
    Flow::Continue
}

fn wants_retained(inner: &Inner, asked: &Asked, new: bool) -> bool {
    match asked.retain_handling {
        _ if mutation::is(Mutation::WithholdsRetained) => false,
        _ if inner.dialect.has(Divergence::RetainHandlingIgnored) => true,
        RetainHandling::SendAtSubscribe => true,
        RetainHandling::SendIfNew => new,
        RetainHandling::DoNotSend => mutation::is(Mutation::IgnoresRetainHandling),
    }
}

fn send_retained(asker: &Asker, inner: &Inner, (asked, new): (&Asked, bool), now: Timestamp) {
    if new && inner.withholds_retained(&asked.filter, now) {
        let detail = &format_args!("relies on retained messages through {}", asked.filter.as_str());
        inner.diverges(Divergence::RetainedExactOnly, asker.client(), "SUBSCRIBE", detail, now);
    }
    let mut outcome = Outcome::default();
    for kept in inner.retained_for(&asked.filter, now) {
        // The offer goes the ordinary way, with its own iot:Receive; only its RETAIN flag is 1 [MQTT-3.3.1-8].
        let target =
            Subscriber { cell: asker.cell.clone(), session: asker.session, from: Timestamp::default() };
        let identifiers = asked.identifier.into_iter().collect();
        let (qos, no_local, retain_as_published) = (asked.qos, false, false);
        let route = Route { target, qos, no_local, retain_as_published, identifiers };
        let waiting = inner.deliver_retained(&route, &kept.parcel, &mut outcome.wakes, now);
        outcome.enqueue(&kept.parcel.message, waiting.into_iter().collect(), false);
    }
    if !outcome.is_empty() {
        inner.committer.submit(outcome.job(Then::Rest));
    }
}

/// UNSUBSCRIBE: every filter is forgotten; MQTT 5 hears of each.
pub(super) fn forget(connection: &mut Connection, asked: UnsubscribeAsked, now: Timestamp) -> Flow {
    let mut gone = Vec::new();
    let mut forget = |filter| {
        let (code, was_there) = forget_one(connection, filter, now);
        if was_there {
            gone.push(filter.clone());
        }
        code
    };
    let codes: Codes = asked.filters.iter().map(&mut forget).collect();
    let answer = move |asker: &Asker, inner: &Inner, now: Timestamp| {
        asker.tell(|talk| talk.unsuback(asked.packet_id, codes));
        let filters = gone.iter().map(|filter: &Text| &**filter);
        inner.tell_subscriptions(&asker.named(), Change::Unsubscribed, filters, now);
    };
    when_written(connection, true, answer, now)
}

/// The code of the UNSUBACK, and whether there was such a subscription.
fn forget_one(connection: &Connection, filter: &Text, now: Timestamp) -> (ReasonCode, bool) {
    let inner = connection.inner();
    let Ok(parsed) = TopicFilter::try_from(filter.clone()) else {
        return (ReasonCode::TopicFilterInvalid, false);
    };
    if let Some(code) = throttled(connection, &parsed, now) {
        return (code, false);
    }
    let generation = connection.generation();
    let gone = connection.cell().enter(|seat| {
        let (_, kept) = seat.of(generation)?;
        if mutation::is(Mutation::IgnoresUnsubscribe) {
            return kept.session.subscription(filter).cloned();
        }
        kept.session.unsubscribe(filter)
    });
    if let Some(gone) = &gone {
        inner.reconcile(connection.cell(), connection.session(), &gone.filter, Timestamp::default());
    }
    // What was there had been subscribed within its rate.
    let told = gone.is_some() || inner.throttles.tells_unsubscribed(now);
    if told {
        inner.report_unsubscribed(connection.client(), filter, gone.is_some(), now);
    }
    let shows = told && gone.is_none() && connection.version() == Version::V5;
    if shows && inner.dialect.has(Divergence::UnsubackCodes) {
        let detail = &format_args!("unsubscribed from {filter}, which it had not subscribed to");
        inner.diverges(Divergence::UnsubackCodes, connection.client(), "UNSUBSCRIBE", detail, now);
    }
    let code = match gone {
        Some(_) => ReasonCode::Success,
        // unsuback-codes: AWS does not list 0x11.
        None if inner.dialect.has(Divergence::UnsubackCodes) => ReasonCode::Success,
        None => ReasonCode::NoSubscriptionExisted,
    };
    (code, gone.is_some())
}

/// The code for a request that comes too soon after others for the same shared group. An MQTT 3.1.1 client cannot be
/// told, so it is served.
fn throttled(connection: &Connection, filter: &TopicFilter, now: Timestamp) -> Option<ReasonCode> {
    filter.share_name()?;
    let inner = connection.inner();
    let (fault, limits) = (Fault::UnsubscribeThrottled, inner.dialect.limits());
    let violation = inner.throttles.shared_request(filter.as_str(), fault, limits, now).err()?;
    let code = inner.dialect.answer(fault, connection.version()).code()?;
    if inner.throttles.tells_unsubscribed(now) {
        inner.report_subscribe_refused(connection.client(), filter.as_text(), &violation, now);
    }
    Some(code)
}
