//! The end of connections and sessions: wills, expiry, and leaving the directory.

use std::fmt::Display;
use std::sync::Arc;

use dialect::{Divergence, Fault};
use events::Client;
use identity::Timestamp;
use router::Matches;
use session::WillPlan;

use crate::broker::Inner;
use crate::cell::{Cell, Ended, Kept, Live, Subscriber};
use crate::durable::{Job, Then};
use crate::principals::Standing;
use crate::publish::Sender;
use crate::report::{self, Departure};

impl Inner {
    /// Takes the seat from a connection that `which` points at, because of a fault.
    pub fn oust(
        &self,
        cell: &Arc<Cell>,
        which: impl Fn(&Live) -> bool,
        fault: Fault,
        detail: &dyn Display,
        now: Timestamp,
    ) {
        let trace = self.uuid();
        let departure = Departure::by(fault, detail, &trace);
        let ousted = cell.enter(|seat| {
            let meant = seat.live.as_ref().is_some_and(&which);
            meant.then(|| seat.oust(fault, &trace, &self.dialect, now)).flatten()
        });
        if let Some((ended, waker)) = ousted {
            waker.into_iter().for_each(std::task::Waker::wake);
            self.conclude(cell, ended, &departure, now);
        }
    }

    /// What is left to do when a connection has lost its seat: the event, the will, the session's future.
    pub fn conclude(&self, cell: &Arc<Cell>, ended: Ended, departure: &Departure<'_>, now: Timestamp) {
        self.principals.dependents.forget(&ended.standing);
        let client = Client { version: Some(ended.version), ..report::standing_of(&ended.standing) };
        self.report_disconnected(client, departure, now.since(ended.since), &ended.session_identifier, now);
        let session_over = ended.over.is_some();
        if let Some(kept) = &ended.over {
            self.unroute(kept);
            self.forget_queue(cell, kept);
        }
        self.keep(cell);
        if let Some(will) = ended.will.filter(|_| departure.reason.sends_will()) {
            // takeover-will: a takeover does not wait for the delay.
            let taken_over =
                departure.fault == Some(Fault::TakenOver) && self.dialect.has(Divergence::TakeoverWill);
            self.will_due(cell, &ended.standing, will, session_over || taken_over, now);
        }
        self.settle_future(cell, now);
    }

    /// Publishes a will now, or keeps it for its delay if the session goes on [MQTT-3.1.3-9].
    fn will_due(
        &self,
        cell: &Arc<Cell>,
        standing: &Arc<Standing>,
        will: WillPlan,
        at_once: bool,
        now: Timestamp,
    ) {
        if at_once || will.delay.is_zero() {
            return self.publish_will(standing, &will, now);
        }
        let when = now + will.delay;
        let mut will = Some((when, standing.clone(), will));
        cell.enter(|seat| {
            if let Some(kept) = &mut seat.kept
                && seat.live.is_none()
            {
                kept.will = will.take();
            }
        });
        // The client is back already: a will that was to wait is not sent.
        if will.is_none() {
            self.expiry.arm(when, cell);
        }
    }

    /// Publishes a will by the permissions that its client has now.
    pub fn publish_will(&self, standing: &Arc<Standing>, will: &WillPlan, now: Timestamp) {
        if let Some(job) = self.will_job(standing, will, &mut Matches::default(), now) {
            self.committer.submit(job);
        }
    }

    /// Publishes a will; what of it is to be made durable comes back.
    pub fn will_job(
        &self,
        standing: &Arc<Standing>,
        will: &WillPlan,
        matches: &mut Matches<Subscriber>,
        now: Timestamp,
    ) -> Option<Job> {
        let message = will.message(now, &self.dialect);
        let client = report::standing_of(standing);
        match self.authorise_publish(standing, &message, now) {
            Ok(permits) => {
                self.report_will(client, message.topic.as_str(), now);
                let outcome = self.distribute(permits, message, Sender::will(client), matches, now);
                (!outcome.is_empty()).then(|| outcome.job(Then::Rest))
            }
            Err(denied) => {
                self.report_will_refused(client, &denied, now);
                None
            }
        }
    }

    /// Takes every route of a session that is over out of the table.
    pub fn unroute(&self, kept: &Kept) {
        for subscription in kept.session.subscriptions() {
            self.routes.unsubscribe(&subscription.filter, kept.id);
        }
    }

    /// Arms the session's end, or takes a vacant cell out of the directory.
    pub fn settle_future(&self, cell: &Arc<Cell>, now: Timestamp) {
        let (ends_at, vacant) = cell.enter(|seat| {
            let vacant = seat.is_vacant();
            seat.retired |= vacant;
            let ends_at = seat.kept.as_ref().map_or(Timestamp::NEVER, |kept| kept.ends_at);
            (if seat.live.is_some() { Timestamp::NEVER } else { ends_at }, vacant)
        });
        if vacant {
            self.directory.remove(cell);
        }
        if ends_at > now {
            self.expiry.arm(ends_at, cell);
        }
    }

    /// A moment came for which the cell was armed: a delayed will, or the end of its session.
    pub fn look_at(&self, cell: &Arc<Cell>, now: Timestamp) {
        let (will, over) = cell.enter(|seat| {
            if seat.live.is_some() {
                return (None, None);
            }
            let ended = seat.kept.as_ref().is_some_and(|kept| kept.ends_at <= now);
            let due =
                seat.kept.as_mut().and_then(|kept| kept.will.take_if(|(when, ..)| ended || *when <= now));
            (due, if ended { seat.kept.take() } else { None })
        });
        if let Some((_, standing, will)) = will {
            self.publish_will(&standing, &will, now);
        }
        if let Some(kept) = over {
            self.unroute(&kept);
            self.forget_queue(cell, &kept);
            self.keep(cell);
            self.report_session_expired(cell.client_id.as_str(), kept.session.queued(), now);
            self.settle_future(cell, now);
        }
    }
}
