//! A broker with a registry, and clients that speak to it.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use dialect::{Dialect, Metric};
use events::{Event, Observer, Observers};
use identity::{AccountId, CertificateId, PolicyName, Principal, Region, Site, Timestamp};
use mqtt::{
    Ack, Connect, Decoder, Packet, PacketId, Publish, QoS, ReasonCode, Subscribe, SubscribeRequest, Text,
};
use mqtt::{UserProperties, Version};
use registry::attachments::{AttachmentRecord, TARGET_POLICIES, target_policy_key};
use registry::policies::{POLICIES, PolicyRecord, policy_key};
use registry::{CERTIFICATES, CertificateMode, CertificateRecord, CertificateStatus};
use store::memory::MemoryJournal;
use store::{Append, Batch, Boxed, Journal, Key, Position, Record, Store, StoreError, block_on};

use super::metering::Bill;
use crate::{Broker, BrokerParts, Clock, Connection, Credential, Flow, Link, LinkEnd, Refused, Turn};

pub(super) const START: Timestamp = Timestamp(1_800_000_000_000);

/// What every certificate is, whatever its id: its common name is `house`.
static PEM: LazyLock<String> = LazyLock::new(|| {
    let made = pki::CertificateAuthority::generate("house", pki::Serial::from_random([7; 16]), START);
    made.unwrap().certificate().pem()
});

/// Remembers every event as a sentence, and what AWS counts.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>, Mutex<Vec<Metric>>);

impl Observer for Listener {
    fn observe(&self, _at: Timestamp, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{}: {event}", event.kind().name()));
        self.1.lock().unwrap().extend(event.metric());
    }
}

pub(super) struct House {
    pub broker: Broker,
    pub store: Arc<dyn Store>,
    listener: Arc<Listener>,
    bill: Arc<Bill>,
    now: Mutex<Timestamp>,
    is_journaled: bool,
}

impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.bill.compare(START, self.now());
        }
    }
}

