//! Who may sign beside the account's owner: IAM users and roles, sessions of AWS STS, identities of Amazon Cognito.
//!
//! One file per resource; [`shapes`] has the members that AWS's models give to inputs and outputs.

mod access;
mod cognito_credentials;
mod cognito_identities;
mod cognito_pools;
mod configuration;
mod keys;
mod policies;
mod roles;
mod session;
pub mod shapes;
mod sts;
mod users;

pub use access::{Resource, Touched};
pub(crate) use cognito_identities::GUESTS;
pub use configuration::{ConfiguredRole, ConfiguredUser, IamConfiguration, OldDocument};
pub use policy::CallFacts;
pub(crate) use session::{Claims, Holder, TokenFault};
pub use session::{SessionCredentials, SessionKey};
pub use sts::RoleSession;

use identity::Timestamp;
use services::{ApiError, ErrorCode, entropy, page};

use crate::Access;

const BASE_32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A moment as IAM writes it: `2026-11-25T18:00:00Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Letters, digits and `_+=,.@-`, so many at most.
pub(crate) fn check_name(what: &str, name: &str, longest: usize) -> Result<(), ApiError> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if plain && (1..=longest).contains(&name.len()) {
        return Ok(());
    }
    Err(invalid(format!(
        "The specified value for {what} is invalid. It must contain only alphanumeric characters and/or the following: \
         +=,.@_- and have 1 to {longest} of them"
    )))
}

/// `ValidationError`.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::Validation, message)
}

/// `NoSuchEntity`.
pub(crate) fn no_such(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::NoSuchEntity, message)
}

/// What comes from the configuration file is changed there.
fn check_changeable(from_configuration: bool, owner: &str) -> Result<(), ApiError> {
    if !from_configuration {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::UnmodifiableEntity,
        format!(
            "The {owner} comes from the configuration file of the server: change it there and start again"
        ),
    ))
}

/// What would be ignored, and is not: with it less would be allowed than without.
fn not_built(given: bool, what: &str) -> Result<(), ApiError> {
    if !given {
        return Ok(());
    }
    Err(invalid(format!(
        "{what} is not built in thingcore, and ignoring it could allow too much: leave it out"
    )))
}

impl Access {
    /// A prefix and random letters: ids of users, roles and access keys.
    pub(crate) fn iam_id(&self, prefix: &str, letters: usize) -> String {
        let mut bytes = vec![0; letters];
        self.entropy.fill(&mut bytes);
        let letter = |byte: &u8| BASE_32.get(usize::from(byte % 32)).copied().map_or('A', char::from);
        prefix.chars().chain(bytes.iter().map(letter)).collect()
    }

    /// 40 letters of base 64: a secret access key.
    pub(crate) fn iam_secret(&self) -> String {
        page::write(&entropy::bytes::<30>(&*self.entropy))
    }

    pub(crate) fn iam_arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.site.partition(), self.site.account)
    }
}

#[cfg(test)]
mod tests;
