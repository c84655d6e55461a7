"""The same scenarios with every real client: what a user of AWS IoT does, and what happens when a policy says no."""

import contextlib

import pytest

import clients
from clients import Refused
from provision import allow, unique


@pytest.fixture(params=list(clients.ALL), ids=list(clients.ALL))
def kind(request):
    return clients.ALL[request.param]


@pytest.fixture
def open_client(kind, server):
    """open_client(device, will=...): a connected client of the kind under test; closed afterwards."""
    opened = []

    def make(device=None, client_id=None, will=None):
        client = kind(server, device or kind.anybody(server), client_id or unique("real"))
        opened.append(client)
        client.connect(will=will)
        return client

    yield make
    for client in opened:
        try:
            client.close()
        except Exception:
            pass


@pytest.fixture
def make_device(kind, account):
    """make_device(*statements): somebody who may do this and comes as this kind of client does."""
    return account.user if kind.signs else account.device


@pytest.fixture
def restricted(make_device, server):
    """May connect, and use `ok/...`; may subscribe to `half/...` without receiving from it."""
    return make_device(
        allow("iot:Connect", "*"), allow(["iot:Publish", "iot:Receive"], server.arn("topic/ok/*")),
        allow("iot:Subscribe", [server.arn("topicfilter/ok/*"), server.arn("topicfilter/half/*")]))


def expect_code(kind, code, expected):
    """MQTT 5 clients learn the reason; MQTT 3.1.1 clients only that it is over."""
    if kind.v5:
        assert code == expected


@pytest.mark.parametrize("qos", [0, 1])
def test_publish_and_receive(open_client, topic, qos):
    subscriber, publisher = open_client(), open_client()
    assert subscriber.subscribe(f"{topic}/+", qos=1) == 1
    publisher.publish(f"{topic}/data", "hello", qos=qos)
    assert subscriber.message() == (f"{topic}/data", b"hello", qos, False)


def test_own_message_comes_back(open_client, topic):
    client = open_client()
    client.subscribe(topic)
    client.publish(topic, "to myself", qos=1)
    assert client.message().payload == b"to myself"


def test_denied_connect(kind, open_client, make_device, server):
    device = make_device(allow("iot:Connect", server.arn("client/somebody-else")))
    with pytest.raises(Refused) as refused:
        open_client(device)
    expect_code(kind, refused.value.code, 0x87)


def test_denied_publish_qos_0(kind, open_client, restricted):
    client = open_client(restricted)
    with contextlib.suppress(Refused):  # Some learn of the end before they believe the message sent.
        client.publish("secret", "x", qos=0)
    expect_code(kind, client.end(), 0x87)


def test_denied_publish_qos_1(kind, open_client, restricted, topic):
    client = open_client(restricted)
    with pytest.raises(Refused) as refused:
        client.publish("secret", "x", qos=1)
    expect_code(kind, refused.value.code, 0x87)
    if kind.v5:
        client.publish(f"ok/{topic}", "x", qos=1)


def test_denied_subscribe(kind, open_client, restricted, topic):
    client = open_client(restricted)
    with pytest.raises(Refused) as refused:
        client.subscribe("secret")
    expect_code(kind, refused.value.code, 0x87)
    if kind.v5:
        assert client.subscribe(f"ok/{topic}") == 1


def test_denied_receive(open_client, restricted, topic):
    client, publisher = open_client(restricted), open_client()
    client.subscribe(f"half/{topic}")
    client.subscribe(f"ok/{topic}")
    publisher.publish(f"half/{topic}", "unseen", qos=1)
    publisher.publish(f"ok/{topic}", "seen", qos=1)
    assert client.message().payload == b"seen"


def test_takeover(kind, open_client, topic):
    first = open_client()
    second = open_client(client_id=first.client_id)
    expect_code(kind, first.end(), 0x8E)
    second.subscribe(topic)
    second.publish(topic, "still here", qos=1)
    assert second.message().payload == b"still here"


def test_will(open_client, topic):
    """The server ends a connection that is taken over, and publishes its will."""
    watcher = open_client()
    watcher.subscribe(topic)
    lost = open_client(will=dict(topic=topic, payload="gone", qos=1))
    open_client(client_id=lost.client_id)
    assert watcher.message() == (topic, b"gone", 1, False)


def test_orderly_disconnect_sends_no_will(open_client, topic):
    watcher, polite = open_client(), open_client(will=dict(topic=topic, payload="gone", qos=1))
    watcher.subscribe(topic)
    polite.close()
    watcher.publish(topic, "sentinel", qos=1)
    assert watcher.message().payload == b"sentinel"


def test_retained(open_client, topic):
    publisher = open_client()
    publisher.publish(topic, "kept", qos=1, retain=True)
    late = open_client()
    late.subscribe(topic)
    assert late.message() == (topic, b"kept", 1, True)
    publisher.publish(topic, "", qos=1, retain=True)
    assert late.message().payload == b""
    later = open_client()
    later.subscribe(topic)
    later.publish(topic, "live", qos=1)
    assert later.message() == (topic, b"live", 1, False)
