"""Bad input in quantity: the server keeps its memory, its life and its other clients.

Each test floods a server of its own while a bystander, on connections of its own, sends itself numbered messages and
must get every one of them, in order and in time.
"""

import contextlib
import os
import random
import socket
import ssl
import threading
import time

import pytest

import wire
from server import Server
from wire import V5, V311, Closed, Wire

pytestmark = [pytest.mark.flood, pytest.mark.xdist_group("flood"), pytest.mark.timeout(240)]

MIB = 1024 * 1024
# How much resident memory a flood may leave behind: the queue of one session (quota session-queue-bytes, 64 MiB), what is
# in flight to it, and what the allocator keeps. The floods of messages send 240 MiB.
ROOM = 160 * MIB
# How long a bystander may wait for its own message while the flood goes on; a debug build on a busy machine is slow.
PATIENCE = 10.0
# A connection without a CONNECT must be gone by then.
WITHOUT_CONNECT = 90.0


class Bystander(threading.Thread):
    """A well-behaved pair of clients that must not notice anything."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.done, self.failure, self.count = server, threading.Event(), None, 0

    def run(self):
        try:
            device = self.server.account.everything()
            with Wire.dial(self.server, device) as listener, Wire.dial(self.server, device) as speaker:
                listener.connect("bystander-listens", keep_alive=1200)
                speaker.connect("bystander-speaks", keep_alive=1200)
                listener.subscribe("bystander")
                while not self.done.wait(0.02):
                    self.count += 1
                    assert speaker.publish("bystander", str(self.count), qos=1) == 0
                    assert int(listener.message(within=PATIENCE).payload) == self.count
        except BaseException as failure:
            self.failure = failure


@pytest.fixture(scope="module")
def flooded(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("flooded")).start()
    server.account.everything()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def unharmed(flooded):
    """Around every flood: the bystander was served, the process lives, memory stayed within bounds."""
    before, bystander = flooded.resident_bytes(), Bystander(flooded)
    bystander.start()
    yield
    flooded.assert_alive()
    seen = bystander.count
    end = time.monotonic() + PATIENCE
    while bystander.count < seen + 2 and bystander.failure is None and time.monotonic() < end:
        time.sleep(0.02)
    bystander.done.set()
    bystander.join(PATIENCE + 5)
    assert bystander.failure is None, f"the bystander was disturbed after {bystander.count} messages: {bystander.failure!r}"
    assert bystander.count >= seen + 2, "the bystander is not served any more"
    grown = flooded.resident_bytes() - before
    assert grown < ROOM, f"resident memory grew by {grown / MIB:.0f} MiB"


def open_socket(server, port):
    return socket.create_connection(("127.0.0.1", server.ports[port]), timeout=wire.DEADLINE)


def throw(server, port, data, read=False):
    """Connects, sends, and goes away; what the server makes of it is its business."""
    with contextlib.suppress(OSError), open_socket(server, port) as sock:
        sock.sendall(data)
        if read:
            sock.settimeout(2)
            sock.recv(4096)


PORTS = ["mqtt", "tls", "https", "api", "admin", "plain"]
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("port", PORTS)
def test_random_bytes_on_every_port(flooded, port):
    noise = random.Random(port)
    for _ in range(150):
        throw(flooded, port, noise.randbytes(noise.randrange(1, 4000)))


@pytest.mark.parametrize("port", [port for port in PORTS if port not in ("api", "admin")])
def test_http_on_ports_that_speak_something_else(flooded, port):
    for _ in range(100):
        throw(flooded, port, HTTP, read=False)


def test_tls_records_that_lead_nowhere(flooded):
    """Starts of handshakes, alerts, records of the greatest length, nothing after them."""
    hello = client_hello()
    for cut in range(0, len(hello), 7):
        throw(flooded, "mqtt", hello[:cut])
    for record in (b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x01\xff\xff" + os.urandom(60000), b"\x17\x03\x03\x40\x00" + bytes(16384)):
        for _ in range(50):
            throw(flooded, "mqtt", record)


def client_hello():
    """The first flight of a real client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def test_connections_that_break_in_the_handshake(flooded):
    for _ in range(150):
        throw(flooded, "mqtt", client_hello())


