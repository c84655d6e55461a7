//! A dialect: which divergences hold, and the limits that go with them.

use std::collections::BTreeMap;
use std::fmt;

use mqtt::Version;

use crate::profile::belongs_to_a_divergence;
use crate::{Answer, ApiRate, Divergence, Fault, Limits, Quota, QuotaProfile, Rate, ReservedFault, reserved};

/// What the broker speaks. A value is made once at start and shared; asking it is one bit test.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    name: &'static str,
    divergences: u128,
    limits: Limits,
    profile: QuotaProfile,
    /// Rates of operations of the API that configuration sets one by one.
    api_rates: BTreeMap<&'static str, Rate>,
}

/// A setting that does not exist or is out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSetting {
    /// No divergence has this name.
    UnknownDivergence(String),
    /// No quota has this name.
    UnknownQuota(String),
    /// The quota takes only values within these bounds.
    OutOfRange {
        /// The quota's name.
        quota: &'static str,
        /// Smallest value, in the quota's unit.
        least: u64,
        /// Largest value, in the quota's unit.
        most: u64,
    },
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDivergence(id) => {
                write!(f, "no divergence is called {id:?}; docs/reference/divergences.md lists them")
            }
            Self::UnknownQuota(id) => {
                write!(f, "no quota that can be set is called {id:?}; docs/reference/quotas.md lists them")
            }
            Self::OutOfRange { quota, least, most } => {
                write!(f, "quota {quota} takes values from {least} to {most}")
            }
        }
    }
}

impl std::error::Error for InvalidSetting {}

impl Dialect {
    /// AWS IoT Core as it is known: every row of the table that holds by default, every quota at its default.
    pub fn aws() -> Self {
        let mut dialect = Self::with("aws", Limits::aws(), QuotaProfile::Aws);
        for row in crate::DIVERGENCES.iter().filter(|row| row.default) {
            dialect.set(row.divergence, true);
        }
        dialect
    }

    /// OASIS MQTT: no divergence, limits as wide as the protocol or this broker can bear.
    pub fn oasis() -> Self {
        Self::with("oasis", Limits::oasis(), QuotaProfile::Unlimited)
    }

    fn with(name: &'static str, limits: Limits, profile: QuotaProfile) -> Self {
        Self { name, divergences: 0, limits, profile, api_rates: BTreeMap::new() }
    }

