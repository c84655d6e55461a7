//! From events to charges: which items an event brings, for whom, by how many bytes. Pure: no counter, no clock.

use events::{Event, Kind, KindSet, Origin};
use identity::Principal;

use crate::item::{Item, REGISTRY_OPERATIONS};

/// Who pays, as the event knew it. Most charges are never asked: see [`Charge::standing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer<'a> {
    /// Who was authenticated.
    Principal(&'a Principal),
    /// The access key of an API call.
    Key(&'a str),
    /// Nobody that the event knows of.
    Unknown,
}

impl<'a> Payer<'a> {
    /// The identifier; empty if it is not known.
    pub fn identifier(self) -> &'a str {
        match self {
            Self::Principal(principal) => principal.identifier(),
            Self::Key(key) => key,
            Self::Unknown => "",
        }
    }
}

/// Something to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'a> {
    /// What.
    pub item: Item,
    /// The client id; empty if there is none.
    pub client: &'a str,
    /// Stands for client and principal, as [`events::Client::standing`]; 0 if nothing does.
    pub standing: u64,
    /// Whose it is.
    pub principal: Payer<'a>,
    /// The whole topic, or the operation of an API call; empty if there is none.
    pub topic: &'a str,
    /// Stands for the topic, as [`events::PublishOut::topic_key`]; 0 if nothing does.
    pub topic_key: u64,
    /// How much of `bytes` is the topic.
    pub topic_bytes: u64,
    /// The bytes that count.
    pub bytes: u64,
}

/// The charges of what is not built yet. Whoever builds it declares its events, and calls these in [`charges`].
impl<'a> Charge<'a> {
    /// A rule that a message of `bytes` (topic and payload) triggered. `rule` stands in place of the topic.
    pub fn of_rule(from: &events::Client<'a>, rule: &'a str, bytes: usize) -> Self {
        Self { topic: rule, ..Self::from(from, Item::RuleTriggered, bytes) }
    }

    /// An action, external function or protobuf decoding that a rule executed on such a message.
    pub fn of_action(from: &events::Client<'a>, rule: &'a str, bytes: usize) -> Self {
        Self { topic: rule, ..Self::from(from, Item::ActionExecuted, bytes) }
    }

    /// An operation of a Device Shadow by MQTT: `record` is the longer of the bodies of request and answer.
    pub fn of_shadow(from: &events::Client<'a>, operation: &'a str, record: usize) -> Self {
        Self { topic: operation, ..Self::from(from, Item::ShadowOperation, record) }
    }

    #[inline(always)]
    fn from(client: &events::Client<'a>, item: Item, bytes: usize) -> Self {
        Self {
            item,
            client: client.client_id,
            standing: client.standing,
            principal: Payer::Principal(client.principal),
            topic: "",
            topic_key: 0,
            topic_bytes: 0,
            bytes: bytes as u64,
        }
    }
}

/// The kinds of events that [`charges`] looks at. Connections are counted by [`crate::Meter`] beside it.
pub const WANTED: KindSet = KindSet::NONE
    .with(Kind::Connected)
    .with(Kind::Disconnected)
    .with(Kind::ConnectRefused)
    .with(Kind::PingAnswered)
    .with(Kind::PublishIn)
    .with(Kind::PublishOut)
    .with(Kind::Redelivered)
    .with(Kind::Acknowledged)
    .with(Kind::SubscribeReceived)
    .with(Kind::Queued)
    .with(Kind::WillPublished)
    .with(Kind::DeliveryDropped)
    .with(Kind::SessionExpired)
    .with(Kind::ApiCall);

/// Tells `count` each charge of an event.
pub fn charges<'a>(event: &Event<'a>, mut count: impl FnMut(Charge<'a>)) {
    let from = Charge::from;
    if let Some(charge) = of_message(event) {
        return count(charge);
    }
    match event {
        Event::PublishIn(e) => publish_in(e, count),
        Event::Acknowledged(e) => count(from(&e.client, Item::Acknowledgement, e.bytes)),
        Event::Queued(e) => count(message(away(Item::Queued, e.client_id, e.bytes + e.properties), e.topic)),
        Event::Redelivered(e) => {
            count(message(from(&e.client, Item::Redelivery, e.bytes + e.properties), e.topic));
        }
        Event::Connected(e) => count(from(&e.client, Item::Connect, e.bytes)),
        Event::ConnectRefused(e) => count(from(&e.client, Item::RefusedConnect, 0)),
        Event::SubscribeReceived(e) => count(from(&e.client, Item::Subscribe, e.bytes)),
        Event::PingAnswered(e) => count(from(&e.client, Item::Ping, 0)),
        Event::WillPublished(e) => {
            let will = message(from(&e.client, Item::Will, e.bytes + e.properties), e.topic);
            count(will);
            if e.retain {
                count(Charge { item: Item::Retained, ..will });
            }
        }
        Event::DeliveryDropped(e) if e.why == events::DropReason::Expired => {
            count(Charge { topic: e.topic, ..away(Item::QueueExpired, e.client_id, 0) });
        }
        Event::SessionExpired(e) if e.queued > 0 => count(away(Item::QueueExpired, e.client_id, 0)),
        Event::ApiCall(e) => api_call(e, count),
        _ => {}
    }
}

