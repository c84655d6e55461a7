//! Bytes of a damaged store, as a start reads them: messages of the journal and their tags, the blocks of its queues, sessions,
//! wills, retained messages, and every JSON record of the registry. They are read or refused; what was read is written and read
//! again as the same. The first byte chooses the reader.
#![no_main]
#![allow(dead_code)]

// The store's own files: what the bytes of its tables mean is nobody else's business.
#[path = "../../crates/store-redb/src/error.rs"]
mod error;
#[path = "../../crates/store-redb/src/layout.rs"]
mod layout;
#[path = "../../crates/store-redb/src/queues.rs"]
mod queues;

#[path = "records/blocks.rs"]
mod blocks;
#[path = "records/start.rs"]
mod start;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use registry::{
    account, attachments, authorizers, billing_groups, ca_certificates, certificates, domain_configurations,
    guard, iam, logging, order, policies, provisioning_templates, server_certificates, tags, thing_groups,
    thing_principals, thing_types, things,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use session::stored;
use store::Keyspace;

/// The readers that are not of the registry. The seeds know their numbers.
static OTHERS: [fn(&[u8]); 7] =
    [message, tag, blocks::block, start::queue, start::session, start::will, start::retained];

/// A record of each space of the registry. The seeds know their order; tests/blackbox/test_fuzz_runner.py that none is missing.
static SPACES: [fn(&[u8]); 37] = [
    |bytes| same(&account::REGISTRATION_CODE, bytes),
    |bytes| same(&attachments::POLICY_TARGETS, bytes),
    |bytes| same(&attachments::TARGET_POLICIES, bytes),
    |bytes| same(&authorizers::AUTHORIZERS, bytes),
    |bytes| same(&authorizers::DEFAULT_AUTHORIZER, bytes),
    |bytes| same(&billing_groups::BILLING_GROUPS, bytes),
    |bytes| same(&billing_groups::BILLING_GROUP_THINGS, bytes),
    |bytes| same(&ca_certificates::CA_CERTIFICATES, bytes),
    |bytes| same(&ca_certificates::CA_SUBJECTS, bytes),
    |bytes| same(&certificates::CERTIFICATES, bytes),
    |bytes| same(&certificates::SIGNED_PARTS, bytes),
    |bytes| same(&domain_configurations::DOMAIN_CONFIGURATIONS, bytes),
    |bytes| same(&domain_configurations::DOMAIN_NAMES, bytes),
    |bytes| same(&guard::GUARDS, bytes),
    |bytes| same(&iam::cognito::IDENTITY_POOLS, bytes),
    |bytes| same(&iam::cognito::COGNITO_IDENTITIES, bytes),
    |bytes| same(&iam::cognito::POOL_IDENTITIES, bytes),
    |bytes| same(&iam::cognito::LOGINS, bytes),
    |bytes| same(&iam::IAM_ROLES, bytes),
    |bytes| same(&iam::IAM_USERS, bytes),
    |bytes| same(&iam::IAM_ACCESS_KEYS, bytes),
    |bytes| same(&logging::LOGGING_OPTIONS, bytes),
    |bytes| same(&logging::LOGGING_LEVELS, bytes),
    |bytes| same(&order::ORDER, bytes),
    |bytes| same(&policies::POLICIES, bytes),
    |bytes| same(&provisioning_templates::PROVISIONING_TEMPLATES, bytes),
    |bytes| same(&server_certificates::SERVER_CERTIFICATES, bytes),
    |bytes| same(&tags::TAGS, bytes),
    |bytes| same(&thing_groups::THING_GROUPS, bytes),
    |bytes| same(&thing_groups::GROUP_CHILDREN, bytes),
    |bytes| same(&thing_groups::THING_MEMBERSHIPS, bytes),
    |bytes| same(&thing_groups::GROUP_MEMBERS, bytes),
    |bytes| same(&thing_principals::THING_PRINCIPALS, bytes),
    |bytes| same(&thing_principals::PRINCIPAL_THINGS, bytes),
    |bytes| same(&thing_types::THING_TYPES, bytes),
    |bytes| same(&thing_types::TYPE_THINGS, bytes),
    |bytes| same(&things::THINGS, bytes),
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let choice = usize::from(*choice) % (OTHERS.len() + SPACES.len());
    let reader = OTHERS.get(choice).or_else(|| SPACES.get(choice - OTHERS.len()));
    reader.expect("a reader")(bytes);
});

fn message(bytes: &[u8]) {
    let Some(message) = stored::decode(&Bytes::copy_from_slice(bytes)) else { return };
    let again = stored::decode(&stored::encode(&message));
    assert_eq!(again, Some(message), "what was read reads back differently");
}

fn tag(bytes: &[u8]) {
    let Some(tag) = stored::Tag::decode(bytes) else { return };
    assert_eq!(
        stored::Tag::decode(&tag.encode(usize::MAX)),
        Some(tag),
        "what was read reads back differently"
    );
}

/// The keyspace tells which type its records have. `thingcore check` says of a record what a start will.
fn same<V: Serialize + DeserializeOwned>(keyspace: &Keyspace<V>, bytes: &[u8]) {
    let read = serde_json::from_slice::<V>(bytes);
    if let Some(said) = registry::readable(keyspace.space().as_str(), bytes) {
        assert_eq!(said.is_ok(), read.is_ok(), "the check says something else: {said:?}");
    }
    let Ok(record) = read else { return };
    let written = serde_json::to_vec(&record).expect("a record can be written");
    let again: V = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("written"), written, "what was read reads back differently");
}
