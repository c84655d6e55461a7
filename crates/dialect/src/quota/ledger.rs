//! Which quotas are kept, by which tests, and why others are not yet. A test of the workshop looks for the tests.

use super::QuotaId;

/// Whether the broker keeps a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It does; these tests go beyond it. Names of functions: Rust tests, and `test_*` of the black-box tests.
    Enforced(&'static [&'static str]),
    /// It does not, because of this.
    Pending(&'static str),
}

impl Keeping {
    /// True if the broker keeps it.
    pub fn is_enforced(self) -> bool {
        matches!(self, Self::Enforced(_))
    }
}

macro_rules! ledger {
    (kept { $($kept:ident: $($test:literal),+;)* } pending { $($($pending:ident)|+: $why:literal;)* }) => {
        /// The entry of a quota.
        pub(super) const fn keeping(id: QuotaId) -> Keeping {
            match id {
                $(QuotaId::$kept => Keeping::Enforced(&[$($test),+]),)*
                $($(QuotaId::$pending)|+ => Keeping::Pending($why),)*
            }
        }
    };
}

ledger! {
    kept {
        ClientIdSize: "client_ids_keep_their_rules", "test_client_id_of_129_bytes_is_refused";
        KeepAliveMax: "keep_alive_is_clamped_keepalive_clamp", "test_keep_alive_is_clamped_and_reported";
        KeepAliveMin: "keep_alive_is_clamped_keepalive_clamp", "test_keep_alive_is_clamped_and_reported";
        Connections: "clients_and_sessions_are_limited_together";
        Subscriptions: "subscriptions_of_the_account_are_limited";
        SubscriptionsPerConnection: "fifty_subscriptions_for_a_connection_subscribe_8",
            "test_the_51st_subscription_is_refused_and_unsubscribing_makes_room";
        FiltersPerSubscribe: "eight_filters_and_no_identifier_subscribe_8_no_subscription_identifier",
            "test_nine_filters_in_one_packet_are_refused";
        InflightIn: "a_client_with_a_hundred_unacknowledged_publishes_is_not_read",
            "test_a_hundred_publishes_in_one_breath_are_all_acknowledged";
        InflightOut: "the_window_closes_at_a_hundred_and_opens_with_an_acknowledgement";
        RetryWindowV5: "retries_end_after_the_window_retry_gives_up";
        RetryWindowV3: "retries_end_after_the_window_retry_gives_up";
        RetryFirst: "test_unacknowledged_message_comes_again_on_the_same_connection";
        SessionExpiry: "test_session_expiry_is_lowered_to_one_hour_and_only_then_reported";
        PayloadSize: "payloads_end_at_128_kib_payload_cap", "test_payload_of_one_byte_more_ends_the_connection";
        PacketSize: "test_packet_above_the_maximum_size_is_refused_at_its_header";
        ClientPacketSizeMin: "test_client_that_accepts_less_than_512_bytes_is_refused";
        ContentTypeSize: "properties_have_limits", "test_properties_have_limits";
        CorrelationDataSize: "properties_have_limits", "test_properties_have_limits";
        UserPropertiesSize: "properties_have_limits", "test_user_properties_have_a_limit_of_8_kib_together";
        TopicAliasMax: "aliases_end_at_eight_topic_alias_8", "test_topic_alias_above_8_ends_the_connection";
        MessageExpiryMax: "test_message_expiry_is_clamped_and_counts_down";
        MessageExpiryMin: "test_message_expiry_is_clamped_and_counts_down";
        TopicSize: "topics_of_a_publish_topic_limits", "test_topic_beyond_the_limits_is_refused";
        TopicSlashes: "topics_of_a_publish_topic_limits", "test_topic_beyond_the_limits_is_refused";
        ShareNameSize: "test_share_name_and_filter_have_their_own_limits";
        ReplayRate: "the_backlog_is_replayed_at_ten_a_second_beside_live_messages_replay_rate";
        ConnectsPerAccount: "the_account_connects_so_often_in_a_second", "test_connects_of_the_account_have_a_rate";
        ConnectsPerClientId: "a_client_id_connects_once_in_a_second",
            "test_client_id_that_connects_twice_in_a_second_is_refused";
        SubscribesPerAccount: "the_account_subscribes_so_often_in_a_second",
            "test_subscriptions_of_the_account_have_a_rate";
        SharedGroups: "shared_groups_and_their_members_are_counted",
            "test_shared_groups_and_their_members_are_counted";
        SharedMembers: "shared_groups_and_their_members_are_counted",
            "test_shared_groups_and_their_members_are_counted";
        SharedRequests: "requests_for_one_shared_group_have_a_rate",
            "test_requests_for_one_shared_group_have_a_rate";
        QueuedPerAccount: "the_account_queues_so_many_in_a_second";
        PublishesInPerAccount: "publishes_of_the_account_are_counted_together_with_those_over_http",
            "test_publishes_of_the_account_have_a_rate";
        PublishesOutPerAccount: "deliveries_of_the_account_have_a_rate";
        PublishesPerConnection: "publishes_beyond_a_hundred_in_a_second_are_discarded",
            "deliveries_beyond_a_hundred_in_a_second_wait_with_qos_1_and_are_dropped_with_qos_0",
            "test_publishes_beyond_a_hundred_in_a_second_are_discarded",
            "test_excess_of_qos_0_is_discarded_and_the_connection_stays",
            "test_deliveries_beyond_a_hundred_in_a_second_wait_with_qos_1",
            "test_deliveries_beyond_a_hundred_in_a_second_are_dropped_with_qos_0";
        ThroughputPerConnection: "throughput_beyond_512_kib_in_a_second_is_delayed",
            "throughput_to_a_client_is_delayed_and_nothing_is_lost",
            "test_throughput_beyond_512_kib_in_a_second_is_delayed_not_lost";
        RetainedPerAccount: "retaining_has_rates_for_each_topic_and_the_account",
            "test_retained_publishes_of_the_account_have_a_rate";
        RetainedPerTopic: "retaining_has_rates_for_each_topic_and_the_account",
            "test_retaining_twice_in_a_second_on_one_topic_is_throttled";
        GetRetainedRate: "retained_messages_are_read_at_a_rate";
        ListRetainedRate: "retained_messages_are_read_at_a_rate", "test_api_calls_beyond_their_rate_are_throttled";
        DeleteConnectionRate: "connections_are_asked_about_at_a_rate";
        DeleteConnectionPerClientId: "connections_of_one_client_id_are_asked_about_once_in_a_second",
            "test_a_client_id_is_asked_about_once_in_a_second";
        GetConnectionRate: "connections_are_asked_about_at_a_rate";
        GetConnectionPerClientId: "connections_of_one_client_id_are_asked_about_once_in_a_second",
            "test_a_client_id_is_asked_about_once_in_a_second";
        ListSubscriptionsRate: "connections_are_asked_about_at_a_rate";
        ListSubscriptionsPerClientId: "connections_of_one_client_id_are_asked_about_once_in_a_second",
            "test_a_client_id_is_asked_about_once_in_a_second";
        SendDirectMessageRate: "connections_are_asked_about_at_a_rate";
        CertificatesPerSecond: "certificates_are_registered_at_a_rate_together",
            "devices_are_registered_just_in_time_at_a_rate";
        RetainedMessages: "at_the_cap_of_retained_messages_deletions_and_replacements_pass",
            "test_retaining_beyond_the_cap_is_throttled_and_deleting_passes";
        ConnectTimeout: "test_silent_and_dripping_connections_are_ended_in_bounded_time";
        SharedQueue: "a_full_queue_drops_the_new", "test_the_queue_has_a_bound_and_keeps_the_old";
        SharedDrainRate: "a_member_drains_twenty_in_a_second", "the_queue_drains_at_twenty_a_second_beside_live_messages";
        PropagatingAttributes: "propagating_attributes_end_at_twenty";
        SessionQueueMessages: "an_offline_queue_is_bounded_and_keeps_the_old";
        SessionQueueBytes: "what_waits_in_the_journal_is_bounded_by_bytes_too", "test_absent_subscriber_with_a_persistent_session";
        OutboxBytes: "a_subscriber_that_stops_reading_costs_a_bounded_outbox", "test_subscriber_that_stops_reading";
        AttributesWithType: "numbers_depend_on_the_type";
        AttributesWithoutType: "test_thing_without_type_has_at_most_three_attributes";
        AttributeBytes: "spelling_and_bytes";
        ThingTypesPerThing: "types_come_and_go_with_their_allowance";
        ThingNameSize: "test_thing_names_are_checked_by_the_server";
        ThingGroupNameSize: "names_keep_their_rules";
        GroupDepth: "children_are_limited_in_depth_and_number", "test_thing_group_depth_is_limited_to_seven";
        GroupAttributes: "numbers_depend_on_the_type";
        GroupAttributeName: "spelling_and_bytes";
        GroupAttributeValue: "spelling_and_bytes";
        ChildGroups: "children_are_limited_in_depth_and_number";
        GroupsPerThing: "one_group_per_hierarchy_and_ten_in_all";
        BillingGroups: "an_account_ends_at_twenty_thousand_billing_groups";
        PolicySize: "test_white_space_does_not_count_against_the_size_of_a_policy";
        PoliciesPerPrincipal: "ten_policies_on_a_certificate_and_two_on_a_group", "test_quotas_of_attachments";
        PoliciesPerGroup: "ten_policies_on_a_certificate_and_two_on_a_group";
        PolicyVersions: "a_sixth_version_is_refused", "test_sixth_version_is_refused";
        CaSubjects: "ten_cas_of_one_subject";
        WebsocketDuration: "a_link_that_ends_takes_its_connection_with_it", "test_a_websocket_ends_after_its_duration";
        Authorizers: "a_hundred_authorizers_and_32_active_ones_and_no_more";
        ActiveAuthorizers: "a_hundred_authorizers_and_32_active_ones_and_no_more",
            "test_more_than_32_active_authorizers_are_refused";
        DomainConfigurations: "domain_configurations_end_at_ten";
        ProvisioningTemplates: "the_account_has_256_templates";
        ProvisioningVersions: "a_sixth_version_of_a_template_is_refused_and_ids_are_not_used_twice",
            "test_sixth_version_of_a_template_is_refused";
        ProvisioningSize: "nesting_and_size_are_bounded";
        LoggingConfigurations: "a_thousand_levels_and_no_more";
    }
    pending {
        DynamicGroups | RegistrationTasks | RegistrationLine | RegistrationRetention
            | RegistrationStop | RoleAliases:
            "the resource is not built";
    }
}
