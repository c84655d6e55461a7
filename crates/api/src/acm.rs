//! The operations of AWS Certificate Manager that are built: imported certificates for domain configurations.
//!
//! Source: ACM API reference.

use crate::model::{Member, Operation, Pattern, Service, Shape};

/// What stands before the name in the header.
pub const TARGET_PREFIX: &str = "CertificateManager.";

macro_rules! operations {
    ($($name:ident $input:ident [$($error:literal)*];)*) => {
        /// The operations, by name.
        pub static OPERATIONS: [Operation; [$(stringify!($name)),*].len()] = [$(Operation {
            service: Service::Acm,
            name: stringify!($name),
            method: "POST",
            uri: "/",
            status: 200,
            input: &$input,
            output: &[],
            errors: &["ValidationException", $($error),*],
        }),*];
    };
}

operations! {
    DeleteCertificate ONE ["InvalidArnException" "ResourceNotFoundException" "ResourceInUseException"];
    DescribeCertificate ONE ["InvalidArnException" "ResourceNotFoundException"];
    GetCertificate ONE ["InvalidArnException" "ResourceNotFoundException"];
    ImportCertificate IMPORT ["InvalidArnException" "InvalidParameterException" "InvalidTagException"
        "LimitExceededException" "ResourceNotFoundException"];
    ListCertificates LIST ["InvalidArgsException"];
    ListTagsForCertificate ONE ["InvalidArnException" "ResourceNotFoundException"];
}

static ARN_PATTERN: Pattern = Pattern::expression(
    r"arn:[\w+=/,.@-]+:acm:[\w+=/,.@-]*:[0-9]+:[\w+=,.@-]+(/[\w+=,.@-]+)*",
    r"arn:[\w+=/,.@-]+:acm:[\w+=/,.@-]*:[0-9]+:[\w+=,.@-]+(/[\w+=,.@-]+)*",
);

static ARN: Shape = Shape::text().at_least(20.0).at_most(2048.0).pattern(&ARN_PATTERN);
static CERTIFICATE: Shape = Shape::blob().at_least(1.0).at_most(32_768.0);
static CHAIN: Shape = Shape::blob().at_least(1.0).at_most(2_097_152.0);
static KEY: Shape = Shape::blob().at_least(1.0).at_most(8192.0).sensitive();
static TAG_KEY: Shape = Shape::text().at_least(1.0).at_most(128.0);
static TAG_VALUE: Shape = Shape::text().at_most(256.0);
static TAG: Shape =
    Shape::structure(&[Member::body("Key", &TAG_KEY).required(), Member::body("Value", &TAG_VALUE)]);
static TAGS: Shape = Shape::list(&TAG).at_least(1.0).at_most(50.0);
static STATUS: Shape = Shape::text().one_of(&[
    "PENDING_VALIDATION",
    "ISSUED",
    "INACTIVE",
    "EXPIRED",
    "VALIDATION_TIMED_OUT",
    "REVOKED",
    "FAILED",
]);
static STATUSES: Shape = Shape::list(&STATUS);
static KEY_TYPE: Shape = Shape::text().one_of(&[
    "RSA_1024",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "EC_prime256v1",
    "EC_secp384r1",
    "EC_secp521r1",
]);
static KEY_TYPES: Shape = Shape::list(&KEY_TYPE);
static INCLUDES: Shape = Shape::structure(&[Member::body("keyTypes", &KEY_TYPES)]);
static NEXT_TOKEN: Shape = Shape::text().at_least(1.0).at_most(10_000.0);
static MAX_ITEMS: Shape = Shape::integer().at_least(1.0).at_most(1000.0);
static SORT_BY: Shape = Shape::text().one_of(&["CREATED_AT"]);
static SORT_ORDER: Shape = Shape::text().one_of(&["ASCENDING", "DESCENDING"]);

static ONE: Shape = Shape::structure(&[Member::body("CertificateArn", &ARN).required()]);
static IMPORT: Shape = Shape::structure(&[
    Member::body("CertificateArn", &ARN),
    Member::body("Certificate", &CERTIFICATE).required(),
    Member::body("PrivateKey", &KEY).required(),
    Member::body("CertificateChain", &CHAIN),
    Member::body("Tags", &TAGS),
]);
static LIST: Shape = Shape::structure(&[
    Member::body("CertificateStatuses", &STATUSES),
    Member::body("Includes", &INCLUDES),
    Member::body("NextToken", &NEXT_TOKEN),
    Member::body("MaxItems", &MAX_ITEMS),
    Member::body("SortBy", &SORT_BY),
    Member::body("SortOrder", &SORT_ORDER),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_compiles() {
        let arn = "arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
        assert!(ARN_PATTERN.fits(arn) && !ARN_PATTERN.fits("arn:aws:iot:eu-west-1:123456789012:cert/x"));
    }
}
