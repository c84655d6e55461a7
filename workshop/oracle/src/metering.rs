//! The bill, naively: each event that was recorded, one after the other, from the words of AWS's pages.

use std::collections::BTreeMap;

/// An event as it was recorded: its stable name, and what it says. Fields that an event does not have are empty.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// For example `publish.accepted`.
    pub name: &'static str,
    /// Milliseconds.
    pub at: u64,
    /// The client id.
    pub client: String,
    /// The topic, or the operation of an API call.
    pub topic: String,
    /// Bytes of payload, or of all of the packet that counts.
    pub bytes: u64,
    /// Bytes of MQTT 5 properties.
    pub properties: u64,
    /// RETAIN.
    pub retain: bool,
    /// It came by HTTP.
    pub http: bool,
    /// The connection, for `connect.accepted` and `connection.ended`.
    pub connection: u64,
    /// Status and bytes of request and response of an API call.
    pub call: (u16, u64, u64),
}

/// Units by item, client and topic.
pub type Units = BTreeMap<(&'static str, String, String), u64>;

/// Registry operations that the tests use.
const REGISTRY: [&str; 3] = ["CreateThing", "DescribeThing", "ListThings"];

/// Counts everything, with a KB of `kb` bytes, until `end`. Topics count in full; callers shorten them.
#[must_use]
pub fn units(facts: &[Fact], kb: u64, end: u64) -> Units {
    let mut units = Units::new();
    let mut open: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    let mut pings: BTreeMap<String, u64> = BTreeMap::new();
    for fact in facts {
        let mut add = |item: &'static str, topic: &str, amount: u64| {
            *units.entry((item, fact.client.clone(), topic.to_owned())).or_insert(0) += amount;
        };
        let steps = |bytes: u64| if bytes == 0 { 1 } else { bytes.div_ceil(5 * kb) };
        let topic = fact.topic.as_str();
        let message = steps(fact.bytes + fact.properties + topic.len() as u64);
        match fact.name {
            "connect.accepted" => {
                add("connect", "", steps(fact.bytes));
                open.insert(fact.connection, (fact.client.clone(), fact.at));
            }
            "connection.ended" => {
                if let Some((_, since)) = open.remove(&fact.connection) {
                    add("connection-minute", "", minutes(since, fact.at));
                }
            }
            "killed" => {
                for (client, since) in std::mem::take(&mut open).into_values() {
                    let key = ("connection-minute", client, String::new());
                    *units.entry(key).or_insert(0) += minutes(since, fact.at);
                }
            }
            "connect.refused" => add("refused-connect", "", 1),
            "publish.accepted" if topic.starts_with("$aws/rules/") => add("basic-ingest", topic, message),
            "publish.accepted" => {
                let body = steps(fact.bytes + fact.properties);
                let item = match (fact.http, is_shadow(topic)) {
                    (true, _) => "http-request",
                    (false, true) => "shadow-message",
                    (false, false) => "publish-in",
                };
                let amount = if fact.http { body } else { message };
                add(item, topic, amount);
                if fact.retain {
                    add("retained", topic, amount);
                }
            }
            "will.published" => {
                add("will", topic, message);
                if fact.retain {
                    add("retained", topic, message);
                }
            }
            "delivery.sent" if topic.starts_with("$aws/events/") => add("lifecycle-delivery", topic, message),
            "delivery.sent" if is_shadow(topic) => add("shadow-message", topic, message),
            "delivery.sent" => add("delivery", topic, message),
            "delivery.repeated" => add("repeated-delivery", topic, message),
            "delivery.queued" => add("queued", topic, message),
            "delivery.acknowledged" => add("puback", "", steps(fact.bytes)),
            "subscribe.received" => add("subscribe", "", steps(fact.bytes)),
            "ping.answered" => {
                add("ping", "", 1);
                // Every 30 seconds one is free; one that comes a second too early is forgiven.
                let next = pings.entry(fact.client.clone()).or_insert(0);
                if fact.at + 1000 >= *next {
                    *next = fact.at.max(*next) + 30_000;
                } else {
                    add("ping-beyond", "", 1);
                }
            }
            "api.call" => {
                let (status, request, response) = fact.call;
                let (ok, body) = (status < 300, response.div_ceil(5 * kb));
                match topic {
                    "Publish" if ok => add("http-response", topic, body),
                    "Publish" | "SendDirectMessage" => {
                        add("http-request", topic, steps(request));
                        add("http-response", topic, body);
                    }
                    "GetRetainedMessage" => add("retained-read", topic, steps(response)),
                    "ListRetainedMessages" => add("retained-list", topic, steps(response)),
                    _ if ok && REGISTRY.contains(&topic) => {
                        add("registry-operation", topic, request.max(response).div_ceil(kb).max(1));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    for (client, since) in open.into_values() {
        let key = ("connection-minute", client, String::new());
        *units.entry(key).or_insert(0) += minutes(since, end);
    }
    units.retain(|_, amount| *amount > 0);
    units
}

fn minutes(since: u64, until: u64) -> u64 {
    let millis = until - since;
    if millis == 0 { 1 } else { millis.div_ceil(60_000) }
}

fn is_shadow(topic: &str) -> bool {
    let levels: Vec<&str> = topic.split('/').collect();
    levels.len() > 3 && levels[..2] == ["$aws", "things"] && levels[3] == "shadow"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(name: &'static str, topic: &str, bytes: u64) -> Fact {
        Fact { name, client: "c".into(), topic: topic.into(), bytes, ..Fact::default() }
    }

    /// The vectors of the fact sheet: 8 KB to two subscribers is 2 in and 2 x 2 out; a QoS 1 delivery is 1 out and 1
    /// PUBACK; 3 KB with RETAIN to one subscriber is 1 + 1 + 1; 128 KB are 26 units.
    #[test]
    fn it_knows_the_vectors() {
        let out = fact("delivery.sent", "a", 8192);
        let total = |facts: &[Fact]| units(facts, 1024, 0).values().sum::<u64>();
        assert_eq!(total(&[fact("publish.accepted", "a", 8192), out.clone(), out]), 6);
        assert_eq!(total(&[fact("delivery.sent", "a", 10), fact("delivery.acknowledged", "", 0)]), 2);
        let retained = Fact { retain: true, ..fact("publish.accepted", "a", 3072) };
        assert_eq!(total(&[retained, fact("delivery.sent", "a", 3072)]), 3);
        assert_eq!(total(&[fact("publish.accepted", "a/b", 131_072)]), 26);
    }
}
