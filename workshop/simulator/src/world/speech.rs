//! The packets of simulated clients: what is legal and random.

use bytes::Bytes;
use models::marks::Mark;
use mqtt::{
    Connect, ConnectProperties, Packet, Publish, QoS, RetainHandling, Subscribe, SubscribeRequest, Text,
    Unsubscribe, UserProperties, Version, Will,
};
use smallvec::smallvec;

use super::World;
use crate::client::Sent;
use crate::rng::Rng;

/// A text that is short and has no NUL.
pub(super) fn text(words: &str) -> Text {
    Text::try_from(words).unwrap_or_default()
}

/// How a client connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub clean: bool,
    pub expiry: u32,
    pub will: bool,
    /// As the session that is there, whatever its version.
    pub home: bool,
}

impl Manner {
    /// To a session that lasts.
    pub(super) fn home() -> Self {
        Self { clean: false, expiry: 3600, will: false, home: true }
    }

    /// For a session that ends with the connection.
    pub(super) fn leaving() -> Self {
        Self { clean: true, expiry: 0, will: false, home: false }
    }
}

impl World {
    pub(super) fn is_oasis(&self) -> bool {
        self.settings.name == "oasis"
    }

    /// A topic for an ordinary message.
    pub(super) fn topic(&mut self) -> String {
        let branch = if self.rng.chance(50) { "a" } else { "b" };
        format!("t/{branch}/{}", self.rng.below(3))
    }

    fn filter(&mut self) -> String {
        match self.rng.below(8) {
            0 => "t/#".to_owned(),
            1 => "t/a/+".to_owned(),
            2 => "t/+/1".to_owned(),
            3 => format!("r/{}", self.rng.below(3)),
            4 => "w/+".to_owned(),
            _ => self.topic(),
        }
    }

