#!/usr/bin/env python3
"""Kills the server with SIGKILL, again and again, under load from real clients, and counts what was acknowledged and lost.

Load: a publisher (paho-mqtt, QoS 1, twenty in flight, every 25th message retained), a device and a member of a shared group with
sessions that last, which come and go, and boto3 that makes things. Half of the connections are mutual TLS. Kill moments are drawn
from the seed. After each start the retained message must be the last one that was acknowledged, or a later one. At the end
everything that was acknowledged must be there: each message at the device and at the group, each thing in the registry. Prints one
JSON line, which --record also appends to a file; the exit code is 1 if something was lost, if so little was acknowledged that nothing
could be, or if `thingcore check` finds damage in the folder, and then its words are printed as well.

    python3 workshop/kills.py --kills 500                     (target/debug/thingcore)
    THINGCORE_BIN=target/release/thingcore python3 workshop/kills.py --kills 500 --record docs/evidence/kills.jsonl

Run it with the Python of `.venv`. The data folder is made in --folder, which should be on a real disk.
"""

import argparse
import collections
import datetime
import json
import random
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "blackbox"))

import paho.mqtt.client as mqtt  # noqa: E402
from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402

from server import Server, binary  # noqa: E402

IN_FLIGHT = 20
RETAINED_EVERY = 25
QUIET = 15.0
EARLIEST, LATEST = 0.02, 0.4
LOST = ("lost", "shared_lost", "retained_lost", "things_lost")


class Ledger:
    """What was acknowledged to whom, and what came."""

    def __init__(self):
        self.sent = 0
        self.acknowledged, self.received, self.shared = set(), collections.Counter(), collections.Counter()
        self.retained, self.retained_acknowledged, self.retained_lost = 0, 0, 0
        self.things, self.rounds_without, self.over_tls = set(), 0, 0
        self.rounds = []
        self.last = time.monotonic()

    def take(self, message, into):
        into[int(message.payload)] += 1
        self.last = time.monotonic()

    def missing(self):
        """What was acknowledged and has not come: to the device, to the group."""
        return self.acknowledged - set(self.received), self.acknowledged - set(self.shared)


def client(name, server, kit=None, on_message=None, **session):
    """Over mutual TLS with a kit, else over the plain port."""
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    lasting = Properties(PacketTypes.CONNECT)
    lasting.SessionExpiryInterval = session.get("expiry", 0)
    up = threading.Event()
    one.on_connect = lambda *_: up.set()
    # Before the first packet can come: the library acknowledges messages that nobody listens for.
    one.on_message = on_message
    if kit:
        one.tls_set(server.ca_file, kit.certificate_file, kit.key_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    port = server.ports["mqtt" if kit else "plain"]
    one.connect("localhost", port, clean_start=not session, properties=lasting)
    one.loop_start()
    return one, up


def publish(server, ledger, kit, over):
    """Until the server is gone: numbers, twenty in flight."""
    try:
        publisher, up = client("publisher", server, kit)
    except OSError:
        return
    room, numbers, retained, answered = threading.Semaphore(IN_FLIGHT), {}, {}, set()

    def acknowledged(_client, _data, mid, reason, _properties):
        # No lock of ours here: the library calls this while it holds its own.
        if not reason.is_failure:
            answered.add(mid)
        room.release()

    publisher.on_publish = acknowledged
    while not up.wait(0.05) and not over.is_set():
        pass
    while not over.is_set():
        if room.acquire(timeout=0.05):
            ledger.sent += 1
            if ledger.sent % RETAINED_EVERY:
                numbers[publisher.publish("load", str(ledger.sent), qos=1).mid] = ledger.sent
            else:
                retained[publisher.publish("kept", str(ledger.sent), qos=1, retain=True).mid] = ledger.sent
    publisher.loop_stop()
    ledger.acknowledged.update(numbers[mid] for mid in answered if mid in numbers)
    kept = [retained[mid] for mid in answered if mid in retained]
    ledger.retained_acknowledged += len(kept)
    ledger.retained = max([ledger.retained, *kept])


def register(server, ledger, round_number, over):
    """Things through boto3, until the server is gone."""
    iot, number = server.boto("iot"), 0
    while not over.is_set():
        name = f"thing-{round_number}-{number}"
        number += 1
        try:
            iot.create_thing(thingName=name)
        except Exception:  # noqa: BLE001 - the server was killed
            return
        ledger.things.add(name)


def read(name, server, into, ledger, kit=None):
    """The device, or the member of the group: sessions that last."""
    take = lambda _client, _data, message: ledger.take(message, into)  # noqa: E731
    try:
        return client(name, server, kit, take, expiry=86_400)[0]
    except OSError:
        return None


def check_retained(server, ledger):
    """The last retained message that was acknowledged, or a later one."""
    if not ledger.retained:
        return
    try:
        found = server.boto("iot-data").get_retained_message(topic="kept")
        found = int(found["payload"])
    except Exception as error:  # noqa: BLE001 - a missing one is lost, as is one that cannot be read
        found, _ = 0, print(f"retained: {error}", file=sys.stderr)
    if found < ledger.retained:
        ledger.retained_lost += 1
        print(f"lost: the retained message is {found}, and {ledger.retained} was acknowledged", file=sys.stderr)


def one_kill(server, ledger, kit, draw, round_number):
    over, before = threading.Event(), len(ledger.acknowledged)
    kit = kit if draw.random() < 0.5 else None
    ledger.over_tls += kit is not None
    device = read("device", server, ledger.received, ledger, kit) if draw.random() < 0.5 else None
    member = read("member", server, ledger.shared, ledger, kit) if draw.random() < 0.5 else None
    load = [threading.Thread(target=publish, args=(server, ledger, kit, over)),
            threading.Thread(target=register, args=(server, ledger, round_number, over))]
    for thread in load:
        thread.start()
    over.wait(draw.uniform(EARLIEST, LATEST))
    server.kill()
    over.set()
    for thread in load:
        thread.join()
    for reader in filter(None, (device, member)):
        reader.loop_stop()
    ledger.rounds_without += len(ledger.acknowledged) == before
    ledger.rounds.append((ledger.sent, device is not None))
    server.start()
    check_retained(server, ledger)


def settle(server, ledger):
    """Everything that waits, until nothing comes any more."""
    readers = [read("device", server, ledger.received, ledger), read("member", server, ledger.shared, ledger)]
    ledger.last = time.monotonic()
    done = threading.Event()
    while any(ledger.missing()) and time.monotonic() - ledger.last < QUIET:
        done.wait(0.1)
    for reader in readers:
        reader.loop_stop()
    iot, there, more = server.boto("iot"), set(), {}
    while True:
        page = iot.list_things(maxResults=250, **more)
        there.update(thing["thingName"] for thing in page["things"])
        if not page.get("nextToken"):
            return ledger.things - there
        more = {"nextToken": page["nextToken"]}


def subscribe(name, server, topic_filter, into, ledger):
    reader = read(name, server, into, ledger)
    subscribed = threading.Event()
    reader.on_subscribe = lambda *_: subscribed.set()
    end = time.monotonic() + QUIET
    while not reader.is_connected() and time.monotonic() < end:
        subscribed.wait(0.01)
    reader.subscribe(topic_filter, qos=1)
    assert subscribed.wait(QUIET), "no SUBACK came"
    reader.loop_stop()


def commit():
    """Of the checkout: the binary is taken to be built from it."""
    told = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return told.stdout.strip()


def is_dirty():
    """Whether files are other ones than those of the commit. What runs leave as evidence is no such change."""
    command = ["git", "status", "--porcelain", "--", ".", ":(exclude)docs"]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip())


