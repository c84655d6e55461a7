//! The parts of a broker, put together.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use access::{Access, AccessParts};
use api::{AccessKeys, ApiParts, ApiServer, ServerLimits};
use broker::{Broker, BrokerParts, Durability};
use dialect::{Dialect, QuotaProfile};
use events::{ConfigProblem, Event, Observers, StoreUnclosed};
use gateway::{Clock, Gateway, GatewayParts, Requests, ServerIdentity};
use identity::Site;
use quirks::Rules;
use services::commit::Records;
use services::{EndpointAddress, Services, ServicesParts};
use store::{Journal, Store};
use store_redb::{Left, Options, RedbStore};
use telemetry::{Admin, DivergenceReport, Health, LogThread, MetricsObserver, OtlpThread};
use tokio::net::TcpListener;

use super::ServeProblem;
use super::attribution::with_attribution;
use super::bind::Bound;
use super::copying::with_backup;
use super::device_requests::DeviceRequests;
use super::export;
use super::keys::owner_keys;
use super::logging::LogFollower;
use super::metering::{Metering, MeteringThread, Writing};
use super::observers::Listeners;
use super::own;
use super::pulse;
use super::server_certificate::CertificateWatch;
use crate::cli::{DialectName, ProfileName};
use crate::config::{AccessKey, Settings};
use crate::data_dir::{DataDir, Lock};
use crate::entropy;
use ready::{Ready, ReadyPorts};

/// Everything that serves, put together and not yet serving.
pub struct House {
    pub broker: Broker,
    pub gateway: Gateway,
    pub api: ApiServer,
    pub access: Arc<Access>,
    pub admin: Arc<Admin>,
    pub store: Arc<RedbStore>,
    pub clock: Clock,
    pub certificate: CertificateWatch,
    pub plain_principal: Arc<str>,
    pub observers: Observers,
    pub divergences: Arc<DivergenceReport>,
    pub metering: Option<MeteringThread>,
    pub logging: LogFollower,
    pub log: LogThread,
    pub export: Option<OtlpThread>,
    pub lock: Lock,
}

/// What the ready file says beside the ports.
#[derive(Clone)]
pub struct Card {
    site: Arc<Site>,
    endpoint: String,
    api_key: AccessKey,
    ca_file: std::path::PathBuf,
}

impl Card {
    pub fn new(settings: &Settings, data: &DataDir) -> Self {
        Self {
            site: Arc::new(data.account.site()),
            endpoint: endpoint(settings),
            api_key: data.api_key.clone(),
            ca_file: data.ca_file(),
        }
    }

    /// For the bound listeners.
    pub fn ready(&self, bound: &Bound) -> io::Result<Ready> {
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        let api_url = format!("http://{}", reachable(bound.api.local_addr()?));
        Ok(Ready {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            account: self.site.account.to_string(),
            region: self.site.region.to_string(),
            endpoint: self.endpoint.clone(),
            ports: ReadyPorts {
                mqtt: port(&bound.mqtt)?,
                tls: port(&bound.tls)?,
                https: port(&bound.https)?,
                api: port(&bound.api)?,
                admin: port(&bound.admin)?,
                plain: bound.plain.as_ref().map(port).transpose()?,
            },
            data_url: api_url.clone(),
            api_url,
            ca_file: self.ca_file.clone(),
            access_key_id: self.api_key.id.clone(),
            secret_access_key: self.api_key.secret.clone(),
        })
    }
}

