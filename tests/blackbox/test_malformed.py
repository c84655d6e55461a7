"""Packets that are none: each ends the connection that sent it, with a reason for MQTT 5, and nothing else. That honest clients do
not notice, on any transport, is asked by `test_attackers_packets.py`."""

import struct
from functools import partial

import pytest

import attacks
import wire
from provision import unique
from refusal import outcome
from server import Server
from wire import DISCONNECT, V5, V311


def props(version, raw=b""):
    return wire.varint(len(raw)) + raw if version == V5 else b""


def publish(version, topic=b"\0\1a", tail=b"", raw=b"", flags=0):
    return wire.frame(wire.PUBLISH, flags, topic + (b"\0\1" if flags & 6 else b"") + props(version, raw) + tail)


def acknowledgement(body, flags, kind, version):
    return wire.frame(kind, flags, body)


# What acknowledgements may not be; those of QoS 2 apart. PUBREL has a flag that it must have.
QOS_1, QOS_1_ONLY_V5, QOS_2, QOS_2_ONLY_V5 = {}, {}, {}, {}
for _name, _kind, _flags, _both, _only_v5 in [
        ("PUBACK", wire.PUBACK, 0, QOS_1, QOS_1_ONLY_V5), ("PUBREC", wire.PUBREC, 0, QOS_2, QOS_2_ONLY_V5),
        ("PUBREL", wire.PUBREL, 2, QOS_2, QOS_2_ONLY_V5), ("PUBCOMP", wire.PUBCOMP, 0, QOS_2, QOS_2_ONLY_V5)]:
    for _what, _body in {"without a packet id": b"", "with half a packet id": b"\0", "with packet id 0": b"\0\0"}.items():
        _both[f"{_name} {_what}"] = partial(acknowledgement, _body, _flags, _kind)
    _both[f"{_name} with wrong flags"] = partial(acknowledgement, b"\0\1", _flags ^ 2, _kind)
    for _what, _body in {"an unknown code": b"\0\1\x7f", "an unknown property": b"\0\1\0\2\x7f\0",
                         "properties longer than itself": b"\0\1\0\x40", "a property cut off": b"\0\1\0\2\x1f\0",
                         "a reason twice": b"\0\1\0\x08\x1f\0\1a\x1f\0\1a"}.items():
        _only_v5[f"{_name} with {_what}"] = partial(acknowledgement, _body, _flags, _kind)

