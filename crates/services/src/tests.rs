//! The scene in which the tests of all operations play: services over a store in memory, and somebody who meddles.

mod invariants;

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use broker::{Broker, BrokerParts};
use dialect::Dialect;
use events::Observers;
use identity::{AccountId, Region, Site, Timestamp};
use pki::{CertificateAuthority, Serial};
use store::Store;
use store::memory::{MemoryStore, Overtaken};

pub(crate) use invariants::check_store;

use crate::commit::Records;
use crate::shapes::*;
use crate::{ApiError, EndpointAddress, ErrorCode, Services, ServicesParts};

/// When the tests play.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;

/// A template of type JITP: a thing named after the common name, and a policy.
pub(crate) const JITP: &str = r#"{
    "Parameters": { "AWS::IoT::Certificate::CommonName": { "Type": "String" },
                    "AWS::IoT::Certificate::Id": { "Type": "String" } },
    "Resources": {
        "thing": { "Type": "AWS::IoT::Thing", "Properties": {
            "ThingName": { "Ref": "AWS::IoT::Certificate::CommonName" },
            "AttributePayload": { "version": "v1" } } },
        "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
            "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" }, "Status": "ACTIVE" } },
        "policy": { "Type": "AWS::IoT::Policy", "Properties": {
            "PolicyDocument":
                "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}]}" } }
    }
}"#;

pub(crate) static AUTHORITY: LazyLock<Arc<CertificateAuthority>> = LazyLock::new(|| {
    Arc::new(CertificateAuthority::generate("test", Serial::from_random([7; 16]), NOW).unwrap())
});

fn services(store: Arc<dyn Store>, first_byte: u8) -> Services {
    let site =
        Site { region: Region::new("eu-west-1").unwrap(), account: AccountId::new("123456789012").unwrap() };
    let site = Arc::new(site);
    let broker = Broker::new(BrokerParts {
        site: site.clone(),
        dialect: Arc::new(Dialect::aws()),
        store: store.clone(),
        observers: Observers::default(),
        journal: None,
        durability: broker::Durability::Group,
        seed: 1,
    });
    let counter = AtomicU8::new(first_byte);
    let entropy = move |bytes: &mut [u8]| bytes.fill(counter.fetch_add(1, Ordering::Relaxed));
    Services::new(ServicesParts {
        broker,
        records: Records::new(store, Observers::default()),
        site,
        authority: AUTHORITY.clone(),
        observers: Observers::default(),
        endpoint: EndpointAddress::new("iot.test"),
        entropy: Arc::new(entropy),
    })
}

/// Services over an empty store.
pub(crate) struct Scene {
    pub services: Services,
    pub store: MemoryStore,
    contended: Overtaken,
}

impl Scene {
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let contended = Overtaken::new(store.clone());
        Self { services: services(Arc::new(contended.clone()), 0), store, contended }
    }

    pub fn run<F: Future>(&self, future: F) -> F::Output {
        store::block_on(future)
    }

    /// Before the next commit, `act` happens; once for each call.
    pub fn meddle(&self, act: impl FnOnce(&Services) + Send + 'static) {
        self.contended.overtake(|store| act(&services(Arc::new(store.clone()), 128)));
    }

    pub fn policy(&self, name: &str) {
        self.run(self.services.create_policy(policy(name), NOW)).unwrap();
    }

    /// A registered certificate; answers id and ARN.
    pub fn certificate(&self, status: CertificateStatus) -> (String, String) {
        let input = RegisterCertificateWithoutCARequest { certificate_pem: any_pem(), status: Some(status) };
        let made = self.run(self.services.register_certificate_without_ca(input, NOW)).unwrap();
        (made.certificate_id.unwrap(), made.certificate_arn.unwrap())
    }

    pub fn attach(&self, policy: &str, target: &str) -> Result<(), ApiError> {
        self.run(self.services.attach_policy(attach(policy, target), NOW))
    }

    pub fn thing(&self, name: &str) {
        let input = CreateThingRequest { thing_name: name.into(), ..Default::default() };
        self.run(self.services.create_thing(input, NOW)).unwrap();
    }

    pub fn attach_thing(
        &self,
        thing: &str,
        principal: &str,
        kind: Option<ThingPrincipalType>,
    ) -> Result<(), ApiError> {
        let input = AttachThingPrincipalRequest {
            principal: principal.into(),
            thing_name: thing.into(),
            thing_principal_type: kind,
        };
        self.run(self.services.attach_thing_principal(input, NOW)).map(|_| ())
    }

    /// Creates a group; answers its ARN.
    pub fn group(&self, name: &str, parent: Option<&str>) -> Result<String, ApiError> {
        let made = self.run(self.services.create_thing_group(group(name, parent), NOW))?;
        Ok(made.thing_group_arn.unwrap())
    }

    pub fn join(&self, thing: &str, group: &str) -> Result<(), ApiError> {
        self.run(self.services.add_thing_to_thing_group(join(thing, group), NOW)).map(|_| ())
    }
}

pub(crate) fn policy(name: &str) -> CreatePolicyRequest {
    CreatePolicyRequest { policy_document: ALLOW.into(), policy_name: name.into(), tags: None }
}

pub(crate) fn attach(policy: &str, target: &str) -> AttachPolicyRequest {
    AttachPolicyRequest { policy_name: policy.into(), target: target.into() }
}

pub(crate) fn group(name: &str, parent: Option<&str>) -> CreateThingGroupRequest {
    CreateThingGroupRequest {
        thing_group_name: name.into(),
        parent_group_name: parent.map(Into::into),
        ..Default::default()
    }
}

pub(crate) fn join(thing: &str, group: &str) -> AddThingToThingGroupRequest {
    AddThingToThingGroupRequest {
        thing_name: Some(thing.into()),
        thing_group_name: Some(group.into()),
        ..Default::default()
    }
}

/// A certificate that nobody has seen yet.
pub(crate) fn any_pem() -> String {
    AUTHORITY.issue_server(&["device"], Serial::from_random([9; 16]), NOW).unwrap().certificate.pem()
}

/// The exception that an operation answered.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> ErrorCode {
    result.unwrap_err().code
}

#[test]
fn a_store_that_is_down_is_told_apart() {
    let scene = Scene::new();
    scene.store.fail("unplugged");
    let input = DescribeThingRequest { thing_name: "t".into() };
    let error = scene.run(scene.services.describe_thing(input, NOW)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ServiceUnavailable);
    assert!(!error.message.contains("unplugged"), "the caller need not know our disks");
}

#[test]
fn who_is_always_overtaken_gives_up() {
    let scene = Scene::new();
    scene.thing("t");
    let update = |value: String| UpdateThingRequest {
        thing_name: "t".into(),
        attribute_payload: Some(AttributePayload {
            attributes: Some([("a".to_owned(), value)].into()),
            merge: None,
        }),
        ..Default::default()
    };
    for turn in 0..100 {
        scene.meddle(move |other| {
            store::block_on(other.update_thing(update(turn.to_string()), NOW)).unwrap();
        });
    }
    let result = scene.run(scene.services.update_thing(update("mine".into()), NOW));
    assert_eq!(code(result), ErrorCode::Throttling);
}
