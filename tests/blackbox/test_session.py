"""Sessions: what survives a connection, who owns a client id, what is delivered again (developer guide, MQTT)."""

import time

import pytest

import wire
from wire import CONNACK, PUBLISH, V5, V311


def persistent(version):
    """How a client asks for a session that outlives the connection."""
    return dict(clean=False, session_expiry=600) if version == V5 else dict(clean=False)


def clean_start_of_a_persistent_session(version):
    return dict(clean=True, session_expiry=600) if version == V5 else dict(clean=False)


@pytest.fixture
def leaves_with_a_session(connected):
    """Connects, subscribes to the topic, disconnects; returns the client id."""

    def make(version, topic, qos=1):
        client = connected(version, **persistent(version))
        assert not client.connack.session_present
        assert client.subscribe(topic, qos=qos) == [qos]
        client.disconnect()
        return client.client_id

    return make


# ---- persistent sessions ---------------------------------------------------------------------------------------


def test_session_is_resumed_with_its_subscriptions(connected, topic, version, leaves_with_a_session):
    client_id = leaves_with_a_session(version, topic)
    back = connected(version, client_id, **persistent(version))
    assert back.connack.session_present
    connected(version).publish(topic, "hello again", qos=1)
    assert back.message().payload == b"hello again"


def test_qos_1_is_kept_for_the_absent_and_qos_0_is_not(connected, topic, version, leaves_with_a_session):
    client_id = leaves_with_a_session(version, topic)
    publisher = connected(version)
    publisher.publish(topic, "lost", qos=0)
    for number in range(5):
        assert publisher.publish(topic, str(number), qos=1) == 0
    back = connected(version, client_id, **persistent(version))
    messages = [back.message() for _ in range(5)]
    assert sorted(m.payload for m in messages) == [b"0", b"1", b"2", b"3", b"4"]
    assert all(m.qos == 1 and not m.dup and not m.retain for m in messages)


def test_qos_0_subscription_keeps_nothing_for_the_absent(connected, topic, version, leaves_with_a_session):
    client_id = leaves_with_a_session(version, topic, qos=0)
    publisher = connected(version)
    assert publisher.publish(topic, "lost", qos=1) == 0
    back = connected(version, client_id, **persistent(version))
    assert back.connack.session_present
    publisher.publish(topic, "live", qos=0)
    assert back.message().payload == b"live"


def test_session_survives_a_broken_network(connected, topic, version):
    client = connected(version, **persistent(version))
    client.subscribe(topic)
    client.close()
    back = connected(version, client.client_id, **persistent(version))
    assert back.connack.session_present
    connected(version).publish(topic, "x", qos=1)
    assert back.message().payload == b"x"


def test_clean_start_forgets_the_session(connected, topic, version, leaves_with_a_session):
    client_id = leaves_with_a_session(version, topic)
    publisher = connected(version)
    assert publisher.publish(topic, "kept, then forgotten", qos=1) == 0
    back = connected(version, client_id, clean=True)
    assert not back.connack.session_present
    publisher.publish(topic, "nobody listens", qos=1)
    assert back.ping() == []


def test_session_without_persistence_ends_with_the_connection(connected, topic, version):
    client = connected(version, clean=True)
    client.subscribe(topic)
    client.disconnect()
    again = connected(version, client.client_id, **persistent(version))
    assert not again.connack.session_present


def test_v5_clean_start_can_begin_a_persistent_session(connected, topic):
    client = connected(V5, clean=True, session_expiry=600)
    client.subscribe(topic)
    client.disconnect()
    assert connected(V5, client.client_id, clean=False, session_expiry=600).connack.session_present


def test_v5_disconnect_can_end_the_session(connected, topic):
    client = connected(V5, clean=False, session_expiry=600)
    client.subscribe(topic)
    client.disconnect(session_expiry=0)
    assert not connected(V5, client.client_id, clean=False, session_expiry=600).connack.session_present


