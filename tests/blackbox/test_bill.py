"""The live bill: what a fleet of real clients cost, counted by the server and, naively, by the test from what the clients did."""

import csv
import io
import json
import subprocess
import threading
import time
from collections import Counter
from fractions import Fraction

import pytest

from bills import MILLION, STEP, bill, connections, line, metrics, thingcore, until, usage
from clients import AwsSdk5, AwsSdk311, Paho, Paho5
from server import Server, binary, clean_environment

class Oracle:
    """Counts what clients do, by the words of AWS's pages."""

    def __init__(self):
        self.units = Counter()

    def message(self, item, topic, payload, properties=0):
        self.units[item] += max(1, -(-(len(topic) + len(payload) + properties) // STEP))

    def one(self, item, times=1):
        self.units[item] += times


class Fleet:
    """Real clients, and the oracle that watches them."""

    def __init__(self, server):
        self.server, self.oracle, self.clients = server, Oracle(), []
        self.device = server.account.everything()

    def connect(self, kind, name, will=None):
        client = kind(self.server, self.device, name)
        client.connect(will)
        self.clients.append(client)
        self.oracle.one("connect")
        self.oracle.one("connection-minute")
        return client

    def subscribe(self, client, topic_filter, qos):
        client.subscribe(topic_filter, qos)
        self.oracle.one("subscribe")

    def publish(self, client, topic, payload, qos=0, retain=False):
        client.publish(topic, payload, qos, retain)
        self.oracle.message("publish-in", topic, payload)
        if retain:
            self.oracle.message("retained", topic, payload)

    def receive(self, client, topic, payload, qos=0):
        got = client.message()
        assert (got.topic, got.payload) == (topic, payload)
        self.oracle.message("delivery", topic, payload)
        if qos:
            self.oracle.one("puback")

    def close(self, client):
        self.clients.remove(client)
        client.close()

    def end(self):
        for client in list(self.clients):
            self.close(client)


class Away(Paho):
    """A paho client with a session that lasts."""

    def connect(self, will=None):
        import paho.mqtt.client as paho

        original = paho.Client
        try:
            paho.Client = lambda *words, **options: original(*words, clean_session=False, **options)
            super().connect(will)
        finally:
            paho.Client = original


def vanish(client):
    """The socket closes without DISCONNECT."""
    client.client.loop_stop()
    client.client._sock_close()


def telemetry(fleet, backend, devices, batch, messages=40, pace=0.0):
    """Each device publishes the same readings, so many in one message; one reading each `pace` seconds."""
    reading = b"r" * 100
    begin = time.monotonic()
    for turn in range(messages // batch):
        for device in devices:
            topic = f"dt/{device.client_id}/up"
            fleet.publish(device, topic, reading * batch)
            fleet.receive(backend, topic, reading * batch)
        time.sleep(max(0.0, begin + (turn + 1) * batch * pace - time.monotonic()))


def scenario(server, batch=1, **script):
    """Telemetry, commands, an offline device, retained configuration, a will, HTTP and the registry."""
    fleet = Fleet(server)
    oracle = fleet.oracle
    backend = fleet.connect(Paho, "backend")
    fleet.subscribe(backend, "dt/+/up", 0)
    fleet.subscribe(backend, "will/#", 0)
    devices = [fleet.connect(kind, f"device-{n}") for n, kind in enumerate([AwsSdk5, AwsSdk311, Paho5])]
    telemetry(fleet, backend, devices, batch, **script)

    command = b"c" * 6000
    for device in devices:
        topic = f"cmd/{device.client_id}"
        fleet.subscribe(device, topic, 1)
        for _ in range(2):
            fleet.publish(backend, topic, command, 1)
            fleet.receive(device, topic, command, 1)

    away = fleet.connect(Away, "away")
    fleet.subscribe(away, "cmd/away", 1)
    fleet.close(away)
    # DISCONNECT has no answer: a message that is faster than it would be delivered, not queued.
    until(lambda: connections(server) == len(fleet.clients), "the server's end of a connection")
    for n in range(3):
        fleet.publish(backend, "cmd/away", b"while away %d" % n, 1)
        oracle.message("queued", "cmd/away", b"while away 0")
    away = fleet.connect(Away, "away")
    for n in range(3):
        fleet.receive(away, "cmd/away", b"while away %d" % n, 1)

    # QoS 1, so that it is there before anybody subscribes: else who is in between gets it twice.
    fleet.publish(backend, "cfg/all", b"f" * 5200, 1, retain=True)
    for device in devices:
        fleet.subscribe(device, "cfg/all", 0)
        fleet.receive(device, "cfg/all", b"f" * 5200)

    dying = fleet.connect(Paho, "dying", will={"topic": "will/dying", "payload": "gone", "qos": 0, "retain": True})
    vanish(dying)
    fleet.clients.remove(dying)
    fleet.receive(backend, "will/dying", b"gone")
    oracle.one("will")
    oracle.one("retained")

    data = server.account.data
    data.publish(topic="cmd/http", payload=b"h" * 6000, qos=1)
    oracle.one("http-request", 2)
    assert data.get_retained_message(topic="cfg/all")["payload"] == b"f" * 5200
    # Base64 makes it longer: two steps.
    oracle.one("retained-read", 2)
    iot = server.account.iot
    iot.create_thing(thingName="thing")
    iot.describe_thing(thingName="thing")
    oracle.one("registry-operation", 2)
    return fleet


def compare(found, expected):
    """To the unit; the body of an answer over HTTP is the server's to choose, and slow machines need a second minute."""
    found, expected = Counter(found), Counter(expected)
    for free in ("http-response", "ping"):
        found.pop(free, None)
    minutes = found.pop("connection-minute"), expected.pop("connection-minute")
    assert minutes[1] <= minutes[0] <= 3 * minutes[1]
    different = {item: (found[item], expected[item]) for item in found | expected if found[item] != expected[item]}
    assert not different, "item: (found, expected)"


def settled(server, folder, fleet):
    """The numbers when they are what the fleet did, and the document; when they do not become it, what differs."""
    def equal():
        try:
            compare(usage(server, folder)[0], fleet.oracle.units)
        except AssertionError:
            return False
        return True

    try:
        until(equal, "the last count")
    except AssertionError:
        compare(usage(server, folder)[0], fleet.oracle.units)
    return usage(server, folder)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A server, what its fleet did, and the saved numbers."""
    folder = tmp_path_factory.mktemp("bill")
    server = Server(folder / "server").start()
    fleet = scenario(server)
    units, document = settled(server, folder, fleet)
    saved = folder / "usage.json"
    yield server, fleet, units, document, saved
    fleet.end()
    server.stop()


def test_the_bill_is_the_oracles_to_the_unit(measured):
    _, fleet, units, _, _ = measured
    compare(units, fleet.oracle.units)


def test_the_money_is_units_times_price(measured):
    server, _, _, document, saved = measured
    free = {"ping", "basic-ingest", "queue-expired", "refused-connect", "repeated-delivery"}
    messages = sum(row["units"] for row in document["usage"]["rows"]
                   if row["item"] not in free | {"connection-minute", "registry-operation"})
    report = bill(server, "--usage", saved)
    assert line(report, "messaging")["units"] == messages
    assert Fraction(line(report, "messaging")["cost"]) == Fraction(messages, MILLION)
    assert line(report, "shadow-registry")["units"] == 2
    total = sum(Fraction(one["cost"]) for one in report["bill"]["lines"])
    assert Fraction(report["bill"]["total"]) == total
    assert line(bill(server, "--usage", saved, "--free-tier"), "messaging")["free"] == messages


def test_it_is_split_by_client_topic_kind_and_principal(measured):
    server, fleet, units, _, saved = measured
    by = {word: bill(server, "--usage", saved, "--by", word)["groups"] for word in ("client", "topic", "kind", "principal")}
    kinds = {group["name"]: sum(units for _, units in group["units"]) for group in by["kind"]}
    assert kinds["publish-in"] == units["publish-in"] and kinds["queued"] == 3
    assert by["kind"][0]["name"] in ("publish-in", "delivery")
    topics = {group["name"]: group["events"] for group in by["topic"]}
    assert topics["dt/device-0"] == 80 and topics["cmd/away"] == 9
    clients = {group["name"]: group for group in by["client"]}
    assert {"backend", "device-0", "device-1", "device-2", "away", "dying"} <= set(clients)
    assert any(group["name"] == fleet.device.certificate_id for group in by["principal"])
    costs = [Fraction(group["cost"]) for group in by["client"]]
    assert costs == sorted(costs, reverse=True)
    whole = Fraction(bill(server, "--usage", saved)["bill"]["total"])
    assert whole - Fraction(len(costs) * 5, 10**12) <= sum(costs) <= whole


def test_the_projection_is_hand_arithmetic(measured):
    """The rule of three: units * 100 000 devices * 30 days / (measured devices * measured time), started units."""
    server, _, _, document, saved = measured
    report = bill(server, "--usage", saved, "--project", "30d", "--devices", "100000")
    elapsed, devices = document["usage"]["to"] - document["usage"]["from"], document["usage"]["devices"]
    assert devices == 6
    day = 24 * 3600 * 1000
    bills = report["projection"]["bill"]["lines"]
    for one in bills:
        units = next(line["units"] for line in report["bill"]["lines"] if line["dimension"] == one["dimension"])
        scaled = -(-units * 100_000 * 30 * day // (devices * elapsed))
        if one["dimension"] == "connectivity":
            scaled = min(scaled, 100_000 * 30 * 24 * 60)
        assert one["units"] == scaled, one
    minutes = next(one for one in bills if one["dimension"] == "connectivity")
    # 100 000 * 43 200 minutes at 0.08 a million, as in AWS's own example.
    assert minutes["units"] == 4_320_000_000 and Fraction(minutes["cost"]) == Fraction("345.6")
    assert any("100000 devices" in text for text in report["projection"]["assumptions"])


def test_what_if_saves_what_it_promises(measured, new_server, tmp_path):
    server, _, units, _, saved = measured
    first = bill(server, "what-if", "--usage", saved)["whatIf"][0]
    assert first["id"] == "batching" and "up to 10" in first["change"], first
    other = new_server()
    fleet = scenario(other, batch=10)
    after, _ = settled(other, tmp_path, fleet)
    fleet.end()
    messages = ("publish-in", "delivery", "retained", "queued", "puback", "subscribe", "connect", "will")
    saving = sum(units[item] - after[item] for item in messages)
    assert abs(saving - first["units"]) <= first["units"] / 100, (saving, first)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_minute_of_a_fleet(new_server, tmp_path):
    """One reading a second and device for a minute: the oracle's bill, a projection by hand, a suggestion that keeps its word."""
    server = new_server()
    fleet = scenario(server, messages=60, pace=1.0)
    units, document = settled(server, tmp_path, fleet)
    assert document["usage"]["to"] - document["usage"]["from"] >= 60_000 and document["usage"]["devices"] == 6

    # By hand, as if it had been the minute to the millisecond.
    saved = tmp_path / "usage.json"
    document["usage"]["to"] = document["usage"]["from"] + 60_000
    saved.write_text(json.dumps(document))
    report = bill(server, "--usage", saved, "--project", "1d", "--devices", "600")
    connects, subscribes = 1 + 3 + 2 + 1, 2 + 3 + 1 + 3
    readings = 3 * 60 * 2                       # in and out
    commands = 3 * 2 * (2 + 2 + 1)              # 6 000 bytes are two steps, in and out, and a PUBACK each
    away = 3 * (1 + 1 + 1 + 1)                  # in, queued, out, PUBACK
    configuration = 2 + 2 + 3 * 2               # in, retained, three times out
    will = 1 + 1 + 1                            # will, retained, out
    http = 2 + 2                                # publish, and reading what is retained
    backend_body = units["http-response"]       # the body is the server's to choose
    hand = connects + subscribes + readings + commands + away + configuration + will + http + backend_body
    assert line(report, "messaging")["units"] == hand
    # 600 of 6 devices, a day of a minute: 100 * 1 440 times as much, at 1 USD a million.
    projected = next(one for one in report["projection"]["bill"]["lines"] if one["dimension"] == "messaging")
    assert projected["units"] == hand * 144_000 and Fraction(projected["cost"]) == Fraction(hand * 144_000, MILLION)

    first = bill(server, "what-if", "--usage", saved)["whatIf"][0]
    assert first["id"] == "batching" and "up to 10" in first["change"], first
    fleet.end()
    other = new_server()
    fleet = scenario(other, batch=10, messages=60)
    after, _ = settled(other, tmp_path, fleet)
    fleet.end()
    # The bodies of answers are the server's to choose; everything else that is a message is compared, and its money.
    messages = set(units) - {"http-response", "ping", "connection-minute", "registry-operation"}
    saving = sum(units[item] - after[item] for item in messages)
    assert abs(saving - first["units"]) <= first["units"] / 100, (saving, first)
    assert abs(Fraction(saving, MILLION) - Fraction(first["saves"])) <= Fraction(first["saves"]) / 100


def test_a_budget_fails_the_run(measured, tmp_path):
    server, _, _, _, saved = measured
    tight, loose = tmp_path / "tight.toml", tmp_path / "loose.toml"
    tight.write_text('per_device_day = "0.0001"\n')
    loose.write_text('per_device_day = "100"\ntotal = "1"\n')
    code, out, err = thingcore(server, "--usage", saved, "--budget", tight)
    assert code == 3, (out, err)
    assert out.count("cause: ") == 3 and " on dt/device-" in out and "NOT KEPT" in out
    code, out, _ = thingcore(server, "--usage", saved, "--budget", loose)
    assert code == 0 and "it holds" in out


def test_findings_are_in_the_report_and_told_when_the_minute_ends(measured):
    server, _, _, _, saved = measured
    found = {(finding["id"], finding["subject"]) for finding in bill(server, "--usage", saved)["findings"]}
    assert {("small-publishes", f"device-{n}") for n in range(3)} <= found
    until(lambda: '"bill.finding"' in server.log_text(), "telling the findings of a minute", 90)
    told = [json.loads(row) for row in server.log_text().splitlines() if '"bill.finding"' in row]
    assert any("small-publishes" in row["details"] for row in told), told


def test_tables_and_csv(measured):
    server, _, units, _, saved = measured
    code, out, err = thingcore(server, "--by", "topic")
    assert code == 0 and "dt/device-0" in out and "(unconfirmed)" not in out, err
    code, out, _ = thingcore(server, "--usage", saved, "--by", "kind", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert next(row for row in rows if row["name"] == "queued")["units"] == "3"
    assert {row["section"] for row in rows} == {"bill", "bill-tier", "group"}
    tier = next(row for row in rows if row["section"] == "bill-tier" and row["name"].startswith("messaging"))
    assert tier["name"] == "messaging from 0 at 1.00 per million"
    assert Fraction(tier["usd"]) == Fraction(int(tier["units"]), MILLION)
    code, out, _ = thingcore(server, "--usage", saved, "--free-tier", "--format", "csv")
    free = next(row for row in csv.DictReader(io.StringIO(out)) if row["section"] == "bill-free" and row["name"] == "messaging")
    assert free["units"] == tier["units"] and free["usd"] == "0.00"


def test_metrics_tell_the_same(measured):
    server, _, _, document, _ = measured
    text = metrics(server)
    shown = {}
    for row in text.splitlines():
        if row.startswith("thingcore_metered_units_total{item="):
            name, value = row.rsplit(" ", 1)
            shown[name.split('"')[1]] = int(value)
    for item in ("publish-in", "delivery", "puback", "queued", "retained", "will"):
        assert shown[item] == sum(row["units"] for row in document["usage"]["rows"] if row["item"] == item)
    assert 'thingcore_billed_units_total{dimension="messaging"}' in text


def test_times_and_the_running_minute(measured, tmp_path):
    server, _, units, _, _ = measured
    within, _ = usage(server, tmp_path, "--from", "1h")
    for item in ("publish-in", "queued", "will"):
        assert within[item] == units[item]
    before, _ = usage(server, tmp_path, "--from", "2000-01-01T00:00:00Z", "--to", "2001-01-01T00:00:00Z")
    assert not before
    minute, _ = usage(server, tmp_path, "--minute")
    assert all(minute[item] <= units[item] for item in ("publish-in", "queued", "will"))


def test_mistakes_are_named(measured, tmp_path):
    server, _, _, _, saved = measured

    def problem(*words):
        code, _, err = thingcore(server, "--usage", saved, *words)
        assert code == 1
        return err

    prices = tmp_path / "prices.toml"
    prices.write_text('version = "1"\nregion = "eu-west-1"\ndate = "2026-01-01"\n[[tier]]\n'
                      'dimension = "messaging"\nfrom = 5\nper_million = "1"\n')
    assert f"{prices}:6: from: 5 leaves a gap" in problem("--prices", prices)
    assert "the prices of mars-north-1 are not known" in problem("--region", "mars-north-1")
    assert "no switch is called that" in problem("--set", "publish-in=off")
    prices.write_text('version = "1"\nregion = "eu-west-1"\ndate = 2026\ntier = []\n')
    assert f"{prices}:3: date: invalid type" in problem("--prices", prices)
    budget = tmp_path / "budget.toml"
    budget.write_text('per_device_day = "cheap"\n')
    assert f"{budget}:1: per_device_day: " in problem("--budget", budget)


def test_own_prices_and_switches(measured, tmp_path):
    server, _, _, document, saved = measured
    prices = tmp_path / "prices.toml"
    prices.write_text('version = "negotiated"\nregion = "eu-west-1"\ndate = "2026-01-01"\n[[tier]]\n'
                      'dimension = "messaging"\nfrom = 0\nto = 10\nper_million = "2.5"\n[[tier]]\n'
                      'dimension = "messaging"\nfrom = 10\nper_million = "0.5"\n')
    report = bill(server, "--usage", saved, "--prices", prices)
    messages = line(report, "messaging")
    assert Fraction(messages["cost"]) == (10 * Fraction("2.5") + (messages["units"] - 10) * Fraction("0.5")) / MILLION
    assert line(report, "connectivity")["unpriced"] == line(report, "connectivity")["units"]
    assert bill(server, "--usage", saved, "--set", "retained-list=off")["bill"] == bill(server, "--usage", saved)["bill"]


def test_totals_survive_kill_and_restart(new_server, tmp_path):
    server = new_server()
    fleet = Fleet(server)
    client = fleet.connect(Paho, "survivor")
    for n in range(25):
        fleet.publish(client, "dt/survivor", b"x" * 6000, 1)
    fleet.publish(client, "mark/end", b"", 1)
    # Names and counters of a second are written together.
    file = server.data_dir / "bill.jsonl"
    until(lambda: "mark/end" in file.read_text(), "writing down the counters")
    before, document = usage(server, tmp_path)
    compare(before, fleet.oracle.units)
    server.kill()
    server.start()
    after, again = usage(server, tmp_path)
    assert after["publish-in"] == before["publish-in"] == 51
    assert after["connection-minute"] == before["connection-minute"]
    assert again["usage"]["from"] == document["usage"]["from"]
    # The minute that was cut short, too.
    assert usage(server, tmp_path, "--from", "1h")[0] == after
    client = Paho(server, fleet.device, "survivor")
    client.connect()
    client.publish("dt/survivor", b"again", 1)
    client.close()
    for _ in range(2):
        server.stop()
        server.start()
        assert usage(server, tmp_path)[0]["publish-in"] == 52
        assert usage(server, tmp_path, "--from", "1h")[0]["publish-in"] == 52
    server.stop()


def test_kill_loses_at_most_what_came_after_the_last_line(new_server, tmp_path):
    """Under load, at any moment: what was acknowledged before the last line was written is there after `kill -9`."""
    server = new_server()
    fleet = Fleet(server)
    client = fleet.connect(AwsSdk5, "busy")
    acknowledged, file = [], server.data_dir / "bill.jsonl"

    def publish():
        try:
            while True:
                client.publish("dt/busy", b"x", 1)
                acknowledged.append(time.time() * 1000)
        except Exception:
            return

    def lines():
        """When the counters of whole lines were read."""
        rows = [json.loads(row) for row in file.read_text().split("\n")[:-1]]
        return [row["c"][0] for row in rows if "c" in row]

    at_first = len(lines())
    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    until(lambda: len(lines()) >= at_first + 3, "writing down counters while messages come")
    server.kill()
    killed, last = time.time() * 1000, lines()[-1]
    promised = sum(at < last for at in list(acknowledged))
    # A line a second; a machine with much else to do may be late.
    assert promised > 0 and killed - last < 5000
    server.start()
    found = usage(server, tmp_path)[0]["publish-in"]
    assert promised <= found <= len(acknowledged) + 100, (promised, found, len(acknowledged))
    server.stop()


def test_metering_can_be_switched_off(new_server, tmp_path):
    config = tmp_path / "thingcore.toml"
    config.write_text("[metering]\nenabled = false\n")
    server = new_server("--config", config)
    code, _, err = thingcore(server)
    assert code == 1 and "[metering] enabled = false" in err
    assert not (server.data_dir / "bill.jsonl").exists()


def test_wrong_settings_are_named(tmp_path):
    config = tmp_path / "thingcore.toml"
    config.write_text("[metering]\nkilobyte = 1023\n")
    done = subprocess.run([binary(), "serve", "--data-dir", tmp_path / "data", "--config", config], capture_output=True, text=True,
                          timeout=60, env=clean_environment())
    assert done.returncode == 1 and "kilobyte = 1023: it must be 1024 or 1000" in done.stderr


def test_it_is_split_by_billing_group_and_thing_group(new_server, tmp_path):
    """Clients stand for the things of their names; one in two groups counts in each, and the table says so."""
    server = new_server()
    iot = server.account.iot
    for name in ("team-a", "team-b"):
        iot.create_billing_group(billingGroupName=name)
    for name in ("floor", "lamps"):
        iot.create_thing_group(thingGroupName=name)
    iot.create_thing(thingName="lamp-1", billingGroupName="team-a")
    iot.create_thing(thingName="lamp-2")
    iot.add_thing_to_billing_group(thingName="lamp-2", billingGroupName="team-b")
    iot.create_thing(thingName="absent", billingGroupName="team-b")
    for thing, group in (("lamp-1", "floor"), ("lamp-1", "lamps"), ("lamp-2", "lamps")):
        iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
    fleet = Fleet(server)
    for name, count in (("lamp-1", 5), ("lamp-2", 3), ("stranger", 2)):
        client = fleet.connect(Paho, name)
        for _ in range(count):
            fleet.publish(client, f"dt/{name}", b"x", 1)
    until(lambda: usage(server, tmp_path)[0]["publish-in"] == 10, "counting the messages")

    def messages(word):
        report = bill(server, "--by", word)
        return {group["name"]: dict(group["units"]).get("messaging", 0) for group in report["groups"]}, report

    # A CONNECT and its publishes are messages.
    found, report = messages("billing-group")
    assert (found["team-a"], found["team-b"], found[""]) == (6, 4, 3) and "groupsNote" not in report
    found, report = messages("thing-group")
    assert (found["floor"], found["lamps"], found[""]) == (6, 10, 3)
    assert report["groupsNote"].startswith("1 client is in several groups and counts in each")
    code, out, err = thingcore(server, "--by", "thing-group")
    assert code == 0 and "add up to more than the bill" in out, err

    # A client with any name speaks for the thing that holds its certificate exclusively.
    device = server.account.device(thing=True, exclusive=True)
    iot.add_thing_to_billing_group(thingName=device.name, billingGroupName="team-b")
    client = Paho(server, device, "any-name")
    client.connect()
    client.publish("dt/any-name", b"x", 1)
    fleet.clients.append(client)
    until(lambda: usage(server, tmp_path)[0]["publish-in"] == 11, "counting the message")
    before = usage(server, tmp_path)[0]["registry-operation"]
    found, _ = messages("thing")
    assert (found["lamp-1"], found["lamp-2"], found[device.name], found[""]) == (6, 4, 2, 3)
    assert messages("billing-group")[0]["team-b"] == 6
    # Asking costs nothing.
    assert usage(server, tmp_path)[0]["registry-operation"] == before
    fleet.end()
    server.stop()
