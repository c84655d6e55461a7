//! Who waits while a key is made.

use std::sync::atomic::{AtomicUsize, Ordering};

use broker::{Broker, BrokerParts, Durability};
use dialect::Dialect;
use events::Observers;
use identity::{AccountId, Region, Site};
use pki::{CertificateAuthority, Serial};
use services::commit::Records;
use services::{EndpointAddress, ServicesParts};
use store::memory::MemoryStore;

use super::*;
use crate::exchange::tests::NOW;

fn services() -> Arc<Services> {
    let (region, account) = (Region::new("eu-west-1").unwrap(), AccountId::new("123456789012").unwrap());
    let (site, store) = (Arc::new(Site { region, account }), Arc::new(MemoryStore::new()));
    let broker = Broker::new(BrokerParts {
        site: Arc::clone(&site),
        dialect: Arc::new(Dialect::aws()),
        store: store.clone(),
        observers: Observers::default(),
        journal: None,
        durability: Durability::Group,
        seed: 1,
    });
    let authority = CertificateAuthority::generate("test", Serial::from_random([7; 16]), NOW).unwrap();
    Arc::new(Services::new(ServicesParts {
        broker,
        records: Records::new(store, Observers::default()),
        site,
        authority: Arc::new(authority),
        observers: Observers::default(),
        endpoint: EndpointAddress::new("iot.test"),
        entropy: Arc::new(|bytes: &mut [u8]| bytes.fill(1)),
    }))
}

#[tokio::test]
async fn others_are_served_while_a_key_is_made() {
    let (services, bench) = (services(), Workbench::new(1));
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    // The only thread of this runtime serves them when whoever makes the key lets it go.
    let others = tokio::spawn(async move {
        loop {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let made = create_keys(&services, &bench, Decoded::default(), NOW).await.unwrap();
    assert!(served.load(Ordering::Relaxed) > 0);
    others.abort();
    let key = made.members["keyPair"]["PrivateKey"].as_str().unwrap();
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(made.members.contains_key("certificateId"));
}
