//! Connections of IAM principals and of Cognito identities: what they may do, and when they end.

use std::sync::Arc;

use identity::{CognitoIdentity, IamKind, IamPrincipal, Principal};
use mqtt::{Packet, QoS, ReasonCode, Version};
use registry::iam::{
    AccessKeyRecord, AccessKeyStatus, IAM_ROLES, IAM_USERS, InlinePolicies, RoleRecord, UserRecord, role_key,
    user_key,
};

use super::feed::following;
use super::house::{House, START, connect};
use crate::Credential;

const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
const IDENTITY: &str = "eu-west-1:11111111-1111-4111-8111-111111111111";

fn policies(document: &str) -> InlinePolicies {
    [("p".to_owned(), document.to_owned())].into()
}

fn set_user(house: &House, status: AccessKeyStatus, document: &str) {
    let key = AccessKeyRecord { id: "AKIA".into(), secret: "s".into(), status, created: START };
    let user = UserRecord {
        name: "u".into(),
        id: "AIDA1".into(),
        created: START,
        from_configuration: false,
        access_keys: vec![key],
        policies: policies(document),
    };
    house.commit(|batch| IAM_USERS.put(batch, &user_key("u"), &user));
}

fn set_role(house: &House, document: &str) {
    let role = RoleRecord {
        name: "r".into(),
        id: "AROA1".into(),
        created: START,
        from_configuration: false,
        description: None,
        max_session_seconds: 3600,
        trust: "{}".into(),
        policies: policies(document),
    };
    house.commit(|batch| IAM_ROLES.put(batch, &role_key("r"), &role));
}

fn signed(
    access_key_id: &str,
    kind: IamKind,
    cognito: Option<bool>,
    session_policy: Option<&str>,
) -> Credential {
    let unique_id = match &kind {
        IamKind::User(_) => "AIDA1".to_owned(),
        IamKind::Role { session, .. } => format!("AROA1:{session}"),
    };
    let who = IamPrincipal {
        access_key_id: access_key_id.into(),
        unique_id,
        kind,
        cognito: cognito.map(|authenticated| CognitoIdentity {
            id: IDENTITY.into(),
            pool_id: "eu-west-1:p".into(),
            authenticated,
        }),
        device: None,
        session_policy: session_policy.map(str::to_owned),
        issued: None,
    };
    Credential::of(Principal::Iam(Arc::new(who)))
}

fn user() -> Credential {
    signed("AKIA", IamKind::User("u".into()), None, None)
}

fn role(cognito: Option<bool>, session_policy: Option<&str>) -> Credential {
    let kind = IamKind::Role { name: "r".into(), session: "s".into() };
    signed("ASIA", kind, cognito, session_policy)
}

#[test]
fn a_user_does_what_its_policies_allow() {
    let house = House::new();
    set_user(
        &house,
        AccessKeyStatus::Active,
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"iot:Connect","Resource":"arn:aws:iot:*:*:client/${aws:username}-*"},
            {"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:*:*:topic/${iot:ClientId}/${aws:username}"}]}"#,
    );
    assert!(house.try_connect(user(), connect("other", Version::V5)).is_err());
    assert!(house.heard("by the IAM policies of user/u: "), "{:?}", house.events());
    let mut client = house.try_connect(user(), connect("u-1", Version::V5)).unwrap();
    client.connack();
    client.publish("u-1/u", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code != ReasonCode::NotAuthorized));
    client.publish("u-1/other", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
}

#[test]
fn changes_of_a_user_reach_its_connection() {
    let house = House::new();
    set_user(&house, AccessKeyStatus::Active, WIDE);
    let mut client = house.try_connect(user(), connect("c", Version::V5)).unwrap();
    client.connack();
    following(&house, |turn| match turn {
        0 => set_user(&house, AccessKeyStatus::Active, &WIDE.replace("iot:*", "iot:Connect")),
        1 => {
            client.publish("a", "x", QoS::AtLeastOnce);
            let answer = client.take();
            assert!(matches!(&answer[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
            set_user(&house, AccessKeyStatus::Inactive, WIDE);
        }
        _ => {}
    });
    client.take();
    assert!(client.closed);
    assert!(house.heard("credential.revoked"), "{:?}", house.events());
    assert!(house.try_connect(user(), connect("c", Version::V5)).is_err());
    assert!(house.heard("the access key AKIA is Inactive"), "{:?}", house.events());
}

#[test]
fn a_role_that_is_gone_takes_its_connections_with_it() {
    let house = House::new();
    set_role(&house, WIDE);
    let mut client = house.try_connect(role(None, None), connect("c", Version::V311)).unwrap();
    client.connack();
    following(&house, |turn| {
        if turn == 0 {
            house.commit(|batch| IAM_ROLES.delete(batch, &role_key("r")));
        }
    });
    client.take();
    assert!(client.closed);
    assert!(house.heard("the IAM role r does not exist any more"), "{:?}", house.events());
}

#[test]
fn a_session_policy_narrows() {
    let house = House::new();
    set_role(&house, WIDE);
    let narrow = WIDE.replace("iot:*", "iot:Connect");
    let mut client = house.try_connect(role(None, Some(&narrow)), connect("c", Version::V5)).unwrap();
    client.connack();
    client.publish("a", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
    assert!(house.heard("by the session policy: "), "{:?}", house.events());
}

#[test]
fn an_authenticated_identity_needs_an_attached_policy_too() {
    let house = House::new();
    set_role(&house, WIDE);
    assert!(house.try_connect(role(Some(true), None), connect("c", Version::V5)).is_err());
    assert!(house.heard("by the AWS IoT policies of Cognito identity"), "{:?}", house.events());
    assert!(house.try_connect(role(Some(false), None), connect("guest", Version::V5)).is_ok());
    house.set_policy("attached", &WIDE.replace("iot:*", "iot:Connect"));
    house.attach("attached", IDENTITY);
    let mut client = house.try_connect(role(Some(true), None), connect("c", Version::V5)).unwrap();
    client.connack();
    client.publish("a", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code == ReasonCode::NotAuthorized));
    following(&house, |turn| {
        if turn == 0 {
            house.set_policy("attached", WIDE);
        }
    });
    client.publish("a", "x", QoS::AtLeastOnce);
    assert!(matches!(&client.take()[..], [Packet::PubAck(ack)] if ack.code != ReasonCode::NotAuthorized));
}
