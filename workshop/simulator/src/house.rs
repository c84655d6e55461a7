//! A running process: the production broker and services over the simulated disk, with the loops that the product runs
//! beside them. Nothing of the broker is built again here.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use broker::{Broker, BrokerParts, Credential, Durability};
use dialect::Dialect;
use events::{Observer, Observers};
use identity::{AccountId, CertificateId, Principal, Region, Site, Timestamp};
use models::heard::Ears;
use models::rules::{ACCOUNT, REGION, certificate_id};
use pki::{CertificateAuthority, Serial};
use registry::CertificateRecord;
use services::commit::Records;
use services::{EndpointAddress, Services, ServicesParts};
use store::{Batch, Journal, Store, StoreError, block_on};

use crate::bill::Bill;
use crate::clock::{Clock, START};
use crate::disk::Disk;
use crate::rng::Rng;
use crate::tasks::Task;

/// How often the product looks at the time at least.
const TICK: Duration = Duration::from_secs(1);

static AUTHORITY: LazyLock<Option<Arc<CertificateAuthority>>> = LazyLock::new(|| {
    CertificateAuthority::generate("simulator", Serial::from_random([7; 16]), START).ok().map(Arc::new)
});

/// What a client shows.
pub fn credential(client: usize) -> Option<Credential> {
    let id = CertificateId::new(&certificate_id(client)).ok()?;
    Some(Credential::of(Principal::Certificate(id)))
}

/// Puts the certificate of a client into the registry, ACTIVE.
pub fn register(disk: &Disk, client: usize) {
    let id = certificate_id(client);
    let pem = AUTHORITY.as_ref().map(|authority| authority.certificate().pem()).unwrap_or_default();
    let json = serde_json::json!({
        "id": id, "pem": pem, "status": "ACTIVE", "mode": "DEFAULT", "created": START, "modified": START,
        "not_before": START, "not_after": START, "generation": "g", "version": 1,
    });
    let Ok(record) = serde_json::from_value::<CertificateRecord>(json) else { return };
    let mut batch = Batch::new();
    registry::CERTIFICATES.put(&mut batch, &registry::certificates::certificate_key(&id), &record);
    let _into_memory = block_on(disk.records().commit(batch));
}

/// A process.
pub struct House {
    /// The production broker.
    pub broker: Broker,
    /// The production services.
    pub services: Services,
    /// What it bills.
    pub bill: Arc<Bill>,
    work: Task<()>,
    feed: Task<Result<(), StoreError>>,
    /// When the time is to be looked at.
    pub tick: Timestamp,
    /// Its loops have ended, which they must not.
    pub is_broken: bool,
    stopped: bool,
}

/// What a process is made of.
#[derive(Clone)]
pub struct Plan {
    /// How it speaks.
    pub dialect: Arc<Dialect>,
    /// What a PUBACK promises.
    pub durability: Durability,
    /// Billing misses one delivery.
    pub miscounts: bool,
    /// It dies while it starts, after so many polls.
    pub dies_after: Option<u64>,
}

/// Why a process does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstarted {
    /// The disk does not answer.
    Failed,
    /// It was killed before it had started.
    Died,
}

impl House {
    /// Starts one: recovers what the disk holds.
    ///
    /// # Errors
    /// The disk does not answer, or the plan is that it dies.
    pub fn start(
        plan: &Plan,
        disk: &Disk,
        clock: &Clock,
        ears: &Arc<Ears>,
        seed: u64,
    ) -> Result<Self, Unstarted> {
        let made = Self::make(plan, disk, clock, ears, seed).ok_or(Unstarted::Failed)?;
        recover(&made.broker, disk, clock, plan.dies_after)?;
        Ok(Self { tick: clock.now(), ..made })
    }

    fn make(plan: &Plan, disk: &Disk, clock: &Clock, ears: &Arc<Ears>, seed: u64) -> Option<Self> {
        let site =
            Arc::new(Site { region: Region::new(REGION).ok()?, account: AccountId::new(ACCOUNT).ok()? });
        let bill = Arc::new(Bill::new(clock.now(), plan.miscounts));
        let observers = Observers::new([ears.clone() as Arc<dyn Observer>, bill.clone()]);
        let store: Arc<dyn Store> = Arc::new(disk.clone());
        let broker = Broker::new(BrokerParts {
            site: site.clone(),
            dialect: plan.dialect.clone(),
            store: store.clone(),
            journal: Some(Arc::new(disk.clone()) as Arc<dyn Journal>),
            durability: plan.durability,
            observers: observers.clone(),
            seed,
        });
        let services = Services::new(ServicesParts {
            broker: broker.clone(),
            records: Records::new(store, observers.clone()),
            site,
            authority: AUTHORITY.clone()?,
            observers,
            endpoint: EndpointAddress::new("simulated"),
            entropy: Arc::new(entropy(seed)),
        });
        let (work, feed) = loops(&broker, clock);
        let tick = clock.now();
        Some(Self { broker, services, bill, work, feed, tick, is_broken: false, stopped: false })
    }

    /// Lets its loops go on, and looks at the time: true if anything was done.
    pub fn turn(&mut self, now: Timestamp) -> bool {
        let woken = self.work.is_woken() || self.feed.is_woken();
        let ended = self.work.turn().is_some() | self.feed.turn().is_some();
        self.is_broken |= ended && !self.stopped;
        let due = self.tick <= now;
        if due {
            self.tick = self.broker.on_time(now).min(now + TICK).max(now + Duration::from_millis(1));
        }
        woken || due
    }

    /// True if its loops wait for something.
    pub fn is_idle(&self) -> bool {
        // A record that could not be written waits to be written again.
        !self.work.is_woken() && !self.feed.is_woken() && self.broker.waiting_writes().0 == 0
    }

    /// It is to stop in order.
    pub fn stop(&mut self, now: Timestamp) {
        self.stopped = true;
        self.broker.shutdown(now);
        self.broker.finish();
    }
}

fn loops(broker: &Broker, clock: &Clock) -> (Task<()>, Task<Result<(), StoreError>>) {
    let (one, time) = (broker.clone(), clock.clone());
    let work = Task::new(async move { one.work(&move || time.now()).await });
    let (other, time) = (broker.clone(), clock.clone());
    let feed = Task::new(async move { other.follow_feed(&move || time.now()).await });
    (work, feed)
}

fn recover(broker: &Broker, disk: &Disk, clock: &Clock, dies_after: Option<u64>) -> Result<(), Unstarted> {
    let (recovered, now) = (broker.clone(), clock.now());
    let mut task = Task::new(async move { recovered.recover(now).await });
    for poll in 0..100_000 {
        if let Some(outcome) = task.turn() {
            return outcome.map(|_| ()).map_err(|_| Unstarted::Failed);
        }
        if dies_after.is_some_and(|polls| poll >= polls) {
            return Err(Unstarted::Died);
        }
        if !disk.turn() {
            clock.move_to(disk.next().min(clock.now() + TICK));
        }
    }
    Err(Unstarted::Failed)
}

fn entropy(seed: u64) -> impl Fn(&mut [u8]) + Send + Sync {
    let rng = parking_lot::Mutex::new(Rng::new(seed ^ 0x656e_7472));
    move |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte = rng.lock().next() as u8)
}
