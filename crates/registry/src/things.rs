//! Things: the registry's picture of devices.
//!
//! Source: developer guide, *Managing things with the registry*.

use std::collections::BTreeMap;

use identity::{ThingName, ThingTypeName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::Fault;

/// Key: thing name.
pub const THINGS: Keyspace<ThingRecord> = Keyspace::new("things");

/// The key of a thing.
pub fn thing_key(name: &str) -> Key {
    Key::of(&[name])
}

/// A thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingRecord {
    /// Its name.
    pub name: ThingName,
    /// A UUID.
    pub id: String,
    /// Its type.
    #[serde(default)]
    pub type_name: Option<ThingTypeName>,
    /// Its attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The billing group that it belongs to.
    #[serde(default)]
    pub billing_group: Option<String>,
    /// 1 at creation, one more with each update.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was updated last.
    pub modified: Timestamp,
}

impl ThingRecord {
    /// Whether a second CreateThing with `other`'s configuration would create what is already there.
    pub fn is_same_configuration(&self, other: &Self) -> bool {
        self.type_name == other.type_name
            && self.attributes == other.attributes
            && self.billing_group == other.billing_group
    }

    /// Whether the thing may be deleted.
    ///
    /// # Errors
    /// [`Fault::Invalid`] while principals are attached (the wording is AWS's as users report it).
    pub fn check_delete(&self, has_principals: bool) -> Result<(), Fault> {
        if !has_principals {
            return Ok(());
        }
        Err(Fault::invalid(format!(
            "Cannot delete. Thing {} is still attached to one or more principals",
            self.name
        )))
    }
}
