//! Attachments of policies, in today's and in the deprecated form, and what attached policies say.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    AttachPolicy => attach_policy,
    DetachPolicy => detach_policy,
    ListAttachedPolicies => list_attached_policies,
    ListTargetsForPolicy => list_targets_for_policy,
    AttachPrincipalPolicy => attach_principal_policy,
    DetachPrincipalPolicy => detach_principal_policy,
    ListPrincipalPolicies => list_principal_policies,
    ListPolicyPrincipals => list_policy_principals,
    TestAuthorization => test_authorization,
    GetEffectivePolicies => get_effective_policies,
];