BOTH = {
    "reserved packet type": lambda v: wire.frame(0, 0, b""),
    "length of five bytes": lambda v: bytes([wire.PINGREQ << 4, 0x80, 0x80, 0x80, 0x80, 0x01]),
    "ping with a body": lambda v: wire.frame(wire.PINGREQ, 0, b"x"),
    "ping with flags": lambda v: wire.frame(wire.PINGREQ, 1, b""),
    "subscribe with wrong flags": lambda v: wire.frame(wire.SUBSCRIBE, 0, b"\0\1" + props(v) + b"\0\1a\0"),
    "subscribe with packet id 0": lambda v: wire.subscribe(v, [("a", 0)], packet_id=0),
    "subscribe with QoS 3": lambda v: wire.subscribe(v, [("a", 3)]),
    "subscribe with reserved bits": lambda v: wire.subscribe(v, [("a", 0xC0)]),
    "subscribe cut off in a filter": lambda v: wire.frame(wire.SUBSCRIBE, 2, b"\0\1" + props(v) + b"\0\5a"),
    "subscribe without options": lambda v: wire.frame(wire.SUBSCRIBE, 2, b"\0\1" + props(v) + b"\0\1a"),
    "subscribe without a filter": lambda v: wire.frame(wire.SUBSCRIBE, 2, b"\0\1" + props(v)),
    "unsubscribe cut off in a filter": lambda v: wire.frame(wire.UNSUBSCRIBE, 2, b"\0\1" + props(v) + b"\0\5a"),
    "unsubscribe without a filter": lambda v: wire.frame(wire.UNSUBSCRIBE, 2, b"\0\1" + props(v)),
    "unsubscribe with packet id 0": lambda v: wire.unsubscribe(v, ["a"], packet_id=0),
    "unsubscribe with half a packet id": lambda v: wire.frame(wire.UNSUBSCRIBE, 2, b"\0"),
    "unsubscribe with wrong flags": lambda v: wire.frame(wire.UNSUBSCRIBE, 0, b"\0\1" + props(v) + b"\0\1a"),
    "publish with QoS 3": lambda v: publish(v, flags=6),
    "publish without a topic": lambda v: wire.frame(wire.PUBLISH, 0, b""),
    "publish with a topic longer than itself": lambda v: publish(v, topic=b"\xff\xffa"),
    "publish with half a packet id": lambda v: wire.frame(wire.PUBLISH, 2, b"\0\1a\0"),
    "topic that is not UTF-8": lambda v: publish(v, topic=b"\0\2\xc3\x28"),
    "topic with a surrogate": lambda v: publish(v, topic=b"\0\3\xed\xa0\x80"),
    "topic with U+0000": lambda v: publish(v, topic=b"\0\3a\0b"),
    "overlong UTF-8": lambda v: publish(v, topic=b"\0\2\xc0\xaf"),
    "filter that is not UTF-8": lambda v: wire.subscribe(v, [(b"\xff", 0)]),
    "disconnect with flags": lambda v: wire.frame(wire.DISCONNECT, 5, b""),
    **QOS_1, **QOS_2,
}
ONLY_V3 = {
    "empty topic": lambda v: publish(v, topic=b"\0\0"),
    "auth packet": lambda v: wire.frame(wire.AUTH, 0, b""),
    "disconnect with a body": lambda v: wire.frame(wire.DISCONNECT, 0, b"\0"),
    "acknowledgement with a code": lambda v: wire.frame(wire.PUBACK, 0, b"\0\1\0"),
}
ONLY_V5 = {
    "unknown property": lambda v: publish(v, raw=b"\x7f\0"),
    "property of another packet": lambda v: publish(v, raw=b"\x11\0\0\0\1"),
    "property twice": lambda v: publish(v, raw=b"\x01\0\x01\0"),
    "payload format 2": lambda v: publish(v, raw=b"\x01\2"),
    "properties longer than the packet": lambda v: wire.frame(wire.PUBLISH, 0, b"\0\1a\x40"),
    "property cut off": lambda v: publish(v, raw=b"\x02\0\0"),
    "content type that is not UTF-8": lambda v: publish(v, raw=b"\x03\0\1\xff"),
    "user property cut off": lambda v: publish(v, raw=b"\x26\0\1a"),
    "response topic with a wildcard": lambda v: publish(v, raw=b"\x08\0\1#"),
    "subscription identifier from a client": lambda v: publish(v, raw=b"\x0b\1"),
    "subscription identifier 0": lambda v: wire.frame(wire.SUBSCRIBE, 2, b"\0\1" + props(v, b"\x0b\0") + b"\0\1a\0"),
    "retain handling 3": lambda v: wire.subscribe(v, [("a", 0x30)]),
    "no local on a shared subscription": lambda v: wire.subscribe(v, [("$share/g/a", 0x04)]),
    "unsubscribe with an unknown property": lambda v: wire.frame(wire.UNSUBSCRIBE, 2, b"\0\1" + props(v, b"\x7f\0") + b"\0\1a"),
    "unsubscribe with a property of another packet": lambda v: wire.frame(
        wire.UNSUBSCRIBE, 2, b"\0\1" + props(v, b"\x0b\1") + b"\0\1a"),
    "unsubscribe with properties longer than itself": lambda v: wire.frame(wire.UNSUBSCRIBE, 2, b"\0\1\x40\0\1a"),
    "disconnect with an unknown property": lambda v: wire.frame(wire.DISCONNECT, 0, b"\0\2\x7f\0"),
    "auth with flags": lambda v: wire.frame(wire.AUTH, 1, b""),
    "auth with an unknown code": lambda v: wire.frame(wire.AUTH, 0, b"\x7f\0"),
    "auth with an unknown property": lambda v: wire.frame(wire.AUTH, 0, b"\x18\2\x7f\0"),
    "auth with properties longer than itself": lambda v: wire.frame(wire.AUTH, 0, b"\x18\x40"),
    **QOS_1_ONLY_V5, **QOS_2_ONLY_V5,
}
CASES = (
    [(v, name, make) for name, make in BOTH.items() for v in (V311, V5)]
    + [(V311, name, make) for name, make in ONLY_V3.items()] + [(V5, name, make) for name, make in ONLY_V5.items()])


