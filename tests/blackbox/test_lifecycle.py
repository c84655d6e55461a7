"""The life of the process: ready file, identity across restarts, clean stop, power cuts, `device create`."""

import json
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import wire
from provision import ALLOW_ALL, unique
from server import clean_environment
from wire import V5, V311, Wire

READY = {"pid", "version", "account", "region", "endpoint", "ports", "api_url", "data_url", "ca_file", "access_key_id", "secret_access_key"}


def test_ready_file_says_all_that_was_promised(server):
    ready = server.ready
    assert READY <= set(ready), READY - set(ready)
    assert ready["pid"] == server.process.pid and len(ready["account"]) == 12 and ready["account"].isdigit()
    assert set(ready["ports"]) >= {"mqtt", "tls", "https", "api", "admin", "plain"}
    for name, port in ready["ports"].items():
        if name == "https" and port is None:
            continue  # Not built yet: the flag is accepted, no listener is promised.
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    assert "BEGIN CERTIFICATE" in Path(ready["ca_file"]).read_text()
    assert stat.S_IMODE(os.stat(server.ready_file).st_mode) & 0o077 == 0, "it holds a secret"


def test_without_a_plain_port_there_is_none(new_server):
    assert not new_server(plain=False).ready["ports"].get("plain")


def test_second_start_reuses_the_identity(new_server):
    server = new_server()
    before, device = server.ready, server.account.everything()
    server.stop()
    server.start()
    after = server.ready
    for key in ("account", "region", "endpoint", "access_key_id", "secret_access_key", "ca_file"):
        assert before[key] == after[key], key
    with Wire.dial(server, device) as client:
        assert client.connect("back-again").code == 0


