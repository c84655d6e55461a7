//! After a restart: sessions, their routes, retained messages, and the wills of clients that were connected.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::{DisconnectReason, Divergence};
use futures_util::future::try_join_all;
use hashbrown::HashMap;
use identity::{CertificateId, ClientId, Principal, Timestamp};
use records::{ConnectionRecord, RETAINED, RetainedRecord, SESSIONS, SessionRecord};
use records::{WILLS, WillRecord, received_key};
use session::mutation::{self, Mutation};
use session::{Parcel, Session, WillPlan};
use store::{Batch, Key, Position, StoreError, Stored};

use super::save::Saved;
use crate::Broker;
use crate::broker::Inner;
use crate::cell::{Delayed, Kept, Subscriber};
use crate::groups::Groups;
use crate::lifecycle::Named;
use crate::publish;
use standing::{Bearer, Unread};

/// A client and the connection that it had.
type Lost = (ClientId, ConnectionRecord);

/// How many records are read at once.
const PAGE: usize = 500;

impl Broker {
    /// Builds again what was kept. To be called once, before anybody connects. Returns how many sessions and retained
    /// messages there are.
    ///
    /// # Errors
    /// The store does not answer, or a record is not what it should be: nobody can tell what would be missing.
    pub async fn recover(&self, now: Timestamp) -> Result<(usize, usize), StoreError> {
        match self.0.journal {
            None => Ok((0, 0)),
            Some(_) => self.0.recover(now).await.map_err(records::with_remedy),
        }
    }
}

impl Inner {
    async fn recover(&self, now: Timestamp) -> Result<(usize, usize), StoreError> {
        let retained = self.recover_retained(now).await?;
        let (sessions, lost) = self.recover_sessions(now).await?;
        self.recover_queues().await?;
        for (client_id, record) in &lost {
            self.tell_lost(client_id, record, now).await?;
        }
        self.recover_wills(now).await?;
        Ok((sessions, retained))
    }

    /// How many there are, and those whose clients were connected when the process died.
    async fn recover_sessions(&self, now: Timestamp) -> Result<(usize, Vec<Lost>), StoreError> {
        let (mut after, mut count, mut lost) = (None, 0, Vec::new());
        loop {
            let page = SESSIONS.scan(&*self.store, &Key::EMPTY, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok((count, lost)) };
            after = Some(last.key.clone());
            for Stored { key, value: mut record, .. } in page {
                let unreadable = |why| records::unreadable(SESSIONS.space(), &key, why);
                let client_id = records::client_of(&key).map_err(unreadable)?;
                self.recover_received(&client_id, &mut record).await?;
                let session = record.session(&self.dialect).map_err(unreadable)?;
                count += usize::from(self.recover_session(&client_id, &record, session, now));
                let connection = record.connection.filter(|_| record.ended.is_none());
                lost.extend(connection.map(|connection| (client_id, connection)));
            }
        }
    }

