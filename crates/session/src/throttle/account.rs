//! What is limited to so many in a second for the whole account, a client id, a topic or a shared group.
//!
//! Account-wide rates are atomics; the named ones are striped, and asked only for what is rare: connecting, retaining,
//! subscribing to a shared group. Limits of one connection are the session's business.

use std::hash::BuildHasher;
use std::sync::Arc;

use dialect::{Dialect, Fault, Limits, QuotaId, Rate};
use identity::Timestamp;
use mqtt::QoS;
use parking_lot::Mutex;

use super::{AccountPace, NamedBuckets, violation};
use crate::Violation;
use crate::mutation::{self, Mutation};

/// Stripes of the named buckets.
const STRIPES: usize = 16;
/// Names remembered in one stripe and second; beyond that the oldest are let off.
const MOST_NAMES: usize = 16 * 1024;

/// The account's buckets.
#[derive(Debug)]
pub struct Throttles {
    connects: AccountPace,
    asked_requests: AccountPace,
    subscribes: AccountPace,
    told_unsubscribes: AccountPace,
    retained: AccountPace,
    queued: AccountPace,
    /// Of publishes that come in; shared with every connection.
    pub publishes_in: Arc<AccountPace>,
    /// Of publishes that go out; shared with every connection.
    pub publishes_out: Arc<AccountPace>,
    client_ids: Named,
    topics: Named,
    groups: Named,
    deletions: Named,
    descriptions: Named,
    lists: Named,
}

impl Throttles {
    /// Full buckets with the rates of the dialect.
    pub fn new(dialect: &Dialect) -> Self {
        let limits = dialect.limits();
        Self {
            connects: AccountPace::new(limits.connects_per_account),
            asked_requests: AccountPace::new(limits.connects_per_account),
            subscribes: AccountPace::new(limits.subscribes_per_account),
            told_unsubscribes: AccountPace::new(limits.subscribes_per_account),
            retained: AccountPace::new(limits.retained_per_account),
            queued: AccountPace::new(limits.queued_per_account),
            publishes_in: Arc::new(AccountPace::new(limits.publishes_in_per_account)),
            publishes_out: Arc::new(AccountPace::new(limits.publishes_out_per_account)),
            client_ids: Named::new(limits.connects_per_client_id),
            topics: Named::new(limits.retained_per_topic),
            groups: Named::new(limits.shared_group_requests),
            deletions: Named::new(limits.delete_connection_per_client_id),
            descriptions: Named::new(limits.get_connection_per_client_id),
            lists: Named::new(limits.list_subscriptions_per_client_id),
        }
    }

    /// A CONNECT, before anything else is asked about it.
    ///
    /// # Errors
    /// The rate is exceeded: the fault, and the quota in words.
    pub fn connect(&self, limits: &Limits, now: Timestamp) -> Result<(), Violation> {
        exceeded(self.connects.take(now), Fault::ConnectThrottled, QuotaId::ConnectsPerAccount, limits)
    }

    /// An HTTPS request that a custom authorizer is to be asked about: true if it may be. AWS names no quota; it is the
    /// rate of CONNECT, which costs the same, without taking anything from that.
    pub fn ask_for_request(&self, now: Timestamp) -> bool {
        self.asked_requests.take(now)
    }

    /// A CONNECT that the policies allow. Those that they do not allow do not count, so that nobody can keep another
    /// client away by asking for its client id (connect-rate).
    ///
    /// # Errors
    /// The rate is exceeded: the fault, and the quota in words.
    pub fn client_id(&self, client_id: &str, limits: &Limits, now: Timestamp) -> Result<(), Violation> {
        let taken = self.client_ids.take(client_id, now) || mutation::is(Mutation::IgnoresConnectRate);
        exceeded(taken, Fault::ClientIdThrottled, QuotaId::ConnectsPerClientId, limits)
    }

    /// A publish over HTTP: it counts for the account alone.
    ///
    /// # Errors
    /// The rate is exceeded: the fault, and the quota in words.
    pub fn publish(&self, qos: QoS, limits: &Limits, now: Timestamp) -> Result<(), Violation> {
        exceeded(self.publishes_in.take(now), publish_fault(qos), QuotaId::PublishesInPerAccount, limits)
    }

    /// A permitted publish with RETAIN.
    ///
    /// # Errors
    /// The rate is exceeded: the fault, and the quota in words.
    pub fn retain(&self, topic: &str, qos: QoS, limits: &Limits, now: Timestamp) -> Result<(), Violation> {
        let fault = retain_fault(qos);
        exceeded(self.topics.take(topic, now), fault, QuotaId::RetainedPerTopic, limits)?;
        exceeded(self.retained.take(now), fault, QuotaId::RetainedPerAccount, limits)
    }

