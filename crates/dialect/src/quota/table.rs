//! The rows. Columns: name, code, AWS's title; default, select Regions, `oasis` dialect, unit; adjustable, scope;
//! what happens beyond. Which of them are kept, and by which tests, stands in `ledger.rs`.

use super::{Quota, Scope, UNLIMITED, Unit, ledger};

macro_rules! quotas {
    ($($source:literal {
        $($id:ident = $name:literal $code:tt $title:literal, $default:literal $select:literal $oasis:tt $unit:ident,
          $adjust:ident $scope:ident, $consequence:literal;)*
    })*) => {
        /// A quota by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum QuotaId {
            $($(#[doc = $title] $id,)*)*
        }

        impl QuotaId {
            /// How many there are.
            pub const COUNT: usize = [$($(Self::$id,)*)*].len();
        }

        /// The table of quotas.
        pub static QUOTAS: [Quota; QuotaId::COUNT] = [$($(Quota {
            id: QuotaId::$id,
            name: $name,
            code: optional!($code),
            title: $title,
            default: $default,
            select: $select,
            oasis: optional!($oasis),
            unit: Unit::$unit,
            adjustable: word!($adjust),
            scope: Scope::$scope,
            consequence: $consequence,
            keeping: ledger::keeping(QuotaId::$id),
            source: $source,
        },)*)*];
    };
}

macro_rules! optional {
    (-) => {
        None
    };
    (unlimited) => {
        Some(UNLIMITED)
    };
    ($value:literal) => {
        Some($value)
    };
}

macro_rules! word {
    (adjustable) => {
        true
    };
    (fixed) => {
        false
    };
}

quotas! {
    "AWS IoT Core endpoints and quotas: message broker" {
        ClientIdSize = "client-id-bytes" "L-E2D9C89C" "Client ID size", 128 128 960 Bytes,
            fixed Connection, "CONNECT is refused (client identifier not valid)";
        ConnectsPerAccount = "connects-per-account" "L-AEA1E176" "Connect requests per second per account",
            3000 100 unlimited PerSecond, adjustable Account, "CONNECT is refused (quota exceeded)";
        ConnectsPerClientId = "connects-per-client-id" "L-033DE216" "Connect requests per second per client ID",
            1 1 unlimited PerSecond, fixed ClientId, "CONNECT is refused (quota exceeded)";
        KeepAliveMax = "keep-alive-maximum" "L-E77027EF" "Connection inactivity (keep-alive interval)",
            1200 1200 65_535 Seconds, fixed Connection, "a longer interval, or none, is lowered to this";
        Connections = "connections" "L-75CAB723" "Maximum concurrent client connections per account",
            500_000 100_000 1_000_000 Count, adjustable Account, "CONNECT is refused (quota exceeded)";
        Subscriptions = "subscriptions" "L-52CBB99B" "Subscriptions per account", 500_000 100_000 10_000_000 Count,
            adjustable Account, "the filter is refused in the SUBACK";
        SubscriptionsPerConnection = "subscriptions-per-connection" "L-45957C13" "Subscriptions per connection",
            50 50 100_000 Count, adjustable Connection, "the filter is refused in the SUBACK";
        SubscribesPerAccount = "subscribes-per-account" "L-589D5E1D" "Subscriptions per second per account",
            3000 200 unlimited PerSecond, adjustable Account, "the filter is refused in the SUBACK";
        FiltersPerSubscribe = "filters-per-subscribe" "L-A6574E9E" "Maximum subscriptions per subscribe request",
            8 8 10_000 Count, fixed Request, "every filter of the packet is refused in the SUBACK";
        SharedGroups = "shared-groups" "L-850876C0" "Shared subscription groups per account", 100 100 10_000 Count,
            fixed Account, "the filter is refused in the SUBACK";
        SharedMembers = "shared-group-members" "L-EB813241" "Shared subscriptions per group", 100 100 10_000 Count,
            fixed SharedGroup, "the filter is refused in the SUBACK";
        SharedRequests = "shared-group-requests" "L-757705D9"
            "Subscribe and unsubscribe requests per second per group", 100 100 unlimited PerSecond,
            fixed SharedGroup, "the filter is refused in the SUBACK or UNSUBACK";
        SharedQueue = "shared-group-queue" "L-5C386551" "Queued messages per shared subscription group (approximate)",
            500_000 100_000 10_000_000 Count, adjustable SharedGroup, "new messages are dropped, old ones kept";
        QueuedPerAccount = "queued-per-account" "L-35DA9240" "Queued messages per second per account",
            500 500 unlimited PerSecond, adjustable Account, "the message is not queued";
        PublishesInPerAccount = "publishes-in-per-account" "L-4B33E451" "Inbound publishes per second per account",
            20_000 2000 unlimited PerSecond, adjustable Account, "discarded, no PUBACK (MQTT 5: PUBACK 0x97)";
        PublishesOutPerAccount = "publishes-out-per-account" "L-FE4EDCF9"
            "Outbound publishes per second per account", 20_000 2000 unlimited PerSecond,
            adjustable Account, "QoS 0 is dropped, QoS 1 waits";
        PublishesPerConnection = "publishes-per-connection" "L-083F3861" "Publishes per second per connection",
            100 100 unlimited PerSecond, fixed Connection, "inbound: discarded, no PUBACK (MQTT 5: PUBACK 0x97); outbound: QoS 0 is dropped, QoS 1 waits";
        ThroughputPerConnection = "throughput-per-connection" "L-D9C66F9D" "Throughput per second per connection",
            524_288 524_288 unlimited BytesPerSecond, fixed Connection, "the connection is not read for a while; nothing is lost";
        InflightIn = "inflight-in" "L-8736D8E0" "Maximum inbound unacknowledged QoS 1 publishes",
            100 100 1_024 Count, fixed Connection,
            "nothing more is accepted until a PUBACK; MQTT 5: DISCONNECT 0x93";
        InflightOut = "inflight-out" "L-0DD80F19" "Maximum outbound unacknowledged QoS 1 publishes",
            100 100 65_535 Count, fixed Connection, "further messages wait";
        RetryWindowV5 = "retry-window-v5" "L-675FC798" "Maximum retry interval for delivering QoS 1 messages",
            960 960 4_294_967_295 Seconds, fixed Connection,
            "a message that an MQTT 5 client did not acknowledge is dropped";
        SessionExpiry = "session-expiry-maximum" "L-3BB6AFBC" "Persistent session expiry period",
            3600 3600 4_294_967_295 Seconds, adjustable Account,
            "a longer expiry is lowered to this; MQTT 3.1.1 sessions always have it";
        RetainedMessages = "retained-messages" "L-57BADEF0" "Maximum number of retained messages per account",
            500_000 100_000 1_000_000 Count, adjustable Account,
            "publishes that would retain one more are throttled, deletions pass";
        RetainedPerAccount = "retained-publishes-per-account" "L-BAFC6221"
            "Inbound publishes with RETAIN per second per account", 500 50 unlimited PerSecond,
            adjustable Account, "discarded, no PUBACK (MQTT 5: PUBACK 0x97)";
        RetainedPerTopic = "retained-publishes-per-topic" "L-771FD74A"
            "Inbound publishes with RETAIN per second per topic", 1 1 unlimited PerSecond,
            fixed Topic, "discarded, no PUBACK (MQTT 5: PUBACK 0x97)";
        PayloadSize = "payload-bytes" "L-13573643" "MQTT payload size", 131_072 131_072 786_432 Bytes,
            fixed Request, "the connection is closed (PAYLOAD_LIMIT_EXCEEDED)";
        PacketSize = "packet-bytes" "L-78413E12" "Maximum MQTT 5 packet size", 149_504 149_504 16_777_216 Bytes,
            fixed Request, "the connection is closed";
        ClientPacketSizeMin = "client-packet-bytes-minimum" "L-64BE4C6D" "Minimum MQTT 5 maximum packet size",
            512 512 1 Bytes, fixed Connection, "CONNECT is refused";
        ContentTypeSize = "content-type-bytes" "L-037A5A45" "Maximum MQTT 5 Content Type length", 256 256 65_535 Bytes,
            fixed Request, "the connection is closed (quota exceeded)";
        CorrelationDataSize = "correlation-data-bytes" "L-7E9783FF" "Maximum MQTT 5 Correlation Data length",
            8192 8192 65_535 Bytes, fixed Request, "the connection is closed (quota exceeded)";
        UserPropertiesSize = "user-properties-bytes" "L-7201B389" "Maximum total length of MQTT 5 User Properties",
            8192 8192 65_535 Bytes, fixed Request, "the connection is closed (quota exceeded)";
        TopicAliasMax = "topic-alias-maximum" "L-C0EA6C17" "Maximum MQTT 5 Topic Alias value", 8 8 1024 Count,
            adjustable Connection, "DISCONNECT 0x94";
        MessageExpiryMax = "message-expiry-maximum" "L-BD70FE3A" "Maximum Message Expiry Interval",
            604_800 604_800 4_294_967_295 Seconds, fixed Request, "a longer interval is lowered to this";
        TopicSize = "topic-bytes" "L-ECD9BEEF" "Topic size", 256 256 960 Bytes,
            fixed Request, "refused with 0x90 (topic) or 0x8F (filter); MQTT 3.1.1: closed";
        TopicSlashes = "topic-slashes" "L-AD5A8D4F" "Maximum number of slashes in topic and topic filter",
            7 7 65_535 Count, fixed Request, "refused with 0x90 (topic) or 0x8F (filter); MQTT 3.1.1: closed";
        WebsocketDuration = "websocket-duration" "L-3F401592" "WebSocket connection duration",
            86_400 86_400 4_294_967_295 Seconds,
            fixed Connection, "the connection is closed (WEBSOCKET_TTL_EXPIRATION)";
        DeleteConnectionRate = "delete-connection-rate" "L-6F708547" "DeleteConnection requests per second", 100 100 unlimited
            PerSecond, adjustable Account, "429 ThrottlingException";
        DeleteConnectionPerClientId = "delete-connection-rate-per-client-id" "L-AC33745E"
            "DeleteConnection requests per second per client ID", 1 1 unlimited PerSecond,
            fixed ClientId, "429 ThrottlingException";
        GetConnectionRate = "get-connection-rate" "L-8DDC8969" "GetConnection requests per second", 100 100 unlimited PerSecond,
            adjustable Account, "429 ThrottlingException";
        GetConnectionPerClientId = "get-connection-rate-per-client-id" -
            "GetConnection requests per second per client ID", 1 1 unlimited PerSecond,
            fixed ClientId, "429 ThrottlingException";
        ListSubscriptionsRate = "list-subscriptions-rate" "L-AB85397C" "ListSubscriptions requests per second",
            100 100 unlimited PerSecond, adjustable Account, "429 ThrottlingException";
        ListSubscriptionsPerClientId = "list-subscriptions-rate-per-client-id" -
            "ListSubscriptions requests per second per client ID", 1 1 unlimited PerSecond,
            fixed ClientId, "429 ThrottlingException";
        SendDirectMessageRate = "send-direct-message-rate" "L-889910A2" "SendDirectMessage requests per second",
            20_000 2000 unlimited PerSecond, adjustable Account, "429 ThrottlingException";
        GetRetainedRate = "get-retained-message-rate" "L-1243AB32" "GetRetainedMessage requests per second",
            500 50 unlimited PerSecond, adjustable Account, "429 ThrottlingException";
        ListRetainedRate = "list-retained-messages-rate" - "ListRetainedMessages requests per second", 10 10 unlimited PerSecond,
            adjustable Account, "429 ThrottlingException";
    }
    "developer guide, MQTT" {
        KeepAliveMin = "keep-alive-minimum" - "Minimum keep-alive interval", 30 30 0 Seconds,
            fixed Connection, "a shorter interval is raised to this";
        RetryWindowV3 = "retry-window-v3" - "Retry window of QoS 1 messages for MQTT 3.1.1 clients",
            3600 3600 4_294_967_295 Seconds, fixed Connection,
            "a message that an MQTT 3.1.1 client did not acknowledge is dropped";
        ShareNameSize = "share-name-characters" - "Length of the name of a shared subscription", 128 128 128
            Characters, fixed Request, "refused with 0x8F; MQTT 3.1.1: closed";
        MessageExpiryMin = "message-expiry-minimum" - "Minimum Message Expiry Interval", 1 1 0 Seconds,
            fixed Request, "a shorter interval is raised to this";
        ReplayRate = "replay-rate" - "Stored messages sent per second to a client that came back", 10 10 unlimited PerSecond,
            fixed Connection, "stored messages wait";
        SharedDrainRate = "shared-group-drain-rate" - "Queued messages sent per second to a member of a shared group",
            20 20 unlimited PerSecond, fixed Connection, "queued messages wait";
    }
    "reported by AWS's client library authors" {
        RetryFirst = "retry-first" - "Time before an unacknowledged message is sent again", 30 30 30 Seconds,
            fixed Connection, "the message is sent again while the connection lasts";
    }
    "bounds of this broker; AWS publishes none" {
        ConnectTimeout = "connect-timeout" - "Time from accepted socket to CONNECT", 10 10 10 Seconds,
            adjustable Connection, "the connection is closed";
        SessionQueueMessages = "session-queue-messages" - "Messages kept for one session", 1_000_000 1_000_000 10_000_000 Count,
            adjustable Connection, "new messages are dropped, old ones kept";
        SessionQueueBytes = "session-queue-bytes" - "Bytes of payload kept for one session",
            1_073_741_824 1_073_741_824 8_589_934_592 Bytes, adjustable Connection,
            "new messages are dropped, old ones kept";
        OutboxBytes = "outbox-bytes" - "Bytes waiting to be written to one connection", 1_048_576 1_048_576 33_554_432
            Bytes, adjustable Connection, "QoS 0 is dropped, QoS 1 waits in the session's queue";
    }
    "AWS IoT Core endpoints and quotas: registry" {
        AttributesWithType = "thing-attributes-with-type" "L-3964F400" "Attributes of a thing with a thing type",
            50 50 - Count, adjustable Resource, "400 InvalidRequestException";
        AttributesWithoutType = "thing-attributes-without-type" "L-945D2414" "Attributes of a thing without a thing type",
            3 3 - Count, fixed Resource, "400 InvalidRequestException";
        AttributeBytes = "thing-attribute-bytes" "L-5104A2FD" "Size of all attributes of a thing", 48_128 48_128 - Bytes,
            adjustable Resource, "400 InvalidRequestException";
        ThingTypesPerThing = "thing-types-per-thing" "L-7D0B47D6" "Thing types of a thing", 1 1 - Count,
            fixed Resource, "the shape of the request allows one only";
        PropagatingAttributes = "propagating-attributes" "L-FBACAF74" "Propagating attributes of a thing type",
            20 20 - Count, fixed Resource, "400 InvalidRequestException";
        ThingNameSize = "thing-name-bytes" "L-83BC2FA9" "Thing name size", 128 128 - Bytes,
            fixed Resource, "400 InvalidRequestException";
        ThingGroupNameSize = "thing-group-name-bytes" "L-3BB07D58" "Thing group name size", 128 128 - Bytes,
            fixed Resource, "400 InvalidRequestException";
        GroupDepth = "thing-group-depth" "L-1AC7411F" "Depth of a thing group hierarchy", 7 7 - Count,
            fixed Resource, "400 InvalidRequestException";
        GroupAttributes = "thing-group-attributes" "L-DC6BC7AF" "Attributes of a thing group", 50 50 - Count,
            fixed Resource, "400 InvalidRequestException";
        GroupAttributeName = "thing-group-attribute-name" "L-AB8384AA" "Name of a thing group's attribute",
            128 128 - Characters, fixed Resource, "400 InvalidRequestException";
        GroupAttributeValue = "thing-group-attribute-value" "L-AF06EF1C" "Value of a thing group's attribute",
            800 800 - Characters, fixed Resource, "400 InvalidRequestException";
        ChildGroups = "child-groups" "L-9D744041" "Direct child groups of a thing group", 100 100 - Count,
            fixed Resource, "LimitExceededException or InvalidRequestException";
        DynamicGroups = "dynamic-groups" "L-6EC13FE5" "Dynamic thing groups", 100 100 - Count,
            fixed Account, "LimitExceededException";
        GroupsPerThing = "groups-per-thing" "L-C12BBB7E" "Thing groups of a thing", 10 10 - Count,
            fixed Resource, "400 InvalidRequestException";
        BillingGroups = "billing-groups" - "Billing groups per account", 20_000 20_000 - Count,
            fixed Account, "400 InvalidRequestException";
        RegistrationTasks = "registration-tasks" "L-E0945F24" "Running bulk registration tasks", 1 1 - Count,
            fixed Account, "LimitExceededException";
        RegistrationLine = "registration-line-bytes" "L-D4CA1ECC" "Line of a bulk registration file",
            256_000 256_000 - Bytes, fixed Request, "the line fails";
        RegistrationRetention = "registration-retention" "L-8B5FA95E" "Retention of bulk registration tasks", 30 30 - Days,
            fixed Resource, "the task is forgotten";
        RegistrationStop = "registration-stop" "L-97D120C3" "Bulk registration tasks stop after", 30 30 - Days,
            fixed Resource, "the task stops";
    }
    "AWS IoT Core endpoints and quotas: security and identity" {
        PolicySize = "policy-characters" "L-D9B73671" "Policy document size without white space", 2048 2048 - Characters,
            fixed Resource, "400 MalformedPolicyException";
        PoliciesPerPrincipal = "policies-per-principal" "L-BC2638B3"
            "Policies attached to a certificate or Cognito identity", 10 10 - Count,
            fixed Resource, "410 LimitExceededException";
        PolicyVersions = "policy-versions" "L-5F6C2444" "Versions of a policy", 5 5 - Count,
            fixed Resource, "409 VersionsLimitExceededException";
        CertificatesPerSecond = "certificates-per-second" "L-3E927DFC" "Device certificates registered per second",
            15 15 unlimited PerSecond, adjustable Account, "429 ThrottlingException";
        CaSubjects = "ca-certificates-per-subject" "L-A26060BE" "CA certificates with one subject", 10 10 - Count,
            fixed Account, "LimitExceededException or InvalidRequestException";
        Authorizers = "authorizers" "L-78E3C43F" "Custom authorizers", 100 100 - Count,
            fixed Account, "LimitExceededException";
        ActiveAuthorizers = "authorizers-active" "L-FC25158E" "Active custom authorizers", 32 32 - Count,
            fixed Account, "LimitExceededException";
        DomainConfigurations = "domain-configurations" "L-89635276" "Domain configurations", 10 10 - Count,
            adjustable Account, "LimitExceededException";
        RoleAliases = "role-aliases" "L-8AF17D80" "Role aliases", 100 100 - Count,
            fixed Account, "LimitExceededException";
        ProvisioningTemplates = "provisioning-templates" "L-345B62A1" "Fleet provisioning templates", 256 256 - Count,
            fixed Account, "LimitExceededException";
        ProvisioningVersions = "provisioning-template-versions" "L-71FA7EC4" "Versions of a provisioning template",
            5 5 - Count, fixed Resource, "409 VersionsLimitExceededException";
        ProvisioningSize = "provisioning-template-bytes" "L-3B9C1B78" "Size of a provisioning template",
            10_240 10_240 - Bytes, fixed Resource, "400 InvalidRequestException";
        LoggingConfigurations = "logging-configurations" "L-055B4A38" "Resource-specific logging configurations",
            1000 1000 - Count, fixed Account, "LimitExceededException";
    }
    "security guide: policies" {
        PoliciesPerGroup = "policies-per-thing-group" - "Policies attached to a thing group", 2 2 - Count,
            fixed Resource, "410 LimitExceededException";
    }
}
