//! PUBLISH from the client: checks, topic aliases, and the version-neutral message.

use dialect::{Dialect, Divergence, Fault, QuotaId};
use identity::Timestamp;
use mqtt::{Message, PacketId, Publish, QoS, Text, Version};

use crate::mutation::{self, Mutation};
use crate::throttle::{self, Exceeded};
use crate::{Conversation, Note, Notes, Session, Step, Violation, check, terms};

/// A message from the client that passed the checks of this crate.
#[derive(Debug)]
pub struct Inbound {
    /// The message. It holds on to the buffer in which it came.
    pub message: Message,
    /// Present for QoS 1 and 2.
    pub packet_id: Option<PacketId>,
}

/// The client's topic aliases; they end with the connection.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    topics: Vec<Option<Text>>,
    most: u16,
}

impl Aliases {
    pub(crate) fn new(most: u16) -> Self {
        Self { topics: Vec::new(), most }
    }

    /// The topic that a PUBLISH means [MQTT-3.3.2-8] to [MQTT-3.3.2-12].
    fn resolve(&mut self, topic: Text, alias: Option<u16>) -> Result<Text, Violation> {
        let Some(alias) = alias else { return Ok(topic) };
        if alias > self.most {
            let detail = format!("topic alias {alias}, the limit is {}", self.most);
            return Err(Violation::new(Fault::TopicAliasInvalid, detail));
        }
        let at = usize::from(alias);
        if topic.is_empty() {
            let known = self.topics.get(at).cloned().flatten();
            return known.ok_or_else(|| {
                Violation::new(Fault::ProtocolError, format!("topic alias {alias} is not set"))
            });
        }
        if self.topics.len() <= at {
            self.topics.resize(at + 1, None);
        }
        let keeps = |slot: &Option<Text>| slot.is_some() && mutation::is(Mutation::KeepsFirstAlias);
        if let Some(slot) = self.topics.get_mut(at).filter(|slot| !keeps(slot)) {
            *slot = Some(topic.detached());
        }
        Ok(topic)
    }

    /// The topic by which a PUBLISH that is refused is told of: its own, or what its alias stands for.
    fn told(&self, publish: &mut Publish) -> Text {
        let alias = publish.topic_alias.filter(|_| publish.topic.is_empty()).unwrap_or(0);
        let known = self.topics.get(usize::from(alias)).cloned().flatten();
        known.unwrap_or_else(|| std::mem::take(&mut publish.topic))
    }
}

pub(crate) fn receive(
    live: &mut Conversation,
    session: &mut Session,
    publish: &mut Publish,
    dialect: &Dialect,
    now: Timestamp,
    notes: &mut Notes,
) -> Step {
    let (packet_id, qos, version) = (publish.packet_id, publish.qos, live.terms().version);
    note_expiry(publish.message_expiry_interval, dialect, notes);
    let exact = packet_id.filter(|_| qos == QoS::ExactlyOnce && !dialect.has(Divergence::NoQos2));
    if let Some(packet_id) = exact.filter(|packet_id| session.has_received(*packet_id)) {
        let doubted = session.is_orphan(packet_id);
        return again(live, publish, (packet_id, doubted), dialect);
    }
    match admit(live, publish, dialect, now) {
        Ok(message) => {
            if let Some(packet_id) = exact {
                session.note_received(packet_id);
                live.owed += 1;
            }
            Step::Publish(Inbound { message, packet_id })
        }
        // A fault that is answered with an acknowledgement leaves the connection as it is.
        Err(violation) => match dialect.answer(violation.fault, version).for_qos(qos) {
            dialect::Answer::PubAck(_) | dialect::Answer::NoAck => {
                Step::Refused { violation, topic: live.aliases.told(publish), qos, packet_id }
            }
            _ => Step::Violated(violation),
        },
    }
}

