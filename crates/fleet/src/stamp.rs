//! The stamp at the front of every payload: which run, which publisher, which message, when.

use bytes::BufMut;

/// Bytes of a stamp, hence of the smallest payload.
pub const STAMP_BYTES: usize = 28;

/// What a payload says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The run: messages of another are not ours.
    pub run: u64,
    /// The publisher by number.
    pub publisher: u32,
    /// The message by number; a publisher counts from 0 without gaps.
    pub sequence: u64,
    /// Nanoseconds since the run's origin.
    pub sent_at: u64,
}

impl Stamp {
    /// Writes [`STAMP_BYTES`] bytes.
    pub fn write(self, out: &mut impl BufMut) {
        out.put_u64(self.run);
        out.put_u32(self.publisher);
        out.put_u64(self.sequence);
        out.put_u64(self.sent_at);
    }

    /// Reads the front of a payload; `None`: it is too short to be ours.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (run, rest) = payload.split_first_chunk()?;
        let (publisher, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let sent_at = rest.first_chunk()?;
        Some(Self {
            run: u64::from_be_bytes(*run),
            publisher: u32::from_be_bytes(*publisher),
            sequence: u64::from_be_bytes(*sequence),
            sent_at: u64::from_be_bytes(*sent_at),
        })
    }
}

/// A number that no other run has: names clients, topics and payloads. Only uniqueness is wanted of it, so the seed
/// of the standard library's hash maps serves.
pub fn unique_run() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let stamp = Stamp { run: u64::MAX, publisher: 7, sequence: 1 << 40, sent_at: 123_456_789 };
        let mut bytes = Vec::new();
        stamp.write(&mut bytes);
        assert_eq!(bytes.len(), STAMP_BYTES);
        assert_eq!(Stamp::read(&bytes), Some(stamp));
        assert_eq!(Stamp::read(&bytes[1..]), None);
        bytes.extend_from_slice(b"filler");
        assert_eq!(Stamp::read(&bytes), Some(stamp));
    }

    #[test]
    fn runs_differ() {
        assert_ne!(unique_run(), unique_run());
    }
}
