//! Follows the store's feed: the road by which a change of policy, attachment, thing or certificate reaches live
//! connections, on the node that made the change as on any other.

use std::sync::Arc;

use dialect::Fault;
use identity::Timestamp;
use store::{Change, FeedError, Revision, StoreError};

use crate::Broker;
use crate::broker::Inner;
use crate::principals::{Bearer, Standing, View};

/// How often a standing is read again because changes keep passing it by, before the connection is refused.
const ATTEMPTS: usize = 64;

impl Broker {
    /// Applies changes for ever. `clock` tells the time; returns when the store is closed.
    pub async fn follow_feed(&self, clock: &(dyn Fn() -> Timestamp + Send + Sync)) -> Result<(), StoreError> {
        let inner = &self.0;
        let start = inner.store.revision().await?;
        inner.principals.set_applied(start);
        let mut feed = inner.store.feed(start);
        loop {
            match feed.next().await {
                Ok(changes) => inner.apply(&changes, clock()).await,
                Err(FeedError::Lagged) => inner.catch_up(clock()).await?,
                Err(FeedError::Closed) => return Ok(()),
            }
        }
    }
}

impl Inner {
    /// The standing of a new connection, indexed, and not older than the feed.
    pub async fn standing(&self, bearer: Bearer, now: Timestamp) -> Result<Arc<Standing>, StoreError> {
        let seen = self.principals.applied();
        let view = self.view(&bearer, now).await?;
        let (read, epoch) = (view.read.clone(), view.authorizer.epoch());
        let standing = self.new_standing(bearer, view);
        self.principals.dependents.index(&standing, epoch, read);
        if self.principals.applied() != seen {
            self.reload(&standing, now).await?;
        }
        Ok(standing)
    }

    /// A standing that is in no index.
    pub fn new_standing(&self, bearer: Bearer, view: View) -> Arc<Standing> {
        Arc::new(Standing::new(self.next_id(), bearer, view, self.principals.dependents.clone()))
    }

    /// Reads the standing again. A change is announced (`set_applied`) before the readers of its record are looked
    /// up; so if one slipped in between our reading a record and our being indexed under it, the number has moved.
    async fn reload(&self, standing: &Arc<Standing>, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let seen = self.principals.applied();
            let view = self.view(&standing.bearer, now).await?;
            self.principals.dependents.index(standing, view.authorizer.epoch(), view.read.clone());
            standing.exchange(view);
            if self.principals.applied() == seen {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable {
            reason: "the registry changes faster than policies can be read".into(),
        })
    }

    async fn apply(&self, changes: &[Change], now: Timestamp) {
        let last = changes.iter().map(|change| change.revision).max().unwrap_or(Revision(0));
        self.principals.set_applied(last);
        for standing in self.principals.dependents.concerned(changes) {
            if !self.provoke_lateness(&standing, now) {
                self.refresh(&standing, now).await;
            }
        }
    }

    /// Reads a live connection's standing again. A certificate that is not ACTIVE any more costs the connection, and
    /// so does a store that does not answer: what can't be checked is not allowed.
    pub async fn refresh(&self, standing: &Arc<Standing>, now: Timestamp) {
        match self.reload(standing, now).await {
            Err(error) => {
                self.store_failed("the policies of a live connection", &error, now);
                self.turn_away(standing, Fault::ServerError, &"its policies could not be read", now);
            }
            Ok(()) if standing.is_active() => {
                let epoch = standing.view().authorizer.epoch().0;
                let principal = &standing.bearer.principal;
                self.emit(now, &events::PolicyReloaded { principal, epoch }.into());
            }
            Ok(()) => {
                self.report_inactive(standing, now);
                self.turn_away(standing, Fault::CertificateNotActive, &standing.inactivity(), now);
            }
        }
    }

    fn report_inactive(&self, standing: &Standing, now: Timestamp) {
        let (view, principal) = (standing.view(), &standing.bearer.principal);
        match &view.revoked {
            Some(reason) => self.emit(now, &events::CredentialRevoked { principal, reason }.into()),
            None => {
                let status = view.status.map_or("UNKNOWN", |status| status.as_str());
                self.emit(now, &events::CertificateDeactivated { principal, status }.into());
            }
        }
    }

    pub fn turn_away(
        &self,
        standing: &Arc<Standing>,
        fault: Fault,
        detail: &dyn std::fmt::Display,
        now: Timestamp,
    ) {
        standing.condemn();
        let client_id = standing.bearer.client_id.as_ref();
        let Some(cell) = client_id.and_then(|id| self.directory.find(id.as_str())) else { return };
        let same = |live: &crate::cell::Live| Arc::ptr_eq(&live.standing, standing);
        self.oust(&cell, same, fault, detail, now);
    }

    /// The feed lost its place: everything known is read again.
    async fn catch_up(&self, now: Timestamp) -> Result<(), StoreError> {
        self.emit(now, &events::FeedLagged {}.into());
        let revision = self.store.revision().await?;
        self.principals.set_applied(revision);
        for standing in self.principals.dependents.everyone() {
            self.refresh(&standing, now).await;
        }
        Ok(())
    }

    pub fn store_failed(&self, what: &str, detail: &dyn std::fmt::Display, now: Timestamp) {
        self.emit(now, &events::StoreFailed { what, detail }.into());
    }
}