/// [MQTT-4.3.3-10] a message that was taken already. The alias that it carries is learnt all the same.
fn again(
    live: &mut Conversation,
    publish: &Publish,
    (packet_id, doubted): (PacketId, bool),
    dialect: &Dialect,
) -> Step {
    let fits = window(live, publish.qos, dialect);
    match fits.and_then(|()| live.aliases.resolve(publish.topic.clone(), publish.topic_alias)) {
        Ok(_topic) => {
            live.owed += 1;
            if doubted { Step::Doubted(packet_id) } else { Step::Repeated(packet_id) }
        }
        Err(violation) => Step::Violated(violation),
    }
}

/// [MQTT-3.3.4-9] more unacknowledged messages than the Receive Maximum. An MQTT 3.1.1 client knows of none.
fn window(live: &Conversation, qos: QoS, dialect: &Dialect) -> Result<(), Violation> {
    let most = dialect.limits().inflight_in;
    if qos == QoS::ExactlyOnce && live.terms().version == Version::V5 && live.owed >= usize::from(most) {
        let detail = format!("more than {most} messages of QoS 2 are not released (the Receive Maximum)");
        return Err(Violation::new(Fault::ReceiveMaximumExceeded, detail));
    }
    Ok(())
}

/// message-expiry-clamp: what arrives has another interval than was asked for.
fn note_expiry(asked: Option<u32>, dialect: &Dialect, notes: &mut Notes) {
    let limits = dialect.limits();
    let Some(asked) = asked else { return };
    if dialect.has(Divergence::MessageExpiryClamp)
        && !(limits.message_expiry_min..=limits.message_expiry_max).contains(&asked)
    {
        let detail = format!("published with a Message Expiry Interval of {asked} s");
        notes.push(Note::new(Divergence::MessageExpiryClamp, "PUBLISH", detail));
    }
}

fn admit(
    live: &mut Conversation,
    publish: &mut Publish,
    dialect: &Dialect,
    now: Timestamp,
) -> Result<Message, Violation> {
    if publish.qos == QoS::ExactlyOnce && dialect.has(Divergence::NoQos2) {
        return Err(Violation::new(Fault::Qos2Publish, "published with QoS 2"));
    }
    if !publish.subscription_identifiers.is_empty() {
        // [MQTT-3.3.4-6] a client does not send it.
        return Err(Violation::new(
            Fault::ProtocolError,
            "PUBLISH from a client carries a subscription identifier",
        ));
    }
    window(live, publish.qos, dialect)?;
    terms::message_limits(publish.payload.len(), &publish.properties, dialect)?;
    let topic = live.aliases.resolve(publish.topic.clone(), publish.topic_alias)?;
    let topic = check::publish_topic(topic, publish.retain, dialect)?;
    // Last, so that an alias is learnt even with a message that is discarded.
    keep_pace(live, publish.qos, dialect, now)?;
    Ok(Message {
        topic,
        payload: std::mem::take(&mut publish.payload),
        qos: publish.qos,
        retain: publish.retain,
        properties: std::mem::take(&mut publish.properties),
        expires_at: check::expires_at(publish.message_expiry_interval, now, dialect),
        published_by_v5: live.terms().version == Version::V5,
    })
}

/// Publishes beyond the rate of the connection or of the account are discarded; the connection stays.
fn keep_pace(live: &mut Conversation, qos: QoS, dialect: &Dialect, now: Timestamp) -> Result<(), Violation> {
    let quota = match live.pace_in.take(now) {
        Ok(()) => return Ok(()),
        Err(Exceeded::Connection) if mutation::is(Mutation::IgnoresPublishRate) => return Ok(()),
        Err(Exceeded::Connection) => {
            live.exceeded = true;
            QuotaId::PublishesPerConnection
        }
        Err(Exceeded::Account) => QuotaId::PublishesInPerAccount,
    };
    let fault =
        if qos == QoS::AtMostOnce { Fault::PublishThrottledQos0 } else { Fault::PublishThrottledQos1 };
    Err(throttle::violation(fault, quota, dialect.limits()))
}
