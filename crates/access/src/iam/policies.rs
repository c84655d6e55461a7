//! Inline policies of users and roles.
//!
//! Source: IAM API reference, *PutUserPolicy*, *PutRolePolicy* and their neighbours.

use identity::Timestamp;
use policy::Document;
use registry::iam::{
    InlinePolicies, ROLE_POLICY_CHARACTERS, USER_POLICY_CHARACTERS, check_room, parse_identity_policy,
};
use services::{ApiError, ErrorCode};

use super::shapes::{
    ListPoliciesOfRequest, PolicyNamesResponse, PolicyRequest, PutPolicyRequest, RolePolicyResponse,
    UserPolicyResponse,
};
use super::{check_name, invalid, no_such};
use crate::Access;

impl Access {
    /// `PutUserPolicy`.
    ///
    /// # Errors
    /// MalformedPolicyDocument, NoSuchEntity, UnmodifiableEntity; LimitExceeded for more than 2048 characters in all.
    pub async fn put_user_policy(&self, input: PutPolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        check_policy(&input.policy_name, &input.policy_document, USER_POLICY_CHARACTERS)?;
        self.change_user(&input.owner, now, |user, _| {
            put(&mut user.policies, &input, USER_POLICY_CHARACTERS, "user")
        })
        .await
    }

    /// `GetUserPolicy`.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_user_policy(
        &self,
        input: PolicyRequest,
        now: Timestamp,
    ) -> Result<UserPolicyResponse, ApiError> {
        let user = self.iam_user(&input.owner, now).await?.value;
        let policy_document = found(&user.policies, &input, "user")?.to_owned();
        Ok(UserPolicyResponse { user_name: user.name, policy_name: input.policy_name, policy_document })
    }

    /// `DeleteUserPolicy`.
    ///
    /// # Errors
    /// NoSuchEntity, UnmodifiableEntity.
    pub async fn delete_user_policy(&self, input: PolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        self.change_user(&input.owner, now, |user, _| remove(&mut user.policies, &input, "user")).await
    }

    /// `ListUserPolicies`.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_user_policies(
        &self,
        input: ListPoliciesOfRequest,
        now: Timestamp,
    ) -> Result<PolicyNamesResponse, ApiError> {
        Ok(names(&self.iam_user(&input.owner, now).await?.value.policies))
    }

    /// `PutRolePolicy`.
    ///
    /// # Errors
    /// MalformedPolicyDocument, NoSuchEntity, UnmodifiableEntity; LimitExceeded for more than 10240 characters in all.
    pub async fn put_role_policy(&self, input: PutPolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        check_policy(&input.policy_name, &input.policy_document, ROLE_POLICY_CHARACTERS)?;
        self.change_role(&input.owner, now, |role| {
            put(&mut role.policies, &input, ROLE_POLICY_CHARACTERS, "role")
        })
        .await
    }

    /// `GetRolePolicy`.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_role_policy(
        &self,
        input: PolicyRequest,
        now: Timestamp,
    ) -> Result<RolePolicyResponse, ApiError> {
        let role = self.iam_role(&input.owner, now).await?.value;
        let policy_document = found(&role.policies, &input, "role")?.to_owned();
        Ok(RolePolicyResponse { role_name: role.name, policy_name: input.policy_name, policy_document })
    }

    /// `DeleteRolePolicy`.
    ///
    /// # Errors
    /// NoSuchEntity, UnmodifiableEntity.
    pub async fn delete_role_policy(&self, input: PolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        self.change_role(&input.owner, now, |role| remove(&mut role.policies, &input, "role")).await
    }

    /// `ListRolePolicies`.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_role_policies(
        &self,
        input: ListPoliciesOfRequest,
        now: Timestamp,
    ) -> Result<PolicyNamesResponse, ApiError> {
        Ok(names(&self.iam_role(&input.owner, now).await?.value.policies))
    }
}

/// Name and document of an inline policy.
pub(super) fn check_policy(name: &str, document: &str, longest: usize) -> Result<(), ApiError> {
    check_name("policyName", name, 128)?;
    check_raw(document)?;
    let document = parse_identity_policy(document, longest)
        .map_err(|error| malformed(format!("Syntax errors in policy. {error}")))?;
    nothing_is_loosened(&document, "policy")
}

/// Refuses a document that would let through more than it says, because what it names never has a value here. What would
/// let through less is taken: AWS has keys that a policy may well ask for beside others.
pub(super) fn nothing_is_loosened(document: &Document, kind: &str) -> Result<(), ApiError> {
    document.loosened().map_or(Ok(()), |why| {
        Err(malformed(format!("The {kind} would let through more than it says, by its {why}.")))
    })
}

fn malformed(message: String) -> ApiError {
    ApiError::new(ErrorCode::MalformedPolicyDocument, message)
}

/// Characters as sent, white space and all (API reference, `PolicyDocument`).
pub(super) fn check_raw(document: &str) -> Result<(), ApiError> {
    const MOST: usize = 131_072;
    match document.len() {
        0..=MOST => Ok(()),
        more => {
            Err(invalid(format!("A policy document has at most {MOST} bytes as sent, and this has {more}")))
        }
    }
}

fn put(
    policies: &mut InlinePolicies,
    input: &PutPolicyRequest,
    limit: usize,
    kind: &str,
) -> Result<(), ApiError> {
    let owner = format!("{kind} {}", input.owner);
    check_room(policies, &input.policy_name, &input.policy_document, limit, &owner)?;
    policies.insert(input.policy_name.clone(), input.policy_document.clone());
    Ok(())
}

fn found<'a>(policies: &'a InlinePolicies, input: &PolicyRequest, kind: &str) -> Result<&'a str, ApiError> {
    policies.get(&input.policy_name).map(String::as_str).ok_or_else(|| missing(input, kind))
}

fn remove(policies: &mut InlinePolicies, input: &PolicyRequest, kind: &str) -> Result<(), ApiError> {
    policies.remove(&input.policy_name).map(|_| ()).ok_or_else(|| missing(input, kind))
}

fn missing(input: &PolicyRequest, kind: &str) -> ApiError {
    no_such(format!("The {kind} policy with name {} cannot be found.", input.policy_name))
}

fn names(policies: &InlinePolicies) -> PolicyNamesResponse {
    PolicyNamesResponse { policy_names: policies.keys().cloned().collect(), is_truncated: false }
}
