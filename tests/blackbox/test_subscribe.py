"""SUBSCRIBE and UNSUBSCRIBE: grants, matching, limits (developer guide, MQTT topics; quotas)."""

import pytest

import wire
from provision import unique
from refusal import outcome, subscribe_refused
from wire import DISCONNECT, PUBLISH, SUBACK, V5, V311


def delivered(subscriber, publisher, topics, sentinel):
    """Which of the topics reach the subscriber: publishes to each, then to the sentinel, and reads up to that."""
    for topic in topics:
        assert publisher.publish(topic, topic, qos=1) == 0
    assert publisher.publish(sentinel, "that was all", qos=1) == 0
    seen = []
    while True:
        message = subscriber.message()
        if message.topic == sentinel:
            return seen
        seen.append(message.topic)


@pytest.mark.parametrize("pattern, topics, matching", [
    ("{p}/a/b", ["{p}/a/b", "{p}/a", "{p}/a/b/c", "{p}/A/b"], ["{p}/a/b"]),
    ("{p}/+/b", ["{p}/x/b", "{p}//b", "{p}/b", "{p}/x/y/b"], ["{p}/x/b", "{p}//b"]),
    ("{p}/+", ["{p}/x", "{p}", "{p}/", "{p}/x/y"], ["{p}/x", "{p}/"]),
    ("{p}/#", ["{p}/x", "{p}/x/y/z", "{p}/", "{p}", "{p}x"], ["{p}/x", "{p}/x/y/z", "{p}/"]),
    ("{p}/+/#", ["{p}/x/y", "{p}/x", "{p}/x/"], ["{p}/x/y", "{p}/x/"]),
    ("+/{p}", ["x/{p}", "/{p}", "x/y/{p}"], ["x/{p}", "/{p}"]),
], ids=["exact", "plus-inside", "plus-at-end", "hash-without-its-parent", "plus-hash", "plus-in-front"])
def test_filters_match_as_aws_says(connected, topic, version, pattern, topics, matching):
    subscriber, sentinel = connected(version), f"{topic}-sentinel"
    assert subscriber.subscribe(pattern.format(p=topic), sentinel) == [1, 1]
    seen = delivered(subscriber, connected(version), [name.format(p=topic) for name in topics], sentinel)
    assert seen == [name.format(p=topic) for name in matching]


@pytest.mark.parametrize("pattern", ["#", "+/things/+/shadow/get", "+/#"])
def test_leading_wildcards_do_not_see_reserved_topics(connected, version, topic, pattern):
    subscriber = connected(version)
    assert subscriber.subscribe(pattern, topic) == [1, 1]
    publisher = connected(version)
    assert publisher.publish("$aws/things/nobody/shadow/get", "", qos=1) == 0
    assert publisher.publish(topic, "that was all", qos=1) == 0
    while True:
        message = subscriber.message()
        assert not message.topic.startswith("$"), message
        if message.topic == topic:
            return


def test_overlapping_filters_deliver_at_least_one_copy(connected, topic, version):
    subscriber = connected(version)
    subscriber.subscribe(f"{topic}/a", f"{topic}/+", f"{topic}/#")
    connected(version).publish(f"{topic}/a", "x", qos=1)
    assert subscriber.message().topic == f"{topic}/a"


def test_subscribing_again_replaces_the_qos(connected, topic, version):
    subscriber = connected(version)
    assert subscriber.subscribe(topic, qos=1) == [1]
    assert subscriber.subscribe(topic, qos=0) == [0]
    connected(version).publish(topic, "x", qos=1)
    assert subscriber.message().qos == 0
    assert subscriber.ping() == []


def test_qos_2_is_never_granted(connected, topic, version):
    """AWS documents no SUBACK for it; the answer itself is not confirmed. QoS 2 must not come back."""
    connection = connected(version)
    connection.send(wire.subscribe(version, [(topic, 2)]) + wire.PING)
    answer = outcome(connection)
    assert answer is None or answer.kind != SUBACK or answer.codes != [2], answer


# ---- limits ----------------------------------------------------------------------------------------------------


def test_eight_filters_in_one_packet_are_granted(connected, topic, version):
    assert connected(version).subscribe(*(f"{topic}/{n}" for n in range(8))) == [1] * 8


def test_nine_filters_in_one_packet_are_refused(connected, topic, version):
    connection = connected(version)
    connection.send(wire.subscribe(version, [(f"{topic}/{n}", 1) for n in range(9)]))
    subscribe_refused(connection, 0x97)


def test_the_51st_subscription_is_refused_and_unsubscribing_makes_room(connected, topic):
    connection = connected(V5)
    for start in range(0, 48, 8):
        assert connection.subscribe(*(f"{topic}/{n}" for n in range(start, start + 8))) == [1] * 8
    assert connection.subscribe(f"{topic}/48", f"{topic}/49") == [1, 1]
    assert connection.subscribe(f"{topic}/0") == [1], "the same filter again is no new subscription"
    assert connection.subscribe(f"{topic}/50") == [0x97]
    assert connection.unsubscribe(f"{topic}/7") == [0]
    assert connection.subscribe(f"{topic}/50") == [1]