@pytest.mark.parametrize("version, make", [(v, make) for v, _, make in CASES], ids=[f"v{v}-{name}" for v, name, _ in CASES])
def test_malformed_packet_ends_the_connection(connected, version, make):
    connection = connected(version)
    connection.send(make(version))
    assert_ended(connection)


def assert_ended(connection):
    """MQTT 5 may be told why; nothing else comes."""
    answer = outcome(connection)
    if connection.version == V311:
        assert answer is None, answer
    elif answer is not None:
        assert answer.kind == DISCONNECT and answer.code >= 0x80, answer
        connection.expect_end()


@pytest.fixture(scope="module")
def oasis(tmp_path_factory):
    """A server that takes QoS 2."""
    server = Server(tmp_path_factory.mktemp("oasis"), "--dialect", "oasis").start()
    yield server
    server.stop()


@pytest.mark.parametrize("transport", attacks.TRANSPORTS)
def test_malformed_packets_of_qos_2_end_the_connection_where_there_is_qos_2(oasis, version, transport):
    for case, make in {**QOS_2, **(QOS_2_ONLY_V5 if version == V5 else {})}.items():
        with attacks.greeted(oasis, transport, version) as connection:
            connection.send(make(version))
            packets = attacks.is_over(connection)
            assert packets is not None and len(packets) <= (version == V5), (case, packets)
            assert all(packet.kind == DISCONNECT and packet.code >= 0x80 for packet in packets), (case, packets)


def test_right_packets_of_qos_2_do_not_end_it(oasis, version):
    """What was refused above was refused for what it is, not for its type."""
    for kind in (wire.PUBREC, wire.PUBREL, wire.PUBCOMP):
        with attacks.greeted(oasis, "plain", version) as connection:
            connection.send(acknowledgement(b"\0\1", 2 if kind == wire.PUBREL else 0, kind, version))
            assert all(packet.kind in (wire.PUBREL, wire.PUBCOMP) for packet in connection.ping()), wire.NAMES[kind]


def connect_packet(version=V5, name=b"\0\4MQTT", level=None, flags=2, keep_alive=60, raw=b"", tail=b"\0\1c"):
    """`keep_alive` may be the bytes of one; then they are the last."""
    head = name + bytes([version if level is None else level, flags])
    if isinstance(keep_alive, bytes):
        return wire.frame(wire.CONNECT, 0, head + keep_alive)
    return wire.frame(wire.CONNECT, 0, head + struct.pack(">H", keep_alive) + props(version, raw) + tail)


def will_properties(raw, length=None):
    """A CONNECT whose will has these bytes as properties."""
    return dict(flags=6, tail=b"\0\1c" + wire.varint(len(raw) if length is None else length) + raw + b"\0\1w\0\1p")


