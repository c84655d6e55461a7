//! Inputs and outputs, with AWS's member names on the wire.
//!
//! Source: the `iam`, `sts` and `cognito-identity` service models.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use services::shapes::{EpochSeconds, Secret};

macro_rules! input {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $kind:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        #[allow(missing_docs)] // AWS's members, documented by AWS.
        pub struct $name { $($(#[$attribute])* pub $member: $kind,)* }
    )+};
}

macro_rules! output {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $kind:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize)]
        #[serde(rename_all = "PascalCase")]
        #[allow(missing_docs)] // AWS's members, documented by AWS.
        pub struct $name { $($(#[$attribute])* pub $member: $kind,)* }
    )+};
}

/// A number, which the query protocol writes as text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(String),
    }
    match Option::<Either>::deserialize(from)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

input! {
    /// CreateUser.
    CreateUserRequest { user_name: String, path: Option<String>, permissions_boundary: Option<String>, }
    /// Operations on one user.
    UserRequest { user_name: String, }
    /// Lists.
    ListRequest {
        marker: Option<String>,
        #[serde(default, deserialize_with = "number")]
        max_items: Option<u32>,
        path_prefix: Option<String>,
    }
    /// UpdateAccessKey; DeleteAccessKey without the status.
    AccessKeyRequest { user_name: String, access_key_id: String, status: Option<String>, }
    /// PutUserPolicy and PutRolePolicy.
    PutPolicyRequest {
        #[serde(rename = "UserName", alias = "RoleName")]
        owner: String,
        policy_name: String,
        policy_document: String,
    }
    /// Operations on one inline policy.
    PolicyRequest {
        #[serde(rename = "UserName", alias = "RoleName")]
        owner: String,
        policy_name: String,
    }
    /// ListUserPolicies and ListRolePolicies.
    ListPoliciesOfRequest {
        #[serde(rename = "UserName", alias = "RoleName")]
        owner: String,
    }
    /// CreateRole.
    CreateRoleRequest {
        role_name: String,
        assume_role_policy_document: String,
        description: Option<String>,
        #[serde(default, deserialize_with = "number")]
        max_session_duration: Option<u32>,
        path: Option<String>,
        permissions_boundary: Option<String>,
    }
    /// Operations on one role.
    RoleRequest { role_name: String, }
    /// AssumeRole.
    AssumeRoleRequest {
        role_arn: String,
        role_session_name: String,
        policy: Option<String>,
        #[serde(default, deserialize_with = "number")]
        duration_seconds: Option<u32>,
    }
    /// GetSessionToken.
    GetSessionTokenRequest {
        #[serde(default, deserialize_with = "number")]
        duration_seconds: Option<u32>,
    }
    /// CreateIdentityPool.
    CreateIdentityPoolRequest {
        identity_pool_name: String,
        allow_unauthenticated_identities: bool,
        allow_classic_flow: Option<bool>,
        developer_provider_name: Option<String>,
        #[serde(default)]
        supported_login_providers: BTreeMap<String, String>,
    }
    /// Operations on one identity pool.
    IdentityPoolRequest { identity_pool_id: String, }
    /// ListIdentityPools.
    ListIdentityPoolsRequest { max_results: u32, next_token: Option<String>, }
    /// ListIdentities.
    ListIdentitiesRequest { identity_pool_id: String, max_results: u32, next_token: Option<String>, }
    /// DeleteIdentities.
    DeleteIdentitiesRequest { identity_ids_to_delete: Vec<String>, }
    /// SetIdentityPoolRoles.
    SetIdentityPoolRolesRequest {
        identity_pool_id: String,
        roles: BTreeMap<String, String>,
        role_mappings: Option<serde_json::Value>,
    }
    /// GetId.
    GetIdRequest {
        identity_pool_id: String,
        account_id: Option<String>,
        #[serde(default)]
        logins: BTreeMap<String, Secret>,
    }
    /// GetCredentialsForIdentity.
    GetCredentialsForIdentityRequest {
        identity_id: String,
        #[serde(default)]
        logins: BTreeMap<String, Secret>,
        custom_role_arn: Option<String>,
    }
    /// GetOpenIdTokenForDeveloperIdentity. The logins are names of users, not tokens.
    DeveloperTokenRequest {
        identity_pool_id: String,
        identity_id: Option<String>,
        logins: BTreeMap<String, String>,
        token_duration: Option<u32>,
    }
}

