//! The quotas.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![ServiceQuotas:
    GetAWSDefaultServiceQuota => get_aws_default_service_quota,
    GetServiceQuota => get_service_quota,
    ListAWSDefaultServiceQuotas => list_aws_default_service_quotas,
    ListServiceQuotas => list_service_quotas,
    ListServices => list_services,
];