impl House {
    /// Opens the store and builds everything over it.
    pub fn compose(settings: &Settings, data: DataDir, card: &Card) -> Result<Self, ServeProblem> {
        let clock = Clock::start();
        let dialect = Arc::new(dialect(settings)?);
        let (metering, writing) = metering(settings, &data, &clock)?;
        let listeners = Listeners::start(settings, data.account.account.as_str(), metering.as_ref());
        let listeners = listeners.map_err(ServeProblem::new)?;
        let observers = listeners.observers.clone();
        let store = Arc::new(open_store(&data, &observers, &clock)?);
        let port: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let broker = broker(card, dialect, &store, &observers);
        let quirks = Arc::clone(broker.quirks());
        quirks.replace(rules(settings)?);
        let region = card.site.region.clone();
        let records = Records::new(port, observers.clone());
        let access = Arc::new(access(settings, &data, card, (&broker, &records)));
        let services = Arc::new(services(&data, card, (&broker, records), &observers));
        let own = own::operations(&listeners, &quirks, &clock);
        let own = own::with_bill(own, metering.as_ref(), &region, &clock);
        let own = with_backup(with_attribution(own, &services, &clock), &store);
        let ticking = clock.clone();
        let now = move || ticking.now();
        let api = ApiServer::new(ApiParts {
            services: Arc::clone(&services),
            access: Arc::clone(&access),
            own,
            keys: Arc::clone(&access) as Arc<dyn AccessKeys>,
            observers: observers.clone(),
            clock: Arc::new(now),
            wall: Arc::new(Clock::wall),
            // Everybody knows the key of development mode.
            guard_against_browsers: settings.dev,
            region,
            limits: api_limits(settings),
        });
        let doors =
            Doors { broker: &broker, services, access: &access, observers: &observers, clock: &clock };
        let gateway = gateway(settings, &data, doors, Arc::new(DeviceRequests(api.devices())))?;
        pulse::show(&listeners.metrics, &broker, &store);
        watch_bill(&listeners.metrics, metering.as_ref());
        let export = export::start(settings, &card.site, &listeners, &clock)?;
        let metering = keep_books(metering.zip(writing), &observers, &clock)?;
        let logging = LogFollower {
            store: Arc::clone(&store) as Arc<dyn Store>,
            log: listeners.writer,
            observers: observers.clone(),
            clock: clock.clone(),
        };
        let admin = admin(listeners.metrics, gateway.clone(), Arc::clone(&store));
        Ok(Self {
            broker,
            gateway,
            api,
            access,
            admin,
            store,
            clock,
            certificate: CertificateWatch::new(data.server_source, data.server),
            plain_principal: settings.plain_principal.as_str().into(),
            observers,
            divergences: listeners.divergences,
            metering,
            logging,
            log: listeners.log,
            export,
            lock: data.lock,
        })
    }

    /// Tells observers.
    pub fn emit(&self, event: &Event<'_>) {
        self.observers.emit(self.clock.now(), event);
    }

    /// Tells observers that a setting is odd.
    pub fn warn(&self, setting: &str, detail: &str) {
        self.emit(&Event::ConfigProblem(ConfigProblem { setting, detail: &detail }));
    }
}

/// Tells how the store had been left, if it was not closed.
fn open_store(data: &DataDir, observers: &Observers, clock: &Clock) -> Result<RedbStore, ServeProblem> {
    let options = Options { compact: true, verify: true, ..Options::default() };
    let store = RedbStore::open(&data.store_file(), options).map_err(ServeProblem::new)?;
    if store.left() != Left::Closed {
        let torn = store.left() == Left::Torn;
        observers.emit(clock.now(), &Event::StoreUnclosed(StoreUnclosed { torn }));
    }
    Ok(store)
}

/// The broker over the embedded store.
fn broker(card: &Card, dialect: Arc<Dialect>, store: &Arc<RedbStore>, observers: &Observers) -> Broker {
    Broker::new(BrokerParts {
        site: Arc::clone(&card.site),
        dialect,
        store: Arc::clone(store) as Arc<dyn Store>,
        journal: Some(Arc::clone(store) as Arc<dyn Journal>),
        durability: Durability::Group,
        observers: observers.clone(),
        seed: entropy::seed(),
    })
}

/// The meter with the books of the data folder, if anything is metered.
fn metering(
    settings: &Settings,
    data: &DataDir,
    clock: &Clock,
) -> Result<(Option<Arc<Metering>>, Option<Writing>), ServeProblem> {
    let opened = Metering::open(&settings.metering, &data.bill_file(), clock.now());
    let failed = |error| ServeProblem(format!("{}: {error}", data.bill_file().display()));
    Ok(opened.map_err(failed)?.unzip())
}

