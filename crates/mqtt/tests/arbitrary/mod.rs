//! Arbitrary packets of both versions, as the standard allows them.
#![allow(dead_code)]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use thingcore_mqtt::*;

/// Who reads the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Server,
    Client,
}

/// A packet, the version it is written in and who reads it.
#[derive(Clone, Debug)]
pub struct Case {
    pub packet: Packet,
    pub version: Version,
    pub reader: Reader,
}

impl Case {
    /// The bytes of the packet.
    pub fn bytes(&self) -> BytesMut {
        let mut out = BytesMut::new();
        encode(&self.packet, self.version, &mut out).unwrap();
        out
    }

    /// A decoder that waits for this packet.
    pub fn decoder(&self) -> Decoder {
        decoder(self.version, self.reader, matches!(self.packet, Packet::Connect(_)))
    }
}

/// A decoder that waits for CONNECT, or for what follows it.
pub fn decoder(version: Version, reader: Reader, before_connect: bool) -> Decoder {
    if reader == Reader::Client {
        return Decoder::for_client(version, u32::MAX);
    }
    let mut decoder = Decoder::for_server(u32::MAX);
    if !before_connect {
        let mut bytes = BytesMut::new();
        encode(&Packet::Connect(Box::new(plain_connect(version))), version, &mut bytes).unwrap();
        decoder.decode(&mut bytes).unwrap().unwrap();
    }
    decoder
}

fn plain_connect(version: Version) -> Connect {
    Connect {
        version,
        clean_start: true,
        keep_alive: 0,
        client_id: Text::EMPTY,
        user_name: None,
        password: None,
        will: None,
        properties: ConnectProperties::default(),
    }
}

fn character() -> impl Strategy<Value = char> {
    prop_oneof![6 => proptest::char::range('a', 'e'), 2 => Just('/'), 1 => any::<char>()]
        .prop_filter("U+0000 is not allowed", |character| *character != '\0')
}

pub fn text() -> impl Strategy<Value = Text> {
    vec(character(), 0..10).prop_map(|text| Text::try_from(String::from_iter(text)).unwrap())
}

pub fn topic() -> impl Strategy<Value = Text> {
    let character = character().prop_filter("no wildcards", |character| !"+#".contains(*character));
    vec(character, 1..12).prop_map(|text| Text::try_from(String::from_iter(text)).unwrap())
}

pub fn binary() -> impl Strategy<Value = Bytes> {
    prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 100..400)].prop_map(Bytes::from)
}

