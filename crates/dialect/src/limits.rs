//! The limits that a running broker keeps, filled from the table of quotas.

use std::time::Duration;

use crate::{InvalidSetting, Quota, QuotaId, Rate};

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $quota:ident,)*) => {
        /// Limits in force. Every field takes its value from the row of [`crate::QUOTAS`] that its doc names.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* #[doc = concat!(" Quota: [`QuotaId::", stringify!($quota), "`].")] pub $field: $type,)*
        }

        impl Limits {
            /// AWS's values in most Regions.
            pub fn aws() -> Self {
                Self { $($field: Amount::from_quota(QuotaId::$quota.row().default),)* }
            }

            /// AWS's values in the Regions with lower defaults.
            pub fn select() -> Self {
                Self { $($field: Amount::from_quota(QuotaId::$quota.row().select),)* }
            }

            /// The values of the `oasis` dialect.
            pub fn oasis() -> Self {
                Self { $($field: {
                    let row = QuotaId::$quota.row();
                    Amount::from_quota(row.oasis.unwrap_or(row.default))
                },)* }
            }

            /// Sets the limit that belongs to a quota. Quotas without a limit here cannot be set.
            pub(crate) fn set(&mut self, quota: &'static Quota, value: u64) -> Result<(), InvalidSetting> {
                match quota.id {
                    $(QuotaId::$quota => set(&mut self.$field, quota, value),)*
                    _ => Err(InvalidSetting::UnknownQuota(quota.name.to_owned())),
                }
            }

            /// The value in force of a quota that has a limit here, in the quota's unit.
            pub fn get(&self, id: QuotaId) -> Option<u64> {
                match id {
                    $(QuotaId::$quota => Some(Amount::to_quota(&self.$field)),)*
                    _ => None,
                }
            }

            /// Gives a limit AWS's value or that of the `oasis` dialect.
            pub(crate) fn reset(&mut self, id: QuotaId, aws: bool) {
                let row = id.row();
                let value = if aws { row.default } else { row.oasis.unwrap_or(row.default) };
                // The table's own values fit, and a quota without a limit has nothing to reset.
                let _ = self.set(row, value);
            }

            /// The quotas that have a limit here.
            pub const QUOTAS: &'static [QuotaId] = &[$(QuotaId::$quota,)*];
        }
    };
}

