//! Into a subscriber's cell: iot:Receive, then the session decides between outbox, queue and nothing.

use std::sync::Arc;
use std::task::Waker;

use dialect::{Divergence, Fault};
use events::Client;
use identity::Timestamp;
use mqtt::{QoS, Version};
use policy::Permit;
use records::journal_key;
use router::Route;
use session::mutation::{self, Mutation};
use session::stored::Tag;
use session::{Conversation, Delivered, Dropped, Gate, Offer, Parcel, Session};
use store::Recipient;

use super::route::{Waiting, Waits};
use super::{Sender, Wakes};
use crate::broker::Inner;
use crate::cell::{Cell, Kept, Live, Seat, Subscriber};
use crate::report::standing_of;
use standing::{Standing, View};

/// What became of a message for a client, to be told outside the cell.
pub(crate) struct Report {
    pub parcel: Arc<Parcel>,
    pub qos: QoS,
    pub standing: Option<Arc<Standing>>,
    /// Of the session.
    pub version: Version,
    pub fate: Fate,
}

/// What can become of it.
pub(crate) enum Fate {
    Sent,
    Queued,
    SentAgain(u32),
    Dropped(Dropped),
    /// The policies do not allow iot:Receive; the share name, if it was asked with one.
    Denied(Option<Arc<str>>),
}

impl Report {
    pub(super) fn new(offer: &Offer, version: Version, standing: Option<&Arc<Standing>>, fate: Fate) -> Self {
        Self { parcel: offer.parcel.clone(), qos: offer.qos, standing: standing.cloned(), version, fate }
    }

    /// The client gets it no more.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.fate, Fate::Dropped(_) | Fate::Denied(_))
    }
}

impl Report {
    /// The same of another message.
    fn is_now(&mut self, offer: &Offer, fate: Fate) {
        if !Arc::ptr_eq(&self.parcel, &offer.parcel) {
            self.parcel = offer.parcel.clone();
        }
        (self.qos, self.fate) = (offer.qos, fate);
    }

    /// Of messages of QoS 0 that were on their way to a client and expired before the link took them.
    pub(crate) fn of_expired(expired: Vec<Arc<Parcel>>, version: Version) -> impl Iterator<Item = Self> {
        let late =
            move |parcel| Self { version, ..Self::of_message(&parcel, Fate::Dropped(Dropped::Expired)) };
        expired.into_iter().map(late)
    }

    /// Of a message that no session has: it is in the queue of a group, or was no more than on its way.
    pub(crate) fn of_message(parcel: &Arc<Parcel>, fate: Fate) -> Self {
        let (version, standing) = (Version::V5, None);
        Self { parcel: parcel.clone(), qos: QoS::AtLeastOnce, standing, version, fate }
    }
}

/// What came of an offer.
pub(crate) struct Offered {
    fate: Fate,
    pub(crate) waker: Option<Waker>,
    /// The session's incarnation, if the message is to be journaled for it.
    enqueue: Option<Arc<str>>,
}

impl Offered {
    fn new(kept: &Kept, delivered: Delivered) -> Self {
        let enqueue = (delivered == Delivered::Enqueue).then(|| kept.incarnation.clone());
        Self { fate: delivered.into(), waker: None, enqueue }
    }
}

/// Who was found in a cell: the same for all offers of one visit. All who publish to a client count the references to its
/// standing, so it is taken once.
struct Met {
    /// Of the client, if it is there.
    standing: Option<Arc<Standing>>,
    /// Of the session.
    version: Version,
}

impl Met {
    /// `None` if the session is not there any more.
    fn of(seat: &Seat, session: u64) -> Option<Self> {
        let kept = seat.kept.as_ref().filter(|kept| kept.id == session)?;
        let standing = seat.live.as_ref().map(|live| live.standing.clone());
        Some(Self { standing, version: kept.session.version() })
    }

    /// Of a message for it, of which nothing became yet.
    fn report(self, offer: &Offer) -> Report {
        let Self { standing, version } = self;
        Report { parcel: offer.parcel.clone(), qos: offer.qos, standing, version, fate: Fate::Queued }
    }
}

