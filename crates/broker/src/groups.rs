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
use router::Route;
use session::group::{Due, GroupPlace, Lane, Queue, from_random};
use session::mutation::{self, Mutation};
use session::stored;
use session::{Dropped, Offer, PAGE, Parcel};
use smallvec::SmallVec;
use store::{Journal, Key, Position, Record, StoreError};

use crate::Clock;
use crate::broker::Inner;
use crate::cell::{Cell, Subscriber};
use crate::publish::{Fate, Report};

/// How long a group in which something waits is left alone while a member is there.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a group without anybody there is looked through for what has expired.
const SWEEP: Duration = Duration::from_secs(60);
/// What the names of all rows begin with.
const ROWS: &str = "$group";
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
        row(self.name(), lane)
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

/// The journal of a row.
fn row(name: &str, lane: Lane) -> Key {
    let lane = match lane {
        Lane::Live => "live",
        Lane::Queued => "queued",
    };
    Key::of(&[ROWS, name, lane])
}

/// All groups with a queue, by the whole filter.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    known: Mutex<Known>,
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Known {
    groups: BTreeMap<Box<str>, Arc<Group>>,
    /// Up to where the rows of groups that are over are being trimmed: a new group of that name begins there.
    leaving: BTreeMap<Key, u64>,
}

impl Known {
    /// Where a new group begins.
    fn queue(&self, name: &str) -> Queue {
        if self.leaving.is_empty() {
            return Queue::default();
        }
        let [live, queued] =
            LANES.map(|lane| self.leaving.get(&row(name, lane)).copied().unwrap_or_default());
        Queue::after(live, queued)
    }
}

impl Groups {
    /// True if a journal is a row of a group. Names of sessions' journals have two parts.
    pub(crate) fn is_row(key: &Key) -> bool {
        matches!(&key.parts()[..], [first, _, _] if first == ROWS)
    }

    /// True if the journal is a row of a group that is there.
    pub(crate) fn has_row(&self, key: &Key) -> bool {
        key.parts().get(1).is_some_and(|name| self.find(name).is_some())
    }

    /// A journal holds nothing up to `upto` any more.
    pub(crate) fn is_trimmed(&self, key: &Key, upto: u64) {
        let mut known = self.known.lock();
        if known.leaving.get(key).is_some_and(|last| *last <= upto) {
            known.leaving.remove(key);
        }
    }

    /// How many there are, and rows of those that are over.
    pub(crate) fn size(&self) -> usize {
        let known = self.known.lock();
        known.groups.len() + known.leaving.len()
    }