def test_the_51st_subscription_of_a_v3_client_is_refused(connected, topic):
    connection = connected(V311)
    for start in range(0, 48, 8):
        connection.subscribe(*(f"{topic}/{n}" for n in range(start, start + 8)))
    connection.subscribe(f"{topic}/48", f"{topic}/49")
    connection.send(wire.subscribe(V311, [(f"{topic}/50", 1)]))
    subscribe_refused(connection)


def test_filter_of_256_bytes_and_7_slashes_is_granted(connected, version):
    assert connected(version).subscribe("/".join(["+"] * 7) + "/" + "x" * 242) == [1]


@pytest.mark.parametrize("bad", ["x" * 257, "/".join("123456789")], ids=["257-bytes", "8-slashes"])
def test_filter_beyond_the_limits_is_refused(connected, version, bad):
    connection = connected(version)
    connection.send(wire.subscribe(version, [(bad, 1)]))
    subscribe_refused(connection, 0x8F)


@pytest.mark.parametrize("bad", ["a/#/b", "a#", "a/b+", "+a", "##", ""])
def test_filter_that_is_none_is_refused(connected, version, bad):
    connection = connected(version)
    connection.send(wire.subscribe(version, [(bad, 1)]))
    subscribe_refused(connection, 0x8F, 0x81, 0x82)


@pytest.mark.parametrize("reserved", ["$mine/x", "$aws/unknown", "$aws/rules/r/x", "$aws/rules/#", "$SYS/#"])
def test_reserved_filters_are_refused(connected, version, reserved):
    connection = connected(version)
    connection.send(wire.subscribe(version, [(reserved, 1)]))
    subscribe_refused(connection, 0x8F)


def test_one_bad_filter_does_not_spoil_the_others_in_v5(connected, topic):
    subscriber = connected(V5)
    assert subscriber.subscribe(topic, "$mine/x", f"{topic}/more") == [1, 0x8F, 1]
    connected(V5).publish(topic, "x", qos=1)
    assert subscriber.message().payload == b"x"


@pytest.mark.parametrize("reserved", ["$aws/things/t/shadow/update/accepted", "$aws/things/+/shadow/#", "$aws/events/#"])
def test_reserved_filters_meant_for_clients_are_granted(connected, version, reserved):
    assert connected(version).subscribe(reserved) == [1]


def test_subscription_identifier_ends_the_connection(connected, topic):
    connection = connected(V5)
    connection.send(wire.subscribe(V5, [(topic, 1)], subscription_identifier=7))
    connection.expect_disconnect(0xA1)


@pytest.mark.parametrize("kind", [wire.SUBSCRIBE, wire.UNSUBSCRIBE])
def test_packet_without_filters_ends_the_connection(connected, version, kind):
    connection = connected(version)
    connection.send(wire.frame(kind, 2, b"\0\1" + (b"\0" if version == V5 else b"")))
    answer = outcome(connection)
    assert (answer is None) if version == V311 else (answer.kind == DISCONNECT and answer.code in (0x81, 0x82)), answer


# ---- unsubscribing ---------------------------------------------------------------------------------------------


def test_unsubscribing_stops_delivery(connected, topic, version):
    subscriber, sentinel = connected(version), f"{topic}-sentinel"
    subscriber.subscribe(topic, sentinel)
    codes = subscriber.unsubscribe(topic)
    assert codes == ([0] if version == V5 else [])
    assert delivered(subscriber, connected(version), [topic], sentinel) == []


def test_unsubscribing_what_was_not_subscribed_is_acknowledged(connected, topic, version):
    codes = connected(version).unsubscribe(topic, f"{topic}/b")
    assert codes == ([0, 0] if version == V5 else [])


# ---- shared ----------------------------------------------------------------------------------------------------


def test_shared_subscription_gives_each_message_to_one_member(connected, topic, version):
    members = [connected(version) for _ in range(2)]
    for member in members:
        assert member.subscribe(f"$share/group/{topic}") == [1]
    watcher, publisher = connected(version), connected(version)
    watcher.subscribe(topic)
    for number in range(40):
        assert publisher.publish(topic, str(number), qos=1) == 0
    assert [int(watcher.message().payload) for _ in range(40)] == list(range(40))
    shares = [[int(p.payload) for p in member.ping() if p.kind == PUBLISH] for member in members]
    assert sorted(shares[0] + shares[1]) == list(range(40))


@pytest.mark.parametrize("bad", ["$share/group", "$share//x", "$share/gr+up/x", "$share/group/"])
def test_malformed_shared_filters_are_refused(connected, version, bad):
    connection = connected(version)
    connection.send(wire.subscribe(version, [(bad, 1)]))
    subscribe_refused(connection, 0x8F, 0x81, 0x82)


def test_share_name_and_filter_have_their_own_limits(connected, aws_server, version):
    name, rest = unique("g").ljust(128, "g"), "/".join(["l"] * 8).ljust(256, "x")
    assert connected(version, on=aws_server).subscribe(f"$share/{name}/{rest}") == [1]
    connection = connected(version, on=aws_server)
    connection.send(wire.subscribe(version, [(f"$share/{name}g/{rest}", 1)]))
    subscribe_refused(connection, 0x8F)
