//! Identity pools of Amazon Cognito. The protocol is JSON 1.1: everything is a POST to `/`, and a header names the
//! operation. Two operations are called without a signature, as devices and apps do that have no credentials yet.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Entry, On, operations, read, written};
use crate::answer::Fault;
use crate::model::Service;

/// What stands before the name in the header.
const TARGET_PREFIX: &str = "AWSCognitoIdentityService.";

pub(super) const OPERATIONS: &[Entry] = operations![CognitoIdentity:
    CreateIdentityPool on All => create_identity_pool,
    DeleteIdentityPool on IdentityPool => delete_identity_pool,
    DescribeIdentityPool on IdentityPool => describe_identity_pool,
    ListIdentityPools on All => list_identity_pools,
    ListIdentities on IdentityPool => list_identities,
    DeleteIdentities on All => delete_identities,
    SetIdentityPoolRoles on IdentityPool => set_identity_pool_roles,
    GetIdentityPoolRoles on IdentityPool => get_identity_pool_roles,
    GetOpenIdTokenForDeveloperIdentity on IdentityPool => get_open_id_token_for_developer_identity,
];

pub(super) const UNSIGNED: &[Entry] = &[
    Entry {
        service: Service::CognitoIdentity,
        name: "GetId",
        on: On::Anything,
        call: |access, input, _caller, now| {
            Box::pin(async move { written(access.get_id(read(input)?, now).await) })
        },
    },
    Entry {
        service: Service::CognitoIdentity,
        name: "GetCredentialsForIdentity",
        on: On::Anything,
        call: |access, input, _caller, now| {
            Box::pin(async move { written(access.get_credentials_for_identity(read(input)?, now).await) })
        },
    },
];

/// The name of the operation in the header.
pub(super) fn target(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-target")?.to_str().ok()?.strip_prefix(TARGET_PREFIX)
}

/// The members of the body.
pub(super) fn input(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut members)) => {
            members.retain(|_, value| !value.is_null());
            Ok(members)
        }
        Ok(_) => Err(Fault::invalid("The request body must be a JSON object.")),
        Err(_) if body.iter().all(u8::is_ascii_whitespace) => Ok(Map::new()),
        Err(error) => Err(Fault::invalid(format!("The request body is not JSON: {error}."))),
    }
}
