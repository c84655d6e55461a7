//! User properties: kept exactly as they stand on the wire, so that forwarding them is one copy and receiving
//! them is none.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::properties::Property;
use crate::text::Text;

/// Bytes that each pair adds on the wire: the identifier and two lengths.
const OVERHEAD: usize = 5;

/// An ordered list of key and value pairs; keys may repeat. Empty = no allocation; a clone shares the bytes.
///
/// The pairs are stored in their wire form, checked. Reading them costs a walk, so `len()` is not constant time.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserProperties(Bytes);

impl UserProperties {
    /// No pairs.
    pub const EMPTY: Self = Self(Bytes::new());

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The bytes of all keys and values together, without the protocol's own bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// The pairs in order.
    #[must_use]
    pub fn iter(&self) -> UserPropertiesIter<'_> {
        UserPropertiesIter { rest: &self.0 }
    }

    /// Appends a pair. Copies what is there already: collect an iterator to build a long list.
    pub fn push(&mut self, key: &Text, value: &Text) {
        let mut wire = BytesMut::with_capacity(self.0.len() + OVERHEAD + key.len() + value.len());
        wire.extend_from_slice(&self.0);
        append(&mut wire, key, value);
        self.0 = wire.freeze();
    }

    /// A copy that keeps no read buffer alive; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The pairs as they are written into a property section, identifiers included.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Pairs that the decoder has checked, identifiers included.
    pub(crate) fn from_checked_wire(wire: Bytes) -> Self {
        Self(wire)
    }
}

fn append(wire: &mut BytesMut, key: &Text, value: &Text) {
    wire.put_u8(Property::UserProperty.id());
    for text in [key.as_bytes(), value.as_bytes()] {
        // A `Text` is never longer than a two-byte length can say.
        wire.put_u16(u16::try_from(text.len()).unwrap_or_default());
        wire.put_slice(text);
    }
}

impl FromIterator<(Text, Text)> for UserProperties {
    fn from_iter<I: IntoIterator<Item = (Text, Text)>>(pairs: I) -> Self {
        let mut wire = BytesMut::new();
        for (key, value) in pairs {
            append(&mut wire, &key, &value);
        }
        Self(wire.freeze())
    }
}

impl<'a> IntoIterator for &'a UserProperties {
    type Item = (&'a str, &'a str);
    type IntoIter = UserPropertiesIter<'a>;
    fn into_iter(self) -> UserPropertiesIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for UserProperties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

/// The pairs of [`UserProperties`], in order.
#[derive(Clone, Debug)]
pub struct UserPropertiesIter<'a> {
    rest: &'a [u8],
}

impl<'a> UserPropertiesIter<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.rest.try_get_u16().ok()?);
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for UserPropertiesIter<'a> {
    type Item = (&'a str, &'a str);
    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        self.rest = self.rest.get(1..)?;
        Some((self.text()?, self.text()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_may_repeat() {
        let mut pairs = UserProperties::default();
        assert!(pairs.is_empty());
        for (key, value) in [("b", "1"), ("a", ""), ("b", "2")] {
            pairs.push(&Text::from_static(key), &Text::from_static(value));
        }
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("b", "1"), ("a", ""), ("b", "2")]);
        assert_eq!((pairs.len(), pairs.byte_len()), (3, 5));
        assert_eq!(format!("{pairs:?}"), r#"[("b", "1"), ("a", ""), ("b", "2")]"#);
    }

    #[test]
    fn collecting_equals_pushing() {
        let pair = (Text::from_static("k"), Text::from_static("v"));
        let mut pushed = UserProperties::EMPTY;
        pushed.push(&pair.0, &pair.1);
        pushed.push(&pair.0, &pair.1);
        let collected: UserProperties = [pair.clone(), pair].into_iter().collect();
        assert_eq!(pushed, collected);
        assert_eq!(pushed.detached(), collected);
    }
}
