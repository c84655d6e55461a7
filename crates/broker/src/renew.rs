//! Asking custom authorizers again: `refreshAfterInSeconds` of a connection's grant.
//!
//! Source: developer guide, *Custom authentication*: the policies are cached for so long, then the authorizer is called
//! again for the same connection; a failure ends it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dialect::Fault;
use identity::Timestamp;
use parking_lot::Mutex;

use crate::broker::Inner;
use crate::{Broker, Clock};
use standing::{Granted, NotRenewed, Standing};

/// How long a connection waits for its next renewal when there was no room for one.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// As many entries as are always kept without looking which of them are still needed.
const FEW: usize = 64;

/// Standings by the moment when their authorizer is to be asked again.
#[derive(Debug, Default)]
pub(crate) struct Renewals(Mutex<Waiting>);

/// At most twice as many entries as there are standings that wait, or [`FEW`]: an entry keeps the memory of its standing
/// after the connection ended, and may have a day to go.
#[derive(Debug, Default)]
struct Waiting {
    by_moment: BTreeMap<(Timestamp, u64), Weak<Standing>>,
    /// With so many entries those of ended connections are thrown out.
    full: usize,
}

impl Renewals {
    fn add(&self, standing: &Arc<Standing>, when: Timestamp) {
        let mut waiting = self.0.lock();
        waiting.by_moment.insert((when, standing.id), Arc::downgrade(standing));
        if waiting.by_moment.len() > waiting.full.max(FEW) {
            waiting.by_moment.retain(|_, standing| standing.strong_count() > 0);
            waiting.full = waiting.by_moment.len() * 2;
        }
    }

    /// Takes out those that are due and still there.
    fn due(&self, now: Timestamp) -> Vec<Arc<Standing>> {
        let mut waiting = self.0.lock();
        let later = waiting.by_moment.split_off(&(now + Duration::from_millis(1), 0));
        let due = std::mem::replace(&mut waiting.by_moment, later);
        due.into_values().filter_map(|standing| standing.upgrade()).collect()
    }
}

/// A connection whose custom authorizer is to be asked again now.
#[derive(Debug)]
pub struct Due(Arc<Standing>);

impl Broker {
    /// The connections whose custom authorizer is to be asked again. To be called about once a second; each goes to
    /// [`Broker::renew`].
    pub fn due_renewals(&self, now: Timestamp) -> Vec<Due> {
        self.0.renewals.due(now).into_iter().map(Due).collect()
    }

    /// Asks the authorizer of a connection again, and puts its answer in force, or ends the connection.
    pub async fn renew(&self, Due(standing): Due, clock: Clock<'_>) {
        let Some(granted) = standing.bearer.grant.clone() else { return };
        let Some(renewal) = granted.now().renewal.clone() else { return };
        match renewal.renew(clock()).await {
            Ok(grant) => {
                granted.replace(grant);
                self.0.refresh(&standing, clock()).await;
                self.0.await_renewal(&standing);
            }
            Err(NotRenewed::Busy(why)) => self.0.renew_later(&standing, &why, clock()),
            Err(NotRenewed::Refused(why)) => {
                let detail = format!("its custom authorizer did not let it in again: {why}");
                self.0.turn_away(&standing, Fault::GrantExpired, &detail, clock());
            }
        }
    }
}

#[cfg(test)]
impl Broker {
    /// How many entries wait, needed or not.
    pub(crate) fn waiting_renewals(&self) -> usize {
        self.0.renewals.0.lock().by_moment.len()
    }
}

impl Inner {
    /// Has the standing's authorizer asked again when its time comes.
    pub fn await_renewal(&self, standing: &Arc<Standing>) {
        let grant = standing.bearer.grant.as_ref().map(Granted::now);
        if let Some(grant) = grant.filter(|grant| grant.renewal.is_some()) {
            self.renewals.add(standing, grant.refresh_at);
        }
    }

    /// There was no room to ask: the grant of before stays in force a little longer.
    fn renew_later(&self, standing: &Arc<Standing>, why: &str, now: Timestamp) {
        let client = standing.bearer.client_id.as_ref().map_or("", |id| id.as_str());
        let detail = format_args!(
            "the authorizer of client {client} could not be asked again in time, its permissions stay as they are until \
             it can: {why}"
        );
        let problem = events::ConfigProblem { setting: "functions", detail: &detail };
        self.emit(now, &events::Event::ConfigProblem(problem));
        self.renewals.add(standing, now + BUSY_RETRY);
    }
}
