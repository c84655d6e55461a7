"""PUBLISH: acknowledgement, sizes, topics, aliases and what travels end to end (developer guide, MQTT; quotas)."""

import pytest

import wire
from provision import unique
from refusal import outcome, publish_refused
from wire import DISCONNECT, PUBACK, PUBLISH, V5, V311


@pytest.mark.parametrize("published, granted, delivered", [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_delivered_with_the_lower_qos(connected, topic, version, published, granted, delivered):
    subscriber = connected(version)
    assert subscriber.subscribe(topic, qos=granted) == [granted]
    connected(version).publish(topic, "hello", qos=published)
    message = subscriber.message()
    assert (message.topic, message.payload, message.qos) == (topic, b"hello", delivered)
    assert not message.retain and not message.dup


@pytest.mark.parametrize("publisher, subscriber", [(V311, V5), (V5, V311)])
def test_versions_talk_to_each_other(connected, topic, publisher, subscriber):
    receiver = connected(subscriber)
    receiver.subscribe(topic)
    sender = connected(publisher)
    more = dict(user_properties=[("a", "b")], content_type="text/plain") if publisher == V5 else {}
    assert sender.publish(topic, "hello", qos=1, **more) == 0
    message = receiver.message()
    assert message.payload == b"hello" and message.properties == {}


def test_publisher_receives_its_own_message_and_no_local_is_ignored(connected, topic):
    client = connected(V5)
    client.subscribe((topic, 0x01 | 0x04))
    assert client.publish(topic, "me", qos=0) is None
    assert client.message().payload == b"me"


def test_inbound_dup_is_ignored_and_never_sent(connected, topic, version):
    subscriber, publisher = connected(version), connected(version)
    subscriber.subscribe(topic)
    publisher.send(wire.publish(version, topic, "again", qos=1, dup=True, packet_id=7))
    assert publisher.expect(PUBACK).packet_id == 7
    message = subscriber.message()
    assert message.payload == b"again" and not message.dup


def test_messages_keep_their_order_on_one_connection(connected, topic, version):
    subscriber, publisher = connected(version), connected(version)
    subscriber.subscribe(topic)
    for number in range(200):
        publisher.send(wire.publish(version, topic, str(number)))
    assert [int(subscriber.message().payload) for _ in range(200)] == list(range(200))


# ---- properties ------------------------------------------------------------------------------------------------


def test_v5_properties_travel_unchanged_and_in_order(connected, topic):
    sent = {
        "payload_format": 1, "content_type": "text/plain", "response_topic": "answer/here", "correlation_data": b"\0\xff id",
        "user_properties": [("k", "1"), ("a", ""), ("k", "2")],
    }
    subscriber = connected(V5)
    subscriber.subscribe(topic)
    assert connected(V5).publish(topic, "hello", qos=1, **sent) == 0
    assert subscriber.message().properties == sent


@pytest.mark.parametrize("sent, least, most", [(0, 0, 1), (1, 0, 1), (100, 90, 100), (604800, 604790, 604800), (4000000000, 604790, 604800)])
def test_message_expiry_is_clamped_and_counts_down(connected, topic, sent, least, most):
    subscriber = connected(V5)
    subscriber.subscribe(topic)
    connected(V5).publish(topic, "soon gone", qos=0, message_expiry=sent)
    assert least <= subscriber.message().properties["message_expiry"] <= most


@pytest.mark.parametrize("name, limit", [("content_type", 256), ("correlation_data", 8192)])
def test_properties_have_limits(connected, aws_server, topic, name, limit):
    value = (lambda size: b"c" * size) if name == "correlation_data" else (lambda size: "c" * size)
    assert connected(V5, on=aws_server).publish(topic, qos=1, **{name: value(limit)}) == 0
    connection = connected(V5, on=aws_server)
    connection.send(wire.publish(V5, topic, qos=1, **{name: value(limit + 1)}))
    refused_somehow(connection)


def test_user_properties_have_a_limit_of_8_kib_together(connected, aws_server, topic):
    def pairs(size):
        return [("key1", "v" * 4092), ("key2", "v" * (size - 4096 - 4))]

    assert connected(V5, on=aws_server).publish(topic, qos=1, user_properties=pairs(8192)) == 0
    connection = connected(V5, on=aws_server)
    connection.send(wire.publish(V5, topic, qos=1, user_properties=pairs(8193)))
    refused_somehow(connection)


def refused_somehow(connection):
    """AWS names no code for these: a failure, on PUBACK or DISCONNECT, or the end."""
    answer = outcome(connection)
    if answer is not None:
        assert answer.kind in (PUBACK, DISCONNECT) and answer.code >= 0x80, answer


# ---- sizes -----------------------------------------------------------------------------------------------------


def test_payload_of_128_kib_is_delivered(connected, topic, version):
    payload = bytes(range(256)) * 512
    subscriber = connected(version)
    subscriber.subscribe(topic)
    assert connected(version).publish(topic, payload, qos=1) == 0
    assert subscriber.message().payload == payload


@pytest.mark.parametrize("qos", [0, 1])
def test_payload_of_one_byte_more_ends_the_connection(connected, topic, version, qos):
    connection = connected(version)
    connection.send(wire.publish(version, topic, b"x" * 131073, qos=qos))
    answer = outcome(connection)
    if version == V311:
        assert answer is None, answer
    else:
        assert answer.kind == DISCONNECT and answer.code >= 0x80, answer
        connection.expect_end()


def test_packet_above_the_maximum_size_is_refused_at_its_header(connected, version):
    """The server need not wait for the body: it never comes."""
    connection = connected(version)
    connection.send(bytes([wire.PUBLISH << 4]) + wire.varint(149505) + wire.text("a"))
    answer = outcome(connection)
    if version == V311:
        assert answer is None, answer
    else:
        assert answer.kind == DISCONNECT and answer.code >= 0x80, answer
        connection.expect_end()


def test_message_too_large_for_a_subscriber_is_dropped_for_it_alone(connected, topic):
    small, large = connected(V5, maximum_packet_size=600), connected(V5)
    for subscriber in (small, large):
        subscriber.subscribe(topic)
    publisher = connected(V5)
    publisher.publish(topic, b"x" * 2000, qos=1)
    publisher.publish(topic, b"small", qos=1)
    assert len(large.message().payload) == 2000
    assert small.message().payload == b"small"


# ---- topics ----------------------------------------------------------------------------------------------------


def test_topic_of_256_bytes_and_7_slashes_is_accepted(connected, version):
    topic = "/".join(["l"] * 8).ljust(256, "x")
    subscriber = connected(version)
    assert subscriber.subscribe(topic) == [1]
    assert connected(version).publish(topic, "deep", qos=1) == 0
    assert subscriber.message().topic == topic


@pytest.mark.parametrize("bad", ["x" * 257, "/".join("123456789"), "é" * 129], ids=["257-bytes", "8-slashes", "258-bytes-utf8"])
def test_topic_beyond_the_limits_is_refused(connected, version, bad):
    connection = connected(version)
    connection.send(wire.publish(version, bad, "x", qos=1))
    publish_refused(connection, 0x90)


@pytest.mark.parametrize("bad", ["a/+/b", "a/#", "+", "#"])
def test_topic_with_wildcards_ends_the_connection(connected, version, bad):
    connection = connected(version)
    connection.send(wire.publish(version, bad, "x", qos=0))
    answer = outcome(connection)
    if version == V311:
        assert answer is None, answer
    else:
        assert answer.kind == DISCONNECT and answer.code in (0x81, 0x82, 0x90), answer


@pytest.mark.parametrize("odd", ["/", "//", "/leading", "trailing/", "a//b", "space in it", "ünï/cödé", "a$b"])
def test_odd_topics_that_the_standard_allows_work(connected, version, odd):
    prefix = unique("odd")
    topic = f"{prefix}{odd}" if not odd.startswith("/") else prefix + odd
    subscriber = connected(version)
    assert subscriber.subscribe(topic) == [1]
    assert connected(version).publish(topic, "x", qos=1) == 0
    assert subscriber.message().topic == topic


@pytest.mark.parametrize("reserved", ["$mine/topic", "$SYS/broker", "$aws/unknown/topic", "$aws/things/t/shadow/update/accepted"])
def test_publish_to_reserved_topics_is_refused(connected, version, reserved):
    connection = connected(version)
    connection.send(wire.publish(version, reserved, "x", qos=1))
    publish_refused(connection, 0x90)


@pytest.mark.parametrize("open_topic", [
    "$aws/things/t/shadow/get", "$aws/things/t/shadow/name/n/update", "$aws/things/t/jobs/get", "$aws/rules/some_rule/and/more"])
def test_publish_to_the_reserved_topics_meant_for_it_is_accepted(connected, version, open_topic):
    assert connected(version).publish(open_topic, "{}", qos=1) == 0


def test_basic_ingest_prefix_does_not_count_against_the_topic_limits(connected, version):
    rest = "/".join(["l"] * 8).ljust(256, "x")
    assert connected(version).publish(f"$aws/rules/some_rule/{rest}", "{}", qos=1) == 0


# ---- QoS 2 and packet identifiers ------------------------------------------------------------------------------


def test_qos_2_is_refused(connected, topic, version):
    connection = connected(version)
    connection.send(wire.publish(version, topic, "x", qos=2, packet_id=3) + wire.PING)
    if version == V5:
        connection.expect_disconnect(0x9B)
    else:
        # Documented: no acknowledgement. Whether the connection ends is not.
        answer = outcome(connection)
        assert answer is None or answer.kind == wire.PINGRESP, answer


def test_packet_id_zero_ends_the_connection(connected, topic, version):
    connection = connected(version)
    connection.send(wire.publish(version, topic, "x", qos=1, packet_id=0))
    answer = outcome(connection)
    assert (answer is None) if version == V311 else (answer.kind == DISCONNECT and answer.code in (0x81, 0x82)), answer


def test_acknowledging_what_was_never_sent_does_no_harm(connected, topic, version):
    connection = connected(version)
    connection.send(wire.puback(4711))
    assert connection.publish(topic, "x", qos=1) == 0


def test_a_hundred_publishes_in_one_breath_are_all_acknowledged(connected, topic, version):
    connection = connected(version)
    connection.send(b"".join(wire.publish(version, topic, "x", qos=1, packet_id=n) for n in range(1, 101)))
    assert sorted(connection.expect(PUBACK).packet_id for _ in range(100)) == list(range(1, 101))


def test_receive_maximum_of_the_client_is_kept(connected, topic):
    subscriber, publisher = connected(V5, receive_maximum=2), connected(V5)
    subscriber.subscribe(topic)
    for number in range(4):
        assert publisher.publish(topic, str(number), qos=1) == 0
    first, second = subscriber.message(ack=False), subscriber.message(ack=False)
    assert subscriber.ping() == [], "more than Receive Maximum in flight"
    subscriber.send(wire.puback(first.packet_id))
    third = subscriber.message(ack=False)
    assert third.packet_id != second.packet_id
    assert subscriber.ping() == []
    subscriber.send(wire.puback(second.packet_id) + wire.puback(third.packet_id))
    assert subscriber.message().payload == b"3"


def test_without_quotas_the_window_is_the_clients_own(connected, topic):
    subscriber, publisher = connected(V5, receive_maximum=150), connected(V5)
    subscriber.subscribe(topic)
    for number in range(160):
        assert publisher.publish(topic, str(number), qos=1) == 0
    first = [subscriber.message(ack=False) for _ in range(150)]
    assert subscriber.ping() == [], "more than Receive Maximum in flight"
    subscriber.send(b"".join(wire.puback(message.packet_id) for message in reversed(first)))
    rest = [subscriber.message() for _ in range(10)]
    assert [message.payload for message in first + rest] == [str(number).encode() for number in range(160)]


def test_what_was_not_acknowledged_comes_again_as_it_was(connected, topic, version):
    options = {"session_expiry": 60} if version == V5 else {}
    subscriber, publisher = connected(version, clean=False, **options), connected(V5)
    subscriber.subscribe(f"{topic}/+")
    sent = [(f"{topic}/{number}", str(number).encode() * 90 * number) for number in range(6)]
    for name, payload in sent:
        assert publisher.publish(name, payload, qos=1) == 0
    first = [subscriber.message(ack=False) for _ in sent]
    subscriber.send(wire.puback(first[1].packet_id) + wire.puback(first[4].packet_id))
    subscriber.ping()
    subscriber.close()
    again = connected(version, subscriber.client_id, clean=False, **options)
    came = [again.message() for _ in range(4)]
    assert [(m.topic, m.payload) for m in first] == sent
    assert sorted((m.topic, m.payload) for m in came) == [sent[number] for number in (0, 2, 3, 5)]


def test_large_messages_arrive_whole_between_small_ones(connected, topic, version):
    subscriber, publisher = connected(version), connected(version)
    subscriber.subscribe(topic)
    payloads = [bytes([number]) * length for number, length in enumerate([1, 131_072, 2, 8191, 8192, 100_000, 3, 131_072, 4])]
    packets = [wire.publish(version, topic, body, qos=1, packet_id=n) for n, body in enumerate(payloads, 1)]
    publisher.send(b"".join(packets))
    assert [subscriber.message().payload for _ in payloads] == payloads


# ---- topic aliases ---------------------------------------------------------------------------------------------


def test_topic_alias_up_to_8_replaces_the_topic(connected, topic):
    subscriber, publisher = connected(V5), connected(V5)
    subscriber.subscribe(f"{topic}/+")
    for alias in range(1, 9):
        publisher.send(wire.publish(V5, f"{topic}/{alias}", "long", topic_alias=alias))
    for alias in range(1, 9):
        publisher.send(wire.publish(V5, "", "short", topic_alias=alias))
    seen = [(m.topic, m.payload) for m in (subscriber.message() for _ in range(16))]
    assert seen == [(f"{topic}/{n}", word) for word in (b"long", b"short") for n in range(1, 9)]


def test_topic_alias_can_be_given_another_topic(connected, topic):
    subscriber, publisher = connected(V5), connected(V5)
    subscriber.subscribe(f"{topic}/+")
    for name in ("one", "two"):
        publisher.send(wire.publish(V5, f"{topic}/{name}", "x", topic_alias=1))
    publisher.send(wire.publish(V5, "", "x", topic_alias=1))
    assert [subscriber.message().topic.rsplit("/")[-1] for _ in range(3)] == ["one", "two", "two"]


@pytest.mark.parametrize("alias", [9, 65535])
def test_topic_alias_above_8_ends_the_connection(connected, topic, alias):
    connection = connected(V5)
    connection.send(wire.publish(V5, topic, "x", topic_alias=alias))
    connection.expect_disconnect(0x94)


def test_topic_alias_0_ends_the_connection(connected, topic):
    """AWS names no code for it, the standard calls it a protocol error."""
    connection = connected(V5)
    connection.send(wire.publish(V5, topic, "x", topic_alias=0))
    assert connection.expect(DISCONNECT).code in (0x81, 0x82, 0x94)
    connection.expect_end()


def test_unknown_topic_alias_ends_the_connection(connected):
    connection = connected(V5)
    connection.send(wire.publish(V5, "", "x", topic_alias=3))
    connection.expect_disconnect(0x82)


def test_server_sends_no_aliases_that_the_client_did_not_allow(connected, topic):
    subscriber, publisher = connected(V5), connected(V5)
    subscriber.subscribe(topic)
    for _ in range(3):
        publisher.publish(topic, "x", qos=1)
    assert all(subscriber.message().properties == {} for _ in range(3))
