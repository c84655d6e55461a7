//! A broker behind real doors on loopback, devices of all kinds, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Access, AccessParts, HttpsGuest, OwnerKeys, SessionKey};
use broker::{Broker, BrokerParts};
use bytes::{Bytes, BytesMut};
use dialect::Dialect;
use events::{Kind, Observers, Recorder};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use identity::{AccountId, Region, Site, Timestamp};
use mqtt::{Connect, Decoder, Packet, Text, Version};
use pki::{CertificateAuthority, Serial};
use registry::{CertificateMode, CertificateRecord, CertificateStatus};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};
use services::commit::Records;
use services::{EndpointAddress, Services, ServicesParts};
use store::Store;
use store::memory::MemoryStore;
use thingcore_gateway::{Answering, Clock, Door, Gateway, GatewayParts, Limits, Requests, ServerIdentity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub const ALLOW_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

pub struct House {
    pub gateway: Gateway,
    pub broker: Broker,
    pub recorder: Arc<Recorder>,
    pub mqtt: SocketAddr,
    pub tls: SocketAddr,
    pub https: SocketAddr,
    pub plain: SocketAddr,
    pub clock: Clock,
    pub function: Arc<Function>,
    store: Arc<MemoryStore>,
    site: Arc<Site>,
    roots: Arc<RootCertStore>,
}

/// The owner's access key.
pub const KEY: (&str, &str) = ("AKIDEXAMPLE", "secret");

/// The function of every custom authorizer: it answers what a test says, and remembers by which ARN it was asked.
#[derive(Default)]
pub struct Function(pub parking_lot::Mutex<String>, pub parking_lot::Mutex<Vec<String>>);

impl access::Functions for Function {
    fn invoke<'a>(
        &'a self,
        arn: &'a str,
        _event: Bytes,
        _limit: Duration,
        _line: access::Line,
    ) -> access::Invoking<'a> {
        self.1.lock().push(arn.to_owned());
        Box::pin(std::future::ready(Ok(Bytes::from(self.0.lock().clone()))))
    }
}

/// Answers every HTTPS request with who asked; what is under `/refused` with 403.
struct Mirror;

impl Requests for Mirror {
    fn answer<'a>(&'a self, request: Request<Incoming>, guest: &'a HttpsGuest) -> Answering<'a> {
        let certificate = guest.certificate.as_ref().map(|credential| credential.principal.to_string());
        let who = certificate.unwrap_or_else(|| "nobody".to_owned());
        let text = format!("{} {} by {who}", request.method(), request.uri().path());
        let is_refused = request.uri().path().starts_with("/refused");
        let takes = match request.uri().path() {
            "/slow" | "/refused/slow" => Duration::from_secs(1),
            "/never" => Duration::from_secs(3600),
            _ => Duration::ZERO,
        };
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let mut response = Response::new(Full::new(Bytes::from(text)));
            if is_refused {
                *response.status_mut() = http::StatusCode::FORBIDDEN;
            }
            response
        })
    }
}

/// A certificate and its key, PEM, and what it sends behind the certificate, as it goes over the wire.
pub struct Device {
    pub certificate: String,
    pub key: String,
    pub behind: Vec<Vec<u8>>,
}

impl House {
    pub async fn open(limits: Limits) -> Self {
        Self::open_with(limits, unhurried()).await
    }

