//! Which divergences a refusal shows: the one that made a fault of what the standard allows, and those that changed
//! the answer.

use mqtt::Version;

use crate::{Answer, Dialect, Divergence, Fault};

impl Fault {
    /// The divergence because of which this is a fault at all, where the fault alone tells. Not told: limits and
    /// reserved names among the other rules of client ids, topics and filters.
    pub fn cause(self) -> Option<Divergence> {
        Some(match self {
            Self::ClientPacketSizeTooSmall => Divergence::MinClientPacketSize,
            Self::AuthenticationMethodUnsupported => Divergence::NoAuthPacket,
            Self::ConnectTooLarge | Self::PayloadTooLarge | Self::PacketTooLarge => Divergence::PayloadCap,
            Self::WillQosNotSupported | Self::Qos2Publish => Divergence::NoQos2,
            Self::ClientIdThrottled => Divergence::ConnectRate,
            Self::ReservedTopicPublish | Self::FilterReserved => Divergence::DollarTopicsClosed,
            Self::RetainOnReservedTopic => Divergence::RetainedReservedForbidden,
            Self::SubscriptionIdentifier => Divergence::NoSubscriptionIdentifier,
            Self::TooManyFilters | Self::TooManySubscriptions => Divergence::Subscribe8,
            Self::PublishThrottledQos0 | Self::PublishThrottledQos1 => Divergence::Rate100Discard,
            _ => return None,
        })
    }
}

impl Dialect {
    /// Whether an MQTT 3.1.1 client is sent a DISCONNECT for a fault, which the standard does not know.
    pub fn tells_v3(&self, fault: Fault) -> bool {
        fault == Fault::AdministrativeAction && self.has(Divergence::ServerDisconnectV3Api)
    }

    /// The divergences that a client sees in this dialect's answer to a fault once the CONNACK was sent.
    pub fn shown(&self, fault: Fault, version: Version) -> impl Iterator<Item = Divergence> + '_ {
        let (reply, cause) = (fault.row().reply(version), fault.cause());
        let changed = |case: Option<(Divergence, Answer)>| {
            let case = case.filter(|(divergence, other)| *other != reply.usual && Some(*divergence) != cause);
            case.map(|(divergence, _)| divergence)
        };
        let rows = [cause, changed(reply.without), changed(reply.with)];
        rows.into_iter().flatten().filter(|divergence| self.has(*divergence))
    }

    /// The divergences that a client sees in this dialect's answer to a fault of its CONNECT.
    pub fn shown_connect(&self, fault: Fault, version: Version) -> impl Iterator<Item = Divergence> + '_ {
        // connack-codes-listed: the code exists, and is not spoken.
        let silent = matches!(self.answer(fault, version), Answer::Disconnect(_))
            && self.answer_connect(fault, version) == Answer::Close;
        let listed = silent.then_some(Divergence::ConnackCodesListed);
        self.shown(fault, version).chain(listed.filter(|divergence| self.has(*divergence)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(dialect: &Dialect, fault: Fault, version: Version) -> Vec<Divergence> {
        dialect.shown(fault, version).collect()
    }

    #[test]
    fn the_standard_shows_no_divergence() {
        let oasis = Dialect::oasis();
        for fault in Fault::ALL {
            for version in [Version::V311, Version::V5] {
                assert_eq!(shown(&oasis, *fault, version), [], "{fault:?}");
                assert_eq!(oasis.shown_connect(*fault, version).count(), 0, "{fault:?}");
            }
        }
    }

    #[test]
    fn a_fault_shows_its_cause_and_what_changed_the_answer() {
        let mut aws = Dialect::aws();
        for version in [Version::V311, Version::V5] {
            assert_eq!(shown(&aws, Fault::Qos2Publish, version), [Divergence::NoQos2]);
        }
        assert_eq!(shown(&aws, Fault::ConnectDenied, Version::V311), [Divergence::NoConnackOnDenyV3]);
        assert_eq!(shown(&aws, Fault::ConnectDenied, Version::V5), []);
        assert_eq!(shown(&aws, Fault::TooManyFilters, Version::V5), [Divergence::Subscribe8]);
        aws.set(Divergence::FiltersOver8Close, true);
        let both = [Divergence::Subscribe8, Divergence::FiltersOver8Close];
        assert_eq!(shown(&aws, Fault::TooManyFilters, Version::V5), both);
    }

    #[test]
    fn a_code_that_is_not_listed_is_a_close() {
        let aws = Dialect::aws();
        let rows: Vec<_> = aws.shown_connect(Fault::Malformed, Version::V5).collect();
        assert_eq!(rows, [Divergence::ConnackCodesListed]);
    }

    #[test]
    fn a_divergence_that_turns_an_answer_is_shown_by_a_fault() {
        let mut all = Dialect::aws();
        Divergence::ALL.iter().for_each(|divergence| all.set(*divergence, true));
        for row in &crate::REFUSALS {
            for version in [Version::V311, Version::V5] {
                let reply = row.reply(version);
                for (divergence, other) in [reply.without, reply.with].into_iter().flatten() {
                    let found = shown(&all, row.fault, version).contains(&divergence);
                    assert!(found || other == reply.usual, "{:?} {divergence}", row.fault);
                }
            }
        }
    }
}