/// Starts the thread that writes them down.
fn keep_books(
    metering: Option<(Arc<Metering>, Writing)>,
    observers: &Observers,
    clock: &Clock,
) -> Result<Option<MeteringThread>, ServeProblem> {
    let start =
        |(metering, writing)| MeteringThread::start(metering, writing, observers.clone(), clock.clone());
    metering.map(start).transpose().map_err(ServeProblem::new)
}

fn dialect(settings: &Settings) -> Result<Dialect, ServeProblem> {
    let mut dialect = match settings.dialect {
        DialectName::Aws => Dialect::aws(),
        DialectName::Oasis => Dialect::oasis(),
    };
    if let Some(profile) = settings.quota_profile {
        dialect.set_profile(match profile {
            ProfileName::Aws => QuotaProfile::Aws,
            ProfileName::AwsSelect => QuotaProfile::AwsSelect,
            ProfileName::Unlimited => QuotaProfile::Unlimited,
        });
    }
    for (id, on) in &settings.divergences {
        dialect.set_named(id, *on).map_err(|error| ServeProblem(format!("[divergences] {error}")))?;
    }
    for (id, value) in &settings.quotas {
        dialect.set_quota(id, *value).map_err(|error| ServeProblem(format!("[quotas] {error}")))?;
    }
    Ok(dialect)
}

fn rules(settings: &Settings) -> Result<Rules, ServeProblem> {
    let rules = Rules::new(settings.quirks.clone());
    rules.map_err(|error| ServeProblem(format!("[[quirks]] {error}")))
}

/// Who is let in.
fn access(
    settings: &Settings,
    data: &DataDir,
    card: &Card,
    (broker, records): (&Broker, &Records),
) -> Access {
    Access::new(AccessParts {
        broker: broker.clone(),
        records: records.clone(),
        site: Arc::clone(&card.site),
        authority: Arc::clone(&data.authority),
        endpoint: EndpointAddress::new(card.endpoint.clone()),
        entropy: Arc::new(entropy::fill),
        owner_keys: owner_keys(&data.api_key, settings),
        session_key: data.session_key.clone(),
        functions: Arc::new(settings.functions.functions()),
    })
}

fn services(
    data: &DataDir,
    card: &Card,
    (broker, records): (&Broker, Records),
    observers: &Observers,
) -> Services {
    Services::new(ServicesParts {
        broker: broker.clone(),
        records,
        site: Arc::clone(&card.site),
        authority: Arc::clone(&data.authority),
        observers: observers.clone(),
        endpoint: EndpointAddress::new(card.endpoint.clone()),
        entropy: Arc::new(entropy::fill),
    })
}

/// What is behind the doors.
struct Doors<'a> {
    broker: &'a Broker,
    services: Arc<Services>,
    access: &'a Arc<Access>,
    observers: &'a Observers,
    clock: &'a Clock,
}

fn gateway(
    settings: &Settings,
    data: &DataDir,
    doors: Doors<'_>,
    requests: Arc<dyn Requests>,
) -> Result<Gateway, ServeProblem> {
    let server = ServerIdentity::from_pem(data.server.chain.as_bytes(), data.server.private_key.as_bytes())
        .map_err(ServeProblem::new)?;
    Gateway::new(GatewayParts {
        broker: doors.broker.clone(),
        observers: doors.observers.clone(),
        clock: doors.clock.clone(),
        limits: settings.limits.clone(),
        server,
        services: doors.services,
        access: Arc::clone(doors.access),
        requests,
        // Everybody knows the key of development mode.
        guard_against_browsers: settings.dev,
    })
    .map_err(ServeProblem::new)
}

/// What operators are told of without asking the API.
fn admin(metrics: Arc<MetricsObserver>, gateway: Gateway, store: Arc<RedbStore>) -> Arc<Admin> {
    let sockets = move || i64::try_from(gateway.open()).unwrap_or(i64::MAX);
    metrics.watch_gauge("thingcore_open_sockets", "Open sockets of the device ports", sockets);
    Admin::new(metrics, Health::new(move || is_well(&store)))
}

