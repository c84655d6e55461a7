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
from wire import V5, V311, Closed, Wire

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


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=slow)])
def test_half_handshakes(server, newcomers, count):
    """A hello without its end, and one whose answer nobody reads: both cost a place, for a while."""
    hello = client_hello()
    data = [hello[:len(hello) // 2], hello]
    assert_all_are_ended([opened(server, "mqtt", some) for _ in range(count) for some in data], PATIENCE * 8)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=slow)])
def test_handshakes_without_a_word_after(server, newcomers, count):
    device = server.account.everything()
    context = wire.tls_context(server, device)

    def shake(_):
        return Wire.dial(server, device, context=context)

    with ThreadPoolExecutor(4) as pool:
        connections = list(pool.map(shake, range(count)))
    for connection in connections:
        assert is_over(connection, PATIENCE * 8) is not None
        connection.close()


@pytest.mark.parametrize("count", [120, pytest.param(3000, marks=slow)])
def test_a_flood_of_connects_on_one_client_id(server, newcomers, count):
    """Each takes over from the one before; in the end there is one connection, and it works."""
    name = unique("wanted")

    def connect(number):
        connection = dial(server, "plain", version=(V311, V5)[number % 2])
        with contextlib.suppress(Closed):
            connection.send(wire.connect(connection.version, name, clean=bool(number % 3)))
            connection.receive()
        return connection

    with ThreadPoolExecutor(8) as pool:
        connections = list(pool.map(connect, range(count)))
    with dial(server, "plain") as last:
        assert last.connect(name).code == 0
        assert all(is_over(connection) is not None for connection in connections)
        for connection in connections:
            connection.close()
        assert last.ping() == []


# ---- slow peers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("megabytes", [24, pytest.param(200, marks=slow)])
def test_slow_readers(server, megabytes):
    """They take nothing of what they subscribed to: each costs its bounds, and is ended although it never closes."""
    topic, before = unique("slow"), Cost(server).descriptors
    with contextlib.ExitStack() as stack:
        for transport in TRANSPORTS * 4:
            options = {} if transport == "websocket" else dict(receive_buffer=4096)
            reader = stack.enter_context(dial(server, transport, **options))
            reader.connect(unique("reader"), keep_alive=1200)
            reader.subscribe(topic, qos=0)
        with greeted(server, "plain", V5) as publisher:
            for number in range(megabytes * 10):
                publisher.publish(topic, b"x" * 100_000)
                if number % 20 == 19:
                    publisher.ping()
            until(lambda: Cost(server).descriptors <= before + 1 + LEFT // 2, "slow readers are kept", within=PATIENCE * 10)


def test_slow_writers(server):
    """A byte now and then does not keep a packet open for ever."""
    packet = wire.publish(V5, "drip", b"x" * 1000, qos=1, packet_id=1)
    connections = [greeted(server, transport, V5) for transport in TRANSPORTS for _ in range(3)]
    begun, position = time.monotonic(), 0
    for connection in connections:
        connection.send(packet[:10])
    left = list(connections)
    while left:
        assert time.monotonic() - begun < PATIENCE * 8, f"{len(left)} still drip"
        position += 1
        for connection in list(left):
            try:
                connection.send(packet[10 + position:11 + position])
                connection.receive(0.02)
            except wire.Late:
                continue
            except ENDED:
                left.remove(connection)
    for connection in connections:
        connection.close()
