//! IAM users and their access keys.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use super::InlinePolicies;

/// Key: user name. Keys and policies of a user are part of its record, so that one change is one write.
pub const IAM_USERS: Keyspace<UserRecord> = Keyspace::new("iam-users");
/// Key: access key id. Always written together with the user's record.
pub const IAM_ACCESS_KEYS: Keyspace<AccessKeyOwner> = Keyspace::new("iam-access-keys");

/// The key of a user.
pub fn user_key(name: &str) -> Key {
    Key::of(&[name])
}

/// The key of an access key.
pub fn access_key_key(id: &str) -> Key {
    Key::of(&[id])
}

/// Whose access key this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyOwner {
    /// The user's name.
    pub user: String,
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its name.
    pub name: String,
    /// `AIDA` and 17 letters: another user of the same name has another.
    pub id: String,
    /// When it was created.
    pub created: Timestamp,
    /// It stands in the configuration file, and is changed there only.
    #[serde(default)]
    pub from_configuration: bool,
    /// At most [`ACCESS_KEYS_PER_USER`](super::ACCESS_KEYS_PER_USER).
    pub access_keys: Vec<AccessKeyRecord>,
    /// Its inline policies.
    pub policies: InlinePolicies,
}

impl UserRecord {
    /// One of its access keys.
    pub fn access_key(&self, id: &str) -> Option<&AccessKeyRecord> {
        self.access_keys.iter().find(|key| key.id == id)
    }
}

/// An access key of a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyRecord {
    /// `AKIA` and 16 letters, or what the configuration file says.
    pub id: String,
    /// The secret. A signature can only be checked with the secret itself, so it stands here in the clear: the store's
    /// file is the owner's only.
    pub secret: String,
    /// Whether it may be used.
    pub status: AccessKeyStatus,
    /// When it was created.
    pub created: Timestamp,
}

impl std::fmt::Debug for AccessKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeyRecord")
            .field("id", &self.id)
            .field("status", &self.status)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// Whether an access key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessKeyStatus {
    /// It may.
    Active,
    /// Switched off.
    Inactive,
}

impl AccessKeyStatus {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }
}
