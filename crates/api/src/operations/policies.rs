//! Policies and their versions.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    CreatePolicy => create_policy,
    CreatePolicyVersion => create_policy_version,
    GetPolicy => get_policy,
    GetPolicyVersion => get_policy_version,
    ListPolicies => list_policies,
    ListPolicyVersions => list_policy_versions,
    SetDefaultPolicyVersion => set_default_policy_version,
    DeletePolicyVersion => delete_policy_version,
    DeletePolicy => delete_policy,
];
