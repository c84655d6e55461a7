//! `TopicName`: where a message is published to.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use crate::text::Text;
use crate::topic::{InvalidTopic, SEPARATOR};

/// A valid topic name: at least one character `[MQTT-4.7.3-1]`, no wildcards (3.1.1 `[MQTT-4.7.1-1]`, 5.0
/// `[MQTT-4.7.0-1]`). Names are compared byte by byte, never normalised `[MQTT-4.7.3-4]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Text);

impl TopicName {
    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name as a string of the protocol, free of charge.
    #[must_use]
    pub const fn as_text(&self) -> &Text {
        &self.0
    }

    /// The name as a string of the protocol.
    #[must_use]
    pub fn into_text(self) -> Text {
        self.0
    }

    /// The levels; empty ones included: `/a` has two.
    pub fn levels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str().split(SEPARATOR)
    }

    /// How many `/` there are.
    #[must_use]
    pub fn slashes(&self) -> usize {
        self.0.as_bytes().iter().filter(|byte| **byte == b'/').count()
    }

    /// Whether it starts with `$`: filters that start with a wildcard do not match it `[MQTT-4.7.2-1]`.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.as_bytes().first() == Some(&b'$')
    }

    /// A copy that keeps no read buffer alive; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(self.0.detached())
    }
}

/// Whether there is a wildcard among the bytes.
pub(crate) fn has_wildcard(bytes: &[u8]) -> bool {
    // Without an early exit, so that the compiler can look at many bytes at once.
    bytes.iter().fold(false, |found, byte| found | (*byte == b'+') | (*byte == b'#'))
}

impl TryFrom<Text> for TopicName {
    type Error = InvalidTopic;
    fn try_from(text: Text) -> Result<Self, InvalidTopic> {
        if text.as_bytes().is_empty() {
            Err(InvalidTopic::Empty)
        } else if has_wildcard(text.as_bytes()) {
            Err(InvalidTopic::WildcardInName)
        } else {
            Ok(Self(text))
        }
    }
}

impl TryFrom<&str> for TopicName {
    type Error = InvalidTopic;
    fn try_from(text: &str) -> Result<Self, InvalidTopic> {
        Self::try_from(Text::try_from(text)?)
    }
}

impl TryFrom<String> for TopicName {
    type Error = InvalidTopic;
    fn try_from(text: String) -> Result<Self, InvalidTopic> {
        Self::try_from(Text::try_from(text)?)
    }
}

impl Deref for TopicName {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[MQTT-4.7.0-1]`, `[MQTT-4.7.3-1]`, `[MQTT-4.7.3-2]`
    #[test]
    fn what_is_no_topic_name() {
        use crate::text::InvalidText;
        for (text, why) in [
            ("", InvalidTopic::Empty),
            ("a/+", InvalidTopic::WildcardInName),
            ("a#b", InvalidTopic::WildcardInName),
            ("a\0", InvalidTopic::Text(InvalidText::NulCharacter)),
        ] {
            assert_eq!(TopicName::try_from(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn empty_levels_count() {
        let topic = TopicName::try_from("/a//b").unwrap();
        assert_eq!(topic.levels().collect::<Vec<_>>(), ["", "a", "", "b"]);
        assert_eq!(topic.slashes(), 3);
        assert!(!topic.is_reserved());
        assert!(TopicName::try_from("$SYS/x").unwrap().is_reserved());
        assert!(TopicName::try_from("/").is_ok());
    }
}
