//! A small registry: two of everything that a view is made from, and the changes that can happen to it.

use std::sync::Arc;

use dialect::Dialect;
use identity::{
    AccountId, CertificateId, ClientId, CognitoIdentity, IamKind, IamPrincipal, PolicyName, Principal,
    Region, Site, Timestamp,
};
use policy::{ConnectFacts, Outcome};
use proptest::prelude::*;
use registry::attachments::{AttachmentRecord, TARGET_POLICIES, target_policy_key};
use registry::certificates::certificate_key;
use registry::iam::{IAM_ROLES, IAM_USERS, role_key, user_key};
use registry::policies::{POLICIES, PolicyRecord, policy_key};
use registry::thing_groups::{THING_GROUPS, THING_MEMBERSHIPS, thing_group_key, thing_membership_key};
use registry::thing_principals::{
    PRINCIPAL_THINGS, THING_PRINCIPALS, principal_thing_key, thing_principal_key,
};
use registry::thing_types::{THING_TYPES, thing_type_key};
use registry::things::{THINGS, thing_key};
use registry::{CERTIFICATES, CertificateRecord};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use store::{Batch, Key, Keyspace, Store};

use crate::{Bearer, Principals, View};

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// Of the certificate.
pub(super) const ID: &str = "0707070707070707070707070707070707070707070707070707070707070707";
pub(super) const IDENTITY: &str = "eu-west-1:11111111-1111-4111-8111-111111111111";
/// The client id is the first thing's name.
const THINGS_NAMED: [&str; 2] = ["t0", "t1"];

/// What policies say. The last three differ only by what a connection's thing is.
const DOCUMENTS: [&str; 5] = [
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"}"#,
    r#"{"Effect":"Deny","Action":"iot:Publish","Resource":"arn:aws:iot:*:*:topic/a"}"#,
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:*:*:topic/${iot:Connection.Thing.ThingName}"}"#,
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:*:*:topic/${iot:Connection.Thing.Attributes[site]}"}"#,
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"arn:aws:iot:*:*:topic/${iot:Connection.Thing.ThingTypeName}"}"#,
];
/// What those tell apart.
const TOPICS: [&str; 6] = ["a", "t0", "t1", "Jena", "Gera", "pump"];

pub(super) fn document(statement: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
}

/// Something that an operation of the API writes. Numbers choose one of two, or of [`DOCUMENTS`].
#[derive(Clone, Debug)]
pub(super) enum Change {
    Certificate(bool),
    Policy(usize, Option<usize>),
    /// Target, policy.
    Attachment(usize, usize, bool),
    /// Thing, whether it is in Jena, whether it has the type.
    Thing(usize, Option<(bool, bool)>),
    /// Principal, thing, whether exclusively.
    Principal(usize, usize, Option<bool>),
    /// Thing, group.
    Membership(usize, usize, bool),
    /// Group, whether it is a child of the other one.
    Group(usize, Option<bool>),
    /// Which attribute travels.
    Type(Option<bool>),
    /// Whether its key is active, what its policy says.
    User(Option<(bool, usize)>),
    Role(Option<usize>),
}

pub(super) fn any_change() -> impl Strategy<Value = Change> {
    let two = || 0..2usize;
    let document = || 0..DOCUMENTS.len();
    let maybe = proptest::option::of::<proptest::bool::Any>;
    prop_oneof![
        any::<bool>().prop_map(Change::Certificate),
        (two(), proptest::option::of(document())).prop_map(|(name, text)| Change::Policy(name, text)),
        (0..4usize, two(), any::<bool>()).prop_map(|(target, name, is)| Change::Attachment(target, name, is)),
        (two(), proptest::option::of(any::<(bool, bool)>())).prop_map(|(name, is)| Change::Thing(name, is)),
        (two(), two(), maybe(proptest::bool::ANY))
            .prop_map(|(who, name, is)| Change::Principal(who, name, is)),
        (two(), two(), any::<bool>()).prop_map(|(thing, group, is)| Change::Membership(thing, group, is)),
        (two(), maybe(proptest::bool::ANY)).prop_map(|(name, is)| Change::Group(name, is)),
        maybe(proptest::bool::ANY).prop_map(Change::Type),
        proptest::option::of((any::<bool>(), document())).prop_map(Change::User),
        proptest::option::of(document()).prop_map(Change::Role),
    ]
}

