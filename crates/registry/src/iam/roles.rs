//! IAM roles.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use super::InlinePolicies;

/// Key: role name.
pub const IAM_ROLES: Keyspace<RoleRecord> = Keyspace::new("iam-roles");

/// The key of a role.
pub fn role_key(name: &str) -> Key {
    Key::of(&[name])
}

/// An IAM role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// Its name.
    pub name: String,
    /// `AROA` and 17 letters: another role of the same name has another, and sessions of this one end with it.
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
    /// It stands in the configuration file, and is changed there only.
    #[serde(default)]
    pub from_configuration: bool,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// The longest session, in seconds: 3600 to 43200.
    pub max_session_seconds: u32,
    /// Who may assume it, as it was given.
    pub trust: String,
    /// Its inline policies.
    pub policies: InlinePolicies,
}