def run(folder, kills, seed):
    config = folder / "thingcore.toml"
    config.write_text("[divergences]\nreplay-rate = false\n")
    server = Server(folder / "server", "--config", str(config)).start()
    ledger, draw, began = Ledger(), random.Random(seed), time.monotonic()
    kit = server.account.device()
    subscribe("device", server, "load", ledger.received, ledger)
    subscribe("member", server, "$share/group/load", ledger.shared, ledger)
    for round_number in range(kills):
        one_kill(server, ledger, kit, draw, round_number)
    lost_things = settle(server, ledger)
    lost, lost_in_group = ledger.missing()
    for number in sorted(lost)[:200]:
        round_number = sum(last < number for last, _ in ledger.rounds)
        reading = ledger.rounds[round_number][1]
        print(f"lost: message {number}, acknowledged before kill {round_number}, device connected: {reading}", file=sys.stderr)
    server.stop()
    checked = server.run_cli("check", "--data-dir", server.data_dir, check=False, within=600)
    sound = checked.returncode == 0
    if not sound:
        print(f"check: {checked.stdout}{checked.stderr}", file=sys.stderr)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit(),
        "dirty": is_dirty(),
        "kills": kills, "seed": seed, "sent": ledger.sent, "acknowledged": len(ledger.acknowledged), "lost": len(lost),
        "shared_lost": len(lost_in_group), "retained": ledger.retained_acknowledged, "retained_lost": ledger.retained_lost,
        "kills_over_tls": ledger.over_tls,
        "duplicated": sum(count > 1 for count in ledger.received.values()), "things": len(ledger.things),
        "things_lost": len(lost_things), "kills_before_any_acknowledgement": ledger.rounds_without, "folder_sound": sound,
        "seconds": round(time.monotonic() - began, 1), "binary": Path(binary()).parent.name,
    }


def hollow(result):
    """Whether the kills show nothing: less than a message acknowledged for each, no thing, or too many kills before there was any."""
    without = max(2, result["kills"] // 10)
    return (result["acknowledged"] < result["kills"] or not result["things"]
            or result["kills_before_any_acknowledgement"] > without)


def verdict(result):
    """The exit code."""
    if hollow(result):
        print("too little was acknowledged: this run shows nothing", file=sys.stderr)
    return int(any(result[what] for what in LOST) or hollow(result) or not result["folder_sound"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500, help="how many [default: 500]")
    parser.add_argument("--seed", type=int, default=1, help="of the moments [default: 1]")
    parser.add_argument("--folder", type=Path, default=ROOT / "target", help="where the data folder is made [default: target]")
    parser.add_argument("--record", type=Path, help="a file to which the line is appended [default: none]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-", dir=arguments.folder) as folder:
        result = run(Path(folder), arguments.kills, arguments.seed)
    print(json.dumps(result))
    if arguments.record:
        with open(arguments.record, "a") as out:
            out.write(json.dumps(result) + "\n")
    return verdict(result)


if __name__ == "__main__":
    sys.exit(main())