/// All that there can be.
pub(super) fn everything() -> [Change; 17] {
    [
        Change::Certificate(true),
        Change::Policy(0, Some(0)),
        Change::Policy(1, Some(2)),
        Change::Attachment(0, 0, true),
        Change::Attachment(1, 0, true),
        Change::Attachment(2, 1, true),
        Change::Attachment(3, 1, true),
        Change::Thing(0, Some((true, true))),
        Change::Thing(1, Some((false, true))),
        Change::Principal(0, 0, Some(false)),
        Change::Principal(1, 0, Some(false)),
        Change::Membership(0, 0, true),
        Change::Group(0, Some(true)),
        Change::Group(1, Some(false)),
        Change::Type(Some(true)),
        Change::User(Some((true, 0))),
        Change::Role(Some(0)),
    ]
}

fn certificate_arn() -> String {
    site().arn("cert", ID)
}

/// Who has things: the certificate and the Cognito identity.
fn principal(number: usize) -> String {
    if number == 0 { certificate_arn() } else { IDENTITY.to_owned() }
}

/// To whom policies are attached.
fn target(number: usize) -> String {
    let group = |name| site().arn("thinggroup", name);
    [certificate_arn(), IDENTITY.to_owned(), group("g0"), group("g1")][number].clone()
}

fn set<V: Serialize + DeserializeOwned>(
    batch: &mut Batch,
    space: &Keyspace<V>,
    key: &Key,
    record: Option<Value>,
) {
    match record {
        Some(record) => space.put(batch, key, &serde_json::from_value(record).unwrap()),
        None => space.delete(batch, key),
    }
}

/// The certificate, ACTIVE or not.
pub(super) fn set_certificate(batch: &mut Batch, is_active: bool) {
    let record: CertificateRecord = serde_json::from_value(json!({
        "id": ID, "pem": "", "status": if is_active { "ACTIVE" } else { "INACTIVE" }, "mode": "DEFAULT",
        "created": NOW, "modified": NOW, "not_before": NOW, "not_after": NOW, "generation": "g", "version": 1,
    }))
    .unwrap();
    CERTIFICATES.put(batch, &certificate_key(ID), &record);
}

pub(super) fn set_policy(batch: &mut Batch, name: &str, text: &str) {
    let record = PolicyRecord::new(PolicyName::new(name).unwrap(), text.to_owned(), NOW, "g".to_owned());
    POLICIES.put(batch, &policy_key(name), &record);
}

pub(super) fn attach(batch: &mut Batch, target: &str, name: &str) {
    TARGET_POLICIES.put(batch, &target_policy_key(target, name), &AttachmentRecord { attached: NOW });
}

impl Change {
    pub(super) fn write(&self, batch: &mut Batch) {
        match *self {
            Self::Certificate(is_active) => set_certificate(batch, is_active),
            Self::Policy(name, Some(text)) => {
                set_policy(batch, &format!("p{name}"), &document(DOCUMENTS[text]))
            }
            Self::Policy(name, None) => POLICIES.delete(batch, &policy_key(&format!("p{name}"))),
            Self::Attachment(to, name, true) => attach(batch, &target(to), &format!("p{name}")),
            Self::Attachment(from, name, false) => {
                TARGET_POLICIES.delete(batch, &target_policy_key(&target(from), &format!("p{name}")))
            }
            Self::User(user) => set_user(batch, user),
            Self::Role(text) => set_role(batch, text),
            _ => self.write_things(batch),
        }
    }

    fn write_things(&self, batch: &mut Batch) {
        match *self {
            Self::Thing(name, is) => {
                let name = THINGS_NAMED[name];
                set(batch, &THINGS, &thing_key(name), is.map(|is| thing(name, is)));
            }
            Self::Principal(who, name, exclusively) => {
                let (who, name) = (principal(who), THINGS_NAMED[name]);
                let kind = |is| if is { "EXCLUSIVE_THING" } else { "NON_EXCLUSIVE_THING" };
                let record = exclusively.map(|is| json!({"type": kind(is), "attached": NOW}));
                set(batch, &THING_PRINCIPALS, &thing_principal_key(name, &who), record.clone());
                set(batch, &PRINCIPAL_THINGS, &principal_thing_key(&who, name), record);
            }
            Self::Membership(name, group, is) => {
                let key = thing_membership_key(THINGS_NAMED[name], &format!("g{group}"));
                set(batch, &THING_MEMBERSHIPS, &key, is.then(|| json!({"joined": NOW})));
            }
            Self::Group(number, is) => {
                let name = format!("g{number}");
                let parent = |is: bool| is.then(|| format!("g{}", 1 - number));
                let group =
                    |is| json!({"name": name, "id": "1", "version": 1, "created": NOW, "parent": parent(is)});
                set(batch, &THING_GROUPS, &thing_group_key(&name), is.map(group));
            }
            Self::Type(is) => set(batch, &THING_TYPES, &thing_type_key("pump"), is.map(thing_type)),
            _ => unreachable!("written before"),
        }
    }
}