def test_v5_disconnect_cannot_make_a_session_persistent(connected):
    client = connected(V5, clean=True)
    client.send(wire.disconnect(V5, session_expiry=60))
    client.expect_disconnect(0x82)


@pytest.mark.parametrize("before, after", [(V311, V5), (V5, V311)])
def test_session_of_the_other_version_is_not_resumed(connected, topic, before, after, leaves_with_a_session):
    client_id = leaves_with_a_session(before, topic)
    assert not connected(after, client_id, **persistent(after)).connack.session_present


# ---- delivery again --------------------------------------------------------------------------------------------


def test_unacknowledged_message_comes_again_after_reconnecting(connected, topic, version):
    client = connected(version, **persistent(version))
    client.subscribe(topic)
    publisher = connected(version)
    for payload in ("first", "second"):
        assert publisher.publish(topic, payload, qos=1) == 0
    first, second = client.message(ack=True), client.message(ack=False)
    assert (first.payload, second.payload) == (b"first", b"second")
    assert client.ping() == []
    client.close()
    back = connected(version, client.client_id, **persistent(version))
    again = back.message()
    assert again.payload == b"second" and not again.dup
    assert back.ping() == []


@pytest.mark.slow
@pytest.mark.xdist_group("slow")
def test_unacknowledged_message_comes_again_on_the_same_connection(connected, topic, version):
    """Divergence retry-while-connected: about 30 seconds after the first delivery, never with DUP."""
    client = connected(version, keep_alive=1200)
    client.subscribe(topic)
    assert connected(version).publish(topic, "hello", qos=1) == 0
    first, begun = client.message(ack=False), time.monotonic()
    again = client.message(within=60)
    assert 28 <= time.monotonic() - begun <= 50
    assert again.payload == first.payload and not again.dup


# ---- takeover --------------------------------------------------------------------------------------------------


def test_second_connection_with_a_client_id_takes_over(connected, version):
    first = connected(version)
    second = connected(version, first.client_id)
    first.expect_disconnect(0x8E)
    assert second.ping() == []


@pytest.mark.parametrize("before, after", [(V311, V5), (V5, V311)])
def test_takeover_crosses_versions(connected, before, after):
    first = connected(before)
    second = connected(after, first.client_id)
    first.expect_disconnect(0x8E)
    assert second.ping() == []


def test_takeover_sends_the_will_of_the_one_that_lost(connected, topic, version):
    watcher = connected(version)
    watcher.subscribe(topic)
    first = connected(version, will=dict(topic=topic, payload="taken over"))
    connected(version, first.client_id)
    first.expect_disconnect(0x8E)
    assert watcher.message().payload == b"taken over"


def test_takeover_resumes_the_persistent_session(connected, topic, version):
    first = connected(version, **persistent(version))
    first.subscribe(topic)
    second = connected(version, first.client_id, **persistent(version))
    assert second.connack.session_present
    first.expect_disconnect(0x8E)
    connected(version).publish(topic, "x", qos=1)
    assert second.message().payload == b"x"


def test_twenty_takeovers_in_a_row_leave_one_owner(connected, version):
    first = connected(version)
    crowd = [first] + [connected(version, first.client_id) for _ in range(20)]
    for loser in crowd[:-1]:
        loser.expect_disconnect(0x8E)
    assert crowd[-1].ping() == []


def test_refused_client_does_not_take_over(connected, dial, account, server, version):
    from provision import allow

    first = connected(version)
    stranger = dial(account.device(allow("iot:Publish", "*")), version)
    stranger.send(wire.connect(version, first.client_id))
    if version == V5:
        assert stranger.expect(CONNACK).code == 0x87
    stranger.expect_end()
    assert first.ping() == []


def test_will_of_a_subscriber_that_left_is_not_delivered_to_itself(connected, topic, version):
    """The session is gone before its will is routed: nothing to deliver to, nothing that fails."""
    client = connected(version, will=dict(topic=topic, payload="mine"))
    client.subscribe(topic)
    watcher = connected(version)
    watcher.subscribe(topic)
    client.close()
    assert watcher.expect(PUBLISH).payload == b"mine"
