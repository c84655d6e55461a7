//! The scene in which the tests of all operations play: services over a store in memory, and somebody who meddles.

mod functions;
mod invariants;

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use broker::{Broker, BrokerParts};
use dialect::Dialect;
use events::Observers;
use identity::{AccountId, Region, Site, Timestamp};
use parking_lot::Mutex;
use pki::{CertificateAuthority, Serial};
use store::memory::MemoryStore;
use store::{Batch, Boxed, CommitError, Entry, Feed, Revision, Space, Store, StoreError, Versioned};

pub(crate) use functions::{FUNCTION, Scripted};
pub(crate) use invariants::check_store;

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

/// What the meddler does before the next commit.
type Hook = Box<dyn FnOnce(&Services) + Send>;

/// A store in memory in which somebody else may be faster.
#[derive(Clone)]
struct Meddled {
    inner: MemoryStore,
    hooks: Arc<Mutex<Vec<Hook>>>,
}

impl Store for Meddled {
    fn get<'a>(&'a self, space: Space, key: &'a [u8]) -> Boxed<'a, Result<Option<Versioned>, StoreError>> {
        self.inner.get(space, key)
    }

    fn scan<'a>(
        &'a self,
        space: Space,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.inner.scan(space, prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Boxed<'_, Result<Revision, CommitError>> {
        let hook = self.hooks.lock().pop();
        if let Some(hook) = hook {
            hook(&services(Arc::new(self.inner.clone()), 128));
        }
        self.inner.commit(batch)
    }

    fn revision(&self) -> Boxed<'_, Result<Revision, StoreError>> {
        self.inner.revision()
    }

    fn feed(&self, after: Revision) -> Box<dyn Feed> {
        self.inner.feed(after)
    }
}

fn services(store: Arc<dyn Store>, first_byte: u8) -> Services {
    services_with(store, first_byte, Arc::new(crate::NoFunctions))
}

fn services_with(store: Arc<dyn Store>, first_byte: u8, functions: Arc<dyn crate::Functions>) -> Services {
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
        owner_keys: crate::OwnerKeys::new([("AKIAOWNER".to_owned(), "owner".to_owned())]),
        session_key: crate::SessionKey::new([7; 32]),
        broker,
        store,
        site,
        authority: AUTHORITY.clone(),
        observers: Observers::default(),
        endpoint: EndpointAddress::new("iot.test"),
        entropy: Arc::new(entropy),
        functions,
    })
}

/// Services over an empty store.
pub(crate) struct Scene {
    pub services: Services,
    pub store: MemoryStore,
    pub functions: Arc<Scripted>,
    hooks: Arc<Mutex<Vec<Hook>>>,
}

impl Scene {
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let hooks = Arc::new(Mutex::new(Vec::new()));
        let meddled = Meddled { inner: store.clone(), hooks: hooks.clone() };
        let functions = Arc::new(Scripted::default());
        Self { services: services_with(Arc::new(meddled), 0, functions.clone()), store, functions, hooks }
    }

    pub fn run<F: Future>(&self, future: F) -> F::Output {
        store::block_on(future)
    }

    /// Before the next commit, `act` happens; once for each call.
    pub fn meddle(&self, act: impl FnOnce(&Services) + Send + 'static) {
        self.hooks.lock().insert(0, Box::new(act));
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
