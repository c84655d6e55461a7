"""Retained messages with AWS's rules: exact topics only, never on reserved topics (developer guide, MQTT)."""

import pytest

import wire
from provision import allow
from refusal import publish_refused
from wire import V5, V311


@pytest.fixture
def keep(connected, topic):
    """keep(version, payload): publishes a retained message on the test's topic."""

    def publish(version, payload="kept", name=None, **props):
        assert connected(version).publish(name or topic, payload, qos=1, retain=True, **props) == 0

    return publish


def test_retained_message_is_delivered_on_subscribe(connected, topic, version, keep):
    keep(version)
    client = connected(version)
    assert client.subscribe(topic) == [1]
    message = client.message()
    assert (message.topic, message.payload, message.qos, message.retain) == (topic, b"kept", 1, True)


def test_retained_message_is_delivered_with_the_granted_qos(connected, topic, version, keep):
    keep(version)
    client = connected(version)
    client.subscribe(topic, qos=0)
    message = client.message()
    assert message.qos == 0 and message.retain


def test_live_delivery_of_a_retained_publish_has_no_retain_flag(connected, topic, version, keep):
    client = connected(version)
    client.subscribe(topic)
    keep(version)
    assert not client.message().retain


@pytest.mark.parametrize("pattern", ["{}/#", "{}/+", "+/leaf", "#"])
def test_wildcard_filters_never_bring_retained_messages(connected, topic, version, keep, pattern):
    keep(version, name=f"{topic}/leaf")
    client = connected(version)
    assert client.subscribe(pattern.format(topic), topic) == [1, 1]
    connected(version).publish(topic, "sentinel", qos=1)
    while True:
        message = client.message()
        assert not message.retain, message
        if message.payload == b"sentinel":
            return


def test_shared_subscription_brings_no_retained_message(connected, topic, version, keep):
    keep(version)
    client = connected(version)
    assert client.subscribe(f"$share/g/{topic}") == [1]
    connected(version).publish(topic, "live", qos=1)
    assert client.message().payload == b"live"


def test_last_writer_wins(connected, topic, version, keep):
    for payload in ("one", "two", "three"):
        keep(version, payload)
    client = connected(version)
    client.subscribe(topic)
    assert client.message().payload == b"three"
    assert client.ping() == []


def test_publish_without_retain_leaves_the_retained_message(connected, topic, version, keep):
    keep(version)
    connected(version).publish(topic, "passing by", qos=1)
    client = connected(version)
    client.subscribe(topic)
    assert client.message().payload == b"kept"


def test_empty_payload_deletes_and_is_still_delivered(connected, topic, version, keep):
    keep(version)
    watcher = connected(version)
    watcher.subscribe(topic)
    assert watcher.message().payload == b"kept"
    keep(version, "")
    assert watcher.message().payload == b""
    late = connected(version)
    late.subscribe(topic)
    assert late.ping() == []


def test_v5_properties_are_kept(connected, topic, keep):
    sent = {"content_type": "text/plain", "user_properties": [("a", "b")], "correlation_data": b"c"}
    keep(V5, **sent)
    client = connected(V5)
    client.subscribe(topic)
    assert client.message().properties == sent


def test_v5_retained_message_carries_its_remaining_expiry(connected, topic, keep):
    keep(V5, message_expiry=1000)
    client = connected(V5)
    client.subscribe(topic)
    assert 900 <= client.message().properties["message_expiry"] <= 1000


def test_retained_messages_cross_versions(connected, topic, keep):
    keep(V5, content_type="text/plain")
    client = connected(V311)
    client.subscribe(topic)
    message = client.message()
    assert message.payload == b"kept" and message.retain


@pytest.mark.parametrize("reserved", ["$aws/things/t/shadow/get", "$aws/rules/r/x"])
def test_retain_on_reserved_topics_is_refused(connected, version, reserved):
    connection = connected(version)
    connection.send(wire.publish(version, reserved, "x", qos=1, retain=True))
    publish_refused(connection, 0x90)


def test_retain_needs_its_own_permission(connected, topic, version, account, server):
    device = account.device(allow(["iot:Connect", "iot:Publish"], "*"))
    connection = connected(version, device=device)
    if version == V5:
        assert connection.publish(topic, "x", qos=1, retain=True) == 0x87
        assert connection.publish(topic, "x", qos=1) == 0
    else:
        assert connection.publish(topic, "x", qos=1) == 0
        connection.send(wire.publish(version, topic, "x", qos=1, retain=True))
        connection.expect_end()
    watcher = connected(version)
    watcher.subscribe(topic)
    assert watcher.ping() == []


def test_receive_permission_guards_retained_messages_too(connected, topic, version, account, server, keep):
    keep(version)
    device = account.device(allow(["iot:Connect", "iot:Subscribe"], "*"))
    client = connected(version, device=device)
    assert client.subscribe(topic) == [1]
    assert client.ping() == []
