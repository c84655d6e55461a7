//! Who is connected and what they may do, kept true to the store.
//!
//! A [`Standing`] belongs to one connection. `load` reads it from the store and remembers every record it looked at;
//! `dependents` finds the standings that a change of a record concerns; `documents` parses each policy once.

mod dependents;
mod documents;
mod enrich;
mod iam;
mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use identity::{CertificateFacts, ClientId, Principal};
use mqtt::UserProperties;
use policy::{Authorizer, ConnectionContext};
use registry::CertificateStatus;
use store::Revision;

pub(crate) use dependents::{Dependents, Record};
pub(crate) use documents::Documents;

use crate::link::Grant;

/// The index of standings, and what loading them needs.
#[derive(Debug, Default)]
pub(crate) struct Principals {
    pub dependents: Arc<Dependents>,
    pub documents: Documents,
    /// The revision up to which the feed has been applied.
    applied: AtomicU64,
    epochs: AtomicU64,
    /// Whose custom authorizer is to be asked again, and when.
    pub renewals: crate::renew::Renewals,
    /// Who learns later of changes (policy-propagation).
    pub late: parking_lot::Mutex<Vec<(identity::Timestamp, Arc<Standing>)>>,
}

impl Principals {
    pub(crate) fn applied(&self) -> Revision {
        Revision(self.applied.load(Ordering::Acquire))
    }

    pub(crate) fn set_applied(&self, revision: Revision) {
        self.applied.fetch_max(revision.0, Ordering::AcqRel);
    }

    pub(crate) fn next_epoch(&self) -> policy::Epoch {
        policy::Epoch(self.epochs.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What a connection is by its credential and client id, fixed while it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub principal: Principal,
    pub certificate: Option<Arc<CertificateFacts>>,
    pub client_id: Option<ClientId>,
    pub peer: std::net::SocketAddr,
    pub server_name: Option<Arc<str>>,
    /// What a custom authorizer granted, exchanged when it is asked again.
    pub grant: Option<Granted>,
}

/// What a custom authorizer granted last.
#[derive(Clone, Debug)]
pub(crate) struct Granted(Arc<ArcSwap<Grant>>);

impl Granted {
    pub(crate) fn new(grant: Grant) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(grant)))
    }

    pub(crate) fn now(&self) -> Arc<Grant> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, grant: Grant) {
        self.0.store(Arc::new(grant));
    }
}

impl Bearer {
    pub(crate) fn context(&self) -> ConnectionContext {
        ConnectionContext {
            client_id: self.client_id.clone(),
            source_ip: Some(self.peer.ip()),
            domain_name: self.server_name.clone(),
            certificate: self.certificate.clone(),
            thing: None,
            is_attached: self.client_id.is_some().then_some(false),
            iam: None,
        }
    }
}

/// What the store says of a bearer at one moment.
#[derive(Debug)]
pub(crate) struct View {
    pub authorizer: Authorizer,
    /// `None` for principals that are not certificates.
    pub status: Option<CertificateStatus>,
    /// Why an IAM principal may not sign any more: its key, user or role is switched off or gone.
    pub revoked: Option<Box<str>>,
    /// The thing holds the principal exclusively.
    pub is_exclusive: bool,
    /// User properties that are added to what it publishes.
    pub propagates: UserProperties,
    /// Every record and every prefix that was read.
    pub read: Vec<Record>,
}

/// What a connection may do, exchanged when the store changes.
#[derive(Debug)]
pub(crate) struct Standing {
    pub id: u64,
    pub bearer: Bearer,
    view: ArcSwap<View>,
    /// It must not have a seat: its certificate or its policies failed it, perhaps before it had one.
    condemned: AtomicBool,
    index: Arc<Dependents>,
}

impl Standing {
    pub(crate) fn new(id: u64, bearer: Bearer, view: View, index: Arc<Dependents>) -> Self {
        Self { id, bearer, view: ArcSwap::from_pointee(view), condemned: AtomicBool::new(false), index }
    }

    /// What it may do now.
    pub(crate) fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// The same, to keep for a while.
    pub(crate) fn view_full(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Puts a view in place, unless a later reading was faster.
    pub(crate) fn exchange(&self, view: View) {
        let view = Arc::new(view);
        self.view.rcu(|present| {
            let newer = present.authorizer.epoch() > view.authorizer.epoch();
            if newer { present.clone() } else { view.clone() }
        });
    }

    /// Says that it must not have a seat, before whoever says so looks for the seat that it has.
    pub(crate) fn condemn(&self) {
        self.condemned.store(true, Ordering::Release);
    }

    /// To be asked after a seat was taken.
    pub(crate) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// True if the certificate or the access key may be used.
    pub(crate) fn is_active(&self) -> bool {
        let view = self.view();
        view.revoked.is_none() && view.status.is_none_or(|status| status == CertificateStatus::Active)
    }

    /// Why it may not be used.
    pub(crate) fn inactivity(&self) -> String {
        let view = self.view();
        match (&view.revoked, view.status) {
            (Some(reason), _) => reason.to_string(),
            (None, Some(status)) => format!("the certificate is {}", status.as_str()),
            (None, None) => "the certificate is not registered".to_owned(),
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.index.forget(self.id);
    }
}
