"""Each kind of event that AWS bills, once or twice, by the bytes that count: exactly what the test counts beside it."""

import struct
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from bills import STEP, bill, until, usage
from provision import allow
from server import Server
from wire import PUBACK, V5, V311, Wire, frame, properties


def steps(*parts, step=STEP):
    """Started steps of what all these texts have together, one at least."""
    return max(1, -(-sum(len(part) for part in parts) // step))


class Sizes:
    """Bodies of requests and answers, as they went over the wire."""

    def __init__(self, client, service):
        self.request, self.response = 0, 0
        client.meta.events.register(f"before-send.{service}", self.sent)
        client.meta.events.register(f"after-call.{service}", self.answered)

    def sent(self, request, **_):
        self.request = len(request.body or b"")

    def answered(self, http_response, **_):
        self.response = len(http_response.content)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A server of its own, a way to connect to it, and what its clients did by the words of AWS's pages."""
    folder = tmp_path_factory.mktemp("kinds")
    server = Server(folder / "server").start()
    opened = []

    class Kinds:
        units = Counter()
        device = server.account.everything()

        def __init__(self):
            self.server, self.folder = server, folder

        def add(self, item, units=1):
            self.units[item] += units

        def dial(self, version, device=None):
            opened.append(Wire.dial(server, device or self.device, version))
            return opened[-1]

        def connect(self, version, client_id, **options):
            wire = self.dial(version)
            connack = wire.connect(client_id, **options)
            assert connack.code == 0, connack
            self.add("connection-minute")
            self.add("connect")
            return wire

    yield Kinds()
    for wire in opened:
        wire.close()
    server.stop()


def both_sides_of_a_step(*parts):
    """Payloads that fill a step to the byte, and pass it by one."""
    room = STEP - sum(len(part) for part in parts)
    return (b"p" * room, 1), (b"p" * (room + 1), 2)


def connecting(kinds):
    """Client id, user name, password, will topic and payload; in MQTT 5 the texts of the properties, too."""
    for version in (V311, V5):
        for payload, units in both_sides_of_a_step("conn", "w/t"):
            wire = kinds.connect(version, "conn", will={"topic": "w/t", "payload": payload})
            kinds.add("connect", units - 1)
            wire.disconnect()
    pair = ("key", "v" * 5000)
    for payload, units in both_sides_of_a_step("conn", "w/t", *pair, "t/p"):
        will = {"topic": "w/t", "payload": payload, "content_type": "t/p"}
        wire = kinds.connect(V5, "conn", will=will, user_properties=[pair])
        kinds.add("connect", units - 1)
        wire.disconnect()
    refused = kinds.dial(V5, kinds.server.account.device(allow("iot:Publish", "*")))
    assert refused.connect("refused").code != 0
    kinds.add("refused-connect")


def subscribing(kinds):
    """Filters, and user properties in MQTT 5."""
    wire = kinds.connect(V5, "sub")
    filters = [f"sub/{n}" for n in range(8)]
    for value, units in both_sides_of_a_step("key", *filters):
        assert len(wire.subscribe(*filters, user_properties=[("key", value.decode())])) == 8
        kinds.add("subscribe", units)
    wire.unsubscribe(*filters)
    wire.disconnect()


def publishing(kinds):
    """Topic, payload, and what MQTT 5 adds; to a subscriber of MQTT 3.1.1 what that leaves out does not count."""
    old, new, publisher = (kinds.connect(*one) for one in ((V311, "old"), (V5, "new"), (V5, "pub")))
    for wire in (old, new):
        wire.subscribe("pub/+", qos=0)
        kinds.add("subscribe")
    topic, more = "pub/a", {"response_topic": "re/ply", "correlation_data": b"corr", "content_type": "t/p",
                            "user_properties": [("key", "value")]}
    for payload, units in both_sides_of_a_step(topic, "re/ply", "corr", "t/p", "key", "value"):
        publisher.publish(topic, payload, qos=1, **more)
        assert old.message().payload == payload and new.message().payload == payload
        kinds.add("publish-in", units)
        kinds.add("delivery", 1 + units)
    for payload, units in both_sides_of_a_step(topic):
        publisher.publish(topic, payload, qos=1)
        assert old.message().payload == payload and new.message().payload == payload
        kinds.add("publish-in", units)
        kinds.add("delivery", 2 * units)
    # Basic Ingest is free, and no subscriber gets it.
    publisher.publish("$aws/rules/my_rule/a/b", b"x" * 6000, qos=1)
    kinds.add("basic-ingest", 2)
    # One ping in 30 s is free.
    publisher.ping(), publisher.ping()
    kinds.add("ping", 2)
    kinds.add("ping-beyond")
    for wire in (old, new, publisher):
        wire.disconnect()


def acknowledging(kinds):
    """A PUBACK of 3.1.1 is one message; one of MQTT 5 goes by its user properties."""
    reader, publisher = kinds.connect(V5, "ack"), kinds.connect(V311, "acked")
    reader.subscribe("ack/+", qos=1)
    kinds.add("subscribe")
    for value, units in both_sides_of_a_step("key"):
        publisher.publish("ack/a", "x", qos=1)
        packet = reader.message(ack=False)
        body = struct.pack(">H", packet.packet_id) + bytes([0]) + properties({"user_properties": [("key", value.decode())]})
        reader.send(frame(PUBACK, 0, body))
        assert reader.ping() == []
        kinds.add("publish-in")
        kinds.add("delivery")
        kinds.add("puback", units)
        kinds.add("ping")
    # Two pings of one client, a moment apart.
    kinds.add("ping-beyond")
    reader.disconnect(), publisher.disconnect()


def retaining(kinds):
    """RETAIN is charged a second time; reading it costs again, by HTTP by the body of the answer."""
    publisher = kinds.connect(V5, "keeper")
    topic = "kept/a"
    for payload, units in both_sides_of_a_step(topic):
        publisher.publish(topic, payload, qos=1, retain=True)
        kinds.add("publish-in", units)
        kinds.add("retained", units)
    publisher.subscribe(topic, qos=0)
    kinds.add("subscribe")
    publisher.message()
    kinds.add("delivery", 2)
    publisher.disconnect()
    data = kinds.server.account.data
    sizes = Sizes(data, "iot-data-plane")
    data.publish(topic="kept/http", payload=b"h" * 5121, qos=1, retain=True)
    kinds.add("http-request", 2)
    kinds.add("retained", 2)
    kinds.add("http-response", steps(b"b" * sizes.response) if sizes.response else 0)
    data.get_retained_message(topic=topic)
    assert sizes.response > STEP
    kinds.add("retained-read", steps(b"b" * sizes.response))
    data.list_retained_messages()
    kinds.add("retained-list", steps(b"b" * sizes.response))


def calling(kinds):
    """Requests over HTTP by their bodies, answered with success or not; direct messages; the registry by 1 KB."""
    server = kinds.server
    data = server.account.data
    sizes = Sizes(data, "iot-data-plane")
    with pytest.raises(ClientError):
        data.publish(topic="not/+/allowed", payload=b"h" * 6000)
    kinds.add("http-request", 2)
    kinds.add("http-response", steps(b"b" * sizes.response))
    client = kinds.connect(V5, "direct")
    data.send_direct_message(clientId="direct", topic="direct/a", payload=b"d" * 6000)
    kinds.add("http-request", 2)
    kinds.add("http-response", steps(b"b" * sizes.response) if sizes.response else 0)
    assert client.message().payload == b"d" * 6000
    kinds.add("delivery", 2)
    client.disconnect()
    iot = server.account.iot
    sizes = Sizes(iot, "iot")
    attributes = {f"a{n}": "v" * 700 for n in range(3)}
    for call, options in ((iot.create_thing, {"thingName": "big", "attributePayload": {"attributes": attributes}}),
                          (iot.describe_thing, {"thingName": "big"}), (iot.list_things, {}),
                          (iot.create_thing_group, {"thingGroupName": "g"}),
                          (iot.add_thing_to_thing_group, {"thingName": "big", "thingGroupName": "g"})):
        call(**options)
        kinds.add("registry-operation", steps(b"b" * max(sizes.request, sizes.response), step=1024))
    assert kinds.units["registry-operation"] >= 3 * 3 + 2
    # What fails, and what AWS does not name as billed, costs nothing.
    with pytest.raises(ClientError):
        iot.describe_thing(thingName="absent")
    iot.list_policies()


def queueing(kinds):
    """A message for a session that is away, and for a shared group of which nobody is there, costs when it is queued and
    when it is delivered."""
    publisher = kinds.connect(V5, "sender")
    for client_id, topic_filter in (("away", "away/a"), ("member", "$share/crew/shared/a")):
        wire = kinds.connect(V5, client_id, session_expiry=600)
        wire.subscribe(topic_filter, qos=1)
        kinds.add("subscribe")
        wire.disconnect()
        topic = topic_filter.rpartition("crew/")[2]
        for payload, units in both_sides_of_a_step(topic):
            publisher.publish(topic, payload, qos=1)
            kinds.add("publish-in", units)
            kinds.add("queued", units)
        wire = kinds.connect(V5, client_id, clean=False, session_expiry=600)
        for _, units in both_sides_of_a_step(topic):
            wire.message()
            kinds.add("delivery", units)
            kinds.add("puback")
        wire.disconnect()
    publisher.disconnect()


def lifecycle(kinds):
    """A lifecycle event is free to publish, and a message to whom it is delivered."""
    watcher = kinds.connect(V5, "watcher")
    watcher.subscribe("$aws/events/presence/connected/watched", qos=0)
    kinds.add("subscribe")
    kinds.connect(V5, "watched").disconnect()
    watcher.message()
    kinds.add("lifecycle-delivery")
    watcher.disconnect()


def last_will(kinds):
    """A will is a message when it is published, twice if it is retained."""
    watcher = kinds.connect(V5, "mourner")
    watcher.subscribe("will/a", qos=0)
    kinds.add("subscribe")
    dying = kinds.connect(V5, "dying", will={"topic": "will/a", "payload": b"w" * 5115, "retain": True})
    kinds.add("connect", steps("dying", "will/a", b"w" * 5115) - 1)
    dying.close()
    watcher.message()
    for item in ("will", "retained", "delivery"):
        kinds.add(item, steps("will/a", b"w" * 5115))
    watcher.disconnect()


def test_every_kind_is_counted_by_its_bytes(kinds):
    scripts = (connecting, subscribing, publishing, acknowledging, retaining, calling, queueing, lifecycle, last_will)
    wrong = {}
    for script in scripts:
        script(kinds)
        expected = +Counter(kinds.units)

        def found():
            units, _ = usage(kinds.server, kinds.folder)
            # A slow machine needs a second minute.
            assert units.pop("connection-minute") >= expected["connection-minute"]
            return {item: (units[item], expected[item]) for item in set(units) | set(expected)
                    if units[item] != expected[item] and item != "connection-minute"}

        try:
            until(lambda: not found(), script.__name__, 5)
        except AssertionError:
            wrong[script.__name__] = found()
            break
    assert not wrong

    # Pings that come too early are charged, and a longer keep-alive saves them.
    suggestions = {one["id"]: one["units"] for one in bill(kinds.server, "what-if")["whatIf"]}
    assert suggestions["keep-alive"] == kinds.units["ping-beyond"] == 2

    # By rule: Basic Ingest, although it is free.
    report = bill(kinds.server, "--by", "rule")
    groups = {group["name"]: group for group in report["groups"]}
    assert groups["my_rule"]["events"] == 1 and groups["my_rule"]["units"] == []
    assert "does not have rules yet" in report["groupsNote"]


def test_every_finding_is_seen(new_server, tmp_path):
    """Traffic that costs more than it has to, in each way that is known, and the words of the report for it."""
    server = new_server()
    device = server.account.everything()

    def connected(client_id, **options):
        wire = Wire.dial(server, device, V5)
        assert wire.connect(client_id, **options).code == 0
        return wire

    for _ in range(6):
        connected("restless").disconnect()
    away = connected("away", session_expiry=1)
    away.subscribe("cmd/away", qos=1)
    away.disconnect()
    talker, reader = connected("talker"), connected("reader")
    talker.publish("cmd/away", "unread", qos=1)
    reader.subscribe("dt/#", qos=1)
    for _ in range(12):
        talker.publish("cfg/all", b"c" * 5200, qos=1, retain=True)
    for _ in range(300):
        talker.publish("dt/talker", b"small", qos=1)
        reader.message()

    def found():
        return {(one["id"], one["subject"]) for one in bill(server)["findings"]}

    expected = {("just-over-step", "cfg/all"), ("reconnect-storm", "restless"), ("chatty-pubacks", ""),
                ("retained-every-publish", "cfg/all"), ("small-publishes", "talker"), ("queue-expired", "away")}
    until(lambda: expected <= found(), f"finding {expected}")
    assert found() == expected
    units, _ = usage(server, tmp_path)
    assert (units["queued"], units["queue-expired"], units["puback"]) == (1, 1, 300)
    talker.close(), reader.close()
    server.stop()
