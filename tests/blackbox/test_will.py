"""The last will: when it is published and when not (developer guide, MQTT; Lifecycle events)."""

import pytest

import wire
from wire import V5, V311


@pytest.fixture
def watcher(connected, topic, version):
    client = connected(version)
    assert client.subscribe(topic) == [1]
    return client


def test_will_is_published_when_the_network_breaks(connected, topic, version, watcher):
    client = connected(version, will=dict(topic=topic, payload="gone", qos=1))
    client.close()
    message = watcher.message()
    assert (message.payload, message.qos, message.retain) == (b"gone", 1, False)


def test_will_is_not_published_after_disconnect(connected, topic, version, watcher):
    connected(version, will=dict(topic=topic, payload="gone")).disconnect()
    connected(version).publish(topic, "sentinel", qos=1)
    assert watcher.message().payload == b"sentinel"


def test_will_is_published_after_misbehaviour(connected, topic, version, watcher):
    client = connected(version, will=dict(topic=topic, payload="gone"))
    client.send(wire.frame(0, 0, b""))
    assert watcher.message().payload == b"gone"


def test_will_is_published_after_a_denied_publish(connected, topic, version, watcher, account, server):
    from provision import allow, deny

    device = account.device(allow("iot:*", "*"), deny("iot:Publish", server.arn("topic/forbidden")))
    client = connected(version, device=device, will=dict(topic=topic, payload="gone"))
    client.send(wire.publish(version, "forbidden", "x", qos=0))
    client.expect_disconnect(0x87)
    assert watcher.message().payload == b"gone"


def test_empty_will_is_published(connected, topic, version, watcher):
    connected(version, will=dict(topic=topic, payload=b"", qos=1)).close()
    assert watcher.message().payload == b""


def test_retained_will_is_kept(connected, topic, version, watcher):
    connected(version, will=dict(topic=topic, payload="kept", retain=True)).close()
    assert not watcher.message().retain
    late = connected(version)
    late.subscribe(topic)
    message = late.message()
    assert message.payload == b"kept" and message.retain


def test_v5_disconnect_with_will_publishes_it(connected, topic):
    watcher = connected(V5)
    watcher.subscribe(topic)
    connected(V5, will=dict(topic=topic, payload="on request")).disconnect(code=0x04)
    assert watcher.message().payload == b"on request"


def test_v5_will_properties_travel(connected, topic):
    sent = {"payload_format": 1, "content_type": "text/plain", "response_topic": "r/t", "correlation_data": b"id",
            "user_properties": [("k", "v"), ("k", "w")]}
    watcher = connected(V5)
    watcher.subscribe(topic)
    connected(V5, will=dict(topic=topic, payload="gone", **sent)).close()
    assert watcher.message().properties == sent


def test_v5_will_reaches_v3_subscribers(connected, topic):
    watcher = connected(V311)
    watcher.subscribe(topic)
    connected(V5, will=dict(topic=topic, payload="gone", content_type="text/plain")).close()
    assert watcher.message().payload == b"gone"