def test_malformed_packets(flooded):
    from test_malformed import BOTH, ONLY_V5

    for version in (V311, V5):
        for make in list(BOTH.values()) + (list(ONLY_V5.values()) if version == V5 else []):
            for _ in range(6):
                throw(flooded, "plain", wire.connect(version, f"bad-{version}") + make(version), read=True)


def test_every_prefix_of_a_connect(flooded):
    packet = wire.connect(V5, "prefix", will=dict(topic="w", payload="x"), user="u", password=b"p", session_expiry=60)
    for cut in range(len(packet)):
        for _ in range(4):
            throw(flooded, "plain", packet[:cut])


def test_random_packets_after_a_good_connect(flooded):
    noise = random.Random(4711)
    for number in range(300):
        version = noise.choice((V311, V5))
        body = noise.randbytes(noise.randrange(0, 200))
        packet = bytes([noise.randrange(256)]) + wire.varint(len(body)) + body
        throw(flooded, "plain", wire.connect(version, f"noise-{number}") + packet, read=True)


def test_promises_of_large_packets_that_never_come(flooded):
    """300 headers that announce the largest packet: no memory may be set aside for a promise."""
    before = flooded.resident_bytes()
    with contextlib.ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(Wire.dial(flooded, None, V5, port="plain"))
            connection.connect(f"promise-{number}")
            connection.send(bytes([wire.PUBLISH << 4]) + wire.varint(149_000) + b"\0\1a\0x")
        grown = flooded.resident_bytes() - before
        assert grown < 32 * MIB, f"{grown / MIB:.0f} MiB for promises"


def test_oversized_packets(flooded):
    for size in (149_505, 1_000_000, 268_435_455):
        for _ in range(20):
            with Wire.dial(flooded, None, V5, port="plain") as connection:
                connection.connect("oversized")
                with contextlib.suppress(Closed):
                    connection.send(bytes([wire.PUBLISH << 4]) + wire.varint(size))
                    for _ in range(4):
                        connection.send(bytes(65536), within=2)
                    while True:
                        connection.receive()


def test_oversized_connect(flooded):
    for size in (149_505, 268_435_455):
        for _ in range(20):
            with Wire.dial(flooded, None, V5, port="plain") as connection:
                with contextlib.suppress(Closed):
                    connection.send(bytes([wire.CONNECT << 4]) + wire.varint(size) + bytes(1000))
                    while connection.receive(within=20):
                        pass


@pytest.mark.slow
def test_silent_and_dripping_connections_are_ended_in_bounded_time(flooded):
    """Neither silence nor one byte now and then keeps a connection without CONNECT (or without a handshake) open."""
    begun = time.monotonic()
    packet = wire.connect(V5, "drip", user="u" * 500)
    silent = [open_socket(flooded, port) for port in ("mqtt", "tls", "plain") for _ in range(20)]
    dripping = [open_socket(flooded, "plain") for _ in range(20)]
    started = [open_socket(flooded, "mqtt") for _ in range(20)]
    for sock in started:
        sock.sendall(client_hello()[:40])
    hanging = silent + dripping + started
    for index in range(len(packet)):
        still = []
        for sock in hanging:
            sock.setblocking(False)
            try:
                if sock in dripping:
                    sock.send(packet[index:index + 1])
                ended = sock.recv(4096) == b""
            except BlockingIOError:
                ended = False
            except OSError:
                ended = True
            if not ended:
                still.append(sock)
        hanging = still
        if not hanging:
            break
        assert time.monotonic() - begun < WITHOUT_CONNECT, f"{len(hanging)} connections are still open"
        time.sleep(0.5)
    for sock in silent + dripping + started:
        sock.close()
    assert not hanging


def test_half_open_connections(flooded):
    """Clients that vanish without a FIN: the server may only wait for their keep-alive, not suffer."""
    vanished = []
    for number in range(200):
        connection = Wire.dial(flooded, None, V311, port="plain")
        connection.connect(f"vanished-{number}")
        connection.subscribe(f"vanished/{number}")
        vanished.append(connection)
    with Wire.dial(flooded, None, V5, port="plain") as publisher:
        publisher.connect("publisher")
        for number in range(200):
            publisher.publish(f"vanished/{number}", b"x" * 1000, qos=1)
    for connection in vanished:
        connection.close()


