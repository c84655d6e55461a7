//! Policies and their versions.
//!
//! Sources: developer guide, *AWS IoT Core policies*; API reference, *CreatePolicyVersion*, *DeletePolicyVersion*.

use identity::{PolicyName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: policy name.
pub const POLICIES: Keyspace<PolicyRecord> = Keyspace::new("policies");

/// The key of a policy.
pub fn policy_key(name: &str) -> Key {
    Key::of(&[name])
}

/// A policy with all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Its name.
    pub name: PolicyName,
    /// The version in force: an `id` of one of `versions`.
    pub default_version: u32,
    /// One to five, by ascending id.
    pub versions: Vec<PolicyVersionRecord>,
    /// The highest id ever given: ids are not used twice, even when versions were deleted.
    pub last_version: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When a version was created, deleted or made the default.
    pub modified: Timestamp,
    /// Changes with each change of the record (`generationId`): a UUID.
    pub generation: String,
    /// See [`crate::guard`].
    #[serde(default)]
    pub closing: bool,
}

/// One version of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersionRecord {
    /// From 1.
    pub id: u32,
    /// The document, as it was given.
    pub document: String,
    /// When it was created.
    pub created: Timestamp,
}

impl PolicyRecord {
    /// A new policy, whose first version is in force.
    pub fn new(name: PolicyName, document: String, now: Timestamp, generation: String) -> Self {
        let first = PolicyVersionRecord { id: 1, document, created: now };
        Self {
            name,
            default_version: 1,
            versions: vec![first],
            last_version: 1,
            created: now,
            modified: now,
            generation,
            closing: false,
        }
    }

    /// The version with this id.
    pub fn version(&self, id: u32) -> Option<&PolicyVersionRecord> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// The version in force.
    pub fn in_force(&self) -> Option<&PolicyVersionRecord> {
        self.version(self.default_version)
    }

    /// Adds a version and answers its id.
    ///
    /// # Errors
    /// [`Fault::VersionsLimitExceeded`] when there are five.
    pub fn add_version(
        &mut self,
        document: String,
        set_as_default: bool,
        now: Timestamp,
    ) -> Result<u32, Fault> {
        if self.versions.len() >= limits::POLICY_VERSIONS {
            return Err(Fault::VersionsLimitExceeded(format!(
                "The policy {} already has the maximum number of versions ({})",
                self.name,
                limits::POLICY_VERSIONS
            )));
        }
        let id = self.last_version.saturating_add(1);
        self.versions.push(PolicyVersionRecord { id, document, created: now });
        self.last_version = id;
        self.modified = now;
        if set_as_default {
            self.default_version = id;
        }
        Ok(id)
    }

    /// Puts a version in force.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    pub fn set_default(&mut self, id: u32, now: Timestamp) -> Result<(), Fault> {
        self.require(id)?;
        self.default_version = id;
        self.modified = now;
        Ok(())
    }

    /// Deletes a version.
    ///
    /// # Errors
    /// [`Fault::NotFound`]; [`Fault::DeleteConflict`] for the version in force.
    pub fn delete_version(&mut self, id: u32, now: Timestamp) -> Result<(), Fault> {
        self.require(id)?;
        if id == self.default_version {
            return Err(Fault::DeleteConflict("Cannot delete the default version of a policy".to_owned()));
        }
        self.versions.retain(|version| version.id != id);
        self.modified = now;
        Ok(())
    }

    /// Whether the policy may be deleted.
    ///
    /// # Errors
    /// [`Fault::DeleteConflict`] while it is attached or has versions that are not in force.
    pub fn check_delete(&self, attached: bool) -> Result<(), Fault> {
        if self.versions.len() > 1 {
            return Err(Fault::DeleteConflict(
                "Cannot delete the policy because it has one or more policy versions attached to it"
                    .to_owned(),
            ));
        }
        if attached {
            return Err(Fault::DeleteConflict(format!(
                "The policy cannot be deleted as the policy is attached to one or more principals (name={})",
                self.name
            )));
        }
        Ok(())
    }

    /// The version with this id, or the fault that names it.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    pub fn require(&self, id: u32) -> Result<&PolicyVersionRecord, Fault> {
        self.version(id)
            .ok_or_else(|| Fault::NotFound(format!("Version {id} of policy {} does not exist", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> PolicyRecord {
        PolicyRecord::new(PolicyName::new("p").unwrap(), "{}".into(), Timestamp(1), "g".into())
    }

    #[test]
    fn versions_count_up_and_are_never_given_twice() {
        let mut policy = policy();
        assert_eq!(policy.add_version("2".into(), false, Timestamp(2)), Ok(2));
        assert_eq!(policy.default_version, 1);
        policy.delete_version(2, Timestamp(3)).unwrap();
        assert_eq!(policy.add_version("3".into(), true, Timestamp(4)), Ok(3));
        assert_eq!(policy.in_force().map(|version| version.document.as_str()), Some("3"));
        assert_eq!(policy.modified, Timestamp(4));
    }

    #[test]
    fn a_sixth_version_is_refused() {
        let mut policy = policy();
        for id in 2..=5 {
            assert_eq!(policy.add_version("x".into(), false, Timestamp(2)), Ok(id));
        }
        assert!(matches!(
            policy.add_version("x".into(), false, Timestamp(2)),
            Err(Fault::VersionsLimitExceeded(_))
        ));
        policy.delete_version(3, Timestamp(3)).unwrap();
        assert_eq!(policy.add_version("x".into(), false, Timestamp(2)), Ok(6));
    }

    #[test]
    fn the_version_in_force_stays() {
        let mut policy = policy();
        assert!(matches!(policy.delete_version(1, Timestamp(2)), Err(Fault::DeleteConflict(_))));
        assert!(matches!(policy.delete_version(9, Timestamp(2)), Err(Fault::NotFound(_))));
        assert!(matches!(policy.set_default(9, Timestamp(2)), Err(Fault::NotFound(_))));
        assert!(matches!(policy.check_delete(true), Err(Fault::DeleteConflict(_))));
        assert_eq!(policy.check_delete(false), Ok(()));
        policy.add_version("2".into(), true, Timestamp(2)).unwrap();
        assert!(matches!(policy.check_delete(false), Err(Fault::DeleteConflict(_))));
        policy.delete_version(1, Timestamp(3)).unwrap();
        assert_eq!(policy.check_delete(false), Ok(()));
    }
}
