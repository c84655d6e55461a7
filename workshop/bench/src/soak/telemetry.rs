//! The measured messages of a soak: publishers and subscribers one to one, at the pace of the clock, QoS 0 and 1.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use fleet::{Arrival, Client, Fault, PING_EVERY, STAMP_BYTES, Sequence, Stamp, Stay, acknowledge, text};
use mqtt::{Packet, PacketId, Publish, PublishFlags, PublishFrame, QoS};
use tokio::time::timeout;

use crate::soak::world::{Phase, Seat, World};

/// Bytes of a payload.
pub const PAYLOAD_BYTES: usize = 128;
/// Bytes after which a batch is written, however much is due.
const BATCH_BYTES: usize = 64 * 1024;
/// How long the last acknowledgements may take.
const LAST: Duration = Duration::from_secs(10);

/// The quality of service of a pair: both are there behind both doors.
pub const fn quality(number: u32) -> QoS {
    if (number / 4).is_multiple_of(2) { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}

/// Which of the two flows a quality of service is.
pub const fn flow(qos: QoS) -> usize {
    match qos {
        QoS::AtMostOnce => 0,
        _ => 1,
    }
}

/// A publisher of telemetry.
pub struct Publisher {
    world: Arc<World>,
    number: u32,
    qos: QoS,
    frame: PublishFrame,
    /// Number of the next message: goes on when the connection does not.
    sequence: u64,
    next_id: PacketId,
    unacknowledged: u64,
}

impl Publisher {
    /// Of pair `number`.
    ///
    /// # Errors
    /// The topic cannot be said in MQTT.
    pub fn new(world: &Arc<World>, seat: &Seat, number: u32) -> Result<Self, Fault> {
        let qos = quality(number);
        let publish = Publish {
            qos,
            topic: text(&world.topic("t", number))?,
            packet_id: (qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
            payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]),
            ..Publish::default()
        };
        let version = world.target(seat.door).version;
        let frame = PublishFrame::new(&publish.parts(), version)
            .map_err(|error| Fault::Unsayable(error.to_string()))?;
        let world = Arc::clone(world);
        Ok(Self { world, number, qos, frame, sequence: 0, next_id: PacketId::FIRST, unacknowledged: 0 })
    }

    /// Publishes until the run ends.
    pub async fn run(mut self, seat: Seat) {
        let world = Arc::clone(&self.world);
        while !world.at(Phase::End) {
            if let Err(fault) = self.connected(&world, &seat).await {
                world.books.error(seat.role, fault.kind(), &format!("{}: {fault}", seat.name));
                world.pause(Duration::from_secs(1), Phase::End).await;
            }
        }
    }

    async fn connected(&mut self, world: &World, seat: &Seat) -> Result<(), Fault> {
        let Some(wake) = world.wakes.get(self.number as usize) else { return Ok(()) };
        let mut client = world.open(seat, Stay::Clean).await?;
        self.unacknowledged = 0;
        while !world.at(Phase::End) {
            if self.send(&mut client, world) {
                client.flush().await?;
                continue;
            }
            tokio::select! {
                filled = client.fill() => { filled?; self.hear(&mut client, world)?; }
                () = wake.notified() => {}
                () = world.reached(Phase::End) => {}
            }
        }
        let rest = async {
            while self.unacknowledged > 0 {
                client.fill().await?;
                self.hear(&mut client, world)?;
            }
            Ok(())
        };
        timeout(LAST, rest).await.map_err(|_| Fault::Timeout("PUBACK"))??;
        client.close().await
    }

    /// Writes what is due into the client's buffer; false if nothing may go.
    fn send(&mut self, client: &mut Client, world: &World) -> bool {
        let room = match self.qos {
            QoS::AtMostOnce => u64::MAX,
            _ => u64::from(client.receive_maximum).saturating_sub(self.unacknowledged),
        };
        let mut sent = 0;
        while sent < room && client.output.len() < BATCH_BYTES {
            let Some(due) = world.schedule.take(self.number) else { break };
            self.write(client, world.run, due);
            sent += 1;
        }
        if let Some(flow) = world.books.flows.get(flow(self.qos)) {
            flow.sent.add(sent);
        }
        sent > 0
    }

    fn write(&mut self, client: &mut Client, run: u64, due: u64) {
        let packet_id = (self.qos != QoS::AtMostOnce).then(|| {
            self.unacknowledged += 1;
            let id = self.next_id;
            self.next_id = id.following();
            id
        });
        let out = &mut client.output;
        out.reserve(self.frame.len());
        self.frame.write_head_into(out, packet_id, PublishFlags::default(), None);
        Stamp { run, publisher: self.number, sequence: self.sequence, sent_at: due }.write(out);
        out.put_slice(self.frame.payload().get(STAMP_BYTES..).unwrap_or_default());
        self.sequence += 1;
    }

    fn hear(&mut self, client: &mut Client, world: &World) -> Result<(), Fault> {
        let Some(flow) = world.books.flows.get(flow(self.qos)) else { return Ok(()) };
        while let Some(packet) = client.take()? {
            let Packet::PubAck(ack) = packet else { return Err(Fault::Unexpected(packet.name())) };
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
            if ack.code.is_failure() { &flow.refused } else { &flow.acknowledged }.add(1);
        }
        Ok(())
    }
}

