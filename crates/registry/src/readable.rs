//! Whether a record can be read as what its space holds: for whoever looks at a whole store.

use serde::de::DeserializeOwned;
use store::Keyspace;

/// Reads a record of one space of the registry. `None`: the space is not of the registry, or holds more than one kind.
///
/// # Errors
/// What is wrong with the record.
pub fn readable(space: &str, value: &[u8]) -> Option<Result<(), String>> {
    let reads = Looked { space, value };
    reads
        .by(&crate::attachments::POLICY_TARGETS)
        .or_else(|| reads.by(&crate::attachments::TARGET_POLICIES))
        .or_else(|| reads.by(&crate::authorizers::AUTHORIZERS))
        .or_else(|| reads.by(&crate::billing_groups::BILLING_GROUPS))
        .or_else(|| reads.by(&crate::billing_groups::BILLING_GROUP_THINGS))
        .or_else(|| reads.by(&crate::ca_certificates::CA_CERTIFICATES))
        .or_else(|| reads.by(&crate::ca_certificates::CA_SUBJECTS))
        .or_else(|| reads.by(&crate::certificates::CERTIFICATES))
        .or_else(|| reads.by(&crate::certificates::SIGNED_PARTS))
        .or_else(|| reads.by(&crate::domain_configurations::DOMAIN_CONFIGURATIONS))
        .or_else(|| reads.by(&crate::domain_configurations::DOMAIN_NAMES))
        .or_else(|| reads.by(&crate::guard::GUARDS))
        .or_else(|| reads.by(&crate::iam::cognito::IDENTITY_POOLS))
        .or_else(|| reads.by(&crate::iam::cognito::COGNITO_IDENTITIES))
        .or_else(|| reads.by(&crate::iam::cognito::POOL_IDENTITIES))
        .or_else(|| reads.by(&crate::iam::cognito::LOGINS))
        .or_else(|| reads.by(&crate::iam::IAM_ROLES))
        .or_else(|| reads.by(&crate::iam::IAM_USERS))
        .or_else(|| reads.by(&crate::iam::IAM_ACCESS_KEYS))
        .or_else(|| reads.by(&crate::logging::LOGGING_OPTIONS))
        .or_else(|| reads.by(&crate::logging::LOGGING_LEVELS))
        .or_else(|| reads.by(&crate::order::ORDER))
        .or_else(|| reads.by(&crate::policies::POLICIES))
        .or_else(|| reads.by(&crate::provisioning_templates::PROVISIONING_TEMPLATES))
        .or_else(|| reads.by(&crate::server_certificates::SERVER_CERTIFICATES))
        .or_else(|| reads.by(&crate::tags::TAGS))
        .or_else(|| reads.by(&crate::thing_groups::THING_GROUPS))
        .or_else(|| reads.by(&crate::thing_groups::GROUP_CHILDREN))
        .or_else(|| reads.by(&crate::thing_groups::THING_MEMBERSHIPS))
        .or_else(|| reads.by(&crate::thing_groups::GROUP_MEMBERS))
        .or_else(|| reads.by(&crate::thing_principals::THING_PRINCIPALS))
        .or_else(|| reads.by(&crate::thing_principals::PRINCIPAL_THINGS))
        .or_else(|| reads.by(&crate::thing_types::THING_TYPES))
        .or_else(|| reads.by(&crate::thing_types::TYPE_THINGS))
        .or_else(|| reads.by(&crate::things::THINGS))
}

struct Looked<'a> {
    space: &'a str,
    value: &'a [u8],
}

impl Looked<'_> {
    fn by<V: DeserializeOwned>(&self, keyspace: &Keyspace<V>) -> Option<Result<(), String>> {
        let read = || serde_json::from_slice::<V>(self.value).map(drop).map_err(|error| error.to_string());
        (keyspace.space().as_str() == self.space).then(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_shape_is_told() {
        assert_eq!(readable("order", b"{}"), Some(Ok(())));
        let wrong = readable("things", b"{\"at\":1}").unwrap().unwrap_err();
        assert!(wrong.contains("missing field"), "{wrong}");
        assert!(readable("policies", b"nonsense").unwrap().is_err());
        assert_eq!(readable("retained", b"anything"), None);
        assert_eq!(readable("account", b"{}"), None, "it holds two kinds of record");
    }
}
