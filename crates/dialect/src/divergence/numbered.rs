//! The fifty known divergences.

use super::{Divergence, DivergenceRow, Evidence, Stance, State, rows};

rows! {
    NoQos2 ["MQTT-4.3.3-1", "MQTT-3.2.2-9"] Documented MustDiffer on Switch "developer guide, MQTT",
        "QoS 2 works, or an MQTT 5 server announces Maximum QoS and refuses what exceeds it" =>
        "QoS 2 does not exist: no PUBREC, PUBREL or PUBCOMP. An MQTT 3.1.1 publish of QoS 2 gets no answer. Off: QoS 2 in full, exactly once",
        "publish with QoS 2: nothing comes back (3.1.1), DISCONNECT 0x9B (5)";
    Qos2SubscribeNoSuback ["MQTT-3.8.4-1", "MQTT-3.2.2-10"] Unconfirmed MustDiffer off Switch "developer guide, MQTT",
        "a SUBSCRIBE asking for QoS 2 is answered; the server may grant less" =>
        "the page says that no SUBACK is sent, the MQTT 5 table lists granting less; off = QoS 1 is granted",
        "subscribe with QoS 2 and wait for a SUBACK";
    NoAuthPacket ["MQTT-4.12.0-1"] Documented MustDiffer on Switch "developer guide, MQTT",
        "an unknown authentication method is refused with 0x8C or 0x87, a known one leads to AUTH packets" =>
        "no enhanced authentication. The refusal is not known; 0x87 is the code that both the standard and AWS's list have",
        "CONNECT with an Authentication Method";
    NoServerRedirect ["4.11"] Documented Restates on Fixed "developer guide, MQTT",
        "a server may send clients elsewhere with 0x9C, 0x9D and Server Reference" =>
        "never does",
        "never appears";
    DupUnsupported ["MQTT-3.3.1-1"] Documented MustDiffer on Switch "developer guide, MQTT",
        "a message that is sent again carries DUP 1" =>
        "DUP is always 0 towards clients and ignored from them",
        "withhold a PUBACK and look at the message that comes again";
    RedeliveryNewPacketId ["MQTT-4.4.0-1"] Documented MayWeaken off OnDemand "developer guide, MQTT",
        "a message that is sent again keeps its packet identifier" =>
        "rarely gets a new one; here it always keeps it",
        "withhold many PUBACKs; statistical";
    Qos0Duplicates ["4.3.1"] Documented MayWeaken off OnDemand "developer guide, MQTT",
        "QoS 0 arrives at most once" =>
        "zero or more times; here at most once",
        "statistical";
    RetryWhileConnected ["MQTT-4.4.0-1"] Documented MustDiffer on Switch "developer guide, MQTT; quotas",
        "MQTT 5 forbids sending a message again while the connection lasts" =>
        "an unacknowledged QoS 1 message is sent again, the first time after about 30 seconds",
        "withhold a PUBACK and wait";
    RetryGivesUp ["MQTT-4.3.2-3"] Documented MustDiffer on Switch "quotas; developer guide, MQTT",
        "an unacknowledged message is kept as long as the session" =>
        "dropped after 3600 seconds (3.1.1) or 960 seconds (5)",
        "withhold a PUBACK past the window";
    UnorderedDelivery ["MQTT-4.6.0-2", "MQTT-4.6.0-5", "MQTT-4.6.0-6"] Documented MayWeaken off OnDemand
        "developer guide, MQTT",
        "messages of one topic and QoS, and acknowledgements, keep their order" =>
        "no order is promised; here it is kept",
        "publish a burst; statistical";
    HashExcludesParent ["4.7.1.2"] Documented MustDiffer on Switch "developer guide, MQTT topics",
        "a/# matches a as well" =>
        "it does not: at least one level (which may be empty) must follow",
        "subscribe to a/#, publish to a";
    RetainedExactOnly ["MQTT-3.3.1-9", "v3 MQTT-3.3.1-6"] Documented MustDiffer on Switch "developer guide, MQTT",
        "a new subscription gets the retained message of every matching topic" =>
        "only a filter that equals the topic gets it; wildcard and shared filters get none",
        "retain on a/b, subscribe to a/+, then to a/b";
    RetainedReservedForbidden ["MQTT-3.3.1-5"] Documented MustDiffer on Switch "developer guide, MQTT",
        "any topic can hold a retained message" =>
        "topics that start with $ cannot",
        "publish with RETAIN to a $aws topic";
    RetainedRate ["MQTT-3.3.1-5"] Documented MustDiffer on Fixed "quotas",
        "no limit" =>
        "one publish with RETAIN a second for each topic, 500 for the account",
        "publish twice in a second: PUBACK 0x97 (inferred)";
    RetainedCapThrottle ["MQTT-3.3.1-5"] Documented MustDiffer on Switch "developer guide, MQTT",
        "left to the server" =>
        "at the cap of retained messages new ones are throttled; deletions pass",
        "retain beyond the cap";
    SharedSubInV3 ["4.8.2"] Documented MustDiffer on Fixed "developer guide, MQTT",
        "shared subscriptions are a matter of MQTT 5; in 3.1.1 $share is an ordinary level" =>
        "MQTT 3.1.1 clients have them too",
        "subscribe to $share/g/a with 3.1.1";
    SharedGroupQueue ["4.8.2"] Documented MustDiffer on Switch "developer guide, MQTT",
        "each member's session queues its share" =>
        "one queue for the group, only while a member has a persistent session; a random online member gets each message; 20 queued messages a second drain to each",
        "leave a persistent member offline and publish";
    NoSubscriptionIdentifier ["3.2.2.3.12"] Documented MustDiffer on Switch "developer guide, MQTT",
        "optional" =>
        "not available; use is answered by DISCONNECT 0xA1",
        "subscribe with a Subscription Identifier";
    NoLocalIgnored ["MQTT-3.8.3-3"] Reported MustDiffer on Switch "reported in 2023",
        "No Local keeps a client's own messages from it" =>
        "accepted and without effect",
        "subscribe with No Local 1 and publish";
    KeepaliveClamp ["MQTT-3.2.2-22", "v3 MQTT-3.1.2-24"] Documented MustDiffer on Switch "quotas; developer guide, MQTT",
        "the client's interval counts unless an MQTT 5 server names another; 0 turns it off" =>
        "clamped to 30..1200 seconds, 0 means 1200",
        "Server Keep Alive in the CONNACK (5); silence for 1800 seconds (3.1.1)";
    SessionExpiryCap ["3.1.2.11.2"] Documented Restates on Switch "developer guide, MQTT",
        "up to 4 294 967 295 seconds; the server may lower it and says so" =>
        "lowered to the account's value, one hour unless raised (at most seven days)",
        "Session Expiry Interval in the CONNACK";
    SessionExpirySlack ["MQTT-4.1.0-2"] Documented MayWeaken off OnDemand "developer guide, MQTT",
        "a session ends when its expiry interval has passed" =>
        "up to 30 minutes later; here in time",
        "come back a little too late";
    V3SessionExpires ["v3 MQTT-3.1.2-4"] Documented MustDiffer on Switch "developer guide, MQTT",
        "a 3.1.1 session without Clean Session may live for ever" =>
        "it ends after the account's value, one hour unless raised",
        "come back after the hour: Session Present 0";
    CrossVersionNoResume ["MQTT-3.1.2-5"] Documented MustDiffer on Switch "developer guide, MQTT",
        "a session belongs to the client id, whatever version comes back" =>
        "a session cannot be resumed with the other version",
        "come back with the other version: Session Present 0";
    ReplayRate ["4.9"] Documented MustDiffer on Switch "developer guide, MQTT",
        "flow control alone sets the pace of stored messages" =>
        "ten stored messages a second",
        "time the backlog";
    MessageExpiryClamp ["MQTT-3.3.2-6"] Documented MustDiffer on Switch "developer guide, MQTT",
        "any number of seconds, 0 too" =>
        "clamped to 1..604 800",
        "publish with 0 or more than a week and read what arrives";
    ExpiryZeroOut ["MQTT-3.3.2-5", "MQTT-3.3.2-6"] Documented MustDiffer on Switch "developer guide, MQTT",
        "a message on its way has time left" =>
        "up to 999 milliseconds left are sent as 0",
        "receive a message in its last second";
    ExpiryCrossesVersions ["MQTT-3.3.2-5"] Documented MustDiffer on Switch "developer guide, MQTT",
        "says nothing of 3.1.1 receivers" =>
        "a message of an MQTT 5 publisher expires for 3.1.1 receivers too",
        "queue an expiring message for a 3.1.1 session";
    ConnackFirst ["3.1.4"] Unconfirmed ClientsDuty off Fixed "developer guide, MQTT",
        "a client may send further packets before the CONNACK" =>
        "a client must wait for it. What happens otherwise is not known; off = such packets are handled after the CONNACK, on = they end the connection",
        "send CONNECT and SUBSCRIBE in one write";
    NoConnackOnDenyV3 ["v3 3.2.2.3"] Reported MustDiffer on Switch "developer guide, MQTT (2022); measured",
        "a client without permission gets CONNACK 5" =>
        "the connection is closed without a CONNACK (3.1.1)",
        "connect without permission for iot:Connect";
    DisconnectOnDenyV3 ["v3 MQTT-3.3.5-2", "v3 MQTT-3.8.4-1"] Reported MustDiffer on Switch "measured",
        "a publish without permission is acknowledged or closes the connection; a SUBSCRIBE gets SUBACK 0x80" =>
        "both close the connection (3.1.1)",
        "publish or subscribe without permission";
    TakeoverWill ["MQTT-3.1.4-3", "MQTT-3.1.3-9"] Documented MustDiffer on Switch "developer guide, Lifecycle events",
        "a will delay can hold back the will of a connection that is taken over" =>
        "the will is published on takeover",
        "take over a client that has a will";
    ClientIdDollar ["MQTT-3.1.3-5", "MQTT-3.1.3-8"] Documented MustDiffer on Switch "quotas",
        "a server may refuse ids beyond 23 letters and digits" =>
        "up to 128 bytes; a leading $ is refused",
        "connect as $x";
    ConnectRate ["3.1.4"] Documented MustDiffer on Fixed "quotas",
        "no limit" =>
        "one CONNECT a second for each client id",
        "connect twice in a second: CONNACK 0x97";
    TopicLimits ["MQTT-4.7.3-3"] Documented MustDiffer on Switch "quotas",
        "up to 65 535 bytes, any depth" =>
        "up to 256 bytes and 7 slashes",
        "publish to a/b/c/d/e/f/g/h/i";
    DollarTopicsClosed ["4.7.2"] Documented MustDiffer on Switch "developer guide, Reserved topics",
        "$ topics are the server's; it should keep clients from using them" =>
        "only the topics of the reserved-topic table; others close the connection or get 0x8F",
        "subscribe to $SYS/#";
    UnsubscribedDelivery ["4.8.1"] Documented MustDiffer on Switch "developer guide, Reserved topics",
        "a client gets what it subscribed to" =>
        "answers of jobs, streams, commands and provisioning, and direct messages, come without a subscription",
        "ask for a job without subscribing to the answer";
    PayloadCap ["3.3.3", "MQTT-3.2.2-15"] Documented Restates on Switch "quotas",
        "packets of up to 256 MB; an MQTT 5 server may announce less" =>
        "payload 128 KB, packet 146 KB",
        "Maximum Packet Size in the CONNACK; publish 131 073 bytes";
    MinClientPacketSize ["MQTT-3.1.2-24"] Documented MustDiffer on Switch "quotas",
        "any Maximum Packet Size above 0" =>
        "at least 512, or the CONNECT is refused",
        "connect with Maximum Packet Size 256";
    Subscribe8 ["MQTT-3.8.4-5"] Documented MustDiffer on Switch "quotas",
        "as many filters and subscriptions as fit" =>
        "8 filters in a SUBSCRIBE, 50 subscriptions on a connection",
        "subscribe to nine filters in one packet";
    Inflight100 ["MQTT-3.3.4-7", "MQTT-3.3.4-9"] Documented Restates on Switch "quotas",
        "65 535 unless Receive Maximum says less" =>
        "100 both ways",
        "Receive Maximum in the CONNACK";
    Rate100Discard ["MQTT-4.3.2-4"] Documented MustDiffer on Fixed "quotas",
        "a QoS 1 message that was received is acknowledged" =>
        "publishes beyond 100 a second are discarded",
        "publish 200 in a second and count the PUBACKs";
    SubackBeforeActive ["3.8.4"] Documented MayWeaken off OnDemand "developer guide, MQTT",
        "a subscription is in force when its SUBACK is sent" =>
        "a delay is possible; here there is none",
        "publish right after the SUBACK";
    TopicAlias8 ["MQTT-3.3.2-9"] Documented Restates on Switch "developer guide, MQTT",
        "the server names its Topic Alias Maximum" =>
        "8",
        "Topic Alias Maximum in the CONNACK";
    Ws24h ["6"] Documented MustDiffer on Switch "quotas",
        "no limit" =>
        "a WebSocket is closed after 24 hours",
        "stay connected for a day";
    HttpPublishNoClient [] Documented Restates on Fixed "developer guide, HTTPS publish",
        "knows no HTTP" =>
        "messages can come over HTTPS, from no client id",
        "POST /topics/a";
    EnrichedUserProperties ["MQTT-3.3.2-17"] Documented MustDiffer on Switch "developer guide, message enrichment",
        "user properties are forwarded unaltered" =>
        "configured attributes of the publisher's thing are added",
        "set propagating attributes and receive with MQTT 5";
    SessionPresentRace ["MQTT-3.2.2-2", "MQTT-3.2.2-3"] Documented MayWeaken off Fixed "developer guide, protocols (older)",
        "Session Present is exact" =>
        "may be wrong when two clients race for one id; here it is exact",
        "statistical";
    UnsubackCodes ["MQTT-3.11.3-2"] Unconfirmed MustDiffer on Switch "developer guide, MQTT",
        "0x11 says that no such subscription existed" =>
        "0x11 is not in the list of codes; on = 0x00 is sent",
        "unsubscribe from a filter never subscribed to";
    ServerDisconnectV3Api ["v3 3.14"] Unconfirmed MustDiffer off Switch "developer guide, MQTT",
        "3.1.1 servers send no DISCONNECT" =>
        "the text on DeleteConnection says that one is sent; off = 3.1.1 connections are just closed",
        "DeleteConnection of a 3.1.1 client";
}
