//! `TopicFilter`: what a subscription asks for.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::text::Text;
use crate::topic::{InvalidTopic, SEPARATOR};

const SHARE: &str = "$share/";

/// A valid topic filter: wildcards stand alone in their level, `#` only at the end, and a shared filter
/// (`$share/NAME/FILTER`) has a name and a filter. Equal filters are equal strings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicFilter {
    text: Text,
    /// Where the filter proper begins: 0 unless it is shared.
    matcher_at: u16,
}

impl TopicFilter {
    /// The whole filter, as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The whole filter as a string of the protocol, free of charge.
    #[must_use]
    pub const fn as_text(&self) -> &Text {
        &self.text
    }

    /// The name of the group that shares the subscription, if it is shared.
    #[must_use]
    pub fn share_name(&self) -> Option<&str> {
        let end = usize::from(self.matcher_at).checked_sub(1)?;
        self.as_str().get(SHARE.len()..end)
    }

    /// The part that is matched against topics: the filter without `$share/NAME/`.
    #[must_use]
    pub fn matcher(&self) -> &str {
        self.as_str().get(usize::from(self.matcher_at)..).unwrap_or_default()
    }

    /// The levels of [`TopicFilter::matcher`].
    pub fn levels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.matcher().split(SEPARATOR)
    }

    /// How many `/` there are in [`TopicFilter::matcher`].
    #[must_use]
    pub fn slashes(&self) -> usize {
        self.matcher().bytes().filter(|byte| *byte == b'/').count()
    }

    /// Whether `+` or `#` stands in it.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        super::name::has_wildcard(self.matcher().as_bytes())
    }

    /// Whether it matches exactly one topic.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.has_wildcard()
    }

    /// A copy that keeps no read buffer alive; see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { text: self.text.detached(), matcher_at: self.matcher_at }
    }
}

/// Finds where the filter proper begins `[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`.
fn matcher_at(text: &str) -> Result<usize, InvalidTopic> {
    let Some(shared) = text.strip_prefix(SHARE) else { return Ok(0) };
    let (name, filter) = shared.split_once(SEPARATOR).unwrap_or((shared, ""));
    if name.is_empty() {
        Err(InvalidTopic::ShareNameEmpty)
    } else if name.contains(['+', '#']) {
        Err(InvalidTopic::ShareNameWildcard)
    } else if filter.is_empty() {
        Err(InvalidTopic::ShareWithoutFilter)
    } else {
        Ok(text.len() - filter.len())
    }
}

/// Checks where the wildcards stand: `[MQTT-4.7.1-1]` for `#`, `[MQTT-4.7.1-2]` for `+`.
fn check_wildcards(matcher: &str) -> Result<(), InvalidTopic> {
    let mut levels = matcher.split(SEPARATOR).peekable();
    while let Some(level) = levels.next() {
        match level {
            "#" if levels.peek().is_some() => return Err(InvalidTopic::HashNotLast),
            "#" | "+" => {}
            _ if level.contains('#') => return Err(InvalidTopic::HashNotAlone),
            _ if level.contains('+') => return Err(InvalidTopic::PlusNotAlone),
            _ => {}
        }
    }
    Ok(())
}

impl TryFrom<Text> for TopicFilter {
    type Error = InvalidTopic;
    fn try_from(text: Text) -> Result<Self, InvalidTopic> {
        let whole = text.as_str();
        if whole.is_empty() {
            return Err(InvalidTopic::Empty);
        }
        let at = matcher_at(whole)?;
        check_wildcards(whole.get(at..).unwrap_or_default())?;
        // A `Text` is never longer than 65 535 bytes.
        Ok(Self { matcher_at: u16::try_from(at).unwrap_or_default(), text })
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = InvalidTopic;
    fn try_from(text: &str) -> Result<Self, InvalidTopic> {
        Self::try_from(Text::try_from(text)?)
    }
}

impl TryFrom<String> for TopicFilter {
    type Error = InvalidTopic;
    fn try_from(text: String) -> Result<Self, InvalidTopic> {
        Self::try_from(Text::try_from(text)?)
    }
}

impl Deref for TopicFilter {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for TopicFilter {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// As `str` hashes, because of [`Borrow<str>`]; where the matcher begins follows from the text.
impl Hash for TopicFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_the_standard_are_valid() {
        for text in [
            "#",
            "+",
            "a",
            "/",
            "+/+",
            "/+",
            "a/#",
            "+/a/#",
            "a//b",
            "$SYS/#",
            "$share",
            "$shared/a",
            "a b/ ",
        ] {
            let filter = TopicFilter::try_from(text).unwrap();
            assert_eq!((filter.matcher(), filter.share_name()), (text, None));
        }
    }

    /// `[MQTT-4.7.1-1]`, `[MQTT-4.7.1-2]`, `[MQTT-4.7.3-1]`
    #[test]
    fn wildcards_must_stand_alone() {
        for (text, why) in [
            ("", InvalidTopic::Empty),
            ("a#", InvalidTopic::HashNotAlone),
            ("a/b#", InvalidTopic::HashNotAlone),
            ("a/#/b", InvalidTopic::HashNotLast),
            ("#/", InvalidTopic::HashNotLast),
            ("##", InvalidTopic::HashNotAlone),
            ("a+", InvalidTopic::PlusNotAlone),
            ("a/+b/c", InvalidTopic::PlusNotAlone),
            ("++", InvalidTopic::PlusNotAlone),
        ] {
            assert_eq!(TopicFilter::try_from(text), Err(why), "{text:?}");
        }
    }

    /// `[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`
    #[test]
    fn shared_filters_have_a_name_and_a_filter() {
        let filter = TopicFilter::try_from("$share/group/a/+").unwrap();
        assert_eq!((filter.share_name(), filter.matcher()), (Some("group"), "a/+"));
        assert_eq!((filter.slashes(), filter.has_wildcard()), (1, true));
        assert_eq!(TopicFilter::try_from("$share/g//").unwrap().matcher(), "/");
        for (text, why) in [
            ("$share/", InvalidTopic::ShareNameEmpty),
            ("$share//a", InvalidTopic::ShareNameEmpty),
            ("$share/g", InvalidTopic::ShareWithoutFilter),
            ("$share/g/", InvalidTopic::ShareWithoutFilter),
            ("$share/g+/a", InvalidTopic::ShareNameWildcard),
            ("$share/#/a", InvalidTopic::ShareNameWildcard),
            ("$share/g/a#", InvalidTopic::HashNotAlone),
        ] {
            assert_eq!(TopicFilter::try_from(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn exactness_ignores_the_share_name() {
        assert!(TopicFilter::try_from("$share/g/a").unwrap().is_exact());
        assert!(!TopicFilter::try_from("a/#").unwrap().is_exact());
    }
}
