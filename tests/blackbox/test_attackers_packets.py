"""Attackers whose packets are cut off, malformed, announce what never comes, or are as large as they can be."""

import contextlib
import select
import socket
import time

import pytest

import wire
from attacks import (  # noqa: F401
    PATIENCE, TRANSPORTS, below, dial, greeted, honest, is_over, many_sockets, server, transport, unharmed, with_what_it_takes)
from provision import unique
from test_malformed import BAD_CONNECTS, BAD_V3_CONNECTS, BOTH, ONLY_V3, ONLY_V5, connect_packet
from wire import V5, V311, Closed

pytestmark = [pytest.mark.xdist_group("attackers"), pytest.mark.timeout(300)]
slow = pytest.mark.slow
both_versions = pytest.mark.parametrize("version", [V311, V5])
# A bound for what has to be over at once, and for what is over when the server has waited for PATIENCE.
SOON, WAITED = 8.0, PATIENCE * 8


ACKNOWLEDGEMENTS = {"puback": wire.PUBACK, "pubrec": wire.PUBREC, "pubrel": wire.PUBREL, "pubcomp": wire.PUBCOMP}


def everything(version):
    """A right packet of every type, each as full as it can be."""
    more = dict(user_properties=[("a", "b")] * 3) if version == V5 else {}
    why = dict(reason_string="w", user_properties=[("a", "b")]) if version == V5 else {}
    will = dict(topic="will/topic", payload="gone", qos=1)
    packets = {
        "connect": wire.connect(version, unique("cut"), will=will, user="user", password=b"password", keep_alive=30, **more),
        "publish": wire.publish(version, "cut/topic", "payload"),
        "publish-1": wire.publish(version, "cut/topic", "payload", qos=1, packet_id=7, **more),
        **{name: wire.acknowledgement(kind, 7, **why) for name, kind in ACKNOWLEDGEMENTS.items()},
        "subscribe": wire.subscribe(version, [("cut/a", 1), ("cut/+/b", 0)], 9, **more),
        "unsubscribe": wire.unsubscribe(version, ["cut/a", "cut/+/b"], 10, **more),
        "ping": wire.PING, "disconnect": wire.disconnect(version, 4, session_expiry=10, **why),
        # What only a server may send.
        "connack": wire.frame(wire.CONNACK, 0, b"\0\0" + (b"\0" if version == V5 else b"")),
        "suback": wire.frame(wire.SUBACK, 0, b"\0\1" + (b"\0" if version == V5 else b"") + b"\0"),
        "unsuback": wire.frame(wire.UNSUBACK, 0, b"\0\1" + (b"\0\0" if version == V5 else b"")),
        "pingresp": wire.frame(wire.PINGRESP, 0, b""), "auth": wire.frame(wire.AUTH, 0, b""),
    }
    if version == V5:
        packets["auth"] = wire.auth(0x18, authentication_method="m", authentication_data=b"d", **why)
    return packets


def never_a_clients(version):
    """These are refused by their first byte, whatever would follow."""
    return ("connack", "suback", "unsuback", "pingresp", *(("auth",) if version == V311 else ()))


