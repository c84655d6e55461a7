//! A simulated client: what an MQTT library keeps of a session, and what it answers to what it is sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqtt::{Ack, Connect, Packet, PacketId, Publish, QoS, ReasonCode, Text, UserProperties, Version};

/// A publish that was not completed.
#[derive(Clone, Debug)]
pub struct Sent {
    /// It, to be sent again.
    pub publish: Publish,
    /// PUBREC came: PUBREL is due.
    pub released: bool,
}

/// One client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its place in the world.
    pub number: usize,
    /// The version that it speaks for now.
    pub version: Version,
    /// The wire of its latest connection.
    pub wire: Option<usize>,
    /// The CONNACK came.
    pub is_connected: bool,
    /// What it sent and what is not completed, by packet identifier, in order.
    pub sent: VecDeque<Sent>,
    /// Acknowledgements that it keeps back.
    pub owed: Vec<Packet>,
    /// Identifiers of messages of QoS 2 that were received and not released.
    pub received: BTreeSet<u16>,
    /// Its session outlives its connection: by the last CONNECT that was accepted as far as it knows, and by the one it sent.
    lasts: bool,
    asked_to_last: bool,
    /// Acknowledges late.
    pub is_lazy: bool,
    /// Its topic aliases on this connection, and how many the server takes.
    pub aliases: BTreeMap<u16, String>,
    /// As the CONNACK said.
    pub most_aliases: u16,
    /// What it will subscribe to is waited for: identifiers of SUBSCRIBE and UNSUBSCRIBE.
    pub asked: BTreeMap<u16, ()>,
    last_id: u16,
}

/// What a client makes of a packet.
#[derive(Debug, Default)]
pub struct Reaction {
    /// To be sent.
    pub answers: Vec<Packet>,
    /// A message that the application sees.
    pub message: Option<Publish>,
}

/// An acknowledgement of a kind.
pub fn ack(packet_id: PacketId) -> Ack {
    Ack {
        packet_id,
        code: ReasonCode::Success,
        reason_string: None,
        user_properties: UserProperties::default(),
    }
}

impl Client {
    /// A client that never connected.
    pub fn new(number: usize) -> Self {
        let version = if number.is_multiple_of(2) { Version::V5 } else { Version::V311 };
        Self {
            number,
            version,
            wire: None,
            is_connected: false,
            sent: VecDeque::new(),
            owed: Vec::new(),
            received: BTreeSet::new(),
            lasts: false,
            asked_to_last: false,
            is_lazy: false,
            aliases: BTreeMap::new(),
            most_aliases: 0,
            asked: BTreeMap::new(),
            last_id: 0,
        }
    }

    /// A packet identifier that is not in use.
    pub fn next_id(&mut self) -> Option<PacketId> {
        for _ in 0..1000 {
            self.last_id = self.last_id % 60_000 + 1;
            let used = self
                .sent
                .iter()
                .any(|sent| sent.publish.packet_id.is_some_and(|id| id.get() == self.last_id));
            if !used && !self.asked.contains_key(&self.last_id) {
                return PacketId::new(self.last_id);
            }
        }
        None
    }

    /// It begins to connect: what belonged to the old connection is gone.
    pub fn connects(&mut self, wire: usize, connect: &Connect) {
        self.wire = Some(wire);
        self.version = connect.version;
        self.is_connected = false;
        if connect.clean_start || !self.lasts {
            // [MQTT-3.1.2-4] whether or not it hears of it; and a session that ends with its connection has ended.
            self.forget();
        }
        self.asked_to_last = match connect.version {
            Version::V5 => connect.properties.session_expiry_interval.unwrap_or(0) > 0,
            Version::V311 => !connect.clean_start,
        };
        self.owed.clear();
        self.asked.clear();
        self.aliases.clear();
        self.most_aliases = 0;
    }

