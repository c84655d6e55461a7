//! Mistakes on purpose, for the simulator: it shows that its checkers can fail. Only a debug build has them, only a
//! thread that asked for one makes it, and nothing that configures the broker can ask. In a release build [`is`] is
//! `false` at compile time, and nothing of this is left.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A delivery asks for the permission to receive another topic.
    AsksForTheWrongTopic,
    /// A publish asks for the permission to publish another topic.
    PublishesAnything,
    /// An acknowledgement to a publisher is dropped.
    DropsSettle,
    /// An acknowledgement to a publisher is given twice.
    AnswersTwice,
    /// One more message goes out than the client's window has room for.
    WindowOffByOne,
    /// An acknowledged message is not taken out of those on their way.
    SendsAcknowledgedAgain,
    /// A packet identifier is given out although it is in use.
    ReusesPacketIds,
    /// A message goes to a shared group twice.
    DeliversTwiceInGroup,
    /// What a member of a group left unacknowledged does not come back.
    ForgetsReturned,
    /// A retained message is not written to the disk.
    ForgetsRetained,
    /// A retained message is not replaced.
    KeepsOldRetained,
    /// A will goes out after a goodbye.
    WillAfterGoodbye,
    /// No will goes out when a connection is taken over.
    NoWillOnTakeover,
    /// Wills are not written to the disk.
    ForgetsWillRecord,
    /// Messages do not expire.
    IgnoresExpiry,
    /// Sessions do not expire.
    SessionsLastForEver,
    /// Sessions end when their connection does.
    SessionsEndAtOnce,
    /// The old connection is not told that it was taken over.
    KeepsOldConnection,
    /// A subscription is not written to the disk.
    ForgetsSubscription,
    /// A change of policies does not reach live connections.
    SkipsRefresh,
    /// A message of QoS 2 that comes again is taken as new.
    TakesRepeatedAsNew,
    /// A session that is over leaves its messages in the journal.
    LeavesQueueBehind,
    /// Whoever waits for an acknowledgement is not woken.
    LosesWake,
    /// A record that could not be written is not written again.
    SavesOnce,
    /// A journal that could not be trimmed is not trimmed again.
    TrimsOnce,
    /// At the start nobody looks for journals of sessions that are over.
    ForgetsAbandoned,
    /// At the start nobody looks for rows of shared groups that have no member.
    ForgetsGroupRows,
    /// What comes while stored messages wait goes out before them, in the standard's dialect too.
    LiveOvertakesBacklog,
    /// A CONNECT that is decided late takes the seat from one that came after it.
    SeatsTheOlder,
    /// An alias keeps the topic that it had first.
    KeepsFirstAlias,
    /// A subscription identifier is not sent with its messages.
    ForgetsIdentifier,
    /// The account's rates are nobody's business.
    IgnoresAccountRates,
    /// Messages expire five seconds before their time.
    ExpiresTooEarly,
    /// Messages live half as long as they were to.
    HalvesExpiry,
    /// A will does not wait for its delay.
    WillIgnoresDelay,
    /// Clients that are gone for good stay in the directory.
    KeepsVacantCells,
    /// Messages still look for sessions that are over.
    LeavesRoutesBehind,
    /// A connection is given bytes as fast as it takes them.
    IgnoresThroughput,
    /// Any number of messages is kept for a session.
    IgnoresQueueBound,
    /// A new subscription brings nothing that is retained.
    WithholdsRetained,
    /// A delivery is told of to nobody, and so is not billed.
    DeliversUntold,
    /// What is unsubscribed from goes on to come.
    IgnoresUnsubscribe,
    /// A session's queue is full when it is half full.
    HalvesQueueBound,
    /// A client whose session is over leaves the directory before the disk knows.
    VacatesBeforeTheDisk,
    /// A will that waits for its delay is not written to the disk.
    ForgetsWaitingWill,
    /// A connection whose certificate is switched off is told of, and stays.
    KeepsInactive,
    /// A CONNECT asks for the permission of another client id.
    ConnectsAsAnother,
    /// A will that is not retained asks for the permission to be.
    WillAsksToRetain,
    /// A CONNECT asks for the permission to publish another will.
    AcceptsAnyWill,
    /// A will that is due is refused.
    WithholdsWill,
    /// A publish with RETAIN asks for the permission to retain another topic.
    RetainsAnything,
    /// A connection publishes as fast as it likes.
    IgnoresPublishRate,
    /// A client connects as often as it likes.
    IgnoresConnectRate,
    /// A connection has as many subscriptions as it likes.
    IgnoresSubscriptionBound,
    /// A subscription that asks for nothing retained brings it.
    IgnoresRetainHandling,
    /// What is told of a publish leaves its properties out, and so does the bill.
    OmitsProperties,
    /// A PUBACK is told of to nobody, and so is not billed.
    AcknowledgesUntold,
    /// A SUBSCRIBE is told of twice.
    SubscribesTwice,
    /// The will of a CONNECT does not count.
    OmitsWill,
    /// Packets go out that are larger than the client takes.
    IgnoresPacketSize,
    /// RETAIN goes along with a message whether or not the subscription asks for it.
    ForwardsRetain,
    /// What a DISCONNECT says of the session's expiry is overheard.
    KeepsOldExpiry,
    /// A will is not retained.
    ForgetsToRetainWill,
}