    /// A filter of a SUBSCRIBE, whether the policies allow it or not.
    ///
    /// # Errors
    /// The rate is exceeded: the fault, and the quota in words.
    pub fn subscribe(&self, limits: &Limits, now: Timestamp) -> Result<(), Violation> {
        exceeded(self.subscribes.take(now), Fault::SubscribeThrottled, QuotaId::SubscribesPerAccount, limits)
    }

    /// A filter of an UNSUBSCRIBE that no subscription has, or that is refused: true if it is to be told of. AWS names no
    /// quota of UNSUBSCRIBE; it is the rate of SUBSCRIBE, without taking anything from that.
    pub fn tells_unsubscribed(&self, now: Timestamp) -> bool {
        self.told_unsubscribes.take(now)
    }

    /// A request to subscribe or unsubscribe to a shared group, named by the whole filter.
    ///
    /// # Errors
    /// The rate is exceeded: the fault, and the quota in words.
    pub fn shared_request(
        &self,
        filter: &str,
        fault: Fault,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Violation> {
        exceeded(self.groups.take(filter, now), fault, QuotaId::SharedRequests, limits)
    }

    /// DeleteConnection for a client id: true if it may be asked now.
    pub fn delete_connection(&self, client_id: &str, now: Timestamp) -> bool {
        self.deletions.take(client_id, now)
    }

    /// GetConnection for a client id: true if it may be asked now.
    pub fn get_connection(&self, client_id: &str, now: Timestamp) -> bool {
        self.descriptions.take(client_id, now)
    }

    /// ListSubscriptions for a client id: true if it may be asked now.
    pub fn list_subscriptions(&self, client_id: &str, now: Timestamp) -> bool {
        self.lists.take(client_id, now)
    }

    /// A message for a session that is away: true if it may be queued.
    pub fn queue(&self, now: Timestamp) -> bool {
        self.queued.take(now)
    }
}

/// The fault of a publish that is throttled.
pub fn publish_fault(qos: QoS) -> Fault {
    if qos == QoS::AtMostOnce { Fault::PublishThrottledQos0 } else { Fault::PublishThrottledQos1 }
}

/// The fault of a publish that may not be retained for now.
pub fn retain_fault(qos: QoS) -> Fault {
    if qos == QoS::AtMostOnce { Fault::RetainThrottledQos0 } else { Fault::RetainThrottledQos1 }
}

fn exceeded(taken: bool, fault: Fault, quota: QuotaId, limits: &Limits) -> Result<(), Violation> {
    if taken { Ok(()) } else { Err(violation(fault, quota, limits)) }
}

/// One rate for each name.
#[derive(Debug)]
struct Named {
    rate: Rate,
    stripes: Box<[Mutex<NamedBuckets>]>,
    hasher: foldhash::quality::RandomState,
}

impl Named {
    fn new(rate: Rate) -> Self {
        let stripes = if rate.limit().is_some() { STRIPES } else { 0 };
        Self {
            rate,
            stripes: (0..stripes).map(|_| Mutex::new(NamedBuckets::new(MOST_NAMES))).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    /// Without a rate there are no stripes, and everything passes.
    fn take(&self, name: &str, now: Timestamp) -> bool {
        let Some(at) = (self.hasher.hash_one(name) as usize).checked_rem(self.stripes.len()) else {
            return true;
        };
        self.stripes.get(at).is_none_or(|stripe| stripe.lock().take(name, self.rate, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn a_violation_names_its_quota() {
        let dialect = Dialect::aws();
        let throttles = Throttles::new(&dialect);
        assert_eq!(throttles.client_id("a", dialect.limits(), NOON), Ok(()));
        let violation = throttles.client_id("a", dialect.limits(), NOON).unwrap_err();
        assert_eq!(violation.fault, Fault::ClientIdThrottled);
        assert_eq!(violation.detail, "quota connects-per-client-id (L-033DE216): 1 per second");
        assert_eq!(throttles.client_id("b", dialect.limits(), NOON), Ok(()));
    }

    #[test]
    fn without_rates_everything_passes() {
        let mut dialect = Dialect::aws();
        dialect.set_profile(dialect::QuotaProfile::Unlimited);
        let throttles = Throttles::new(&dialect);
        for _ in 0..10_000 {
            assert_eq!(throttles.client_id("a", dialect.limits(), NOON), Ok(()));
            assert_eq!(throttles.retain("t", QoS::AtLeastOnce, dialect.limits(), NOON), Ok(()));
            assert!(throttles.queue(NOON));
        }
    }
}
