//! Mistakes on purpose, to see that checkers can fail: at the ports, and inside the broker where a port is too far away
//! ([`session::mutation`], which only a debug build has).

use session::mutation::Mutation;

use crate::disk::Flaws;

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Acknowledged writes are lost at a crash: somebody did not sync.
    LosesSyncedWrites,
    /// The journal is never trimmed.
    NeverTrims,
    /// A page of the journal comes in the wrong order.
    ShufflesPages,
    /// Changes of policies are missing from the feed.
    DeafFeed,
    /// A PUBACK goes out before the disk has the message.
    SettlesBeforeTheDisk,
    /// The meter misses deliveries.
    Miscounts,
    /// A mistake inside the broker.
    Inside(Mutation),
}

impl Flaw {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let ports = [
            Self::LosesSyncedWrites,
            Self::NeverTrims,
            Self::ShufflesPages,
            Self::DeafFeed,
            Self::SettlesBeforeTheDisk,
            Self::Miscounts,
        ];
        ports.into_iter().chain(Mutation::ALL.iter().copied().map(Self::Inside)).collect()
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        match self {
            Self::Inside(mutation) => format!("{mutation:?}"),
            other => format!("{other:?}"),
        }
    }

    /// The mistake of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|flaw| flaw.name() == name)
    }

    /// The checkers that watch what it breaks.
    pub fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::LosesSyncedWrites | Self::SettlesBeforeTheDisk => {
                &["loss", "groups", "retained", "expiry", "wills", "growth", "redelivery", "order"]
            }
            Self::NeverTrims => &["growth", "redelivery", "groups", "order"],
            Self::ShufflesPages => &["order"],
            Self::DeafFeed => &["permits"],
            Self::Miscounts => &["bill"],
            Self::Inside(mutation) => breaks(mutation),
        }
    }

    /// From which seed on it is looked for: some need much to come together, and a test has not all day.
    pub fn first_seed(self) -> u64 {
        match self {
            Self::ShufflesPages => 16,
            Self::DeafFeed => 55,
            Self::Inside(Mutation::AsksForTheWrongTopic) => 16,
            Self::Inside(Mutation::IgnoresExpiry | Mutation::SkipsRefresh) => 20,
            Self::Inside(Mutation::TakesRepeatedAsNew | Mutation::ForgetsAbandoned) => 25,
            Self::Inside(Mutation::SeatsTheOlder) => 25,
            Self::Inside(Mutation::PublishesAnything) => 42,
            Self::Inside(Mutation::SavesOnce) => 60,
            Self::Inside(Mutation::IgnoresThroughput) => 80,
            Self::Inside(Mutation::IgnoresRetainHandling) => 145,
            Self::Inside(Mutation::ForgetsReturned) => 190,
            Self::Inside(Mutation::IgnoresConnectRate) => 60,
            Self::Inside(Mutation::TrimsOnce) => 1280,
            Self::Inside(Mutation::ForgetsGroupRows) => 845,
            Self::Inside(Mutation::LiveOvertakesBacklog) => 1465,
            _ => 1,
        }
    }

    /// What is wrong with the disk.
    pub fn of_disk(flaw: Option<Self>) -> Flaws {
        Flaws {
            loses_synced: flaw == Some(Self::LosesSyncedWrites),
            never_trims: flaw == Some(Self::NeverTrims),
            shuffles: flaw == Some(Self::ShufflesPages),
            deaf_feed: flaw == Some(Self::DeafFeed),
        }
    }

    /// What is wrong inside the broker.
    pub fn inside(flaw: Option<Self>) -> Option<Mutation> {
        match flaw {
            Some(Self::Inside(mutation)) => Some(mutation),
            _ => None,
        }
    }
}

fn breaks(mutation: Mutation) -> &'static [&'static str] {
    use Mutation as M;
    match mutation {
        M::AsksForTheWrongTopic | M::PublishesAnything | M::SkipsRefresh | M::RetainsAnything => &["permits"],
        M::KeepsInactive | M::ConnectsAsAnother => &["permits"],
        M::WillAsksToRetain | M::AcceptsAnyWill | M::WithholdsWill => &["permits"],
        M::DropsSettle | M::LosesWake => &["loss"],
        M::AnswersTwice => &["answers"],
        M::WindowOffByOne | M::IgnoresThroughput | M::IgnoresQueueBound => &["quotas"],
        M::SendsAcknowledgedAgain | M::ReusesPacketIds => &["redelivery", "quotas"],
        M::DeliversTwiceInGroup | M::ForgetsReturned => &["groups"],
        M::ForgetsRetained | M::KeepsOldRetained | M::WithholdsRetained | M::IgnoresRetainHandling => {
            &["retained"]
        }
        M::WillAfterGoodbye
        | M::NoWillOnTakeover
        | M::ForgetsWillRecord
        | M::WillIgnoresDelay
        | M::ForgetsWaitingWill => &["wills"],
        M::IgnoresExpiry | M::ExpiresTooEarly | M::HalvesExpiry => &["expiry"],
        M::SessionsLastForEver | M::SessionsEndAtOnce => &["expiry"],
        M::KeepsVacantCells | M::LeavesRoutesBehind => &["growth"],
        M::KeepsOldConnection => &["seats"],
        M::ForgetsSubscription => &["loss", "groups"],
        M::TakesRepeatedAsNew => &["order", "redelivery"],
        M::LeavesQueueBehind | M::TrimsOnce | M::ForgetsAbandoned | M::ForgetsGroupRows => {
            &["growth", "groups"]
        }
        M::SavesOnce | M::VacatesBeforeTheDisk => &["deliveries", "wills", "expiry", "growth", "loss"],
        M::LiveOvertakesBacklog => &["order"],
        M::SeatsTheOlder => &["seats"],
        M::KeepsFirstAlias => {
            &["traffic", "loss", "groups", "retained", "permits", "expiry", "answers", "redelivery"]
        }
        M::ForgetsIdentifier => &["identifiers"],
        M::DeliversUntold | M::IgnoresUnsubscribe | M::HalvesQueueBound => &["deliveries"],
        M::OmitsProperties | M::AcknowledgesUntold | M::SubscribesTwice | M::OmitsWill => &["traffic"],
        M::ForwardsRetain | M::ForgetsToRetainWill => &["retained"],
        M::KeepsOldExpiry => &["expiry", "loss", "wills"],
        M::IgnoresPacketSize
        | M::IgnoresAccountRates
        | M::IgnoresPublishRate
        | M::IgnoresConnectRate
        | M::IgnoresSubscriptionBound => &["quotas"],
    }
}
