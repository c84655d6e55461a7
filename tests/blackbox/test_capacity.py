"""What waits costs disk, not memory: a backlog for one offline session, and many offline sessions.

In CI a small number; CAPACITY_MESSAGES=1000000 CAPACITY_SESSIONS=100000 are those of the specification (a release build,
some minutes, some GB of disk). `-s` prints what was measured.
"""

import os
import socket
import threading
import time

import pytest

import wire
from wire import V5, V311, Wire

MESSAGES = int(os.environ.get("CAPACITY_MESSAGES", "20000"))
SESSIONS = int(os.environ.get("CAPACITY_SESSIONS", "1000"))
MIB = 1 << 20

pytestmark = pytest.mark.timeout(180 + (MESSAGES + SESSIONS) // 200)

# The documented budget (specification.md).
BACKLOG_BYTES = 64 * MIB
SESSION_BYTES = 4 * 1024
BASE_BYTES = 96 * MIB
# What one idle connection may cost, in a build for tests: half as much again as it does.
IDLE_BYTES = {"plain": 8 * 1024, "mqtt": 20 * 1024}


def tell(what, server, since=0):
    server.assert_alive()
    resident = server.resident_bytes()
    disk = sum(file.stat().st_size for file in server.data_dir.rglob("*") if file.is_file())
    print(f"{what}: resident {resident / MIB:.1f} MiB ({(resident - since) / MIB:+.1f}), disk {disk / MIB:.1f} MiB", flush=True)
    return resident


class Acks(threading.Thread):
    """Counts PUBACKs with a good code; all the same length without reason strings."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.count, self.bad, self.room = sock, 0, 0, threading.Semaphore(90)

    def run(self):
        buffer = b""
        while data := self.sock.recv(1 << 16):
            buffer += data
            while len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:
                body, buffer = buffer[2 : 2 + buffer[1]], buffer[2 + buffer[1] :]
                self.bad += len(body) > 2 and body[2] >= 0x80
                self.count += 1
                self.room.release()


def fill(server, topic, count, lanes=8):
    """Publishes so many messages of 128 bytes with QoS 1, each lane with a window; all are acknowledged."""

    def lane(number, share):
        client = Wire.dial(server, version=V5, port="plain")
        client.connect(f"filler-{number}", keep_alive=0)
        client.sock.settimeout(None)
        acks = Acks(client.sock)
        acks.start()
        frames = [wire.publish(V5, topic, b"x" * 128, qos=1, packet_id=n + 1) for n in range(5000)]
        for n in range(share):
            acks.room.acquire()
            client.sock.sendall(frames[n % len(frames)])
        end = time.monotonic() + 120
        while acks.count < share and time.monotonic() < end:
            time.sleep(0.01)
        counts.append((acks.count, acks.bad))
        client.sock.shutdown(socket.SHUT_RDWR)
        client.close()

    counts = []
    share = count // lanes
    threads = [threading.Thread(target=lane, args=(n, share)) for n in range(lanes)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert counts == [(share, 0)] * lanes, counts
    return share * lanes


def leave_sessions(server, numbers):
    for number in numbers:
        with Wire.dial(server, version=V5, port="plain") as client:
            client.connect(f"session-{number}", clean=False, session_expiry=3600)
            assert client.subscribe(f"to/{number}") == [1]
            client.disconnect()


def test_a_backlog_costs_disk(new_server, tmp_path):
    config = tmp_path / "replay.toml"
    config.write_text("[divergences]\nreplay-rate = false\n")
    server = new_server("--config", str(config))
    with Wire.dial(server, version=V5, port="plain") as away:
        away.connect("away", clean=False, session_expiry=3600)
        away.subscribe("backlog")
        away.disconnect()
    before = tell("before", server)
    start = time.monotonic()
    count = fill(server, "backlog", MESSAGES)
    print(f"{count} messages in {time.monotonic() - start:.1f} s", flush=True)
    after = tell(f"{count} messages for one session", server, before)
    assert after < BASE_BYTES + BACKLOG_BYTES
    server.kill()
    server.start()
    again = tell("after kill -9 and a restart", server)
    assert again < BASE_BYTES + BACKLOG_BYTES
    with Wire.dial(server, version=V5, port="plain") as away:
        assert away.connect("away", clean=False, session_expiry=3600).session_present
        start = time.monotonic()
        for _ in range(count):
            away.message()
        print(f"read in {time.monotonic() - start:.1f} s", flush=True)
    after = tell("after all were read", server, before)
    assert after < BASE_BYTES + BACKLOG_BYTES


def test_offline_sessions_cost_little(new_server):
    server = new_server()
    before = tell("before", server)
    start = time.monotonic()
    lanes = [threading.Thread(target=leave_sessions, args=(server, range(n, SESSIONS, 16))) for n in range(16)]
    [lane.start() for lane in lanes]
    [lane.join() for lane in lanes]
    print(f"{SESSIONS} sessions in {time.monotonic() - start:.1f} s", flush=True)
    after = tell(f"{SESSIONS} offline sessions", server, before)
    assert after < BASE_BYTES + BACKLOG_BYTES + SESSIONS * SESSION_BYTES
    server.kill()
    server.start()
    again = tell("after kill -9 and a restart", server)
    assert again < BASE_BYTES + BACKLOG_BYTES + SESSIONS * SESSION_BYTES
    with Wire.dial(server, version=V5, port="plain") as last:
        assert last.connect(f"session-{SESSIONS - 1}", clean=False, session_expiry=3600).session_present


@pytest.mark.parametrize("port", IDLE_BYTES)
def test_idle_connections_cost_little(new_server, port):
    """Memory grows by what a connection is, not by what it needs while it connects."""
    server = new_server()
    device = server.account.device() if port == "mqtt" else None
    opened = []

    def open_some(count):
        for _ in range(count):
            client = Wire.dial(server, device, version=V311, port=port)
            client.connect(f"idle-{len(opened)}")
            client.subscribe(f"idle/{len(opened)}")
            opened.append(client)

    # The first ones bring in code and the threads' own buffers.
    open_some(200)
    before = tell("200 connections", server)
    open_some(400)
    each = (tell("600 connections", server, since=before) - before) / 400
    for client in opened:
        client.close()
    print(f"{port}: {each:.0f} bytes each")
    assert each < IDLE_BYTES[port]
