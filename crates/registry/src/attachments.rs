//! Policies on targets: kept in both directions, always written together.
//!
//! A target is the ARN of a certificate or a thing group, or the id of a Cognito identity (`region:uuid`).
//! Source: API reference, *AttachPolicy*.

use identity::{Arn, CertificateId, Site, ThingGroupName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: policy name, target. "Where is this policy?"
pub const POLICY_TARGETS: Keyspace<AttachmentRecord> = Keyspace::new("policy-targets");
/// Key: target, policy name. "Which policies does this target have?"
pub const TARGET_POLICIES: Keyspace<AttachmentRecord> = Keyspace::new("target-policies");

/// One attachment; both directions hold the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// Since when: lists go by it.
    pub attached: Timestamp,
}

/// The key in [`POLICY_TARGETS`].
pub fn policy_target_key(policy: &str, target: &str) -> Key {
    Key::of(&[policy, target])
}

/// The key in [`TARGET_POLICIES`].
pub fn target_policy_key(target: &str, policy: &str) -> Key {
    Key::of(&[target, policy])
}

/// What a policy can be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A certificate, by id.
    Certificate(&'a str),
    /// A thing group, by name.
    ThingGroup(&'a str),
    /// An identity of Amazon Cognito: `region:uuid`. Nothing says whether it exists.
    CognitoIdentity(&'a str),
}

impl<'a> Target<'a> {
    /// Reads a target as the API takes it.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for anything that is none of the three, or that belongs to another account or Region.
    pub fn parse(site: &Site, text: &'a str) -> Result<Self, Fault> {
        if let Some(id) = site.name_in("cert", text).filter(|id| CertificateId::new(id).is_ok()) {
            return Ok(Self::Certificate(id));
        }
        if let Some(name) = site.name_in("thinggroup", text).filter(|name| ThingGroupName::new(name).is_ok())
        {
            return Ok(Self::ThingGroup(name));
        }
        if Arn::parse(text).is_err() && is_cognito_identity(text) {
            return Ok(Self::CognitoIdentity(text));
        }
        Err(Fault::invalid(format!(
            "Invalid target {text}: it must be the ARN of a certificate or a thing group of account {} in {}, or a \
             Cognito identity id",
            site.account, site.region
        )))
    }

    /// The most policies that one such target takes.
    pub fn policy_limit(self) -> usize {
        match self {
            Self::Certificate(_) | Self::CognitoIdentity(_) => limits::POLICIES_PER_CERTIFICATE,
            Self::ThingGroup(_) => limits::POLICIES_PER_THING_GROUP,
        }
    }
}

/// `region:uuid`, as Amazon Cognito writes identity ids.
pub fn is_cognito_identity(text: &str) -> bool {
    let Some((region, id)) = text.split_once(':') else { return false };
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    region.contains('-') && region.len() <= 32 && plain(region) && id.len() == 36 && plain(id)
}

/// Whether one more policy fits on a target that has `present` of them.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_room(target: Target<'_>, present: usize) -> Result<(), Fault> {
    let limit = target.policy_limit();
    if present < limit {
        return Ok(());
    }
    Err(Fault::limit(format!(
        "The number of policies attached to the target has reached the limit of {limit}"
    )))
}

#[cfg(test)]
mod tests {
    use identity::{AccountId, Region};

    use super::*;

    fn site() -> Site {
        Site { region: Region::new("eu-west-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
    }

    #[test]
    fn targets_are_certificates_groups_and_cognito_identities() {
        let site = site();
        let id = "0f".repeat(32);
        let arn = site.arn("cert", &id);
        assert_eq!(Target::parse(&site, &arn), Ok(Target::Certificate(&id)));
        let arn = site.arn("thinggroup", "g:1");
        assert_eq!(Target::parse(&site, &arn), Ok(Target::ThingGroup("g:1")));
        let cognito = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(Target::parse(&site, cognito), Ok(Target::CognitoIdentity(cognito)));
        for bad in [
            "",
            "x",
            "arn:aws:iot:us-east-1:123456789012:cert/ab",
            &site.arn("thing", "t"),
            "a:b",
            &site.arn("cert", "ab"),
        ] {
            assert!(matches!(Target::parse(&site, bad), Err(Fault::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn the_limit_depends_on_the_target() {
        assert!(check_room(Target::Certificate("a"), 9).is_ok());
        assert!(matches!(check_room(Target::Certificate("a"), 10), Err(Fault::LimitExceeded(_))));
        assert!(check_room(Target::ThingGroup("a"), 1).is_ok());
        assert!(matches!(check_room(Target::ThingGroup("a"), 2), Err(Fault::LimitExceeded(_))));
    }
}
