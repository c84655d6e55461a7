//! A retained message as the store keeps it: when it came (eight bytes), then the message as in the journal.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use identity::Timestamp;
use mqtt::Message;
use session::stored;

/// A retained message.
#[derive(Clone, Debug, PartialEq)]
pub struct RetainedRecord {
    /// When it was stored.
    pub stored: Timestamp,
    /// The message.
    pub message: Message,
}

impl RetainedRecord {
    /// As it is kept.
    pub fn encode(message: &Message, stored: Timestamp) -> Bytes {
        let message = stored::encode(message);
        let mut value = BytesMut::with_capacity(8 + message.len());
        value.put_u64(stored.millis());
        value.extend_from_slice(&message);
        value.freeze()
    }

    /// What [`RetainedRecord::encode`] made. `None`: it is something else.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let mut value = Bytes::copy_from_slice(value);
        let stored = Timestamp(value.try_get_u64().ok()?);
        let message = stored::decode(&value)?;
        Some(Self { stored, message })
    }
}