impl Mutation {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AsksForTheWrongTopic,
        Self::PublishesAnything,
        Self::DropsSettle,
        Self::AnswersTwice,
        Self::WindowOffByOne,
        Self::SendsAcknowledgedAgain,
        Self::ReusesPacketIds,
        Self::DeliversTwiceInGroup,
        Self::ForgetsReturned,
        Self::ForgetsRetained,
        Self::KeepsOldRetained,
        Self::WillAfterGoodbye,
        Self::NoWillOnTakeover,
        Self::ForgetsWillRecord,
        Self::IgnoresExpiry,
        Self::SessionsLastForEver,
        Self::SessionsEndAtOnce,
        Self::KeepsOldConnection,
        Self::ForgetsSubscription,
        Self::SkipsRefresh,
        Self::TakesRepeatedAsNew,
        Self::LeavesQueueBehind,
        Self::LosesWake,
        Self::SavesOnce,
        Self::TrimsOnce,
        Self::ForgetsAbandoned,
        Self::ForgetsGroupRows,
        Self::LiveOvertakesBacklog,
        Self::SeatsTheOlder,
        Self::KeepsFirstAlias,
        Self::ForgetsIdentifier,
        Self::IgnoresAccountRates,
        Self::ExpiresTooEarly,
        Self::HalvesExpiry,
        Self::WillIgnoresDelay,
        Self::KeepsVacantCells,
        Self::LeavesRoutesBehind,
        Self::IgnoresThroughput,
        Self::IgnoresQueueBound,
        Self::WithholdsRetained,
        Self::DeliversUntold,
        Self::IgnoresUnsubscribe,
        Self::HalvesQueueBound,
        Self::VacatesBeforeTheDisk,
        Self::ForgetsWaitingWill,
        Self::KeepsInactive,
        Self::ConnectsAsAnother,
        Self::WillAsksToRetain,
        Self::AcceptsAnyWill,
        Self::WithholdsWill,
        Self::RetainsAnything,
        Self::IgnoresPublishRate,
        Self::IgnoresConnectRate,
        Self::IgnoresSubscriptionBound,
        Self::IgnoresRetainHandling,
        Self::OmitsProperties,
        Self::AcknowledgesUntold,
        Self::SubscribesTwice,
        Self::OmitsWill,
        Self::IgnoresPacketSize,
        Self::ForwardsRetain,
        Self::KeepsOldExpiry,
        Self::ForgetsToRetainWill,
    ];
}

#[cfg(debug_assertions)]
thread_local! {
    static MADE: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// True if this mistake is to be made now.
#[inline]
#[must_use]
pub fn is(mutation: Mutation) -> bool {
    #[cfg(debug_assertions)]
    return MADE.with(|made| made.get() == Some(mutation));
    #[cfg(not(debug_assertions))]
    {
        let _never = mutation;
        false
    }
}

/// From now on this thread makes this mistake, or none. A release build never does.
pub fn set(mutation: Option<Mutation>) {
    #[cfg(debug_assertions)]
    MADE.with(|made| made.set(mutation));
    #[cfg(not(debug_assertions))]
    let _never = mutation;
}
