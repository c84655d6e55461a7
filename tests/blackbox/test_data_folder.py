"""The data folder: `thingcore backup`, `restore` and `check`, and folders that a start must not serve."""

import http.client
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import server as servers
from provision import ALLOW_ALL, unique
from wire import V5, Wire

SOUND, PROBLEM, FOUND = 0, 1, 3
WAITING = 30


def persistent():
    return dict(clean=False, session_expiry=3600)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def cli(*arguments, **options):
    command = [servers.binary(), *(str(word) for word in arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, env=servers.clean_environment(), **options)


def check(folder, *flags):
    done = cli("check", "--data-dir", folder, *flags)
    return done.returncode, (done.stdout + done.stderr).decode()


def start_fails(server):
    """The server ends with a failure, soon and by itself; what it said."""
    server.launch()
    process, server.process = server.process, None
    assert process.wait(servers.START_WITHIN) == 1, server.log_text()[-2000:]
    text = server.log_text()
    assert "panicked" not in text, text
    return text


class Filled:
    """A server with a thing, a device that is connected by its certificate, a policy, a retained message, a queue."""

    def __init__(self, server):
        self.server, self.thing, self.policy = server, unique("thing"), unique("policy")
        self.device = server.account.everything()
        iot = server.boto("iot")
        iot.create_thing(thingName=self.thing, attributePayload={"attributes": {"colour": "green"}})
        iot.create_policy(policyName=self.policy, policyDocument=ALLOW_ALL)
        with Wire.dial(server, None, V5, port="plain") as sleeper:
            sleeper.connect("sleeper", **persistent())
            assert sleeper.subscribe("to/sleeper", qos=1) == [1]
        with Wire.dial(server, None, V5, port="plain") as publisher:
            publisher.connect("publisher")
            assert publisher.publish("conf/kept", "kept", qos=1, retain=True) == 0
            for number in range(WAITING):
                assert publisher.publish("to/sleeper", str(number), qos=1) == 0

    def is_in(self, server):
        iot = server.boto("iot")
        assert iot.describe_thing(thingName=self.thing)["attributes"] == {"colour": "green"}
        assert json.loads(iot.get_policy(policyName=self.policy)["policyDocument"]) == json.loads(ALLOW_ALL)
        with Wire.dial(server, self.device) as client:
            assert client.connect(unique("device")).code == 0, "the certificate and the CA are the same"
            client.subscribe("conf/kept", qos=1)
            assert client.message().payload == b"kept"
        with Wire.dial(server, None, V5, port="plain") as sleeper:
            assert sleeper.connect("sleeper", **persistent()).session_present
            got = sorted(int(sleeper.message().payload) for _ in range(WAITING))
            assert got == list(range(WAITING))


def files_but_the_store(folder):
    names = ["account.json", "access-key.json", "ca.cert.pem", "ca.key.pem", "session-key", "server.json"]
    return {name: (folder / name).read_bytes() for name in names}


# ---- backup, restore, check ------------------------------------------------------------------------------------


def test_a_backup_of_a_running_server_is_a_whole_broker(new_server, tmp_path):
    server, backup = new_server(), tmp_path / "thingcore.backup"
    filled = Filled(server)
    done = cli("backup", backup, "--data-dir", server.data_dir)
    assert done.returncode == 0 and b"keys" in done.stdout, done
    assert mode(backup) == 0o600
    late = unique("late")
    server.boto("iot").create_thing(thingName=late)
    server.assert_alive()
    server.kill()

    copy = new_server(start=False, folder=tmp_path / "restored")
    copy.folder.mkdir()
    done = cli("restore", backup, "--data-dir", copy.data_dir)
    assert done.returncode == 0 and b"restored" in done.stdout, done
    assert mode(copy.data_dir) == 0o700
    assert {mode(path) for path in copy.data_dir.iterdir()} == {0o600}
    assert files_but_the_store(copy.data_dir) == files_but_the_store(server.data_dir)
    code, text = check(copy.data_dir)
    assert code == SOUND and "sound" in text, text
    copy.start()
    filled.is_in(copy)
    with pytest.raises(copy.boto("iot").exceptions.ResourceNotFoundException):
        copy.boto("iot").describe_thing(thingName=late)


def test_a_backup_goes_through_a_pipe(new_server, tmp_path):
    """`thingcore backup - | ssh there thingcore restore -`, of a server that does not run."""
    server = new_server()
    filled = Filled(server)
    server.stop()
    done = cli("backup", "-", "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    copy = new_server(start=False, folder=tmp_path / "restored")
    copy.data_dir.mkdir(parents=True)
    restored = cli("restore", "-", "--data-dir", copy.data_dir, input=done.stdout)
    assert restored.returncode == 0, restored.stderr
    copy.start()
    filled.is_in(copy)


def test_backups_under_load_are_moments(new_server, tmp_path):
    """While a publisher publishes and things are made: each backup is sound, and what was answered before is in it."""
    server, backup = new_server(), tmp_path / "thingcore.backup"
    iot = server.boto("iot")
    with Wire.dial(server, None, V5, port="plain") as sleeper:
        sleeper.connect("sleeper", **persistent())
        sleeper.subscribe("to/sleeper", qos=1)
    for round_number in range(3):
        iot.create_thing(thingName=f"before-{round_number}")
        running = subprocess.Popen([servers.binary(), "backup", str(backup), "--data-dir", str(server.data_dir)],
                                   stdout=subprocess.PIPE, env=servers.clean_environment())
        with Wire.dial(server, None, V5, port="plain") as publisher:
            publisher.connect("publisher")
            while running.poll() is None:
                assert publisher.publish("to/sleeper", "x" * 1000, qos=1) == 0
        assert running.wait() == 0
        running.stdout.close()
        done = cli("check", "--backup", backup)
        assert done.returncode == SOUND, done
    server.stop()
    copy = new_server(start=False, folder=tmp_path / "restored")
    assert cli("restore", backup, "--data-dir", copy.data_dir).returncode == 0
    copy.start()
    for round_number in range(3):
        copy.boto("iot").describe_thing(thingName=f"before-{round_number}")


def test_a_backup_that_was_changed_or_cut_restores_nothing(new_server, tmp_path):
    server, backup, target = new_server(), tmp_path / "b", tmp_path / "target"
    assert cli("backup", backup, "--data-dir", server.data_dir).returncode == 0
    whole = backup.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for bytes_, word in [(whole[:-1], "cut short"), (bytes(changed), ""), (b"a letter", "cut short"), (b"x" * 5000, "no backup")]:
        backup.write_bytes(bytes_)
        done = cli("restore", backup, "--data-dir", target)
        assert done.returncode == PROBLEM and word in done.stderr.decode(), done
        assert [path.name for path in tmp_path.glob("target*")] == []


def test_a_restore_puts_nothing_over_a_folder_that_is_used(new_server, tmp_path):
    server, backup = new_server(), tmp_path / "b"
    assert cli("backup", backup, "--data-dir", server.data_dir).returncode == 0
    done = cli("restore", backup, "--data-dir", server.data_dir)
    assert done.returncode == PROBLEM and b"not empty" in done.stderr, done
    done = cli("backup", tmp_path / "c", "--data-dir", tmp_path / "nowhere")
    assert done.returncode == PROBLEM and b"no such data folder" in done.stderr, done


class Halted:
    """A backup that has begun its file and waits for the rest of `session-key`, until the test gives it."""

    def __init__(self, server, backup):
        self.key, aside = server.data_dir / "session-key", server.folder / "session-key"
        self.content = self.key.read_bytes()
        self.key.rename(aside)
        os.mkfifo(self.key, 0o600)
        self.process = subprocess.Popen([servers.binary(), "backup", str(backup), "--data-dir", str(server.data_dir)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=servers.clean_environment())
        self.pipe = retried(lambda: os.open(self.key, os.O_WRONLY | os.O_NONBLOCK))
        aside.rename(self.key)

    def finish(self):
        os.write(self.pipe, self.content)
        os.close(self.pipe)
        said = self.process.communicate(timeout=60)
        return self.process.returncode, b"".join(said).decode()

    def kill(self):
        self.process.kill()
        self.process.communicate()
        os.close(self.pipe)


def test_two_backups_to_one_file_are_each_whole(new_server, tmp_path):
    """Also if one is begun and done while the other is written."""
    server, folder = new_server(), tmp_path / "backups"
    folder.mkdir()
    backup = folder / "b"
    halted = Halted(server, backup)
    assert cli("backup", backup, "--data-dir", server.data_dir).returncode == 0
    assert cli("check", "--backup", backup).returncode == SOUND
    backup.write_text("of the other")
    code, text = halted.finish()
    assert code == 0 and "bytes" in text, text
    assert cli("check", "--backup", backup).returncode == SOUND and mode(backup) == 0o600
    assert [path.name for path in folder.iterdir()] == ["b"]


def test_what_a_killed_backup_left_goes_with_the_next_one(new_server, tmp_path):
    server, folder = new_server(), tmp_path / "backups"
    folder.mkdir()
    backup = folder / "b"
    halted = Halted(server, backup)
    halted.kill()
    left = [path.name for path in folder.iterdir()]
    assert len(left) == 1 and left[0].startswith("b.") and left[0].endswith(".partial"), left
    assert cli("backup", folder / "c", "--data-dir", server.data_dir).returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == [*left, "c"], "it may be somebody else's"
    done = cli("backup", backup, "--data-dir", server.data_dir)
    assert done.returncode == 0 and b"partial" not in done.stdout + done.stderr, done
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c"]


def test_check_looks_at_what_a_running_server_holds(new_server):
    server = new_server()
    server.boto("iot").create_thing(thingName="kept")
    with Wire.dial(server, None, V5, port="plain") as device:
        device.connect("sleeper", **persistent())
        device.subscribe("to/sleeper", qos=1)
    with Wire.dial(server, None, V5, port="plain") as device:
        device.connect("publisher")
        assert device.publish("to/sleeper", "x", qos=1) == 0
    code, text = check(server.data_dir)
    assert code == SOUND and "its server runs" in text and " 1 messages that wait" in text, text
    key = server.data_dir / "ca.key.pem"
    key.chmod(0o644)
    code, text = check(server.data_dir)
    assert code == FOUND and text.count("ca.key.pem") == 1 and "644" in text and "1 problems" in text, text
    key.chmod(0o600)
    server.boto("iot").describe_thing(thingName="kept")
    running = text_of_records(check(server.data_dir)[1])
    server.stop()
    code, text = check(server.data_dir)
    assert code == SOUND and "its server runs" not in text and text_of_records(text) == running, (text, running)


def text_of_records(text):
    """What `check` counted."""
    return text.split("sound: ")[1].strip()


def test_check_of_a_running_server_says_what_it_cannot_do(new_server, tmp_path):
    server = new_server()
    environment = {**servers.clean_environment(), "TMPDIR": str(tmp_path / "nowhere" / "x")}
    (tmp_path / "nowhere").write_text("a file")
    done = subprocess.run([servers.binary(), "check", "--data-dir", str(server.data_dir)], capture_output=True, timeout=60, env=environment)
    assert done.returncode == PROBLEM and b"nowhere" in done.stderr, done


def test_check_changes_nothing_and_finds_what_is_wrong(new_server):
    server = new_server()
    server.kill()
    store = server.data_dir / "store.redb"
    before = store.read_bytes()
    assert check(server.data_dir)[0] == SOUND
    assert store.read_bytes() == before, "a look at a folder whose server was killed changes nothing"
    key = server.data_dir / "ca.key.pem"
    key.chmod(0o644)
    code, text = check(server.data_dir)
    assert code == FOUND and "ca.key.pem" in text and "644" in text, text
    key.chmod(0o600)
    for name, content in [("account.json", "{"), ("bill.jsonl", "nonsense"), ("session-key", "0f"), ("server.json", "")]:
        path = server.data_dir / name
        kept = path.read_bytes()
        path.write_text(content)
        code, text = check(server.data_dir)
        assert code == FOUND and name in text, text
        path.write_bytes(kept)
    assert check(server.data_dir)[0] == SOUND


# ---- what a start refuses --------------------------------------------------------------------------------------


@pytest.fixture
def stopped(new_server):
    server = new_server()
    server.boto("iot").create_thing(thingName="kept")
    server.stop()
    return server


def test_changed_pages_are_refused_not_served(stopped):
    """Every place of the file that holds something: refused, by a message that names the file and the way out."""
    store = stopped.data_dir / "store.redb"
    whole = store.read_bytes()
    place = whole.index(b'kept')
    damaged = bytearray(whole)
    damaged[place] ^= 0x20
    store.write_bytes(bytes(damaged))
    text = start_fails(stopped)
    assert "store.redb" in text and "restore it from a backup" in text, text
    assert store.read_bytes() == bytes(damaged), "what was refused is left for whoever can repair it"
    code, text = check(stopped.data_dir)
    assert code == FOUND and "store.redb" in text, text
    done = cli("backup", stopped.folder / "b", "--data-dir", stopped.data_dir)
    assert done.returncode == PROBLEM and b"store.redb" in done.stderr, "a damaged store is not backed up"
    store.write_bytes(whole)
    stopped.start().boto("iot").describe_thing(thingName="kept")


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize("keep", [0, 1, 300, 5000, -4096])
def test_a_store_cut_short_is_refused(stopped, keep):
    store = stopped.data_dir / "store.redb"
    cut(store, keep)
    text = start_fails(stopped)
    assert "store.redb" in text and "backup" in text, text
    assert check(stopped.data_dir)[0] == FOUND


def test_a_missing_piece_is_not_made_anew(stopped):
    for name in ["store.redb", "account.json", "access-key.json", "ca.cert.pem", "ca.key.pem"]:
        path = stopped.data_dir / name
        kept = path.read_bytes()
        path.unlink()
        text = start_fails(stopped)
        assert name in text and "missing" in text, text
        assert not path.exists()
        assert check(stopped.data_dir)[0] == FOUND
        path.write_bytes(kept)
        path.chmod(0o600)
    stopped.start().boto("iot").describe_thing(thingName="kept")


def test_half_written_secrets_are_refused(stopped):
    for name in ["account.json", "access-key.json", "ca.cert.pem", "ca.key.pem", "session-key", "server.json", "folder.json"]:
        path = stopped.data_dir / name
        kept = path.read_bytes()
        for keep in [0, len(kept) // 2]:
            path.write_bytes(kept[:keep])
            text = start_fails(stopped)
            assert name.split(".")[0] in text, text
            assert path.read_bytes() == kept[:keep], "not overwritten"
        path.write_bytes(kept)
    stopped.start()


def test_another_layout_is_refused(stopped):
    (stopped.data_dir / "folder.json").write_text('{"layout": 99}')
    text = start_fails(stopped)
    assert "layout 99" in text and "the version that wrote it" in text, text


def test_a_bill_that_cannot_be_read_is_kept_and_told(stopped):
    bill = stopped.data_dir / "bill.jsonl"
    bill.write_text("nonsense")
    stopped.start()
    stopped.wait_for_log("bill.old", "counting begins at 0")
    assert (stopped.data_dir / "bill.old").read_text() == "nonsense"


def test_damage_in_a_bill_is_kept_and_told_and_takes_nothing_that_follows(stopped, tmp_path):
    bill = stopped.data_dir / "bill.jsonl"
    lines = bill.read_bytes().splitlines(keepends=True)
    counts = max(i for i, line in enumerate(lines) if line.startswith(b'{"c"'))
    damaged = lines[: counts + 1] + [lines[counts].replace(b'"c"', b"\0\0\0"), *lines[counts:]]
    bill.write_bytes(b"".join(damaged))
    code, text = check(stopped.data_dir)
    assert code == FOUND and f"bill.jsonl: 1 line of it cannot be read (line {counts + 2})" in text, text
    # It stands in the way of no restore: a start copes with it.
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    assert cli("backup", backup, "--data-dir", stopped.data_dir).returncode == 0
    done = cli("restore", backup, "--data-dir", restored)
    assert done.returncode == 0 and b"bill.jsonl" in done.stdout, done
    kept = stopped.data_dir / "bill.old"
    kept.write_text("of an earlier start")
    kept.chmod(0o600)
    stopped.start()
    stopped.wait_for_log("bill.1.old", "counting goes on")
    assert kept.read_text() == "of an earlier start"
    assert (stopped.data_dir / "bill.1.old").read_bytes() == b"".join(damaged)
    stopped.stop()
    assert check(stopped.data_dir)[0] == SOUND


def test_leftovers_of_writes_that_were_cut_short_do_no_harm(stopped):
    (stopped.data_dir / "account.json.0123.new").write_text("{")
    (stopped.data_dir / "store.new").write_bytes(b"\0" * 5000)
    stopped.start().boto("iot").describe_thing(thingName="kept")


# ---- disks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, 24 MiB large."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", folder], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path):
    """To the last block."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass


def test_a_full_disk_refuses_writes_and_goes_on_when_there_is_room(new_server, small_disk, tmp_path):
    server = new_server(start=False, folder=small_disk / "s")
    server.start()
    iot = server.boto("iot")
    iot.create_thing(thingName="before")
    ballast = small_disk / "ballast"
    made, refusal = [], None
    fill(ballast)
    for number in range(5000):
        try:
            iot.create_thing(thingName=f"thing-{number}", attributePayload={"attributes": {"a": "x" * 700}})
            made.append(number)
        except Exception as error:  # noqa: BLE001
            refusal = error
            break
    assert "ServiceUnavailable" in str(refusal), refusal
    server.wait_for_log("the disk is full", "free some space")
    status, ails = health(server)
    assert status == 503 and "the disk is full" in ails, ails
    server.assert_alive()
    iot.describe_thing(thingName="before")
    with pytest.raises(servers.boto3.exceptions.botocore.exceptions.ClientError):
        iot.describe_thing(thingName=f"thing-{len(made)}")
    ballast.unlink()
    again = retried(lambda: iot.create_thing(thingName="after"))
    assert again["thingName"] == "after"
    server.kill()
    server.start()
    iot = server.boto("iot")
    for name in ["before", "after"] + [f"thing-{number}" for number in made]:
        iot.describe_thing(thingName=name)


def health(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["admin"], timeout=10)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def retried(call, within=10.0):
    """A refused write is tried again after a second; until then the store says why."""
    end = time.monotonic() + within
    while True:
        try:
            return call()
        except Exception:  # noqa: BLE001
            if time.monotonic() >= end:
                raise
            time.sleep(servers.GLANCE)


def test_a_start_on_a_full_disk_is_explained(new_server, small_disk):
    (small_disk / "s").mkdir()
    fill(small_disk / "ballast")
    server = new_server(start=False, folder=small_disk / "s")
    done = cli("serve", "--data-dir", server.data_dir, "--mqtt-port", 0, "--tls-port", 0, "--https-port", 0, "--api-port", 0,
               "--admin-port", 0)
    assert done.returncode == 1 and b"No space left" in done.stdout + done.stderr, done


def test_a_read_only_folder_is_refused_and_can_be_checked(new_server, small_disk, tmp_path):
    server = new_server(start=False, folder=small_disk / "s")
    server.start()
    server.stop()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = cli("serve", "--data-dir", server.data_dir, "--mqtt-port", 0, "--tls-port", 0, "--https-port", 0, "--api-port", 0,
               "--admin-port", 0)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 1 and "Read-only file system" in text and str(server.data_dir) in text, text
    assert check(server.data_dir)[0] == SOUND
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    shutil.rmtree(small_disk / "s")


class FailingDisk:
    """An ext4 file system of its own that turns read-only at its first fault, as most are set up. `mount -o remount,ro` is no such
    thing: it is refused while a file is open for writing."""

    def __init__(self, folder):
        self.image, self.folder = folder / "disk.img", folder / "disk"
        self.folder.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(48 << 20)

    def mount(self):
        """Whether it is there, with a way to bring a fault about."""
        def done(*command):
            return subprocess.run([str(word) for word in command], capture_output=True, text=True)

        if os.geteuid() != 0 or done("mount", "-t", "ext4", "-o", "loop,errors=remount-ro", self.image, self.folder).returncode != 0:
            return False
        device = Path(done("findmnt", "-n", "-o", "SOURCE", self.folder).stdout.strip()).name
        self.fault = Path("/sys/fs/ext4") / device / "trigger_fs_error"
        return os.access(self.fault, os.W_OK)

    def unmount(self):
        subprocess.run(["umount", self.folder], check=True)

    def fail(self):
        self.fault.write_text("a test of thingcore")

    def repair(self):
        """What an administrator does: nothing may use it meanwhile."""
        self.unmount()
        assert subprocess.run(["e2fsck", "-f", "-y", self.image], capture_output=True).returncode in (0, 1)
        assert self.mount()


@pytest.fixture
def failing_disk(tmp_path):
    disk = FailingDisk(tmp_path)
    if shutil.which("mkfs.ext4") is None or subprocess.run(["mkfs.ext4", "-q", "-F", disk.image], capture_output=True).returncode != 0:
        pytest.skip("mkfs.ext4 does not work here")
    ready = disk.mount()
    if ready:
        yield disk
    if os.path.ismount(disk.folder):
        subprocess.run(["umount", "-l", disk.folder], check=True)
    if not ready:
        pytest.skip("mounting ext4, or a fault of it, is not permitted here")


def refused_at(call):
    """What the first refused of up to a thousand calls says, and its number."""
    for number in range(1000):
        try:
            call(number)
        except servers.boto3.exceptions.botocore.exceptions.ClientError as refused:
            return number, refused
    raise AssertionError("nothing is refused")


def is_heard(client):
    """Messages go on between those who are connected."""
    client.publish("to/listener", "x")
    return client.message().payload == b"x"


def test_a_disk_that_turns_read_only_while_it_is_used(new_server, failing_disk):
    """What was acknowledged stays, what cannot be written is refused and told, nobody is thrown out; after a repair it goes on."""
    server = new_server(start=False)
    server.data_dir = failing_disk.folder / "data"
    iot = server.start().boto("iot")
    iot.create_thing(thingName="before")
    with Wire.dial(server, None, V5, port="plain") as client:
        assert client.connect("listener").code == 0
        client.subscribe("to/listener", qos=0)
        failing_disk.fail()
        made, refusal = refused_at(lambda number: iot.create_thing(thingName=f"thing-{number}"))
        assert "ServiceUnavailable" in str(refusal), refusal
        server.wait_for_log("Read-only file system")
        status, ails = health(server)
        assert status == 503 and "Read-only file system" in ails, ails
        assert is_heard(client)
    server.stop()
    assert "panicked" not in server.log_text()
    failing_disk.repair()
    assert check(server.data_dir)[0] == SOUND
    iot = server.start().boto("iot")
    for name in ["before"] + [f"thing-{number}" for number in range(made)]:
        iot.describe_thing(thingName=name)
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName=f"thing-{made}")
    iot.create_thing(thingName="after")
    server.stop()


def say_to_sleeper(server, text):
    """A message for a client that is away. Nothing has to be read to keep it."""
    with Wire.dial(server, None, V5, port="plain") as publisher:
        assert publisher.connect(unique("publisher")).code == 0
        assert publisher.publish("to/sleeper", text, qos=1) == 0


def test_a_store_that_may_not_be_written_for_a_while(new_server, failing_disk):
    """As on a disk that is made writable again under the server: it goes on by itself, whatever is asked first."""
    server = new_server(start=False)
    server.data_dir = failing_disk.folder / "data"
    iot, store = server.start().boto("iot"), server.data_dir / "store.redb"
    iot.create_thing(thingName="before")
    with Wire.dial(server, None, V5, port="plain") as sleeper:
        assert sleeper.connect("sleeper", **persistent()).code == 0
        sleeper.subscribe("to/sleeper", qos=1)
    say_to_sleeper(server, "before")
    with Wire.dial(server, None, V5, port="plain") as client:
        assert client.connect("listener").code == 0
        client.subscribe("to/listener", qos=0)
        if subprocess.run(["chattr", "+i", store], capture_output=True).returncode != 0:
            pytest.skip("chattr +i is not permitted here")
        made, refusal = refused_at(lambda number: iot.create_thing(thingName=f"thing-{number}"))
        assert "ServiceUnavailable" in str(refusal), refusal
        server.wait_for_log("Operation not permitted")
        assert health(server)[0] == 503
        assert is_heard(client)
        subprocess.run(["chattr", "-i", store], check=True)
        retried(lambda: iot.create_thing(thingName="after"))
        say_to_sleeper(server, "after")
        assert health(server)[0] == 200 and is_heard(client)
    server.kill()
    iot = server.start().boto("iot")
    for name in ["before", "after"] + [f"thing-{number}" for number in range(made)]:
        iot.describe_thing(thingName=name)
    with Wire.dial(server, None, V5, port="plain") as sleeper:
        assert sleeper.connect("sleeper", **persistent()).session_present
        assert [sleeper.message().payload for _ in range(2)] == [b"before", b"after"]
    server.stop()


def test_a_backup_onto_a_full_disk_leaves_nothing(new_server, small_disk):
    server = new_server()
    fill(small_disk / "ballast")
    done = cli("backup", small_disk / "b", "--data-dir", server.data_dir)
    assert done.returncode == PROBLEM and b"free some space" in done.stderr, done
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


# ---- kills -----------------------------------------------------------------------------------------------------


def test_the_kill_loop_loses_nothing_and_says_so(tmp_path):
    """Three kills of the loop that docs/operations.md runs with five hundred."""
    script = Path(__file__).resolve().parents[2] / "workshop" / "kills.py"
    done = subprocess.run([sys.executable, str(script), "--kills", "3", "--folder", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert (told["kills"], told["folder_sound"]) == (3, True), told
    assert [told[what] for what in ("lost", "shared_lost", "retained_lost", "things_lost")] == [0] * 4, told
    assert told["acknowledged"] > 0 and told["things"] > 0, told
