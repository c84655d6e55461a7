//! Keys of several parts whose byte order is the order of the parts, and whose prefixes are exact.

use std::fmt;

use bytes::Bytes;

const END: u8 = 0x00;
/// Follows a NUL that belongs to a part; no UTF-8 text contains this byte, so it cannot begin the next part.
const NUL_MARK: u8 = 0xFF;

/// The bytes under which a record is kept: each part, then a NUL.
///
/// `Key::of(&["ab"])` is a prefix of `Key::of(&["ab", "c"])` and not of `Key::of(&["abc"])`. Keys sort as their parts
/// do. Cheap to clone. Longer than 1 KiB is refused by the store, not here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Bytes);

impl Key {
    /// The longest key that a store takes, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The prefix of every key.
    pub const EMPTY: Self = Self(Bytes::new());

    /// Joins parts.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for part in parts {
            push_part(&mut bytes, part);
        }
        Self(Bytes::from(bytes))
    }

    /// This key with one more part.
    #[must_use]
    pub fn then(&self, part: &str) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + part.len() + 1);
        bytes.extend_from_slice(&self.0);
        push_part(&mut bytes, part);
        Self(Bytes::from(bytes))
    }

    /// The parts again. Bytes that were not made by [`Key::of`] come out as best they can.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut bytes = self.0.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte != END {
                part.push(byte);
            } else if bytes.next_if_eq(&NUL_MARK).is_some() {
                part.push(END);
            } else {
                parts.push(text(&std::mem::take(&mut part)));
            }
        }
        if !part.is_empty() {
            parts.push(text(&part));
        }
        parts
    }

    /// The bytes that the store sees.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes the store sees.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the key without parts, which is the prefix of all and the name of no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn push_part(bytes: &mut Vec<u8>, part: &str) {
    for byte in part.bytes() {
        bytes.push(byte);
        if byte == END {
            bytes.push(NUL_MARK);
        }
    }
    bytes.push(END);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl From<Bytes> for Key {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// So that maps keyed by `Key` answer for borrowed bytes; order and hash are those of the bytes.
impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join("/"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_ends_with_its_part() {
        let parent = Key::of(&["ab"]);
        assert!(Key::of(&["ab", "c"]).as_bytes().starts_with(parent.as_bytes()));
        assert!(!Key::of(&["abc"]).as_bytes().starts_with(parent.as_bytes()));
        assert_eq!(parent.then("c"), Key::of(&["ab", "c"]));
        assert!(Key::EMPTY.is_empty());
    }

    #[test]
    fn reads_for_people() {
        assert_eq!(Key::of(&["policy", "arn:aws:iot"]).to_string(), "policy/arn:aws:iot");
    }

    proptest! {
        #[test]
        fn parts_come_back(parts in proptest::collection::vec("[a-c\\x00é]{0,4}", 0..4)) {
            let borrowed: Vec<&str> = parts.iter().map(String::as_str).collect();
            prop_assert_eq!(Key::of(&borrowed).parts(), parts);
        }

        #[test]
        fn keys_sort_as_their_parts(
            left in proptest::collection::vec("[a-c\\x00]{0,3}", 0..3),
            right in proptest::collection::vec("[a-c\\x00]{0,3}", 0..3),
        ) {
            let key = |parts: &[String]| Key::of(&parts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(key(&left).cmp(&key(&right)), left.cmp(&right));
        }
    }
}
