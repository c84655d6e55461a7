//! Custom authorizers.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot by access:
    CreateAuthorizer => create_authorizer,
    UpdateAuthorizer => update_authorizer,
    DescribeAuthorizer => describe_authorizer,
    DeleteAuthorizer => delete_authorizer,
    ListAuthorizers => list_authorizers,
    SetDefaultAuthorizer => set_default_authorizer,
    ClearDefaultAuthorizer => clear_default_authorizer,
    DescribeDefaultAuthorizer => describe_default_authorizer,
    TestInvokeAuthorizer => test_invoke_authorizer,
];