output! {
    /// A user.
    User { path: &'static str, user_name: String, user_id: String, arn: String, create_date: String, }
    /// CreateUser and GetUser.
    UserResponse { user: User, }
    /// ListUsers.
    ListUsersResponse {
        users: Vec<User>,
        is_truncated: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        marker: Option<String>,
    }
    /// A new access key, with its secret.
    AccessKey {
        user_name: String,
        access_key_id: String,
        status: &'static str,
        secret_access_key: Secret,
        create_date: String,
    }
    /// CreateAccessKey.
    AccessKeyResponse { access_key: AccessKey, }
    /// An access key without its secret.
    AccessKeyMetadata { user_name: String, access_key_id: String, status: &'static str, create_date: String, }
    /// ListAccessKeys.
    ListAccessKeysResponse { access_key_metadata: Vec<AccessKeyMetadata>, is_truncated: bool, }
    /// ListUserPolicies and ListRolePolicies.
    PolicyNamesResponse { policy_names: Vec<String>, is_truncated: bool, }
    /// GetUserPolicy.
    UserPolicyResponse { user_name: String, policy_name: String, policy_document: String, }
    /// GetRolePolicy.
    RolePolicyResponse { role_name: String, policy_name: String, policy_document: String, }
    /// A role.
    Role {
        path: &'static str,
        role_name: String,
        role_id: String,
        arn: String,
        create_date: String,
        assume_role_policy_document: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        max_session_duration: u32,
    }
    /// CreateRole and GetRole.
    RoleResponse { role: Role, }
    /// ListRoles.
    ListRolesResponse {
        roles: Vec<Role>,
        is_truncated: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        marker: Option<String>,
    }
    /// GetCallerIdentity.
    CallerIdentity { user_id: String, account: String, arn: String, }
    /// Temporary credentials.
    Credentials {
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Secret,
        expiration: String,
    }
    /// Who a role became.
    AssumedRoleUser { assumed_role_id: String, arn: String, }
    /// AssumeRole.
    AssumeRoleResponse { credentials: Credentials, assumed_role_user: AssumedRoleUser, }
    /// GetSessionToken.
    SessionTokenResponse { credentials: Credentials, }
    /// CreateIdentityPool and DescribeIdentityPool.
    IdentityPool {
        identity_pool_id: String,
        identity_pool_name: String,
        allow_unauthenticated_identities: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        allow_classic_flow: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        developer_provider_name: Option<String>,
        supported_login_providers: BTreeMap<String, String>,
    }
    /// A row of ListIdentityPools.
    IdentityPoolShort { identity_pool_id: String, identity_pool_name: String, }
    /// ListIdentityPools.
    ListIdentityPoolsResponse {
        identity_pools: Vec<IdentityPoolShort>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    /// A row of ListIdentities.
    IdentityDescription { identity_id: String, logins: Vec<String>, creation_date: EpochSeconds, }
    /// ListIdentities.
    ListIdentitiesResponse {
        identity_pool_id: String,
        identities: Vec<IdentityDescription>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    /// DeleteIdentities. All are processed, or the operation fails.
    DeleteIdentitiesResponse { unprocessed_identity_ids: [(); 0], }
    /// GetIdentityPoolRoles.
    IdentityPoolRoles { identity_pool_id: String, roles: BTreeMap<String, String>, }
    /// GetId.
    IdentityId { identity_id: String, }
    /// The credentials of Amazon Cognito, which spells them in its own way.
    CognitoCredentials {
        access_key_id: String,
        secret_key: Secret,
        session_token: Secret,
        expiration: EpochSeconds,
    }
    /// GetCredentialsForIdentity.
    CredentialsForIdentity { identity_id: String, credentials: CognitoCredentials, }
    /// GetOpenIdTokenForDeveloperIdentity.
    DeveloperToken { identity_id: String, token: Secret, }
}
