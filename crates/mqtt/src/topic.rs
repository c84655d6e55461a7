//! Topic names, topic filters, and whether one matches the other (MQTT 5.0 section 4.7).

mod filter;
mod matching;
mod name;

use std::fmt;

pub use filter::TopicFilter;
pub use matching::{MatchRules, matches};
pub use name::TopicName;
pub(crate) use name::has_wildcard;

use crate::text::InvalidText;

/// The character that separates topic levels.
pub const SEPARATOR: char = '/';

/// Why a string is no topic name or no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTopic {
    /// No MQTT string at all.
    Text(InvalidText),
    /// Shorter than one character.
    Empty,
    /// A topic name with `+` or `#` in it.
    WildcardInName,
    /// `#` is not the last character of the filter.
    HashNotLast,
    /// `#` shares its level with other characters.
    HashNotAlone,
    /// `+` shares its level with other characters.
    PlusNotAlone,
    /// `$share//...`: the share name is empty.
    ShareNameEmpty,
    /// The share name contains `+` or `#`.
    ShareNameWildcard,
    /// `$share/name` without a filter after it.
    ShareWithoutFilter,
}

impl InvalidTopic {
    /// The clause of MQTT 5.0 that the string breaks.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::Text(text) => text.clause(),
            Self::Empty => "MQTT-4.7.3-1",
            Self::WildcardInName => "MQTT-4.7.0-1",
            Self::HashNotLast | Self::HashNotAlone => "MQTT-4.7.1-1",
            Self::PlusNotAlone => "MQTT-4.7.1-2",
            Self::ShareNameEmpty => "MQTT-4.8.2-1",
            Self::ShareNameWildcard | Self::ShareWithoutFilter => "MQTT-4.8.2-2",
        }
    }
}

impl From<InvalidText> for InvalidTopic {
    fn from(text: InvalidText) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for InvalidTopic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text(text) => return text.fmt(out),
            Self::Empty => "the topic is empty; it needs at least one character",
            Self::WildcardInName => "the topic name contains + or #, which only a filter may",
            Self::HashNotLast => "# is not at the end of the filter",
            Self::HashNotAlone => "# does not stand alone in its level",
            Self::PlusNotAlone => "+ does not stand alone in its level",
            Self::ShareNameEmpty => "the share name after $share/ is empty",
            Self::ShareNameWildcard => "the share name after $share/ contains + or #",
            Self::ShareWithoutFilter => "no filter follows the share name; write $share/NAME/FILTER",
        })
    }
}

impl std::error::Error for InvalidTopic {}
