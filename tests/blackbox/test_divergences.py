"""Divergences from OASIS MQTT: each row as a client sees it, switched on and off, and the report that names who met it."""

import json
import queue
import subprocess

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import wire
from clients import Paho, Paho5
from provision import allow, unique
from refusal import outcome
from server import Server, binary, clean_environment
from wire import CONNACK, DISCONNECT, PUBACK, SUBACK, V5, V311

QOS_2 = 2
NO_LOCAL, RETAIN_AS_PUBLISHED, DO_NOT_SEND = 0x04, 0x08, 0x20


def thingcore(server, *words):
    """Runs a command against a server; gives exit code, standard output and standard error."""
    command = [binary(), *words, "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    return done.returncode, done.stdout, done.stderr


def report(server):
    code, out, err = thingcore(server, "divergences", "--format", "json")
    assert code == 0, err
    return json.loads(out)


def met(server, client_id):
    """What a client met: {row: (count, detail)}."""
    rows = next((c["rows"] for c in report(server)["clients"] if c["clientId"] == client_id), [])
    return {row["id"]: (row["count"], row["detail"]) for row in rows}


def configured(folder, text, **options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thingcore.toml").write_text(text)
    return Server(folder, "--config", folder / "thingcore.toml", **options)


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """A server without any divergence."""
    server = Server(tmp_path_factory.mktemp("standard"), "--dialect", "oasis").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def switched(tmp_path_factory):
    """AWS's dialect with the rows turned around that are off by default, and some tight limits."""
    rows = [
        "qos2-subscribe-no-suback", "empty-client-id-v3-refused", "qos2-publish-v3-close", "filters-over-8-close",
        "subscription-51-close", "retain-handling-ignored", "retain-as-published-ignored", "denied-publish-qos1-v5-closes",
        "invalid-topic-v5-closes",
    ]
    text = "[divergences]\n" + "".join(f"{row} = true\n" for row in rows)
    text += "[quotas]\nsession-queue-messages = 2\n"
    server = configured(tmp_path_factory.mktemp("switched"), text).start()
    yield server
    server.stop()


def refused_connect(dial, on, version, client_id, **options):
    """The answer to a CONNECT that is refused; None if the server just closed."""
    connection = dial(on.account.everything(), version, on=on)
    connection.send(wire.connect(version, client_id, **options))
    return outcome(connection)


# ---- the report ------------------------------------------------------------------------------------------------


def lean_on_the_standard(server, client_id):
    """A device program that was written for another broker."""
    client = Paho(server, server.account.everything(), client_id)
    client.connect()
    client.subscribe(f"{client_id}/+")
    client.subscribe(f"{client_id}/#", qos=QOS_2)
    client.close()


def test_the_report_names_who_leans_on_what(server):
    client_id = unique("sensor")
    keep = Paho5(server, server.account.everything(), unique("keeper"))
    keep.connect()
    keep.publish(f"{client_id}/state", "on", qos=1, retain=True)
    keep.close()
    lean_on_the_standard(server, client_id)
    rows = met(server, client_id)
    assert rows["retained-exact-only"][0] == 2 and rows["no-qos2"] == (1, "subscribed with QoS 2"), rows
    assert "+" in rows["retained-exact-only"][1] or "#" in rows["retained-exact-only"][1]
    code, table, _ = thingcore(server, "divergences")
    assert code == 0 and client_id in table and "no-qos2" in table


def test_fail_on_is_an_exit_code(new_server):
    server = new_server()
    assert thingcore(server, "divergences", "--fail-on", "any")[0] == 0
    lean_on_the_standard(server, "sensor-7")
    assert thingcore(server, "divergences", "--fail-on", "client-id-dollar,connect-rate")[0] == 0
    code, _, error = thingcore(server, "divergences", "--fail-on", "client-id-dollar,no-qos2")
    assert code == 3 and "no-qos2" in error
    code, _, error = thingcore(server, "divergences", "--fail-on", "no-such-row")
    assert code == 1 and "no-such-row" in error
    assert thingcore(server, "divergences", "--fail-on", "any", "--reset")[0] == 3
    assert report(server) == {"clients": [], "dropped": 0}


def test_the_report_is_left_behind_at_the_end(new_server, tmp_path):
    file = tmp_path / "divergences.json"
    server = new_server("--divergences-file", file, log="human")
    lean_on_the_standard(server, "sensor-7")
    live = report(server)
    server.stop()
    assert json.loads(file.read_text()) == live
    assert "  sensor-7: " in server.log_text() and "subscribed with QoS 2 (no-qos2) 1x" in server.log_text()
    words = [binary(), "divergences", "--from", str(file), "--fail-on", "no-qos2"]
    assert subprocess.run(words, capture_output=True, timeout=60, env=clean_environment()).returncode == 3


def test_in_the_standard_dialect_nobody_diverges(standard):
    lean_on_the_standard(standard, "sensor-7")
    assert met(standard, "sensor-7") == {}


# ---- rows ------------------------------------------------------------------------------------------------------


def test_qos2_subscribe_no_suback(connected, switched, server, topic, version):
    client = connected(version, on=switched)
    client.send(wire.subscribe(version, [(topic, QOS_2)]))
    assert client.ping() == []
    assert "qos2-subscribe-no-suback" in met(switched, client.client_id)
    assert connected(version).subscribe(topic, qos=QOS_2) == [1]


def test_no_auth_packet(dial, server, standard):
    client_id = unique("auth")
    ask = dict(authentication_method="SCRAM-SHA-1", authentication_data=b"x")
    assert refused_connect(dial, server, V5, client_id, **ask).code == 0x87
    assert "no-auth-packet" in met(server, client_id)
    assert refused_connect(dial, standard, V5, client_id, **ask).code == 0x8C


def test_overlapping_subscriptions_copies(connected, new_server, version, tmp_path):
    """Each copy comes, also from the journal, and none of them counts as waiting for ever."""
    text = "[divergences]\noverlapping-subscriptions-copies = true\n[quotas]\nsession-queue-messages = 4\n"
    server = new_server("--config", write(tmp_path, text))
    client = connected(version, on=server, clean=False, **(dict(session_expiry=600) if version == V5 else {}))
    assert client.subscribe("a/b", "a/+") == [1, 1]
    publisher = connected(version, on=server)
    for number in range(8):
        assert publisher.publish("a/b", str(number), qos=1) == 0
        assert [int(client.message().payload) for _ in range(2)] == [number, number]


def test_dup_unsupported(connected, server, standard, topic, version):
    for on, dup in ((server, False), (standard, True)):
        options = dict(session_expiry=600) if version == V5 else {}
        client = connected(version, on=on, clean=False, **options)
        client.subscribe(topic)
        connected(version, on=on).publish(topic, "again", qos=1)
        assert not client.message(ack=False).dup
        client.close()
        back = connected(version, on=on, client_id=client.client_id, clean=False, **options)
        assert back.message().dup is dup
        assert ("dup-unsupported" in met(on, client.client_id)) is not dup


def test_retained_reserved_forbidden(connected, server, version):
    client = connected(version)
    client.send(wire.publish(version, f"$aws/rules/{unique('rule')}/x", "x", qos=1, retain=True))
    answer = outcome(client)
    assert answer is None if version == V311 else (answer.kind, answer.code) == (DISCONNECT, 0x90)
    assert "retained-reserved-forbidden" in met(server, client.client_id)


def test_retained_cap_throttle(connected, new_server, topic, tmp_path):
    server = new_server("--config", write(tmp_path, "[quotas]\nretained-messages = 1\n"))
    client = connected(V5, on=server)
    assert client.publish(f"{topic}/1", "x", qos=1, retain=True) == 0
    assert client.publish(f"{topic}/2", "x", qos=1, retain=True) == 0x97
    assert "retained-cap-throttle" in met(server, client.client_id)
    other = connected(V5, on=server)
    other.subscribe(f"{topic}/2")
    assert other.ping() == []
    assert client.publish(f"{topic}/1", "", qos=1, retain=True) == 0, "deletions pass"


def test_no_local_ignored(connected, server, standard, topic):
    for on, delivered in ((server, True), (standard, False)):
        client = connected(V5, on=on)
        assert client.subscribe((topic, 1 | NO_LOCAL)) == [1]
        client.publish(topic, "mine")
        connected(V5, on=on).publish(topic, "other")
        expected = [b"mine", b"other"] if delivered else [b"other"]
        assert [client.message().payload for _ in expected] == expected
        assert ("no-local-ignored" in met(on, client.client_id)) is delivered


@pytest.mark.slow
def test_v3_session_expires(new_server, connected, tmp_path):
    server = new_server("--config", write(tmp_path, "[quotas]\nsession-expiry-maximum = 1\n"))
    first = connected(V311, on=server, clean=False)
    first.disconnect()
    server.wait_for_log("session.expired", first.client_id)
    assert not connected(V311, on=server, client_id=first.client_id, clean=False).connack.session_present
    assert "v3-session-expires" in met(server, first.client_id)


def write(folder, text):
    file = folder / "thingcore.toml"
    file.write_text(text)
    return file


def test_client_id_dollar(dial, connected, server, standard, version):
    client_id = "$" + unique("dollar")
    answer = refused_connect(dial, server, version, client_id)
    assert answer is None if version == V311 else (answer.kind, answer.code) == (CONNACK, 0x85)
    assert "client-id-dollar" in met(server, client_id)
    connected(version, on=standard, client_id=client_id)


def test_dollar_topics_closed(connected, server, standard, version):
    client = connected(version)
    client.send(wire.subscribe(version, [("$SYS/#", 0)]))
    answer = outcome(client)
    assert answer is None if version == V311 else answer.codes == [0x8F]
    assert "dollar-topics-closed" in met(server, client.client_id)
    assert connected(version, on=standard).subscribe("$SYS/#", qos=0) == [0]


def test_min_client_packet_size(dial, connected, server, standard):
    client_id = unique("small")
    assert refused_connect(dial, server, V5, client_id, maximum_packet_size=256).code == 0x97
    assert "min-client-packet-size" in met(server, client_id)
    connected(V5, on=standard, client_id=client_id, maximum_packet_size=256)


def test_v3_refusal_close(dial, server, standard):
    client_id = "$" + unique("close")
    assert refused_connect(dial, server, V311, client_id) is None
    assert "v3-refusal-close" in met(server, client_id)
    assert refused_connect(dial, standard, V311, "", clean=False).code == 2


def test_empty_client_id_v3_refused(dial, connected, switched):
    assert refused_connect(dial, switched, V311, "") is None
    assert "empty-client-id-v3-refused" in met(switched, "")
    connected(V311, client_id="")


def test_reserved_topic_publish_v5(connected, server, topic):
    client = connected(V5)
    client.send(wire.publish(V5, "$SYS/x", "x", qos=1))
    answer = outcome(client)
    assert (answer.kind, answer.code) == (DISCONNECT, 0x90)
    assert {"reserved-topic-publish-v5", "dollar-topics-closed"} <= set(met(server, client.client_id))


def test_payload_too_large_code(connected, server, topic):
    client = connected(V5)
    client.send(wire.publish(V5, topic, b"x" * 131_073, qos=1))
    answer = outcome(client)
    assert (answer.kind, answer.code) == (DISCONNECT, 0x97)
    assert {"payload-too-large-code", "payload-cap"} <= set(met(server, client.client_id))


def test_qos2_publish_v3_close(connected, server, switched, topic):
    client = connected(V311, on=switched)
    client.send(wire.publish(V311, topic, "x", qos=QOS_2))
    client.expect_end()
    assert "qos2-publish-v3-close" in met(switched, client.client_id)
    stays = connected(V311)
    stays.send(wire.publish(V311, topic, "x", qos=QOS_2))
    assert stays.ping() == []
    assert met(server, stays.client_id)["no-qos2"] == (1, "published with QoS 2")


def test_filters_over_8_close(connected, server, switched, topic, version):
    filters = [(f"{topic}/{number}", 0) for number in range(9)]
    client = connected(version, on=switched)
    client.send(wire.subscribe(version, filters))
    client.expect_disconnect(0x97)
    assert {"filters-over-8-close", "subscribe-8"} <= set(met(switched, client.client_id))
    stays = connected(version)
    stays.send(wire.subscribe(version, filters))
    assert set(stays.expect(SUBACK).codes) == {0x97 if version == V5 else 0x80}
    assert "subscribe-8" in met(server, stays.client_id)


def test_subscription_51_close(connected, switched, topic, version):
    client = connected(version, on=switched)
    for start in range(0, 48, 8):
        client.subscribe(*[f"{topic}/{start + number}" for number in range(8)])
    client.subscribe(f"{topic}/48", f"{topic}/49")
    client.send(wire.subscribe(version, [(f"{topic}/50", 0)]))
    client.expect_disconnect(0x97)
    assert {"subscription-51-close", "subscribe-8"} <= set(met(switched, client.client_id))


def test_retain_handling_ignored(connected, server, switched, topic):
    for on, sent in ((switched, True), (server, False)):
        keeper = connected(V5, on=on)
        assert keeper.publish(topic, "kept", qos=1, retain=True) == 0
        client = connected(V5, on=on)
        client.subscribe((topic, DO_NOT_SEND))
        connected(V5, on=on).publish(topic, "live")
        assert client.message().payload == (b"kept" if sent else b"live")
        assert ("retain-handling-ignored" in met(on, client.client_id)) is sent
        keeper.publish(topic, "", qos=1, retain=True)


def test_retain_as_published_ignored(connected, server, switched, topic):
    for on, ignored in ((switched, True), (server, False)):
        client = connected(V5, on=on)
        client.subscribe((topic, RETAIN_AS_PUBLISHED))
        keeper = connected(V5, on=on)
        keeper.publish(topic, "kept", qos=1, retain=True)
        assert client.message().retain is not ignored
        assert ("retain-as-published-ignored" in met(on, client.client_id)) is ignored
        keeper.publish(topic, "", qos=1, retain=True)


def test_will_delay_ignored(connected, server, standard, topic):
    for on, at_once in ((server, True), (standard, False)):
        watcher = connected(V5, on=on)
        watcher.subscribe(topic)
        client = connected(V5, on=on, session_expiry=600, will=dict(topic=topic, payload=b"gone", will_delay=300))
        client.close()
        if at_once:
            assert watcher.message().payload == b"gone"
        assert ("will-delay-ignored" in met(on, client.client_id)) is at_once


def test_session_queue_bound(connected, switched, topic):
    client = connected(V5, on=switched, clean=False, session_expiry=600)
    client.subscribe(topic)
    client.disconnect()
    sender = connected(V5, on=switched)
    for number in range(4):
        assert sender.publish(topic, str(number), qos=1) == 0
    back = connected(V5, on=switched, client_id=client.client_id, clean=False, session_expiry=600)
    assert [back.message().payload, back.message().payload] == [b"0", b"1"]
    assert back.ping() == []
    assert "session-queue-bound" in met(switched, client.client_id)


def test_denied_publish_qos1_v5_closes(connected, server, switched):
    for on, closes in ((switched, True), (server, False)):
        device = on.account.device(allow("iot:Connect", "*"))
        client = connected(V5, on=on, device=device)
        client.send(wire.publish(V5, "not/allowed", "x", qos=1))
        answer = outcome(client)
        assert (answer.kind, answer.code) == (DISCONNECT if closes else PUBACK, 0x87)
        assert ("denied-publish-qos1-v5-closes" in met(on, client.client_id)) is closes


def test_invalid_topic_v5_closes(connected, server, switched):
    for on, closes in ((switched, True), (server, False)):
        client = connected(V5, on=on)
        client.send(wire.publish(V5, "a/b/c/d/e/f/g/h/i", "x", qos=1))
        answer = outcome(client)
        assert (answer.kind, answer.code) == (DISCONNECT if closes else PUBACK, 0x90)
        rows = met(on, client.client_id)
        assert "topic-limits" in rows and ("invalid-topic-v5-closes" in rows) is closes


# ---- rates: on with AWS's quotas, off without them ----------------------------------------------------------------


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """AWS's dialect with AWS's quotas."""
    server = Server(tmp_path_factory.mktemp("rated"), quotas="aws").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """The same with the other answer to an excess."""
    text = "[divergences]\nthrottled-publish-puback = false\n"
    server = configured(tmp_path_factory.mktemp("silent"), text, quotas="aws").start()
    yield server
    server.stop()


def flood(client, topic, count):
    """So many publishes of QoS 1, fifty at a time; the codes of the PUBACKs, ended by a PINGRESP after each fifty."""
    codes = []
    for start in range(1, count + 1, 50):
        packets = [wire.publish(client.version, topic, "x", qos=1, packet_id=start + number) for number in range(50)]
        client.send(b"".join(packets))
        codes += [packet.code for packet in client.ping() if packet.kind == PUBACK]
    return codes + [packet.code for packet in client.ping() if packet.kind == PUBACK]


def test_connect_rate(dial, connected, rated, server):
    for on, limited in ((rated, True), (server, False)):
        client = connected(V5, on=on)
        again = dial(on.account.everything(), V5, on=on)
        again.send(wire.connect(V5, client.client_id))
        answer = outcome(again)
        assert (answer.kind, answer.code) == (CONNACK, 0x97 if limited else 0)
        assert ("connect-rate" in met(on, client.client_id)) is limited


def test_retained_rate(connected, rated, server, topic):
    for on, limited in ((rated, True), (server, False)):
        client = connected(V5, on=on)
        codes = [client.publish(topic, "x", qos=1, retain=True) for _ in range(3)]
        assert (0x97 in codes) is limited, codes
        assert ("retained-rate" in met(on, client.client_id)) is limited


def test_rate_100_discard(connected, rated, server, topic):
    client = connected(V311, on=rated)
    assert len(flood(client, topic, 300)) < 300
    assert "rate-100-discard" in met(rated, client.client_id)
    free = connected(V311)
    assert len(flood(free, topic, 300)) == 300
    assert met(server, free.client_id) == {}


def test_throttled_publish_puback(connected, rated, silent, topic):
    for on, told in ((rated, True), (silent, False)):
        client = connected(V5, on=on)
        codes = flood(client, topic, 300)
        assert (0x97 in codes) is told and (len(codes) == 300) is told, codes
        assert "rate-100-discard" in met(on, client.client_id)


def test_throttled_disconnect(connected, tmp_path, topic):
    server = configured(tmp_path / "server", "[divergences]\nthrottled-disconnect = true\n", quotas="aws").start()
    try:
        client = connected(V5, on=server)
        packets = [wire.publish(V5, topic, "x", qos=0) for _ in range(300)]
        client.send(b"".join(packets))
        client.expect_disconnect(0x97)
        assert "throttled-disconnect" in met(server, client.client_id)
    finally:
        server.stop()


# ---- quirks ----------------------------------------------------------------------------------------------------


def test_quirks_are_set_listed_and_cleared(new_server, tmp_path):
    text = '[[quirks]]\nrow = "qos0-duplicates"\nclient = "sensor-*"\nprobability = 0.5\nseed = 7\n'
    server = new_server("--config", write(tmp_path, text))
    rule = {"row": "qos0-duplicates", "client": "sensor-*", "probability": 0.5, "seed": 7}
    code, out, _ = thingcore(server, "quirks", "list", "--format", "json")
    assert code == 0 and json.loads(out) == [rule]
    code, out, _ = thingcore(server, "quirks", "set", "connection-life", "--up-to", "3", "--format", "json")
    everybody = {"row": "connection-life", "client": "*", "probability": 1.0, "seed": 0, "up_to_seconds": 3.0}
    assert code == 0 and json.loads(out) == [everybody, rule]
    code, _, error = thingcore(server, "quirks", "set", "no-qos2")
    assert code == 1 and "no-qos2" in error
    assert thingcore(server, "quirks", "clear")[1] == "No quirk is provoked.\n"


def duplicates(server, client_id):
    """How many copies of each of twenty messages of QoS 0 a paho client gets."""
    client = Paho5(server, server.account.everything(), client_id)
    client.connect()
    client.subscribe("t", qos=0)
    for number in range(20):
        client.publish("t", str(number))
    client.publish("t", "end", qos=1)
    got = []
    while not got or got[-1] != b"end":
        got.append(client.message().payload)
    client.close()
    return [got.count(str(number).encode()) for number in range(20)]


def test_the_same_seed_brings_the_same_quirks(new_server, tmp_path):
    rule = '[[quirks]]\nrow = "qos0-duplicates"\nclient = "sensor-*"\nprobability = 0.5\nseed = {}\n'
    runs = []
    for seed in (7, 7, 8):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        server = new_server("--config", write(folder, rule.format(seed)))
        assert duplicates(server, "pump") == [1] * 20
        runs.append(duplicates(server, "sensor-7"))
        # The last message, which ends the test, may have come twice as well.
        assert met(server, "sensor-7")["qos0-duplicates"][0] - runs[-1].count(2) in (0, 1)
        server.stop()
    assert runs[0] == runs[1] != runs[2] and set(runs[0]) == {1, 2}


def test_a_connection_life_ends_by_the_server(new_server):
    server = new_server()
    thingcore(server, "quirks", "set", "connection-life", "--client", "sensor-*", "--up-to", "1")
    client = Paho5(server, server.account.everything(), "sensor-7")
    client.connect()
    assert client.end() == 0x8B
    assert "connection-life" in met(server, "sensor-7")
    thingcore(server, "quirks", "clear")
    back = Paho5(server, server.account.everything(), "sensor-7")
    back.connect()
    back.close()


def test_a_wrong_quirk_keeps_the_server_from_starting(new_server, tmp_path):
    server = new_server("--config", write(tmp_path, '[[quirks]]\nrow = "x"\nprobability = 0.5\n'), start=False).launch()
    assert server.process.wait(30) != 0
    assert "no quirk is called" in server.log_text()
    server.process = None


def mqtt31(server):
    """paho still speaks MQTT 3.1 (MQIsdp, level 3)."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="old", protocol=paho.MQTTv31)
    ends = queue.Queue()
    client.on_connect = lambda *args: ends.put(None if args[3].is_failure else "connected")
    client.on_disconnect = lambda *args: ends.put(None)
    client.connect("127.0.0.1", server.ports["plain"])
    client.loop_start()
    return client, ends


def test_mqtt_3_1_is_refused_without_mqtt31_accepted(server):
    client, ends = mqtt31(server)
    assert ends.get(timeout=20) is None
    client.loop_stop()


def test_mqtt_3_1_is_taken_for_3_1_1_mqtt31_accepted(tmp_path, new_server):
    server = new_server("--config", write(tmp_path, "[divergences]\nmqtt31-accepted = true\n"))
    client, ends = mqtt31(server)
    messages = queue.Queue()
    client.on_message = lambda _client, _data, message: messages.put(message.payload)
    assert ends.get(timeout=20) == "connected"
    client.on_subscribe = lambda *args: client.publish("a", b"hello", qos=1)
    client.subscribe("a", qos=1)
    assert messages.get(timeout=20) == b"hello"
    client.disconnect()
    client.loop_stop()
    assert met(server, "old")["mqtt31-accepted"][0] == 1
