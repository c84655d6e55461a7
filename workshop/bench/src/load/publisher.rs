//! A publisher: sends as much as its window allows, in one write, and reads acknowledgements.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use mqtt::{Packet, PacketId, Publish, PublishFlags, PublishFrame, QoS};

use crate::client::{Client, text};
use crate::course::{Follower, Phase};
use crate::fault::Fault;
use crate::load::{Plan, Shared};
use crate::stamp::{STAMP_BYTES, Stamp};
use crate::window::Window;

/// Bytes after which a batch is written, however much room the window has.
const BATCH_BYTES: usize = 64 * 1024;

/// A publisher that is connected.
pub struct Publisher {
    client: Client,
    shared: Arc<Shared>,
    number: u32,
    /// Topic, properties and a payload whose front is overwritten by each message's stamp.
    frame: PublishFrame,
    qos: QoS,
    next_id: PacketId,
    /// QoS 1 only: sent and not acknowledged, and how many may be.
    unacknowledged: u64,
    receive_maximum: u64,
}

impl Publisher {
    /// Connects.
    pub async fn open(plan: &Plan, shared: &Arc<Shared>, number: u32) -> Result<Self, Fault> {
        let client = Client::open(&plan.target, number as usize, &shared.client_id("p", number)).await?;
        let publish = Publish {
            qos: plan.qos,
            topic: text(&shared.topic(plan.pattern, number))?,
            packet_id: (plan.qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
            payload: Bytes::from(vec![b'x'; plan.size]),
            ..Publish::default()
        };
        let frame = PublishFrame::new(&publish.parts(), plan.target.version)
            .map_err(|error| Fault::Unsayable(error.to_string()))?;
        Ok(Self {
            receive_maximum: u64::from(
                client.receive_maximum.min(u16::try_from(plan.in_flight).unwrap_or(u16::MAX)),
            ),
            client,
            shared: Arc::clone(shared),
            number,
            frame,
            qos: plan.qos,
            next_id: PacketId::FIRST,
            unacknowledged: 0,
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
                filled = self.client.fill() => { filled?; self.acknowledgements()?; }
                () = window.changed() => {}
                () = follower.reached(Phase::Drain) => {}
            }
        }
        loop {
            tokio::select! {
                filled = self.client.fill() => { filled?; self.acknowledgements()?; }
                () = follower.reached(Phase::End) => break,
            }
        }
        self.client.close().await
    }

    /// Writes a batch into the client's buffer; false when there is no room for any.
    fn send(&mut self, window: &Window) -> bool {
        let room = window.room().min(self.unacknowledged_room());
        let now = self.shared.now();
        for _ in 0..room {
            if self.client.output.len() >= BATCH_BYTES {
                break;
            }
            self.write(window.sent(), now);
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

    fn write(&mut self, sequence: u64, now: u64) {
        let packet_id = (self.qos != QoS::AtMostOnce).then(|| {
            self.unacknowledged += 1;
            let id = self.next_id;
            self.next_id = id.following();
            id
        });
        let out = &mut self.client.output;
        out.reserve(self.frame.len());
        self.frame.write_head_into(out, packet_id, PublishFlags::default(), None);
        Stamp { run: self.shared.run, publisher: self.number, sequence, sent_at: now }.write(out);
        out.put_slice(self.frame.payload().get(STAMP_BYTES..).unwrap_or_default());
    }

    fn acknowledgements(&mut self) -> Result<(), Fault> {
        while let Some(packet) = self.client.take()? {
            match packet {
                Packet::PubAck(ack) => {
                    self.unacknowledged = self.unacknowledged.saturating_sub(1);
                    self.shared.tally.acknowledge(ack.code.is_failure());
                }
                other => return Err(Fault::Unexpected(other.name())),
            }
        }
        Ok(())
    }
}