impl House {
    pub(super) fn new() -> Arc<Self> {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Dialect)) -> Arc<Self> {
        Self::on(Arc::new(store::memory::MemoryStore::new()), None, change)
    }

    /// A broker whose sessions are journaled, over what an earlier one may have left.
    pub(super) fn on(
        store: Arc<dyn Store>,
        journal: Option<Arc<dyn Journal>>,
        change: impl FnOnce(&mut Dialect),
    ) -> Arc<Self> {
        let is_journaled = journal.is_some();
        let listener = Arc::new(Listener::default());
        let bill = Arc::new(Bill::new());
        let mut dialect = Dialect::aws();
        // Most tests are faster than AWS lets clients be; those about quotas set them.
        dialect.set_profile(dialect::QuotaProfile::Unlimited);
        change(&mut dialect);
        let site = Site {
            region: Region::new("eu-west-1").unwrap(),
            account: AccountId::new("123456789012").unwrap(),
        };
        let broker = Broker::new(BrokerParts {
            site: Arc::new(site),
            dialect: Arc::new(dialect),
            store: store.clone(),
            observers: Observers::new([listener.clone() as Arc<dyn Observer>, bill.clone()]),
            journal,
            durability: crate::Durability::Group,
            seed: 1,
        });
        Arc::new(Self { broker, store, listener, bill, now: Mutex::new(START), is_journaled })
    }

    pub(super) fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.pass_millis(seconds * 1000);
    }

    pub(super) fn pass_millis(&self, millis: u64) {
        let mut now = self.now.lock().unwrap();
        *now = *now + Duration::from_millis(millis);
        let moment = *now;
        drop(now);
        self.broker.on_time(moment);
    }

    pub(super) fn heard(&self, what: &str) -> bool {
        self.listener.0.lock().unwrap().iter().any(|event| event.contains(what))
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.listener.0.lock().unwrap().clone()
    }

    pub(super) fn counted(&self, metric: Metric) -> usize {
        self.listener.1.lock().unwrap().iter().filter(|counted| **counted == metric).count()
    }

    pub(super) fn commit(&self, change: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        change(&mut batch);
        block_on(self.store.commit(batch)).unwrap();
    }

    pub(super) fn set_policy(&self, name: &str, document: &str) {
        let record =
            PolicyRecord::new(PolicyName::new(name).unwrap(), document.to_owned(), START, "g".to_owned());
        self.commit(|batch| POLICIES.put(batch, &policy_key(name), &record));
    }

    pub(super) fn set_certificate(&self, id: &CertificateId, status: CertificateStatus) {
        self.put_certificate(id, status, &PEM);
    }

    /// The record of an active certificate is damaged.
    pub(super) fn set_pem(&self, id: &CertificateId, pem: &str) {
        self.put_certificate(id, CertificateStatus::Active, pem);
    }

    fn put_certificate(&self, id: &CertificateId, status: CertificateStatus, pem: &str) {
        let record = CertificateRecord {
            id: id.clone(),
            pem: pem.to_owned(),
            status,
            mode: CertificateMode::Default,
            ca_certificate_id: None,
            created: START,
            modified: START,
            ..certificate_defaults(id)
        };
        self.commit(|batch| {
            CERTIFICATES.put(batch, &registry::certificates::certificate_key(id.as_str()), &record)
        });
    }

    pub(super) fn attach(&self, policy: &str, target: &str) {
        let record = AttachmentRecord { attached: START };
        self.commit(|batch| TARGET_POLICIES.put(batch, &target_policy_key(target, policy), &record));
    }

    /// A certificate that may do what the document says.
    pub(super) fn device(&self, name: &str, document: &str) -> CertificateId {
        let byte = name.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let id = CertificateId::new(&format!("{byte:02x}").repeat(32)).unwrap();
        self.set_certificate(&id, CertificateStatus::Active);
        self.set_policy(name, document);
        self.attach(name, &format!("arn:aws:iot:eu-west-1:123456789012:cert/{id}"));
        id
    }

    pub(super) fn credential(id: &CertificateId) -> Credential {
        Credential::of(Principal::Certificate(id.clone()))
    }

    pub(super) fn anybody() -> Credential {
        Credential::of(Principal::Plain("tests".into()))
    }

    pub(super) fn link() -> Link {
        let address: SocketAddr = "127.0.0.1:40000".parse().unwrap();
        Link { peer: address, local: address, server_name: None, transport: "mqtt/test", ends: None }
    }

    pub(super) fn try_connect(
        self: &Arc<Self>,
        credential: Credential,
        connect: Connect,
    ) -> Result<Client, Refused> {
        self.try_connect_over(Self::link(), credential, connect)
    }

    pub(super) fn try_connect_over(
        self: &Arc<Self>,
        link: Link,
        credential: Credential,
        connect: Connect,
    ) -> Result<Client, Refused> {
        let version = connect.version;
        let clock = || self.now();
        let connection = self.drive(self.broker.connect(Box::new(connect), credential, link, &clock))?;
        Ok(self.seated(connection, version))
    }

    /// A client whose CONNECT got its turn before.
    pub(super) fn try_connect_in_turn(
        self: &Arc<Self>,
        turn: Turn,
        credential: Credential,
        connect: Connect,
    ) -> Result<Client, Refused> {
        self.try_connect_by(&|| self.now(), turn, credential, connect)
    }

    /// One whose CONNECT is decided by this clock.
    pub(super) fn try_connect_by(
        self: &Arc<Self>,
        clock: Clock<'_>,
        turn: Turn,
        credential: Credential,
        connect: Connect,
    ) -> Result<Client, Refused> {
        let version = connect.version;
        let connecting =
            self.broker.connect_in_turn(turn, Box::new(connect), credential, Self::link(), clock);
        Ok(self.seated(self.drive(connecting)?, version))
    }

    fn seated(self: &Arc<Self>, connection: Connection, version: Version) -> Client {
        let decoder = Decoder::for_client(version, u32::MAX);
        Client {
            house: self.clone(),
            connection: Some(connection),
            decoder,
            closed: false,
            early: Vec::new(),
        }
    }

    /// Lets the broker write and read what waits for it. A store in memory is never late, so its loops may be dropped
    /// when they have nothing to do.
    pub(super) fn work(&self) {
        let now = self.now();
        let clock = move || now;
        let mut work = std::pin::pin!(self.broker.work(&clock));
        // A loop that has gone round may have woken the other one.
        for _ in 0..3 {
            assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }

    /// Waits for something that may wait for the broker's loops.
    pub(super) fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        if !self.is_journaled {
            return block_on(future);
        }
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return done;
            }
            self.work();
        }
    }

    /// Connects a client that may do everything and takes its CONNACK.
    pub(super) fn client(self: &Arc<Self>, id: &str, version: Version) -> Client {
        self.client_with(id, version, |_| {})
    }

    pub(super) fn client_with(
        self: &Arc<Self>,
        id: &str,
        version: Version,
        change: impl FnOnce(&mut Connect),
    ) -> Client {
        let mut asked = connect(id, version);
        change(&mut asked);
        let mut client = self.try_connect(Self::anybody(), asked).unwrap();
        client.connack();
        client
    }
}

