//! The scene in which the tests of all operations play: access and services over one store in memory, and somebody who
//! is faster.

mod functions;
mod invariants;

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use broker::{Broker, BrokerParts};
use dialect::Dialect;
use events::Observers;
use identity::{AccountId, Region, Site, Timestamp};
use pki::{CertificateAuthority, Serial};
use services::commit::Records;
use services::{ApiError, EndpointAddress, Entropy, ErrorCode, Services, ServicesParts};
use store::Store;
use store::memory::{MemoryStore, Overtaken};

pub(crate) use functions::{FUNCTION, Scripted};
pub(crate) use invariants::check_store;

use crate::{Access, AccessParts, Functions, NoFunctions, OwnerKeys, SessionKey};

/// When the tests play.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

static AUTHORITY: LazyLock<Arc<CertificateAuthority>> = LazyLock::new(|| {
    Arc::new(CertificateAuthority::generate("test", Serial::from_random([7; 16]), NOW).unwrap())
});

fn site() -> Site {
    Site { region: Region::new("eu-west-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
}

fn entropy(first_byte: u8) -> Arc<dyn Entropy> {
    let counter = AtomicU8::new(first_byte);
    Arc::new(move |bytes: &mut [u8]| bytes.fill(counter.fetch_add(1, Ordering::Relaxed)))
}

fn broker(store: &Arc<dyn Store>) -> Broker {
    Broker::new(BrokerParts {
        site: Arc::new(site()),
        dialect: Arc::new(Dialect::aws()),
        store: Arc::clone(store),
        observers: Observers::default(),
        journal: None,
        durability: broker::Durability::Group,
        seed: 1,
    })
}

fn access(store: Arc<dyn Store>, first_byte: u8, functions: Arc<dyn Functions>) -> Access {
    Access::new(AccessParts {
        broker: broker(&store),
        records: Records::new(store, Observers::default()),
        site: Arc::new(site()),
        authority: AUTHORITY.clone(),
        endpoint: EndpointAddress::new("iot.test"),
        entropy: entropy(first_byte),
        owner_keys: OwnerKeys::new([("AKIAOWNER".to_owned(), "owner".to_owned())]),
        session_key: SessionKey::new([7; 32]),
        functions,
    })
}

/// What can be done beside: tags.
fn services(store: Arc<dyn Store>) -> Services {
    Services::new(ServicesParts {
        broker: broker(&store),
        records: Records::new(store, Observers::default()),
        site: Arc::new(site()),
        authority: AUTHORITY.clone(),
        observers: Observers::default(),
        endpoint: EndpointAddress::new("iot.test"),
        entropy: entropy(200),
    })
}

/// Access and services over an empty store.
pub(crate) struct Scene {
    pub access: Access,
    pub services: Services,
    pub store: MemoryStore,
    pub functions: Arc<Scripted>,
    contended: Overtaken,
}

impl Scene {
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let contended = Overtaken::new(store.clone());
        let functions = Arc::new(Scripted::default());
        Self {
            access: access(Arc::new(contended.clone()), 0, functions.clone()),
            services: services(Arc::new(store.clone())),
            store,
            functions,
            contended,
        }
    }

    pub fn run<F: Future>(&self, future: F) -> F::Output {
        store::block_on(future)
    }

    /// Before the next commit, `act` happens; once for each call.
    pub fn meddle(&self, act: impl FnOnce(&Access) + Send + 'static) {
        self.contended.overtake(|store| act(&access(Arc::new(store.clone()), 128, Arc::new(NoFunctions))));
    }
}

/// The exception that an operation answered.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> ErrorCode {
    result.unwrap_err().code
}