def cuts(packet, how_many):
    """Where to cut a packet: everywhere, or at so many places with both ends among them."""
    last = len(packet) - 1
    return range(1, last + 1) if how_many is None else sorted({1 + (last - 1) * n // max(how_many - 1, 1) for n in range(how_many)})


def started(server, transport, version, name, packet):
    """A connection that has sent the start of a packet."""
    connection = dial(server, transport, version=version) if name == "connect" else greeted(server, transport, version)
    connection.send(packet)
    return connection


def assert_ended(connection, what, within=SOON):
    """It ends, and nothing comes before that but, for MQTT 5, the reason."""
    packets = is_over(connection, within)
    assert packets is not None, f"{what}: not ended"
    assert_refused(connection, packets, what)


def assert_refused(connection, packets, what):
    """Without a word, or, for MQTT 5, with the reason."""
    assert len(packets) <= (connection.version == V5), (what, packets)
    assert all(packet.kind == wire.DISCONNECT and packet.code >= 0x80 for packet in packets), (what, packets)


def cut_off(server, transport, version, how_many):
    """The start of each packet and then the end of the peer's sending, as when its process dies: the server ends its side too."""
    for name, packet in everything(version).items():
        for cut in cuts(packet, how_many):
            with started(server, transport, version, name, packet[:cut]) as connection:
                # By a packet that no client sends the server may have hung up already.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(below(connection), socket.SHUT_WR)
                assert_ended(connection, f"{name} cut at {cut}")


@both_versions
def test_packets_of_every_type_cut_off(server, transport, version):
    cut_off(server, transport, version, 4)


@slow
@both_versions
def test_packets_of_every_type_cut_off_everywhere(server, transport, version):
    cut_off(server, transport, version, None)


def content(packet):
    """What follows the length of a packet, which is of one byte or two here."""
    return packet[3:] if packet[1] & 0x80 else packet[2:]


# What may be missing at the end, in bytes: some of the payload, or the last filter. Acknowledgements: the properties, or the code too.
RIGHT_WITHOUT = {"publish": range(1, 8), "publish-1": range(1, 8), "subscribe": [10], "unsubscribe": [9]}
ANSWERS = (wire.PUBACK, wire.SUBACK, wire.UNSUBACK)


@both_versions
def test_packets_of_every_type_whose_content_ends_early(server, transport, version):
    """They are as long as they say, and what is in them is longer: refused, but for those that are right without what is missing."""
    for name, packet in everything(version).items():
        whole = content(packet)
        for end in range(0, len(whole), 1 if transport == "plain" else 5):
            right = len(whole) - end in RIGHT_WITHOUT.get(name, ()) or name in ACKNOWLEDGEMENTS and end in (2, 3)
            with started(server, transport, version, name, wire.frame(packet[0] >> 4, packet[0] & 15, whole[:end])) as connection:
                with_what_it_takes(connection.send, wire.PING)
                packets = to_ping_or_end(connection)
                if right and packets and packets[-1].kind == wire.PINGRESP:
                    assert all(one.kind in ANSWERS for one in packets[:-1]), (name, end, packets)
                else:
                    assert_refused(connection, packets, f"{name} that ends at {end}")


def to_ping_or_end(connection):
    """What comes until the answer to a ping, or the end."""
    packets = []
    with contextlib.suppress(Closed, OSError):
        while not packets or packets[-1].kind != wire.PINGRESP:
            packets.append(connection.receive(SOON))
    return packets


@pytest.mark.parametrize("how_many", [2, pytest.param(None, marks=slow)], ids=["both-ends", "every-byte"])
@both_versions
def test_packets_that_do_not_go_on(server, version, how_many):
    """The start of each packet, and the peer stays: the server waits for the rest, and no longer than it says."""
    with contextlib.ExitStack() as stack:
        begun = []
        for name, packet in everything(version).items():
            for cut in cuts(packet, how_many):
                for transport in TRANSPORTS:
                    connection = stack.enter_context(started(server, transport, version, name, packet[:cut]))
                    begun.append((time.monotonic(), name, f"{name} cut at {cut} on {transport}", connection))
        # Nobody was sent away at once; those of whom the server may have had enough by now are not asked.
        fresh = {below(connection).fileno(): what for moment, name, what, connection in begun
                 if name not in never_a_clients(version) and time.monotonic() < moment + PATIENCE / 2}
        assert fresh and [fresh[number] for number in readable(fresh)] == []
        for moment, _, what, connection in begun:
            assert_ended(connection, what, max(moment + WAITED - time.monotonic(), 0.1))


def readable(descriptors):
    """Those on which something has come, be it the end."""
    poll = select.poll()
    for number in descriptors:
        poll.register(number, select.POLLIN)
    return [number for number, _ in poll.poll(0)]


@both_versions
def test_malformed_packets_of_every_type(server, transport, version):
    for case, make in {**BOTH, **(ONLY_V5 if version == V5 else ONLY_V3)}.items():
        with greeted(server, transport, version) as connection:
            connection.send(make(version))
            assert_ended(connection, case)


@both_versions
def test_malformed_connects(server, transport, version):
    for case, options in (BAD_CONNECTS if version == V5 else BAD_V3_CONNECTS).items():
        with dial(server, transport, version=version) as connection:
            connection.send(connect_packet(version, **options))
            packets = is_over(connection, SOON)
            assert packets == [] or version == V5 and packets is not None and all(
                p.kind in (wire.CONNACK, wire.DISCONNECT) and p.code >= 0x80 for p in packets), (case, packets)


@both_versions
def test_packets_that_only_a_server_sends(server, transport, version):
    for name in ("connack", "suback", "unsuback", "pingresp", "connect"):
        with greeted(server, transport, version) as connection:
            connection.send(everything(version)[name])
            assert_ended(connection, name)


# ---- bombs -------------------------------------------------------------------------------------------------------


def bomb(kind):
    """The head of the longest packet there can be, and some of it."""
    flags = 2 if kind in (wire.SUBSCRIBE, wire.UNSUBSCRIBE, wire.PUBREL) else 0
    return bytes([kind << 4 | flags]) + wire.varint(268_435_455) + bytes(2000)


@both_versions
def test_packet_length_bombs(server, transport, version):
    """Every type announces the longest packet there can be, before and after CONNECT: it is refused by its head."""
    for kind in range(16):
        with greeted(server, transport, version) as connection:
            with_what_it_takes(connection.send, bomb(kind))
            assert_ended(connection, f"type {kind}")
        with dial(server, transport, version=version) as connection:
            with_what_it_takes(connection.send, bomb(kind))
            assert is_over(connection, SOON) == [], f"type {kind} before CONNECT"


PAIRS = [("", "")] * 25_000
# Made once: so many pairs take a while.
PROPERTY_BOMBS = {
    "publish": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, user_properties=PAIRS),
    "subscribe": wire.subscribe(V5, [("bomb", 0)], 1, user_properties=PAIRS),
    "unsubscribe": wire.unsubscribe(V5, ["bomb"], 1, user_properties=PAIRS),
    **{name: wire.acknowledgement(kind, 1, user_properties=PAIRS) for name, kind in ACKNOWLEDGEMENTS.items()},
    "reason": wire.acknowledgement(wire.PUBACK, 1, reason_string="x" * 65_535),
    "disconnect": wire.disconnect(V5, 4, user_properties=PAIRS),
    "auth": wire.auth(0x18, authentication_method="m", user_properties=PAIRS),
    "auth-data": wire.auth(0x18, authentication_method="m", authentication_data=b"x" * 65_535),
    "correlation": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, correlation_data=b"x" * 65_535),
    "content-type": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, content_type="x" * 65_535),
    "response-topic": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, response_topic="/" * 65_535),
    "alias": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, topic_alias=65_535),
    "length-of-properties": wire.frame(wire.PUBLISH, 0, b"\0\1a\xff\xff\xff\x7f"),
}


