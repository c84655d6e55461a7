//! The scene in which the tests of all operations play: services over a store in memory.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use broker::{Broker, BrokerParts};
use dialect::Dialect;
use events::Observers;
use identity::{AccountId, Region, Site, Timestamp};
use pki::{CertificateAuthority, Serial};
use store::memory::MemoryStore;

use crate::{EndpointAddress, Services, ServicesParts};

/// When the tests play.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

static AUTHORITY: LazyLock<Arc<CertificateAuthority>> = LazyLock::new(|| {
    Arc::new(CertificateAuthority::generate("test", Serial::from_random([7; 16]), NOW).unwrap())
});

/// Services over an empty store.
pub(crate) struct Scene {
    pub services: Services,
    pub store: MemoryStore,
}

impl Scene {
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let site = Site {
            region: Region::new("eu-west-1").unwrap(),
            account: AccountId::new("123456789012").unwrap(),
        };
        let site = Arc::new(site);
        let broker = Broker::new(BrokerParts {
            site: site.clone(),
            dialect: Arc::new(Dialect::aws()),
            store: Arc::new(store.clone()),
            observers: Observers::default(),
            seed: 1,
        });
        let counter = AtomicU8::new(0);
        let entropy = move |bytes: &mut [u8]| bytes.fill(counter.fetch_add(1, Ordering::Relaxed));
        let services = Services::new(ServicesParts {
            broker,
            store: Arc::new(store.clone()),
            site,
            authority: AUTHORITY.clone(),
            observers: Observers::default(),
            endpoint: EndpointAddress::new("iot.test"),
            entropy: Arc::new(entropy),
        });
        Self { services, store }
    }

    pub fn run<F: Future>(&self, future: F) -> F::Output {
        store::block_on(future)
    }
}
