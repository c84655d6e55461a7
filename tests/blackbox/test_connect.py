"""CONNECT and CONNACK: what AWS promises a client, exactly (developer guide, MQTT; quotas)."""

import struct
import time

import pytest

import wire
from provision import allow, unique
from refusal import connect_refused
from wire import CONNACK, DISCONNECT, V5, V311

PROMISES = {
    "receive_maximum": 100, "maximum_qos": 1, "retain_available": 1, "maximum_packet_size": 149504, "topic_alias_maximum": 8,
    "wildcard_available": 1, "subscription_identifiers_available": 0, "shared_available": 1,
}


def test_connack_v5_has_exactly_aws_properties(connected):
    connack = connected(V5, keep_alive=120).connack
    assert connack.properties == dict(PROMISES, server_keep_alive=120)
    assert connack.code == 0 and not connack.session_present


def test_connack_v3_is_two_zero_bytes(connected):
    connack = connected(V311).connack
    assert connack.code == 0 and not connack.session_present


@pytest.mark.parametrize("asked, effective", [
    (65535, 1200), (1201, 1200), (1200, 1200), (1000, 1000), (31, 31), (30, 30), (29, 30), (10, 30), (1, 30), (0, 1200)])
def test_keep_alive_is_clamped_and_reported(connected, asked, effective):
    assert connected(V5, keep_alive=asked).connack.properties["server_keep_alive"] == effective


@pytest.mark.parametrize("asked, reported", [
    (None, None), (0, None), (1, None), (1200, None), (3600, None), (3601, 3600), (600000, 3600), (0xFFFFFFFF, 3600)])
def test_session_expiry_is_lowered_to_one_hour_and_only_then_reported(connected, asked, reported):
    props = {} if asked is None else {"session_expiry": asked}
    assert connected(V5, **props).connack.properties.get("session_expiry") == reported


# ---- client identifiers ----------------------------------------------------------------------------------------


def test_client_id_of_128_bytes_is_accepted(connected, version):
    connected(version, client_id=unique("x").ljust(128, "x"))


def test_client_id_of_129_bytes_is_refused(dial, account, version):
    connection = dial(account.everything(), version)
    connection.send(wire.connect(version, "y" * 129))
    connect_refused(connection, 0x85)


def test_client_id_is_measured_in_bytes(dial, account, version):
    connection = dial(account.everything(), version)
    connection.send(wire.connect(version, "é" * 65))
    connect_refused(connection, 0x85)


def test_client_id_with_a_dollar_in_front_is_refused(dial, account, version):
    connection = dial(account.everything(), version)
    connection.send(wire.connect(version, "$mine"))
    connect_refused(connection, 0x85)


def test_empty_client_id_is_assigned_and_returned_in_v5(connected):
    first, second = (connected(V5, client_id="").connack.properties["assigned_client_id"] for _ in range(2))
    assert first and second and first != second


def test_empty_client_id_with_clean_session_is_accepted_in_v3(connected):
    assert connected(V311, client_id="").ping() == []


# ---- refusals --------------------------------------------------------------------------------------------------


def test_connect_denied_by_policy(dial, account, server, version):
    device = account.device(allow("iot:Connect", server.arn("client/somebody-else")))
    mark = server.log_mark()
    client_id = unique("denied")
    connection = dial(device, version)
    connection.send(wire.connect(version, client_id))
    if version == V311:
        connection.expect_end()
    else:
        connack = connection.expect(CONNACK)
        assert connack.code == 0x87
        reason = connack.properties["reason_string"]
        assert reason.startswith("CONNACK:Client is not authenticated/authorized to send the message:"), reason
        connection.expect_end()
    server.wait_for_log(client_id, "iot:Connect", since=mark)


def test_reason_string_is_absent_when_the_client_does_not_want_it(dial, account):
    connection = dial(account.device(allow("iot:Publish", "*")), V5)
    connection.send(wire.connect(V5, unique(), request_problem_information=0))
    connack = connection.expect(CONNACK)
    assert connack.code == 0x87
    # [MQTT-3.1.2-29]: CONNACK may carry it all the same; nothing else may.
    connection.expect_end()


def test_will_of_qos_2_is_refused(dial, account, version):
    connection = dial(account.everything(), version)
    connection.send(wire.connect(version, unique(), will=dict(topic="will/topic", payload="x", qos=2)))
    connect_refused(connection, 0x9B)


def test_will_on_a_topic_of_257_bytes_is_refused(dial, account, version):
    connection = dial(account.everything(), version)
    connection.send(wire.connect(version, unique(), will=dict(topic="w" * 257, payload="x")))
    connect_refused(connection, 0x90)


