//! The way in: reads views, keeps standings true to the store, and says whom a change concerns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dialect::Dialect;
use identity::{PolicyName, Site};
use policy::{Epoch, PolicySet};
use store::{Change, Revision, Store};

use crate::dependents::Dependents;
use crate::documents::Documents;
use crate::reader::Reader;
use crate::sets::Sets;
use crate::{Bearer, Standing, Unread, View};

/// How often a standing is read again because changes keep passing it by, before it is [`Unread::Outrun`].
const ATTEMPTS: usize = 64;

/// What principals may do, by one store. It holds one index entry for each record that a live standing was made from,
/// and at most 10,000 parsed policies.
pub struct Principals {
    pub(crate) site: Arc<Site>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) dialect: Arc<Dialect>,
    pub(crate) documents: Documents,
    pub(crate) sets: Sets,
    /// What the principals that may do everything share.
    pub(crate) unrestricted: Arc<PolicySet>,
    dependents: Arc<Dependents>,
    /// The revision up to which the feed has been announced.
    announced: AtomicU64,
    epochs: AtomicU64,
    ids: AtomicU64,
}

impl Principals {
    /// Nobody is known yet. Changes count once they are announced: [`follow_from`](Self::follow_from), then
    /// [`concerned`](Self::concerned) for each.
    pub fn new(site: Arc<Site>, store: Arc<dyn Store>, dialect: Arc<Dialect>) -> Self {
        let (announced, epochs, ids) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (documents, sets, dependents) = (Documents::default(), Sets::default(), Arc::default());
        let unrestricted = Arc::new(match PolicyName::new("unrestricted") {
            Ok(name) => PolicySet::allow_all(name),
            Err(_) => PolicySet::compile(Vec::new()),
        });
        Self { site, store, dialect, documents, sets, unrestricted, dependents, announced, epochs, ids }
    }

    /// An epoch that is higher than those of all views whose reading began before.
    pub fn next_epoch(&self) -> Epoch {
        Epoch(self.epochs.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The bearer's view by the store's present state.
    ///
    /// # Errors
    /// [`Unread::Store`] and [`Unread::Policy`].
    pub async fn view(&self, bearer: &Bearer) -> Result<View, Unread> {
        Reader::new(self).view(bearer).await
    }

    /// The standing of one moment: no change reaches it.
    ///
    /// # Errors
    /// [`Unread::Store`] and [`Unread::Policy`].
    pub async fn momentary(&self, bearer: Bearer) -> Result<Arc<Standing>, Unread> {
        let view = self.view(&bearer).await?;
        Ok(self.made(bearer, view))
    }

    /// The standing of a connection: not older than what was announced, and found by every change that concerns it for
    /// as long as it lives.
    ///
    /// # Errors
    /// All that there are.
    pub async fn lasting(&self, bearer: Bearer) -> Result<Arc<Standing>, Unread> {
        let seen = self.announced();
        let mut view = self.view(&bearer).await?;
        let (read, epoch) = (std::mem::take(&mut view.read), view.authorizer.epoch());
        let standing = self.made(bearer, view);
        self.dependents.index(&standing, epoch, &read);
        if self.announced() != seen {
            self.reread(&standing).await?;
        }
        Ok(standing)
    }

    fn made(&self, bearer: Bearer, view: View) -> Arc<Standing> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Standing::new(id, bearer, view, self.dependents.clone()))
    }

    /// Reads a standing again, after a change that concerns it. A change is announced before the readers of its record
    /// are looked up; so if one slipped in between our reading a record and our being indexed under it, the number has
    /// moved.
    ///
    /// # Errors
    /// All that there are; the standing is then what it was before, or something newer.
    pub async fn reread(&self, standing: &Arc<Standing>) -> Result<(), Unread> {
        for _ in 0..ATTEMPTS {
            let seen = self.announced();
            let mut view = self.view(&standing.bearer).await?;
            let read = std::mem::take(&mut view.read);
            self.dependents.index(standing, view.authorizer.epoch(), &read);
            standing.exchange(view);
            if self.announced() == seen {
                standing.trust();
                return Ok(());
            }
        }
        Err(Unread::Outrun)
    }

    /// The feed is followed from here on.
    pub fn follow_from(&self, revision: Revision) {
        self.announce(revision);
    }

    /// Announces changes of the store, and gives the lasting standings that any of them concerns, each once: those that
    /// [`reread`](Self::reread) has to read again.
    pub fn concerned(&self, changes: &[Change]) -> Vec<Arc<Standing>> {
        self.announce(changes.iter().map(|change| change.revision).max().unwrap_or(Revision(0)));
        self.dependents.concerned(changes)
    }

    /// Announces all changes up to a revision without saying which they are, and gives all lasting standings.
    pub fn everyone(&self, revision: Revision) -> Vec<Arc<Standing>> {
        self.announce(revision);
        self.dependents.everyone()
    }

    /// How many records and prefixes live standings were made from.
    pub fn records(&self) -> usize {
        self.dependents.len()
    }

    fn announced(&self) -> u64 {
        self.announced.load(Ordering::Acquire)
    }

    fn announce(&self, revision: Revision) {
        self.announced.fetch_max(revision.0, Ordering::AcqRel);
    }
}
