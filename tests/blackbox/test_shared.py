"""Shared subscriptions as AWS has them: one queue for the group, which outlives the server (shared-group-queue)."""

import os
import random
import threading
import time
from collections import Counter

import pytest

import wire
from clients import ALL
from provision import unique
from wire import V5, V311, Wire

KILLS = int(os.environ.get("DURABLE_KILLS", "8"))
GROUP = "$share/crew/chores/+"


@pytest.fixture
def plain(new_server):
    """A server, and clients of its plaintext port."""
    server, opened = new_server(), []

    def connect(client_id, version=V5, lasting=False, **options):
        if lasting:
            options |= dict(clean=False, session_expiry=3600) if version == V5 else dict(clean=False)
        client = Wire.dial(server, version=version, port="plain")
        opened.append(client)
        client.connack = client.connect(client_id, **options)
        return client

    yield server, connect
    for client in opened:
        client.close()


def take(client, count, within=15):
    return [client.message(within).payload.decode() for _ in range(count)]


def test_each_message_goes_to_one_member(plain, version):
    _, connect = plain
    members = [connect(f"member-{n}", version) for n in range(3)]
    assert all(member.subscribe(GROUP) == [1] for member in members)
    publisher = connect("publisher")
    for number in range(60):
        assert publisher.publish("chores/a", str(number), qos=1) == 0
    got = [[int(packet.payload) for packet in member.ping() if packet.kind == wire.PUBLISH] for member in members]
    assert sorted(sum(got, [])) == list(range(60))
    assert all(got), "chance chose somebody for everything"


@pytest.mark.parametrize("kind", ALL.values(), ids=ALL.keys())
def test_a_fleet_of_real_clients(server, kind):
    device, group = kind.anybody(server), unique("fleet")
    members = [kind(server, device, unique("member")) for _ in range(3)]
    publisher = kind(server, device, unique("boss"))
    try:
        for member in members:
            member.connect()
            assert member.subscribe(f"$share/{group}/{group}/+", 1) == 1
        publisher.connect()
        for number in range(30):
            publisher.publish(f"{group}/x", str(number), qos=1)
        end, got = time.monotonic() + 15, []
        while len(got) < 30 and time.monotonic() < end:
            for member in members:
                while not member.messages.empty():
                    got.append(int(member.messages.get().payload))
            time.sleep(0.02)
        assert sorted(got) == list(range(30))
    finally:
        for one in [*members, publisher]:
            one.close()


def test_the_queue_drains_at_twenty_a_second_to_whoever_comes(plain):
    server, connect = plain
    config = server.folder / "drain.toml"
    config.write_text("[quotas]\nshared-group-drain-rate = 20\n")
    server.stop()
    server.flags = ("--config", str(config))
    server.start()
    away = connect("away", lasting=True)
    away.subscribe(GROUP)
    away.disconnect()
    publisher = connect("publisher")
    for number in range(40):
        assert publisher.publish("chores/a", str(number), qos=1) == 0
    newcomer = connect("newcomer", V311)
    start = time.monotonic()
    assert newcomer.subscribe(GROUP) == [1]
    publisher.publish("chores/a", "live", qos=1)
    got = take(newcomer, 41)
    assert time.monotonic() - start > 1.5, "40 queued messages, 20 a second"
    assert "live" in got[:10]
    assert [text for text in got if text != "live"] == [str(number) for number in range(40)]
    assert not newcomer.is_readable(0.5)


def test_what_a_member_leaves_unacknowledged_goes_to_another(plain, version):
    _, connect = plain
    first = connect("first", version, lasting=True)
    first.subscribe(GROUP)
    assert connect("publisher").publish("chores/a", "once", qos=1) == 0
    assert first.message(ack=False).payload == b"once"
    second = connect("second", version)
    second.subscribe(GROUP)
    first.close()
    assert second.message().payload == b"once"
    first = connect("first", version, lasting=True)
    assert first.connack.session_present
    assert not first.is_readable(0.5), "the message is the group's, not the session's"


def test_without_a_persistent_member_nothing_waits(plain):
    _, connect = plain
    member = connect("member")
    member.subscribe(GROUP)
    member.disconnect()
    assert connect("publisher").publish("chores/a", "lost", qos=1) in (0, 0x10)
    member = connect("member")
    member.subscribe(GROUP)
    assert not member.is_readable(0.5)