/// The charge of a message from or to a device, if that is all the event brings: nearly every event is such a one.
#[inline(always)]
pub(crate) fn of_message<'a>(event: &Event<'a>) -> Option<Charge<'a>> {
    match event {
        Event::PublishOut(e) => {
            let charge = Charge::from(&e.client, Item::Delivery, e.bytes + e.properties);
            Some(Charge { topic_key: e.topic_key, ..message(charge, e.topic) })
        }
        Event::PublishIn(e) => match &e.origin {
            Origin::Client(client) if !e.retain => {
                let charge = Charge::from(client, Item::PublishIn, e.bytes + e.properties);
                Some(Charge { topic_key: e.topic_key, ..message(charge, e.topic) })
            }
            _ => None,
        },
        _ => None,
    }
}

fn away(item: Item, client: &str, bytes: usize) -> Charge<'_> {
    Charge {
        item,
        client,
        standing: 0,
        principal: Payer::Unknown,
        topic: "",
        topic_key: 0,
        topic_bytes: 0,
        bytes: bytes as u64,
    }
}

/// A charge for a message: its topic counts, and may make it another item.
#[inline(always)]
fn message<'a>(charge: Charge<'a>, topic: &'a str) -> Charge<'a> {
    let topic_bytes = topic.len() as u64;
    Charge {
        item: reserved(charge.item, topic),
        topic,
        topic_bytes,
        bytes: charge.bytes + topic_bytes,
        ..charge
    }
}

/// What a reserved topic makes of a message.
#[inline(always)]
fn reserved(item: Item, topic: &str) -> Item {
    // The first byte decides nearly always.
    match topic.as_bytes().first() {
        Some(b'$') => topic.strip_prefix("$aws/").map_or(item, |rest| reserved_by_aws(item, rest)),
        _ => item,
    }
}

fn reserved_by_aws(item: Item, rest: &str) -> Item {
    match item {
        Item::PublishIn if rest.starts_with("rules/") => Item::BasicIngest,
        Item::Delivery if rest.starts_with("events/") => Item::LifecycleDelivery,
        Item::PublishIn | Item::Delivery if is_shadow(rest) => Item::ShadowMessage,
        _ => item,
    }
}

/// `things/THING/shadow/...`
fn is_shadow(rest: &str) -> bool {
    let mut levels = rest.split('/');
    levels.next() == Some("things") && levels.nth(1) == Some("shadow")
}

/// A message that the broker took: to be retained, over HTTP, or of the broker itself.
fn publish_in<'a>(e: &events::PublishIn<'a>, mut count: impl FnMut(Charge<'a>)) {
    let principal = e.origin.principal().map_or(Payer::Unknown, Payer::Principal);
    let bytes = (e.bytes + e.properties) as u64;
    let standing = if let Origin::Client(client) = &e.origin { client.standing } else { 0 };
    let charge = Charge {
        item: Item::PublishIn,
        client: e.origin.client_id(),
        standing,
        principal,
        topic: "",
        topic_key: 0,
        topic_bytes: 0,
        bytes,
    };
    let charge = match e.origin {
        // The topic stands in the request's path, not in its body.
        Origin::Http { .. } if !e.topic.starts_with("$aws/rules/") => {
            Charge { item: Item::HttpRequest, topic: e.topic, ..charge }
        }
        _ => message(charge, e.topic),
    };
    count(charge);
    if e.retain && charge.item != Item::BasicIngest {
        count(Charge { item: Item::Retained, ..charge });
    }
}

