//! The endpoint of the account.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Iot:
    DescribeEndpoint => describe_endpoint,
];