def test_messages_expire_in_the_queue(plain):
    _, connect = plain
    away = connect("away", lasting=True)
    away.subscribe(GROUP)
    away.disconnect()
    publisher = connect("publisher")
    publisher.publish("chores/a", "short", qos=1, message_expiry=1)
    publisher.publish("chores/a", "long", qos=1)
    time.sleep(1.5)
    away = connect("away", lasting=True)
    assert take(away, 1) == ["long"]


def test_the_queue_has_a_bound_and_keeps_the_old(new_server, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text("[quotas]\nshared-group-queue = 3\n")
    server = new_server("--config", str(config))
    with Wire.dial(server, port="plain") as away:
        away.connect("away", clean=False, session_expiry=600)
        away.subscribe(GROUP)
        away.disconnect()
    with Wire.dial(server, port="plain") as publisher:
        publisher.connect("publisher")
        for number in range(5):
            assert publisher.publish("chores/a", str(number), qos=1) == 0
    with Wire.dial(server, port="plain") as away:
        away.connect("away", clean=False, session_expiry=600)
        assert take(away, 3) == ["0", "1", "2"]
        assert not away.is_readable(0.5)


def test_the_queue_and_what_is_on_its_way_survive_kill_9(plain):
    server, connect = plain
    away = connect("away", lasting=True)
    away.subscribe(GROUP)
    away.disconnect()
    clean = connect("clean")
    clean.subscribe(GROUP)
    publisher = connect("publisher")
    assert publisher.publish("chores/a", "on its way", qos=1) == 0
    assert clean.message(ack=False).payload == b"on its way"
    clean.close()
    assert publisher.publish("chores/a", "queued", qos=1) == 0
    server.kill()
    server.start()
    away = connect("away", lasting=True)
    assert away.connack.session_present
    assert sorted(take(away, 2)) == ["on its way", "queued"]


def test_kill_in_the_middle_of_load_loses_nothing_acknowledged(plain):
    """Members come and go, some clean, and the server is killed: every acknowledged message reaches somebody."""
    server, connect = plain
    draw = random.Random(11)
    keeper = connect("keeper", lasting=True)
    keeper.subscribe(GROUP)
    keeper.close()
    acknowledged, received, number = set(), Counter(), 0

    def collect(client, limit):
        for _ in range(limit):
            if not client.is_readable(0):
                return
            packet = client.receive()
            if packet.kind == wire.PUBLISH:
                received[int(packet.payload)] += 1
                client.send(wire.puback(packet.packet_id))

    def arrive(client_id):
        try:
            return connect(client_id)
        except AssertionError as died:
            raise wire.Closed from died

    for _ in range(KILLS):
        publisher, members = connect("publisher"), []
        killer = threading.Timer(draw.uniform(0.1, 0.6), server.kill)
        killer.start()
        window = {}
        try:
            while True:
                if len(members) < 2 and draw.random() < 0.2:
                    member = arrive(f"clean-{len(members)}")
                    member.send(wire.subscribe(V5, [(GROUP, 1)], 1))
                    members.append(member)
                if members and draw.random() < 0.02:
                    members.pop().close()
                for _ in range(20 - len(window)):
                    number += 1
                    packet_id = number % 60000 + 1
                    window[packet_id] = number
                    publisher.send(wire.publish(V5, "chores/load", str(number).encode(), qos=1, packet_id=packet_id))
                ack = publisher.receive()
                if ack.code in (0, None):
                    acknowledged.add(window.pop(ack.packet_id))
                for member in members:
                    collect(member, 10)
        except (wire.Closed, OSError):
            pass
        killer.join()
        server.start()
    # A handful of members drains what is left five times as fast as one.
    members = [connect("keeper", lasting=True)]
    for n in range(8):
        member = connect(f"late-{n}")
        member.send(wire.subscribe(V5, [(GROUP, 1)], 1))
        members.append(member)
    quiet_since = time.monotonic()
    while not acknowledged <= set(received) and time.monotonic() - quiet_since < 8:
        before = sum(received.values())
        for member in members:
            collect(member, 100)
        if sum(received.values()) > before:
            quiet_since = time.monotonic()
        time.sleep(0.01)
    assert len(acknowledged) > KILLS
    lost = acknowledged - set(received)
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged messages were lost"