limits! {
    /// Longest payload, bytes.
    payload_bytes: usize = PayloadSize,
    /// Longest packet, bytes: the broker's Maximum Packet Size.
    packet_bytes: u32 = PacketSize,
    /// Smallest Maximum Packet Size that a client may announce, bytes.
    client_packet_bytes_min: u32 = ClientPacketSizeMin,
    /// Longest topic or filter, bytes; without the prefix of Basic Ingest or of a shared subscription.
    topic_bytes: usize = TopicSize,
    /// Most slashes in a topic or filter; without the prefix of Basic Ingest or of a shared subscription.
    topic_slashes: usize = TopicSlashes,
    /// Most filters in one SUBSCRIBE.
    subscribe_filters: usize = FiltersPerSubscribe,
    /// Most subscriptions of one connection.
    subscriptions_per_connection: usize = SubscriptionsPerConnection,
    /// Most subscriptions of the account.
    subscriptions: usize = Subscriptions,
    /// Most connections of the account at one time.
    connections: usize = Connections,
    /// Longest client id, bytes.
    client_id_bytes: usize = ClientIdSize,
    /// Shortest keep-alive interval, seconds.
    keep_alive_min: u16 = KeepAliveMin,
    /// Longest keep-alive interval, seconds. A client that asks for none gets this one.
    keep_alive_max: u16 = KeepAliveMax,
    /// Unacknowledged QoS 1 publishes from a client: the broker's Receive Maximum.
    inflight_in: u16 = InflightIn,
    /// Unacknowledged QoS 1 publishes to a client. The client's Receive Maximum may lower it.
    inflight_out: u16 = InflightOut,
    /// Longest session expiry, seconds; also the expiry of persistent MQTT 3.1.1 sessions.
    session_expiry_max: u32 = SessionExpiry,
    /// Longest Content Type, bytes.
    content_type_bytes: usize = ContentTypeSize,
    /// Longest Correlation Data, bytes.
    correlation_data_bytes: usize = CorrelationDataSize,
    /// Most bytes in all keys and values of the User Properties of one packet.
    user_properties_bytes: usize = UserPropertiesSize,
    /// Highest topic alias that a client may use.
    topic_alias_max: u16 = TopicAliasMax,
    /// Shortest message expiry, seconds.
    message_expiry_min: u32 = MessageExpiryMin,
    /// Longest message expiry, seconds.
    message_expiry_max: u32 = MessageExpiryMax,
    /// Time before an unacknowledged QoS 1 message is sent again.
    retry_first: Duration = RetryFirst,
    /// Time after which an MQTT 3.1.1 client's unacknowledged message is dropped.
    retry_window_v3: Duration = RetryWindowV3,
    /// Time after which an MQTT 5 client's unacknowledged message is dropped.
    retry_window_v5: Duration = RetryWindowV5,
    /// Longest name of a shared subscription, characters.
    share_name_chars: usize = ShareNameSize,
    /// Most groups of shared subscriptions of the account.
    shared_groups: usize = SharedGroups,
    /// Most members of one group of shared subscriptions.
    shared_group_members: usize = SharedMembers,
    /// Most retained messages of the account.
    retained_messages: usize = RetainedMessages,
    /// Longest wait for a CONNECT.
    connect_timeout: Duration = ConnectTimeout,
    /// Most messages kept for one session.
    session_queue_messages: usize = SessionQueueMessages,
    /// Most bytes of payload kept for one session.
    session_queue_bytes: usize = SessionQueueBytes,
    /// Most bytes that wait to be written to one connection.
    outbox_bytes: usize = OutboxBytes,
    /// CONNECTs of the account.
    connects_per_account: Rate = ConnectsPerAccount,
    /// CONNECTs of one client id.
    connects_per_client_id: Rate = ConnectsPerClientId,
    /// Filters that the account subscribes to.
    subscribes_per_account: Rate = SubscribesPerAccount,
    /// SUBSCRIBE and UNSUBSCRIBE requests for one group of shared subscriptions.
    shared_group_requests: Rate = SharedRequests,
    /// Most messages queued for one group of shared subscriptions.
    shared_group_queue: usize = SharedQueue,
    /// Messages of the account that are queued for sessions that are away.
    queued_per_account: Rate = QueuedPerAccount,
    /// Publishes from all clients.
    publishes_in_per_account: Rate = PublishesInPerAccount,
    /// Publishes to all clients.
    publishes_out_per_account: Rate = PublishesOutPerAccount,
    /// Publishes of one connection, in each direction.
    publishes_per_connection: Rate = PublishesPerConnection,
    /// Bytes of one connection, in each direction.
    throughput_per_connection: Rate = ThroughputPerConnection,
    /// Publishes with RETAIN from all clients.
    retained_per_account: Rate = RetainedPerAccount,
    /// Publishes with RETAIN to one topic.
    retained_per_topic: Rate = RetainedPerTopic,
    /// Stored messages sent to a client that came back.
    replay_rate: Rate = ReplayRate,
    /// Queued messages sent to one member of a shared group.
    shared_drain_rate: Rate = SharedDrainRate,
    /// Longest life of a WebSocket.
    websocket_duration: Duration = WebsocketDuration,
    /// DeleteConnection requests.
    delete_connection: Rate = DeleteConnectionRate,
    /// DeleteConnection requests for one client id.
    delete_connection_per_client_id: Rate = DeleteConnectionPerClientId,
    /// GetConnection requests.
    get_connection: Rate = GetConnectionRate,
    /// GetConnection requests for one client id.
    get_connection_per_client_id: Rate = GetConnectionPerClientId,
    /// ListSubscriptions requests.
    list_subscriptions: Rate = ListSubscriptionsRate,
    /// ListSubscriptions requests for one client id.
    list_subscriptions_per_client_id: Rate = ListSubscriptionsPerClientId,
    /// SendDirectMessage requests.
    send_direct_message: Rate = SendDirectMessageRate,
    /// GetRetainedMessage requests.
    get_retained: Rate = GetRetainedRate,
    /// ListRetainedMessages requests.
    list_retained: Rate = ListRetainedRate,
    /// Device certificates that are registered.
    certificates_per_second: Rate = CertificatesPerSecond,
}

