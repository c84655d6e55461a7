//! The named differences between AWS IoT Core and OASIS MQTT: their names here, their rows in the files below.

mod decided;
mod numbered;

use std::fmt;

use crate::QuotaId;

/// How well a fact about AWS is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// AWS's documentation says so.
    Documented,
    /// Users, captures or AWS's own people in public threads say so.
    Reported,
    /// It follows from what is documented.
    Inferred,
    /// Nothing usable is known: the row holds a choice, not a fact.
    Unconfirmed,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documented => "documented",
            Self::Reported => "reported",
            Self::Inferred => "inferred",
            Self::Unconfirmed => "UNCONFIRMED",
        })
    }
}

/// What a difference asks of a compatible broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stance {
    /// A client sees the difference: being compatible means differing too.
    MustDiffer,
    /// AWS promises less than the standard. Keeping the stronger promise breaks nobody.
    MayWeaken,
    /// The difference binds clients only.
    ClientsDuty,
    /// The standard leaves the choice open; the row records AWS's.
    Restates,
}

impl fmt::Display for Stance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MustDiffer => "must differ",
            Self::MayWeaken => "may weaken",
            Self::ClientsDuty => "client's duty",
            Self::Restates => "restates",
        })
    }
}

/// What the switch of a divergence does in this version of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The broker behaves either way, as the switch says.
    Switch,
    /// The broker behaves as the default says; the switch changes nothing.
    Fixed,
    /// The broker keeps the stronger promise; a rule of `[[quirks]]` provokes the weaker one.
    OnDemand,
    /// What the row speaks of is not built yet.
    Pending,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Switch => "switch",
            Self::Fixed => "fixed",
            Self::OnDemand => "on demand",
            Self::Pending => "pending",
        })
    }
}

/// One row of the table of divergences.
#[derive(Clone, Copy, Debug)]
pub struct DivergenceRow {
    /// Which difference.
    pub divergence: Divergence,
    /// Clause ids of MQTT 5 (`MQTT-4.7.1-1`), of 3.1.1 (`v3 MQTT-3.3.5-2`), or a section without normative id (`4.11`).
    pub clauses: &'static [&'static str],
    /// What the standard asks for.
    pub standard: &'static str,
    /// What AWS does.
    pub aws: &'static str,
    /// The AWS page that says so.
    pub source: &'static str,
    /// How well it is known.
    pub evidence: Evidence,
    /// What it asks of a compatible broker.
    pub stance: Stance,
    /// Whether the `aws` dialect has it. The `oasis` dialect has none.
    pub default: bool,
    /// How a client can tell.
    pub observe: &'static str,
    /// What its switch does in this version. A test of the workshop compares it with the code.
    pub state: State,
}

impl DivergenceRow {
    /// The stable name, for configuration and events.
    pub fn id(&self) -> &'static str {
        self.divergence.id()
    }

    /// The row's number, from 1.
    pub fn number(&self) -> usize {
        self.divergence as usize + 1
    }
}

macro_rules! divergences {
    ($($name:ident = $id:literal,)*) => {
        /// A named difference from OASIS MQTT. Its row says what it means: [`Divergence::row`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Divergence {
            $(#[doc = concat!("`", $id, "`")] $name,)*
        }

        impl Divergence {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The stable name, for configuration and events.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// The difference of that name.
            pub fn from_id(id: &str) -> Option<Self> {
                match id { $($id => Some(Self::$name),)* _ => None }
            }
        }
    };
}