@pytest.mark.parametrize("case", PROPERTY_BOMBS)
def test_property_bombs(server, transport, case):
    """Answered or ended, and listeners do not multiply what it costs."""
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            ear = stack.enter_context(dial(server, transport))
            ear.connect(unique("ear"), receive_maximum=1)
            ear.subscribe("bomb")
        for _ in range(5):
            with greeted(server, transport, V5) as connection:
                # Nobody answers an acknowledgement, but then the ping.
                with_what_it_takes(connection.send, PROPERTY_BOMBS[case] + wire.PING)
                packets = to_ping_or_end(connection)
                assert {packet.kind for packet in packets} <= {*ANSWERS, wire.DISCONNECT, wire.PINGRESP}, packets


def test_property_bombs_in_connect(server, transport):
    pairs = [("", "")] * 12_000
    will = dict(topic="bomb", payload="", user_properties=pairs)
    for options in (dict(user_properties=pairs), dict(will=will), dict(user="u" * 65_535, password=b"p" * 65_535)):
        with dial(server, transport) as connection:
            with contextlib.suppress(Closed):
                connection.send(wire.connect(V5, unique("bomb"), **options))
                assert connection.receive().kind in (wire.CONNACK, wire.DISCONNECT)


DEEP = {"slashes": "/" * 65_535, "letters": "a/" * 32_767, "wildcards": "+/" * 32_767 + "#", "shared": "$share/" + "/" * 65_000,
        "reserved": "$aws/" + "/" * 65_000, "nine-levels": "a/b/c/d/e/f/g/h/i"}


