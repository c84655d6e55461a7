//! The operations of Service Quotas that are built.
//!
//! Source: Service Quotas API reference.

use crate::model::{Member, Operation, Pattern, Service, Shape};

/// What stands before the name in the header.
pub const TARGET_PREFIX: &str = "ServiceQuotasV20190624.";

macro_rules! operations {
    ($($name:ident $input:ident [$($error:literal)*];)*) => {
        /// The operations, by name.
        pub static OPERATIONS: [Operation; [$(stringify!($name)),*].len()] = [$(Operation {
            service: Service::ServiceQuotas,
            name: stringify!($name),
            method: "POST",
            uri: "/",
            status: 200,
            input: &$input,
            output: &[],
            errors: &["IllegalArgumentException", "TooManyRequestsException", $($error),*],
        }),*];
    };
}

operations! {
    GetAWSDefaultServiceQuota ONE ["NoSuchResourceException"];
    GetServiceQuota ONE ["NoSuchResourceException"];
    ListAWSDefaultServiceQuotas LIST ["NoSuchResourceException" "InvalidPaginationTokenException"];
    ListServiceQuotas LIST ["NoSuchResourceException" "InvalidPaginationTokenException"];
    ListServices SERVICES ["InvalidPaginationTokenException"];
}

static CODE: Pattern = Pattern::expression("[a-zA-Z][a-zA-Z0-9-]{1,128}", "[a-zA-Z][a-zA-Z0-9-]{1,128}");
static TOKEN: Pattern = Pattern::expression("^[a-zA-Z0-9/+]*={0,2}$", "[a-zA-Z0-9/+]*={0,2}");

static SERVICE_CODE: Shape = Shape::text().at_least(1.0).at_most(63.0).pattern(&CODE);
static QUOTA_CODE: Shape = Shape::text().at_least(1.0).at_most(128.0).pattern(&CODE);
static NEXT_TOKEN: Shape = Shape::text().at_most(2048.0).pattern(&TOKEN);
static MAX_RESULTS: Shape = Shape::integer().at_least(1.0).at_most(100.0);
static LEVEL: Shape = Shape::text().one_of(&["ACCOUNT", "RESOURCE", "ALL"]);
static CONTEXT: Shape = Shape::text();

static ONE: Shape = Shape::structure(&[
    Member::body("ServiceCode", &SERVICE_CODE).required(),
    Member::body("QuotaCode", &QUOTA_CODE).required(),
    Member::body("ContextId", &CONTEXT),
]);
static LIST: Shape = Shape::structure(&[
    Member::body("ServiceCode", &SERVICE_CODE).required(),
    Member::body("NextToken", &NEXT_TOKEN),
    Member::body("MaxResults", &MAX_RESULTS),
    Member::body("QuotaCode", &QUOTA_CODE),
    Member::body("QuotaAppliedAtLevel", &LEVEL),
]);
static SERVICES: Shape =
    Shape::structure(&[Member::body("NextToken", &NEXT_TOKEN), Member::body("MaxResults", &MAX_RESULTS)]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_compile() {
        assert!(CODE.fits("L-083F3861") && !CODE.fits("1") && TOKEN.fits("YQ==") && !TOKEN.fits("-"));
    }
}