/// Units of the bill among the metrics.
fn watch_bill(metrics: &MetricsObserver, metering: Option<&Arc<Metering>>) {
    let Some(metering) = metering else { return };
    let (items, dimensions) = (Arc::clone(metering), Arc::clone(metering));
    let help = "Units that AWS would count, billed or not, by kind of event";
    metrics.watch_counters("thingcore_metered_units", help, "item", move || items.items());
    let help = "Units that AWS would bill, by dimension of its price list";
    metrics.watch_counters("thingcore_billed_units", help, "dimension", move || dimensions.dimensions());
}

/// Well is who can keep what it acknowledges.
fn is_well(store: &RedbStore) -> Result<(), String> {
    store.problem().map_or(Ok(()), Err)
}

/// The host name that DescribeEndpoint gives: the operator's, or one under which this machine can be reached.
/// A body of a request is held to the time of a packet, where that is the shorter one.
fn api_limits(settings: &Settings) -> ServerLimits {
    let mut limits = ServerLimits::default();
    limits.body.patience = limits.body.patience.min(settings.limits.partial_packet);
    limits
}

fn endpoint(settings: &Settings) -> String {
    let chosen = settings.endpoint.clone().or_else(|| settings.server_names.first().cloned());
    let bound = settings.ports.mqtt.addresses.first().filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    chosen.or_else(|| bound.map(ToString::to_string)).unwrap_or_else(|| "localhost".to_owned())
}

/// Where a listener on every address is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        false => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ServeArgs;
    use crate::config::ConfigFile;

    fn settings(file: &str, args: ServeArgs) -> Settings {
        Settings::merge(args, ConfigFile::parse(file, "t".as_ref()).unwrap()).unwrap()
    }

    #[test]
    fn the_endpoint_is_a_name_that_devices_can_use() {
        assert_eq!(endpoint(&settings("", ServeArgs::default())), "localhost");
        let named = ServeArgs { server_names: vec!["gate".into()], ..ServeArgs::default() };
        assert_eq!(endpoint(&settings("", named.clone())), "gate");
        assert_eq!(
            endpoint(&settings("[account]\nendpoint = \"iot.example.com\"", named)),
            "iot.example.com"
        );
        let bound = ServeArgs { bind: Some([192, 0, 2, 1].into()), ..ServeArgs::default() };
        assert_eq!(endpoint(&settings("", bound)), "192.0.2.1");
    }

    #[test]
    fn single_quotas_win_over_the_profile() {
        let file = "[quotas]\nprofile = \"unlimited\"\n\"L-083F3861\" = 8";
        let limits = dialect(&settings(file, ServeArgs::default())).unwrap().limits().clone();
        assert_eq!(limits.publishes_per_connection.limit(), Some(8));
        assert_eq!(limits.connects_per_client_id.limit(), None);
        let flag = ServeArgs { quotas: Some(ProfileName::AwsSelect), ..ServeArgs::default() };
        assert_eq!(dialect(&settings(file, flag)).unwrap().limits().connections, 100_000);
    }

    #[test]
    fn quirks_are_checked_at_the_start() {
        let text = "[[quirks]]\nrow = \"no-qos2\"\nprobability = 0.5";
        let error = rules(&settings(text, ServeArgs::default())).unwrap_err();
        assert!(error.to_string().starts_with("[[quirks]] no quirk is called"), "{error}");
    }

    #[test]
    fn unknown_divergences_and_quotas_are_named() {
        let wrong = settings("[divergences]\nno-such = true", ServeArgs::default());
        assert!(dialect(&wrong).unwrap_err().to_string().contains("no-such"));
        let wrong = settings("[quotas]\nno-such = 1", ServeArgs::default());
        assert!(dialect(&wrong).unwrap_err().to_string().contains("no-such"));
    }

    #[test]
    fn a_broker_without_its_store_is_not_well() {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap();
        assert_eq!(is_well(&store), Ok(()));
        store.close();
        let problem = is_well(&store).unwrap_err();
        assert!(problem.contains("closed"), "{problem}");
    }
}
