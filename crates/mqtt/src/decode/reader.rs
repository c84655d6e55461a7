//! The basic types of the protocol (MQTT 5.0 section 1.5), read from the body of one packet.

use bytes::Bytes;

use crate::clause;
use crate::malformed::{Flaw, MalformedFault};
use crate::text::{InvalidText, Text, check_text};
use crate::version::PacketId;

/// A position in the body of a packet, or in a section of it.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
    end: usize,
}

const TRUNCATED: Flaw = Flaw::new(MalformedFault::Truncated, clause::LENGTH);

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a Bytes) -> Self {
        Self { body, at: 0, end: body.len() }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Bytes not yet read.
    pub(crate) const fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Where the reader stands, counted from the start of the body.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Bytes of the body that were read, shared.
    pub(crate) fn shared(&self, from: usize, to: usize) -> Bytes {
        self.body.slice(from..to)
    }

    /// Nothing may be left over.
    pub(crate) fn end(&self) -> Result<(), Flaw> {
        match u32::try_from(self.remaining()).unwrap_or(u32::MAX) {
            0 => Ok(()),
            count => Err(Flaw::new(MalformedFault::TrailingBytes { count }, clause::LENGTH)),
        }
    }

    /// The next `length` bytes as a reader of their own; this one goes on behind them.
    pub(crate) fn section(&mut self, length: usize) -> Result<Self, Flaw> {
        let start = self.skip(length)?;
        Ok(Self { body: self.body, at: start, end: self.at })
    }

    /// Steps over `length` bytes; returns where they start.
    fn skip(&mut self, length: usize) -> Result<usize, Flaw> {
        if length > self.remaining() {
            return Err(TRUNCATED);
        }
        let start = self.at;
        self.at += length;
        Ok(start)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let start = self.skip(N)?;
        self.body.get(start..).and_then(|bytes| bytes.first_chunk()).copied().ok_or(TRUNCATED)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Flaw> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Flaw> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Flaw> {
        self.array().map(u32::from_be_bytes)
    }

    /// One to four bytes, as few as possible `[MQTT-1.5.5-1]`.
    pub(crate) fn variable(&mut self) -> Result<u32, Flaw> {
        let overlong = Flaw::new(MalformedFault::VariableByteInteger, clause::VARIABLE_INTEGER);
        let mut value = 0;
        for index in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return if byte == 0 && index > 0 { Err(overlong) } else { Ok(value) };
            }
        }
        Err(overlong)
    }

    /// Never 0 `[MQTT-2.2.1-3]`, `[MQTT-2.2.1-4]`.
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, Flaw> {
        let zero = Flaw::new(MalformedFault::PacketIdZero, clause::PACKET_ID);
        PacketId::new(self.u16()?).ok_or(zero)
    }

    /// Bytes after a two-byte length (MQTT 5.0 section 1.5.6).
    pub(crate) fn binary(&mut self) -> Result<Bytes, Flaw> {
        let length = usize::from(self.u16()?);
        let start = self.skip(length)?;
        Ok(self.body.slice(start..self.at))
    }

    /// A string (MQTT 5.0 section 1.5.4).
    pub(crate) fn text(&mut self) -> Result<Text, Flaw> {
        Text::try_from(self.binary()?).map_err(flaw)
    }

    /// Steps over a string after checking it; keeps nothing.
    pub(crate) fn skip_text(&mut self) -> Result<(), Flaw> {
        let length = usize::from(self.u16()?);
        let start = self.skip(length)?;
        check_text(self.body.get(start..self.at).unwrap_or_default()).map_err(flaw)
    }
}

const fn flaw(invalid: InvalidText) -> Flaw {
    match invalid {
        InvalidText::NulCharacter => Flaw::new(MalformedFault::NulCharacter, clause::NUL),
        InvalidText::NotUtf8 | InvalidText::TooLong { .. } => {
            Flaw::new(MalformedFault::NotUtf8, clause::UTF8)
        }
    }
}
