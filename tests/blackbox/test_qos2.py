"""The oasis dialect gives the whole standard: QoS 2 exactly once, over lost connections and `kill -9`, and what the
CONNACK promises.

`QOS2_KILLS=50` runs the kill test longer.
"""

import os
import queue
import random
import socket
import struct
import time

import paho.mqtt.client as paho
import pytest
import wire
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from wire import PUBCOMP, PUBLISH, PUBREC, PUBREL, V5, V311, Wire

KILLS = int(os.environ.get("QOS2_KILLS", "5"))
WITHIN = 15


@pytest.fixture(scope="module")
def oasis(tmp_path_factory):
    from server import Server

    server = Server(tmp_path_factory.mktemp("oasis"), "--dialect", "oasis").start()
    yield server
    server.stop()


@pytest.fixture
def raw():
    """raw(server, version, client id): a connection on a bare socket with a session that lasts."""
    opened = []

    def make(server, version, client_id, clean=False, **options):
        if version == V5:
            options.setdefault("session_expiry", 3600)
        client = Wire.dial(server, version=version, port="plain")
        opened.append(client)
        client.connack = client.connect(client_id, clean=clean, **options)
        assert client.connack.code == 0
        return client

    yield make
    for client in opened:
        client.close()


def ack(kind, packet_id):
    return wire.frame(kind, 2 if kind == PUBREL else 0, struct.pack(">H", packet_id))


def send(client, topic, payload, packet_id, dup=False):
    client.send(wire.publish(client.version, topic, payload, qos=2, dup=dup, packet_id=packet_id))


class Paho:
    """A paho client whose session lasts; it can be told to lose its connection and to come back."""

    def __init__(self, server, version, client_id, will=None):
        self.server, self.v5 = server, version == V5
        self.messages, self.done = [], set()
        self.opened, self.granted = queue.Queue(), queue.Queue()
        options = {} if self.v5 else dict(clean_session=False)
        protocol = paho.MQTTv5 if self.v5 else paho.MQTTv311
        self.client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False, **options)
        client.on_connect = lambda _c, _u, flags, reason, properties: self.opened.put((flags, reason, properties))
        client.on_subscribe = lambda _c, _u, _mid, reasons, _p: self.granted.put([reason.value for reason in reasons])
        client.on_publish = lambda _c, _u, mid, _reason, _p: self.done.add(mid)
        client.on_message = lambda _c, _u, message: self.messages.append(message)
        if will:
            client.will_set(*will)

    def come(self):
        options = {}
        if self.v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            options = dict(clean_start=False, properties=properties)
        self.client.connect("127.0.0.1", self.server.ports["plain"], keepalive=60, **options)
        self.client.loop_start()
        _, reason, self.connack = self.opened.get(timeout=WITHIN)
        assert not reason.is_failure, reason
        return self

    def lose(self):
        """The network breaks, without a word."""
        sock = self.client.socket()
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.client.loop_stop()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, topic_filter, qos=2, identifier=None, **options):
        if not self.v5:
            self.client.subscribe(topic_filter, qos)
        else:
            properties = Properties(PacketTypes.SUBSCRIBE)
            if identifier is not None:
                properties.SubscriptionIdentifier = identifier
            self.client.subscribe(topic_filter, options=SubscribeOptions(qos=qos, **options), properties=properties)
        return self.granted.get(timeout=WITHIN)

    def publish(self, topic, payload, qos=2, **options):
        return self.client.publish(topic, payload, qos, **options).mid

    def wait(self, condition, within=WITHIN):
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, (len(self.messages), len(self.done))
            time.sleep(0.01)


@pytest.fixture
def pahos():
    made = []

    def make(*arguments, **options):
        made.append(Paho(*arguments, **options).come())
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---- what the simulator found ----------------------------------------------------------------------------------