    /// The dialect of that name (`aws`, `oasis`).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "aws" => Some(Self::aws()),
            "oasis" => Some(Self::oasis()),
            _ => None,
        }
    }

    /// The name that it started from.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether this difference from the standard holds.
    #[inline]
    pub fn has(&self, divergence: Divergence) -> bool {
        self.divergences & bit(divergence) != 0
    }

    /// Switches one difference. Where it consists of quotas their limits follow, so set single quotas afterwards.
    pub fn set(&mut self, divergence: Divergence, on: bool) {
        for quota in divergence.quotas() {
            self.limits.reset(*quota, on);
        }
        if on {
            self.divergences |= bit(divergence);
        } else {
            self.divergences &= !bit(divergence);
        }
    }

    /// Switches one difference by its name, as configuration does.
    pub fn set_named(&mut self, id: &str, on: bool) -> Result<(), InvalidSetting> {
        let found =
            Divergence::from_id(id).ok_or_else(|| InvalidSetting::UnknownDivergence(id.to_owned()))?;
        self.set(found, on);
        Ok(())
    }

    /// Gives every quota the value that it has in a profile, except those that say what a divergence is: they go with
    /// their divergence ([`Dialect::set`]). Choose the profile first, then divergences, then single quotas.
    pub fn set_profile(&mut self, profile: QuotaProfile) {
        self.profile = profile;
        for id in Limits::QUOTAS.iter().filter(|id| !belongs_to_a_divergence(**id)) {
            let value = profile.value(id.row());
            // The table's own values fit.
            let _ = self.limits.set(id.row(), value);
        }
    }

    /// The profile from which quotas have their values.
    pub fn profile(&self) -> QuotaProfile {
        self.profile
    }

    /// Sets one limit by its quota's name or AWS's code, or the rate of an operation of the API by its name, as
    /// configuration does. AWS adjusts only some; a private broker adjusts all that are [`Limits`].
    pub fn set_quota(&mut self, id: &str, value: u64) -> Result<(), InvalidSetting> {
        if let Some(operation) = ApiRate::of(id) {
            let rate = u32::try_from(value).map_or(Rate::UNLIMITED, Rate::per_second);
            self.api_rates.insert(operation.operation, rate);
            return Ok(());
        }
        let quota = Quota::find(id).ok_or_else(|| InvalidSetting::UnknownQuota(id.to_owned()))?;
        self.limits.set(quota, value)
    }

    /// The value in force of a quota, in its unit; [`crate::UNLIMITED`] if it does not hold. Quotas that cannot be set have
    /// the value of the profile.
    pub fn quota(&self, quota: &Quota) -> u64 {
        self.limits.get(quota.id).unwrap_or_else(|| self.profile.value(quota))
    }

    /// Requests per second that an operation of the control plane may have.
    pub fn api_rate(&self, operation: &str) -> Rate {
        if let Some(rate) = self.api_rates.get(operation) {
            return *rate;
        }
        match (ApiRate::of(operation), self.profile) {
            (None, _) | (_, QuotaProfile::Unlimited) => Rate::UNLIMITED,
            (Some(row), QuotaProfile::Aws) => Rate::per_second(row.default),
            (Some(row), QuotaProfile::AwsSelect) => Rate::per_second(row.select),
        }
    }

    /// The limits that hold.
    #[inline]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits, to change them one by one.
    pub fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// What this dialect answers to a fault once the CONNACK was sent (or with a CONNACK, for faults of the CONNECT).
    pub fn answer(&self, fault: Fault, version: Version) -> Answer {
        let reply = fault.row().reply(version);
        let mut answer = reply.usual;
        if let Some((divergence, other)) = reply.without
            && !self.has(divergence)
        {
            answer = other;
        }
        if let Some((divergence, other)) = reply.with
            && self.has(divergence)
        {
            answer = other;
        }
        answer
    }

    /// What this dialect answers to a fault before the CONNACK was sent.
    pub fn answer_connect(&self, fault: Fault, version: Version) -> Answer {
        match self.answer(fault, version) {
            // The standard lets any of its codes stand in a CONNACK; AWS lists eight.
            Answer::Disconnect(code) if !self.has(Divergence::ConnackCodesListed) => Answer::ConnAck(code),
            other => other.before_connack(),
        }
    }

    /// Whether clients may publish to the topic as far as reserved topics go.
    pub fn publish_allowed(&self, topic: &str) -> Result<(), ReservedFault> {
        if self.has(Divergence::DollarTopicsClosed) { reserved::publish_allowed(topic) } else { Ok(()) }
    }

    /// Whether clients may subscribe to the filter as far as reserved topics go.
    pub fn subscribe_allowed(&self, filter: &str) -> Result<(), ReservedFault> {
        if self.has(Divergence::DollarTopicsClosed) { reserved::subscribe_allowed(filter) } else { Ok(()) }
    }

    /// The differences that hold.
    pub fn divergences(&self) -> impl Iterator<Item = Divergence> + '_ {
        Divergence::ALL.iter().copied().filter(|d| self.has(*d))
    }
}

