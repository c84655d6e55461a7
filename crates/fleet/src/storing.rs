//! What `retained` and `offline` have in common: publishers that store a number of messages, and receivers that fetch
//! them until all are there or nothing more comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use mqtt::{Packet, PacketId, Publish, QoS, ReasonCode};
use tokio::time::timeout;

use crate::cli::StoredArgs;
use crate::client::{Client, text};
use crate::fault::{BenchError, Fault};
use crate::load::{Snapshot, Tally, acknowledge};
use crate::sequence::{Arrival, Sequence};
use crate::stamp::{STAMP_BYTES, Stamp, unique_run};
use crate::target::Target;

/// How long the next message may take to come before the rest counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run whose messages are stored on their way.
pub struct Storing {
    /// What was typed.
    pub args: StoredArgs,
    /// The broker.
    pub target: Target,
    /// The run by number.
    pub run: u64,
    /// Messages stored, and messages fetched: what progress shows.
    pub done: Arc<AtomicU64>,
    tally: Tally,
}

impl Storing {
    /// A run that has done nothing.
    pub fn new(args: &StoredArgs, target: Target) -> Arc<Self> {
        let (run, done) = (unique_run(), Arc::default());
        Arc::new(Self { args: args.clone(), target, run, done, tally: Tally::default() })
    }

    /// Topic of message `message` of publisher `number`, where each has one of its own.
    pub fn topic(&self, number: u32, message: u32) -> String {
        format!("{}/{:016x}/{number}/{message}", self.target.prefix, self.run)
    }

    /// All topics of publisher `number`.
    pub fn filter(&self, number: u32) -> String {
        format!("{}/{:016x}/{number}/+", self.target.prefix, self.run)
    }

    /// The name of a client.
    pub fn name(&self, role: &str, number: u32) -> (usize, String) {
        let at = if role == "p" { number + self.args.clients } else { number } as usize;
        (at, self.target.client_id(self.run, role, number, at))
    }

    /// All counts. Of each message one copy is expected.
    pub fn counts(&self, sent: u64) -> Snapshot {
        self.tally.snapshot(sent, sent)
    }

    /// Stores all messages of one publisher, QoS 1, and waits for their acknowledgements. `size` 0: empty payloads.
    pub async fn store(self: Arc<Self>, number: u32, retain: bool, size: usize) -> Result<u64, BenchError> {
        let (at, name) = self.name("p", number);
        let store = async {
            let mut client = Client::open(&self.target, at, &name).await?;
            let mut store = Store { storing: &self, number, retain, size, id: PacketId::FIRST, waiting: 0 };
            store.all(&mut client).await?;
            client.close().await
        };
        store.await.map_err(|fault: Fault| BenchError::NotReady(name.clone(), fault))?;
        Ok(u64::from(self.args.messages))
    }

    /// Receives this many messages that publisher `number` stored, or until nothing has come for a while.
    pub async fn fetch(
        &self,
        client: &mut Client,
        number: u32,
        count: u64,
        sequence: &mut Sequence,
    ) -> Result<u64, Fault> {
        let mut fetched = 0;
        loop {
            // Some may have come together with the answer before.
            while let Some(packet) = client.take()? {
                let Packet::Publish(publish) = packet else { return Err(Fault::Unexpected(packet.name())) };
                acknowledge(client, &publish)?;
                fetched += self.count(&publish, number, sequence);
            }
            client.flush().await?;
            if fetched >= count {
                return Ok(fetched);
            }
            match timeout(PATIENCE, client.fill()).await {
                Ok(filled) => filled?,
                Err(_) => return Ok(fetched),
            }
        }
    }

    fn count(&self, publish: &Publish, number: u32, sequence: &mut Sequence) -> u64 {
        let stamp = Stamp::read(&publish.payload);
        let ours = stamp.filter(|stamp| stamp.run == self.run && stamp.publisher == number);
        let mut batch = crate::load::Batch::default();
        match ours.map(|stamp| sequence.arrive(stamp.sequence)) {
            Some(Arrival::Newest { .. }) => batch.delivered = 1,
            Some(Arrival::Late) => (batch.delivered, batch.late) = (1, 1),
            Some(Arrival::Duplicate) => batch.duplicated = 1,
            Some(Arrival::Forgotten) | None => batch.foreign = 1,
        }
        self.tally.add(batch);
        self.done.fetch_add(batch.delivered, Relaxed);
        batch.delivered
    }
}

/// One publisher that stores.
struct Store<'a> {
    storing: &'a Storing,
    number: u32,
    retain: bool,
    size: usize,
    id: PacketId,
    waiting: u64,
}

impl Store<'_> {
    async fn all(&mut self, client: &mut Client) -> Result<(), Fault> {
        let in_flight = u16::try_from(self.storing.args.in_flight).unwrap_or(u16::MAX);
        let limit = u64::from(client.receive_maximum.min(in_flight));
        for message in 0..self.storing.args.messages {
            while self.waiting >= limit {
                self.acknowledged(client).await?;
            }
            let publish = self.publish(message)?;
            client.push(&Packet::Publish(Box::new(publish)))?;
            self.waiting += 1;
        }
        while self.waiting > 0 {
            self.acknowledged(client).await?;
        }
        Ok(())
    }

    fn publish(&mut self, message: u32) -> Result<Publish, Fault> {
        let mut payload = BytesMut::with_capacity(self.size);
        if self.size > 0 {
            let stamp = Stamp {
                run: self.storing.run,
                publisher: self.number,
                sequence: u64::from(message),
                sent_at: 0,
            };
            stamp.write(&mut payload);
            payload.put_bytes(b'x', self.size.saturating_sub(STAMP_BYTES));
        }
        let id = self.id;
        self.id = id.following();
        Ok(Publish {
            qos: QoS::AtLeastOnce,
            retain: self.retain,
            topic: text(&self.storing.topic(self.number, message))?,
            packet_id: Some(id),
            payload: Bytes::from(payload),
            ..Publish::default()
        })
    }

    /// Sends what is pending and takes what acknowledgements come.
    async fn acknowledged(&mut self, client: &mut Client) -> Result<(), Fault> {
        client.flush().await?;
        timeout(PATIENCE, client.fill()).await.map_err(|_| Fault::Timeout("PUBACK"))??;
        while let Some(packet) = client.take()? {
            let Packet::PubAck(ack) = packet else { return Err(Fault::Unexpected(packet.name())) };
            // Nobody listening is no failure here.
            let failed = ack.code.is_failure() && ack.code != ReasonCode::NoMatchingSubscribers;
            self.storing.tally.acknowledge(failed);
            self.storing.done.fetch_add(1, Relaxed);
            self.waiting = self.waiting.saturating_sub(1);
        }
        Ok(())
    }
}
