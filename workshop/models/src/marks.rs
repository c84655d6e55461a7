//! Coverage marks: each kind of fault and each rare branch has one. A set of seeds that never hits one has not shown
//! what it says it shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

macro_rules! marks {
    ($($name:ident = $text:literal,)*) => {
        /// Something that has to happen now and then.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $text] $name,)*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it means.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

marks! {
    UnsyncedLost = "a crash lost a write that was not synced",
    LastWriteTorn = "a crash cut the row of writes in its middle",
    WriteFailed = "a write failed and did not happen",
    WriteFailedButHappened = "a write failed and happened all the same",
    ReadFailed = "a read failed",
    ReadLate = "a read was late",
    WriteLate = "a write was late",
    FeedLagged = "the feed lost its place",
    Crashed = "the process died",
    DiedMidway = "the process died in the middle of a turn",
    DiedInStart = "the process died while it started",
    CrashedWhileConnecting = "the process died while somebody connected",
    CrashedWithUnsettled = "the process died while writes waited",
    RestartedInOrder = "the process stopped in order and started again",
    RecoveryFailed = "a start found a disk that does not answer",
    ClockJumped = "the clock jumped by more than an hour",
    ClockSetBack = "a process started with its clock behind that of the one before",
    LinkCut = "a link was cut",
    LinkCutInPacket = "a link was cut in the middle of a packet",
    LinkHalfOpen = "a link took bytes that arrived nowhere",
    LinkStalled = "a client stopped reading",
    LinkSlow = "a link was slow",
    WriteStalled = "a link was closed because it took nothing",
    Burst = "a client sent a burst",
    Congested = "a link was not read for a while",
    KeepAliveTimeout = "a client was silent for too long",
    TakenOver = "a connection was taken over",
    Resumed = "a session was resumed",
    ResumedAfterCrash = "a session was resumed after a crash",
    SessionExpired = "a session expired",
    MessageExpired = "a message expired on its way",
    Redelivered = "a message was sent again on the same connection",
    SentAgainOnResume = "a message was sent again on a new connection",
    WindowFull = "a client owed as many acknowledgements as it may",
    QueueFull = "the queue of a session was full",
    WillSent = "a will was published",
    WillSentAfterCrash = "a will was published after a crash",
    WillKept = "a will was dropped by a goodbye",
    WillDelayed = "a will waited for its delay",
    RetainedStored = "a message was retained",
    RetainedDeleted = "a retained message was deleted",
    RetainedRead = "a subscription brought a retained message",
    SharedDelivered = "a shared subscription brought a message",
    SharedReturned = "a member of a shared group went with a message unacknowledged",
    PublishDenied = "a publish was denied",
    SubscribeDenied = "a subscription was denied",
    ReceiveDenied = "a delivery was denied",
    ConnectDenied = "a CONNECT was denied",
    PolicyChanged = "a policy changed while its principal was connected",
    CertificateSwitchedOff = "a certificate in use was switched off",
    Misbehaved = "a client broke the protocol",
    Malformed = "a client sent what is no packet",
    ConnectFailedByStore = "a CONNECT failed because of the store",
    Exactly = "a message of QoS 2 arrived",
    ServiceFailed = "an operation of the control plane failed because of the store",
    Throttled = "a quota was met",
    AccountThrottled = "a rate of the whole account was met",
    Overtaken = "a CONNECT was decided after one that came later",
    LinkOvertaken = "a later send of another link overtook an earlier one",
    AliasUsed = "a client published by a topic alias",
    Identified = "a message carried a subscription identifier",
    Accompanied = "a message carried properties that count for the bill",
    ManySteps = "a message took more than one step of the bill",
}

/// How often each was hit. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Marks(Arc<Mutex<BTreeMap<Mark, u64>>>);

impl Marks {
    /// It happened.
    pub fn hit(&self, mark: Mark) {
        *self.0.lock().entry(mark).or_insert(0) += 1;
    }

    /// Adds another count.
    pub fn add(&self, other: &Self) {
        let other = other.0.lock().clone();
        let mut mine = self.0.lock();
        other.into_iter().for_each(|(mark, count)| *mine.entry(mark).or_insert(0) += count);
    }

    /// How often it happened.
    pub fn count(&self, mark: Mark) -> u64 {
        self.0.lock().get(&mark).copied().unwrap_or(0)
    }

    /// Those that never were.
    pub fn missing(&self) -> Vec<Mark> {
        Mark::ALL.iter().copied().filter(|mark| self.count(*mark) == 0).collect()
    }
}
