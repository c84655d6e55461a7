//! Asking custom authorizers again: `refreshAfterInSeconds` of a connection's grant.
//!
//! Source: developer guide, *Custom authentication*: the policies are cached for so long, then the authorizer is called
//! again for the same connection; a failure ends it.

use std::sync::Arc;
use std::time::Duration;

use dialect::Fault;
use identity::Timestamp;
use session::Moments;

use crate::broker::Inner;
use crate::{Broker, Clock};
use standing::{Granted, NotRenewed, Standing};

/// How long a connection waits for its next renewal when there was no room for one.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// Standings by the moment when their authorizer is to be asked again.
pub(crate) type Renewals = Moments<Standing>;

/// A connection whose custom authorizer is to be asked again now.
#[derive(Debug)]
pub struct Due(Arc<Standing>);

impl Broker {
    /// The connections whose custom authorizer is to be asked again, at most a thousand. To be called about once a second; each goes to
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
        self.0.renewals.len()
    }
}

impl Inner {
    /// Has the standing's authorizer asked again when its time comes.
    pub fn await_renewal(&self, standing: &Arc<Standing>) {
        let grant = standing.bearer.grant.as_ref().map(Granted::now);
        if let Some(grant) = grant.filter(|grant| grant.renewal.is_some()) {
            self.renewals.arm(grant.refresh_at, standing);
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
        self.renewals.arm(now + BUSY_RETRY, standing);
    }
}
