//! The work that is counted. A turn is what one message, or one read of a socket, costs an engine.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use events::{Client, Observers, PublishIn, PublishOut};
use identity::{AccountId, ClientId, PolicyName, Principal, Region, Site, Timestamp};
use metering::Meter;
use mqtt::{
    Decoder, MatchRules, Packet, PacketId, Publish, PublishFlags, PublishFrame, QoS, Text, TopicFilter,
    Version,
};
use policy::{Authorizer, ConnectionContext, Document, Epoch, Origin, PolicySet, Source};
use router::{Matches, Route, RouteTable, Target};

const TOPIC: &str = "dt/plant-7/sensor-42/temperature";
/// Packets in one read of the socket.
const BATCH: usize = 16;
/// Subscriptions of each kind in the route table.
const SUBSCRIPTIONS: u64 = 1_000;
/// Statements in the policies of a device.
const STATEMENTS: usize = 10;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// 16 PUBLISH packets of MQTT 5, QoS 1, 64 B, from bytes.
    Decode,
    /// The receivers of a message among exact and wildcard subscriptions.
    Match,
    /// Whether a device may publish, by ten statements with variables.
    Decide,
    /// A PUBLISH for one more receiver.
    Encode,
    /// What the meter does about a message of one device that goes to another.
    Meter,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Decode, Self::Match, Self::Decide, Self::Encode, Self::Meter];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Match => "match",
            Self::Decide => "decide",
            Self::Encode => "encode",
            Self::Meter => "meter",
        }
    }

    /// The work of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// Does it this often.
    ///
    /// # Errors
    /// An engine refuses what it must take.
    pub fn run(self, turns: u64) -> Result<(), String> {
        match self {
            Self::Decode => decode(turns),
            Self::Match => find(turns),
            Self::Decide => decide(turns),
            Self::Encode => encode(turns),
            Self::Meter => count(turns),
        }
    }
}

fn wrong(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn publish() -> Publish {
    Publish {
        qos: QoS::AtLeastOnce,
        topic: Text::from_static(TOPIC),
        packet_id: Some(PacketId::FIRST),
        payload: Bytes::from_static(&[b'x'; 64]),
        ..Publish::default()
    }
}

fn decode(turns: u64) -> Result<(), String> {
    let mut bytes = BytesMut::new();
    for _ in 0..BATCH {
        mqtt::encode(&Packet::Publish(Box::new(publish())), Version::V5, &mut bytes).map_err(wrong)?;
    }
    let mut decoder = Decoder::for_client(Version::V5, u32::MAX);
    for _ in 0..turns {
        let mut buffer = black_box(&bytes).clone();
        while let Some(packet) = decoder.decode(&mut buffer).map_err(|fault| format!("{fault:?}"))? {
            black_box(packet);
        }
    }
    Ok(())
}

#[derive(Clone)]
struct Subscriber(u64);

impl Target for Subscriber {
    fn id(&self) -> u64 {
        self.0
    }
}

fn find(turns: u64) -> Result<(), String> {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    for number in 0..SUBSCRIPTIONS {
        for (at, filter) in [format!("dt/plant-{number}/+/temperature"), format!("cmd/sensor-{number}")]
            .into_iter()
            .enumerate()
        {
            let filter = TopicFilter::try_from(filter.as_str()).map_err(wrong)?;
            let route = Route {
                target: Subscriber(2 * number + at as u64),
                qos: QoS::AtLeastOnce,
                no_local: false,
                retain_as_published: false,
                identifiers: Default::default(),
            };
            table.subscribe(&filter, route);
        }
    }
    let mut found = Matches::default();
    for _ in 0..turns {
        for topic in [TOPIC, "cmd/sensor-500", "dt/elsewhere/sensor-1/temperature"] {
            table.matches(black_box(topic), &mut |_| None, &mut found);
            black_box(found.direct.len());
        }
    }
    Ok(())
}

fn decide(turns: u64) -> Result<(), String> {
    let statement = |number: usize| {
        let topic = match number {
            0 => "dt/*/${iot:ClientId}/*".to_owned(),
            _ => format!("other-{number}/${{iot:ClientId}}/*"),
        };
        format!(
            r#"{{"Effect":"Allow","Action":["iot:Publish","iot:Receive"],
                "Resource":"arn:aws:iot:eu-west-1:123456789012:topic/{topic}"}}"#
        )
    };
    let statements: Vec<String> = (0..STATEMENTS).map(statement).collect();
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    let source = Source {
        policy: PolicyName::new("device").map_err(wrong)?,
        version: 1,
        origin: Origin::Certificate,
        document: Arc::new(Document::parse(&text).map_err(|fault| format!("{fault:?}"))?),
    };
    let site = Site {
        region: Region::new("eu-west-1").map_err(wrong)?,
        account: AccountId::new("123456789012").map_err(wrong)?,
    };
    let client_id = Some(ClientId::new("sensor-42").map_err(wrong)?);
    let context = ConnectionContext { client_id, ..Default::default() };
    let set = Arc::new(PolicySet::compile(vec![source]));
    let authorizer = Authorizer::new(Arc::new(site), set, context, Epoch(1));
    for _ in 0..turns {
        if authorizer.publish(black_box(TOPIC), Timestamp(0)).is_err() {
            return Err("the policy must allow this".into());
        }
        black_box(authorizer.publish(black_box("dt/plant-7/sensor-43/temperature"), Timestamp(0)).is_ok());
    }
    Ok(())
}

fn encode(turns: u64) -> Result<(), String> {
    let frame = PublishFrame::new(&publish().parts(), Version::V5).map_err(wrong)?;
    let mut out = BytesMut::with_capacity(64 * 1024);
    for _ in 0..turns {
        out.clear();
        for _ in 0..BATCH {
            frame.write_into(black_box(&mut out), Some(PacketId::FIRST), PublishFlags::default(), None);
        }
        black_box(out.len());
    }
    Ok(())
}

fn count(turns: u64) -> Result<(), String> {
    let observers = Observers::new([Arc::new(Meter::new(1024, 2)) as Arc<dyn events::Observer>]);
    let principal = Principal::Plain("sensor-42".into());
    let client = |client_id, standing| Client {
        client_id,
        principal: &principal,
        peer: None,
        version: None,
        standing,
    };
    let (from, to) = (client("sensor-42", 1), client("dashboard", 2));
    for _ in 0..turns {
        let (origin, topic, qos) =
            (black_box(events::Origin::Client(from)), black_box(TOPIC), QoS::AtMostOnce);
        let fact = PublishIn {
            origin,
            topic,
            topic_key: 42,
            qos,
            retain: false,
            bytes: 64,
            packet_id: None,
            properties: 0,
        };
        observers.emit(Timestamp(0), &fact.into());
        let fact = PublishOut { client: black_box(to), topic, topic_key: 42, qos, bytes: 64, properties: 0 };
        observers.emit(Timestamp(0), &fact.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_can_be_done() {
        for work in Work::ALL {
            work.run(3).unwrap();
            assert_eq!(Work::named(work.name()), Some(work));
        }
    }
}