@pytest.mark.parametrize("denied", ["iot:Publish", "iot:RetainPublish"])
def test_will_needs_permission_at_connect(dial, account, version, denied):
    allowed = [allow("iot:Connect", "*")] + ([allow("iot:Publish", "*")] if denied == "iot:RetainPublish" else [])
    connection = dial(account.device(*allowed), version)
    connection.send(wire.connect(version, unique(), will=dict(topic="will/topic", payload="x", retain=True)))
    if version == V311:
        connection.expect_end()
    else:
        assert connection.expect(CONNACK).code == 0x87
        connection.expect_end()


def test_connect_of_more_than_128_kib_is_refused(dial, account, connected, version):
    def will(size):
        return dict(topic="will/topic", payload="w" * size)

    connected(version, will=will(65535), user="u" * 65000)
    connection = dial(account.everything(), version)
    connection.send(wire.connect(version, unique(), will=will(65535), user="u" * 65535, password=b"p" * 100))
    connect_refused(connection, 0x97)


def test_client_that_accepts_less_than_512_bytes_is_refused(dial, account, connected):
    connected(V5, maximum_packet_size=512)
    connection = dial(account.everything(), V5)
    connection.send(wire.connect(V5, unique(), maximum_packet_size=511))
    connect_refused(connection)


def test_enhanced_authentication_is_refused(dial, account):
    connection = dial(account.everything(), V5)
    connection.send(wire.connect(V5, unique(), authentication_method="SCRAM-SHA-256"))
    connect_refused(connection)


@pytest.mark.parametrize("name, level", [("MQIsdp", 3), ("MQTT", 3), ("MQTT", 6), ("MQTT", 0), ("mqtt", 4)])
def test_other_protocols_are_refused(dial, account, name, level):
    connection = dial(account.everything(), V311)
    connection.send(wire.frame(wire.CONNECT, 0, wire.text(name) + bytes([level, 2, 0, 60]) + wire.text("someone")))
    try:
        answer = connection.receive()
    except wire.Closed:
        return
    assert answer.kind == CONNACK and answer.code != 0
    connection.expect_end()


# ---- order of packets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [
    wire.PING, wire.publish(V311, "a", b"x"), wire.subscribe(V311, [("a", 0)]), wire.disconnect(V311),
    wire.frame(wire.CONNACK, 0, b"\0\0"), wire.frame(0, 0, b"")], ids=["ping", "publish", "subscribe", "disconnect", "connack", "reserved"])
def test_first_packet_must_be_connect(dial, account, first):
    connection = dial(account.everything(), V311)
    connection.send(first)
    connection.expect_end()


def test_second_connect_ends_the_connection(connected, version):
    connection = connected(version)
    connection.send(wire.connect(version, connection.client_id))
    connection.expect_disconnect(0x82)


def test_disconnect_ends_the_connection(connected, version):
    connected(version).disconnect()


def test_ping_is_answered(connected, version):
    assert connected(version).ping() == []


def test_user_name_of_an_sdk_is_ignored(connected, version):
    assert connected(version, user="?SDK=PythonV2&Version=1.0", password=b"").ping() == []


def test_packets_meant_for_clients_end_the_connection(connected, version):
    for kind in (wire.CONNACK, wire.SUBACK, wire.UNSUBACK, wire.PINGRESP):
        connection = connected(version)
        connection.send(wire.frame(kind, 0, b"" if kind == wire.PINGRESP else struct.pack(">HB", 1, 0)))
        assert_ends(connection)


def test_auth_packet_ends_the_connection(connected):
    connection = connected(V5)
    connection.send(wire.frame(wire.AUTH, 0, b"\x18\x00"))
    assert_ends(connection)


def assert_ends(connection):
    try:
        answer = connection.receive()
    except wire.Closed:
        return
    assert answer.kind == DISCONNECT and answer.code in (0x81, 0x82), answer
    connection.expect_end()


# ---- time ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.xdist_group("slow")
def test_silence_for_one_and_a_half_keep_alives_ends_the_connection(connected, topic):
    """Keep-alive 10 counts as 30, so 45 seconds. A client that pings stays; the silent one's will is sent."""
    watcher = connected(V5, keep_alive=1200)
    watcher.subscribe(topic)
    begun = time.monotonic()
    silent = {version: connected(version, keep_alive=10, will=dict(topic=topic, payload=f"will {version}")) for version in (V311, V5)}
    lively = connected(V5, keep_alive=10)
    while (left := begun + 42 - time.monotonic()) > 0:
        assert not silent[V5].is_readable(within=min(10, left)), "ended too early"
        assert lively.ping() == []
    for version, connection in silent.items():
        connection.expect_disconnect(0x8D, within=20)
    assert 44 <= time.monotonic() - begun <= 60
    assert {watcher.message().payload for _ in silent} == {b"will 4", b"will 5"}
    assert lively.ping() == []