@pytest.mark.parametrize("qos", [0, 1])
def test_subscriber_that_stops_reading(flooded, qos):
    """A quarter of a gigabyte for a client that takes nothing: it loses messages, the server does not keep them."""
    with Wire.dial(flooded, None, V5, port="plain", receive_buffer=4096) as deaf, Wire.dial(flooded, None, V5, port="plain") as loud:
        deaf.connect("deaf", keep_alive=1200)
        deaf.subscribe("noise", qos=qos)
        loud.connect("loud", keep_alive=1200)
        before = flooded.resident_bytes()
        payload = b"x" * 100_000
        for number in range(2500):
            loud.publish("noise", payload, qos=qos)
            if number % 100 == 99:
                loud.ping()
        grown = flooded.resident_bytes() - before
        assert grown < ROOM, f"{grown / MIB:.0f} MiB are kept for a client that does not read"


def test_absent_subscriber_with_a_persistent_session(flooded):
    """Messages for the offline are kept, up to a limit."""
    with Wire.dial(flooded, None, V5, port="plain") as client:
        client.connect("away", clean=False, session_expiry=3600)
        client.subscribe("for/the/absent")
        client.disconnect()
    with Wire.dial(flooded, None, V5, port="plain") as loud:
        loud.connect("loud")
        for _ in range(2500):
            loud.publish("for/the/absent", b"x" * 100_000, qos=1)
    with Wire.dial(flooded, None, V5, port="plain") as client:
        client.connect("away", clean=True)


def test_client_that_never_reads_its_acknowledgements(flooded):
    with Wire.dial(flooded, None, V5, port="plain", receive_buffer=4096) as client:
        client.connect("greedy")
        burst = b"".join(wire.publish(V5, "nobody/listens", b"", qos=1, packet_id=n % 65535 + 1) for n in range(5000))
        with contextlib.suppress(Closed, TimeoutError, OSError):
            for _ in range(40):
                client.send(burst, within=3)


def test_thousands_of_subscriptions_and_unsubscriptions(flooded):
    with Wire.dial(flooded, None, V5, port="plain") as client:
        client.connect("restless")
        for round_number in range(200):
            filters = [f"restless/{round_number}/{n}/+/#" for n in range(8)]
            client.subscribe(*filters)
            client.unsubscribe(*filters)


# ---- the API ---------------------------------------------------------------------------------------------------


def test_api_bodies_beyond_the_limits(flooded):
    for path in ("/things/big", "/policies/big", "/topics/big"):
        for _ in range(5):
            with contextlib.suppress(OSError), open_socket(flooded, "api") as sock:
                sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n\r\n".encode())
                for _ in range(50):
                    sock.sendall(bytes(MIB))


def test_api_chunked_bodies_without_end(flooded):
    for _ in range(5):
        with contextlib.suppress(OSError), open_socket(flooded, "api") as sock:
            sock.sendall(b"POST /things/endless HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(1000):
                sock.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


def test_api_headers_beyond_the_limits(flooded):
    for _ in range(10):
        throw(flooded, "api", b"GET /things HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 2_000_000)
        throw(flooded, "api", b"GET /things HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(50_000)))
        throw(flooded, "api", b"GET /things?" + b"a=b&" * 500_000 + b" HTTP/1.1\r\n\r\n")


def test_api_requests_that_never_end(flooded):
    hanging = [open_socket(flooded, "api") for _ in range(200)]
    for number, sock in enumerate(hanging):
        sock.sendall(b"GET /things HTTP/1.1\r\nHost: local"[:number % 34 + 1])
    assert flooded.account.iot.list_things(maxResults=1) is not None
    for sock in hanging:
        sock.close()


def test_api_json_of_every_wrong_shape(flooded):
    from test_api_protocol import call

    for body in (b"[" * 100_000, b'{"a":' * 50_000, b'"' * 10, b"\xff" * 1000, b"{}" * 1000, b"1e999999", b"null"):
        for path in ("/things/odd", "/policies/odd"):
            status, _, _ = call(flooded, "POST", path, body)
            assert 400 <= status < 500, (body[:20], path, status)


def test_api_with_bad_signatures(flooded):
    for number in range(200):
        throw(flooded, "api", b"GET /things HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-HMAC-SHA256 " + os.urandom(200).hex().encode()
              + b"\r\nX-Amz-Date: %d\r\n\r\n" % number, read=True)