    fn find(&self, name: &str) -> Option<Arc<Group>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.known.lock().groups.get(name).cloned()
    }

    /// The group, made if there is none. A new one knows nothing of its journal.
    pub(crate) fn claim(&self, name: &str) -> Option<Arc<Group>> {
        let mut known = self.known.lock();
        if let Some(group) = known.groups.get(name) {
            return Some(group.clone());
        }
        let filter = TopicFilter::try_from(Text::try_from(name).ok()?).ok()?;
        let group = Arc::new(Group {
            share_name: filter.share_name()?.into(),
            filter,
            queue: Mutex::new(known.queue(name)),
            wanted: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            next_at: AtomicU64::new(0),
        });
        known.groups.insert(name.into(), group.clone());
        self.count.store(known.groups.len(), Ordering::Relaxed);
        Some(group)
    }

    /// Takes a group out, and says up to where its rows are to be trimmed.
    fn retire(&self, group: &Arc<Group>) -> Vec<(Key, u64)> {
        let mut known = self.known.lock();
        group.retired.store(true, Ordering::Release);
        if known.groups.get(group.name()).is_some_and(|known| Arc::ptr_eq(known, group)) {
            known.groups.remove(group.name());
        }
        self.count.store(known.groups.len(), Ordering::Relaxed);
        let rows = LANES.map(|lane| (group.key(lane), group.queue(|queue| queue.last(lane))));
        let rows: Vec<_> = rows.into_iter().filter(|(_, last)| *last > 0).collect();
        known.leaving.extend(rows.iter().cloned());
        rows
    }

    fn all(&self) -> Vec<Arc<Group>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        self.known.lock().groups.values().cloned().collect()
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
        if let Some(group) = self.heir(group) {
            group.queue(|queue| queue.arrived(lane, number));
            self.loader.want_group(group);
        }
    }

    /// A write into the journal of a group failed.
    pub fn missed_for(&self, group: &Arc<Group>, lane: Lane) {
        if let Some(group) = self.heir(group) {
            group.queue(|queue| queue.doubt(lane));
            self.loader.want_group(group);
        }
    }

    /// If a group lost its last member while a write was under way, whoever has its name now takes over.
    fn heir(&self, group: &Arc<Group>) -> Option<Arc<Group>> {
        let retired = group.retired.load(Ordering::Acquire);
        if retired { self.groups.claim(group.name()) } else { Some(group.clone()) }
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
    pub async fn serve_group(&self, group: &Arc<Group>, journal: &dyn Journal, clock: Clock<'_>) {
        group.wanted.store(false, Ordering::Release);
        if group.retired.load(Ordering::Acquire) {
            return;
        }
        let more = match self.read_on(group, journal).await {
            Ok(()) => match self.hand_out(group, clock()) {
                Some(more) => Ok(more),
                None => self.forget_group(group, journal).await,
            },
            Err(error) => Err(error),
        };
        match more {
            Ok(true) => self.loader.want_group(group.clone()),
            Ok(false) => {}
            Err(error) => {
                let what = format!("reading the queue of group {}", group.name());
                group.look_again(clock() + Duration::from_secs(1));
                self.store_failed(&what, &error, clock());
            }
        }
    }

    async fn read_on(&self, group: &Arc<Group>, journal: &dyn Journal) -> Result<(), StoreError> {
        for lane in LANES {
            let Some(reading) = group.queue(|queue| queue.next_read(lane)) else { continue };
            let records = journal.read(&group.key(lane), Position(reading.after), PAGE).await?;
            let page = records.into_iter().map(|record| offer(record, group, lane)).collect();
            group.queue(|queue| queue.take_page(lane, reading, page));
        }
        Ok(())
    }

    /// True if there is more to read at once; `None` if the group has no member.
    fn hand_out(&self, group: &Arc<Group>, now: Timestamp) -> Option<bool> {
        let mut members = self.routes.group(&group.filter);
        if members.is_empty() {
            return None;
        }
        members.retain(|member| member.target.from <= now);
        let expired = self.drop_expired(group, &members, now);
        if !members.iter().any(|member| member.target.cell.is_online()) {
            let again = expired && group.queue(|queue| queue.in_memory() == 0 && queue.has_work());
            group.queue(Queue::unload);
            self.trim_group(group);
            group.look_again(now + SWEEP);
            return Some(again);
        }
        self.hand_out_live(group, &members, now);
        self.hand_out_queued(group, &members, now);
        self.trim_group(group);
        let (more, works) = group.queue(|queue| {
            queue.keep_members(|id| members.iter().any(|member| member.target.session == id));
            (LANES.iter().any(|lane| queue.next_read(*lane).is_some()), queue.has_work())
        });
        group.look_again(if works { now + PAUSE } else { Timestamp::NEVER });
        Some(more)
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
        self.report(&member.target.cell.client_id, &Report::of_message(&offer.parcel, fate), now);
    }

    fn trim_group(&self, group: &Group) {
        for lane in LANES {
            if let Some(upto) = group.queue(|queue| queue.trim(lane)) {
                self.committer.trim(group.key(lane), upto);
            }
        }
    }

    /// The last member left: what waits, to the end of the rows, has nobody to wait for. True if somebody came meanwhile.
    async fn forget_group(&self, group: &Arc<Group>, journal: &dyn Journal) -> Result<bool, StoreError> {
        for lane in LANES {
            let mut last = group.queue(|queue| queue.last(lane));
            while let Some(record) = journal.read(&group.key(lane), Position(last), PAGE).await?.last() {
                last = record.position.0;
            }
            group.queue(|queue| queue.arrived(lane, last));
        }
        if !self.routes.group(&group.filter).is_empty() {
            return Ok(true);
        }
        for (row, last) in self.groups.retire(group) {
            self.committer.trim(row, last);
        }
        self.committer.nudge();
        Ok(false)
    }
}
