//! A publisher: sends as much as its window allows, in one write, and reads acknowledgements, or answers.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use mqtt::{Packet, PacketId, Publish, PublishFlags, PublishFrame, QoS, Version};

use crate::client::{Client, text};
use crate::course::{Follower, Phase};
use crate::fault::{BenchError, Fault};
use crate::load::receipt::Receipt;
use crate::load::{Pattern, Plan, Shared};
use crate::stamp::{STAMP_BYTES, Stamp};
use crate::window::Window;

/// Bytes after which a batch is written, however much room the window has.
const BATCH_BYTES: usize = 64 * 1024;

/// A publisher that is connected.
pub struct Publisher {
    client: Client,
    shared: Arc<Shared>,
    number: u32,
    /// For each topic: head, and a payload whose front is overwritten by each message's stamp.
    frames: Vec<PublishFrame>,
    qos: QoS,
    next_id: PacketId,
    /// QoS 1 only: sent and not acknowledged, and how many may be.
    unacknowledged: u64,
    receive_maximum: u64,
    /// Of answers, where the pattern has any.
    receipt: Receipt,
}

impl Publisher {
    /// Connects.
    pub async fn open(plan: Arc<Plan>, shared: Arc<Shared>, number: u32) -> Result<Self, BenchError> {
        let at = (plan.pattern.subscribers(plan.clients) + number) as usize;
        let name = shared.client_id(&plan, "p", number, at);
        let open = async {
            let mut client = Client::open(&plan.target, at, &name).await?;
            if plan.pattern == Pattern::Request {
                client.subscribe(&shared.answers(&plan, number), plan.qos).await?;
            }
            let payload = Bytes::from(vec![b'x'; plan.size]);
            let frame = |turn| frame(&plan, &shared, number, turn, payload.clone());
            let frames = (0..plan.topics.max(1)).map(frame).collect::<Result<Vec<_>, Fault>>()?;
            Ok((client, frames))
        };
        let (client, frames) = open.await.map_err(|fault| BenchError::NotReady(name.clone(), fault))?;
        let in_flight = u16::try_from(plan.in_flight).unwrap_or(u16::MAX);
        Ok(Self {
            receive_maximum: u64::from(client.receive_maximum.min(in_flight)),
            client,
            number,
            frames,
            qos: plan.qos,
            next_id: PacketId::FIRST,
            unacknowledged: 0,
            receipt: Receipt::new(&plan, &shared, number),
            shared,
        })
    }

    /// Publishes until the run drains, reads acknowledgements until it ends.
    pub async fn run(mut self, mut follower: Follower) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let Some(window) = shared.windows.get(self.number as usize) else { return Ok(()) };
        while follower.phase() < Phase::Drain {
            if self.send(window) {
                self.client.flush().await?;
                continue;
            }
            tokio::select! {
                filled = self.client.fill() => { filled?; self.hear(&follower).await?; }
                () = window.changed() => {}
                () = follower.reached(Phase::Drain) => {}
            }
        }
        loop {
            tokio::select! {
                filled = self.client.fill() => { filled?; self.hear(&follower).await?; }
                () = follower.reached(Phase::End) => break,
            }
        }
        self.client.close().await
    }

    /// Writes a batch into the client's buffer; false when there is no room for any.
    fn send(&mut self, window: &Window) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut room = window.room().min(self.unacknowledged_room());
        if let Some(schedule) = &shared.schedule {
            room = room.min(schedule.due(self.number));
        }
        let now = shared.now();
        for _ in 0..room {
            if self.client.output.len() >= BATCH_BYTES {
                break;
            }
            let due = shared.schedule.as_ref().and_then(|schedule| schedule.take(self.number));
            self.write(window.sent(), due.unwrap_or(now));
            window.send();
        }
        room > 0
    }

    fn unacknowledged_room(&self) -> u64 {
        match self.qos {
            QoS::AtMostOnce => u64::MAX,
            _ => self.receive_maximum.saturating_sub(self.unacknowledged),
        }
    }

    fn write(&mut self, sequence: u64, sent_at: u64) {
        let packet_id = (self.qos != QoS::AtMostOnce).then(|| {
            self.unacknowledged += 1;
            let id = self.next_id;
            self.next_id = id.following();
            id
        });
        let turn = sequence % self.frames.len().max(1) as u64;
        let Some(frame) = self.frames.get(turn as usize) else { return };
        let out = &mut self.client.output;
        out.reserve(frame.len());
        frame.write_head_into(out, packet_id, PublishFlags::default(), None);
        Stamp { run: self.shared.run, publisher: self.number, sequence, sent_at }.write(out);
        out.put_slice(frame.payload().get(STAMP_BYTES..).unwrap_or_default());
    }

    /// Reads acknowledgements and answers.
    async fn hear(&mut self, follower: &Follower) -> Result<(), Fault> {
        let measured = follower.phase() == Phase::Measure;
        let (unacknowledged, tally) = (&mut self.unacknowledged, &self.shared.tally);
        self.receipt.take(&mut self.client, measured, &mut |packet| match packet {
            Packet::PubAck(ack) => {
                *unacknowledged = unacknowledged.saturating_sub(1);
                tally.acknowledge(ack.code.is_failure());
                Ok(())
            }
            other => Err(Fault::Unexpected(other.name())),
        })?;
        self.client.flush().await
    }
}

fn frame(
    plan: &Plan,
    shared: &Shared,
    number: u32,
    turn: u32,
    payload: Bytes,
) -> Result<PublishFrame, Fault> {
    let mut publish = Publish {
        qos: plan.qos,
        topic: text(&shared.topic(plan, number, turn))?,
        packet_id: (plan.qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
        payload,
        ..Publish::default()
    };
    if plan.pattern == Pattern::Request && plan.target.version == Version::V5 {
        publish.properties.response_topic = Some(text(&shared.answers(plan, number))?);
    }
    PublishFrame::new(&publish.parts(), plan.target.version)
        .map_err(|error| Fault::Unsayable(error.to_string()))
}