/// A subscriber of telemetry.
pub struct Subscriber {
    world: Arc<World>,
    number: u32,
    arrived: Sequence,
}

impl Subscriber {
    /// Of pair `number`.
    pub fn new(world: &Arc<World>, number: u32) -> Self {
        Self { world: Arc::clone(world), number, arrived: Sequence::default() }
    }

    /// Connects and subscribes.
    ///
    /// # Errors
    /// The broker refuses, is silent or gone.
    pub async fn open(&self, seat: &Seat) -> Result<Client, Fault> {
        let mut client = self.world.open(seat, Stay::Clean).await?;
        client.subscribe(&self.world.topic("t", self.number), quality(self.number)).await?;
        Ok(client)
    }

    /// Receives with this client until the run ends; with others if that one is lost.
    pub async fn run(mut self, client: Client, seat: Seat) {
        let (world, mut first) = (Arc::clone(&self.world), Some(client));
        while !world.at(Phase::End) {
            let connected = async {
                let client = match first.take() {
                    Some(client) => client,
                    None => self.open(&seat).await?,
                };
                self.receive(client).await
            };
            if let Err(fault) = connected.await {
                world.books.error(seat.role, fault.kind(), &format!("{}: {fault}", seat.name));
                world.pause(Duration::from_secs(1), Phase::End).await;
            }
        }
    }

    async fn receive(&mut self, mut client: Client) -> Result<(), Fault> {
        let world = Arc::clone(&self.world);
        // With QoS 0 nothing that it does tells the broker that it is there.
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            tokio::select! {
                filled = client.fill() => filled?,
                () = world.reached(Phase::End) => break,
                _ = ping.tick() => client.ping().await?,
            }
            self.take(&mut client)?;
            client.flush().await?;
        }
        client.close().await
    }

    fn take(&mut self, client: &mut Client) -> Result<(), Fault> {
        let (world, now) = (Arc::clone(&self.world), self.world.now());
        let at = flow(quality(self.number));
        let (Some(flow), Some(recorder)) = (world.books.flows.get(at), world.books.latencies.get(at)) else {
            return Ok(());
        };
        let mut latencies = recorder.shard(self.number as usize);
        while let Some(packet) = client.take()? {
            let Packet::Publish(publish) = packet else { return Err(Fault::Unexpected(packet.name())) };
            acknowledge(client, &publish)?;
            let ours = |stamp: &Stamp| stamp.run == world.run && stamp.publisher == self.number;
            let Some(stamp) = Stamp::read(&publish.payload).filter(ours) else {
                flow.foreign.add(1);
                continue;
            };
            match self.arrived.arrive(stamp.sequence) {
                Arrival::Newest { .. } | Arrival::Late => {
                    flow.delivered.add(1);
                    latencies.record(now.saturating_sub(stamp.sent_at));
                }
                Arrival::Duplicate => flow.duplicated.add(1),
                Arrival::Forgotten => flow.foreign.add(1),
            }
        }
        Ok(())
    }
}
