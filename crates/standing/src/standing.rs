//! What a connection may do, kept true to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Cache, Guard};
use mqtt::UserProperties;
use policy::Authorizer;
use registry::CertificateStatus;

use crate::Bearer;
use crate::dependents::{Dependents, Record};

/// What the store says of a bearer at one moment.
#[derive(Debug)]
pub struct View {
    /// Decides; its epoch is the view's.
    pub authorizer: Authorizer,
    /// `None` for principals that are not certificates.
    pub status: Option<CertificateStatus>,
    /// Why an IAM principal may not sign any more: its key, user or role is switched off or gone.
    pub revoked: Option<Box<str>>,
    /// The thing holds the principal exclusively.
    pub is_exclusive: bool,
    /// User properties that are added to what it publishes.
    pub propagates: UserProperties,
    /// Every record and every prefix that was read; empty in a lasting standing, whose index knows them.
    pub read: Vec<Record>,
}

/// What a connection may do, exchanged when the store changes.
#[derive(Debug)]
pub struct Standing {
    /// Which of all standings.
    pub id: u64,
    /// Whose it is.
    pub bearer: Bearer,
    view: Arc<ArcSwap<View>>,
    /// It must not have a seat: its certificate or its policies failed it, perhaps before it had one.
    condemned: AtomicBool,
    /// It could not be read again after a change: what the view allows may not be allowed any more.
    stale: AtomicBool,
    index: Arc<Dependents>,
}

impl Standing {
    pub(crate) fn new(id: u64, bearer: Bearer, view: View, index: Arc<Dependents>) -> Self {
        let (condemned, stale) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { id, bearer, view: Arc::new(ArcSwap::from_pointee(view)), condemned, stale, index }
    }

    /// What it may do now.
    pub fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// The same for somebody who asks often.
    pub fn glance(&self) -> Glance {
        Glance(Cache::new(self.view.clone()))
    }

    /// The same, to keep for a while.
    pub fn view_full(&self) -> Arc<View> {
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

    #[cfg(test)]
    pub(crate) fn index(&self) -> &Dependents {
        &self.index
    }

    /// Says that it must not have a seat, before whoever says so looks for the seat that it has.
    pub fn condemn(&self) {
        self.condemned.store(true, Ordering::Release);
    }

    /// To be asked after a seat was taken.
    pub fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// Says that a change could not be read; the next reading that succeeds ends it.
    pub fn doubt(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// True if a change could not be read. To be asked where a standing outlives its connection.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    pub(crate) fn trust(&self) {
        self.stale.store(false, Ordering::Release);
    }

    /// True if the certificate or the access key may be used.
    pub fn is_active(&self) -> bool {
        let view = self.view();
        view.revoked.is_none() && view.status.is_none_or(|status| status == CertificateStatus::Active)
    }

    /// Why it may not be used.
    pub fn inactivity(&self) -> String {
        let view = self.view();
        match (&view.revoked, view.status) {
            (Some(reason), _) => reason.to_string(),
            (None, Some(status)) => format!("the certificate is {}", status.as_str()),
            (None, None) => "the certificate is not registered".to_owned(),
        }
    }
}

/// Somebody's look at a standing's view: as new as [`Standing::view`], and cheap as long as the view is the same.
#[derive(Clone)]
pub struct Glance(Cache<Arc<ArcSwap<View>>, Arc<View>>);

impl Glance {
    /// What the standing may do now.
    pub fn view(&mut self) -> &Arc<View> {
        self.0.load()
    }
}

impl std::fmt::Debug for Glance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Glance")
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.index.forget(self.id);
    }
}
