//! What AWS bills and what it does not: one row for each kind of thing that happens. `docs/reference/metering.md` is
//! generated from this table, and nothing else decides what costs money.
//!
//! Source: *AWS IoT Core pricing*, *AWS IoT Core additional metering details*, developer guide, *Basic Ingest*.

use std::fmt;

/// What is counted and priced by its own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Minutes of connection.
    Connectivity,
    /// Messages in steps of 5 KB.
    Messaging,
    /// Operations of Device Shadow and registry, in steps of 1 KB.
    ShadowRegistry,
    /// Rules triggered, in steps of 5 KB.
    Rules,
    /// Actions executed, in steps of 5 KB.
    Actions,
}

impl Dimension {
    /// All of them, in the order of a bill.
    pub const ALL: [Self; 5] =
        [Self::Connectivity, Self::Messaging, Self::ShadowRegistry, Self::Rules, Self::Actions];

    /// The name in price files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connectivity => "connectivity",
            Self::Messaging => "messaging",
            Self::ShadowRegistry => "shadow-registry",
            Self::Rules => "rules",
            Self::Actions => "actions",
        }
    }

    /// What one unit is.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Connectivity => "minute",
            Self::Messaging => "5 KB",
            Self::ShadowRegistry => "operation of 1 KB",
            Self::Rules => "rule of 5 KB",
            Self::Actions => "action of 5 KB",
        }
    }

    /// The dimension of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.name() == name)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// In what steps a size becomes units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Each is one unit, whatever its size.
    One,
    /// Started steps of so many kilobytes, one at least.
    Kilobytes(u64),
    /// The same, but nothing of nothing.
    KilobytesOrNone(u64),
}

impl Step {
    /// Units of a size. `kilobyte` is 1024 or 1000, see [`crate::Switches::kilobyte`].
    pub fn units(self, bytes: u64, kilobyte: u64) -> u64 {
        match self {
            Self::One => 1,
            Self::Kilobytes(step) => bytes.div_ceil((step * kilobyte).max(1)).max(1),
            Self::KilobytesOrNone(step) => bytes.div_ceil((step * kilobyte).max(1)),
        }
    }
}

impl Step {
    /// Bytes of a step; 0 if size does not matter.
    pub fn bytes(self, kilobyte: u64) -> u64 {
        match self {
            Self::One => 0,
            Self::Kilobytes(step) | Self::KilobytesOrNone(step) => step * kilobyte,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("each 1"),
            Self::Kilobytes(step) => write!(f, "started {step} KB, at least 1"),
            Self::KilobytesOrNone(step) => write!(f, "started {step} KB, none if empty"),
        }
    }
}

/// Whether it costs money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billed {
    /// Yes, by AWS's documentation.
    Yes,
    /// No, by AWS's documentation.
    Free,
    /// Nobody outside AWS knows: a switch of [`crate::Switches`], with this default.
    Switch(bool),
}

/// How well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// AWS's pages say so.
    Documented,
    /// It follows from what they say.
    Inferred,
    /// Not known; the default is the side on which a budget is safe, or the plain reading.
    Unconfirmed,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Documented => "documented",
            Self::Inferred => "inferred",
            Self::Unconfirmed => "UNCONFIRMED",
        })
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name in answers and switches.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    /// By which unit it is billed.
    pub dimension: Dimension,
    /// Whether.
    pub billed: Billed,
    /// Which bytes count.
    pub size: &'static str,
    /// In what steps.
    pub step: Step,
    /// Where AWS says so.
    pub source: &'static str,
    /// How well it is known.
    pub evidence: Evidence,
    /// Whether something in this broker tells of it yet.
    pub metered: bool,
}

macro_rules! items {
    ($($item:ident = $name:literal, $dimension:ident, $billed:expr, $step:expr, $evidence:ident, $metered:literal,
        $what:literal, $size:literal, $source:literal;)*) => {
        /// A kind of billable (or free) event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Item {
            $(#[doc = $what] $item,)*
        }

        impl Item {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// Its row.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$item => Row {
                        name: $name, what: $what, dimension: Dimension::$dimension, billed: $billed, size: $size,
                        step: $step, source: $source, evidence: Evidence::$evidence, metered: $metered,
                    },)*
                }
            }
        }
    };
}

const MESSAGE: Step = Step::Kilobytes(5);