divergences! {
    // The fifty known ones.
    NoQos2 = "no-qos2",
    Qos2SubscribeNoSuback = "qos2-subscribe-no-suback",
    NoAuthPacket = "no-auth-packet",
    NoServerRedirect = "no-server-redirect",
    DupUnsupported = "dup-unsupported",
    RedeliveryNewPacketId = "redelivery-new-packet-id",
    Qos0Duplicates = "qos0-duplicates",
    RetryWhileConnected = "retry-while-connected",
    RetryGivesUp = "retry-gives-up",
    UnorderedDelivery = "unordered-delivery",
    HashExcludesParent = "hash-excludes-parent",
    RetainedExactOnly = "retained-exact-only",
    RetainedReservedForbidden = "retained-reserved-forbidden",
    RetainedRate = "retained-rate",
    RetainedCapThrottle = "retained-cap-throttle",
    SharedSubInV3 = "shared-sub-in-v3",
    SharedGroupQueue = "shared-group-queue",
    NoSubscriptionIdentifier = "no-subscription-identifier",
    NoLocalIgnored = "no-local-ignored",
    KeepaliveClamp = "keepalive-clamp",
    SessionExpiryCap = "session-expiry-cap",
    SessionExpirySlack = "session-expiry-slack",
    V3SessionExpires = "v3-session-expires",
    CrossVersionNoResume = "cross-version-no-resume",
    ReplayRate = "replay-rate",
    MessageExpiryClamp = "message-expiry-clamp",
    ExpiryZeroOut = "expiry-zero-out",
    ExpiryCrossesVersions = "expiry-crosses-versions",
    ConnackFirst = "connack-first",
    NoConnackOnDenyV3 = "no-connack-on-deny-v3",
    DisconnectOnDenyV3 = "disconnect-on-deny-v3",
    TakeoverWill = "takeover-will",
    ClientIdDollar = "client-id-dollar",
    ConnectRate = "connect-rate",
    TopicLimits = "topic-limits",
    DollarTopicsClosed = "dollar-topics-closed",
    UnsubscribedDelivery = "unsubscribed-delivery",
    PayloadCap = "payload-cap",
    MinClientPacketSize = "min-client-packet-size",
    Subscribe8 = "subscribe-8",
    Inflight100 = "inflight-100",
    Rate100Discard = "rate-100-discard",
    SubackBeforeActive = "suback-before-active",
    TopicAlias8 = "topic-alias-8",
    Ws24h = "ws-24h",
    HttpPublishNoClient = "http-publish-no-client",
    EnrichedUserProperties = "enriched-user-properties",
    SessionPresentRace = "session-present-race",
    UnsubackCodes = "unsuback-codes",
    ServerDisconnectV3Api = "server-disconnect-v3-api",
    // Choices where AWS's behaviour is not (fully) known.
    V3RefusalClose = "v3-refusal-close",
    ConnackCodesListed = "connack-codes-listed",
    Mqtt31Accepted = "mqtt31-accepted",
    EmptyClientIdV3Refused = "empty-client-id-v3-refused",
    GeneratedClientIdForm = "generated-client-id-form",
    DeniedPublishQos0V5 = "denied-publish-qos0-v5",
    DeniedPublishQos1V5Closes = "denied-publish-qos1-v5-closes",
    SubscribeSomeDeniedV3 = "subscribe-some-denied-v3",
    ReservedTopicPublishV5 = "reserved-topic-publish-v5",
    InvalidTopicV5Closes = "invalid-topic-v5-closes",
    PayloadTooLargeCode = "payload-too-large-code",
    Qos2PublishV3Close = "qos2-publish-v3-close",
    FiltersOver8Close = "filters-over-8-close",
    Subscription51Close = "subscription-51-close",
    OverlappingSubscriptionsCopies = "overlapping-subscriptions-copies",
    RetainHandlingIgnored = "retain-handling-ignored",
    RetainAsPublishedIgnored = "retain-as-published-ignored",
    WillDelayIgnored = "will-delay-ignored",
    OutboundTopicAliases = "outbound-topic-aliases",
    ReceiveDeniedCloses = "receive-denied-closes",
    SessionQueueBound = "session-queue-bound",
    ThrottledDisconnect = "throttled-disconnect",
    ThrottledPublishPuback = "throttled-publish-puback",
    HttpDenied401 = "http-denied-401",
    WsSubprotocolLenient = "ws-subprotocol-lenient",
    KeepaliveResetList = "keepalive-reset-list",
    // Weaker promises beside the protocol, only ever met on demand.
    PolicyPropagation = "policy-propagation",
    ConnectionLife = "connection-life",
}

