//! How two API calls that never write the same record still exclude each other.
//!
//! A batch can demand something of single keys, not of a range. So where a rule counts rows ("at most ten policies
//! on a certificate", "no thing still uses it") something must be written or demanded that the other call notices:
//!
//! * A *guard* is a record beside a collection that every addition to the collection rewrites. Who counts the rows
//!   demands that the guard is as it was before the count. Used where one owner has few writers.
//! * *Closing* is a mark on the owner itself. Who wants to delete it sets the mark first, then looks for rows, then
//!   deletes it if nobody wrote it since. Who adds a row demands that the owner is as it was read, and takes the
//!   mark off if it stands. Used where one owner has many writers that must not wait for each other: a policy on
//!   a hundred thousand certificates. A crash between mark and deletion leaves a mark that means nothing.

use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

/// Key: which collection, owner.
pub const GUARDS: Keyspace<Guard> = Keyspace::new("guards");

/// Changes whenever its collection grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// How many times.
    pub additions: u64,
}

/// The collections that have guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarded {
    /// The policies of a target; owner: the target's ARN.
    TargetPolicies,
    /// The things of a principal; owner: the principal's ARN.
    PrincipalThings,
    /// Principals and groups of a thing; owner: the thing's name.
    Thing,
    /// The direct children of a thing group; owner: the parent's name.
    ThingGroupChildren,
    /// The CA certificates of one subject; owner: the subject.
    CaSubject,
    /// The domain configurations of the account, and what they use; owner: none.
    DomainConfigurations,
    /// The imported server certificates; owner: none.
    ServerCertificates,
    /// The tags of a resource; owner: its ARN.
    Tags,
    /// The custom authorizers of the account, and the ACTIVE ones among them; no owner.
    Authorizers,
    /// The billing groups of the account; owner: none.
    BillingGroups,
    /// The provisioning templates of the account; owner: nobody, an empty name.
    ProvisioningTemplates,
    /// The log levels of single targets; owner: nobody, an empty name.
    LoggingLevels,
}

impl Guarded {
    fn name(self) -> &'static str {
        match self {
            Self::TargetPolicies => "target-policies",
            Self::PrincipalThings => "principal-things",
            Self::Thing => "thing",
            Self::ThingGroupChildren => "thing-group-children",
            Self::CaSubject => "ca-subject",
            Self::DomainConfigurations => "domain-configurations",
            Self::ServerCertificates => "server-certificates",
            Self::Tags => "tags",
            Self::Authorizers => "authorizers",
            Self::BillingGroups => "billing-groups",
            Self::ProvisioningTemplates => "provisioning-templates",
            Self::LoggingLevels => "logging-levels",
        }
    }

    /// Where the guard of `owner` stands.
    pub fn key(self, owner: &str) -> Key {
        Key::of(&[self.name(), owner])
    }
}