items! {
    ConnectionMinute = "connection-minute", Connectivity, Billed::Yes, Step::One, Inferred, true,
        "A started minute of a connection.", "–", "pricing, connectivity; each connection rounded up by itself";
    Connect = "connect", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A CONNECT that was accepted.", "client id, user name, password, will topic and payload; MQTT 5: texts of its properties", "metering details, Connect";
    RefusedConnect = "refused-connect", Messaging, Billed::Switch(false), Step::One, Unconfirmed, true,
        "A CONNECT that was refused.", "–", "not documented";
    PublishIn = "publish-in", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A PUBLISH from a device that was accepted.", "topic, payload; MQTT 5: user properties, response topic, correlation data, content type", "metering details, Publish";
    BasicIngest = "basic-ingest", Messaging, Billed::Free, MESSAGE, Documented, true,
        "A PUBLISH to `$aws/rules/`.", "topic, payload, properties", "developer guide, Basic Ingest";
    Retained = "retained", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "The second charge of a PUBLISH with RETAIN, by MQTT, HTTP or as a will.", "as the PUBLISH", "metering details, MQTT RETAINED";
    Will = "will", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A will that was published.", "topic, payload, properties", "metering details, LWT";
    Subscribe = "subscribe", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A SUBSCRIBE packet.", "filters; MQTT 5: user properties", "metering details, Subscribe";
    Delivery = "delivery", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A PUBLISH to a subscriber: one for each recipient, retained and direct messages too.", "topic, payload; to MQTT 5: properties as above", "metering details, Publish";
    Redelivery = "repeated-delivery", Messaging, Billed::Switch(false), MESSAGE, Unconfirmed, true,
        "The same once more, because no PUBACK came.", "as the delivery", "not documented";
    Acknowledgement = "puback", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A PUBACK from a device.", "MQTT 5: user properties, reason string", "metering details, PubAck";
    Queued = "queued", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "A message queued for a session that is away, or for a shared group. Its delivery is billed again; its expiry gives nothing back.", "as the delivery", "developer guide, MQTT persistent sessions, shared subscriptions";
    ShadowMessage = "shadow-message", Messaging, Billed::Switch(true), MESSAGE, Unconfirmed, true,
        "A message on a topic of a Device Shadow, either way. The shadow's operation is billed by its own unit.", "topic, payload, properties", "not documented";
    LifecycleDelivery = "lifecycle-delivery", Messaging, Billed::Switch(true), MESSAGE, Unconfirmed, true,
        "A lifecycle event (`$aws/events/`) to a subscriber. That AWS publishes it is free here.", "topic, payload", "not documented";
    HttpRequest = "http-request", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "An HTTP request of the data plane, answered with success or not.", "body; Publish: MQTT 5 properties too", "metering details, HTTP";
    HttpResponse = "http-response", Messaging, Billed::Yes, Step::KilobytesOrNone(5), Documented, true,
        "The body of its answer, of 4xx and 5xx too.", "body", "metering details, HTTP";
    RetainedRead = "retained-read", Messaging, Billed::Yes, MESSAGE, Documented, true,
        "GetRetainedMessage.", "body of the answer", "developer guide, retained messages";
    RetainedList = "retained-list", Messaging, Billed::Switch(true), MESSAGE, Unconfirmed, true,
        "ListRetainedMessages.", "body of the answer", "developer guide, retained messages (may be charged)";
    Ping = "ping", Messaging, Billed::Free, Step::One, Documented, true,
        "A PINGREQ, of which one in 30 s is free.", "–", "metering details, Ping";
    PingBeyond = "ping-beyond", Messaging, Billed::Switch(true), Step::One, Unconfirmed, true,
        "One more message for a PINGREQ sooner than 30 s after the one before (a second is forgiven).", "–", "metering details, Ping; how the ones beyond are charged is not documented";
    RegistryOperation = "registry-operation", ShadowRegistry, Billed::Yes, Step::Kilobytes(1), Inferred, true,
        "An operation of the registry that AWS names as billed, answered with success.", "the longer body of request and answer, for the record", "metering details, Registry";
    ShadowOperation = "shadow-operation", ShadowRegistry, Billed::Yes, Step::Kilobytes(1), Inferred, false,
        "GetThingShadow, UpdateThingShadow, DeleteThingShadow; by MQTT when shadows are built.", "the longer body of request and answer, for the record", "metering details, Device Shadow";
    RuleTriggered = "rule-triggered", Rules, Billed::Yes, MESSAGE, Documented, false,
        "A rule that a message triggered.", "the message", "pricing, rules engine";
    ActionExecuted = "action-executed", Actions, Billed::Yes, MESSAGE, Documented, false,
        "An action, external function or protobuf decoding of a rule.", "the message", "pricing, rules engine";
    QueueExpired = "queue-expired", Messaging, Billed::Free, Step::One, Documented, true,
        "A queued message that expired, or a session that ended with messages waiting. They were billed when they were queued.", "–", "developer guide, MQTT persistent sessions";
}

/// Packets that cost nothing and are not counted.
pub const FREE_PACKETS: &str =
    "PINGRESP, CONNACK, DISCONNECT, SUBACK, UNSUBSCRIBE, UNSUBACK, PUBACK from the service";

/// The operations of the registry that are billed.
pub const REGISTRY_OPERATIONS: [&str; 18] = [
    "AddThingToThingGroup",
    "AttachThingPrincipal",
    "CreateThing",
    "CreateThingGroup",
    "CreateThingType",
    "DescribeThing",
    "DescribeThingGroup",
    "DescribeThingType",
    "ListPrincipalThings",
    "ListThingGroups",
    "ListThingGroupsForThing",
    "ListThingPrincipals",
    "ListThings",
    "ListThingsInThingGroup",
    "ListThingTypes",
    "UpdateThing",
    "UpdateThingGroup",
    "UpdateThingGroupsForThing",
];

impl Item {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in answers and switches.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The item of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|item| item.name() == name)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl serde::Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| serde::de::Error::custom(format!("no item is called {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = Item::ALL.iter().map(|item| item.name()).collect();
        assert_eq!(names.len(), Item::COUNT);
        assert!(Item::ALL.iter().all(|item| Item::named(item.name()) == Some(*item)));
        assert!(Dimension::ALL.iter().all(|one| Dimension::named(one.name()) == Some(*one)));
    }

    #[test]
    fn switches_are_what_is_not_confirmed() {
        for item in Item::ALL {
            let row = item.row();
            let switched = matches!(row.billed, Billed::Switch(_));
            assert_eq!(switched, row.evidence == Evidence::Unconfirmed, "{item}");
        }
    }

    #[test]
    fn sizes_become_started_steps() {
        let units = |bytes| MESSAGE.units(bytes, 1024);
        assert_eq!([0, 1, 5120, 5121, 10_240, 131_072].map(units), [1, 1, 1, 2, 2, 26]);
        assert_eq!(MESSAGE.units(5001, 1000), 2);
        assert_eq!(MESSAGE.units(128_000, 1000), 26);
        assert_eq!(Step::KilobytesOrNone(5).units(0, 1024), 0);
        assert_eq!(Step::One.units(1 << 40, 1024), 1);
    }
}
