//! Token buckets: a second's worth at once, then as many as the rate gives back.
//!
//! A bucket is one number: the moment at which it is full again. Taking from it moves that moment, and no timer fills
//! it. Rates come as arguments, so a bucket has nothing to configure and a new one is full.

mod account;
mod throughput;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dialect::{Divergence, Fault, Limits, QuotaId, Rate};
use identity::Timestamp;

use crate::Violation;
use crate::mutation::{self, Mutation};

pub use account::{Throttles, publish_fault, retain_fault};
pub use throughput::Throughput;

/// What a full bucket holds, as the time that filling it takes.
const CAPACITY: u64 = NANOS_IN_MILLI * 1000;
const NANOS_IN_MILLI: u64 = 1_000_000;

/// A bucket behind somebody's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Nanoseconds since the epoch.
    full_at: u64,
}

impl Bucket {
    /// Takes `count` if there are as many; else takes nothing and says no.
    #[inline]
    pub fn take(&mut self, rate: Rate, count: u32, now: Timestamp) -> bool {
        let Some(limit) = rate.limit() else { return true };
        match taken(self.full_at, limit, count, now) {
            Some(full_at) => {
                self.full_at = full_at;
                true
            }
            None => false,
        }
    }

    /// Takes `count` in any case: the bucket may owe. Ask [`Bucket::solvent_at`] when it does not any more.
    #[inline]
    pub fn spend(&mut self, rate: Rate, count: u32, now: Timestamp) {
        if let Some(limit) = rate.limit() {
            self.full_at = self.full_at.max(nanos(now)).saturating_add(cost(limit, count));
        }
    }

    /// When the bucket owes nothing: a moment that is not later than now if it does not owe.
    #[inline]
    pub fn solvent_at(&self) -> Timestamp {
        millis(self.full_at.saturating_sub(CAPACITY))
    }

    /// When [`Bucket::take`] of one will succeed, if nobody takes before: never if the rate is 0.
    pub fn ready_at(&self, rate: Rate) -> Timestamp {
        match rate.limit() {
            None => Timestamp(0),
            Some(0) => Timestamp::NEVER,
            Some(limit) => millis(self.full_at.saturating_add(cost(limit, 1)).saturating_sub(CAPACITY)),
        }
    }
}

/// A bucket that many share without a lock.
#[derive(Debug, Default)]
pub struct SharedBucket {
    full_at: AtomicU64,
}

impl SharedBucket {
    /// As [`Bucket::take`].
    #[inline]
    pub fn take(&self, rate: Rate, count: u32, now: Timestamp) -> bool {
        let Some(limit) = rate.limit() else { return true };
        // Nothing else is published by it: what two threads see of each other's takes is all that counts.
        let outcome = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| taken(full_at, limit, count, now));
        outcome.is_ok()
    }

    /// As [`Bucket::ready_at`].
    pub fn ready_at(&self, rate: Rate) -> Timestamp {
        Bucket { full_at: self.full_at.load(Ordering::Relaxed) }.ready_at(rate)
    }
}

/// A rate and its bucket for the whole account.
#[derive(Debug)]
pub struct AccountPace {
    rate: Rate,
    bucket: SharedBucket,
}

impl AccountPace {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        Self { rate, bucket: SharedBucket::default() }
    }

    /// Takes one, if there is one.
    #[inline]
    pub fn take(&self, now: Timestamp) -> bool {
        self.bucket.take(self.rate, 1, now) || mutation::is(Mutation::IgnoresAccountRates)
    }

    /// When there will be one, if nobody takes before.
    #[inline]
    pub fn ready_at(&self) -> Timestamp {
        if self.rate.limit().is_none() { Timestamp(0) } else { self.bucket.ready_at(self.rate) }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }
}

/// Whose rate was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// The connection's own.
    Connection,
    /// That of the account.
    Account,
}

/// How fast one connection may go in one direction: its own rate, and the account's that it shares.
#[derive(Debug)]
pub struct Pace {
    rate: Rate,
    bucket: Bucket,
    account: Option<Arc<AccountPace>>,
}

impl Pace {
    /// A full bucket of the connection's own.
    pub fn new(rate: Rate) -> Self {
        Self { rate, bucket: Bucket::default(), account: None }
    }

    /// From now on the account's rate counts too.
    pub fn share(&mut self, account: Arc<AccountPace>) {
        // Without a rate there is nothing to ask on the hot path.
        self.account = account.rate().limit().is_some().then_some(account);
    }

    /// Takes one from both, or from neither.
    #[inline]
    pub fn take(&mut self, now: Timestamp) -> Result<(), Exceeded> {
        let mut own = self.bucket;
        if !own.take(self.rate, 1, now) {
            return Err(Exceeded::Connection);
        }
        if self.account.as_ref().is_some_and(|account| !account.take(now)) {
            return Err(Exceeded::Account);
        }
        self.bucket = own;
        Ok(())
    }

