//! Groups of shared subscriptions that queue (shared-group-queue): which there are, and handing out what waits.
//!
//! A message of QoS 1 for a group with a persistent member is journaled for the group, not for a member, and stays
//! there until somebody has acknowledged it. The loader's loop serves groups one after the other: reads pages, hands
//! messages to members, forgets what is settled. The decisions are [`session::group::Queue`]'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dialect::Divergence;
use identity::Timestamp;
use mqtt::{Text, TopicFilter};
use parking_lot::Mutex;
use records::ABANDONED;
use router::Route;
use session::group::{Due, GroupPlace, Lane, Queue, from_random};
use session::mutation::{self, Mutation};
use session::stored;
use session::{Dropped, Offer, PAGE, Parcel};
use smallvec::SmallVec;
use store::{Batch, Journal, Key, Position, Record};

use crate::broker::Inner;
use crate::cell::{Cell, Subscriber};
use crate::publish::{Fate, Report};

/// How long a group in which something waits is left alone while a member is there.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a group without anybody there is looked through for what has expired.
const SWEEP: Duration = Duration::from_secs(60);
/// The rows of each group.
const LANES: [Lane; 2] = [Lane::Live, Lane::Queued];

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    filter: TopicFilter,
    share_name: Arc<str>,
    queue: Mutex<Queue>,
    /// It stands in the loader's queue.
    wanted: AtomicBool,
    /// The store knows of its rows: see [`ABANDONED`].
    noted: [AtomicBool; 2],
    /// It has lost its last member and left the index.
    retired: AtomicBool,
    /// When to look at it again, in milliseconds since the epoch.
    next_at: AtomicU64,
}

impl Group {
    /// The whole filter: its name.
    pub(crate) fn name(&self) -> &str {
        self.filter.as_str()
    }

    /// The journal of one of its rows.
    pub(crate) fn key(&self, lane: Lane) -> Key {
        let row = match lane {
            Lane::Live => "live",
            Lane::Queued => "queued",
        };
        Key::of(&["$group", self.name(), row])
    }

    fn is_noted(&self, lane: Lane) -> &AtomicBool {
        let [live, queued] = &self.noted;
        if lane == Lane::Live { live } else { queued }
    }

    /// Has the store know of a row, together with the first message in it: if the process dies after the last member has
    /// left, somebody still finds what waits there.
    pub(crate) fn note(&self, lane: Lane, batch: &mut Batch) {
        if !self.is_noted(lane).swap(true, Ordering::AcqRel) && !mutation::is(Mutation::ForgetsGroupRows) {
            ABANDONED.put(batch, &self.key(lane), &true);
        }
    }

    /// A look at the queue. The lock is a leaf.
    pub(crate) fn queue<R>(&self, visit: impl FnOnce(&mut Queue) -> R) -> R {
        visit(&mut self.queue.lock())
    }

    /// True if it is to be put into the loader's queue now.
    pub(crate) fn want(&self) -> bool {
        !self.wanted.swap(true, Ordering::AcqRel)
    }

    fn look_again(&self, when: Timestamp) {
        self.next_at.store(when.millis(), Ordering::Relaxed);
    }
}

/// All groups with a queue, by the whole filter.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    known: Mutex<BTreeMap<Box<str>, Arc<Group>>>,
    count: AtomicUsize,
    /// A note may not have been written, and what it names may have been.
    doubted: AtomicBool,
}

impl Groups {
    /// A write failed: nobody knows whether the store knows of the groups.
    pub(crate) fn doubt(&self) {
        for group in self.all() {
            LANES.iter().for_each(|lane| group.is_noted(*lane).store(false, Ordering::Release));
        }
        self.doubted.store(true, Ordering::Release);
    }

    /// What [`Self::doubt`] left open is written once more: nobody may publish to the group again.
    pub(crate) fn note_again(&self) -> Option<Batch> {
        if !self.doubted.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut batch = Batch::new();
        for group in self.all() {
            let used = LANES.into_iter().filter(|lane| group.queue(|queue| queue.last(*lane)) > 0);
            used.for_each(|lane| group.note(lane, &mut batch));
        }
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// True if a journal is a row of a group.
    pub(crate) fn is_row(key: &Key) -> bool {
        matches!(&key.parts()[..], [first, _, _] if first == "$group")
    }

    /// True if the journal is a row of a group that is there.
    pub(crate) fn has_row(&self, key: &Key) -> bool {
        Self::is_row(key) && key.parts().get(1).is_some_and(|name| self.find(name).is_some())
    }

    fn find(&self, name: &str) -> Option<Arc<Group>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.known.lock().get(name).cloned()
    }