fn thing(name: &str, (is_in_jena, has_type): (bool, bool)) -> Value {
    json!({
        "name": name, "id": "2", "type_name": has_type.then_some("pump"), "version": 1, "created": NOW, "modified": NOW,
        "attributes": {"site": if is_in_jena { "Jena" } else { "Gera" }},
    })
}

fn thing_type(site_travels: bool) -> Value {
    let travelling = match site_travels {
        true => json!({"user_property_key": "k", "thing_attribute": "site"}),
        false => json!({"user_property_key": "k", "connection_attribute": "iot:Thing.ThingName"}),
    };
    json!({"name": "pump", "id": "1", "created": NOW, "properties": {"propagating_attributes": [travelling]}})
}

fn set_user(batch: &mut Batch, user: Option<(bool, usize)>) {
    let record = user.map(|(is_active, text)| {
        let status = if is_active { "Active" } else { "Inactive" };
        json!({
            "name": "u", "id": "AIDA1", "created": NOW, "from_configuration": false,
            "access_keys": [{"id": "AKIA", "secret": "s", "status": status, "created": NOW}],
            "policies": {"p": document(DOCUMENTS[text])},
        })
    });
    set(batch, &IAM_USERS, &user_key("u"), record);
}

fn set_role(batch: &mut Batch, text: Option<usize>) {
    let record = text.map(|text| {
        json!({
            "name": "r", "id": "AROA1", "created": NOW, "from_configuration": false, "description": null,
            "max_session_seconds": 3600, "trust": "{}", "policies": {"p": document(DOCUMENTS[text])},
        })
    });
    set(batch, &IAM_ROLES, &role_key("r"), record);
}

pub(super) fn site() -> Site {
    let (region, account) = (Region::new("eu-west-1").unwrap(), AccountId::new("123456789012").unwrap());
    Site { region, account }
}

pub(super) fn principals(store: impl Store + 'static) -> Principals {
    Principals::new(Arc::new(site()), Arc::new(store), Arc::new(Dialect::aws()))
}

pub(super) fn bearer(principal: Principal) -> Bearer {
    Bearer {
        principal,
        certificate: None,
        client_id: Some(ClientId::new(THINGS_NAMED[0]).unwrap()),
        peer: "127.0.0.1:40000".parse().unwrap(),
        server_name: None,
        grant: None,
    }
}

pub(super) fn certificate() -> Bearer {
    bearer(Principal::Certificate(CertificateId::new(ID).unwrap()))
}

/// One whose view is made from AWS IoT policies, one from IAM's, one from both.
pub(super) fn everybody() -> [Bearer; 3] {
    let signed = |access_key_id: &str, unique_id: &str, kind, cognito| {
        let (access_key_id, unique_id) = (access_key_id.into(), unique_id.into());
        let who = IamPrincipal {
            access_key_id,
            unique_id,
            kind,
            cognito,
            device: None,
            session_policy: None,
            issued: None,
        };
        bearer(Principal::Iam(Arc::new(who)))
    };
    let identity =
        CognitoIdentity { id: IDENTITY.into(), pool_id: "eu-west-1:p".into(), authenticated: true };
    let role = IamKind::Role { name: "r".into(), session: "s".into() };
    [
        certificate(),
        signed("AKIA", "AIDA1", IamKind::User("u".into()), None),
        signed("ASIA", "AROA1:s", role, Some(identity)),
    ]
}

pub(super) fn may_publish(view: &View, topic: &str) -> bool {
    let decision = view.authorizer.decide("iot:Publish", "topic", topic, ConnectFacts::default(), NOW);
    decision.outcome == Outcome::Allowed
}

/// All that a connection can tell of its view.
pub(super) fn told(view: &View) -> String {
    let decide = |topic| view.authorizer.decide("iot:Publish", "topic", topic, ConnectFacts::default(), NOW);
    let decisions: Vec<_> = TOPICS.into_iter().map(decide).collect();
    let View { status, revoked, is_exclusive, propagates, .. } = view;
    let context = view.authorizer.context();
    format!("{status:?} {revoked:?} {is_exclusive} {propagates:?} {context:?} {decisions:?}")
}