impl Divergence {
    /// What it means.
    pub fn row(self) -> &'static DivergenceRow {
        // A test keeps the table in the order of the enum, so the place is always found.
        DIVERGENCES.get(self as usize).unwrap_or(&DIVERGENCES[0])
    }

    /// The quotas that it consists of, where it is a matter of numbers: switching it switches their limits between
    /// AWS's values and those of the `oasis` dialect.
    pub fn quotas(self) -> &'static [QuotaId] {
        match self {
            Self::ClientIdDollar => &[QuotaId::ClientIdSize],
            Self::Inflight100 => &[QuotaId::InflightIn, QuotaId::InflightOut],
            Self::KeepaliveClamp => &[QuotaId::KeepAliveMin, QuotaId::KeepAliveMax],
            Self::MessageExpiryClamp => &[QuotaId::MessageExpiryMin, QuotaId::MessageExpiryMax],
            Self::MinClientPacketSize => &[QuotaId::ClientPacketSizeMin],
            Self::PayloadCap => &[QuotaId::PayloadSize, QuotaId::PacketSize],
            Self::ReplayRate => &[QuotaId::ReplayRate],
            Self::RetainedCapThrottle => &[QuotaId::RetainedMessages],
            Self::RetryGivesUp => &[QuotaId::RetryWindowV3, QuotaId::RetryWindowV5],
            Self::SessionExpiryCap => &[QuotaId::SessionExpiry],
            Self::SessionQueueBound => &[QuotaId::SessionQueueMessages, QuotaId::SessionQueueBytes],
            Self::Subscribe8 => &[QuotaId::FiltersPerSubscribe, QuotaId::SubscriptionsPerConnection],
            Self::TopicAlias8 => &[QuotaId::TopicAliasMax],
            Self::TopicLimits => &[QuotaId::TopicSize, QuotaId::TopicSlashes],
            _ => &[],
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Rows in columns: name, clauses, evidence, stance, on or off by default, state, source page; then what
/// the standard asks, what AWS does, how a client can tell.
macro_rules! rows {
    ($($name:ident [$($clause:literal),*] $evidence:ident $stance:ident $default:ident $state:ident $source:literal,
       $standard:literal => $aws:literal, $observe:literal;)*) => {
        /// The rows of this part, in the order of the enum.
        pub(super) const ROWS: [DivergenceRow; [$(Divergence::$name,)*].len()] = [$(DivergenceRow {
            divergence: Divergence::$name,
            clauses: &[$($clause),*],
            standard: $standard,
            aws: $aws,
            source: $source,
            evidence: Evidence::$evidence,
            stance: Stance::$stance,
            default: rows!(@ $default),
            observe: $observe,
            state: State::$state,
        },)*];
    };
    (@ on) => { true };
    (@ off) => { false };
}
use rows;

/// The whole table: the fifty known differences in the order of their numbers, then the decided choices.
pub static DIVERGENCES: [DivergenceRow; Divergence::COUNT] = joined();

const fn joined() -> [DivergenceRow; Divergence::COUNT] {
    let mut all = [numbered::ROWS[0]; Divergence::COUNT];
    let (numbered, rest) = all.split_at_mut(numbered::ROWS.len());
    numbered.copy_from_slice(&numbered::ROWS);
    rest.copy_from_slice(&decided::ROWS);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        assert_eq!(numbered::ROWS.len(), 50);
        for (place, row) in DIVERGENCES.iter().enumerate() {
            assert_eq!(row.divergence as usize, place, "{}", row.id());
            assert_eq!(Divergence::ALL[place], row.divergence);
        }
    }

    #[test]
    fn ids_round_trip_and_are_kebab_case() {
        for divergence in Divergence::ALL {
            let id = divergence.id();
            assert_eq!(Divergence::from_id(id), Some(*divergence));
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
        }
        assert_eq!(Divergence::from_id("nonsense"), None);
    }

    #[test]
    fn every_row_says_all_it_has_to() {
        for row in &DIVERGENCES {
            for text in [row.standard, row.aws, row.source, row.observe] {
                assert!(!text.is_empty() && !text.contains('|'), "{}: {text:?}", row.id());
            }
            assert!(row.clauses.iter().all(|c| clause_is_well_formed(c)), "{}: {:?}", row.id(), row.clauses);
        }
    }

    #[test]
    fn a_promise_we_may_keep_is_kept() {
        // Weaker promises of AWS are permissions, not orders: the aws dialect does not use them unless clients can
        // tell by more than luck.
        for row in DIVERGENCES.iter().filter(|r| r.stance == Stance::MayWeaken) {
            assert!(!row.default, "{} weakens a promise by default", row.id());
        }
    }

    fn clause_is_well_formed(clause: &str) -> bool {
        let id = clause.strip_prefix("v3 ").unwrap_or(clause);
        let digits = id.strip_prefix("MQTT-").unwrap_or(id);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
    }
}
