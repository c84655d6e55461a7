//! Where encoded bytes go: a buffer, or a counter that only measures.

use bytes::{BufMut, Bytes, BytesMut};

use crate::encode::{REMAINING_MAX, TooLong};
use crate::properties::{Property, UserProperties};
use crate::text::{TEXT_MAX, Text};
use crate::version::PacketId;

/// Takes the basic types of the protocol (MQTT 5.0 section 1.5).
pub(crate) trait Sink: Sized {
    /// Bytes as they are.
    fn raw(&mut self, bytes: &[u8]);

    /// Bytes after their two-byte length.
    fn binary(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.raw(bytes);
    }

    fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// One to four bytes, as few as possible `[MQTT-1.5.5-1]`.
    fn variable(&mut self, value: usize) {
        let mut rest = value;
        while rest > 0x7F {
            self.u8((rest & 0x7F) as u8 | 0x80);
            rest >>= 7;
        }
        self.u8(rest as u8);
    }

    fn text(&mut self, text: &Text) {
        self.binary(text.as_bytes());
    }

    fn packet_id(&mut self, id: PacketId) {
        self.u16(id.get());
    }

    /// A property section: its length, then its properties.
    fn section(&mut self, block: &impl Block) {
        let mut count = Count::default();
        block.write(&mut count);
        self.variable(count.bytes);
        block.write(self);
    }

    fn flag_property(&mut self, property: Property, value: Option<bool>) {
        if let Some(value) = value {
            self.u8(property.id());
            self.u8(u8::from(value));
        }
    }

    fn u16_property(&mut self, property: Property, value: Option<u16>) {
        if let Some(value) = value {
            self.u8(property.id());
            self.u16(value);
        }
    }

    fn u32_property(&mut self, property: Property, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(property.id());
            self.u32(value);
        }
    }

    fn variable_property(&mut self, property: Property, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(property.id());
            self.variable(value as usize);
        }
    }

    fn text_property(&mut self, property: Property, value: Option<&Text>) {
        if let Some(value) = value {
            self.u8(property.id());
            self.text(value);
        }
    }

    fn binary_property(&mut self, property: Property, value: Option<&Bytes>) {
        if let Some(value) = value {
            self.u8(property.id());
            self.binary(value);
        }
    }

    fn user_properties(&mut self, properties: &UserProperties) {
        self.raw(properties.wire());
    }
}

/// The properties of one packet: what stands inside a section.
pub(crate) trait Block {
    fn write<S: Sink>(&self, out: &mut S);
}

impl Sink for BytesMut {
    fn raw(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// Measures instead of writing.
#[derive(Debug, Default)]
pub(crate) struct Count {
    bytes: usize,
    /// The length of a binary field that is too long for its two-byte length.
    overlong: Option<usize>,
}

impl Count {
    pub(crate) const fn bytes_written(&self) -> usize {
        self.bytes
    }

    /// Bytes that are sent from elsewhere.
    pub(crate) const fn skip(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// The length, if MQTT can say it.
    pub(crate) fn finish(self, packet: &'static str) -> Result<usize, TooLong> {
        if let Some(bytes) = self.overlong {
            return Err(TooLong { packet, bytes, limit: TEXT_MAX });
        }
        if self.bytes > REMAINING_MAX {
            return Err(TooLong { packet, bytes: self.bytes, limit: REMAINING_MAX });
        }
        Ok(self.bytes)
    }
}

impl Sink for Count {
    fn raw(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn binary(&mut self, bytes: &[u8]) {
        if bytes.len() > TEXT_MAX {
            self.overlong = Some(bytes.len());
        }
        self.bytes += 2 + bytes.len();
    }
}
