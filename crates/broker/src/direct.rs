//! SendDirectMessage: one message to one connected client, past subscriptions, rules, queues and retention.
//!
//! Source: developer guide, *Direct Messaging*; API reference (IoT Data Plane), *SendDirectMessage*.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use dialect::{DirectFailure, Divergence, Fault};
use events::Origin;
use identity::{ClientId, Timestamp};
use mqtt::{Message, MessageProperties, PacketId, QoS, Text};
use parking_lot::Mutex;
use policy::Permit;
use session::throttle::Exceeded;
use session::{Offer, Parcel, Unsent, Violation, check};
use smallvec::SmallVec;

use crate::broker::Inner;
use crate::cell::{Cell, Kept, Live, Seat};
use crate::durable::Ticket;
use crate::publish::{Fate, Report};
use crate::{Broker, HttpOrigin};
use standing::Standing;

/// A message for one client.
#[derive(Clone, Debug)]
pub struct DirectMessage {
    /// For whom.
    pub client_id: ClientId,
    /// The topic, decoded.
    pub topic: String,
    /// The body.
    pub payload: Bytes,
    /// The MQTT 5 properties that the headers and the query carry. An MQTT 3.1.1 client gets none of them.
    pub properties: MessageProperties,
    /// How long to wait for the client's PUBACK. Without it the message goes out with QoS 0.
    pub confirmation: Option<Duration>,
    /// Who asks.
    pub origin: HttpOrigin,
}

/// Why a direct message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectRefusal {
    /// Which rule.
    pub failure: DirectFailure,
    /// For people.
    pub message: String,
}

/// How waiting for a PUBACK ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    Acknowledged,
    /// The connection ended first.
    Lost,
    TimedOut,
}

type Receipt = Ticket<Confirmation>;

/// A direct message whose sender waits for its acknowledgement.
#[derive(Clone)]
pub(crate) struct Awaited {
    packet_id: PacketId,
    receipt: Arc<Receipt>,
}

impl std::fmt::Debug for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Awaited").field("packet_id", &self.packet_id).finish_non_exhaustive()
    }
}

impl Awaited {
    /// The client acknowledged it. Not to be called inside a cell.
    pub(crate) fn acknowledged(&self) {
        self.receipt.punch(Confirmation::Acknowledged);
    }

    /// The connection ended. Not to be called inside a cell.
    pub(crate) fn lost(&self) {
        self.receipt.punch(Confirmation::Lost);
    }
}

/// Takes what waits under a packet identifier.
pub(crate) fn take(awaited: &mut Vec<Awaited>, packet_id: PacketId) -> Option<Awaited> {
    let at = awaited.iter().position(|one| one.packet_id == packet_id)?;
    Some(awaited.swap_remove(at))
}

/// When senders stop waiting. What was confirmed or given up before is simply not there any more.
#[derive(Default)]
pub(crate) struct Confirmations(Mutex<BinaryHeap<Reverse<Deadline>>>);

struct Deadline(Timestamp, Weak<Receipt>);

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Deadline {}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Confirmations {
    fn until(&self, when: Timestamp, receipt: &Arc<Receipt>) {
        self.0.lock().push(Reverse(Deadline(when, Arc::downgrade(receipt))));
    }

    /// Ends the waits that are over; when the next one is.
    pub(crate) fn on_time(&self, now: Timestamp) -> Timestamp {
        let mut deadlines = self.0.lock();
        let mut due = Vec::new();
        while deadlines.peek().is_some_and(|Reverse(deadline)| deadline.0 <= now) {
            due.extend(deadlines.pop().and_then(|Reverse(deadline)| deadline.1.upgrade()));
        }
        let next = deadlines.peek().map_or(Timestamp::NEVER, |Reverse(deadline)| deadline.0);
        drop(deadlines);
        due.iter().for_each(|receipt| receipt.punch(Confirmation::TimedOut));
        next
    }
}

/// A message that is in the client's outbox.
struct Handed {
    report: Report,
    packet_id: Option<PacketId>,
    is_subscribed: bool,
}

/// Why it is not, as found inside the cell.
enum Undelivered {
    NotFound,
    NotConnected,
    /// The dialect delivers only what was subscribed to.
    NotSubscribed,
    Denied(Arc<Standing>),
    Unsent(Unsent),
}

impl Broker {
    /// Sends a message to a client that is connected, whatever it is subscribed to. With a confirmation it answers when
    /// the client has acknowledged it, else when it is in the client's outbox.
    ///
    /// # Errors
    /// The refusal.
    pub async fn send_direct(&self, direct: DirectMessage, now: Timestamp) -> Result<(), DirectRefusal> {
        let mut waiting = Waiting { broker: self, direct: &direct, over: false };
        let outcome = self.0.direct(&direct, now).await;
        waiting.over = true;
        if let Err(refusal) = &outcome {
            self.refuse_direct(&direct.origin, direct.client_id.as_str(), &direct.topic, refusal, now);
        }
        outcome
    }

