//! The end of connections and sessions: wills, expiry, and leaving the directory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use dialect::{Divergence, Fault};
use events::Client;
use identity::Timestamp;
use mqtt::Version;
use session::mutation::{self, Mutation};
use session::{Parcel, WillPlan};

use crate::broker::Inner;
use crate::cell::{Cell, Delayed, Ended, Kept, Live, Seat};
use crate::connections::Departed;
use crate::direct::Awaited;
use crate::durable::{Job, Then};
use crate::lifecycle::Named;
use crate::publish::Sender;
use crate::report::{self, Departure};
use standing::Standing;

type DueWills = VecDeque<(Arc<Cell>, Arc<Standing>, WillPlan)>;

thread_local! {
    /// Wills that wait for the one that is being published on this thread.
    static WILLS: RefCell<Option<DueWills>> = const { RefCell::new(None) };
}

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
        let client = Client { version: Some(ended.version), ..report::standing_of(&ended.standing) };
        self.report_disconnected(client, departure, now.since(ended.since), &ended.session_identifier, now);
        self.departed.remember(&cell.client_id, Departed::of(&ended, departure.reason), now);
        ended.awaited.iter().for_each(Awaited::lost);
        let named = Named {
            standing: &ended.standing,
            session_identifier: &ended.session_identifier,
            version_number: Some(ended.version_number),
        };
        self.tell_disconnected(&named, departure.reason, now);
        if ended.over.is_some() {
            self.versions.remember_greatest(&cell.client_id, ended.version_number + 1, now);
        }
        let session_over = ended.over.is_some() || departure.over;
        if let Some(kept) = &ended.over {
            self.unroute(kept);
            self.forget_queue(cell, kept);
        }
        self.settle_shares(&ended.settled);
        self.come_back(ended.returned);
        // The record of a will that is published goes after it.
        let mut kept = false;
        if ended.will.is_some() && !departure.will {
            cell.enter(Seat::will_done);
        }
        if let Some(will) = ended.will.filter(|_| departure.will) {
            // takeover-will: a takeover does not wait for the delay.
            let taken_over =
                departure.fault == Some(Fault::TakenOver) && self.dialect.has(Divergence::TakeoverWill);
            if taken_over && !session_over && !will.delay.is_zero() {
                let detail = &"was taken over, and its will did not wait";
                self.diverges(Divergence::TakeoverWill, client, "CONNECT", detail, now);
            }
            let (at_once, of) = (session_over || taken_over, (ended.session, ended.arrival));
            kept = self.will_due(cell, (&ended.standing, will), at_once, of, now);
        }
        if !kept {
            self.keep(cell);
        }
        self.provoke_slack(cell, now);
        self.settle_future(cell);
    }

    /// Publishes a will now, or keeps it for its delay if the session goes on [MQTT-3.1.3-9]: the one that it was of, with its
    /// id and the last CONNECT that the connection knew of. True if it was published, and the cell's records are written
    /// after it.
    fn will_due(
        &self,
        cell: &Arc<Cell>,
        (standing, will): (&Arc<Standing>, Box<WillPlan>),
        at_once: bool,
        (session, arrival): (u64, u64),
        now: Timestamp,
    ) -> bool {
        let delayed = !at_once && !will.delay.is_zero() && !mutation::is(Mutation::WillIgnoresDelay);
        let when = now + will.delay;
        let mut will = Some(Box::new(Delayed { due: when, standing: standing.clone(), will }));
        let goes_on = delayed
            && cell.enter(|seat| {
                let Some(kept) = seat.kept.as_mut().filter(|kept| kept.id == session) else { return false };
                // If the client has been back, a will that was to wait is not sent.
                if seat.live.is_none() && seat.arrival == arrival {
                    kept.will = will.take();
                }
                seat.will_done();
                true
            });
        match will {
            None => self.arm(cell, when),
            Some(own) if !goes_on => self.publish_will(cell, &own.standing, &own.will, now),
            Some(_) => {}
        }
        !goes_on
    }

    /// Publishes a will by the permissions that its client has now, and then writes the client's records: that of the will
    /// goes. A will may end another client, whose will may end the next: they are taken one after the other, not one inside
    /// the other.
    pub fn publish_will(&self, cell: &Arc<Cell>, standing: &Arc<Standing>, will: &WillPlan, now: Timestamp) {
        let first = WILLS.with_borrow_mut(|waiting| {
            let first = waiting.is_none();
            waiting.get_or_insert_default().push_back((cell.clone(), standing.clone(), will.clone()));
            first
        });
        if !first {
            return;
        }
        while let Some((cell, standing, will)) =
            WILLS.with_borrow_mut(|waiting| waiting.as_mut()?.pop_front())
        {
            match self.will_job(&standing, &will, now) {
                Some(job) => self.committer.submit(Job { saves: vec![cell], ..job }),
                None => {
                    cell.enter(Seat::will_done);
                    self.keep(&cell);
                }
            }
        }
        WILLS.set(None);
    }

    /// Publishes a will; what of it is to be made durable comes back.
    pub fn will_job(&self, standing: &Arc<Standing>, will: &WillPlan, now: Timestamp) -> Option<Job> {
        let mut parcel = Arc::new(Parcel::new(will.message(now, &self.dialect)));
        let view = standing.view();
        self.enrich(standing, &view, &mut parcel, now);
        let message = &parcel.message;
        let client = report::standing_of(standing);
        match self.authorise_will(standing, message, now) {
            Ok(permits) => {
                self.report_will(client, message, now);
                let outcome = self.distribute(permits, parcel, Sender::will(client), now);
                (!outcome.is_empty()).then(|| Job { is_will: true, is_own: true, ..outcome.job(Then::Rest) })
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
            if !mutation::is(Mutation::LeavesRoutesBehind) {
                self.routes.unsubscribe(&subscription.filter, kept.id);
            }
            self.kick_group(subscription.filter.as_str());
        }
    }

    /// Arms the session's end or its will, or takes a vacant cell out of the directory.
    pub fn settle_future(&self, cell: &Arc<Cell>) {
        let next = cell.enter(|seat| {
            let away = seat.kept.as_ref().filter(|_| seat.live.is_none());
            away.map_or(Timestamp::NEVER, Kept::next)
        });
        self.vacate(cell);
        self.arm(cell, next);
    }

    /// Takes a cell out of the directory, if it is vacant.
    pub fn vacate(&self, cell: &Arc<Cell>) {
        let retired = cell.enter(|seat| {
            seat.retired |= seat.is_vacant();
            seat.retired
        });
        if retired {
            self.directory.remove(cell);
        }
    }

    /// Has the cell looked at when its time comes. A client that comes and goes leaves one moment behind, not many.
    pub fn arm(&self, cell: &Arc<Cell>, when: Timestamp) {
        let earlier = cell.enter(|seat| {
            let earlier = when < Timestamp::NEVER && seat.armed.is_none_or(|armed| when < armed);
            if earlier {
                seat.armed = Some(when);
            }
            earlier
        });
        if earlier {
            self.expiry.arm(when, cell);
        }
    }

    /// A moment came for which the cell was armed: a delayed will, or the end of its session.
    pub fn look_at(&self, cell: &Arc<Cell>, now: Timestamp) {
        let (will, over, again) = cell.enter(|seat| {
            seat.armed = None;
            if seat.live.is_some() {
                return (None, None, None);
            }
            let ended = seat.kept.as_ref().is_some_and(|kept| kept.ends_at <= now);
            let due = seat.kept.as_mut().and_then(|kept| kept.will.take_if(|will| ended || will.due <= now));
            seat.wills = seat.wills.saturating_add(u8::from(due.is_some()));
            let over = if ended { seat.kept.take() } else { None };
            (due, over, seat.kept.as_ref().map(Kept::next))
        });
        // The queue of one that is there may have been unreadable.
        self.look_after(cell);
        if let Some(again) = again {
            self.arm(cell, again);
        }
        if let Some(waited) = will {
            self.publish_will(cell, &waited.standing, &waited.will, now);
        }
        if let Some(kept) = over {
            self.unroute(&kept);
            self.forget_queue(cell, &kept);
            self.keep(cell);
            self.report_expired(cell, &kept, now);
            self.settle_future(cell);
        }
    }

    /// A session that gave way to a new one: it was not resumed, or nobody had looked at it since it was over.
    pub fn replaced(&self, cell: &Arc<Cell>, over: &Kept, now: Timestamp) {
        self.unroute(over);
        self.forget_queue(cell, over);
        if over.ends_at <= now {
            self.report_expired(cell, over, now);
        }
    }

    fn report_expired(&self, cell: &Cell, over: &Kept, now: Timestamp) {
        let client_id = cell.client_id.as_str();
        self.report_session_expired(client_id, over.session.queued(), now);
        if over.session.version() == Version::V311 && self.dialect.has(Divergence::V3SessionExpires) {
            let (row, detail) = (Divergence::V3SessionExpires, &"did not come back for its session in time");
            self.diverges_for(row, client_id, "CONNECT", detail, now);
        }
    }
}