def test_keys_on_disk_are_private(new_server):
    server = new_server()
    for path in server.data_dir.rglob("*"):
        if path.is_file() and "PRIVATE KEY" in path.read_bytes().decode(errors="ignore"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_secrets_are_not_in_the_log(new_server):
    server = new_server()
    server.account.everything()
    server.stop()
    assert server.ready["secret_access_key"] not in server.log_text()
    assert "PRIVATE KEY" not in server.log_text()


def test_sigterm_says_goodbye_and_exits_with_0(new_server):
    server = new_server()
    device = server.account.everything()
    connections = {version: Wire.dial(server, device, version) for version in (V311, V5)}
    for version, connection in connections.items():
        connection.connect(f"client-{version}")
    server.stop()
    for connection in connections.values():
        connection.expect_disconnect(0x8B)
        connection.close()


def test_sigterm_does_not_wait_for_a_client_that_never_reads(new_server):
    server = new_server()
    with Wire.dial(server, server.account.everything(), receive_buffer=4096) as deaf:
        deaf.connect("deaf")
        deaf.subscribe("flood", qos=0)
        with Wire.dial(server, server.account.everything()) as loud:
            loud.connect("loud")
            for _ in range(100):
                loud.send(wire.publish(V5, "flood", b"x" * 100_000))
            loud.ping()
        server.stop()


def test_health_and_metrics(server, connected):
    connected()
    base = f"http://127.0.0.1:{server.ports['admin']}"
    with urllib.request.urlopen(f"{base}/healthz", timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert "Connect_Success" in metrics or "connect_success" in metrics.lower(), metrics[:2000]


@pytest.mark.parametrize("flags", [["--mqtt-port", "99999"], ["--no-such-flag"], ["--dialect", "klingon"]])
def test_wrong_flags_are_explained(server, flags, tmp_path):
    done = server.run_cli("serve", "--data-dir", tmp_path / "d", *flags, check=False)
    assert done.returncode != 0 and done.stderr.strip(), done


def test_port_in_use_is_explained(server, tmp_path):
    taken = server.ports["mqtt"]
    done = server.run_cli("serve", "--data-dir", tmp_path / "d", "--mqtt-port", taken, "--tls-port", 0, "--https-port", 0,
                          "--api-port", 0, "--admin-port", 0, check=False)
    assert done.returncode != 0 and str(taken) in done.stderr + done.stdout, done


def test_data_folder_in_use_is_explained(server):
    done = server.run_cli("serve", "--data-dir", server.data_dir, "--mqtt-port", 0, "--tls-port", 0, "--https-port", 0,
                          "--api-port", 0, "--admin-port", 0, check=False)
    assert done.returncode != 0 and str(server.data_dir) in done.stderr + done.stdout, done


def test_oasis_dialect_matches_the_parent_of_a_hash(new_server):
    """The same binary with an empty set of divergences: `a/#` matches `a`."""
    server = new_server("--dialect", "oasis")
    with Wire.dial(server, None, port="plain") as client:
        client.connect("oasis")
        assert client.subscribe("a/#") == [1]
        assert client.publish("a", "parent") is None
        assert client.message().payload == b"parent"


# ---- power cuts ------------------------------------------------------------------------------------------------


def test_no_answered_write_is_lost_by_kill_9(new_server):
    """The API answered 200, the process dies at once, the next start knows it."""
    server, written = new_server(), []
    for round_number in range(20):
        iot = server.boto("iot")
        thing, policy = f"thing-{round_number}", f"policy-{round_number}"
        iot.create_thing(thingName=thing)
        if round_number % 2:
            iot.create_policy(policyName=policy, policyDocument=ALLOW_ALL)
            written.append(("get_policy", dict(policyName=policy)))
        server.kill()
        written.append(("describe_thing", dict(thingName=thing)))
        server.start()
        iot = server.boto("iot")
        for operation, arguments in written[-3:]:
            getattr(iot, operation)(**arguments)
    iot = server.boto("iot")
    for operation, arguments in written:
        getattr(iot, operation)(**arguments)


def test_device_made_before_a_power_cut_connects_after_it(new_server):
    server = new_server()
    device = server.account.device()
    server.kill()
    server.start()
    with Wire.dial(server, device) as client:
        assert client.connect("survivor").code == 0
    server.wait_for_log("store.unclosed", "its last commit holds")
    server.stop()
    server.start()
    assert "store.unclosed" not in server.log_text(), "it was closed this time"


# ---- device create ---------------------------------------------------------------------------------------------


class Created:
    """What `thingcore device create` left: the folder, the output, the printed sections by their titles."""

    def __init__(self, server, folder):
        self.name, self.folder = unique("made"), folder
        self.output = server.run_cli("device", "create", self.name, "--data-dir", server.data_dir, "--out", folder / "kit").stdout
        titles = re.split(r"^# (.+)$", self.output, flags=re.M)
        self.sections = {title: text.strip() for title, text in zip(titles[1::2], titles[2::2])}

    def section(self, word):
        return next(text for title, text in self.sections.items() if word in title)

    def shell(self, lines, **options):
        """Runs printed lines as they are, `python3` being the one with the SDKs."""
        environment = clean_environment()
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        return subprocess.run(["bash", "-c", lines], cwd=self.folder, capture_output=True, text=True, timeout=90, env=environment, **options)


@pytest.fixture
def created(server, tmp_path):
    return Created(server, tmp_path)


def test_device_create_makes_everything_at_once(created, account):
    principals = account.iot.list_thing_principals(thingName=created.name)["principals"]
    assert len(principals) == 1
    assert account.iot.list_attached_policies(target=principals[0])["policies"]


def test_device_create_writes_private_files(created):
    keys = [path for path in created.folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) == 1
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600


def test_device_create_answers_in_json(server, tmp_path):
    name = unique("made")
    done = server.run_cli("device", "create", name, "--data-dir", server.data_dir, "--out", tmp_path / "kit", "--format", "json")
    answer = json.loads(done.stdout)
    assert answer["thingName"] == name and answer["port"] == server.ports["mqtt"]
    assert Path(answer["files"]["certificate"]).is_file()


def test_device_create_through_the_url_and_aws_variables(server, tmp_path):
    name = unique("made")
    environment = dict(server.credentials(), AWS_CA_BUNDLE=server.ca_file)
    server.run_cli("device", "create", name, "--api-url", server.ready["api_url"], "--out", tmp_path / "kit", env=environment)
    assert server.account.iot.describe_thing(thingName=name)["thingName"] == name


def test_device_create_with_a_policy_file(server, tmp_path, account):
    name, file = unique("made"), tmp_path / "policy.json"
    file.write_text(ALLOW_ALL)
    server.run_cli("device", "create", name, "--policy", file, "--data-dir", server.data_dir, "--out", tmp_path / "kit")
    principal = account.iot.list_thing_principals(thingName=name)["principals"][0]
    policy = account.iot.list_attached_policies(target=principal)["policies"][0]["policyName"]
    assert json.loads(account.iot.get_policy(policyName=policy)["policyDocument"]) == json.loads(ALLOW_ALL)


def test_device_create_twice_is_explained(server, created, tmp_path):
    done = server.run_cli("device", "create", created.name, "--data-dir", server.data_dir, "--out", tmp_path / "again", check=False)
    assert done.returncode != 0 and created.name in done.stderr, done


def test_device_create_without_a_server_is_explained(server, tmp_path):
    (tmp_path / "empty").mkdir()
    done = server.run_cli("device", "create", "x", "--data-dir", tmp_path / "empty", "--out", tmp_path / "kit", check=False)
    assert done.returncode != 0 and done.stderr.strip(), done


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto-clients are not installed")
def test_printed_mosquitto_lines_work_as_printed(server, created):
    """Copy, paste: what the subscriber line asks for, the publisher line sends."""
    receive, send = created.section("Receive"), created.section("Send")
    listener = subprocess.Popen(shlex.split(receive) + ["-C", "1", "-W", "30"], cwd=created.folder,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    server.wait_for_log(f"subscribed to {created.name}/#")
    done = created.shell(send)
    assert done.returncode == 0, done
    seen, _ = listener.communicate(timeout=40)
    assert listener.returncode == 0 and f"{created.name}/data" in seen, seen


def test_printed_sdk_line_works_as_printed(created):
    done = created.shell(created.section("SDK"))
    assert done.returncode == 0, done
    assert done.stdout.count("published") == 5 and done.stdout.count("received") >= 4, done.stdout


def test_printed_boto3_lines_take_the_right_to_publish_away(server, created):
    done = created.shell(created.section("boto3"))
    assert done.returncode == 0, done
    mark = server.log_mark()
    done = created.shell(created.section("SDK"))
    assert "NOT_AUTHORIZED" in done.stdout, done
    server.wait_for_log(created.name, "iot:Publish", since=mark)