fn bit(divergence: Divergence) -> u128 {
    1 << (divergence as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt::ReasonCode;

    #[test]
    fn the_empty_set_is_the_standard() {
        let oasis = Dialect::oasis();
        assert_eq!(oasis.divergences().count(), 0);
        assert_eq!(
            oasis.answer(Fault::ConnectDenied, Version::V311),
            Answer::ConnAck(ReasonCode::NotAuthorized)
        );
        assert_eq!(
            oasis.answer(Fault::SubscribeDenied, Version::V311),
            Answer::SubAck(ReasonCode::UnspecifiedError)
        );
        assert_eq!(
            oasis.answer(Fault::PayloadTooLarge, Version::V5),
            Answer::Disconnect(ReasonCode::PacketTooLarge)
        );
        assert_eq!(
            oasis.answer_connect(Fault::Malformed, Version::V5),
            Answer::ConnAck(ReasonCode::MalformedPacket)
        );
        assert!(oasis.publish_allowed("$SYS/x").is_ok());
    }

    #[test]
    fn the_aws_dialect_is_the_table() {
        let aws = Dialect::aws();
        for row in &crate::DIVERGENCES {
            assert_eq!(aws.has(row.divergence), row.default, "{}", row.id());
        }
        for fault in Fault::ALL {
            for version in [Version::V311, Version::V5] {
                assert_eq!(aws.answer(*fault, version), fault.answer(version), "{fault:?} {version:?}");
            }
        }
        assert!(aws.publish_allowed("$SYS/x").is_err());
    }

    #[test]
    fn switches_turn_by_name() {
        let mut dialect = Dialect::aws();
        dialect.set_named("filters-over-8-close", true).unwrap();
        assert_eq!(dialect.answer(Fault::TooManyFilters, Version::V311), Answer::Close);
        dialect.set_named("filters-over-8-close", false).unwrap();
        assert_eq!(dialect, Dialect::aws());
        let error = dialect.set_named("no-such", true).unwrap_err();
        assert!(error.to_string().contains("\"no-such\""), "{error}");
    }

    #[test]
    fn a_difference_of_numbers_takes_its_limits_along() {
        let mut dialect = Dialect::aws();
        dialect.set(Divergence::TopicLimits, false);
        assert_eq!(dialect.limits().topic_bytes, Dialect::oasis().limits().topic_bytes);
        assert_eq!(dialect.limits().payload_bytes, Dialect::aws().limits().payload_bytes);
        dialect.set(Divergence::TopicLimits, true);
        assert_eq!(dialect, Dialect::aws());
        for divergence in Divergence::ALL {
            for quota in divergence.quotas() {
                assert!(Limits::QUOTAS.contains(quota), "{divergence}: {}", quota.row().name);
            }
        }
    }

    #[test]
    fn quotas_turn_by_name() {
        let mut dialect = Dialect::aws();
        dialect.set_quota("subscriptions-per-connection", 60).unwrap();
        assert_eq!(dialect.limits().subscriptions_per_connection, 60);
        assert!(matches!(
            dialect.set_quota("topic-alias-maximum", 70_000),
            Err(InvalidSetting::OutOfRange { .. })
        ));
        assert!(matches!(dialect.set_quota("nonsense", 1), Err(InvalidSetting::UnknownQuota(_))));
    }

    #[test]
    fn quotas_turn_by_code_and_by_operation() {
        let mut dialect = Dialect::aws();
        dialect.set_quota("L-083F3861", 1000).unwrap();
        assert_eq!(dialect.limits().publishes_per_connection, Rate::per_second(1000));
        assert_eq!(dialect.quota(Quota::find("publishes-per-connection").unwrap()), 1000);
        assert_eq!(dialect.api_rate("CreateThing"), Rate::per_second(100));
        dialect.set_quota("CreateThing", 3).unwrap();
        assert_eq!(dialect.api_rate("CreateThing"), Rate::per_second(3));
    }

    #[test]
    fn a_profile_sets_what_no_divergence_consists_of() {
        let mut dialect = Dialect::aws();
        dialect.set_profile(QuotaProfile::AwsSelect);
        assert_eq!(dialect.limits().publishes_in_per_account, Rate::per_second(2000));
        assert_eq!(dialect.api_rate("CreateThing"), Rate::per_second(50));
        dialect.set_profile(QuotaProfile::Unlimited);
        assert_eq!(dialect.limits().publishes_in_per_account, Rate::UNLIMITED);
        assert_eq!(dialect.limits().payload_bytes, Limits::aws().payload_bytes);
        assert_eq!(dialect.api_rate("CreateThing"), Rate::UNLIMITED);
        dialect.set_profile(QuotaProfile::Aws);
        assert_eq!(dialect, Dialect::aws());
    }

    #[test]
    fn the_dialects_begin_with_their_profiles() {
        assert_eq!(Dialect::aws().profile(), QuotaProfile::Aws);
        assert_eq!(Dialect::oasis().profile(), QuotaProfile::Unlimited);
        assert_eq!(Dialect::oasis().limits().connects_per_client_id, Rate::UNLIMITED);
    }
}
