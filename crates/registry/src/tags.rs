//! Tags on thing types, thing groups, billing groups, policies, CA certificates and custom authorizers.
//!
//! Source: API reference, *TagResource*; developer guide, *Tagging your AWS IoT resources*.

use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: resource ARN, tag key.
pub const TAGS: Keyspace<TagRecord> = Keyspace::new("tags");

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// May be empty.
    pub value: String,
}

/// The key of a tag.
pub fn tag_key(arn: &str, key: &str) -> Key {
    Key::of(&[arn, key])
}

/// Checks a tag's spelling.
///
/// # Errors
/// [`Fault::Invalid`]: length, or a key that AWS keeps for itself.
pub fn check_tag(key: &str, value: &str) -> Result<(), Fault> {
    let characters = key.chars().count();
    if characters == 0 || characters > limits::TAG_KEY {
        return Err(Fault::invalid(format!(
            "The tag key {key} must have 1 to {} characters",
            limits::TAG_KEY
        )));
    }
    if key.len() >= 4 && key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        return Err(Fault::invalid(format!("The tag key {key} must not begin with aws:")));
    }
    if value.chars().count() > limits::TAG_VALUE {
        return Err(Fault::invalid(format!(
            "The value of tag {key} must have at most {} characters",
            limits::TAG_VALUE
        )));
    }
    Ok(())
}

/// Checks how many tags a resource would have.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_count(count: usize) -> Result<(), Fault> {
    if count <= limits::TAGS {
        return Ok(());
    }
    Err(Fault::limit(format!("A resource can have at most {} tags", limits::TAGS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_and_number() {
        assert_eq!(check_tag("Owner", ""), Ok(()));
        assert!(check_tag("", "x").is_err());
        assert!(check_tag("AWS:owner", "x").is_err());
        assert!(check_tag(&"k".repeat(129), "x").is_err());
        assert!(check_tag("ключ", &"x".repeat(257)).is_err());
        assert_eq!(check_count(50), Ok(()));
        assert!(matches!(check_count(51), Err(Fault::LimitExceeded(_))));
    }
}