    /// Tells that a direct message was refused before it came here.
    pub fn refuse_direct(
        &self,
        origin: &HttpOrigin,
        client_id: &str,
        topic: &str,
        refusal: &DirectRefusal,
        now: Timestamp,
    ) {
        let origin = Origin::Http { principal: &origin.credential.principal, peer: Some(origin.peer) };
        let (reason, detail) = (refusal.failure.as_str(), &refusal.message);
        self.0.emit(now, &events::DirectMessageRefused { origin, client_id, topic, reason, detail }.into());
    }
}

/// A sender that waits. If it goes away first, the future is dropped, and this with it.
struct Waiting<'a> {
    broker: &'a Broker,
    direct: &'a DirectMessage,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let text = "The sender disconnected before the client acknowledged the message";
        let refusal = refusal(DirectFailure::SenderGone, text);
        let DirectMessage { origin, client_id, topic, .. } = self.direct;
        let now = self.broker.0.last_seen();
        self.broker.refuse_direct(origin, client_id.as_str(), topic, &refusal, now);
    }
}

impl Inner {
    async fn direct(&self, direct: &DirectMessage, now: Timestamp) -> Result<(), DirectRefusal> {
        let message = self.direct_message(direct).map_err(broken)?;
        let parcel = Arc::new(Parcel::new(message));
        let receipt = direct.confirmation.map(|_| Receipt::new());
        let cell = self.directory.find(direct.client_id.as_str());
        let cell = cell.ok_or_else(|| undelivered(direct, Undelivered::NotFound, now))?;
        let handed = cell.enter(|seat| self.hand_directly(seat, &parcel, receipt.as_ref(), now));
        let (handed, waker) = handed.map_err(|why| undelivered(direct, why, now))?;
        waker.into_iter().for_each(std::task::Waker::wake);
        self.report(&cell.client_id, &handed.report, now);
        if !handed.is_subscribed {
            let detail = &format_args!("got a direct message on {} without a subscription", direct.topic);
            self.diverges_for(
                Divergence::UnsubscribedDelivery,
                direct.client_id.as_str(),
                "PUBLISH",
                detail,
                now,
            );
        }
        let (Some(packet_id), Some(receipt), Some(patience)) =
            (handed.packet_id, receipt, direct.confirmation)
        else {
            return Ok(());
        };
        self.confirmed(&cell, packet_id, receipt, now + patience)
            .await
            .map_err(|why| unconfirmed(direct, why))
    }

    async fn confirmed(
        &self,
        cell: &Arc<Cell>,
        packet_id: PacketId,
        receipt: Arc<Receipt>,
        until: Timestamp,
    ) -> Result<(), Confirmation> {
        self.confirmations.until(until, &receipt);
        match receipt.wait().await {
            Confirmation::Acknowledged => Ok(()),
            Confirmation::TimedOut => {
                // A late PUBACK still opens the window; only nobody waits for it any more.
                cell.enter(|seat| {
                    let same =
                        |one: &Awaited| one.packet_id == packet_id && Arc::ptr_eq(&one.receipt, &receipt);
                    seat.live.iter_mut().for_each(|live| live.awaited.retain(|one| !same(one)));
                });
                Err(Confirmation::TimedOut)
            }
            Confirmation::Lost => Err(Confirmation::Lost),
        }
    }

    fn direct_message(&self, direct: &DirectMessage) -> Result<Message, Violation> {
        if direct.topic.starts_with('$') {
            return Err(Violation::new(Fault::TopicInvalid, "The topic must not begin with $"));
        }
        let topic = Text::try_from(direct.topic.as_str()).map_err(|error| {
            Violation::new(Fault::TopicInvalid, format!("The topic is not valid: {error}"))
        })?;
        let topic = check::publish_topic(topic, false, &self.dialect)?;
        check::payload(direct.payload.len(), &self.dialect)?;
        check::properties(&direct.properties, &self.dialect)?;
        Ok(Message {
            topic,
            payload: direct.payload.clone(),
            qos: if direct.confirmation.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
            retain: false,
            properties: direct.properties.clone().into(),
            expires_at: None,
            published_by_v5: true,
        })
    }

    /// Inside the cell: iot:Receive, then into the outbox or nowhere.
    fn hand_directly(
        &self,
        seat: &mut Seat,
        parcel: &Arc<Parcel>,
        receipt: Option<&Arc<Receipt>>,
        now: Timestamp,
    ) -> Result<(Handed, Option<std::task::Waker>), Undelivered> {
        let kept = seat.kept.as_mut().ok_or(Undelivered::NotFound)?;
        let live = seat.live.as_mut().filter(|_| seat.accepted).ok_or(Undelivered::NotConnected)?;
        let topic = &parcel.message.topic;
        let rules = crate::broker::match_rules(&self.dialect);
        let is_subscribed = kept
            .session
            .subscriptions()
            .any(|one| mqtt::matches(plain(one.filter.as_str()), topic.as_str(), rules));
        // unsubscribed-delivery: a direct message needs no subscription.
        if !is_subscribed && !self.dialect.has(Divergence::UnsubscribedDelivery) {
            return Err(Undelivered::NotSubscribed);
        }
        let view = live.standing.view_full();
        let permit = view.authorizer.receive(parcel.message.topic.as_str(), now);
        let permit = permit.map_err(|_| Undelivered::Denied(live.standing.clone()))?;
        let handed = hand_over(permit, kept, live, parcel, now).map_err(Undelivered::Unsent)?;
        // A sender that went away leaves nothing behind for long.
        live.awaited.retain(|one| Arc::strong_count(&one.receipt) > 1);
        if let (Some(packet_id), Some(receipt)) = (handed.packet_id, receipt) {
            live.awaited.push(Awaited { packet_id, receipt: receipt.clone() });
        }
        Ok((Handed { is_subscribed, ..handed }, live.waker.take()))
    }
}

