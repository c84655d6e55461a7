"""`thingcore bench`: every pattern for a second against a running broker, and one against mosquitto; what it says when
something is wrong."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from server import Server, binary, clean_environment

MOVED = [("pairs", "3", "0"), ("pairs", "5", "1"), ("fan-out", "5", "0"), ("fan-in", "3", "1"), ("shared", "5", "1"),
         ("request", "5", "1"), ("request", "3", "0")]
SHORT = ["--clients", "3", "--seconds", "1", "--warm-up", "0", "--in-flight", "10"]


def bench(*arguments, check=True, env=(), folder=None):
    """Runs `thingcore bench`; gives what it printed as JSON, and the process."""
    command = [binary(), "bench", *(str(word) for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder,
                          env=dict(clean_environment(), **dict(env)))
    if check:
        assert done.returncode == 0, f"{command} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
    return (json.loads(done.stdout) if done.stdout.startswith("{") else None), done


def plain(server, *arguments, **options):
    load, *rest = arguments
    pid = ["--broker-pid", server.process.pid]
    return bench(load, "--port", server.ports["plain"], "--format", "json", *pid, *rest, **options)


@pytest.mark.parametrize("pattern,version,qos", MOVED)
def test_patterns_that_move_messages_lose_nothing(server, pattern, version, qos):
    found, done = plain(server, pattern, *SHORT, "--version", version, "--qos", qos)
    whole = found["whole_run"]
    assert found["pattern"] == pattern and found["delivered"] > 0 and found["delivered_per_second"] > 0
    assert whole["lost"] == whole["duplicated"] == whole["foreign"] == whole["refused"] == 0
    assert whole["delivered"] == whole["sent"] * (3 if pattern == "fan-out" else 1)
    assert 0 < found["latency"]["p50_us"] <= found["latency"]["p99_us"] <= found["latency"]["max_us"]
    assert found["percentiles_us"][-1][0] == 100.0 and found["broker_resident_bytes"] > 0
    assert "messages/s" in done.stderr, "no live progress"


@pytest.mark.parametrize("pattern,stages", [("retained", ["store", "fetch", "clear"]), ("offline", ["enqueue", "drain"])])
def test_patterns_that_store_messages_get_all_of_them_back(server, pattern, stages):
    found, _ = plain(server, pattern, "--clients", "3", "--messages", "20")
    assert [stage["stage"] for stage in found["stages"]] == stages
    assert found["whole_run"] | {"acknowledged": 0} == {
        "sent": 60, "delivered": 60, "lost": 0, "duplicated": 0, "late": 0, "foreign": 0, "acknowledged": 0, "refused": 0}


def test_queues_may_be_filled_without_being_drained(server):
    found, _ = plain(server, "offline", "--clients", "2", "--messages", "30", "--enqueue-only")
    assert [stage["stage"] for stage in found["stages"]] == ["enqueue"]
    assert found["whole_run"]["acknowledged"] == 60 and found["whole_run"]["lost"] == 0


def test_connect_and_idle(server):
    found, _ = plain(server, "connect", "--seconds", "1", "--in-flight", "4")
    assert found["connected"] > 0 and found["failures"] == {}
    found, _ = plain(server, "idle", "--clients", "20", "--seconds", "1", "--subscribe")
    assert found["alive"] == 20 and found["first_loss"] is None


def test_a_fixed_rate_beside_ballast_and_many_topics(server):
    found, _ = plain(server, "pairs", *SHORT, "--rate", "300", "--topics", "5", "--ballast-filters", "100")
    assert found["whole_run"]["lost"] == 0
    assert 200 < found["delivered_per_second"] < 400 and found["asked_per_second"] == 300 and found["unsent"] < 75


def test_a_filter_for_each_topic(server):
    found, _ = plain(server, "pairs", *SHORT, "--topics", "20", "--own-filters")
    assert found["delivered"] > 0 and found["whole_run"]["lost"] == found["whole_run"]["duplicated"] == 0


@pytest.fixture(scope="module")
def devices(server):
    """Ten devices with certificates and policies of their own, made by the tool."""
    folder = server.folder / "bench-devices"
    make = ["devices", "--count", "10", "--data-dir", server.data_dir, "--out", folder]
    _, done = bench(*make)
    assert done.stdout.startswith("10 devices made")
    _, again = bench(*make)
    assert again.stdout.startswith("0 devices made, 10 were there")
    return folder


def tls(server, devices, port="mqtt"):
    return ["--port", server.ports[port], "--host", "localhost", "--transport", "tls", "--ca", devices / "root-CA.crt",
            "--cert", devices, "--client-ids", "device", "--format", "json"]


def test_devices_load_the_broker_over_mutual_tls_under_their_own_policies(server, devices):
    found, _ = bench("shared", *tls(server, devices), *SHORT)
    assert found["delivered"] > 0 and found["whole_run"]["lost"] == 0 and "over TLS" in found["title"]
    found, _ = bench("connect", *tls(server, devices, "tls"), "--alpn", "x-amzn-mqtt-ca", "--seconds", "1", "--in-flight", "2")
    assert found["connected"] > 0 and found["failures"] == {}
    found, _ = bench("offline", *tls(server, devices), "--clients", "2", "--messages", "5")
    assert found["whole_run"]["delivered"] == 10


def test_too_few_devices_and_a_policy_that_denies_are_told(server, devices):
    _, done = bench("pairs", *tls(server, devices), "--clients", "6", check=False)
    assert done.returncode == 1 and "12 clients" in done.stderr and "10 devices" in done.stderr
    _, done = bench("pairs", *tls(server, devices), *SHORT, "--prefix", "elsewhere", check=False)
    assert done.returncode == 1 and "iot:Subscribe" in done.stderr, done.stderr


def test_websocket_signed_with_signature_version_4(server, devices):
    wss = ["--host", "localhost", "--port", server.ports["tls"], "--transport", "wss", "--ca", devices / "root-CA.crt",
           "--sigv4", server.region, "--format", "json"]
    found, _ = bench("pairs", *wss, *SHORT, env=server.credentials())
    assert found["delivered"] > 0 and "WebSocket over TLS" in found["title"]
    wrong = dict(server.credentials(), AWS_SECRET_ACCESS_KEY="wrong")
    _, done = bench("pairs", *wss, *SHORT, env=wrong, check=False)
    assert done.returncode == 1 and "WebSocket was refused: 403" in done.stderr, done.stderr


def test_pictures(server, tmp_path):
    for name, begin in (("x.svg", "<svg"), ("x.html", "<!DOCTYPE html>")):
        plain(server, "pairs", *SHORT, "--plot", tmp_path / name)
        assert (tmp_path / name).read_text().startswith(begin)


def test_what_is_wrong_is_told(server):
    _, done = bench("pairs", "--port", "1", check=False)
    assert done.returncode == 1 and "nobody listens there" in done.stderr and "bench-" in done.stderr
    _, done = plain(server, "pairs", "--size", "5", check=False)
    assert done.returncode == 2 and "28" in done.stderr
    limited = ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"', binary(), "bench", "idle", "--port", server.ports["plain"]]
    done = subprocess.run([str(word) for word in limited], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ulimit -n 1032" in done.stderr, done.stderr


def test_a_port_that_does_not_speak_mqtt_is_told(server):
    _, done = bench("pairs", "--port", server.ports["api"], check=False)
    assert done.returncode == 1 and "is this an MQTT port" in done.stderr, done.stderr


def test_any_broker(tmp_path):
    """mosquitto, which needs no AWS to be loaded."""
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if mosquitto is None:
        pytest.skip("the mosquitto broker is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        websockets = taken.getsockname()[1]
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nlistener {websockets} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n")
    with subprocess.Popen([mosquitto, "-c", str(settings)], stderr=subprocess.DEVNULL) as broker:
        try:
            end = time.monotonic() + 20
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                assert time.monotonic() < end, "mosquitto does not accept"
                time.sleep(0.02)
            found, _ = bench("pairs", "--port", port, *SHORT, "--qos", "1", "--format", "json", "--quiet")
            assert found["delivered"] > 0 and found["whole_run"]["lost"] == 0
            found, _ = bench("pairs", "--port", websockets, "--transport", "ws", *SHORT, "--format", "json", "--quiet")
            assert found["delivered"] > 0 and "plain WebSocket" in found["title"]
        finally:
            broker.kill()
