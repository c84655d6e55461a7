//! Provisioning templates and their versions.
//!
//! Sources: developer guide, *Provisioning templates*; API reference, *CreateProvisioningTemplate*,
//! *CreateProvisioningTemplateVersion*, *DeleteProvisioningTemplateVersion*.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: template name.
pub const PROVISIONING_TEMPLATES: Keyspace<ProvisioningTemplateRecord> =
    Keyspace::new("provisioning-templates");

/// The key of a template.
pub fn provisioning_template_key(name: &str) -> Key {
    Key::of(&[name])
}

/// What a template is for; it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TemplateType {
    /// A device asks for it over MQTT.
    FleetProvisioning,
    /// A device shows a certificate of a registered CA.
    Jitp,
}

impl TemplateType {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FleetProvisioning => "FLEET_PROVISIONING",
            Self::Jitp => "JITP",
        }
    }
}

/// A template with all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisioningTemplateRecord {
    /// Its name: 1 to 36 of `0-9A-Za-z_-`.
    pub name: String,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: TemplateType,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether devices may be provisioned with it.
    pub enabled: bool,
    /// The role that the service takes on.
    pub role_arn: String,
    /// Who is asked before a device is provisioned.
    #[serde(default)]
    pub hook: Option<ProvisioningHookRecord>,
    /// The version in force: an `id` of one of `versions`.
    pub default_version: u32,
    /// One to five, by ascending id.
    pub versions: Vec<TemplateVersionRecord>,
    /// The highest id ever given: ids are not used twice, even when versions were deleted.
    pub last_version: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When it or its versions were changed.
    pub modified: Timestamp,
}

/// A pre-provisioning hook, as the caller gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisioningHookRecord {
    /// Which form of event it takes.
    #[serde(default)]
    pub payload_version: Option<String>,
    /// The function's ARN.
    pub target_arn: String,
}

/// One version of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateVersionRecord {
    /// From 1.
    pub id: u32,
    /// The template's text.
    pub body: String,
    /// When it was created.
    pub created: Timestamp,
}

impl ProvisioningTemplateRecord {
    /// The version with this id.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    pub fn version(&self, id: u32) -> Result<&TemplateVersionRecord, Fault> {
        self.versions.iter().find(|version| version.id == id).ok_or_else(|| {
            Fault::NotFound(format!("Provisioning template {} has no version {id}", self.name))
        })
    }

    /// The text in force.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if the record is broken.
    pub fn body(&self) -> Result<&str, Fault> {
        self.version(self.default_version).map(|version| version.body.as_str())
    }

    /// Adds a version and answers its id.
    ///
    /// # Errors
    /// [`Fault::VersionsLimitExceeded`] when there are five.
    pub fn add_version(&mut self, body: String, set_as_default: bool, now: Timestamp) -> Result<u32, Fault> {
        if self.versions.len() >= limits::PROVISIONING_TEMPLATE_VERSIONS {
            return Err(Fault::VersionsLimitExceeded(format!(
                "Provisioning template {} already has the maximum number of versions ({}); delete one that is not \
                 the default",
                self.name,
                limits::PROVISIONING_TEMPLATE_VERSIONS
            )));
        }
        let id = self.last_version.saturating_add(1);
        self.versions.push(TemplateVersionRecord { id, body, created: now });
        self.last_version = id;
        self.modified = now;
        if set_as_default {
            self.default_version = id;
        }
        Ok(id)
    }

    /// Deletes a version.
    ///
    /// # Errors
    /// [`Fault::NotFound`]; [`Fault::DeleteConflict`] for the version in force.
    pub fn delete_version(&mut self, id: u32, now: Timestamp) -> Result<(), Fault> {
        self.version(id)?;
        if id == self.default_version {
            return Err(Fault::DeleteConflict(format!(
                "Version {id} is the default version of provisioning template {}; make another one the default first",
                self.name
            )));
        }
        self.versions.retain(|version| version.id != id);
        self.modified = now;
        Ok(())
    }
}

/// Whether one more template fits beside `present`.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_template_room(present: usize) -> Result<(), Fault> {
    let limit = limits::PROVISIONING_TEMPLATES;
    if present < limit {
        return Ok(());
    }
    Err(Fault::limit(format!("The account has {limit} provisioning templates, which is the limit")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ProvisioningTemplateRecord {
        ProvisioningTemplateRecord {
            name: "t".into(),
            kind: TemplateType::Jitp,
            description: None,
            enabled: true,
            role_arn: "r".into(),
            hook: None,
            default_version: 1,
            versions: vec![TemplateVersionRecord { id: 1, body: "one".into(), created: Timestamp(1) }],
            last_version: 1,
            created: Timestamp(1),
            modified: Timestamp(1),
        }
    }

    #[test]
    fn a_sixth_version_of_a_template_is_refused_and_ids_are_not_used_twice() {
        let mut record = record();
        for id in 2..=5 {
            assert_eq!(record.add_version("x".into(), id == 5, Timestamp(2)), Ok(id));
        }
        assert!(matches!(
            record.add_version("x".into(), false, Timestamp(2)),
            Err(Fault::VersionsLimitExceeded(_))
        ));
        assert_eq!(record.body(), Ok("x"));
        assert!(matches!(record.delete_version(5, Timestamp(3)), Err(Fault::DeleteConflict(_))));
        record.delete_version(4, Timestamp(3)).unwrap();
        assert!(matches!(record.delete_version(4, Timestamp(3)), Err(Fault::NotFound(_))));
        assert_eq!(record.add_version("y".into(), false, Timestamp(4)), Ok(6));
    }

    #[test]
    fn the_account_has_256_templates() {
        assert!(check_template_room(255).is_ok());
        assert!(matches!(check_template_room(256), Err(Fault::LimitExceeded(_))));
    }

    #[test]
    fn types_are_spelled_as_aws_spells_them() {
        for kind in [TemplateType::FleetProvisioning, TemplateType::Jitp] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
