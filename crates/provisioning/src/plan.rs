//! What a template with its parameters asks for.

use std::collections::BTreeMap;

/// Everything that is to be there afterwards. Nothing in it was looked up: names may be taken, or name nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The thing.
    pub thing: Option<ThingPlan>,
    /// The certificate.
    pub certificate: Option<CertificatePlan>,
    /// The policies, for the certificate if there is one; by logical name.
    pub policies: Vec<PolicyPlan>,
    /// What the device is told.
    pub device_configuration: BTreeMap<String, String>,
}

/// What becomes of a part of a resource that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Override {
    /// It stays as it is.
    #[default]
    DoNothing,
    /// The template's value takes its place.
    Replace,
    /// Provisioning fails.
    Fail,
    /// The template's value is added to it. Only for attributes and thing groups.
    Merge,
}

/// A thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingPlan {
    /// Its name in the template.
    pub logical: String,
    /// Its name.
    pub name: String,
    /// Its attributes, if the template speaks of them.
    pub attributes: Option<BTreeMap<String, String>>,
    /// Its type.
    pub type_name: Option<String>,
    /// The groups that it joins, if the template speaks of them.
    pub groups: Option<Vec<String>>,
    /// Its billing group.
    pub billing_group: Option<String>,
    /// What becomes of the attributes of a thing that is there.
    pub attributes_override: Override,
    /// What becomes of its type.
    pub type_override: Override,
    /// What becomes of its groups.
    pub groups_override: Override,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// It is issued for this signing request (PEM).
    Request(String),
    /// It is registered already; its id.
    Id(String),
    /// It is registered from this PEM.
    Pem {
        /// The certificate.
        certificate: String,
        /// The CA that signed it.
        authority: Option<String>,
    },
}

/// Whether the certificate may be used afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    #[default]
    Active,
    /// No.
    Inactive,
}

/// How the certificate belongs to the thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachment {
    /// To this thing alone.
    Exclusive,
    /// To this thing and perhaps others.
    #[default]
    NonExclusive,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePlan {
    /// Its name in the template.
    pub logical: String,
    /// Where it comes from.
    pub source: CertificateSource,
    /// Its status afterwards.
    pub status: Status,
    /// What becomes of the status of a certificate that is there already, and not one that waits for its activation.
    pub status_override: Override,
    /// How it belongs to the thing.
    pub attachment: Attachment,
}

/// Where a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// It must exist.
    Existing(String),
    /// It is created, unless a policy of this name is there.
    Document {
        /// The name: the SHA-256 of the document as upper-case hexadecimal, so that equal documents share a policy.
        name: String,
        /// The document.
        document: String,
    },
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPlan {
    /// Its name in the template.
    pub logical: String,
    /// Where it comes from.
    pub source: PolicySource,
}

impl PolicyPlan {
    /// The policy's name.
    pub fn name(&self) -> &str {
        match &self.source {
            PolicySource::Existing(name) | PolicySource::Document { name, .. } => name,
        }
    }
}