    /// When [`Pace::take`] will succeed: a moment that is not later than now if it does now.
    #[inline]
    pub fn ready_at(&self) -> Timestamp {
        let account = self.account.as_ref().map_or(Timestamp(0), |account| account.ready_at());
        self.bucket.ready_at(self.rate).max(account)
    }
}

/// The violation of a quota, with its name, code and value.
pub fn violation(fault: Fault, quota: QuotaId, limits: &Limits) -> Violation {
    let row = quota.row();
    let value = limits.get(quota).unwrap_or(row.default);
    let text = format!("quota {} ({}): {value} {}", row.name, row.code.unwrap_or("without a code"), row.unit);
    let violation = Violation::new(fault, text.trim_end().to_owned());
    match quota {
        QuotaId::RetainedPerTopic | QuotaId::RetainedPerAccount => violation.by(Divergence::RetainedRate),
        QuotaId::RetainedMessages => violation.by(Divergence::RetainedCapThrottle),
        _ => violation,
    }
}

/// The violation of a CONNECT for which the account has no place.
pub fn no_room(limits: &Limits) -> Violation {
    let most = limits.connections;
    let detail = format!("{most} clients are connected or have a session (L-75CAB723)");
    Violation::new(Fault::ConnectThrottled, detail)
}

/// Buckets by name, of which only those that are not full are remembered: for what is limited to a few in a second.
#[derive(Debug)]
pub struct NamedBuckets {
    young: BTreeMap<Box<str>, Bucket>,
    old: BTreeMap<Box<str>, Bucket>,
    /// When the young were begun.
    since: Timestamp,
    most: usize,
}