    /// What goes over the wire for a publish if it uses this alias: the topic only if the server does not know it yet.
    pub fn by_alias(&mut self, publish: Publish, alias: u16) -> Publish {
        if alias == 0 || alias > self.most_aliases {
            return publish;
        }
        let topic = publish.topic.as_str().to_owned();
        let known = self.aliases.insert(alias, topic.clone()).is_some_and(|known| known == topic);
        let name = if known { Text::default() } else { publish.topic };
        Publish { topic: name, topic_alias: Some(alias), ..publish }
    }

    /// Its session outlives its connection, as far as it knows.
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// Its own part of the session is gone.
    pub fn forget(&mut self) {
        self.sent.clear();
        self.received.clear();
    }

    /// Its link is gone.
    pub fn lost(&mut self) {
        self.wire = None;
        self.is_connected = false;
        self.owed.clear();
        self.asked.clear();
    }

    /// A packet came.
    pub fn take(&mut self, packet: Packet, keeps_back: bool) -> Reaction {
        match packet {
            Packet::ConnAck(connack) if connack.code == ReasonCode::Success => {
                self.most_aliases = connack.properties.topic_alias_maximum.unwrap_or(0);
                self.welcome(connack.session_present)
            }
            Packet::Publish(publish) => self.receive(*publish, keeps_back),
            Packet::PubAck(ack) => self.done(ack.packet_id),
            Packet::PubComp(ack) => self.done(ack.packet_id),
            Packet::PubRec(received) => self.release(&received),
            Packet::PubRel(release) => {
                self.received.remove(&release.packet_id.get());
                self.answer(Packet::PubComp(ack(release.packet_id)), keeps_back)
            }
            Packet::SubAck(suback) => self.heard_of(suback.packet_id),
            Packet::UnsubAck(unsuback) => self.heard_of(unsuback.packet_id),
            _ => Reaction::default(),
        }
    }

    fn heard_of(&mut self, packet_id: PacketId) -> Reaction {
        self.asked.remove(&packet_id.get());
        Reaction::default()
    }

    /// [MQTT-4.4.0-1] what was not completed is sent again, if the session is still there.
    fn welcome(&mut self, session_present: bool) -> Reaction {
        (self.is_connected, self.lasts) = (true, self.asked_to_last);
        if !session_present {
            self.sent.clear();
            self.received.clear();
            return Reaction::default();
        }
        let again = |sent: &Sent| match (sent.released, sent.publish.packet_id) {
            (true, Some(id)) => Packet::PubRel(ack(id)),
            _ => Packet::Publish(Box::new(Publish { dup: true, ..sent.publish.clone() })),
        };
        Reaction { answers: self.sent.iter().map(again).collect(), message: None }
    }

    fn answer(&mut self, packet: Packet, keeps_back: bool) -> Reaction {
        if keeps_back || !self.owed.is_empty() {
            self.owed.push(packet);
            return Reaction::default();
        }
        Reaction { answers: vec![packet], message: None }
    }

    fn receive(&mut self, publish: Publish, keeps_back: bool) -> Reaction {
        let Some(id) = publish.packet_id else {
            return Reaction { answers: Vec::new(), message: Some(publish) };
        };
        let exactly = publish.qos == QoS::ExactlyOnce;
        let is_new = !exactly || self.received.insert(id.get());
        let packet = if exactly { Packet::PubRec(ack(id)) } else { Packet::PubAck(ack(id)) };
        let reaction = self.answer(packet, keeps_back);
        Reaction { message: is_new.then_some(publish), ..reaction }
    }

    fn done(&mut self, packet_id: PacketId) -> Reaction {
        self.sent.retain(|sent| sent.publish.packet_id != Some(packet_id));
        Reaction::default()
    }

    fn release(&mut self, received: &Ack) -> Reaction {
        let id = received.packet_id;
        if received.code.is_failure() {
            return self.done(id);
        }
        self.sent
            .iter_mut()
            .filter(|sent| sent.publish.packet_id == Some(id))
            .for_each(|sent| sent.released = true);
        Reaction { answers: vec![Packet::PubRel(ack(id))], message: None }
    }
}
