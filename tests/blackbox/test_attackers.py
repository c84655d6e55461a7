"""Attackers with a plan, on a server of their own, beside a hundred honest clients on every transport that must not notice.

After each attack: the honest were served without an error and in time, memory and descriptors stayed within bounds while it went
on, and what it held is given back. Beside a flood, newcomers come in on every transport all the time. Here are sockets, handshakes
and peers that are slow; `test_attackers_packets.py`, `test_attackers_certificates.py` and `test_attackers_replay.py` have the others,
and `test_attackers_limit.py` what happens when no place is left. `test_floods.py` has noise in quantity, `test_malformed.py` what
each packet may not be, `test_doors_bad_input.py` frames and requests."""

import contextlib
import resource
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import wire
from attacks import (  # noqa: F401
    ENDED, LEFT, PATIENCE, TRANSPORTS, Cost, assert_all_are_ended, dial, greeted, honest, is_over, many_sockets, newcomers, opened,
    server, unharmed, until)
from provision import unique
from wire import V5, V311, Closed

pytestmark = [pytest.mark.xdist_group("attackers"), pytest.mark.timeout(300)]
slow = pytest.mark.slow


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("count", [100, pytest.param(1500, marks=slow)])
def test_tcp_floods(server, newcomers, count):
    ports = ["plain", "mqtt", "tls", "https"]
    if count * len(ports) + 500 > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        pytest.skip("no room for that many sockets here: raise the limit of open files (ulimit -Hn)")
    assert_all_are_ended([opened(server, port) for _ in range(count) for port in ports], PATIENCE * 8)


# The ports where TLS is spoken: MQTT, every protocol by its name (443), and HTTPS (8443).
SECURE = ["mqtt", "tls", "https"]


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=slow)])
def test_half_handshakes(server, newcomers, count):
    """A hello without its end, and one whose answer nobody reads: both cost a place, for a while."""
    hello = client_hello()
    data = [hello[:len(hello) // 2], hello]
    sockets = [opened(server, port, some) for _ in range(count) for port in SECURE for some in data]
    assert_all_are_ended(sockets, PATIENCE * 8)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=slow)])
def test_handshakes_without_a_word_after(server, newcomers, count):
    def shake(_):
        return dial(server, "tls")

    with ThreadPoolExecutor(4) as pool:
        connections = list(pool.map(shake, range(count)))
    for connection in connections:
        assert is_over(connection, PATIENCE * 8) is not None
        connection.close()


@pytest.mark.parametrize("transport, count", [
    ("plain", 120), ("tls", 120), ("websocket", 120), pytest.param("plain", 3000, marks=slow), pytest.param("tls", 400, marks=slow)])
def test_a_flood_of_connects_on_one_client_id(server, newcomers, transport, count):
    """Each takes over from the one before; in the end there is one connection, and it works."""
    name = unique("wanted")

    def connect(number):
        connection = dial(server, transport, version=(V311, V5)[number % 2])
        with contextlib.suppress(Closed):
            connection.send(wire.connect(connection.version, name, clean=bool(number % 3)))
            connection.receive()
        return connection

    with ThreadPoolExecutor(8) as pool:
        connections = list(pool.map(connect, range(count)))
    with dial(server, transport) as last:
        assert last.connect(name).code == 0
        assert all(is_over(connection) is not None for connection in connections)
        for connection in connections:
            connection.close()
        assert last.ping() == []


# ---- slow peers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("megabytes, qos", [(24, 0), (24, 1), pytest.param(200, 0, marks=slow)])
def test_slow_readers(server, megabytes, qos):
    """They take nothing of what they subscribed to: each costs its bounds, and is ended although it never closes."""
    topic, before = unique("slow"), Cost(server).descriptors
    with contextlib.ExitStack() as stack:
        for transport in TRANSPORTS * 4:
            options = {} if transport == "websocket" else dict(receive_buffer=4096)
            reader = stack.enter_context(dial(server, transport, **options))
            reader.connect(unique("reader"), keep_alive=1200)
            reader.subscribe(topic, qos=qos)
        with greeted(server, "plain", V5) as publisher:
            for number in range(megabytes * 10):
                assert not publisher.publish(topic, b"x" * 100_000, qos=qos)
                if number % 20 == 19:
                    publisher.ping()
            until(lambda: Cost(server).descriptors <= before + 1 + LEFT // 2, "slow readers are kept", within=PATIENCE * 10)


def test_slow_writers(server):
    """A byte now and then keeps neither a packet open for ever, nor a CONNECT."""
    message = wire.publish(V5, "drip", b"x" * 1000, qos=1, packet_id=1)
    left = [(greeted(server, transport, V5), message) for transport in TRANSPORTS for _ in range(3)]
    left += [(dial(server, transport, version=version), wire.connect(version, "x" * 1000)) for transport in TRANSPORTS
             for version in (V311, V5)]
    begun, position, connections = time.monotonic(), 0, [connection for connection, _ in left]
    for connection, packet in left:
        connection.send(packet[:10])
    while left:
        assert time.monotonic() - begun < PATIENCE * 8, f"{len(left)} still drip"
        position += 1
        for connection, packet in list(left):
            try:
                connection.send(packet[10 + position:11 + position])
                connection.receive(0.02)
            except wire.Late:
                continue
            except ENDED:
                left.remove((connection, packet))
    for connection in connections:
        connection.close()