# What no CONNECT may be, whatever its version.
ANY_BAD_CONNECTS = {
    "reserved flag": dict(flags=3),
    "will QoS without a will": dict(flags=0x0A),
    "will retain without a will": dict(flags=0x22),
    "will announced but absent": dict(flags=0x06),
    "user name announced but absent": dict(flags=0x82),
    "more than was announced": dict(tail=b"\0\1c\0\1x"),
    "client id that is not UTF-8": dict(tail=b"\0\1\xff"),
    "no client id": dict(tail=b""),
    "client id cut off": dict(tail=b"\0\5c"),
    "no keep-alive": dict(keep_alive=b"\0"),
}
BAD_CONNECTS = {
    **ANY_BAD_CONNECTS,
    "will QoS 3": dict(flags=0x1E, tail=b"\0\1c\0\0\1w\0\1p"),
    "property twice": dict(raw=b"\x21\0\1\x21\0\1"),
    "receive maximum 0": dict(raw=b"\x21\0\0"),
    "maximum packet size 0": dict(raw=b"\x27\0\0\0\0"),
    "authentication data without a method": dict(raw=b"\x16\0\1x"),
    "unknown property": dict(raw=b"\x7f\0"),
    "unknown property of the will": will_properties(b"\x7f\0"),
    "property of the will that is the connection's": will_properties(b"\x21\0\1"),
    "property of the will twice": will_properties(b"\x18\0\0\0\1" * 2),
    "property of the will cut off": will_properties(b"\x18\0\0"),
    "properties of the will longer than the packet": will_properties(b"", 0x40),
    "payload format 2 of the will": will_properties(b"\x01\2"),
    "content type of the will that is not UTF-8": will_properties(b"\x03\0\1\xff"),
    "response topic of the will with a wildcard": will_properties(b"\x08\0\1#"),
}
BAD_V3_CONNECTS = {
    **ANY_BAD_CONNECTS,
    "will QoS 3": dict(flags=0x1E, tail=b"\0\1c\0\1w\0\1p"),
    "will topic that is not UTF-8": dict(flags=6, tail=b"\0\1c\0\1\xff\0\1p"),
    "will topic cut off": dict(flags=6, tail=b"\0\1c\0\5w"),
    "password without a user name": dict(flags=0x42, tail=b"\0\1c\0\1p"),
}


@pytest.mark.parametrize("case", list(BAD_CONNECTS.values()), ids=list(BAD_CONNECTS))
@pytest.mark.parametrize("transport", attacks.TRANSPORTS)
def test_malformed_connect_is_refused(server, transport, case):
    with attacks.dial(server, transport) as connection:
        connection.send(connect_packet(**case))
        answer = outcome(connection)
        if answer is not None:
            assert answer.kind in (wire.CONNACK, DISCONNECT) and answer.code >= 0x80, answer
            connection.expect_end()


@pytest.mark.parametrize("case", list(BAD_V3_CONNECTS.values()), ids=list(BAD_V3_CONNECTS))
@pytest.mark.parametrize("transport", attacks.TRANSPORTS)
def test_malformed_v3_connect_is_refused_without_a_word(server, transport, case):
    with attacks.dial(server, transport, version=V311) as connection:
        connection.send(connect_packet(V311, **case))
        connection.expect_end()


def test_packets_may_come_byte_by_byte_and_all_at_once(dial, topic, version):
    """TCP has no packets: how the bytes are cut must not matter."""
    connection = dial(None, version, port="plain")
    whole = (
        wire.connect(version, unique()) + wire.subscribe(version, [(topic, 1)], 1)
        + wire.publish(version, topic, "x" * 300, qos=1, packet_id=2) + wire.PING)
    connect_length = len(wire.connect(version, unique()))
    for index in range(connect_length):
        connection.send(whole[index:index + 1])
    assert connection.expect(wire.CONNACK).code == 0
    rest = whole[connect_length:]
    for index in range(len(rest)):
        connection.send(rest[index:index + 1])
    seen = {connection.receive().kind for _ in range(4)}
    assert seen == {wire.SUBACK, wire.PUBACK, wire.PUBLISH, wire.PINGRESP}
    connection.send(rest)
    assert {connection.receive().kind for _ in range(4)} == seen