    /// With the quotas of this dialect.
    pub async fn open_with(limits: Limits, dialect: Dialect) -> Self {
        let clock = Clock::start();
        let authority =
            CertificateAuthority::generate("test", Serial::from_random([7; 16]), clock.now()).unwrap();
        let server = authority
            .issue_server(&["localhost", "127.0.0.1"], Serial::from_random([8; 16]), clock.now())
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.certificate().der().to_vec())).unwrap();
        let site = Arc::new(Site {
            region: Region::new("us-east-1").unwrap(),
            account: AccountId::new("123456789012").unwrap(),
        });
        let store = Arc::new(MemoryStore::new());
        let recorder = Arc::new(Recorder::new(10_000));
        let observers = Observers::new([recorder.clone() as Arc<dyn events::Observer>]);
        let broker = Broker::new(BrokerParts {
            site: Arc::clone(&site),
            dialect: Arc::new(dialect),
            store: store.clone(),
            observers: observers.clone(),
            journal: None,
            durability: broker::Durability::Group,
            seed: 1,
        });
        let function = Arc::new(Function::default());
        let authority = Arc::new(authority);
        let records = Records::new(store.clone(), observers.clone());
        let access = Arc::new(Access::new(AccessParts {
            broker: broker.clone(),
            records: records.clone(),
            site: Arc::clone(&site),
            authority: Arc::clone(&authority),
            endpoint: EndpointAddress::new("localhost"),
            entropy: Arc::new(|bytes: &mut [u8]| bytes.fill(7)),
            owner_keys: OwnerKeys::new([(KEY.0.into(), KEY.1.into())]),
            session_key: SessionKey::new([7; 32]),
            functions: function.clone(),
        }));
        let services = Arc::new(Services::new(ServicesParts {
            broker: broker.clone(),
            records,
            site: Arc::clone(&site),
            authority,
            observers: observers.clone(),
            endpoint: EndpointAddress::new("localhost"),
            entropy: Arc::new(|bytes: &mut [u8]| bytes.fill(7)),
        }));
        let gateway = Gateway::new(GatewayParts {
            broker: broker.clone(),
            services,
            access,
            requests: Arc::new(Mirror),
            guard_against_browsers: false,
            observers,
            clock: clock.clone(),
            limits,
            server: ServerIdentity::from_pem(
                server.certificate.pem().as_bytes(),
                server.private_key.pem().as_bytes(),
            )
            .unwrap(),
        })
        .unwrap();
        let mqtt = listen(&gateway, Door::Mqtt).await;
        let tls = listen(&gateway, Door::Tls).await;
        let https = listen(&gateway, Door::Https).await;
        let plain = listen(&gateway, Door::Plain { principal: "tester".into() }).await;
        let roots = Arc::new(roots);
        Self { gateway, broker, recorder, mqtt, tls, https, plain, clock, function, store, site, roots }
    }

    /// Makes an authorizer the default; tokens go without signature.
    pub async fn set_default_authorizer(&self, name: &str) {
        use registry::authorizers::{
            AUTHORIZERS, AuthorizerRecord, AuthorizerStatus, DEFAULT_AUTHORIZER, DefaultAuthorizerRecord,
            authorizer_key, default_authorizer_key,
        };
        let now = self.clock.now();
        let record = AuthorizerRecord {
            name: name.into(),
            function_arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{name}"),
            token_key_name: None,
            public_keys: Default::default(),
            status: AuthorizerStatus::Active,
            signing_disabled: true,
            caching_for_http: false,
            created: now,
            modified: now,
        };
        let mut batch = store::Batch::new();
        AUTHORIZERS.put(&mut batch, &authorizer_key(name), &record);
        let default = DefaultAuthorizerRecord { name: name.into() };
        DEFAULT_AUTHORIZER.put(&mut batch, &default_authorizer_key(), &default);
        self.store.commit(batch).await.unwrap();
    }

    /// Registers a certificate; it is allowed everything.
    pub async fn register(&self, device: &Device, status: CertificateStatus) {
        self.register_with(device, status, ALLOW_ALL).await;
    }

    /// Registers a certificate, and makes this the policy of all.
    pub async fn register_with(&self, device: &Device, status: CertificateStatus, document: &str) {
        self.register_as(device, (status, CertificateMode::Default), document).await;
    }

    /// The same with a mode.
    pub async fn register_as(
        &self,
        device: &Device,
        (status, mode): (CertificateStatus, CertificateMode),
        document: &str,
    ) {
        let certificate = pki::Certificate::from_pem(&device.certificate).unwrap();
        let facts = certificate.facts();
        let record = CertificateRecord {
            id: facts.id.clone(),
            pem: device.certificate.clone(),
            status,
            mode,
            ca_certificate_id: None,
            created: self.clock.now(),
            modified: self.clock.now(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            version: 1,
            generation: "1".into(),
        };
        let arn = self.site.arn("cert", facts.id.as_str());
        let mut batch = store::Batch::new();
        registry::CERTIFICATES.put(&mut batch, &store::Key::of(&[facts.id.as_str()]), &record);
        let now = self.clock.now();
        let policy = registry::policies::PolicyRecord {
            name: identity::PolicyName::new("all").unwrap(),
            default_version: 1,
            versions: vec![registry::policies::PolicyVersionRecord {
                id: 1,
                document: document.into(),
                created: now,
            }],
            last_version: 1,
            created: now,
            modified: now,
            generation: "1".into(),
            closing: false,
        };
        registry::policies::POLICIES.put(&mut batch, &registry::policies::policy_key("all"), &policy);
        let attached = registry::attachments::AttachmentRecord { attached: now };
        registry::attachments::TARGET_POLICIES.put(
            &mut batch,
            &registry::attachments::target_policy_key(&arn, "all"),
            &attached,
        );
        self.store.commit(batch).await.unwrap();
    }

    /// The texts of events of a kind, once there is one.
    pub async fn told(&self, kind: Kind) -> Vec<String> {
        let found = async {
            loop {
                let texts = self.recorder.texts(kind);
                if !texts.is_empty() {
                    return texts;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("no event {}; there were {:?}", kind.name(), self.recorder.kinds()))
    }

    /// A TLS client with this device's certificate.
    pub fn connector(
        &self,
        device: Option<&Device>,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsConnector {
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match device {
            None => builder.with_no_client_auth(),
            Some(device) => builder.with_client_cert_resolver(Arc::new(device.sole_certificate())),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    /// Connects by TLS and sends CONNECT: what comes back, or nothing if the server closes.
    pub async fn connect(
        &self,
        address: SocketAddr,
        device: Option<&Device>,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Option<Packet> {
        let connector = self.connector(device, alpn, versions);
        self.connect_by_name(address, "localhost", connector).await
    }

    /// The same, asking for a server by this name.
    pub async fn connect_by_name(
        &self,
        address: SocketAddr,
        name: &'static str,
        connector: TlsConnector,
    ) -> Option<Packet> {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        let mut stream = connector.connect(name, socket).await.ok()?;
        stream.write_all(&connect_packet(Version::V5, "device")).await.ok()?;
        receive(&mut stream, Version::V5).await
    }
}

impl House {
    /// Says something by TLS: all that comes back until the server closes.
    pub async fn say(&self, address: SocketAddr, connector: TlsConnector, text: &[u8]) -> String {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let Ok(mut stream) = connector.connect(name, socket).await else { return String::new() };
        let mut heard = Vec::new();
        if stream.write_all(text).await.is_ok() {
            let reading = stream.read_to_end(&mut heard);
            let _ = tokio::time::timeout(PATIENCE, reading)
                .await
                .expect("the server neither answered nor closed");
        }
        String::from_utf8_lossy(&heard).into_owned()
    }
}

/// A client's verifier that takes any server.
#[derive(Debug)]
pub struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

async fn listen(gateway: &Gateway, door: Door) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = gateway.clone();
    tokio::spawn(async move { gateway.serve(door, listener).await });
    address
}

/// The next packet, or nothing if the server closes.
pub async fn receive<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, version: Version) -> Option<Packet> {
    let mut decoder = Decoder::for_client(version, 1 << 20);
    let mut input = BytesMut::new();
    let receiving = async {
        loop {
            if let Some(packet) = decoder.decode(&mut input).unwrap() {
                return Some(packet);
            }
            if stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    };
    tokio::time::timeout(PATIENCE, receiving).await.expect("the server neither answered nor closed")
}

pub fn connect_packet(version: Version, client_id: &str) -> Vec<u8> {
    let connect = Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: Text::try_from(client_id).unwrap(),
        user_name: None,
        password: None,
        will: None,
        properties: Default::default(),
    };
    let mut out = BytesMut::new();
    mqtt::encode(&Packet::Connect(Box::new(connect)), version, &mut out).unwrap();
    out.to_vec()
}

impl Device {
    /// Self-signed.
    pub fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = match algorithm == &rcgen::PKCS_RSA_SHA256 {
            true => rcgen::KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_2048).unwrap(),
            false => rcgen::KeyPair::generate_for(algorithm).unwrap(),
        };
        Self::with_key(key, |_| {})
    }

    pub fn with_key(key: rcgen::KeyPair, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem(), behind: Vec::new() }
    }

    /// Signed by a CA that nobody knows.
    pub fn of_unknown_ca() -> Self {
        let ca = CertificateAuthority::generate(
            "stranger",
            Serial::from_random([9; 16]),
            Timestamp(1_700_000_000_000),
        )
        .unwrap();
        let issued = ca.issue_device(Serial::from_random([10; 16]), Timestamp(1_700_000_000_000)).unwrap();
        let key = issued.keys.private_key().pem().into();
        Self { certificate: issued.certificate.pem(), key, behind: Vec::new() }
    }

    /// An X.509 version 1 certificate.
    pub fn version_one() -> Self {
        Self {
            certificate: include_str!("fixtures/version-one.cert.pem").into(),
            key: include_str!("fixtures/version-one.key.pem").into(),
            behind: Vec::new(),
        }
    }

    /// Its own certificate, DER.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }

    /// Without rustls' own look at the certificate, which takes no version 1.
    fn sole_certificate(&self) -> SingleCertAndKey {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let chain =
            std::iter::once(self.der()).chain(self.behind.clone()).map(CertificateDer::from).collect();
        SingleCertAndKey::from(CertifiedKey::new(chain, signing))
    }
}

/// AWS's dialect for clients that come more often than AWS lets them.
fn unhurried() -> Dialect {
    let mut dialect = Dialect::aws();
    dialect.set_profile(dialect::QuotaProfile::Unlimited);
    dialect
}
