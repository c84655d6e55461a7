//! What a custom authorizer grants to a connection.
//!
//! Source: developer guide, *Custom authentication*.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use identity::Timestamp;

/// What a custom authorizer granted: policies, and for how long they are believed.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The authorizer's name, for reasons.
    pub authorizer: Arc<str>,
    /// Its policies: the text and what it means.
    pub documents: Arc<[GrantedDocument]>,
    /// When the authorizer is to be asked again.
    pub refresh_at: Timestamp,
    /// Asks it again. Without one the grant is not renewed, and never ends by itself.
    pub renewal: Option<Arc<dyn Renewal>>,
}

/// One policy of a custom authorizer's answer.
#[derive(Clone, Debug)]
pub struct GrantedDocument {
    /// As it came: kept with a will, which must outlive the process.
    pub text: Arc<str>,
    /// What it means.
    pub document: Arc<policy::Document>,
}

/// The outcome of a renewal, some time.
pub type Renewing = Pin<Box<dyn Future<Output = Result<Grant, NotRenewed>> + Send>>;

/// Why there is no new grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRenewed {
    /// The authorizer does not vouch for the client any more, or cannot be asked: the connection ends.
    Refused(String),
    /// There was no room to ask. That says nothing of the client: it stays, and is asked about again, at most until the
    /// connection ends by its grant (`disconnectAfterInSeconds`).
    Busy(String),
}

/// Asks a custom authorizer again about a connection that it let in.
pub trait Renewal: Send + Sync + fmt::Debug {
    /// The new grant, or why there is none: then the connection ends.
    fn renew(self: Arc<Self>, now: Timestamp) -> Renewing;
}

/// What a custom authorizer granted last. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Granted(Arc<ArcSwap<Grant>>);

impl Granted {
    /// The first grant of a connection.
    pub fn new(grant: Grant) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(grant)))
    }

    /// The grant that counts.
    pub fn now(&self) -> Arc<Grant> {
        self.0.load_full()
    }

    /// Puts a later grant in its place. It counts in the views that are read from now on.
    pub fn replace(&self, grant: Grant) {
        self.0.store(Arc::new(grant));
    }
}
