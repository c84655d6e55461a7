//! IAM.

use identity::{IamKind, Principal};
use serde_json::{Map, Value};

use super::{Entry, operations};
use crate::answer::Fault;
use crate::exchange::Caller;

pub(super) const OPERATIONS: &[Entry] = operations![Iam:
    CreateUser on User => create_user,
    GetUser on User => get_user,
    DeleteUser on User => delete_user,
    ListUsers on All => list_users,
    CreateAccessKey on User => create_access_key,
    UpdateAccessKey on User => update_access_key,
    DeleteAccessKey on User => delete_access_key,
    ListAccessKeys on User => list_access_keys,
    PutUserPolicy on User => put_user_policy,
    GetUserPolicy on User => get_user_policy,
    DeleteUserPolicy on User => delete_user_policy,
    ListUserPolicies on User => list_user_policies,
    CreateRole on Role => create_role,
    GetRole on Role => get_role,
    DeleteRole on Role => delete_role,
    ListRoles on All => list_roles,
    PutRolePolicy on Role => put_role_policy,
    GetRolePolicy on Role => get_role_policy,
    DeleteRolePolicy on Role => delete_role_policy,
    ListRolePolicies on Role => list_role_policies,
];

/// Without a name, an operation is about the user who calls.
pub(super) fn own_user(input: &mut Map<String, Value>, caller: &Caller) -> Result<(), Fault> {
    if input.contains_key("UserName") {
        return Ok(());
    }
    if let Principal::Iam(who) = &caller.credential.principal
        && let IamKind::User(name) = &who.kind
    {
        input.insert("UserName".into(), name.as_str().into());
        return Ok(());
    }
    let message = "Must specify userName when calling with non-User credentials";
    Err(Fault::new(400, "ValidationException", message))
}
