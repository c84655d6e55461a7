//! The greeting, rule by rule.

use super::*;

fn connect(version: Version) -> Connect {
    Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: Text::from_static("c1"),
        user_name: None,
        password: None,
        will: None,
        properties: mqtt::ConnectProperties::default(),
    }
}

fn agree(connect: &Connect) -> Result<(Terms, Notes), Violation> {
    let mut notes = Notes::new();
    Terms::agree(connect, &Dialect::aws(), &mut notes).map(|terms| (terms, notes))
}

#[test]
fn keep_alive_is_clamped_keepalive_clamp() {
    for (asked, effective) in
        [(0, 1200), (1, 30), (29, 30), (30, 30), (1000, 1000), (1200, 1200), (65535, 1200)]
    {
        let (terms, notes) = agree(&Connect { keep_alive: asked, ..connect(Version::V5) }).unwrap();
        assert_eq!(terms.keep_alive, effective, "asked for {asked}");
        assert_eq!(
            notes.iter().any(|note| note.divergence == Divergence::KeepaliveClamp),
            asked != effective
        );
        assert_eq!(terms.connack(false, None, &Dialect::aws()).properties.server_keep_alive, Some(effective));
    }
}

#[test]
fn the_connack_is_the_one_that_aws_sends() {
    let mut asked = connect(Version::V5);
    asked.properties.session_expiry_interval = Some(600_000);
    let (terms, _) = agree(&asked).unwrap();
    let properties = terms.connack(false, None, &Dialect::aws()).properties;
    let expected = ConnAckProperties {
        session_expiry_interval: Some(3600),
        receive_maximum: Some(100),
        maximum_qos: Some(QoS::AtLeastOnce),
        retain_available: Some(true),
        maximum_packet_size: Some(149_504),
        topic_alias_maximum: Some(8),
        wildcard_subscription_available: Some(true),
        subscription_identifiers_available: Some(false),
        shared_subscription_available: Some(true),
        server_keep_alive: Some(60),
        ..ConnAckProperties::default()
    };
    assert_eq!(properties, expected);
}

#[test]
fn a_session_expiry_that_was_not_lowered_is_not_told() {
    let mut asked = connect(Version::V5);
    asked.properties.session_expiry_interval = Some(1200);
    let (terms, _) = agree(&asked).unwrap();
    assert_eq!(terms.session_expiry, 1200);
    assert_eq!(terms.connack(false, None, &Dialect::aws()).properties.session_expiry_interval, None);
}

#[test]
fn a_v3_connack_has_no_properties_and_its_session_lasts_an_hour() {
    let (terms, _) = agree(&Connect { clean_start: false, ..connect(Version::V311) }).unwrap();
    assert_eq!(terms.session_expiry, 3600);
    assert!(terms.is_persistent());
    assert_eq!(terms.connack(true, None, &Dialect::aws()).properties, ConnAckProperties::default());
    let (terms, _) = agree(&connect(Version::V311)).unwrap();
    assert!(!terms.is_persistent());
}

#[test]
fn client_ids_keep_their_rules() {
    let with = |id: &str| agree(&Connect { client_id: Text::try_from(id).unwrap(), ..connect(Version::V5) });
    assert!(with(&"x".repeat(128)).is_ok());
    assert_eq!(with(&"x".repeat(129)).unwrap_err().fault, Fault::ClientIdNotValid);
    assert_eq!(with("$x").unwrap_err().fault, Fault::ClientIdNotValid);
    assert_eq!(with("").unwrap().0.client_id, None);
    let lasting = Connect { client_id: Text::default(), clean_start: false, ..connect(Version::V311) };
    assert_eq!(agree(&lasting).unwrap_err().fault, Fault::ClientIdNotValid);
}

#[test]
fn what_a_client_must_not_ask_for() {
    let mut small = connect(Version::V5);
    small.properties.maximum_packet_size = Some(511);
    assert_eq!(agree(&small).unwrap_err().fault, Fault::ClientPacketSizeTooSmall);
    small.properties.maximum_packet_size = Some(512);
    assert!(agree(&small).is_ok());
    let mut auth = connect(Version::V5);
    auth.properties.authentication_method = Some(Text::from_static("SCRAM"));
    assert_eq!(agree(&auth).unwrap_err().fault, Fault::AuthenticationMethodUnsupported);
    let large = Connect { password: Some(vec![0; 131_072].into()), ..connect(Version::V5) };
    assert_eq!(agree(&large).unwrap_err().fault, Fault::ConnectTooLarge);
}

#[test]
fn wills_keep_the_rules_of_messages() {
    let will = |topic: &str, qos, retain| {
        let will = mqtt::Will {
            topic: Text::try_from(topic).unwrap(),
            payload: bytes::Bytes::new(),
            qos,
            retain,
            delay_interval: None,
            properties: mqtt::MessageProperties::default(),
            message_expiry_interval: None,
        };
        agree(&Connect { will: Some(Box::new(will)), ..connect(Version::V5) })
            .map(|_| ())
            .map_err(|v| v.fault)
    };
    assert_eq!(will("a/b", QoS::AtLeastOnce, true), Ok(()));
    assert_eq!(will("a/b", QoS::ExactlyOnce, false), Err(Fault::WillQosNotSupported));
    assert_eq!(will("a/1/2/3/4/5/6/7/8", QoS::AtMostOnce, false), Err(Fault::WillTopicInvalid));
    assert_eq!(will("$aws/things/t/shadow/update", QoS::AtMostOnce, true), Err(Fault::WillTopicInvalid));
    assert_eq!(will("$mine", QoS::AtMostOnce, false), Err(Fault::WillTopicInvalid));
}

#[test]
fn rows_that_can_be_switched() {
    let empty = Connect { client_id: Text::default(), ..connect(Version::V311) };
    let mut dialect = Dialect::aws();
    assert!(Terms::agree(&empty, &dialect, &mut Notes::new()).is_ok());
    dialect.set(Divergence::EmptyClientIdV3Refused, true);
    assert!(Terms::agree(&empty, &dialect, &mut Notes::new()).is_err(), "empty-client-id-v3-refused");
    let oasis = Dialect::oasis();
    let idle = Connect { keep_alive: 0, ..connect(Version::V5) };
    let terms = Terms::agree(&idle, &oasis, &mut Notes::new()).unwrap();
    assert_eq!(terms.silence(), None);
    let properties = terms.connack(false, None, &oasis).properties;
    assert_eq!(properties.maximum_qos, None, "[MQTT-3.2.2-9] QoS 2 works");
    assert_eq!(properties.subscription_identifiers_available, Some(true));
}
