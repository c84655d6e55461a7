//! Every number of the registry, with its AWS quota code where one exists.
//!
//! Sources: General reference, *AWS IoT Core endpoints and quotas*; API reference, lengths in the service model.

/// Attributes of a thing that has a type (L-3964F400).
pub const ATTRIBUTES_WITH_TYPE: usize = 50;
/// Attributes of a thing without a type (L-945D2414).
pub const ATTRIBUTES_WITHOUT_TYPE: usize = 3;
/// Bytes of all attribute names and values of a thing (L-5104A2FD): 47 KB.
pub const ATTRIBUTE_BYTES: usize = 47 * 1024;
/// Attributes of a thing group (L-DC6BC7AF).
pub const ATTRIBUTES_PER_GROUP: usize = 50;
/// Characters of an attribute's name (L-AB8384AA for groups).
pub const ATTRIBUTE_NAME: usize = 128;
/// Characters of an attribute's value (L-AF06EF1C for groups).
pub const ATTRIBUTE_VALUE: usize = 800;
/// Characters of a description.
pub const DESCRIPTION: usize = 2028;
/// Searchable attributes of a thing type (no code; the page's number is unconfirmed for later editions).
pub const SEARCHABLE_ATTRIBUTES: usize = 3;
/// Propagating attributes of a thing type (L-FBACAF74).
pub const PROPAGATING_ATTRIBUTES: usize = 20;
/// Groups from the root of a hierarchy to its deepest leaf, both counted (L-1AC7411F).
pub const GROUP_DEPTH: usize = 7;
/// Direct children of a thing group (L-9D744041).
pub const GROUP_CHILDREN: usize = 100;
/// Groups that hold one thing (L-C12BBB7E).
pub const GROUPS_PER_THING: usize = 10;
/// Billing groups of the account (no code).
pub const BILLING_GROUPS: usize = 20_000;
/// Policies on a certificate or Cognito identity (L-BC2638B3).
pub const POLICIES_PER_CERTIFICATE: usize = 10;
/// Policies on a thing group (developer guide, *Static thing groups*).
pub const POLICIES_PER_THING_GROUP: usize = 2;
/// Versions of a policy (L-5F6C2444).
pub const POLICY_VERSIONS: usize = 5;
/// CA certificates with one subject (L-A26060BE).
pub const CA_CERTIFICATES_PER_SUBJECT: usize = 10;
/// Custom authorizers of an account (L-78E3C43F).
pub const AUTHORIZERS: usize = 100;
/// ACTIVE custom authorizers of an account (L-FC25158E).
pub const AUTHORIZERS_ACTIVE: usize = 32;
/// Domain configurations of the account (L-89635276).
pub const DOMAIN_CONFIGURATIONS: usize = 10;
/// Log levels of single targets (L-055B4A38).
pub const LOGGING_LEVELS: usize = 1000;
/// Names of the certificate of a domain (developer guide, *Domain configurations*).
pub const SERVER_NAMES: usize = 4;
/// Certificates in the chain of a domain, the server's own included.
pub const SERVER_CHAIN: usize = 5;
/// Bytes of the chain of a domain, as PEM.
pub const SERVER_CHAIN_BYTES: usize = 16 * 1024;
/// Imported certificates of the account. A bound of this broker: ACM takes 2,500 in a year.
pub const SERVER_CERTIFICATES: usize = 100;
/// Provisioning templates of the account (L-345B62A1).
pub const PROVISIONING_TEMPLATES: usize = 256;
/// Versions of a provisioning template (L-71FA7EC4).
pub const PROVISIONING_TEMPLATE_VERSIONS: usize = 5;
/// Tags of a resource.
pub const TAGS: usize = 50;
/// Characters of a tag's key.
pub const TAG_KEY: usize = 128;
/// Characters of a tag's value.
pub const TAG_VALUE: usize = 256;
/// The largest page of a list.
pub const PAGE_MAX: usize = 250;
/// The page of the lists that have `marker` and `pageSize`, when the caller does not say (API reference,
/// *ListCertificates*).
pub const PAGE_MARKER: usize = 25;
/// The page of the lists that have `nextToken` and `maxResults`, when the caller does not say (unconfirmed: taken
/// from what independent implementations observed).
pub const PAGE_TOKEN: usize = 100;
/// How long a thing type must have been deprecated before it can be deleted, in milliseconds: 5 minutes.
pub const DEPRECATED_BEFORE_DELETE_MS: u64 = 5 * 60 * 1000;