fn users() -> impl Strategy<Value = UserProperties> {
    prop_oneof![2 => Just(Vec::new()), 1 => vec((text(), text()), 1..5)]
        .prop_map(|pairs| pairs.into_iter().collect())
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn qos() -> impl Strategy<Value = QoS> {
    (0..=2_u8).prop_map(|number| QoS::from_number(number).unwrap())
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn code(kind: PacketKind, by_server: bool) -> impl Strategy<Value = ReasonCode> {
    let allowed: Vec<_> =
        ReasonCode::ALL.iter().copied().filter(|code| code.allowed_in(kind, by_server)).collect();
    proptest::sample::select(allowed)
}

fn message_properties() -> impl Strategy<Value = MessageProperties> {
    (of(any::<bool>()), of(text()), of(topic()), of(binary()), users()).prop_map(
        |(payload_format_utf8, content_type, response_topic, correlation_data, user_properties)| {
            MessageProperties {
                payload_format_utf8,
                content_type,
                response_topic,
                correlation_data,
                user_properties,
            }
        },
    )
}

fn will() -> impl Strategy<Value = Will> {
    (topic(), binary(), qos(), any::<bool>(), of(any::<u32>()), message_properties(), of(any::<u32>()))
        .prop_map(|(topic, payload, qos, retain, delay_interval, properties, message_expiry_interval)| Will {
            topic,
            payload,
            qos,
            retain,
            delay_interval,
            properties,
            message_expiry_interval,
        })
}

fn connect_properties() -> impl Strategy<Value = ConnectProperties> {
    let numbers = (of(any::<u32>()), of(1..=u16::MAX), of(1..=u32::MAX), of(any::<u16>()));
    (numbers, of(any::<bool>()), of(any::<bool>()), users(), of((text(), of(binary())))).prop_map(
        |(numbers, response, problem, user_properties, authentication)| {
            let (authentication_method, data) = authentication.unzip();
            ConnectProperties {
                session_expiry_interval: numbers.0,
                receive_maximum: numbers.1,
                maximum_packet_size: numbers.2,
                topic_alias_maximum: numbers.3,
                request_response_information: response,
                request_problem_information: problem,
                user_properties,
                authentication_method,
                authentication_data: data.flatten(),
            }
        },
    )
}

fn connect(version: Version) -> impl Strategy<Value = Packet> {
    let credentials = (of(text()), of(binary()));
    (any::<bool>(), any::<u16>(), text(), credentials, of(will()), connect_properties()).prop_map(
        move |(clean_start, keep_alive, client_id, (user_name, password), will, properties)| {
            let v5 = version == Version::V5;
            let will = will.map(|will| Box::new(if v5 { will } else { without_properties(will) }));
            // 3.1.1: no password without a user name.
            let password = password.filter(|_| v5 || user_name.is_some());
            let properties = if v5 { properties } else { ConnectProperties::default() };
            Packet::Connect(Box::new(Connect {
                version,
                clean_start,
                keep_alive,
                client_id,
                user_name,
                password,
                will,
                properties,
            }))
        },
    )
}

fn without_properties(will: Will) -> Will {
    Will {
        delay_interval: None,
        message_expiry_interval: None,
        properties: MessageProperties::default(),
        ..will
    }
}

fn connack(version: Version) -> BoxedStrategy<Packet> {
    let finish = |(present, code, properties): (bool, ReasonCode, ConnAckProperties)| {
        let session_present = present && code == ReasonCode::Success;
        Packet::ConnAck(Box::new(ConnAck { session_present, code, properties }))
    };
    if version == Version::V311 {
        let code = (0..=5_u8).prop_map(|code| ReasonCode::from_connack_return_code(code).unwrap());
        return (any::<bool>(), code, Just(ConnAckProperties::default())).prop_map(finish).boxed();
    }
    (any::<bool>(), code(PacketKind::ConnAck, true), connack_properties()).prop_map(finish).boxed()
}

fn connack_properties() -> impl Strategy<Value = ConnAckProperties> {
    let flag = || of(any::<bool>());
    let numbers = (of(any::<u32>()), of(1..=u16::MAX), of(1..=u32::MAX), of(any::<u16>()), of(any::<u16>()));
    let flags = (flag(), flag(), flag(), flag(), flag());
    let texts = (of(text()), of(text()), of(text()), of(text()));
    (numbers, flags, texts, users(), of((text(), of(binary())))).prop_map(
        |(numbers, flags, texts, user_properties, authentication)| {
            let (authentication_method, data) = authentication.unzip();
            ConnAckProperties {
                session_expiry_interval: numbers.0,
                receive_maximum: numbers.1,
                maximum_packet_size: numbers.2,
                topic_alias_maximum: numbers.3,
                server_keep_alive: numbers.4,
                maximum_qos: flags.0.map(|one| if one { QoS::AtLeastOnce } else { QoS::AtMostOnce }),
                retain_available: flags.1,
                wildcard_subscription_available: flags.2,
                subscription_identifiers_available: flags.3,
                shared_subscription_available: flags.4,
                assigned_client_identifier: texts.0,
                reason_string: texts.1,
                response_information: texts.2,
                server_reference: texts.3,
                user_properties,
                authentication_method,
                authentication_data: data.flatten(),
            }
        },
    )
}

/// A PUBLISH of this version for this reader.
pub fn publish(version: Version, reader: Reader) -> impl Strategy<Value = Publish> {
    let header = (any::<bool>(), qos(), any::<bool>(), packet_id());
    let v5 = (
        of(1..=u16::MAX),
        of(any::<u32>()),
        vec(1..=268_435_455_u32, 0..3),
        message_properties(),
        weighted(0.2, Just(())),
    );
    (header, topic(), binary(), v5).prop_map(move |((dup, qos, retain, id), topic, payload, v5)| {
        let basic = Publish {
            dup: dup && qos != QoS::AtMostOnce,
            qos,
            retain,
            topic,
            packet_id: (qos != QoS::AtMostOnce).then_some(id),
            payload,
            ..Publish::default()
        };
        if version == Version::V311 {
            return basic;
        }
        let (topic_alias, message_expiry_interval, identifiers, properties, nameless) = v5;
        let topic = if nameless.is_some() && topic_alias.is_some() { Text::EMPTY } else { basic.topic };
        let identifiers = if reader == Reader::Client { identifiers } else { Vec::new() };
        let subscription_identifiers = identifiers.into_iter().collect();
        Publish {
            topic,
            topic_alias,
            message_expiry_interval,
            subscription_identifiers,
            properties: properties.into(),
            ..basic
        }
    })
}

fn reason() -> impl Strategy<Value = (Option<Text>, UserProperties)> {
    (of(text()), users())
}

fn ack(version: Version) -> impl Strategy<Value = Packet> {
    let kinds = [PacketKind::PubAck, PacketKind::PubRec, PacketKind::PubRel, PacketKind::PubComp];
    proptest::sample::select(kinds.to_vec()).prop_flat_map(move |kind| {
        (packet_id(), code(kind, true), reason()).prop_map(move |(packet_id, code, (string, users))| {
            let ack = match version {
                Version::V311 => Ack::success(packet_id),
                Version::V5 => Ack { packet_id, code, reason_string: string, user_properties: users },
            };
            match kind {
                PacketKind::PubAck => Packet::PubAck(ack),
                PacketKind::PubRec => Packet::PubRec(ack),
                PacketKind::PubRel => Packet::PubRel(ack),
                _ => Packet::PubComp(ack),
            }
        })
    })
}

fn request(version: Version) -> impl Strategy<Value = SubscribeRequest> {
    (text(), qos(), any::<bool>(), any::<bool>(), 0..=2_u8).prop_map(
        move |(filter, qos, no_local, retain_as_published, handling)| {
            let plain = SubscribeRequest::new(filter, qos);
            if version == Version::V311 {
                return plain;
            }
            let retain_handling = RetainHandling::from_number(handling).unwrap();
            SubscribeRequest { no_local, retain_as_published, retain_handling, ..plain }
        },
    )
}

fn subscribe(version: Version) -> impl Strategy<Value = Packet> {
    (packet_id(), of(1..=268_435_455_u32), users(), vec(request(version), 1..5)).prop_map(
        move |(packet_id, identifier, users, filters)| {
            let v5 = version == Version::V5;
            Packet::Subscribe(Subscribe {
                packet_id,
                subscription_identifier: identifier.filter(|_| v5),
                user_properties: if v5 { users } else { UserProperties::EMPTY },
                filters: filters.into_iter().collect(),
            })
        },
    )
}

fn suback(version: Version) -> BoxedStrategy<Packet> {
    let codes = match version {
        Version::V311 => proptest::sample::select(vec![0_u8, 1, 2, 0x80])
            .prop_map(|code| ReasonCode::from_code(code).unwrap())
            .boxed(),
        Version::V5 => code(PacketKind::SubAck, true).boxed(),
    };
    (packet_id(), vec(codes, 1..5), reason())
        .prop_map(move |(packet_id, codes, (string, users))| {
            let v5 = version == Version::V5;
            Packet::SubAck(SubAck {
                packet_id,
                codes: codes.into_iter().collect(),
                reason_string: string.filter(|_| v5),
                user_properties: if v5 { users } else { UserProperties::EMPTY },
            })
        })
        .boxed()
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Packet> {
    (packet_id(), vec(text(), 1..5), users()).prop_map(move |(packet_id, filters, users)| {
        Packet::Unsubscribe(Unsubscribe {
            packet_id,
            filters: filters.into_iter().collect(),
            user_properties: if version == Version::V5 { users } else { UserProperties::EMPTY },
        })
    })
}

fn unsuback(version: Version) -> impl Strategy<Value = Packet> {
    (packet_id(), vec(code(PacketKind::UnsubAck, true), 1..5), reason()).prop_map(
        move |(packet_id, codes, (string, users))| {
            let v5 = version == Version::V5;
            Packet::UnsubAck(UnsubAck {
                packet_id,
                codes: if v5 { codes.into_iter().collect() } else { Default::default() },
                reason_string: string.filter(|_| v5),
                user_properties: if v5 { users } else { UserProperties::EMPTY },
            })
        },
    )
}

fn disconnect(version: Version, reader: Reader) -> BoxedStrategy<Packet> {
    if version == Version::V311 {
        return Just(Packet::Disconnect(Disconnect::new(ReasonCode::Success))).boxed();
    }
    let by_server = reader == Reader::Client;
    (code(PacketKind::Disconnect, by_server), of(any::<u32>()), reason(), of(text()))
        .prop_map(move |(code, expiry, (reason_string, user_properties), server_reference)| {
            Packet::Disconnect(Disconnect {
                code,
                session_expiry_interval: expiry.filter(|_| !by_server),
                reason_string,
                user_properties,
                server_reference,
            })
        })
        .boxed()
}

fn auth(reader: Reader) -> impl Strategy<Value = Packet> {
    (code(PacketKind::Auth, reader == Reader::Client), text(), of(binary()), reason()).prop_map(
        |(code, method, authentication_data, (reason_string, user_properties))| {
            Packet::Auth(Auth {
                code,
                authentication_method: Some(method),
                authentication_data,
                reason_string,
                user_properties,
            })
        },
    )
}

fn packet(version: Version, reader: Reader) -> BoxedStrategy<Packet> {
    let publish = publish(version, reader).prop_map(|publish| Packet::Publish(Box::new(publish)));
    let both = prop_oneof![3 => publish, 3 => ack(version)].boxed();
    let farewell = match (version, reader) {
        (Version::V311, Reader::Client) => Just(Packet::PingResp).boxed(),
        (Version::V311, Reader::Server) => disconnect(version, reader),
        (Version::V5, _) => prop_oneof![disconnect(version, reader), auth(reader)].boxed(),
    };
    match reader {
        Reader::Server => prop_oneof![
            2 => connect(version), 2 => subscribe(version), 1 => unsubscribe(version),
            1 => Just(Packet::PingReq), 2 => farewell, 4 => both
        ]
        .boxed(),
        Reader::Client => prop_oneof![
            2 => connack(version), 1 => suback(version), 1 => unsuback(version),
            1 => Just(Packet::PingResp), 2 => farewell, 4 => both
        ]
        .boxed(),
    }
}

/// A packet of any kind, version and direction.
pub fn case() -> impl Strategy<Value = Case> {
    (version(), prop_oneof![Just(Reader::Server), Just(Reader::Client)]).prop_flat_map(|(version, reader)| {
        packet(version, reader).prop_map(move |packet| Case { packet, version, reader })
    })
}