/// The filter of a subscription without the name of a shared group.
fn plain(filter: &str) -> &str {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, filter)| filter)
}

/// The only way of a direct message into a client's outbox: it takes the permit.
fn hand_over(
    _permit: Permit<policy::Receive>,
    kept: &mut Kept,
    live: &mut Live,
    parcel: &Arc<Parcel>,
    now: Timestamp,
) -> Result<Handed, Unsent> {
    let qos = parcel.message.qos;
    let offer = Offer {
        parcel: parcel.clone(),
        qos,
        retain: false,
        share_name: None,
        place: None,
        group: None,
        identifiers: SmallVec::new(),
    };
    let packet_id = kept.session.send_direct(&mut live.talk, offer, now)?;
    let standing = Some(live.standing.clone());
    let report =
        Report { parcel: parcel.clone(), qos, standing, version: kept.session.version(), fate: Fate::Sent };
    Ok(Handed { report, packet_id, is_subscribed: true })
}

fn refusal(failure: DirectFailure, message: impl Into<String>) -> DirectRefusal {
    DirectRefusal { failure, message: message.into() }
}

fn broken(violation: Violation) -> DirectRefusal {
    let failure = match violation.fault {
        Fault::PayloadTooLarge => DirectFailure::PayloadTooLarge,
        _ => DirectFailure::InvalidTopic,
    };
    refusal(failure, violation.detail)
}

fn undelivered(direct: &DirectMessage, why: Undelivered, now: Timestamp) -> DirectRefusal {
    let client_id = &direct.client_id;
    match why {
        Undelivered::NotFound => refusal(
            DirectFailure::ClientNotFound,
            format!("The client {client_id} does not exist: it is not connected and has no session"),
        ),
        Undelivered::NotSubscribed => refusal(
            DirectFailure::NotWritable,
            format!(
                "The client {client_id} has no subscription to {}, and unsubscribed-delivery is switched off",
                direct.topic
            ),
        ),
        Undelivered::NotConnected => refusal(
            DirectFailure::ClientNotConnected,
            format!(
                "The client {client_id} is not connected; it has a persistent session, but direct messages do not wait"
            ),
        ),
        Undelivered::Denied(standing) => {
            let view = standing.view_full();
            let denial = view.authorizer.receive(&direct.topic, now).err().map(|denial| denial.to_string());
            let why = denial.unwrap_or_else(|| "its policies changed meanwhile".to_owned());
            let text = format!("The client {client_id} may not iot:Receive on topic/{}: {why}", direct.topic);
            refusal(DirectFailure::ReceiveDenied, text)
        }
        Undelivered::Unsent(unsent) => unsendable(client_id, unsent),
    }
}

fn unsendable(client_id: &ClientId, unsent: Unsent) -> DirectRefusal {
    match unsent {
        Unsent::WindowFull => refusal(
            DirectFailure::WindowFull,
            format!(
                "The client {client_id} has not acknowledged as many messages as may be on their way to it"
            ),
        ),
        Unsent::Rate(Exceeded::Connection) => refusal(
            DirectFailure::ReceiverThrottled,
            format!(
                "The client {client_id} is sent as many messages in a second as one connection may be (L-083F3861)"
            ),
        ),
        Unsent::Rate(Exceeded::Account) => refusal(
            DirectFailure::Throttled,
            "The account sends as many messages in a second as it may (L-FE4EDCF9)",
        ),
        Unsent::OutboxFull => refusal(
            DirectFailure::NotWritable,
            format!("The client {client_id} takes its messages too slowly; there is no room for another"),
        ),
        Unsent::TooLarge => refusal(
            DirectFailure::NotWritable,
            format!("The message is larger than the Maximum Packet Size of client {client_id}"),
        ),
    }
}

fn unconfirmed(direct: &DirectMessage, why: Confirmation) -> DirectRefusal {
    let client_id = &direct.client_id;
    let seconds = direct.confirmation.unwrap_or_default().as_secs();
    let text = match why {
        Confirmation::Lost => {
            format!("The connection of client {client_id} ended before it acknowledged the message")
        }
        _ => format!("The client {client_id} did not acknowledge the message within {seconds} s"),
    };
    refusal(DirectFailure::ConfirmationTimeout, text)
}
