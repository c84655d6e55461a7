//! Bytes of a damaged store as its records: messages of the journal, tags, and every JSON record of the registry. They are
//! read or refused; what was read is written and read again as the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use registry::{
    attachments, authorizers, billing_groups, ca_certificates, certificates, domain_configurations, iam,
    logging, order, policies, provisioning_templates, server_certificates, tags, thing_groups,
    thing_principals, thing_types, things,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use session::stored;
use store::Keyspace;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice {
        0 => message(bytes),
        1 => tag(bytes),
        _ => record(*choice, bytes),
    }
});

fn message(bytes: &[u8]) {
    let Some(message) = stored::decode(&Bytes::copy_from_slice(bytes)) else { return };
    let again = stored::decode(&stored::encode(&message));
    assert_eq!(again, Some(message), "what was read reads back differently");
}

fn tag(bytes: &[u8]) {
    let Some(tag) = stored::Tag::decode(bytes) else { return };
    let _ = stored::Tag::decode(&tag.encode(usize::MAX)).expect("what was read can be written");
}

/// A record of one of the families.
fn record(choice: u8, bytes: &[u8]) {
    match choice % 20 {
        0 => same(&certificates::CERTIFICATES, bytes),
        1 => same(&policies::POLICIES, bytes),
        2 => same(&things::THINGS, bytes),
        3 => same(&thing_groups::THING_GROUPS, bytes),
        4 => same(&thing_types::THING_TYPES, bytes),
        5 => same(&attachments::POLICY_TARGETS, bytes),
        6 => same(&authorizers::AUTHORIZERS, bytes),
        7 => same(&domain_configurations::DOMAIN_CONFIGURATIONS, bytes),
        8 => same(&server_certificates::SERVER_CERTIFICATES, bytes),
        9 => same(&ca_certificates::CA_CERTIFICATES, bytes),
        10 => same(&provisioning_templates::PROVISIONING_TEMPLATES, bytes),
        11 => same(&thing_principals::THING_PRINCIPALS, bytes),
        12 => same(&billing_groups::BILLING_GROUPS, bytes),
        13 => same(&logging::LOGGING_LEVELS, bytes),
        14 => same(&order::ORDER, bytes),
        15 => same(&tags::TAGS, bytes),
        16 => same(&thing_groups::THING_MEMBERSHIPS, bytes),
        17 => same(&iam::IAM_USERS, bytes),
        18 => same(&iam::IAM_ROLES, bytes),
        _ => same(&iam::cognito::IDENTITY_POOLS, bytes),
    }
}

/// The keyspace tells which type its records have.
fn same<V: Serialize + DeserializeOwned>(_: &Keyspace<V>, bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<V>(bytes) else { return };
    let written = serde_json::to_vec(&record).expect("a record can be written");
    let again: V = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("written"), written, "what was read reads back differently");
}