def heard(ear, last):
    """The topics of what came before a message on the topic `last`, but for those of the honest."""
    topics = []
    while (topic := ear.expect(wire.PUBLISH).topic) != last:
        topics += [] if topic.startswith("honest") else [topic]
    return topics


@both_versions
@pytest.mark.parametrize("case", DEEP)
def test_topic_depth_bombs(server, transport, version, case):
    """Too deep for AWS, in whatever packet: refused, and nobody hears of it."""
    topic = DEEP[case]
    with greeted(server, "plain", V5) as ear:
        ear.subscribe("#", qos=0)
        for packet in (wire.publish(version, topic.replace("+", "p").replace("#", "h"), "x", qos=1, packet_id=1, retain=True),
                       wire.subscribe(version, [(topic, 1)], 1), wire.unsubscribe(version, [topic], 1)):
            with greeted(server, transport, version) as connection:
                with contextlib.suppress(Closed):
                    connection.send(packet)
                    answer = connection.receive()
                    assert answer.kind == wire.UNSUBACK or answer.kind == wire.DISCONNECT or min(
                        answer.fields.get("codes") or [answer.fields.get("code", 0)]) >= 0x80, (case, answer)
        with dial(server, transport, version=version) as connection:
            connection.send(wire.connect(version, unique("deep"), will=dict(topic=topic, payload="x", qos=1)))
            with contextlib.suppress(Closed):
                assert connection.receive().fields.get("code", 0) > 0
        last = unique("last")
        with greeted(server, "plain", V5) as publisher:
            assert publisher.publish(last, "x", qos=1) == 0
        assert heard(ear, last) == []


def test_subscription_explosions(server, transport):
    """Every filter that matches one topic of eight levels, from many clients, each of whom gets every message; then thousands that
    match nothing."""
    levels = "a/b/c/d/e/f/g/h".split("/")
    filters = ["/".join("+" if mask >> n & 1 else level for n, level in enumerate(levels)) for mask in range(256)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(greeted(server, transport, V5)) for _ in range(8)]
        for client in clients:
            for start in range(0, 256, 8):
                client.subscribe(*filters[start:start + 8], qos=0)
        with greeted(server, transport, V5) as publisher:
            for number in range(20):
                assert publisher.publish("a/b/c/d/e/f/g/h", str(number), qos=1) == 0
        for client in clients:
            left = {str(number).encode() for number in range(20)}
            while left:
                left.discard(client.expect(wire.PUBLISH).payload)
        restless = stack.enter_context(greeted(server, transport, V5))
        for number in range(250):
            restless.subscribe(*(f"{number}/{n}/+/#" for n in range(8)), qos=0)
        # More in one packet than AWS takes.
        with greeted(server, transport, V5) as client:
            client.send(wire.subscribe(V5, [(f"m/{n}", 0) for n in range(8_000)], 1))
            assert client.expect(wire.SUBACK).codes == [0x97] * 8_000