    /// The group, made if there is none. A new one knows nothing of its journal.
    pub(crate) fn claim(&self, name: &str) -> Option<Arc<Group>> {
        let mut known = self.known.lock();
        if let Some(group) = known.get(name) {
            return Some(group.clone());
        }
        let filter = TopicFilter::try_from(Text::try_from(name).ok()?).ok()?;
        let group = Arc::new(Group {
            share_name: filter.share_name()?.into(),
            filter,
            queue: Mutex::default(),
            wanted: AtomicBool::new(false),
            noted: [const { AtomicBool::new(false) }; 2],
            retired: AtomicBool::new(false),
            next_at: AtomicU64::new(0),
        });
        known.insert(name.into(), group.clone());
        self.count.store(known.len(), Ordering::Relaxed);
        Some(group)
    }

    fn retire(&self, group: &Arc<Group>) {
        let mut known = self.known.lock();
        group.retired.store(true, Ordering::Release);
        if known.get(group.name()).is_some_and(|known| Arc::ptr_eq(known, group)) {
            known.remove(group.name());
        }
        self.count.store(known.len(), Ordering::Relaxed);
    }

    fn all(&self) -> Vec<Arc<Group>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        self.known.lock().values().cloned().collect()
    }
}

/// What is particular to a group's copy of a message: the RETAIN flag of the publish, and until when it is kept.
pub(crate) fn tag(retain: bool, until: Timestamp) -> Bytes {
    let mut out = BytesMut::with_capacity(9);
    out.put_u8(u8::from(retain));
    out.put_u64(until.millis());
    out.freeze()
}

fn offer(record: Record, group: &Group, lane: Lane) -> (u64, Option<Offer>) {
    let number = record.position.0;
    let mut tag = record.tag;
    let message = stored::decode(&record.body).filter(|_| tag.len() == 9);
    let offer = message.map(|message| {
        let retain = tag.get_u8() == 1;
        let until = Timestamp(tag.get_u64());
        let place = GroupPlace { group: group.name().into(), lane, number, until };
        Offer {
            qos: message.qos,
            parcel: Arc::new(Parcel::new(message)),
            retain,
            share_name: Some(group.share_name.clone()),
            place: None,
            identifiers: SmallVec::new(),
            group: Some(Arc::new(place)),
        }
    });
    (number, offer)
}

impl Inner {
    /// True if groups have queues. Without a journal there are none, as sessions then keep in memory what waits.
    pub fn groups_queue(&self) -> bool {
        self.journal.is_some() && self.dialect.has(Divergence::SharedGroupQueue)
    }

    /// Has a group served soon, if there is one with this name.
    pub fn kick_group(&self, name: &str) {
        if let Some(group) = self.groups.find(name) {
            self.loader.want_group(group);
        }
    }

    /// A member came: its groups may have something for it.
    pub fn kick_groups_of(&self, cell: &Arc<Cell>) {
        if self.groups.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let names: Vec<Text> = cell.enter(|seat| {
            let filters = seat.kept.iter().flat_map(|kept| kept.session.subscriptions());
            let shared = filters.filter(|known| known.filter.share_name().is_some());
            shared.map(|known| known.filter.as_text().clone()).collect()
        });
        names.iter().for_each(|name| self.kick_group(name));
    }

    /// What a member that went left unacknowledged goes back to its groups.
    pub fn come_back(&self, offers: Vec<Offer>) {
        for offer in offers {
            if mutation::is(Mutation::ForgetsReturned) {
                continue;
            }
            let Some(group) = offer.group.as_ref().and_then(|place| self.groups.find(&place.group)) else {
                continue;
            };
            group.queue(|queue| queue.come_back(offer));
            self.loader.want_group(group);
        }
    }

    /// Messages of groups that a member is done with.
    pub fn settle_shares(&self, places: &[Arc<GroupPlace>]) {
        for place in places {
            if let Some(group) = self.groups.find(&place.group) {
                group.queue(|queue| queue.settle(place));
                self.loader.want_group(group);
            }
        }
    }

    /// The journal has records for a group up to `number`.
    pub fn arrived_for(&self, group: &Arc<Group>, lane: Lane, number: u64) {
        let retired = group.retired.load(Ordering::Acquire);
        // It lost its last member while the write was under way: whoever has its name now takes over.
        let heir = if retired { self.groups.claim(group.name()) } else { Some(group.clone()) };
        if let Some(group) = heir {
            group.queue(|queue| queue.arrived(lane, number));
            self.loader.want_group(group);
        }
    }

    /// Has the groups served that are due. When the next one is.
    pub fn tick_groups(&self, now: Timestamp) -> Timestamp {
        let mut next = Timestamp::NEVER;
        for group in self.groups.all() {
            let due = Timestamp(group.next_at.load(Ordering::Relaxed));
            if due <= now {
                group.look_again(now + PAUSE);
                self.loader.want_group(group);
                next = next.min(now + PAUSE);
            } else {
                next = next.min(due);
            }
        }
        next
    }

