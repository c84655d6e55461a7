//! Attributes of things and thing groups: names, values, numbers, and what an update makes of them.
//!
//! Sources: developer guide, *Managing things with the registry*, *Static thing groups*; API reference,
//! *AttributePayload*.

use std::collections::BTreeMap;

use crate::{Fault, limits};

/// Checks an attribute's name: 1 to 128 of `a-z A-Z 0-9 _ . , @ / : # -`.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_name(name: &str) -> Result<(), Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.,@/:#-".contains(c);
    if name.is_empty() || name.len() > limits::ATTRIBUTE_NAME || !name.chars().all(allowed) {
        return Err(Fault::invalid(format!(
            "The attribute name {name} must have 1 to {} characters of a-zA-Z0-9_.,@/:#-",
            limits::ATTRIBUTE_NAME
        )));
    }
    Ok(())
}

/// Checks an attribute's value: up to 800 of the characters of names and `= [ ]`.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_value(name: &str, value: &str) -> Result<(), Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.,@/:#=[]-".contains(c);
    if value.len() > limits::ATTRIBUTE_VALUE || !value.chars().all(allowed) {
        return Err(Fault::invalid(format!(
            "The value of attribute {name} must have at most {} characters of a-zA-Z0-9_.,@/:#=[]-",
            limits::ATTRIBUTE_VALUE
        )));
    }
    Ok(())
}

/// What is left of a payload at creation: attributes without a value are not stored.
pub fn created(payload: BTreeMap<String, String>) -> BTreeMap<String, String> {
    payload.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// What an update makes of `present`: `payload` replaces it, or is merged into it; an empty value removes.
pub fn updated(
    present: &BTreeMap<String, String>,
    payload: BTreeMap<String, String>,
    merge: bool,
) -> BTreeMap<String, String> {
    let mut attributes = if merge { present.clone() } else { BTreeMap::new() };
    for (name, value) in payload {
        if value.is_empty() {
            attributes.remove(&name);
        } else {
            attributes.insert(name, value);
        }
    }
    attributes
}

/// Checks all attributes of a thing.
///
/// # Errors
/// [`Fault::Invalid`]: spelling, number, bytes. AWS declares no limit exception for these operations.
pub fn check_thing(attributes: &BTreeMap<String, String>, has_type: bool) -> Result<(), Fault> {
    let limit = if has_type { limits::ATTRIBUTES_WITH_TYPE } else { limits::ATTRIBUTES_WITHOUT_TYPE };
    check(
        attributes,
        limit,
        if has_type { "a thing with a thing type" } else { "a thing without a thing type" },
    )
}

/// Checks all attributes of a thing group.
///
/// # Errors
/// As [`check_thing`].
pub fn check_group(attributes: &BTreeMap<String, String>) -> Result<(), Fault> {
    check(attributes, limits::ATTRIBUTES_PER_GROUP, "a thing group")
}

fn check(attributes: &BTreeMap<String, String>, limit: usize, owner: &str) -> Result<(), Fault> {
    for (name, value) in attributes {
        check_name(name)?;
        check_value(name, value)?;
    }
    if attributes.len() > limit {
        return Err(Fault::invalid(format!(
            "{} attributes were given, but {owner} can have at most {limit}",
            attributes.len()
        )));
    }
    let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::ATTRIBUTE_BYTES {
        return Err(Fault::invalid(format!(
            "The attributes have {bytes} bytes, but the limit is {}",
            limits::ATTRIBUTE_BYTES
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_update_replaces_or_merges_and_empty_removes() {
        let present = map(&[("a", "1"), ("b", "2")]);
        assert_eq!(updated(&present, map(&[("b", "3")]), false), map(&[("b", "3")]));
        assert_eq!(updated(&present, map(&[("b", "3"), ("a", "")]), true), map(&[("b", "3")]));
        assert_eq!(updated(&present, map(&[]), false), map(&[]));
        assert_eq!(created(map(&[("a", ""), ("b", "1")])), map(&[("b", "1")]));
    }

    #[test]
    fn numbers_depend_on_the_type() {
        let many = |n: usize| (0..n).map(|i| (format!("a{i}"), "v".to_owned())).collect::<BTreeMap<_, _>>();
        assert_eq!(check_thing(&many(3), false), Ok(()));
        assert!(check_thing(&many(4), false).is_err());
        assert_eq!(check_thing(&many(50), true), Ok(()));
        assert!(check_thing(&many(51), true).is_err());
        assert_eq!(check_group(&many(50)), Ok(()));
        assert!(check_group(&many(51)).is_err());
    }

    #[test]
    fn spelling_and_bytes() {
        assert!(check_thing(&map(&[("a b", "1")]), false).is_err());
        assert!(check_thing(&map(&[("a", "ü")]), false).is_err());
        assert_eq!(check_thing(&map(&[("a/#,@", "[x=1]")]), false), Ok(()));
        assert!(check_value("a", &"x".repeat(801)).is_err());
        // 50 attributes of 128 + 800 bytes are 46 400 bytes: below the limit of 48 128, which no set of valid
        // attributes can break while the number is limited to 50.
        let large: BTreeMap<_, _> = (0..50).map(|i| (format!("{i:0128}"), "v".repeat(800))).collect();
        assert_eq!(check_thing(&large, true), Ok(()));
    }
}
