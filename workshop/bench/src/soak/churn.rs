//! The churn of a soak: what a fleet does besides sending telemetry. Each kind checks its own messages, so that a
//! disturbance that the telemetry does not meet is seen, too.

pub mod away;
pub mod policies;
pub mod retained;
pub mod storm;
pub mod subscriptions;

use std::collections::HashSet;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fleet::{Client, Fault, Stamp, acknowledge, text};
use mqtt::{Packet, PacketId, Publish, QoS};
use tokio::time::timeout;

use crate::soak::telemetry::PAYLOAD_BYTES;
use crate::soak::world::World;

/// How long a message, or an acknowledgement, may take before it counts as missing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A QoS 1 message with a stamp.
fn message(
    world: &World,
    topic: &str,
    (publisher, sequence): (u32, u64),
    id: PacketId,
    retain: bool,
) -> Result<Packet, Fault> {
    let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES);
    Stamp { run: world.run, publisher, sequence, sent_at: world.now() }.write(&mut payload);
    payload.put_bytes(b'x', PAYLOAD_BYTES.saturating_sub(payload.len()));
    Ok(Packet::Publish(Box::new(Publish {
        qos: QoS::AtLeastOnce,
        retain,
        topic: text(topic)?,
        packet_id: Some(id),
        payload: Bytes::from(payload),
        ..Publish::default()
    })))
}

/// Takes packets until so many acknowledgements and the messages with these numbers are there.
///
/// # Errors
/// They do not come in time, a publish was refused, or the connection ended.
async fn await_all(
    client: &mut Client,
    mut acknowledgements: usize,
    mut messages: HashSet<(u32, u64)>,
) -> Result<(), Fault> {
    let wait = async {
        loop {
            while let Some(packet) = client.take()? {
                match packet {
                    Packet::PubAck(ack) if ack.code.is_failure() => {
                        return Err(Fault::Refused("PUBLISH", ack.code));
                    }
                    Packet::PubAck(_) => acknowledgements = acknowledgements.saturating_sub(1),
                    Packet::Publish(publish) => {
                        acknowledge(client, &publish)?;
                        if let Some(stamp) = Stamp::read(&publish.payload) {
                            messages.remove(&(stamp.publisher, stamp.sequence));
                        }
                    }
                    other => return Err(Fault::Unexpected(other.name())),
                }
            }
            client.flush().await?;
            if acknowledgements == 0 && messages.is_empty() {
                return Ok(());
            }
            client.fill().await?;
        }
    };
    timeout(PATIENCE, wait).await.map_err(|_| Fault::Timeout("PUBACK or message"))?
}