/// A type that a limit can have.
trait Amount: Sized {
    /// The value, or the type's largest if it does not fit.
    fn from_quota(value: u64) -> Self;
    /// The value in the quota's unit.
    fn to_quota(&self) -> u64;
    /// The largest value in the quota's unit.
    const MOST: u64;
}

macro_rules! amounts {
    ($($type:ty)*) => {
        $(impl Amount for $type {
            fn from_quota(value: u64) -> Self {
                <$type>::try_from(value).unwrap_or(<$type>::MAX)
            }
            fn to_quota(&self) -> u64 {
                *self as u64
            }
            const MOST: u64 = <$type>::MAX as u64;
        })*
    };
}

amounts! { usize u32 u16 }

impl Amount for Duration {
    fn from_quota(value: u64) -> Self {
        Duration::from_secs(value)
    }
    fn to_quota(&self) -> u64 {
        self.as_secs()
    }
    const MOST: u64 = u32::MAX as u64;
}

impl Amount for Rate {
    fn from_quota(value: u64) -> Self {
        u32::try_from(value).map_or(Rate::UNLIMITED, Rate::per_second)
    }
    fn to_quota(&self) -> u64 {
        self.limit().unwrap_or(u32::MAX).into()
    }
    const MOST: u64 = u32::MAX as u64;
}

/// Sizes of what is stored: the `oasis` dialect has as much as the store takes, and nobody may have more.
const STORED: &[QuotaId] = &[
    QuotaId::ClientIdSize,
    QuotaId::PayloadSize,
    QuotaId::ContentTypeSize,
    QuotaId::CorrelationDataSize,
    QuotaId::UserPropertiesSize,
    QuotaId::TopicSize,
    QuotaId::ShareNameSize,
];

fn set<A: Amount>(field: &mut A, quota: &'static Quota, value: u64) -> Result<(), InvalidSetting> {
    let stored = quota.oasis.filter(|_| STORED.contains(&quota.id));
    let most = stored.map_or(A::MOST, |most| most.min(A::MOST));
    if value > most {
        return Err(InvalidSetting::OutOfRange { quota: quota.name, least: 0, most });
    }
    *field = A::from_quota(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_written_twice() {
        // Everything above the test module must be free of digits other than those in type names and clause-like words.
        let source = include_str!("limits.rs");
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String = code.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        for word in code.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
            let number = word.bytes().next().is_some_and(|b| b.is_ascii_digit());
            assert!(!number || word == "0", "the number {word} belongs into the table of quotas");
        }
    }

    #[test]
    fn the_values_are_those_of_the_table() {
        let limits = Limits::aws();
        assert_eq!(limits.payload_bytes, 131_072);
        assert_eq!(limits.packet_bytes, 149_504);
        assert_eq!((limits.keep_alive_min, limits.keep_alive_max), (30, 1200));
        assert_eq!(limits.retry_window_v5, Duration::from_secs(960));
        assert_eq!(Limits::select().connections, 100_000);
        assert_eq!(Limits::oasis().inflight_in, 1_024);
    }

    #[test]
    fn values_can_be_read_back_by_quota() {
        let limits = Limits::aws();
        for id in Limits::QUOTAS {
            assert_eq!(limits.get(*id), Some(id.row().default), "{}", id.row().name);
        }
        assert_eq!(limits.get(QuotaId::PolicySize), None);
    }

    #[test]
    fn every_rate_of_the_oasis_dialect_is_unlimited() {
        let limits = Limits::oasis();
        for id in Limits::QUOTAS.iter().filter(|id| id.row().unit.is_rate()) {
            assert_eq!(limits.get(*id), Some(crate::UNLIMITED), "{}", id.row().name);
        }
        assert_eq!(limits.publishes_per_connection, Rate::UNLIMITED);
    }

    #[test]
    fn every_limit_of_the_oasis_dialect_is_given() {
        for id in Limits::QUOTAS {
            assert!(id.row().oasis.is_some(), "{}", id.row().name);
        }
        for quota in crate::QUOTAS.iter().filter(|q| q.oasis.is_some()) {
            assert!(Limits::QUOTAS.contains(&quota.id), "{}", quota.name);
        }
    }
}
