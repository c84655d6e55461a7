//! From a permitted message to its subscribers.

use std::sync::Arc;

use dialect::Divergence;
use events::Origin;
use hashbrown::HashSet;
use identity::Timestamp;
use mqtt::Message;
use router::{Matches, Route};
use session::Parcel;
use session::group::Lane;
use session::mutation::{self, Mutation};
use session::stored;
use smallvec::SmallVec;
use store::{Append, Key, Recipient};

use super::share::{Seen, choose};
use super::{Permits, Sender, Volley, Wakes};
use crate::broker::Inner;
use crate::cell::Subscriber;
use crate::durable::{Job, Then};
use crate::groups::Group;

impl Inner {
    /// Retains, routes and delivers one message by itself. The permits are the proof that the policies allow it. What comes
    /// back has to be made durable before the publisher hears that the message was taken.
    pub fn distribute(
        &self,
        permits: Permits,
        parcel: Arc<Parcel>,
        sender: Sender<'_>,
        now: Timestamp,
    ) -> Outcome {
        let (mut outcome, mut volley) = (Outcome::default(), Volley::default());
        self.join(permits, parcel, (sender, &mut volley, false), &mut outcome, now);
        self.fire(sender, &mut volley, &mut outcome, now);
        outcome
    }

    /// Retains and routes a message, and lets it join those that go to the same clients. It is delivered with them when
    /// the volley is fired, which the caller must do before anything else that the publisher's packets bring about. `known`
    /// says that the volley has its topic's outcome already.
    pub fn join(
        &self,
        permits: Permits,
        parcel: Arc<Parcel>,
        (sender, volley, known): (Sender<'_>, &mut Volley, bool),
        outcome: &mut Outcome,
        now: Timestamp,
    ) {
        let Permits { publish: proof, retain } = permits;
        if parcel.message.topic.is_reserved() && self.is_swallowed(&parcel.message, sender, now) {
            return;
        }
        if let Some(permit) = retain {
            self.retain(permit, &parcel, outcome, now);
        }
        let topic = parcel.message.topic.as_str();
        if known && self.quirks.is_off() {
            self.report_missed(volley.matches(), topic, now);
            parcel.note_topic(volley.matches().topic_key());
            return self.line_up(proof, parcel, (sender, volley), outcome, now);
        }
        let random = self.random();
        let mut seen = SmallVec::<[Seen; 2]>::new();
        let mut pick = |members: &[Route<Subscriber>]| {
            let (chosen, what) = choose(members, random);
            seen.extend(chosen.map(|_| what));
            chosen
        };
        let next = volley.ahead();
        next.sender = sender.session;
        self.routes.matches(topic, &mut pick, next);
        self.report_missed(next, topic, now);
        parcel.note_topic(next.topic_key());
        if !volley.goes_the_same_way() {
            self.fire(sender, volley, outcome, now);
            volley.turn();
        }
        if volley.matches().shared.is_empty() && self.quirks.is_off() {
            self.line_up(proof, parcel, (sender, volley), outcome, now);
        } else {
            self.send_alone(&parcel, (sender, volley.matches()), &seen, outcome, now);
        }
    }

    /// Some of those who get it are chosen for each message, or each delivery may be disturbed on demand.
    fn send_alone(
        &self,
        parcel: &Arc<Parcel>,
        (sender, matches): (Sender<'_>, &Matches<Subscriber>),
        seen: &[Seen],
        outcome: &mut Outcome,
        now: Timestamp,
    ) {
        let mut waiting = Vec::new();
        for route in &matches.direct {
            waiting.extend(self.deliver(route, None, parcel, (sender, &mut outcome.wakes), now));
        }
        for (shared, seen) in matches.shared.iter().zip(seen) {
            waiting.extend(self.share(shared, *seen, parcel, (sender, &mut outcome.wakes), now));
            if mutation::is(Mutation::DeliversTwiceInGroup) {
                waiting.extend(self.share(shared, *seen, parcel, (sender, &mut outcome.wakes), now));
            }
        }
        outcome.enqueue(&parcel.message, waiting, true);
    }
}

impl Inner {
    /// Who would have got the message if `#` matched its parent, and gets it through no other filter.
    fn report_missed(&self, matches: &Matches<Subscriber>, topic: &str, now: Timestamp) {
        let gets_it = |session| matches.direct.iter().any(|route| route.target.session == session);
        for route in matches.missed.iter().filter(|route| !gets_it(route.target.session)) {
            let detail = &format_args!("did not get {topic} through {topic}/#");
            let client_id = route.target.cell.client_id.as_str();
            self.diverges_for(Divergence::HashExcludesParent, client_id, "PUBLISH", detail, now);
        }
    }
}

/// Who waits for a message in the journal.
pub(crate) enum Waits {
    /// A session, by its journal; and how much the message weighs in its queue.
    Session(Subscriber, Key, usize),
    /// A group of a shared subscription.
    Group(Arc<Group>, Lane),
}

/// One copy of a message on its way into the journal.
pub(crate) struct Waiting {
    pub waits: Waits,
    pub recipient: Recipient,
}

/// What has to be on disk before a message counts as taken.
#[derive(Default)]
pub(crate) struct Outcome {
    pub appends: Vec<(Append, Vec<Waits>)>,
    /// Topics of which the retained message has changed, and how much it is.
    pub retained: Vec<(Box<str>, usize)>,
    /// Who is to write what it got: woken when this is dropped or made a job.
    pub wakes: Wakes,
}

impl Outcome {
    /// Nothing has to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.retained.is_empty()
    }

    /// The message goes once into the journal, for all who wait for it. If somebody may wait for more than one copy, the
    /// others come with the appends behind: one append reaches a queue once.
    pub(crate) fn enqueue(&mut self, message: &Message, mut waiting: Vec<Waiting>, may_repeat: bool) {
        while !waiting.is_empty() {
            let mut rest = waiting.split_off(waiting.len().min(Append::MAX_RECORDS / 4));
            if may_repeat && waiting.len() > 1 {
                let mut named = HashSet::with_capacity(waiting.len());
                let again = |one: &mut Waiting| !named.insert(one.recipient.session.clone());
                rest.extend(waiting.extract_if(.., again));
            }
            let (who, to) = waiting.into_iter().map(|one| (one.waits, one.recipient)).unzip();
            self.appends.push((Append { body: stored::encode(message), to }, who));
            waiting = rest;
        }
    }

    /// As a job.
    pub(crate) fn job(self, then: Then) -> Job {
        Job { appends: self.appends, retained: self.retained, ..Job::new(then) }
    }
}

impl Inner {
    /// Reserved topics are for services. None is built yet: the event says so, lest somebody waits for an answer.
    /// Basic Ingest goes to its rule and to nobody else; the other topics also reach those who subscribed to them.
    fn is_swallowed(&self, message: &Message, sender: Sender<'_>, now: Timestamp) -> bool {
        if !self.dialect.has(Divergence::DollarTopicsClosed) || sender.origin == Origin::Service {
            return false;
        }
        let topic = message.topic.as_str();
        if let Some((rule, _rest)) = dialect::basic_ingest(topic) {
            self.report_unserved(
                sender.origin,
                topic,
                &format_args!("rule {rule} does not exist (RuleNotFound)"),
                now,
            );
            return true;
        }
        self.report_unserved(sender.origin, topic, &"the service behind it is not built yet", now);
        false
    }
}