impl NamedBuckets {
    /// Remembers at most twice `most` names; more in one second make it forget the oldest.
    pub fn new(most: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), since: Timestamp(0), most }
    }

    /// As [`Bucket::take`] from the bucket of that name.
    pub fn take(&mut self, name: &str, rate: Rate, now: Timestamp) -> bool {
        if rate.limit().is_none() {
            return true;
        }
        self.age(now);
        if let Some(bucket) = self.young.get_mut(name) {
            return bucket.take(rate, 1, now);
        }
        let (name, mut bucket) =
            self.old.remove_entry(name).unwrap_or_else(|| (name.into(), Bucket::default()));
        let taken = bucket.take(rate, 1, now);
        self.young.insert(name, bucket);
        taken
    }

    /// A bucket is full again after a second, so names of the second before the last need not be known.
    fn age(&mut self, now: Timestamp) {
        let age = nanos(now).saturating_sub(nanos(self.since));
        if age < CAPACITY && self.young.len() < self.most {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if age >= 2 * CAPACITY {
            self.old.clear();
        }
        self.since = now;
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// The moment of fullness after taking, or `None` if there are not as many.
#[inline]
fn taken(full_at: u64, limit: u32, count: u32, now: Timestamp) -> Option<u64> {
    let now = nanos(now);
    let after = full_at.max(now).saturating_add(cost(limit, count));
    (limit > 0 && after.saturating_sub(now) <= CAPACITY).then_some(after)
}

/// The time in which `count` come back.
#[inline]
fn cost(limit: u32, count: u32) -> u64 {
    u64::from(count).saturating_mul(CAPACITY.checked_div(limit.into()).unwrap_or(CAPACITY))
}

#[inline]
fn nanos(at: Timestamp) -> u64 {
    at.millis().saturating_mul(NANOS_IN_MILLI)
}

/// The first whole millisecond that is not earlier.
fn millis(nanos: u64) -> Timestamp {
    Timestamp(nanos.div_ceil(NANOS_IN_MILLI))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: Timestamp = Timestamp(1_700_000_000_000);
    const HUNDRED: Rate = Rate::per_second(100);

    fn later(millis: u64) -> Timestamp {
        Timestamp(NOON.millis() + millis)
    }

    fn granted(bucket: &mut Bucket, rate: Rate, asked: u32, now: Timestamp) -> usize {
        (0..asked).filter(|_| bucket.take(rate, 1, now)).count()
    }

    #[test]
    fn a_second_of_it_at_once_and_then_the_rate() {
        let mut bucket = Bucket::default();
        assert_eq!(granted(&mut bucket, HUNDRED, 1000, NOON), 100);
        assert_eq!(granted(&mut bucket, HUNDRED, 1000, later(9)), 0);
        assert_eq!(granted(&mut bucket, HUNDRED, 1000, later(250)), 25);
        assert_eq!(granted(&mut bucket, HUNDRED, 1000, later(60_000)), 100);
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let mut bucket = Bucket::default();
        let one = Rate::per_second(1);
        assert!(bucket.take(one, 1, NOON));
        assert!(!bucket.take(one, 1, later(999)));
        assert_eq!(bucket.ready_at(one), later(1000));
        assert!(bucket.take(one, 1, later(1000)));
    }

    #[test]
    fn no_limit_and_nothing_at_all() {
        let mut bucket = Bucket::default();
        assert_eq!(granted(&mut bucket, Rate::UNLIMITED, 10_000, NOON), 10_000);
        assert_eq!(bucket, Bucket::default());
        assert_eq!(granted(&mut bucket, Rate::per_second(0), 10, NOON), 0);
        assert_eq!(bucket.ready_at(Rate::per_second(0)), Timestamp::NEVER);
    }

    #[test]
    fn a_bucket_that_owes_says_until_when() {
        let mut bucket = Bucket::default();
        let rate = Rate::per_second(1000);
        bucket.spend(rate, 1000, NOON);
        assert!(bucket.solvent_at() <= NOON);
        bucket.spend(rate, 500, NOON);
        assert_eq!(bucket.solvent_at(), later(500));
        bucket.spend(rate, 0, later(400));
        assert_eq!(bucket.solvent_at(), later(500));
    }

    #[test]
    fn a_shared_bucket_gives_no_more_to_many() {
        let bucket = SharedBucket::default();
        let rate = Rate::per_second(3000);
        let given = std::thread::scope(|scope| {
            let take = || (0..2000).filter(|_| bucket.take(rate, 1, NOON)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(given, 3000);
        assert!(bucket.ready_at(rate) > NOON);
    }

    #[test]
    fn a_pace_takes_from_both_or_from_neither() {
        let account = Arc::new(AccountPace::new(Rate::per_second(3)));
        let mut paces = [Pace::new(Rate::per_second(2)), Pace::new(Rate::per_second(2))];
        paces.iter_mut().for_each(|pace| pace.share(account.clone()));
        let [one, other] = &mut paces;
        assert_eq!((one.take(NOON), one.take(NOON)), (Ok(()), Ok(())));
        assert_eq!(one.take(NOON), Err(Exceeded::Connection));
        assert_eq!((other.take(NOON), other.take(NOON)), (Ok(()), Err(Exceeded::Account)));
        assert_eq!(other.ready_at(), later(334), "the account's third comes back after a third of a second");
        assert_eq!((other.take(later(334)), other.take(later(334))), (Ok(()), Err(Exceeded::Connection)));
    }

    #[test]
    fn without_rates_a_pace_asks_nobody() {
        let mut pace = Pace::new(Rate::UNLIMITED);
        pace.share(Arc::new(AccountPace::new(Rate::UNLIMITED)));
        assert!((0..10_000).all(|_| pace.take(NOON).is_ok()));
        assert_eq!(pace.ready_at(), Timestamp(0));
    }

    #[test]
    fn names_have_buckets_of_their_own_and_are_forgotten() {
        let mut buckets = NamedBuckets::new(1000);
        let one = Rate::per_second(1);
        assert!(buckets.take("a", one, NOON));
        assert!(!buckets.take("a", one, later(500)));
        assert!(buckets.take("b", one, later(500)));
        assert!(buckets.take("a", one, later(1000)));
        assert!(!buckets.take("b", one, later(1400)));
        assert!(!buckets.take("a", one, later(1999)));
        assert!(buckets.take("c", one, later(10_000)));
        assert_eq!(buckets.len(), 1);
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut buckets = NamedBuckets::new(100);
        for name in 0..10_000 {
            assert!(buckets.take(&name.to_string(), Rate::per_second(1), NOON));
            assert!(buckets.len() <= 200);
        }
    }

    proptest! {
        /// The oracle: in every window of a second that begins with a take, no more than two seconds' worth passes,
        /// and over a long time no more than the rate and one bucket.
        #[test]
        fn never_more_than_the_rate_and_a_bucket(
            limit in 1_u32..2000, pauses in proptest::collection::vec(0_u64..50, 1..400),
        ) {
            let (mut bucket, rate) = (Bucket::default(), Rate::per_second(limit));
            let (mut at, mut given) = (0_u64, 0_u64);
            for pause in pauses {
                at += pause;
                given += granted(&mut bucket, rate, 37, later(at)) as u64;
                let most = u64::from(limit) + at * u64::from(limit) / 1000 + 1;
                prop_assert!(given <= most, "{given} of {most} at {at}");
            }
        }

        /// What is not used up comes back whole.
        #[test]
        fn after_a_second_of_rest_it_is_full(limit in 1_u32..100_000, asked in 0_u32..200) {
            let (mut bucket, rate) = (Bucket::default(), Rate::per_second(limit));
            granted(&mut bucket, rate, asked, NOON);
            prop_assert!(bucket.take(rate, limit, later(1000)));
        }
    }
}