fn certificate_defaults(id: &CertificateId) -> CertificateRecord {
    let json = serde_json::json!({
        "id": id, "pem": "", "status": "ACTIVE", "mode": "DEFAULT", "created": START, "modified": START,
        "not_before": START, "not_after": START, "generation": "g", "version": 1,
    });
    serde_json::from_value(json).unwrap()
}

pub(super) fn connect(id: &str, version: Version) -> Connect {
    Connect {
        version,
        clean_start: true,
        keep_alive: 60,
        client_id: Text::try_from(id).unwrap(),
        user_name: None,
        password: None,
        will: None,
        properties: mqtt::ConnectProperties::default(),
    }
}

pub(super) fn will(topic: &str, payload: &'static str) -> Option<Box<mqtt::Will>> {
    Some(Box::new(mqtt::Will {
        topic: Text::try_from(topic).unwrap(),
        payload: payload.into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay_interval: None,
        properties: mqtt::MessageProperties::default(),
        message_expiry_interval: None,
    }))
}

pub(super) struct Client {
    house: Arc<House>,
    connection: Option<Connection>,
    decoder: Decoder,
    pub closed: bool,
    /// What came right behind the CONNACK.
    early: Vec<Packet>,
}

impl Client {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().unwrap()
    }

    /// All that the broker has for the client.
    pub(super) fn take(&mut self) -> Vec<Packet> {
        let now = self.house.now();
        if self.house.is_journaled {
            self.house.work();
        }
        let mut out = BytesMut::new();
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.connection().poll_output(&mut cx, &mut out, now) {
                Poll::Ready(Flow::Continue) => {}
                Poll::Ready(Flow::Close) => {
                    self.closed = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        let mut packets = std::mem::take(&mut self.early);
        while let Some(packet) = self.decoder.decode(&mut out).unwrap() {
            packets.push(packet);
        }
        packets
    }

    /// The bytes that the broker has for the client.
    pub(super) fn raw(&mut self) -> BytesMut {
        let now = self.house.now();
        let mut out = BytesMut::new();
        let mut cx = Context::from_waker(Waker::noop());
        while self.connection().poll_output(&mut cx, &mut out, now) == Poll::Ready(Flow::Continue) {}
        out
    }

    pub(super) fn connack(&mut self) -> mqtt::ConnAck {
        let mut packets = self.take();
        let first = packets.remove(0);
        self.early = packets;
        match first {
            Packet::ConnAck(connack) => *connack,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn send(&mut self, packets: impl IntoIterator<Item = Packet>) -> Flow {
        let now = self.house.now();
        let mut packets = packets.into_iter().collect();
        self.connection().receive(&mut packets, now)
    }

    /// Sends what is no MQTT packet.
    pub(super) fn garbles(&mut self, error: &mqtt::Malformed) -> Flow {
        let now = self.house.now();
        self.connection().malformed(error, now)
    }

    pub(super) fn on_time(&mut self) -> Flow {
        let now = self.house.now();
        self.connection().on_time(now)
    }

    /// So many bytes came over the link. True if it is read on.
    pub(super) fn receives_bytes(&mut self, bytes: usize) -> bool {
        let now = self.house.now();
        self.connection().received(bytes, now);
        !self.connection().is_congested()
    }

    pub(super) fn is_read(&mut self) -> bool {
        !self.connection().is_congested()
    }

    /// Polls its output with a waker: the driver of a link would go to sleep.
    pub(super) fn sleeps(&mut self, waker: &Waker) {
        let now = self.house.now();
        let poll = self.connection().poll_output(&mut Context::from_waker(waker), &mut BytesMut::new(), now);
        assert!(poll.is_pending());
    }

    pub(super) fn next_deadline(&mut self) -> Timestamp {
        self.connection().next_deadline()
    }

    pub(super) fn publish(&mut self, topic: &str, payload: &'static str, qos: QoS) -> Flow {
        self.send([publish(topic, payload, qos, false)])
    }

    pub(super) fn subscribe(&mut self, filter: &str, qos: QoS) -> Vec<Packet> {
        self.send([subscribe(&[(filter, qos)])]);
        self.take()
    }

    pub(super) fn ack(&mut self, packet_id: Option<PacketId>) {
        let ack = Ack {
            packet_id: packet_id.unwrap(),
            code: ReasonCode::Success,
            reason_string: None,
            user_properties: UserProperties::default(),
        };
        self.send([Packet::PubAck(ack)]);
    }

    /// The messages that the broker has for the client.
    pub(super) fn messages(&mut self) -> Vec<Publish> {
        let publish = |packet| match packet {
            Packet::Publish(publish) => Some(*publish),
            _ => None,
        };
        self.take().into_iter().filter_map(publish).collect()
    }

    pub(super) fn payloads(&mut self) -> Vec<String> {
        self.messages().iter().map(|m| String::from_utf8(m.payload.to_vec()).unwrap()).collect()
    }

    /// The network goes away.
    pub(super) fn cut(&mut self) {
        let now = self.house.now();
        self.connection.take().unwrap().ended(&LinkEnd::Eof, now);
    }

    pub(super) fn goodbye(&mut self, code: ReasonCode) {
        self.send([Packet::Disconnect(mqtt::Disconnect::new(code))]);
        self.cut();
    }
}

pub(super) fn publish(topic: &str, payload: &'static str, qos: QoS, retain: bool) -> Packet {
    Packet::Publish(Box::new(Publish {
        qos,
        retain,
        topic: Text::try_from(topic).unwrap(),
        packet_id: (qos != QoS::AtMostOnce).then(|| PacketId::new(9).unwrap()),
        payload: payload.into(),
        ..Publish::default()
    }))
}

pub(super) fn subscribe(filters: &[(&str, QoS)]) -> Packet {
    let request = |(filter, qos): &(&str, QoS)| SubscribeRequest::new(Text::try_from(*filter).unwrap(), *qos);
    Packet::Subscribe(Subscribe {
        packet_id: PacketId::new(5).unwrap(),
        subscription_identifier: None,
        user_properties: UserProperties::default(),
        filters: filters.iter().map(request).collect(),
    })
}

/// A journal in memory that tells a test of each append, and may fail to trim.
pub(super) struct Watched<F> {
    pub journal: MemoryJournal,
    pub appends: F,
    pub trims: bool,
}

impl<F: Fn() -> bool + Send + Sync> Journal for Watched<F> {
    fn append(&self, appends: Vec<Append>) -> Boxed<'_, Result<Position, StoreError>> {
        match (self.appends)() {
            true => self.journal.append(appends),
            false => Box::pin(async { Err(StoreError::unavailable("full")) }),
        }
    }

    fn read<'a>(
        &'a self,
        session: &'a Key,
        after: Position,
        limit: usize,
    ) -> Boxed<'a, Result<Vec<Record>, StoreError>> {
        self.journal.read(session, after, limit)
    }

    fn queues<'a>(&'a self, after: Option<&'a Key>, limit: usize) -> Boxed<'a, Result<Vec<Key>, StoreError>> {
        self.journal.queues(after, limit)
    }

    fn trim<'a>(&'a self, session: &'a Key, upto: Position) -> Boxed<'a, Result<(), StoreError>> {
        if self.trims {
            return self.journal.trim(session, upto);
        }
        Box::pin(async { Err(StoreError::unavailable("not now")) })
    }
}