def test_stored_messages_are_not_overtaken_by_later_ones(oasis, raw, topic):
    """[MQTT-4.6.0-6]: what is published while a session's stored messages go out comes after them."""
    reader, writer = raw(oasis, V5, f"r-{topic}"), raw(oasis, V5, f"w-{topic}")
    assert reader.subscribe(topic, qos=1) == [1]
    reader.close()
    for number in range(100):
        writer.publish(topic, str(number), qos=1)
    reader = raw(oasis, V5, f"r-{topic}", receive_maximum=5)
    assert reader.connack.session_present
    for number in range(100, 120):
        writer.publish(topic, str(number), qos=1)
    assert [int(reader.message().payload) for _ in range(120)] == list(range(120))


def test_no_local_does_not_lower_the_qos_of_what_others_publish(oasis, raw, topic):
    """[MQTT-3.3.4-2]: the highest QoS of the subscriptions that match counts, No Local or not."""
    reader, writer = raw(oasis, V5, f"r-{topic}"), raw(oasis, V5, f"w-{topic}")
    no_local = 0x04
    assert reader.subscribe((topic, 0)) == [0]
    assert reader.subscribe((f"{topic}/#", 1 | no_local)) == [1]
    writer.publish(topic, "other", qos=1)
    assert reader.message().qos == 1
    reader.publish(topic, "mine")
    mine = reader.message()
    assert (mine.payload, mine.qos) == (b"mine", 0), "the other subscription brings its own"
    assert reader.ping() == [], "once"


# ---- the exchange ----------------------------------------------------------------------------------------------


def test_qos_2_from_client_to_client(oasis, pahos, version, topic):
    reader, writer = pahos(oasis, version, f"r-{topic}"), pahos(oasis, version, f"w-{topic}")
    assert reader.subscribe(topic) == [2]
    if version == V5:
        assert not hasattr(reader.connack, "MaximumQoS"), "[MQTT-3.2.2-9]"
        assert reader.connack.SubscriptionIdentifierAvailable == 1
    mids = {writer.publish(topic, str(number)) for number in range(100)}
    writer.wait(lambda: mids <= writer.done)
    reader.wait(lambda: len(reader.messages) >= 100)
    assert [int(message.payload) for message in reader.messages] == list(range(100)), "in order, once"
    assert {message.qos for message in reader.messages} == {2}


def test_the_lower_qos_wins(oasis, pahos, version, topic):
    client = pahos(oasis, version, f"c-{topic}")
    for qos in (0, 1, 2):
        assert client.subscribe(f"{topic}/{qos}", qos) == [qos]
    for granted in (0, 1, 2):
        for published in (0, 1, 2):
            client.publish(f"{topic}/{granted}", f"{granted}{published}", published)
    client.wait(lambda: len(client.messages) == 9)
    for message in client.messages:
        granted, published = map(int, message.payload.decode())
        assert message.qos == min(granted, published)


def test_a_duplicate_is_published_once_and_the_identifier_is_free_after_pubcomp(oasis, raw, version, topic):
    reader, writer = raw(oasis, version, f"r-{topic}"), raw(oasis, version, f"w-{topic}")
    assert reader.subscribe(topic, qos=0) == [0]
    for dup in (False, True, True):
        send(writer, topic, "once", 7, dup)
        assert writer.expect(PUBREC).packet_id == 7
    writer.send(ack(PUBREL, 7))
    assert (writer.expect(PUBCOMP).packet_id, reader.expect(PUBLISH).payload) == (7, b"once")
    send(writer, topic, "new", 7)
    writer.expect(PUBREC)
    assert reader.expect(PUBLISH).payload == b"new"


def test_unknown_identifiers_are_answered(oasis, raw, version, topic):
    client = raw(oasis, version, topic)
    code = 0x92 if version == V5 else 0
    client.send(ack(PUBREL, 77))
    assert (client.expect(PUBCOMP).code) == code
    client.send(ack(PUBREC, 78))
    assert (client.expect(PUBREL).code) == code
    client.send(ack(PUBCOMP, 79))
    assert client.ping() == []


