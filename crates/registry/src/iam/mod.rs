//! IAM users and roles, and the identity pools of Amazon Cognito: who may sign beside the account's owner.
//!
//! Sources: IAM user guide, *IAM users*, *IAM roles*, *IAM and AWS STS quotas*; Amazon Cognito developer guide,
//! *Identity pools*.

pub mod cognito;
mod document;
mod roles;
mod users;

pub use document::{TrustPolicy, parse_identity_policy};
pub use roles::{IAM_ROLES, RoleRecord, role_key};
pub use users::{
    AccessKeyOwner, AccessKeyRecord, AccessKeyStatus, IAM_ACCESS_KEYS, IAM_USERS, UserRecord, access_key_key,
    user_key,
};

/// Access keys of one user.
pub const ACCESS_KEYS_PER_USER: usize = 2;
/// Characters that the inline policies of a user may have together, white space not counted.
pub const USER_POLICY_CHARACTERS: usize = policy::Document::LONGEST;
/// The same of a role.
pub const ROLE_POLICY_CHARACTERS: usize = policy::Document::LONGEST_OF_ROLE;
/// The same of a role's trust policy.
pub const TRUST_POLICY_CHARACTERS: usize = 2048;
/// Characters of a session policy.
pub const SESSION_POLICY_CHARACTERS: usize = 2048;

/// Inline policies: document by name.
pub type InlinePolicies = std::collections::BTreeMap<String, String>;

/// Whether a document fits beside the others. A document that is put in the place of another does not count twice.
///
/// # Errors
/// [`Fault::LimitExceeded`](crate::Fault::LimitExceeded).
pub fn check_room(
    policies: &InlinePolicies,
    name: &str,
    document: &str,
    limit: usize,
    owner: &str,
) -> Result<(), crate::Fault> {
    let others = policies.iter().filter(|(other, _)| *other != name);
    let present: usize = others.map(|(_, text)| policy::Document::characters(text)).sum();
    if present.saturating_add(policy::Document::characters(document)) > limit {
        return Err(crate::Fault::limit(format!(
            "Maximum policy size of {limit} bytes exceeded for {owner}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
