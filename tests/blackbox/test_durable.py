"""What was acknowledged survives `kill -9`: subscriptions, waiting and unacknowledged messages, retained messages, wills.

`DURABLE_KILLS=200` runs the kill test longer.
"""

import os
import random
import threading

import pytest

import wire
from provision import allow, deny
from wire import V5, Wire

KILLS = int(os.environ.get("DURABLE_KILLS", "12"))


def persistent(version):
    return dict(clean=False, session_expiry=3600) if version == V5 else dict(clean=False)


def restart(server):
    server.kill()
    server.start()


@pytest.fixture
def plain(new_server, tmp_path):
    """A server that replays as fast as it can, and clients of its plaintext port."""
    config = tmp_path / "thingcore.toml"
    config.write_text("[divergences]\nreplay-rate = false\n")
    server = new_server("--config", str(config))
    opened = []

    def connect(client_id, version=V5, **options):
        client = Wire.dial(server, version=version, port="plain")
        opened.append(client)
        client.connack = client.connect(client_id, **options)
        return client

    yield server, connect
    for client in opened:
        client.close()


def test_subscriptions_and_waiting_messages_survive(plain, version):
    server, connect = plain
    device = connect("device", version, **persistent(version))
    assert device.subscribe("to/device", qos=1) == [1]
    device.close()
    publisher = connect("publisher")
    for number in range(20):
        assert publisher.publish("to/device", str(number), qos=1) == 0
    restart(server)
    device = connect("device", version, **persistent(version))
    assert device.connack.session_present
    assert sorted(int(device.message().payload) for _ in range(20)) == list(range(20))
    connect("publisher").publish("to/device", "live", qos=1)
    assert device.message().payload == b"live", "the subscription is there too"


def test_more_copies_of_one_read_than_the_journal_takes_at_once(plain):
    """64 messages in one write, for 157 sessions: 10 048 records."""
    server, connect = plain
    devices = [connect(f"device-{number}", **persistent(V5)) for number in range(157)]
    assert all(device.subscribe("to/all", qos=1) == [1] for device in devices)
    publisher = connect("publisher")
    publisher.send(b"".join(wire.publish(V5, "to/all", str(n), 1, packet_id=n + 1) for n in range(64)))
    acks = [publisher.expect(wire.PUBACK) for _ in range(64)]
    assert [ack.packet_id for ack in acks] == list(range(1, 65)) and {ack.code for ack in acks} == {0}
    for device in (devices[0], devices[-1]):
        assert [int(device.message().payload) for _ in range(64)] == list(range(64))
    restart(server)
    device = connect("device-78", **persistent(V5))
    assert [int(device.message().payload) for _ in range(64)] == list(range(64))


def test_unacknowledged_messages_survive(plain):
    server, connect = plain
    device = connect("device", **persistent(V5))
    device.subscribe("to/device", qos=1)
    assert connect("publisher").publish("to/device", "once more", qos=1) == 0
    assert device.message(ack=False).payload == b"once more"
    restart(server)
    device = connect("device", **persistent(V5))
    assert device.message().payload == b"once more"


def test_acknowledged_messages_do_not_come_back_for_ever(plain):
    server, connect = plain
    device = connect("device", **persistent(V5))
    device.subscribe("to/device", qos=1)
    publisher = connect("publisher")
    for number in range(40):
        publisher.publish("to/device", str(number), qos=1)
        assert int(device.message().payload) == number
    device.disconnect()
    assert server.stop() in (0, None)
    server.start()
    device = connect("device", **persistent(V5))
    assert not device.is_readable(1), "everything was acknowledged before a clean stop"


def test_retained_messages_survive_and_stay_deleted(plain):
    server, connect = plain
    publisher = connect("publisher")
    assert publisher.publish("conf/kept", "kept", qos=1, retain=True) == 0
    assert publisher.publish("conf/gone", "gone", qos=1, retain=True) == 0
    assert publisher.publish("conf/gone", "", qos=1, retain=True) == 0
    restart(server)
    client = connect("client")
    assert client.subscribe("conf/kept", "conf/gone", qos=1) == [1, 1]
    message = client.message()
    assert (message.topic, message.payload, bool(message.retain)) == ("conf/kept", b"kept", True)
    assert not client.is_readable(0.5)


