//! Static thing groups: a forest whose parents never change, and the things in it.
//!
//! Source: developer guide, *Static thing groups*.

use std::collections::BTreeMap;

use identity::{ThingGroupName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

/// Key: thing group name.
pub const THING_GROUPS: Keyspace<ThingGroupRecord> = Keyspace::new("thing-groups");
/// Key: parent's name, child's name; the parent of a root is the empty name.
pub const GROUP_CHILDREN: Keyspace<ChildRow> = Keyspace::new("group-children");
/// Key: thing name, group name. "In which groups is this thing?"
pub const THING_MEMBERSHIPS: Keyspace<MembershipRecord> = Keyspace::new("thing-memberships");
/// Key: group name, thing name. "Which things are in this group?"
pub const GROUP_MEMBERS: Keyspace<MembershipRecord> = Keyspace::new("group-members");

/// The key of a thing group.
pub fn thing_group_key(name: &str) -> Key {
    Key::of(&[name])
}

/// The key in [`GROUP_CHILDREN`].
pub fn child_key(parent: Option<&str>, child: &str) -> Key {
    Key::of(&[parent.unwrap_or_default(), child])
}

/// The key in [`THING_MEMBERSHIPS`].
pub fn thing_membership_key(thing: &str, group: &str) -> Key {
    Key::of(&[thing, group])
}

/// The key in [`GROUP_MEMBERS`].
pub fn group_member_key(group: &str, thing: &str) -> Key {
    Key::of(&[group, thing])
}

/// The key says it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRow {}

/// A thing in a group; both directions hold the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// Since when.
    pub joined: Timestamp,
}

/// A static thing group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingGroupRecord {
    /// Its name.
    pub name: ThingGroupName,
    /// A UUID.
    pub id: String,
    /// Set at creation, never changed.
    #[serde(default)]
    pub parent: Option<ThingGroupName>,
    /// The parent, its parent, and so on to the root; as final as the parent.
    #[serde(default)]
    pub ancestors: Vec<ThingGroupName>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Its attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// 1 at creation, one more with each update.
    pub version: u64,
    /// When it was created.
    pub created: Timestamp,
    /// See [`crate::guard`].
    #[serde(default)]
    pub closing: bool,
    /// Its members leave, and it goes after the last of them: nothing else changes it any more.
    #[serde(default)]
    pub emptying: bool,
}

impl ThingGroupRecord {
    /// The root of its hierarchy: the last ancestor, or itself.
    pub fn root(&self) -> &ThingGroupName {
        self.ancestors.last().unwrap_or(&self.name)
    }

    /// Groups from the root to this one, both counted.
    pub fn depth(&self) -> usize {
        self.ancestors.len() + 1
    }

    /// What a child of this group has for ancestors.
    pub fn ancestors_of_child(&self) -> Vec<ThingGroupName> {
        std::iter::once(&self.name).chain(&self.ancestors).cloned().collect()
    }

    /// Whether a second CreateThingGroup with `other`'s configuration would create what is already there.
    pub fn is_same_configuration(&self, other: &Self) -> bool {
        self.parent == other.parent
            && self.description == other.description
            && self.attributes == other.attributes
    }
}