    /// The client's identifiers of QoS 2 messages that were logged after the record was written.
    async fn recover_received(
        &self,
        client_id: &ClientId,
        record: &mut SessionRecord,
    ) -> Result<(), StoreError> {
        let Some(journal) = self.journal.as_ref().filter(|_| !self.dialect.has(Divergence::NoQos2)) else {
            return Ok(());
        };
        let key = received_key(client_id, &record.incarnation);
        loop {
            let page = journal.read(&key, Position(record.seen), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            record.seen = last.position.0;
            let id = |tag: &Bytes| Some(u16::from_be_bytes(tag[..].try_into().ok()?));
            record.received.extend(page.iter().filter_map(|entry| id(&entry.tag)));
        }
    }

    fn recover_session(
        &self,
        client_id: &ClientId,
        record: &SessionRecord,
        session: Session,
        now: Timestamp,
    ) -> bool {
        let Some(cell) = self.directory.restore(client_id) else { return false };
        let id = self.next_id();
        let routes: Vec<_> = session.subscriptions().cloned().collect();
        // A clock that was set back must not make it live longer than its expiry from now on.
        let ended = record.ended.unwrap_or(now).min(now);
        let ends_at = match record.expiry {
            u32::MAX => Timestamp::NEVER,
            seconds => ended + Duration::from_secs(seconds.into()),
        };
        let incarnation = record.incarnation.as_str().into();
        cell.enter(|seat| {
            seat.kept = Some(Kept { id, session, ends_at, will: None, incarnation, ended: Some(ended) });
            seat.saved = Saved { session: true, will: false };
            seat.next_version = Some(record.next_version);
        });
        for known in routes {
            if known.filter.share_name().is_some() && self.groups_queue() {
                self.groups.claim(known.filter.as_str());
            }
            let target = Subscriber { cell: cell.clone(), session: id, from: Timestamp::default() };
            self.routes.subscribe(&known.filter, target.route(&known));
        }
        // What ended while nobody was there ends at the first look.
        self.arm(&cell, ends_at);
        true
    }

    /// That a connection ended with the process. Its record says that from now on, whether or not somebody listened; it is told
    /// once more if the process dies again before both are written.
    async fn tell_lost(
        &self,
        client_id: &ClientId,
        connection: &ConnectionRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let cell = self.directory.find(client_id.as_str());
        let Some((bearer, cell)) = connection.bearer(client_id).zip(cell) else { return Ok(()) };
        if self.is_listened_to(&format!("$aws/events/presence/disconnected/{client_id}")) {
            match self.principals.momentary(bearer).await {
                Ok(standing) => {
                    let version_number = cell.enter(|seat| seat.next_version?.checked_sub(1));
                    let session_identifier = &connection.identifier;
                    let named = Named { standing: &standing, session_identifier, version_number };
                    self.tell_disconnected(&named, DisconnectReason::ServerError, now);
                }
                // What is wrong with a policy is for its owner to mend, who needs a server for that.
                Err(unread @ Unread::Policy { .. }) => {
                    self.store_failed(&format!("the event that {client_id} is gone"), &unread, now);
                }
                Err(unread) => return Err(self.unread(unread, now)),
            }
        }
        self.keep(&cell);
        Ok(())
    }

    /// What is in the journal for nobody: the process ended before the messages of a session that is over could be
    /// forgotten, or before those of a group without members could. Those of a group go before anybody can make one of that
    /// name again; a session's have a name that no other session gets, and go soon.
    async fn recover_queues(&self) -> Result<(), StoreError> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let mut after = None;
        loop {
            let page = journal.queues(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let nobodys = page.into_iter().filter(|queue| !self.is_somebodys(queue));
            let (rows, journals): (Vec<_>, Vec<_>) = nobodys.partition(Groups::is_row);
            journals.into_iter().for_each(|journal| self.committer.trim(journal, u64::MAX));
            try_join_all(rows.iter().map(|row| journal.trim(row, Position::END))).await?;
        }
    }

    /// True if a queue belongs to a session or a group that is there, or to something that this version does not know.
    fn is_somebodys(&self, queue: &Key) -> bool {
        if let Some((client_id, incarnation)) = records::owner(queue) {
            let cell = self.directory.find(client_id.as_str());
            let has = |kept: &Kept| *kept.incarnation == *incarnation;
            return mutation::is(Mutation::ForgetsAbandoned)
                || cell.is_some_and(|cell| cell.enter(|seat| seat.kept.as_ref().is_some_and(has)));
        }
        // Where groups do not queue they are not known; what they have waits for a start at which they do.
        let known = Groups::is_row(queue) && self.groups_queue();
        !known || mutation::is(Mutation::ForgetsGroupRows) || self.groups.has_row(queue)
    }

    async fn recover_retained(&self, now: Timestamp) -> Result<usize, StoreError> {
        let (mut after, mut count): (Option<Key>, usize) = (None, 0);
        loop {
            let page = self.store.scan(RETAINED, &[], after.as_ref().map(Key::as_bytes), PAGE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.key.clone());
            let mut gone = Batch::new();
            for entry in page {
                let Some(RetainedRecord { stored, message }) = RetainedRecord::decode(&entry.value) else {
                    let why = "it is not a retained message".to_owned();
                    return Err(records::unreadable(RETAINED, &entry.key, why));
                };
                let (topic, qos) = (message.topic.as_str().to_owned(), message.qos);
                let parcel = Arc::new(Parcel::new(message));
                if parcel.is_expired(now) {
                    gone.delete(RETAINED, entry.key);
                    continue;
                }
                let kept = Arc::new(publish::Kept { parcel, stored, qos });
                self.retained.restore(&topic, kept);
                count += 1;
            }
            if !gone.is_empty() {
                self.commit(gone).await?;
            }
        }
    }

    /// The process died: everybody who was connected is lost, and their wills are due, or wait for their delay.
    /// All are read before the first is published: a start that is refused has told nobody.
    async fn recover_wills(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut certificates = HashMap::new();
        for publishes in [false, true] {
            let mut after = None;
            loop {
                let page = WILLS.scan(&*self.store, &Key::EMPTY, after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                let mut gone = Batch::new();
                for stored in page {
                    let read = self.read_will(&stored.key, &stored.value, &mut certificates).await?;
                    if publishes && !self.recover_will(read, stored.value.due, now).await? {
                        WILLS.delete(&mut gone, &stored.key);
                    }
                }
                self.commit(gone).await?;
            }
        }
        Ok(())
    }

    async fn read_will(
        &self,
        key: &Key,
        record: &WillRecord,
        certificates: &mut HashMap<CertificateId, Option<Arc<identity::CertificateFacts>>>,
    ) -> Result<(Bearer, WillPlan), StoreError> {
        let unreadable = |why| records::unreadable(WILLS.space(), key, why);
        let client_id = records::client_of(key).map_err(unreadable)?;
        let (mut bearer, will) = record.will(client_id).map_err(unreadable)?;
        if let Principal::Certificate(id) = &bearer.principal {
            bearer.certificate = self.facts(id, certificates).await?;
        }
        Ok((bearer, will))
    }

    /// Publishes a will, or has it wait for its delay: true if it does, and its record stays.
    async fn recover_will(
        &self,
        (bearer, will): (Bearer, WillPlan),
        due: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let latest = now + will.delay;
        // With a clock that was set back it waits no longer than its delay from now on.
        let due = due.map_or(latest, |due| due.min(latest));
        if due > now && self.postpone_will(&bearer, &will, due, now).await? {
            return Ok(true);
        }
        let standing = self.principals.momentary(bearer).await.map_err(|unread| self.unread(unread, now))?;
        let job = self.will_job(&standing, &will, now);
        // The record goes only after the will is where it has to be.
        if let Some(job) = job {
            self.write_now(job, now).await?;
        }
        Ok(false)
    }

    /// Has a will wait in its session, if that is there and goes on.
    async fn postpone_will(
        &self,
        bearer: &Bearer,
        will: &WillPlan,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(cell) = bearer.client_id.as_ref().and_then(|id| self.directory.find(id.as_str())) else {
            return Ok(false);
        };
        let standing = self.principals.lasting(bearer.clone()).await;
        let standing = standing.map_err(|unread| self.unread(unread, now))?;
        let waits = cell.enter(|seat| {
            seat.saved.will = true;
            let kept = seat.kept.as_mut().filter(|kept| kept.ends_at > now);
            let will = Box::new(will.clone());
            kept.map(|kept| kept.will = Some(Box::new(Delayed { due, standing, will }))).is_some()
        });
        if waits {
            self.arm(&cell, due);
        }
        Ok(waits)
    }

    async fn facts(
        &self,
        id: &CertificateId,
        known: &mut HashMap<CertificateId, Option<Arc<identity::CertificateFacts>>>,
    ) -> Result<Option<Arc<identity::CertificateFacts>>, StoreError> {
        if let Some(facts) = known.get(id) {
            return Ok(facts.clone());
        }
        let key = registry::certificates::certificate_key(id.as_str());
        let record = registry::CERTIFICATES.get(&*self.store, &key).await?;
        // Without what a certificate says nobody knows what its policies deny.
        let facts = record.map(|record| pki::facts_in_pem(&record.value.pem).map(Arc::new)).transpose();
        let space = registry::CERTIFICATES.space();
        let facts = facts.map_err(|why| records::unreadable(space, &key, why.to_string()))?;
        known.insert(id.clone(), facts.clone());
        Ok(facts)
    }
}
