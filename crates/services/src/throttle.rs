//! How often the operations of the API may be called.
//!
//! Source: AWS IoT Core endpoints and quotas, *API throttling limits*.

use std::collections::HashMap;

use dialect::{API_RATES, Dialect, Rate};
use identity::Timestamp;
use parking_lot::Mutex;
use session::throttle::{NamedBuckets, SharedBucket};

use crate::{ApiError, ErrorCode};

/// Operations that register a device certificate; they share a rate beside their own.
const REGISTRATIONS: [&str; 4] = [
    "CreateCertificateFromCsr",
    "CreateKeysAndCertificate",
    "RegisterCertificate",
    "RegisterCertificateWithoutCA",
];

/// How often in a second one device is heard that comes back while its certificate waits. Ours: AWS names none.
const RETURNS_OF_ONE: Rate = Rate::per_second(1);
/// Certificates remembered in a second; beyond that the oldest are let off, and the account's rate stays.
const MOST_RETURNING: usize = 16 * 1024;

/// The buckets of all operations that have a rate.
#[derive(Debug)]
pub(crate) struct Throttle {
    operations: HashMap<&'static str, Limit>,
    registrations: Limit,
    /// Devices that come back while their certificate waits: apart, so that they do not keep new ones out.
    returns: Limit,
    /// The same by certificate: one device that does not rest takes nothing from the others.
    returning: Mutex<NamedBuckets>,
}

#[derive(Debug)]
struct Limit {
    rate: Rate,
    bucket: SharedBucket,
}

impl Limit {
    fn new(rate: Rate) -> Self {
        Self { rate, bucket: SharedBucket::default() }
    }

    fn admits(&self, now: Timestamp) -> bool {
        self.bucket.take(self.rate, 1, now)
    }
}

impl Throttle {
    /// With the rates of the dialect.
    pub fn new(dialect: &Dialect) -> Self {
        let control = API_RATES.iter().map(|row| (row.operation, dialect.api_rate(row.operation)));
        let limits = dialect.limits();
        let data = [
            ("GetRetainedMessage", limits.get_retained),
            ("ListRetainedMessages", limits.list_retained),
            ("DeleteConnection", limits.delete_connection),
            ("GetConnection", limits.get_connection),
            ("ListSubscriptions", limits.list_subscriptions),
            ("SendDirectMessage", limits.send_direct_message),
        ];
        let rated = control.chain(data).filter(|(_, rate)| rate.limit().is_some());
        let operations = rated.map(|(operation, rate)| (operation, Limit::new(rate))).collect();
        let registrations = Limit::new(limits.certificates_per_second);
        let returns = Limit::new(limits.certificates_per_second);
        let returning = Mutex::new(NamedBuckets::new(MOST_RETURNING));
        Self { operations, registrations, returns, returning }
    }

    /// Counts a device certificate that is registered just in time.
    pub fn admit_registration(&self, now: Timestamp) -> bool {
        self.registrations.admits(now)
    }

    /// Counts a device that comes back while its certificate waits for activation.
    pub fn admit_return(&self, certificate_id: &str, now: Timestamp) -> bool {
        // Without a rate for the account there is none for a device.
        self.returns.rate.limit().is_none()
            || self.returning.lock().take(certificate_id, RETURNS_OF_ONE, now) && self.returns.admits(now)
    }

    /// Counts a request.
    pub fn admit(&self, operation: &str, now: Timestamp) -> Result<(), ApiError> {
        let own = self.operations.get(operation).is_none_or(|limit| limit.admits(now));
        if own && (!REGISTRATIONS.contains(&operation) || self.registrations.admits(now)) {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::Throttling, "Rate exceeded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialect::QuotaProfile;

    const NOON: Timestamp = Timestamp(1_700_000_000_000);

    fn granted(throttle: &Throttle, operation: &str, asked: usize, now: Timestamp) -> usize {
        (0..asked).filter(|_| throttle.admit(operation, now).is_ok()).count()
    }

    #[test]
    fn operations_have_rates_of_their_own() {
        let throttle = Throttle::new(&Dialect::aws());
        assert_eq!(granted(&throttle, "CreatePolicy", 50, NOON), 10);
        assert_eq!(granted(&throttle, "DescribeThing", 500, NOON), 350);
        assert_eq!(granted(&throttle, "CreatePolicy", 50, Timestamp(NOON.millis() + 500)), 5);
        assert_eq!(throttle.admit("CreatePolicy", NOON).unwrap_err().code, ErrorCode::Throttling);
    }

    #[test]
    fn retained_messages_are_read_at_a_rate() {
        let throttle = Throttle::new(&Dialect::aws());
        assert_eq!(granted(&throttle, "GetRetainedMessage", 1000, NOON), 500);
        assert_eq!(granted(&throttle, "ListRetainedMessages", 1000, NOON), 10);
        assert_eq!(granted(&throttle, "Publish", 1000, NOON), 1000);
    }

    #[test]
    fn connections_are_asked_about_at_a_rate() {
        let throttle = Throttle::new(&Dialect::aws());
        assert_eq!(granted(&throttle, "DeleteConnection", 1000, NOON), 100);
        assert_eq!(granted(&throttle, "GetConnection", 1000, NOON), 100);
        assert_eq!(granted(&throttle, "ListSubscriptions", 1000, NOON), 100);
        assert_eq!(granted(&throttle, "SendDirectMessage", 30_000, NOON), 20_000);
    }

    #[test]
    fn certificates_are_registered_at_a_rate_together() {
        let throttle = Throttle::new(&Dialect::aws());
        let all: usize = REGISTRATIONS.iter().map(|operation| granted(&throttle, operation, 10, NOON)).sum();
        assert_eq!(all, 15);
    }

    #[test]
    fn nothing_is_throttled_without_quotas() {
        let mut dialect = Dialect::aws();
        dialect.set_profile(QuotaProfile::Unlimited);
        assert_eq!(granted(&Throttle::new(&dialect), "CreatePolicy", 1000, NOON), 1000);
        dialect.set_quota("CreatePolicy", 3).unwrap();
        assert_eq!(granted(&Throttle::new(&dialect), "CreatePolicy", 1000, NOON), 3);
    }
}
