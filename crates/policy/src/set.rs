//! All the documents that apply to one identity, put together once and shared by its connections.

use std::sync::Arc;

use identity::{PolicyName, ThingGroupName};

use crate::Document;

/// By which way a policy came to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Attached to the certificate.
    Certificate,
    /// Attached to a thing group, or an ancestor of it, that holds the connection's thing.
    ThingGroup(ThingGroupName),
    /// Anything else; the text reads well after "from".
    Other(Arc<str>),
}

/// One version of one policy.
#[derive(Clone, Debug)]
pub struct Source {
    /// The policy's name.
    pub policy: PolicyName,
    /// The version in force.
    pub version: u32,
    /// Why it applies.
    pub origin: Origin,
    /// What it says.
    pub document: Arc<Document>,
}

/// The policies of one identity.
#[derive(Debug)]
pub struct PolicySet {
    sources: Box<[Source]>,
}

impl PolicySet {
    /// Puts the documents together. Their order has no meaning.
    pub fn compile(sources: Vec<Source>) -> Self {
        Self { sources: sources.into() }
    }

    /// A set that allows every action on everything: for the principals of test listeners.
    pub fn allow_all(name: PolicyName) -> Self {
        let document = Arc::new(Document::allow_all());
        let origin = Origin::Other("the configuration".into());
        Self::compile(vec![Source { policy: name, version: 1, origin, document }])
    }

    /// True if no policy applies: everything is denied.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The policies of which the set consists.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}