def test_the_will_of_a_client_that_was_connected_is_published_after_a_crash(plain):
    server, connect = plain
    watcher = connect("watcher", **persistent(V5))
    watcher.subscribe("wills/#", qos=1)
    connect("victim", will=dict(topic="wills/victim", payload=b"the server died", qos=1))
    left = connect("left", will=dict(topic="wills/left", payload=b"never", qos=1))
    left.disconnect()
    # What is acknowledged now was written after the goodbye.
    assert connect("publisher").publish("conf/x", "x", qos=1, retain=True) == 0
    restart(server)
    watcher = connect("watcher", **persistent(V5))
    assert watcher.message().payload == b"the server died"
    assert not watcher.is_readable(0.5)


def test_a_clean_start_forgets_what_was_kept(plain):
    server, connect = plain
    device = connect("device", **persistent(V5))
    device.subscribe("to/device", qos=1)
    device.close()
    connect("publisher").publish("to/device", "old", qos=1)
    connect("device", clean=True).close()
    restart(server)
    device = connect("device", **persistent(V5))
    assert not device.connack.session_present
    assert not device.is_readable(0.5)


def test_a_recovered_will_is_judged_by_what_its_certificate_says(plain):
    """Certificates that AWS IoT issues have the common name `AWS IoT Certificate`."""
    server, connect = plain
    watcher = connect("watcher", **persistent(V5))
    watcher.subscribe("wills/#", qos=1)
    devices = []
    for name, common_name in (("denied", "AWS IoT Certificate"), ("allowed", "another")):
        device = server.account.device()
        victim = Wire.dial(server, device)
        devices.append(victim)
        assert victim.connect(name, will=dict(topic=f"wills/{name}", payload=name, qos=1)).code == 0
        condition = {"StringEquals": {"iot:Certificate.Subject.CommonName": common_name}}
        device.replace_policy(allow("iot:*", "*"), deny("iot:Publish", "*", Condition=condition))
    restart(server)
    for victim in devices:
        victim.close()
    watcher = connect("watcher", **persistent(V5))
    assert watcher.message().payload == b"allowed"
    assert not watcher.is_readable(0.5)


def test_kill_in_the_middle_of_load_loses_nothing_acknowledged(plain):
    """A publisher under load, a subscriber that comes and goes, a server that is killed at random moments."""
    server, connect = plain
    draw = random.Random(7)
    device = connect("device", **persistent(V5))
    device.subscribe("load", qos=1)
    device.close()
    acknowledged, received, number = set(), set(), 0

    def take(client):
        message = client.receive()
        received.add(int(message.payload))
        client.send(wire.puback(message.packet_id))

    for _ in range(KILLS):
        publisher, reader = connect("publisher"), None
        if draw.random() < 0.5:
            reader = connect("device", **persistent(V5))
        killer = threading.Timer(draw.uniform(0.02, 0.4), server.kill)
        killer.start()
        window = {}
        try:
            while True:
                for _ in range(20 - len(window)):
                    number += 1
                    packet_id = number % 60000 + 1
                    window[packet_id] = number
                    publisher.send(wire.publish(V5, "load", str(number).encode(), qos=1, packet_id=packet_id))
                ack = publisher.receive()
                if ack.code in (0, None):
                    acknowledged.add(window.pop(ack.packet_id))
                if reader and reader.is_readable(0):
                    take(reader)
        except (wire.Closed, OSError):
            pass
        killer.join()
        server.start()
    device = connect("device", **persistent(V5))
    while not acknowledged <= received and device.is_readable(5):
        take(device)
    assert len(acknowledged) > KILLS
    assert not acknowledged - received, f"{len(acknowledged - received)} acknowledged messages were lost"
