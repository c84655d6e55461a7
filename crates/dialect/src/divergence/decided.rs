//! Choices where AWS's behaviour is not or not fully known: each can be switched the other way.

use super::{Divergence, DivergenceRow, Evidence, Stance, State, rows};

rows! {
    V3RefusalClose ["v3 MQTT-3.2.2-5", "v3 MQTT-3.2.2-6"] Unconfirmed MustDiffer on Switch "developer guide, MQTT",
        "a refused CONNECT gets one of the return codes 1 to 5 where one fits" =>
        "only return code 0 was ever seen; on = every refusal of a 3.1.1 CONNECT closes without a CONNACK",
        "connect with 3.1.1 as $x";
    ConnackCodesListed ["MQTT-3.2.2-8"] Inferred Restates on Switch "developer guide, MQTT",
        "any Connect Reason Code" =>
        "the page lists eight; on = where none of them fits the connection is closed without a CONNACK",
        "send a malformed MQTT 5 CONNECT";
    Mqtt31Accepted ["MQTT-3.1.2-2"] Unconfirmed MustDiffer off Switch "developer guide, MQTT",
        "protocol name MQTT; others are refused" =>
        "whether MQTT 3.1 (MQIsdp) is accepted is not known; off = refused, on = taken for 3.1.1",
        "connect with MQTT 3.1";
    EmptyClientIdV3Refused ["v3 MQTT-3.1.3-6", "v3 MQTT-3.1.3-8"] Unconfirmed MustDiffer off Switch "none",
        "an empty id gets a generated one with Clean Session 1, and is refused with 0" =>
        "not described for 3.1.1; off = as the standard says, on = always refused",
        "connect with 3.1.1 and an empty id";
    GeneratedClientIdForm ["MQTT-3.1.3-6"] Unconfirmed Restates on Switch "quotas (reserved prefix)",
        "any unused id" =>
        "service-generated ids start with $; users mention $GEN/ and a UUID; on = that form, off = the bare UUID",
        "Assigned Client Identifier in the CONNACK";
    DeniedPublishQos0V5 ["3.3.5"] Reported Restates on Switch "measured",
        "a publish without permission may be dropped or end the connection" =>
        "DISCONNECT 0x87 for QoS 0 (5); off = dropped in silence",
        "publish with QoS 0 without permission";
    DeniedPublishQos1V5Closes ["3.3.5"] Reported Restates off Switch "developer guide, MQTT; measured",
        "PUBACK 0x87, or the connection ends" =>
        "the page lists both; measured was PUBACK 0x87 with the connection kept; on = DISCONNECT 0x87",
        "publish with QoS 1 without permission";
    SubscribeSomeDeniedV3 ["v3 MQTT-3.8.4-5"] Unconfirmed MustDiffer on Switch "none",
        "each filter of a SUBSCRIBE has its own code" =>
        "one filter denied of several is not described for 3.1.1; on = the connection is closed as for one filter alone, off = SUBACK with 0x80 for that filter",
        "subscribe to an allowed and a denied filter in one packet";
    ReservedTopicPublishV5 ["MQTT-4.7.2-1"] Inferred MustDiffer on Switch "developer guide, Reserved topics",
        "the server should keep clients from publishing to $ topics" =>
        "it can end the connection; on = DISCONNECT 0x90 whatever the QoS, off = PUBACK 0x90 for QoS 1",
        "publish to $SYS/x with MQTT 5";
    InvalidTopicV5Closes ["3.3.2.1"] Inferred Restates off Switch "developer guide, MQTT",
        "0x90 in a PUBACK or a DISCONNECT" =>
        "lists 0x90 for both; off = PUBACK for QoS 1 and DISCONNECT for QoS 0, on = always DISCONNECT",
        "publish to a topic of nine levels with QoS 1";
    PayloadTooLargeCode ["3.14.2.1"] Unconfirmed MustDiffer on Switch "a public report's title",
        "0x95 says that a packet is too large" =>
        "0x95 is not in the list, the report speaks of 0x97; on = DISCONNECT 0x97, off = 0x95",
        "publish 131 073 bytes with MQTT 5";
    Qos2PublishV3Close ["v3 MQTT-4.3.3-2"] Unconfirmed MustDiffer off Switch "developer guide, MQTT",
        "QoS 2 works" =>
        "no PUBREC is sent; whether the connection is closed too is not known; off = it stays",
        "publish with QoS 2 and 3.1.1";
    FiltersOver8Close ["MQTT-3.8.4-5"] Unconfirmed MustDiffer off Switch "reported",
        "as many filters as fit" =>
        "the subscription fails; off = every filter fails in the SUBACK (0x80, 0x97), on = the connection is closed",
        "subscribe to nine filters in one packet";
    Subscription51Close ["MQTT-3.8.4-5"] Inferred MustDiffer off Switch "quotas",
        "as many subscriptions as the client likes" =>
        "the excess is rejected, older text adds that the connection may be closed; off = SUBACK 0x80 or 0x97, on = closed",
        "make 51 subscriptions";
    OverlappingSubscriptionsCopies ["MQTT-3.3.4-2"] Unconfirmed Restates off Switch "none",
        "a message that matches several filters of one client is delivered at the highest QoS, and may be delivered again" =>
        "copies for each client are not described; off = one, on = one for each filter",
        "subscribe to a/+ and a/b, publish to a/b";
    RetainHandlingIgnored ["MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11"] Unconfirmed MustDiffer off Switch "none",
        "Retain Handling says whether retained messages are sent" =>
        "not described; off = obeyed, on = always as 0",
        "subscribe with Retain Handling 2";
    RetainAsPublishedIgnored ["MQTT-3.3.1-12", "MQTT-3.3.1-13"] Unconfirmed MustDiffer off Switch "none",
        "Retain As Published keeps RETAIN on forwarded messages" =>
        "normal delivery has RETAIN 0; the option is not described; off = obeyed, on = always 0",
        "subscribe with Retain As Published 1";
    WillDelayIgnored ["MQTT-3.1.3-9"] Unconfirmed MustDiffer on Switch "developer guide, MQTT",
        "Will Delay Interval holds the will back" =>
        "the list of supported will properties lacks it; on = the will is published at once, off = after the delay",
        "lose a connection that has a will delay";
    OutboundTopicAliases ["3.3.2.3.4"] Unconfirmed Restates off Switch "none",
        "a server may use aliases up to the client's maximum" =>
        "whether it ever does is not known; off = it does not, on = the first 16 topics get one",
        "connect with a Topic Alias Maximum and look at what arrives";
    ReceiveDeniedCloses ["3.3.5"] Reported MustDiffer off Switch "measured",
        "knows no permission to receive" =>
        "the message is dropped for that client; one report speaks of disconnects; on = the connection is closed",
        "withdraw iot:Receive from a subscriber";
    SessionQueueBound ["MQTT-4.5.0-1"] Unconfirmed MustDiffer on Switch "none",
        "a message is added to the session of every subscriber; a server may bound what it stores" =>
        "no bound is published; on = session-queue-messages and session-queue-bytes hold, new messages are dropped. Off cannot mean unlimited: the oasis dialect's wider bounds hold",
        "queue more than the bound";
    ThrottledDisconnect ["4.13"] Unconfirmed MustDiffer off Switch "developer guide, Lifecycle events",
        "0x96 and 0x97 may end a connection" =>
        "THROTTLED exists as a disconnect reason; what causes it is not known; off = never, on = an excess publish ends the connection",
        "publish more than 100 times in a second";
    ThrottledPublishPuback ["3.4.2.1"] Inferred MustDiffer on Switch "developer guide, MQTT",
        "a PUBACK with 0x97 says that a quota is exceeded" =>
        "an excess publish is discarded; PUBACK lists 0x97, but that it is sent then is inferred; on = MQTT 5 clients get PUBACK 0x97, off = no PUBACK, as with 3.1.1",
        "publish more than 100 times in a second with QoS 1 and MQTT 5";
    HttpDenied401 [] Reported Restates off Fixed "API reference, Publish; measured",
        "knows no HTTP" =>
        "an HTTPS publish without permission was measured as 403; the reference has 401; on = 401",
        "POST /topics/a without permission";
    WsSubprotocolLenient ["MQTT-6.0.0-3"] Unconfirmed MustDiffer off Switch "none",
        "the subprotocol is mqtt" =>
        "whether mqttv3.1 or none is accepted is not known; off = refused",
        "open a WebSocket without a subprotocol";
    KeepaliveResetList ["MQTT-3.1.2-22"] Unconfirmed MustDiffer off Switch "limits page (older)",
        "any control packet counts" =>
        "PUBLISH, SUBSCRIBE, PINGREQ and PUBACK are listed, UNSUBSCRIBE is not; off = any packet counts",
        "send nothing but UNSUBSCRIBE";
    PolicyPropagation [] Documented MayWeaken off OnDemand "developer guide, AWS IoT Core policies",
        "knows no policies" =>
        "a change of policies takes effect after 6 to 8 minutes; here at once",
        "withdraw a permission and go on publishing";
    ConnectionLife ["4.8"] Documented MayWeaken off OnDemand "developer guide, Device communication protocols",
        "a connection lasts until one side has a reason to end it" =>
        "the service ends connections, after one to two weeks at best; here it does not",
        "stay connected for two weeks";
}