/// iot:Receive for an offer. For a shared subscription the plain topic and the shared form are both asked.
pub(super) fn permit(standing: &Standing, offer: &Offer, now: Timestamp) -> Option<Permit<policy::Receive>> {
    permit_of(&standing.view(), offer, now)
}

fn permit_of(view: &View, offer: &Offer, now: Timestamp) -> Option<Permit<policy::Receive>> {
    let mut topic = offer.parcel.message.topic.as_str();
    if mutation::is(Mutation::AsksForTheWrongTopic) {
        topic = "free/x";
    }
    match &offer.share_name {
        None => view.authorizer.receive(topic, now).ok(),
        Some(share) => view.authorizer.receive_shared(share, topic, now).ok(),
    }
}

impl Inner {
    /// Hands a message to one subscription's client.
    pub fn deliver(
        &self,
        route: &Route<Subscriber>,
        share_name: Option<&Arc<str>>,
        parcel: &Arc<Parcel>,
        (sender, wakes): (Sender<'_>, &mut Wakes),
        now: Timestamp,
    ) -> Option<Waiting> {
        if (route.no_local && route.target.session == sender.session) || now < route.target.from {
            return None;
        }
        self.hand_in(route, self.offer_by(route, share_name, parcel), wakes, now)
    }

    /// Hands messages to one subscription's client, which is entered once. Who waits for the journal is noted with the place
    /// of the message in the row.
    pub(super) fn deliver_all(
        &self,
        route: &Route<Subscriber>,
        parcels: &[Arc<Parcel>],
        (sender, wakes): (Sender<'_>, &mut Wakes),
        (offered, waiting): (&mut Vec<Offered>, &mut Vec<(usize, Waiting)>),
        now: Timestamp,
    ) {
        if (route.no_local && route.target.session == sender.session) || now < route.target.from {
            return;
        }
        let Some(first) = parcels.first() else { return };
        let (mut offer, session) = (self.offer_by(route, None, first), route.target.session);
        // Nothing is allocated while the cell is held.
        offered.reserve(parcels.len());
        let met = route.target.cell.enter(|seat| {
            let met = Met::of(seat, session)?;
            for parcel in parcels {
                self.exchange(&mut offer, route, parcel);
                offered.extend(self.offer(seat, session, &offer, now));
            }
            Some(met)
        });
        let Some(met) = met else { return };
        let mut report = met.report(&offer);
        for (at, (one, parcel)) in offered.drain(..).zip(parcels).enumerate() {
            self.exchange(&mut offer, route, parcel);
            waiting
                .extend(self.account(route, &offer, (&mut report, one), wakes, now).map(|waits| (at, waits)));
        }
    }

    fn offer_by(
        &self,
        route: &Route<Subscriber>,
        share_name: Option<&Arc<str>>,
        parcel: &Arc<Parcel>,
    ) -> Offer {
        Offer {
            parcel: parcel.clone(),
            qos: parcel.message.qos.min(route.qos),
            retain: self.retains(route, parcel),
            share_name: share_name.cloned(),
            place: None,
            group: None,
            identifiers: route.identifiers.clone(),
        }
    }

    /// The same offer of another message.
    fn exchange(&self, offer: &mut Offer, route: &Route<Subscriber>, parcel: &Arc<Parcel>) {
        offer.parcel = parcel.clone();
        offer.qos = parcel.message.qos.min(route.qos);
        offer.retain = self.retains(route, parcel);
    }

    fn retains(&self, route: &Route<Subscriber>, parcel: &Parcel) -> bool {
        let honoured = route.retain_as_published && !self.dialect.has(Divergence::RetainAsPublishedIgnored);
        parcel.message.retain && (honoured || mutation::is(Mutation::ForwardsRetain))
    }

    /// Hands a retained message to a new subscription.
    pub fn deliver_retained(
        &self,
        route: &Route<Subscriber>,
        parcel: &Arc<Parcel>,
        wakes: &mut Wakes,
        now: Timestamp,
    ) -> Option<Waiting> {
        let qos = parcel.message.qos.min(route.qos);
        let (parcel, identifiers) = (parcel.clone(), route.identifiers.clone());
        let offer =
            Offer { parcel, qos, retain: true, share_name: None, place: None, group: None, identifiers };
        self.hand_in(route, offer, wakes, now)
    }

    fn hand_in(
        &self,
        route: &Route<Subscriber>,
        offer: Offer,
        wakes: &mut Wakes,
        now: Timestamp,
    ) -> Option<Waiting> {
        let session = route.target.session;
        let (met, offered) = route.target.cell.enter(|seat| {
            let met = Met::of(seat, session)?;
            Some((met, self.offer(seat, session, &offer, now)?))
        })?;
        self.account(route, &offer, (&mut met.report(&offer), offered), wakes, now)
    }

    /// Outside the cell: tells what became of an offer. What of it has to go into the journal comes back.
    fn account(
        &self,
        route: &Route<Subscriber>,
        offer: &Offer,
        (report, offered): (&mut Report, Offered),
        wakes: &mut Wakes,
        now: Timestamp,
    ) -> Option<Waiting> {
        let cell = &route.target.cell;
        let Offered { fate, waker, enqueue } = offered;
        wakes.add(waker);
        report.is_now(offer, fate);
        self.report(&cell.client_id, report, now);
        self.provoke_delivery(route, report, offer.retain, now);
        self.close_if_denied(cell, report, now);
        let incarnation = enqueue?;
        let (qos, retain, identifiers) = (offer.qos, offer.retain, offer.identifiers.clone());
        let share_name = offer.share_name.as_deref().map(Box::from);
        let tag = Tag { qos, retain, share_name, identifiers };
        let session = journal_key(&cell.client_id, &incarnation);
        Some(Waiting {
            waits: Waits::Session(route.target.clone(), session.clone(), offer.parcel.weight()),
            recipient: Recipient { session, tag: tag.encode(Recipient::MAX_TAG_BYTES) },
        })
    }

    /// AWS drops what may not be received; a switch closes the connection instead (receive-denied-closes).
    pub(super) fn close_if_denied(&self, cell: &Arc<Cell>, report: &Report, now: Timestamp) {
        let Some(standing) = &report.standing else { return };
        if matches!(report.fate, Fate::Denied(_)) && self.dialect.has(Divergence::ReceiveDeniedCloses) {
            let detail = format!("iot:Receive on topic/{} is not allowed", report.parcel.message.topic);
            let client = Client { version: Some(report.version), ..standing_of(standing) };
            self.report_shown(Fault::ReceiveDenied, client, "PUBLISH", &detail, now);
            let same = |live: &Live| Arc::ptr_eq(&live.standing, standing);
            self.oust(cell, same, Fault::ReceiveDenied, &detail, now);
        }
    }

    /// Inside the cell. `None` if the session is not there any more.
    pub fn offer(&self, seat: &mut Seat, session: u64, offer: &Offer, now: Timestamp) -> Option<Offered> {
        let kept = seat.kept.as_mut().filter(|kept| kept.id == session)?;
        let Some(live) = &mut seat.live else {
            let queues = offer.qos != QoS::AtMostOnce && kept.session.expiry > 0;
            let delivered = match queues && !self.throttles.queue(now) {
                true => Delivered::Dropped(Dropped::QueueRate),
                false => kept.session.deliver(None, offer, now),
            };
            return Some(Offered::new(kept, delivered));
        };
        // Who may still be refused gets no CONNACK, and no message.
        if !seat.accepted && offer.qos == QoS::AtMostOnce {
            return Some(Offered::new(kept, Delivered::Dropped(Dropped::Offline)));
        }
        let Some(permit) = permit_of(live.glance.view(), offer, now) else {
            let fate = Fate::Denied(offer.share_name.clone());
            return Some(Offered { fate, waker: None, enqueue: None });
        };
        let delivered = hand_over(permit, kept, live, offer, now);
        let mut offered = Offered::new(kept, delivered);
        let wake = match delivered {
            Delivered::Sent => true,
            // The driver has to learn until when a message is held back.
            Delivered::Queued => {
                let due = kept.session.next_paced(&live.talk);
                due > now && due != Timestamp::NEVER
            }
            Delivered::Enqueue | Delivered::Dropped(_) => false,
        };
        offered.waker = wake.then(|| live.waker.take()).flatten();
        Some(offered)
    }

    /// Sends what waits, as far as the window and the outbox have room. Each message is asked for its permit now:
    /// what may not be received any more is dropped.
    pub fn pump(
        &self,
        session: &mut Session,
        talk: &mut Conversation,
        standing: &Arc<Standing>,
        now: Timestamp,
    ) -> Vec<Report> {
        let mut door = Door { standing, version: session.version(), now, reports: Vec::new() };
        session.resend_parked(talk, &self.dialect, &mut door, now);
        let mut reports = door.reports;
        while let Some(offer) = session.next_ready(talk, now) {
            let fate = match permit(standing, &offer, now) {
                Some(_permit) => session.send_next(talk, offer.clone(), now).into(),
                None => {
                    session.give_up(&offer);
                    Fate::Denied(offer.share_name.clone())
                }
            };
            reports.push(Report::new(&offer, session.version(), Some(standing), fate));
        }
        reports
    }

    /// On a new connection: what was not acknowledged goes out again, then what waits.
    pub fn resume(
        &self,
        session: &mut Session,
        talk: &mut Conversation,
        standing: &Arc<Standing>,
        now: Timestamp,
    ) -> Vec<Report> {
        let mut door = Door { standing, version: session.version(), now, reports: Vec::new() };
        session.resend_all(talk, &self.dialect, &mut door, now);
        let mut reports = door.reports;
        reports.extend(self.pump(session, talk, standing, now));
        reports
    }

    /// On the same connection: what the client owes an acknowledgement for too long.
    pub fn retry(
        &self,
        session: &mut Session,
        talk: &mut Conversation,
        standing: &Arc<Standing>,
        now: Timestamp,
    ) -> Vec<Report> {
        let mut door = Door { standing, version: session.version(), now, reports: Vec::new() };
        session.retry(talk, &self.dialect, &mut door, now);
        let mut reports = door.reports;
        reports.extend(self.pump(session, talk, standing, now));
        reports
    }
}

/// The only way of a message into a live client's outbox: it takes the permit.
fn hand_over(
    _permit: Permit<policy::Receive>,
    kept: &mut Kept,
    live: &mut Live,
    offer: &Offer,
    now: Timestamp,
) -> Delivered {
    kept.session.deliver(Some(&mut live.talk), offer, now)
}

/// The same for a message of a group's queue. `None`: there is no room for it now.
pub(super) fn hand_over_share(
    _permit: Permit<policy::Receive>,
    kept: &mut Kept,
    live: &mut Live,
    offer: Offer,
    now: Timestamp,
) -> Option<Delivered> {
    kept.session.take_share(&mut live.talk, offer, now).ok()
}

/// Asks for the permit of each message that goes out again, and notes what became of it.
struct Door<'a> {
    standing: &'a Arc<Standing>,
    version: Version,
    now: Timestamp,
    reports: Vec<Report>,
}

impl Door<'_> {
    fn note(&mut self, offer: &Offer, fate: Fate) {
        self.reports.push(Report::new(offer, self.version, Some(self.standing), fate));
    }
}

impl Gate for Door<'_> {
    fn allows(&mut self, offer: &Offer) -> bool {
        let allowed = permit(self.standing, offer, self.now).is_some();
        if !allowed {
            self.note(offer, Fate::Denied(offer.share_name.clone()));
        }
        allowed
    }

    fn dropped(&mut self, offer: &Offer, why: Dropped) {
        self.note(offer, Fate::Dropped(why));
    }

    fn sent_again(&mut self, offer: &Offer, attempt: u32) {
        self.note(offer, Fate::SentAgain(attempt));
    }
}

impl From<Delivered> for Fate {
    fn from(delivered: Delivered) -> Self {
        match delivered {
            Delivered::Sent => Self::Sent,
            Delivered::Queued | Delivered::Enqueue => Self::Queued,
            Delivered::Dropped(why) => Self::Dropped(why),
        }
    }
}