    fn qos(&mut self, often: u64) -> QoS {
        if !self.rng.chance(often) {
            return QoS::AtMostOnce;
        }
        let exactly = self.is_oasis() && self.rng.chance(40);
        if exactly { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
    }

    /// The next message: its word tells it from all others.
    fn payload(&mut self) -> Bytes {
        self.messages += 1;
        let long = match self.rng.below(20) {
            0 => 3000,
            1..5 => 300,
            _ => 10,
        };
        let length = self.rng.place(long);
        let length = self.large().unwrap_or(length);
        Bytes::from(format!("m{} {}", self.messages, ".".repeat(length)))
    }

    pub(super) fn manner(&mut self) -> Manner {
        let expiry = [0, 20, 300, 3600, 3600].get(self.rng.place(5)).copied().unwrap_or(0);
        Manner { clean: self.rng.chance(25), expiry, will: self.rng.chance(40), home: false }
    }

    pub(super) fn connect_packet(&mut self, number: usize, wire: usize, manner: Manner) -> Connect {
        let id = format!("c{number}");
        let usual = if number.is_multiple_of(2) { Version::V5 } else { Version::V311 };
        let other = if usual == Version::V5 { Version::V311 } else { Version::V5 };
        let known = self.book.sessions.get(&number).map(|session| session.version).filter(|_| manner.home);
        let version = known.unwrap_or(if manner.will && self.rng.chance(8) { other } else { usual });
        let is_v5 = version == Version::V5;
        let receive_maximum = (is_v5 && self.rng.chance(50)).then(|| self.rng.between(1, 5) as u16);
        let properties = ConnectProperties {
            session_expiry_interval: is_v5.then_some(manner.expiry),
            receive_maximum,
            maximum_packet_size: self.most_bytes(is_v5),
            user_properties: self.pairs(is_v5),
            ..ConnectProperties::default()
        };
        let will = manner.will.then(|| self.will(number, wire, is_v5));
        Connect {
            version,
            clean_start: manner.clean,
            keep_alive: if self.rng.chance(80) { 60 } else { 30 },
            client_id: text(&id),
            user_name: self.user_name(),
            password: None,
            will,
            properties,
        }
    }

    fn will(&mut self, number: usize, wire: usize, is_v5: bool) -> Box<Will> {
        let delay = [0, 5, 60].get(self.rng.place(3)).copied().filter(|_| is_v5);
        Box::new(Will {
            topic: text(&format!("w/c{number}")),
            payload: Bytes::from(format!("w{wire}")),
            qos: if self.rng.chance(50) { self.will_qos() } else { QoS::AtMostOnce },
            retain: self.is_will_retained(),
            delay_interval: delay,
            properties: self.message_properties(is_v5),
            message_expiry_interval: None,
        })
    }

    /// What a SUBSCRIBE asks of what is retained. Drawn apart from all else.
    fn retain_handling(&self) -> RetainHandling {
        let mut apart = Rng::new(self.seed ^ self.written.wrapping_mul(0x7268));
        match apart.below(6) {
            0 if self.settings.retains_otherwise => RetainHandling::SendIfNew,
            1 if self.settings.retains_otherwise => RetainHandling::DoNotSend,
            _ => RetainHandling::default(),
        }
    }

    pub(super) fn subscribe_packet(&mut self, number: usize, filters: &[String]) -> Option<Packet> {
        let qos = self.qos(85);
        let no_local = self.rng.chance(10);
        let identifier = (self.is_oasis() && self.rng.chance(40)).then(|| self.rng.between(1, 300) as u32);
        let retain_handling = self.retain_handling();
        let is_v5 = self.clients.get(number)?.version == Version::V5;
        let user_properties = self.pairs(is_v5);
        let retain_as_published = is_v5 && self.wants_retain_as_published();
        let client = self.clients.get_mut(number)?;
        let packet_id = client.next_id()?;
        client.asked.insert(packet_id.get(), ());
        let request = |filter: &String| SubscribeRequest {
            filter: text(filter),
            qos,
            no_local: no_local && is_v5 && !filter.starts_with('$'),
            retain_as_published,
            retain_handling: if is_v5 { retain_handling } else { RetainHandling::default() },
        };
        Some(Packet::Subscribe(Subscribe {
            packet_id,
            subscription_identifier: identifier.filter(|_| is_v5),
            user_properties,
            filters: filters.iter().map(request).collect(),
        }))
    }

    pub(super) fn subscribe(&mut self, number: usize) {
        let count = if self.rng.chance(70) { 1 } else { 2 };
        let mut filters: Vec<_> = (0..count).map(|_| self.filter()).collect();
        if self.settings.asks_for_more {
            filters.extend(self.more_filters());
            filters.sort();
        }
        filters.dedup();
        if let Some(packet) = self.subscribe_packet(number, &filters) {
            self.send(number, &packet);
        }
    }

    pub(super) fn unsubscribe(&mut self, number: usize) {
        let known: Vec<String> = self
            .book
            .sessions
            .get(&number)
            .into_iter()
            .flat_map(|session| session.subs.keys().cloned())
            .collect();
        let filter = self.rng.pick(&known).cloned();
        let filter = filter.unwrap_or_else(|| self.filter());
        let Some(client) = self.clients.get_mut(number) else { return };
        let Some(packet_id) = client.next_id() else { return };
        client.asked.insert(packet_id.get(), ());
        let filters = smallvec![text(&filter)];
        let user_properties = UserProperties::default();
        self.send(number, &Packet::Unsubscribe(Unsubscribe { packet_id, filters, user_properties }));
    }

    /// Publishes to a topic, and remembers what is to be acknowledged.
    pub(super) fn publish(&mut self, number: usize, topic: &str, retain: bool) {
        let qos = self.qos(75);
        let deletes = retain && self.rng.chance(20);
        let payload = if deletes { Bytes::new() } else { self.payload() };
        let expires = self.rng.chance(15).then(|| self.rng.between(1, 40) as u32);
        let alias = if self.rng.chance(30) { self.rng.between(1, 3) as u16 } else { 0 };
        let is_v5 = self.clients.get(number).is_some_and(|client| client.version == Version::V5);
        let properties = self.message_properties(is_v5).into();
        let Some(client) = self.clients.get_mut(number) else { return };
        // A client does not go beyond what it was told; this one stays well below.
        if client.sent.len() > 20 {
            return;
        }
        let packet_id = if qos == QoS::AtMostOnce { None } else { client.next_id() };
        let publish = Publish {
            qos,
            retain,
            topic: text(topic),
            packet_id,
            payload,
            message_expiry_interval: expires.filter(|_| is_v5),
            properties,
            ..Publish::default()
        };
        if packet_id.is_some() {
            client.sent.push_back(Sent { publish: publish.clone(), released: false });
        }
        // What is sent again later has its name.
        let publish = client.by_alias(publish, alias);
        if publish.topic.is_empty() {
            self.marks.hit(Mark::AliasUsed);
        }
        self.send(number, &Packet::Publish(Box::new(publish)));
    }
}
