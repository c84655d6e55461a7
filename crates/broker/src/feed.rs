//! Follows the store's feed: the road by which a change of policy, attachment, thing or certificate reaches live
//! connections, on the node that made the change as on any other.

use std::sync::Arc;

use dialect::Fault;
use identity::Timestamp;
use session::mutation::{self, Mutation};
use store::{Change, FeedError, StoreError};

use crate::broker::Inner;
use crate::{Broker, Clock};
use standing::{Standing, Unread};

impl Broker {
    /// Applies changes for ever. `clock` tells the time; returns when the store is closed.
    ///
    /// # Errors
    /// The store does not say where it is. Call it again: what changed meanwhile is found.
    pub async fn follow_feed(&self, clock: Clock<'_>) -> Result<(), StoreError> {
        let inner = &self.0;
        loop {
            let start = inner.store.revision().await?;
            inner.principals.follow_from(start);
            let mut feed = inner.store.feed(start);
            // What was changed before is not known: everything that counts for somebody is read again.
            for standing in inner.principals.everyone(start) {
                inner.refresh(&standing, clock()).await;
            }
            loop {
                match feed.next().await {
                    Ok(changes) => inner.apply(&changes, clock()).await,
                    Err(FeedError::Lagged) => break,
                    Err(FeedError::Closed) => return Ok(()),
                }
            }
            inner.emit(clock(), &events::FeedLagged {}.into());
        }
    }
}

impl Inner {
    /// Tells of a policy that is not understood, and makes of it what a store that does not serve is.
    pub fn unread(&self, unread: Unread, now: Timestamp) -> StoreError {
        if matches!(unread, Unread::Policy { .. }) {
            self.store_failed(&unread.to_string(), &"write a new version of it", now);
        }
        unread.into()
    }

    async fn apply(&self, changes: &[Change], now: Timestamp) {
        if mutation::is(Mutation::SkipsRefresh) {
            return;
        }
        for standing in self.principals.concerned(changes) {
            if !self.provoke_lateness(&standing, now) {
                self.refresh(&standing, now).await;
            }
        }
    }

    /// Reads a live connection's standing again. A certificate that is not ACTIVE any more costs the connection, and
    /// so does a store that does not answer: what can't be checked is not allowed.
    pub async fn refresh(&self, standing: &Arc<Standing>, now: Timestamp) {
        match self.principals.reread(standing).await {
            Err(unread) => {
                // A will that waits is not published by what may not hold any more.
                standing.doubt();
                let error = self.unread(unread, now);
                self.store_failed("the policies of a live connection", &error, now);
                self.turn_away(standing, Fault::ServerError, &"its policies could not be read", now);
            }
            Ok(()) if standing.is_active() => {
                let epoch = standing.view().authorizer.epoch().0;
                let principal = &standing.bearer.principal;
                self.emit(now, &events::PolicyReloaded { principal, epoch }.into());
            }
            Ok(()) if mutation::is(Mutation::KeepsInactive) => self.report_inactive(standing, now),
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

    pub fn store_failed(&self, what: &str, detail: &dyn std::fmt::Display, now: Timestamp) {
        self.emit(now, &events::StoreFailed { what, detail }.into());
    }
}
