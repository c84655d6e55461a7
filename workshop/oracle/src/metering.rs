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

/// What is counted, and what has to be remembered meanwhile.
struct Count {
    kb: u64,
    units: Units,
    /// Open connections: whose, and since when.
    open: BTreeMap<u64, (String, u64)>,
    /// When each client's next ping is free.
    pings: BTreeMap<String, u64>,
}

/// Counts everything, with a KB of `kb` bytes, until `end`. Topics count in full; callers shorten them.
#[must_use]
pub fn units(facts: &[Fact], kb: u64, end: u64) -> Units {
    let mut count = Count { kb, units: Units::new(), open: BTreeMap::new(), pings: BTreeMap::new() };
    for fact in facts {
        count.fact(fact);
    }
    count.all_end(end);
    count.units.retain(|_, amount| *amount > 0);
    count.units
}

impl Count {
    fn add(&mut self, item: &'static str, client: &str, topic: &str, amount: u64) {
        *self.units.entry((item, client.to_owned(), topic.to_owned())).or_insert(0) += amount;
    }

    fn steps(&self, bytes: u64) -> u64 {
        if bytes == 0 { 1 } else { bytes.div_ceil(5 * self.kb) }
    }

    fn all_end(&mut self, at: u64) {
        for (client, since) in std::mem::take(&mut self.open).into_values() {
            self.add("connection-minute", &client, "", minutes(since, at));
        }
    }

    fn fact(&mut self, fact: &Fact) {
        let (client, topic) = (fact.client.as_str(), fact.topic.as_str());
        let packet = self.steps(fact.bytes);
        let message = self.steps(fact.bytes + fact.properties + topic.len() as u64);
        match fact.name {
            "connect.accepted" => {
                self.add("connect", client, "", packet);
                self.open.insert(fact.connection, (fact.client.clone(), fact.at));
            }
            "connection.ended" => {
                if let Some((_, since)) = self.open.remove(&fact.connection) {
                    self.add("connection-minute", client, "", minutes(since, fact.at));
                }
            }
            "killed" => self.all_end(fact.at),
            "connect.refused" => self.add("refused-connect", client, "", 1),
            "publish.accepted" => self.publish(fact, message),
            "will.published" => {
                self.add("will", client, topic, message);
                self.add("retained", client, topic, if fact.retain { message } else { 0 });
            }
            "delivery.sent" if topic.starts_with("$aws/events/") => {
                self.add("lifecycle-delivery", client, topic, message);
            }
            "delivery.sent" if is_shadow(topic) => self.add("shadow-message", client, topic, message),
            "delivery.sent" => self.add("delivery", client, topic, message),
            "delivery.repeated" => self.add("repeated-delivery", client, topic, message),
            "delivery.queued" => self.add("queued", client, topic, message),
            "delivery.acknowledged" => self.add("puback", client, "", packet),
            "subscribe.received" => self.add("subscribe", client, "", packet),
            "ping.answered" => self.ping(fact),
            "api.call" => self.call(fact),
            _ => {}
        }
    }

    fn publish(&mut self, fact: &Fact, message: u64) {
        let (client, topic) = (fact.client.as_str(), fact.topic.as_str());
        if topic.starts_with("$aws/rules/") {
            return self.add("basic-ingest", client, topic, message);
        }
        let (item, amount) = match (fact.http, is_shadow(topic)) {
            (true, _) => ("http-request", self.steps(fact.bytes + fact.properties)),
            (false, true) => ("shadow-message", message),
            (false, false) => ("publish-in", message),
        };
        self.add(item, client, topic, amount);
        self.add("retained", client, topic, if fact.retain { amount } else { 0 });
    }

    /// Every 30 seconds one is free; one that comes a second too early is forgiven.
    fn ping(&mut self, fact: &Fact) {
        self.add("ping", &fact.client, "", 1);
        let next = self.pings.entry(fact.client.clone()).or_insert(0);
        if fact.at + 1000 >= *next {
            *next = fact.at.max(*next) + 30_000;
        } else {
            self.add("ping-beyond", &fact.client, "", 1);
        }
    }

    fn call(&mut self, fact: &Fact) {
        let (operation, (status, request, response)) = (fact.topic.as_str(), fact.call);
        let (ok, body) = (status < 300, response.div_ceil(5 * self.kb));
        match operation {
            "Publish" if ok => self.add("http-response", "", operation, body),
            "Publish" | "SendDirectMessage" => {
                self.add("http-request", "", operation, self.steps(request));
                self.add("http-response", "", operation, body);
            }
            "GetRetainedMessage" => self.add("retained-read", "", operation, self.steps(response)),
            "ListRetainedMessages" => self.add("retained-list", "", operation, self.steps(response)),
            _ if ok && REGISTRY.contains(&operation) => {
                let record = request.max(response).div_ceil(self.kb).max(1);
                self.add("registry-operation", "", operation, record);
            }
            _ => {}
        }
    }
}

fn minutes(since: u64, until: u64) -> u64 {
    // The moment of an end may be that of the last tick.
    let millis = until.saturating_sub(since);
    if millis == 0 { 1 } else { millis.div_ceil(60_000) }
}

fn is_shadow(topic: &str) -> bool {
    let levels: Vec<&str> = topic.split('/').collect();
    matches!(levels.as_slice(), ["$aws", "things", _, "shadow", ..])
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
