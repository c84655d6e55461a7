//! The house while it serves, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use events::{Event, Listening, Observers, StoreFailed};
use gateway::{Clock, Door, Gateway};
use store_redb::RedbStore;
use telemetry::{LogThread, OtlpThread};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::ServeProblem;
use super::bind::Bound;
use super::compose::House;
use super::metering::MeteringThread;
use super::server_certificate::CertificateWatch;
use crate::data_dir::Lock;

/// Expiry of sessions is looked at this often at least.
const TICK: Duration = Duration::from_secs(1);

/// Serving.
pub struct Running {
    broker: Broker,
    gateway: Gateway,
    store: Arc<RedbStore>,
    clock: Clock,
    closing: watch::Sender<bool>,
    feed: JoinHandle<String>,
    work: JoinHandle<()>,
    administration: JoinSet<()>,
    metering: Option<MeteringThread>,
    log: LogThread,
    export: Option<OtlpThread>,
    _lock: Lock,
}

impl Running {
    /// Accepts on every listener. Devices are served by the runtime that this is called in.
    pub fn start(house: House, bound: Bound, admin: &Runtime) -> Self {
        let House {
            broker,
            gateway,
            api,
            access: _,
            admin: metrics,
            store,
            clock,
            certificate,
            plain_principal,
            observers,
            divergences: _,
            metering,
            logging,
            log,
            export,
            lock,
        } = house;
        // First of all: from here on no change passes a live connection by.
        let feed = tokio::spawn(follow(broker.clone(), clock.clone(), observers.clone()));
        let ticking = Ticking { gateway: gateway.clone(), observers: observers.clone(), certificate };
        tokio::spawn(tick(broker.clone(), clock.clone(), ticking));
        admin.spawn(logging.run());
        let work = tokio::spawn(work(broker.clone(), clock.clone()));
        let mut doors = vec![(Door::Mqtt, bound.mqtt), (Door::Tls, bound.tls), (Door::Https, bound.https)];
        doors.extend(bound.plain.map(|listener| (Door::Plain { principal: plain_principal }, listener)));
        for (door, listener) in doors {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.serve(door, listener).await });
        }
        for (listener, socket) in [("api", &bound.api), ("admin", &bound.admin)] {
            if let Ok(address) = socket.local_addr() {
                observers.emit(clock.now(), &Event::Listening(Listening { listener, address }));
            }
        }
        let (closing, closed) = watch::channel(false);
        let mut administration = JoinSet::new();
        administration.spawn_on(api.serve(bound.api, until(closed.clone())), admin.handle());
        administration.spawn_on(metrics.serve(bound.admin, until(closed)), admin.handle());
        Self {
            broker,
            gateway,
            store,
            clock,
            closing,
            feed,
            work,
            administration,
            metering,
            log,
            export,
            _lock: lock,
        }
    }

    /// Returns if the broker can't go on.
    pub async fn problem(&mut self) -> ServeProblem {
        match (&mut self.feed).await {
            Ok(problem) => ServeProblem(problem),
            Err(error) => ServeProblem(format!("following the store failed: {error}")),
        }
    }

    /// Says goodbye to everybody, for `limit` at most, and closes the store.
    pub async fn stop(mut self, limit: Duration) {
        self.gateway.close_doors();
        self.closing.send_replace(true);
        self.broker.shutdown(self.clock.now());
        self.gateway.drain(limit).await;
        let _ =
            tokio::time::timeout(limit, async { while self.administration.join_next().await.is_some() {} })
                .await;
        // What was acknowledged is on disk; what was taken goes there now.
        self.broker.finish();
        let _ = tokio::time::timeout(limit, &mut self.work).await;
        self.feed.abort();
        let store = self.store;
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
        let metering = self.metering;
        let _ = tokio::task::spawn_blocking(move || metering.map(MeteringThread::finish)).await;
        self.log.finish();
        // Last of all: what the others said at their ends goes there too.
        let export = self.export;
        let _ = tokio::task::spawn_blocking(move || export.map(OtlpThread::finish)).await;
    }
}

/// Applies the store's changes to live connections. While a store does not say where it is nothing can be changed in it, so
/// what is in force is what was: it is asked again. It ends only if the store is closed: a broker that goes on would decide
/// by policies that are not in force.
async fn follow(broker: Broker, clock: Clock, observers: Observers) -> String {
    loop {
        let ours = clock.clone();
        let Err(error) = broker.follow_feed(&move || ours.now()).await else {
            return "the store was closed under the broker".to_owned();
        };
        let (what, detail) = ("the store's changes", &error as &dyn std::fmt::Display);
        observers.emit(clock.now(), &Event::StoreFailed(StoreFailed { what, detail }));
        tokio::time::sleep(TICK).await;
    }
}

/// Makes durable what is to be.
async fn work(broker: Broker, clock: Clock) {
    broker.work(&move || clock.now()).await;
}

/// What is looked at once a second beside the broker.
struct Ticking {
    gateway: Gateway,
    observers: Observers,
    certificate: CertificateWatch,
}

async fn tick(broker: Broker, clock: Clock, mut ticking: Ticking) {
    loop {
        clock.follow_wall();
        let now = clock.now();
        ticking.certificate.look(&ticking.gateway, &ticking.observers, now, Clock::wall());
        broker.apply_late(now).await;
        for due in broker.due_renewals(now) {
            let (broker, clock) = (broker.clone(), clock.clone());
            tokio::spawn(async move { broker.renew(due, &move || clock.now()).await });
        }
        let next = broker.on_time(now).min(now + TICK).max(now + Duration::from_millis(1));
        tokio::time::sleep_until(clock.instant(next)).await;
    }
}

async fn until(mut closed: watch::Receiver<bool>) {
    let _ = closed.wait_for(|closed| *closed).await;
}
