//! `Text`: the UTF-8 encoded string of MQTT, shared and cheap to clone.
//!
//! The bytes are valid by construction, so every packet field of this type has passed the string rules already.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// The longest string that MQTT can carry, in bytes: its length is a two-byte integer (MQTT 5.0 section 1.5.4).
pub const TEXT_MAX: usize = u16::MAX as usize;

/// A valid MQTT string: well-formed UTF-8 `[MQTT-1.5.4-1]`, no U+0000 `[MQTT-1.5.4-2]`, at most 65 535 bytes.
///
/// Control characters, private use and a leading byte order mark `[MQTT-1.5.4-3]` are allowed and kept.
/// A clone shares the bytes. A `Text` that came out of the decoder's read buffer keeps that buffer alive:
/// see [`Text::detached`]. The bytes are checked once, when the value is made; reading as `&str` is free.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(ByteString);

/// Why bytes are no MQTT string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidText {
    /// Longer than [`TEXT_MAX`].
    TooLong {
        /// The length in bytes.
        bytes: usize,
    },
    /// Not well-formed UTF-8 (this includes encoded surrogates).
    NotUtf8,
    /// Contains the character U+0000.
    NulCharacter,
}

impl Text {
    /// The empty string; allocates nothing.
    pub const EMPTY: Self = Self(ByteString::new());

    /// A string known at compile time; allocates nothing.
    ///
    /// The literal must be a valid MQTT string: this is asserted, at compile time when used in a constant.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.len() <= TEXT_MAX, "literal is longer than an MQTT string can be");
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            assert!(*first != 0, "literal contains U+0000");
            rest = tail;
        }
        Self(ByteString::from_static(text))
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes of the string.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The shared bytes behind the string.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// A copy with an allocation of its own: use it for what outlives the packet (a client id, a stored topic),
    /// because a `Text` that was decoded without copying keeps the whole read buffer alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(ByteString::from(self.as_str()))
    }
}

/// Checks what [`Text`] promises.
pub(crate) fn check_text(bytes: &[u8]) -> Result<(), InvalidText> {
    check_length(bytes)?;
    check_characters(std::str::from_utf8(bytes).map_err(|_| InvalidText::NotUtf8)?)
}

const fn check_length(bytes: &[u8]) -> Result<(), InvalidText> {
    if bytes.len() > TEXT_MAX { Err(InvalidText::TooLong { bytes: bytes.len() }) } else { Ok(()) }
}

fn check_characters(text: &str) -> Result<(), InvalidText> {
    if text.as_bytes().contains(&0) { Err(InvalidText::NulCharacter) } else { Ok(()) }
}

impl TryFrom<Bytes> for Text {
    type Error = InvalidText;
    fn try_from(bytes: Bytes) -> Result<Self, InvalidText> {
        check_length(&bytes)?;
        let text = ByteString::try_from(bytes).map_err(|_| InvalidText::NotUtf8)?;
        check_characters(&text)?;
        Ok(Self(text))
    }
}

impl TryFrom<&str> for Text {
    type Error = InvalidText;
    fn try_from(text: &str) -> Result<Self, InvalidText> {
        check_length(text.as_bytes())?;
        check_characters(text)?;
        Ok(Self(ByteString::from(text)))
    }
}

impl TryFrom<String> for Text {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::try_from(Bytes::from(text))
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// As `str` hashes, because of [`Borrow<str>`].
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl InvalidText {
    /// The clause of MQTT 5.0 that the bytes break.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "5.0 section 1.5.4",
            Self::NotUtf8 => "MQTT-1.5.4-1",
            Self::NulCharacter => "MQTT-1.5.4-2",
        }
    }
}

impl fmt::Display for InvalidText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(out, "the string has {bytes} bytes, an MQTT string at most {TEXT_MAX}")
            }
            Self::NotUtf8 => out.write_str("the string is not well-formed UTF-8"),
            Self::NulCharacter => out.write_str("the string contains the character U+0000"),
        }
    }
}

impl std::error::Error for InvalidText {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// `[MQTT-1.5.4-1]`
    #[test]
    fn ill_formed_utf8_is_refused() {
        for bytes in
            [&b"\xc3\x28"[..], b"\xed\xa0\x80", b"\xff", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"a\xe2\x82"]
        {
            let text = Text::try_from(Bytes::copy_from_slice(bytes));
            assert_eq!(text, Err(InvalidText::NotUtf8), "{bytes:x?}");
        }
    }

    /// `[MQTT-1.5.4-2]`
    #[test]
    fn the_nul_character_is_refused() {
        assert_eq!(Text::try_from("a\0b"), Err(InvalidText::NulCharacter));
    }

    /// `[MQTT-1.5.4-3]`: the byte order mark is a character like any other.
    #[test]
    fn unusual_characters_are_kept() {
        for text in ["\u{feff}a", "\u{1}\u{1f}\u{7f}\u{9f}", "\u{fffe}\u{fdd0}", "\u{10ffff}", ""] {
            assert_eq!(Text::try_from(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert!(Text::try_from("a".repeat(TEXT_MAX)).is_ok());
        let long = "é".repeat(32_768);
        assert_eq!(Text::try_from(long), Err(InvalidText::TooLong { bytes: 65_536 }));
    }

    #[test]
    fn a_set_of_texts_is_asked_by_str() {
        let set: HashSet<Text> = [Text::from_static("a/b")].into();
        assert!(set.contains("a/b"));
        assert!(!set.contains("a"));
    }
}
