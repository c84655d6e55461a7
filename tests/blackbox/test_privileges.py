"""What the server needs of the machine, and what it lets others of the machine see: user, rights, file modes, secrets."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import urllib.request
from pathlib import Path

import pytest

import wire
from attacks import dial
from conftest import require
from provision import unique
from server import Server, binary
from wire import V5, Wire

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "contrib" / "thingcore.service"
NOBODY = 65534
SECRETS = {"access": "a-secret-of-operations-4711", "user": "a-secret-of-reporting-4712", "header": "a-secret-for-the-collector-4713"}
CONFIG = f"""
[[access_key]]
id = "AKIAEXAMPLEOPERATIONS"
secret = "{SECRETS['access']}"
[[iam.user]]
name = "reporting"
access_key_id = "AKIAEXAMPLEREPORTING"
secret_access_key = "{SECRETS['user']}"
policy = '{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iot:List*","Resource":"*"}}]}}'
[otlp]
endpoint = "http://127.0.0.1:9"
[otlp.headers]
authorization = "{SECRETS['header']}"
"""


class Unprivileged(Server):
    """A server of a user without rights, but for what the unit in contrib gives: binding low ports."""

    def command(self):
        rights = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
                  "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service",
                  "--bounding-set=-all,+net_bind_service"]
        _, *words = super().command()
        words[words.index("--tls-port") + 1] = str(self.low_port)
        return rights + [str(self.program), *words]


def low_port():
    """A port below 1024 that nobody has."""
    for port in range(1023, 600, -1):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    pytest.skip("no port below 1024 may be bound here")


@pytest.fixture
def unprivileged():
    """Where a user without rights may have a data folder and run the program."""
    require("setpriv")
    if os.geteuid() != 0:
        pytest.skip("only root may start a server as somebody else")
    folder = Path("/tmp") / unique("thingcore-nobody")
    folder.mkdir()
    # The checkout may be in a folder of root alone.
    program = folder / "thingcore"
    try:
        os.link(binary(), program)
    except OSError:
        shutil.copy2(binary(), program)
    os.chown(folder, NOBODY, NOBODY)
    servers = []

    def start(port):
        server = Unprivileged(folder)
        server.program, server.low_port = program, port
        servers.append(server)
        return server.start()

    yield start
    try:
        for server in servers:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_server_without_rights_binds_a_low_port_and_serves(unprivileged):
    port = low_port()
    server = unprivileged(port)
    assert server.ports["tls"] == port
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(NOBODY)] * 4 and fields["NoNewPrivs"] == "1"
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {1 << 10}, fields
    context = wire.tls_context(server, server.account.everything())
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    with Wire.dial(server, version=V5, port="tls", context=context) as client:
        assert client.connect(unique()).code == 0
    assert "runs as root" not in server.log_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be warned of being root")
@pytest.mark.parametrize("flags, is_warned", [((), True), (("--bind", "127.0.0.1"), False)], ids=["open", "loopback"])
def test_root_on_open_ports_is_warned(new_server, flags, is_warned):
    server = new_server(*flags)
    # The warning comes before the ready file.
    said = [line for line in server.log_lines() if "runs as root" in line]
    assert bool(said) is is_warned, server.log_text()
    assert all("CAP_NET_BIND_SERVICE" in line and '"WARN"' in line.upper() for line in said), said


def test_everything_in_the_data_folder_is_private_whatever_the_umask(tmp_path, new_server):
    """Also what is written while it runs, and what an earlier run left readable."""
    before = os.umask(0)
    try:
        server = new_server(start=False).start()
        server.account.device(thing=True)
        modes(server)
        server.stop()
        os.chmod(server.data_dir, 0o755)
        server.start()
        modes(server)
    finally:
        os.umask(before)


def modes(server):
    seen = [server.data_dir, *server.data_dir.rglob("*"), server.ready_file]
    assert len(seen) > 6
    for path in seen:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path.name}: {mode:o}"


def test_secrets_stay_out_of_log_metrics_and_answers(tmp_path, new_server):
    config = tmp_path / "thingcore.toml"
    config.write_text(CONFIG)
    server = new_server("--config", config, "--log-level", "debug")
    password = "a-password-of-a-device-4714"
    with Wire.dial(server, server.account.everything(), V5) as client:
        client.connect(unique(), user="somebody", password=password)
    with Wire.dial(server, None, V5) as client:
        client.send(wire.connect(V5, unique(), user="somebody", password=password))
        with pytest.raises(wire.Closed):
            client.receive()
    wrong = server.boto("iot", aws_secret_access_key=SECRETS["access"])
    with pytest.raises(wrong.exceptions.ClientError) as refused:
        wrong.list_things()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['admin']}/metrics", timeout=30) as answer:
        metrics = answer.read().decode()
    server.stop()
    shown = {"log": server.log_text(), "metrics": metrics, "answer": str(refused.value.response)}
    keys = [path.read_text().split("-----")[2].split()[0] for path in server.data_dir.glob("*key.pem")]
    assert keys, "no private key was found to look for"
    for secret in [*SECRETS.values(), password, server.ready["secret_access_key"], *keys]:
        assert [where for where, text in shown.items() if secret in text] == [], secret[:12]


def test_the_unit_is_one_and_takes_rights_away(tmp_path):
    require("systemd-analyze")
    # The program it starts is not installed where tests run.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/thingcore", binary()))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert verified.returncode == 0 and unit.name not in verified.stderr, verified.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True, text=True, timeout=60)
    assert judged.returncode == 0, judged.stdout[-600:]


class Traced(Server):
    """A server whose system calls are written down."""

    def command(self):
        return ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(self.folder / "calls"), *super().command()]

    def calls(self):
        text = (self.folder / "calls").read_text(errors="replace")
        return set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", text, re.MULTILINE)), text


def members(name):
    """The system calls of one of systemd's groups; any other name is a call."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, timeout=30).stdout
    lines = [line.strip() for line in shown.splitlines()[1:]]
    return set().union(*(members(line) for line in lines if line and not line.startswith("#")))


def let_through(unit):
    """What the unit's filters leave, in their order."""
    left = set()
    for words in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = set().union(*(members(word) for word in words.lstrip("~").split()))
        left = left - named if words.startswith("~") else left | named
    return left


def test_the_unit_forbids_nothing_that_the_server_does(tmp_path):
    """Start, clients of each transport, a change of the registry, stop: all by calls that the filter lets through."""
    require("strace")
    require("systemd-analyze")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, timeout=30).returncode != 0:
        pytest.skip("processes may not be traced here")
    server = Traced(tmp_path).start()
    try:
        server.account.device(thing=True)
        for transport in ("plain", "tls", "websocket"):
            with dial(server, transport) as client:
                assert client.connect(unique(), clean=False, session_expiry=60).code == 0
                client.subscribe("kept/#")
    finally:
        # strace passes the signal of its own end on to nobody.
        os.kill(server.ready["pid"], signal.SIGTERM)
        server.process.wait(30)
    called, text = server.calls()
    assert len(called) > 30 and called - let_through(UNIT.read_text()) == set()
    families = set(re.findall(r"socket(?:pair)?\((AF_\w+)", text))
    assert families <= set(re.search(r"^RestrictAddressFamilies=(.*)$", UNIT.read_text(), re.MULTILINE).group(1).split())
    assert not re.search(r"PROT_WRITE\|PROT_EXEC", text), "MemoryDenyWriteExecute"
