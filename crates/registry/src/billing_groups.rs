//! Billing groups: under which names a bill is split, and which things are under each.
//!
//! A thing is in one at most, so its own record says in which ([`crate::things::ThingRecord::billing_group`]); the rows
//! here are the other direction.
//!
//! Source: developer guide, *Tagging your billing groups*; API reference, *CreateBillingGroup* and its neighbours.

use identity::{ThingGroupName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: billing group name.
pub const BILLING_GROUPS: Keyspace<BillingGroupRecord> = Keyspace::new("billing-groups");
/// Key: billing group name, thing name. "Which things are in this group?"
pub const BILLING_GROUP_THINGS: Keyspace<BilledThingRow> = Keyspace::new("billing-group-things");

/// The key of a billing group.
pub fn billing_group_key(name: &str) -> Key {
    Key::of(&[name])
}

/// The key in [`BILLING_GROUP_THINGS`].
pub fn billed_thing_key(group: &str, thing: &str) -> Key {
    Key::of(&[group, thing])
}

/// The key says it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledThingRow {}

/// A billing group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingGroupRecord {
    /// Its name; see [`check_name`].
    pub name: String,
    /// A UUID.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// 1 at creation, one more with each update.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
    /// See [`crate::guard`].
    #[serde(default)]
    pub closing: bool,
    /// Its things leave, and it goes after the last of them: nothing else changes it any more.
    #[serde(default)]
    pub emptying: bool,
}

/// Checks the name of a billing group: the rule is that of thing groups.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_name(name: &str) -> Result<(), Fault> {
    if ThingGroupName::new(name).is_ok() {
        return Ok(());
    }
    Err(Fault::invalid("billingGroupName is not valid: it must be 1 to 128 of a-z A-Z 0-9 : _ -"))
}

/// Whether an account with so many billing groups can have another.
///
/// # Errors
/// [`Fault::Invalid`]: AWS declares no limit exception for CreateBillingGroup.
pub fn check_another(present: usize) -> Result<(), Fault> {
    if present < limits::BILLING_GROUPS {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "The account has {} billing groups, which is the limit",
        limits::BILLING_GROUPS
    )))
}

/// Whether a thing that is in `present` can join `group`. (What AWS does with a thing of another group is
/// unconfirmed: refusing takes nothing away from anybody.)
///
/// # Errors
/// [`Fault::Invalid`] when it is in another one.
pub fn check_join(thing: &str, present: Option<&str>, group: &str) -> Result<(), Fault> {
    match present {
        Some(other) if other != group => Err(Fault::invalid(format!(
            "Thing {thing} is in billing group {other} and can be in one only: remove it from there first"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_ends_at_twenty_thousand_billing_groups() {
        assert_eq!(check_another(19_999), Ok(()));
        assert!(matches!(check_another(20_000), Err(Fault::Invalid(_))));
    }

    #[test]
    fn a_thing_is_in_one_billing_group() {
        assert_eq!(check_join("t", None, "g"), Ok(()));
        assert_eq!(check_join("t", Some("g"), "g"), Ok(()));
        assert!(matches!(check_join("t", Some("other"), "g"), Err(Fault::Invalid(_))));
    }

    #[test]
    fn names_are_as_those_of_thing_groups() {
        assert_eq!(check_name("Team:a_1-b"), Ok(()));
        assert!(
            check_name("").is_err() && check_name("a b").is_err() && check_name(&"g".repeat(129)).is_err()
        );
    }
}