def test_a_publish_that_is_not_allowed_gets_a_pubrec_that_says_so(oasis, topic):
    device = oasis.account.device(
        {"Effect": "Allow", "Action": ["iot:Connect"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["iot:Publish"], "Resource": f"arn:aws:iot:*:*:topic/{topic}"},
    )
    for version in (V5, V311):
        with Wire.dial(oasis, device, version) as client:
            client.connect(f"c-{topic}", clean=True)
            send(client, "elsewhere", "x", 5)
            assert client.expect(PUBREC).code == (0x87 if version == V5 else 0)
            if version == V311:
                # 3.1.1 has no word for it: the exchange runs to its end.
                client.send(ack(PUBREL, 5))
                client.expect(PUBCOMP)
            # [MQTT-4.3.3-9] the identifier stands for a new message.
            send(client, topic, "x", 5)
            assert client.expect(PUBREC).code == 0


# ---- reconnecting in the middle --------------------------------------------------------------------------------


def again(server, kill):
    if kill:
        server.kill()
        server.start()


@pytest.fixture
def fresh(oasis, new_server, kill):
    """The shared server, or one of its own to kill."""
    return new_server("--dialect", "oasis") if kill else oasis


@pytest.mark.parametrize("kill", [False, True], ids=["reconnect", "kill-9"])
def test_an_exchange_from_the_client_goes_on(fresh, raw, version, topic, kill):
    reader = raw(fresh, version, f"r-{topic}")
    reader.subscribe(topic, qos=1)
    reader.close()
    writer = raw(fresh, version, f"w-{topic}")
    send(writer, topic, "one", 7)
    assert writer.expect(PUBREC).packet_id == 7
    writer.close()
    again(fresh, kill)
    writer = raw(fresh, version, f"w-{topic}")
    assert writer.connack.session_present
    send(writer, topic, "one", 7, dup=True)
    assert writer.expect(PUBREC).packet_id == 7
    writer.send(ack(PUBREL, 7))
    writer.expect(PUBCOMP)
    writer.close()
    again(fresh, kill)
    writer = raw(fresh, version, f"w-{topic}")
    writer.send(ack(PUBREL, 7))
    assert writer.expect(PUBCOMP).code == (0x92 if version == V5 else 0)
    send(writer, topic, "two", 7)
    writer.expect(PUBREC)
    reader = raw(fresh, version, f"r-{topic}")
    assert [reader.message().payload for _ in range(2)] == [b"one", b"two"]
    assert reader.ping() == []


@pytest.mark.parametrize("kill", [False, True], ids=["reconnect", "kill-9"])
def test_an_exchange_to_the_client_goes_on(fresh, raw, version, topic, kill):
    reader = raw(fresh, version, f"r-{topic}")
    assert reader.subscribe(topic, qos=2) == [2]
    writer = raw(fresh, V5, f"w-{topic}")
    send(writer, topic, "one", 1)
    writer.expect(PUBREC)
    first = reader.expect(PUBLISH)
    assert (first.qos, first.dup) == (2, False)
    reader.close()
    again(fresh, kill)
    reader = raw(fresh, version, f"r-{topic}")
    second = reader.expect(PUBLISH)
    assert (second.packet_id, second.payload) == (first.packet_id, b"one"), "the same identifier: the client knows it"
    assert second.dup or kill
    reader.send(ack(PUBREC, second.packet_id))
    assert reader.expect(PUBREL).packet_id == second.packet_id
    reader.close()
    again(fresh, kill)
    reader = raw(fresh, version, f"r-{topic}")
    assert reader.expect(PUBREL).packet_id == second.packet_id, "[MQTT-4.3.3-6] no PUBLISH any more"
    reader.send(ack(PUBCOMP, second.packet_id))
    assert reader.ping() == []
    reader.close()
    again(fresh, kill)
    reader = raw(fresh, version, f"r-{topic}")
    left = [packet.kind for packet in reader.ping()]
    # The PUBCOMP is not stored by itself: after a kill the PUBREL may come once more, the message may not.
    assert left in ([], [PUBREL]) if kill else left == []


def test_messages_wait_for_an_offline_client(oasis, raw, version, topic):
    reader = raw(oasis, version, f"r-{topic}")
    reader.subscribe(topic, qos=2)
    reader.close()
    writer = raw(oasis, V5, f"w-{topic}")
    for number in range(10):
        send(writer, topic, str(number), number + 1)
        writer.expect(PUBREC)
    reader = raw(oasis, version, f"r-{topic}")
    for number in range(10):
        message = reader.expect(PUBLISH)
        assert (message.qos, int(message.payload)) == (2, number)


def test_pubrec_with_a_failure_ends_the_delivery(oasis, raw, topic):
    reader = raw(oasis, V5, f"r-{topic}")
    reader.subscribe(topic, qos=2)
    writer = raw(oasis, V5, f"w-{topic}")
    send(writer, topic, "x", 1)
    message = reader.expect(PUBLISH)
    reader.send(wire.frame(PUBREC, 0, struct.pack(">HB", message.packet_id, 0x97)))
    assert reader.ping() == []
    reader.close()
    reader = raw(oasis, V5, f"r-{topic}")
    assert reader.ping() == []


@pytest.mark.slow
@pytest.mark.parametrize("end", ["cut", "kill"])
def test_paho_gets_everything_exactly_once(new_server, version, end):
    """A publisher and a subscriber that lose their connections at random moments, or a server that is killed."""
    server, draw = new_server("--dialect", "oasis"), random.Random(11)
    reader, writer = Paho(server, version, "reader").come(), Paho(server, version, "writer").come()
    assert reader.subscribe("load") == [2]
    sent, mids = 0, []
    for _ in range(KILLS):
        for _ in range(40):
            mids.append(writer.publish("load", str(sent)))
            sent += 1
        time.sleep(draw.uniform(0.0, 0.15))
        if end == "kill":
            server.kill()
            server.start()
        reader.lose()
        writer.lose()
        reader.come()
        writer.come()
    writer.wait(lambda: len(writer.done) >= len(set(mids)), within=60)
    reader.wait(lambda: len(reader.messages) >= sent, within=60)
    time.sleep(0.5)
    got = [int(message.payload) for message in reader.messages]
    for one in (reader, writer):
        one.close()
    assert sorted(got) == list(range(sent))


# ---- what else the CONNACK promises ----------------------------------------------------------------------------


def test_retained_messages_and_wills_of_qos_2(oasis, pahos, version, topic):
    writer = pahos(oasis, version, f"w-{topic}", will=(f"{topic}/will", "gone", 2, True))
    mid = writer.publish(f"{topic}/kept", "kept", retain=True)
    writer.wait(lambda: mid in writer.done)
    reader = pahos(oasis, version, f"r-{topic}")
    assert reader.subscribe(f"{topic}/+") == [2]
    reader.wait(lambda: len(reader.messages) == 1)
    kept = reader.messages[0]
    assert (kept.payload, kept.qos, kept.retain) == (b"kept", 2, True), "a wildcard brings retained messages"
    writer.lose()
    reader.wait(lambda: len(reader.messages) == 2)
    assert (reader.messages[1].payload, reader.messages[1].qos, reader.messages[1].retain) == (b"gone", 2, False)
    writer.come()


def identifiers(message):
    return sorted(getattr(message.properties, "SubscriptionIdentifier", []))


def test_subscription_identifiers_come_with_the_messages(oasis, pahos, topic):
    client = pahos(oasis, V5, f"c-{topic}")
    client.subscribe(f"{topic}/a", 1, identifier=1)
    client.subscribe(f"{topic}/+", 2, identifier=268_435_455)
    client.subscribe(f"{topic}/#", 0)
    client.publish(f"{topic}/a", "all")
    client.wait(lambda: len(client.messages) == 1)
    assert (identifiers(client.messages[0]), client.messages[0].qos) == ([1, 268_435_455], 2), "[MQTT-3.3.4-4]"
    client.publish(f"{topic}/b", "one", retain=True)
    client.wait(lambda: len(client.messages) == 2)
    assert identifiers(client.messages[1]) == [268_435_455]
    client.subscribe(f"{topic}/b", 1, identifier=5)
    client.wait(lambda: len(client.messages) == 3)
    assert (identifiers(client.messages[2]), client.messages[2].retain) == ([5], True)
    # A SUBSCRIBE without an identifier takes it away again [MQTT-3.8.4-3].
    client.subscribe(f"{topic}/b", 1, retainHandling=2)
    client.publish(f"{topic}/b", "less")
    client.wait(lambda: len(client.messages) == 4)
    assert identifiers(client.messages[3]) == [268_435_455]


def test_subscription_identifiers_survive_a_kill(new_server, topic):
    server = new_server("--dialect", "oasis")
    client = Paho(server, V5, "client").come()
    client.subscribe(topic, 2, identifier=9)
    client.lose()
    writer = Paho(server, V5, "writer").come()
    mid = writer.publish(topic, "while away")
    writer.wait(lambda: mid in writer.done)
    writer.close()
    server.kill()
    server.start()
    client.come()
    client.wait(lambda: len(client.messages) == 1)
    client.publish(topic, "after")
    client.wait(lambda: len(client.messages) == 2)
    assert [identifiers(message) for message in client.messages] == [[9], [9]]
    client.close()


def test_retain_handling_and_retain_as_published(oasis, pahos, topic):
    client = pahos(oasis, V5, f"c-{topic}")
    mid = client.publish(topic, "kept", retain=True)
    client.wait(lambda: mid in client.done)
    client.subscribe(topic, 2, retainHandling=2)
    client.subscribe(topic, 2, retainHandling=1)
    client.subscribe(topic, 2, retainAsPublished=True, retainHandling=1)
    client.publish(topic, "new", retain=True)
    client.wait(lambda: len(client.messages) == 1)
    assert (client.messages[0].payload, client.messages[0].retain) == (b"new", True)
    client.subscribe(topic, 2, retainHandling=0)
    client.wait(lambda: len(client.messages) == 2)


def test_no_local(oasis, pahos, topic):
    own, other = pahos(oasis, V5, f"o-{topic}"), pahos(oasis, V5, f"x-{topic}")
    own.subscribe(topic, 2, noLocal=True)
    mid = own.publish(topic, "own")
    own.wait(lambda: mid in own.done)
    other.publish(topic, "other")
    own.wait(lambda: own.messages)
    assert [message.payload for message in own.messages] == [b"other"]


def test_a_will_waits_for_its_delay_unless_the_client_is_back(oasis, raw, topic):
    reader = raw(oasis, V5, f"r-{topic}")
    reader.subscribe(topic, qos=0)
    will = dict(topic=topic, payload=b"gone", qos=2, will_delay=2)
    raw(oasis, V5, f"w-{topic}", will=dict(will)).close()
    raw(oasis, V5, f"w-{topic}").disconnect()
    assert not reader.is_readable(3), "the client came back in time"
    raw(oasis, V5, f"w-{topic}", will=dict(will)).close()
    assert reader.expect(PUBLISH).payload == b"gone"


def test_the_aws_dialect_has_none_of_it(connected, version):
    for packet in (PUBREC, PUBREL, PUBCOMP):
        client = connected(version)
        client.send(ack(packet, 1))
        client.expect_disconnect(0x82) if version == V5 else client.expect_end()