    /// Reads what is missing in memory, hands out what can be handed out.
    pub async fn serve_group(
        &self,
        group: &Arc<Group>,
        journal: &dyn Journal,
        clock: &(dyn Fn() -> Timestamp + Send + Sync),
    ) {
        group.wanted.store(false, Ordering::Release);
        if group.retired.load(Ordering::Acquire) {
            return;
        }
        for lane in LANES {
            let Some(reading) = group.queue(|queue| queue.next_read(lane)) else { continue };
            match journal.read(&group.key(lane), Position(reading.after), PAGE).await {
                Ok(records) => {
                    let page = records.into_iter().map(|record| offer(record, group, lane)).collect();
                    group.queue(|queue| queue.take_page(lane, reading, page));
                }
                Err(error) => {
                    let what = format!("reading the queue of group {}", group.name());
                    group.look_again(clock() + Duration::from_secs(1));
                    return self.store_failed(&what, &error, clock());
                }
            }
        }
        if self.hand_out(group, clock()) {
            self.loader.want_group(group.clone());
        }
    }

    /// True if there is more to read at once.
    fn hand_out(&self, group: &Arc<Group>, now: Timestamp) -> bool {
        let mut members = self.routes.group(&group.filter);
        if members.is_empty() {
            self.forget_group(group);
            return false;
        }
        members.retain(|member| member.target.from <= now);
        let expired = self.drop_expired(group, &members, now);
        if !members.iter().any(|member| member.target.cell.is_online()) {
            let again = expired && group.queue(|queue| queue.in_memory() == 0 && queue.has_work());
            group.queue(Queue::unload);
            self.trim_group(group);
            group.look_again(now + SWEEP);
            return again;
        }
        self.hand_out_live(group, &members, now);
        self.hand_out_queued(group, &members, now);
        self.trim_group(group);
        let (more, works) = group.queue(|queue| {
            queue.keep_members(|id| members.iter().any(|member| member.target.session == id));
            (LANES.iter().any(|lane| queue.next_read(*lane).is_some()), queue.has_work())
        });
        group.look_again(if works { now + PAUSE } else { Timestamp::NEVER });
        more
    }

    fn hand_out_live(&self, group: &Arc<Group>, members: &[Route<Subscriber>], now: Timestamp) {
        let online: Vec<_> = members.iter().filter(|member| member.target.cell.is_online()).collect();
        while let Some(due) = group.queue(Queue::next_live) {
            if self.place(group, &online, due, now).is_none() {
                return;
            }
        }
    }

    fn hand_out_queued(&self, group: &Arc<Group>, members: &[Route<Subscriber>], now: Timestamp) {
        let rate = self.dialect.limits().shared_drain_rate;
        loop {
            let able = |member: &&Route<Subscriber>| {
                member.target.cell.is_ready()
                    && group.queue(|queue| queue.drains_at(member.target.session)) <= now
            };
            let able: Vec<_> = members.iter().filter(able).collect();
            if able.is_empty() {
                return;
            }
            let Some(due) = group.queue(Queue::next_queued) else { return };
            let Some(member) = self.place(group, &able, due, now) else { return };
            group.queue(|queue| queue.drained(member, rate, now));
        }
    }

    /// Gives a message to one of the members, at random; its session. `None`: nobody can take it now.
    fn place(&self, group: &Group, members: &[&Route<Subscriber>], due: Due, now: Timestamp) -> Option<u64> {
        let place = due.offer.group.clone()?;
        for member in from_random(members, self.random()) {
            let Some(is_on_its_way) = self.hand_share(member, &due.offer, now) else { continue };
            if !is_on_its_way {
                group.queue(|queue| queue.settle(&place));
            }
            return Some(member.target.session);
        }
        group.queue(|queue| queue.give_back(due));
        None
    }

    /// True if there was anything.
    fn drop_expired(&self, group: &Group, members: &[Route<Subscriber>], now: Timestamp) -> bool {
        let expired = group.queue(|queue| queue.expire(now));
        for offer in &expired {
            self.report_share(members.first(), offer, Fate::Dropped(Dropped::Expired), now);
        }
        !expired.is_empty()
    }

    /// Tells of a message that no member got, in the name of one of them.
    pub fn report_share(
        &self,
        member: Option<&Route<Subscriber>>,
        offer: &Offer,
        fate: Fate,
        now: Timestamp,
    ) {
        let Some(member) = member else { return };
        self.report(&member.target.cell.client_id, &Report::of_group(&offer.parcel, fate), now);
    }

    fn trim_group(&self, group: &Group) {
        for lane in LANES {
            if let Some(upto) = group.queue(|queue| queue.trim(lane)) {
                self.committer.trim(group.key(lane), upto);
            }
        }
    }

    /// The last member left: what waits has nobody to wait for.
    fn forget_group(&self, group: &Arc<Group>) {
        self.groups.retire(group);
        for lane in LANES {
            let last = group.queue(|queue| queue.last(lane));
            if last > 0 {
                self.committer.trim(group.key(lane), last);
            }
        }
        self.committer.nudge();
    }
}