/// A call of the API. What a successful Publish costs for its request the publish itself tells.
fn api_call<'a>(e: &events::ApiCall<'a>, mut count: impl FnMut(Charge<'a>)) {
    let is_success = e.status < 300;
    let charge = |item, bytes: usize| Charge {
        item,
        client: "",
        standing: 0,
        principal: Payer::Key(e.access_key),
        topic: e.operation,
        topic_key: 0,
        topic_bytes: 0,
        bytes: bytes as u64,
    };
    let record = e.request_bytes.max(e.response_bytes);
    match e.operation {
        "Publish" => {
            if !is_success {
                count(charge(Item::HttpRequest, e.request_bytes));
            }
            count(charge(Item::HttpResponse, e.response_bytes));
        }
        "GetRetainedMessage" => count(charge(Item::RetainedRead, e.response_bytes)),
        "ListRetainedMessages" => count(charge(Item::RetainedList, e.response_bytes)),
        "SendDirectMessage" | "DeleteConnection" | "GetConnection" | "ListSubscriptions" => {
            count(charge(Item::HttpRequest, e.request_bytes));
            count(charge(Item::HttpResponse, e.response_bytes));
        }
        "GetThingShadow" | "UpdateThingShadow" | "DeleteThingShadow" if is_success => {
            count(charge(Item::ShadowOperation, record));
        }
        operation if is_success && REGISTRY_OPERATIONS.contains(&operation) => {
            count(charge(Item::RegistryOperation, record));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dimension;
    use events::{ApiCall, Client, PublishIn, PublishOut};
    use identity::Principal;
    use mqtt::QoS;

    fn all<'a>(event: impl Into<Event<'a>>) -> Vec<(Item, u64)> {
        let mut found = Vec::new();
        charges(&event.into(), |charge| found.push((charge.item, charge.bytes)));
        found
    }

    fn published(topic: &str, retain: bool, http: bool) -> Vec<(Item, u64)> {
        let principal = Principal::Plain("p".into());
        let client = Client { client_id: "c", principal: &principal, peer: None, version: None, standing: 0 };
        let origin = match http {
            true => Origin::Http { principal: &principal, peer: None },
            false => Origin::Client(client),
        };
        let fact = PublishIn {
            origin,
            topic,
            topic_key: 0,
            qos: QoS::AtMostOnce,
            retain,
            bytes: 100,
            packet_id: None,
            properties: 7,
        };
        all(fact)
    }

    #[test]
    fn topic_payload_and_properties_count() {
        assert_eq!(published("a/b", false, false), [(Item::PublishIn, 110)]);
        assert_eq!(published("a/b", true, false), [(Item::PublishIn, 110), (Item::Retained, 110)]);
        assert_eq!(published("a/b", true, true), [(Item::HttpRequest, 107), (Item::Retained, 107)]);
    }

    #[test]
    fn reserved_topics_are_items_of_their_own() {
        assert_eq!(published("$aws/rules/r/x", true, false)[..], [(Item::BasicIngest, 121)]);
        assert_eq!(published("$aws/rules/r", false, true)[0].0, Item::BasicIngest);
        assert_eq!(published("$aws/things/t/shadow/update", false, false)[0].0, Item::ShadowMessage);
        assert_eq!(published("$aws/things/t/jobs/get", false, false)[0].0, Item::PublishIn);
        let principal = Principal::Plain("p".into());
        let client = Client { client_id: "c", principal: &principal, peer: None, version: None, standing: 0 };
        let topic = "$aws/events/presence/connected/c";
        let fact = PublishOut { client, topic, topic_key: 0, qos: QoS::AtMostOnce, bytes: 1, properties: 0 };
        assert_eq!(all(fact), [(Item::LifecycleDelivery, 1 + topic.len() as u64)]);
    }

    #[test]
    fn rules_actions_and_shadows_have_charges_of_their_own() {
        let principal = Principal::Plain("p".into());
        let client = Client { client_id: "c", principal: &principal, peer: None, version: None, standing: 4 };
        for (charge, item, dimension) in [
            (Charge::of_rule(&client, "r", 5121), Item::RuleTriggered, Dimension::Rules),
            (Charge::of_action(&client, "r", 5121), Item::ActionExecuted, Dimension::Actions),
            (Charge::of_shadow(&client, "r", 1025), Item::ShadowOperation, Dimension::ShadowRegistry),
        ] {
            let counts = crate::Counts::of(charge.item, charge.bytes, charge.topic_bytes, 1024);
            assert_eq!((charge.item, charge.item.row().dimension, counts.units), (item, dimension, 2));
            assert_eq!((charge.client, charge.principal.identifier(), charge.topic), ("c", "p", "r"));
        }
    }

    fn called(operation: &str, status: u16) -> Vec<(Item, u64)> {
        let duration = std::time::Duration::ZERO;
        all(ApiCall { operation, access_key: "k", status, duration, request_bytes: 10, response_bytes: 2000 })
    }

    #[test]
    fn calls_of_the_api_are_messages_operations_or_free() {
        assert_eq!(called("Publish", 200), [(Item::HttpResponse, 2000)]);
        assert_eq!(called("Publish", 403), [(Item::HttpRequest, 10), (Item::HttpResponse, 2000)]);
        assert_eq!(called("GetRetainedMessage", 200), [(Item::RetainedRead, 2000)]);
        assert_eq!(called("CreateThing", 200), [(Item::RegistryOperation, 2000)]);
        assert_eq!(called("CreateThing", 409), []);
        assert_eq!(called("CreatePolicy", 200), []);
        assert_eq!(called("UpdateThingShadow", 200), [(Item::ShadowOperation, 2000)]);
        assert_eq!(called("ListNamedShadowsForThing", 200), [], "AWS does not name it");
    }
}
