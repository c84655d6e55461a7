"""Attackers with a plan, on a server of their own, beside honest clients on every transport that must not notice.

After each attack: the honest were served without an error and in time, memory and descriptors stayed within bounds while it went
on, and what it held is given back. `test_floods.py` has noise in quantity, `test_malformed.py` what each packet may not be,
`test_doors_bad_input.py` frames and requests."""

import contextlib
import resource
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

import attacks
import wire
from attacks import MIB, Cost, Honest, Recorder, Shown, dial, ec_key, forged, is_over, until
from provision import AccessKey, allow, document, unique
from server import Server
from test_malformed import BOTH, ONLY_V3, ONLY_V5
from websocket import WebSocket, host_of
from websocket import Refused as UpgradeRefused
from wire import V5, V311, Closed, Wire

pytestmark = [pytest.mark.xdist_group("attackers"), pytest.mark.timeout(300)]

# Of the server below: how long a handshake, a CONNECT, a packet in pieces, a write that goes nowhere may take.
PATIENCE = 2.0
# What an attack may cost while it goes on, beyond what there was: resident memory, in all and for each of its sockets (a debug
# build; a socket that has said nothing costs 15 KiB of it), and processor time in all.
ROOM, OF_SOCKET = 64 * MIB, 24 * 1024
PROCESSOR = 60.0
# How long an honest client may wait for its own message, and half of its messages; a debug build on a busy machine is slow.
LONGEST, MEDIAN = 8.0, 1.0
# What an attack may leave behind.
LEFT = 4
TRANSPORTS = ["plain", "tls", "websocket"]
ENDED = (Closed, UpgradeRefused, OSError, ssl.SSLError)
slow = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def many_sockets():
    """An attacker has as many sockets as the system allows, not as many as a shell starts with."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    config = folder / "thingcore.toml"
    names = ("handshake", "first_packet", "partial_packet", "write_stall")
    config.write_text("[limits]\n" + "".join(f"{name}_seconds = {PATIENCE}\n" for name in names))
    server = Server(folder / "server", "--config", config).start()
    server.account.everything()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def few(server):
    """Three clients on each transport, through all attacks."""
    honest = Honest(server, 9).start_and_wait()
    yield honest
    honest.finish()


@pytest.fixture
def honest(server, request):
    """A hundred where there is time."""
    if not request.node.get_closest_marker("slow"):
        yield request.getfixturevalue("few")
        return
    many = Honest(server, 100).start_and_wait()
    yield many
    many.finish()


@pytest.fixture(autouse=True)
def unharmed(server, honest, request):
    """Around every attack."""
    honest.served()
    before = Cost(server)
    honest.look_again()
    yield
    server.assert_alive()
    # Everything it held is let go while the honest go on.
    until(lambda: Cost(server).descriptors <= before.descriptors + LEFT, "descriptors are not given back", within=20)
    honest.served()
    after, median = Cost(server), honest.median()
    attacks.report(request.node, honest, before, after)
    assert max(honest.latencies) < LONGEST and median < MEDIAN, (max(honest.latencies), median)
    room = ROOM + max(honest.descriptors - before.descriptors, 0) * OF_SOCKET
    assert honest.memory - before.memory < room, f"{(honest.memory - before.memory) / MIB:.0f} MiB while it went on"
    assert after.threads <= before.threads + 8
    assert after.processor - before.processor < PROCESSOR, f"{after.processor - before.processor:.1f} s of processor time"


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


# ---- packets -----------------------------------------------------------------------------------------------------


def everything(version):
    """A right packet of every type, each as full as it can be."""
    more = dict(user_properties=[("a", "b")] * 3) if version == V5 else {}
    will = dict(topic="will/topic", payload="gone", qos=1)
    packets = {
        "connect": wire.connect(version, unique("cut"), will=will, user="user", password=b"password", keep_alive=30, **more),
        "publish": wire.publish(version, "cut/topic", "payload"),
        "publish-1": wire.publish(version, "cut/topic", "payload", qos=1, packet_id=7, **more),
        "puback": wire.frame(wire.PUBACK, 0, b"\0\7"), "pubrec": wire.frame(wire.PUBREC, 0, b"\0\7"),
        "pubrel": wire.frame(wire.PUBREL, 2, b"\0\7"), "pubcomp": wire.frame(wire.PUBCOMP, 0, b"\0\7"),
        "subscribe": wire.subscribe(version, [("cut/a", 1), ("cut/+/b", 0)], 9, **more),
        "unsubscribe": wire.unsubscribe(version, ["cut/a", "cut/+/b"], 10),
        "ping": wire.PING, "disconnect": wire.disconnect(version),
        # What only a server may send.
        "connack": wire.frame(wire.CONNACK, 0, b"\0\0" + (b"\0" if version == V5 else b"")),
        "suback": wire.frame(wire.SUBACK, 0, b"\0\1" + (b"\0" if version == V5 else b"") + b"\0"),
        "unsuback": wire.frame(wire.UNSUBACK, 0, b"\0\1" + (b"\0\0" if version == V5 else b"")),
        "pingresp": wire.frame(wire.PINGRESP, 0, b""), "auth": wire.frame(wire.AUTH, 0, b""),
    }
    return packets


def greeted(server, transport, version):
    connection = dial(server, transport, version=version)
    assert connection.connect(unique("attacker")).code == 0
    return connection


def cuts(packet, how_many):
    """Where to cut a packet: everywhere, or at so many places with both ends among them."""
    last = len(packet) - 1
    return range(1, last + 1) if how_many is None else sorted({1 + (last - 1) * n // max(how_many - 1, 1) for n in range(how_many)})


def cut_off(server, transport, version, name, packet, cut):
    """Sends the start of a packet, and nothing more will come: the server ends the connection."""
    connection = dial(server, transport, version=version) if name == "connect" else greeted(server, transport, version)
    with connection:
        connection.send(packet[:cut])
        if transport == "plain":
            # A packet that no client sends is refused by its first byte: the server may have hung up.
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)
            assert is_over(connection) is not None, f"{name} cut at {cut} is still waited for"


@pytest.mark.parametrize("version", [V311, V5])
def test_packets_of_every_type_cut_off(server, transport, version):
    sample = 6 if transport == "plain" else 1
    for name, packet in everything(version).items():
        for cut in cuts(packet, sample) if len(packet) > 1 else []:
            cut_off(server, transport, version, name, packet, cut)


@slow
@pytest.mark.parametrize("version", [V311, V5])
def test_packets_of_every_type_cut_off_everywhere(server, transport, version):
    for name, packet in everything(version).items():
        for cut in cuts(packet, None):
            cut_off(server, transport, version, name, packet, cut)


@pytest.mark.parametrize("version", [V311, V5])
def test_malformed_packets_of_every_type(server, transport, version):
    """The cases of test_malformed on the transports it does not use, all of them; a few on the one that it does."""
    cases = list({**BOTH, **(ONLY_V5 if version == V5 else ONLY_V3)}.values())
    for make in cases[::9] if transport == "tls" else cases:
        with greeted(server, transport, version) as connection:
            connection.send(make(version))
            packets = is_over(connection)
            assert packets is not None, "not ended"
            assert [p for p in packets if p.kind != wire.DISCONNECT] == [], packets


@pytest.mark.parametrize("version", [V311, V5])
def test_packets_that_only_a_server_sends(server, transport, version):
    for name in ("connack", "suback", "unsuback", "pingresp", "connect"):
        with greeted(server, transport, version) as connection:
            connection.send(everything(version)[name])
            packets = is_over(connection)
            assert packets is not None and all(p.kind == wire.DISCONNECT for p in packets), (name, packets)


def bomb(kind, length):
    return bytes([kind << 4 | (2 if kind in (wire.SUBSCRIBE, wire.UNSUBSCRIBE, wire.PUBREL) else 0)]) + wire.varint(length)


@pytest.mark.parametrize("version", [V311, V5])
def test_packet_length_bombs(server, transport, version):
    """Every type announces the longest packet there can be, before and after CONNECT: it is refused by its head."""
    kinds = range(16) if transport == "plain" else (wire.CONNECT, wire.PUBLISH, wire.SUBSCRIBE)
    for kind in kinds:
        with greeted(server, transport, version) as connection:
            begun = time.monotonic()
            with contextlib.suppress(Closed):
                connection.send(bomb(kind, 268_435_455) + bytes(2000))
            assert is_over(connection) is not None, kind
            assert time.monotonic() - begun < LONGEST
    for kind in (wire.CONNECT, wire.PUBLISH):
        with dial(server, transport, version=version) as connection:
            with contextlib.suppress(Closed):
                connection.send(bomb(kind, 268_435_455) + bytes(2000))
            assert is_over(connection) == [] or version == V5


def property_bombs():
    pairs = [("", "")] * 25_000
    return {
        "publish": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, user_properties=pairs),
        "subscribe": wire.subscribe(V5, [("bomb", 0)], 1, user_properties=pairs),
        "disconnect": wire.disconnect(V5, 4, user_properties=pairs),
        "correlation": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, correlation_data=b"x" * 65_535),
        "content-type": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, content_type="x" * 65_535),
        "response-topic": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, response_topic="/" * 65_535),
        "alias": wire.publish(V5, "bomb", "x", qos=1, packet_id=1, topic_alias=65_535),
        "length-of-properties": wire.frame(wire.PUBLISH, 0, b"\0\1a\xff\xff\xff\x7f"),
    }


@pytest.mark.parametrize("transport, case", [("plain", case) for case in property_bombs()] + [
    ("tls", "publish"), ("tls", "correlation"), ("websocket", "publish"), ("websocket", "correlation")])
def test_property_bombs(server, transport, case):
    """Answered or ended, and listeners do not multiply what it costs."""
    with contextlib.ExitStack() as stack:
        for _ in range(10 if transport == "plain" else 1):
            ear = stack.enter_context(dial(server, transport))
            ear.connect(unique("ear"), receive_maximum=1)
            ear.subscribe("bomb")
        for _ in range(5 if transport == "plain" else 1):
            with greeted(server, transport, V5) as connection:
                connection.send(property_bombs()[case])
                with contextlib.suppress(Closed):
                    assert connection.receive().kind in (wire.PUBACK, wire.SUBACK, wire.DISCONNECT)


def test_property_bombs_in_connect(server, transport):
    pairs = [("", "")] * 12_000
    will = dict(topic="bomb", payload="", user_properties=pairs)
    for options in (dict(user_properties=pairs), dict(will=will), dict(user="u" * 65_535, password=b"p" * 65_535)):
        with dial(server, transport) as connection:
            with contextlib.suppress(Closed):
                connection.send(wire.connect(V5, unique("bomb"), **options))
                assert connection.receive().kind in (wire.CONNACK, wire.DISCONNECT)


DEEP = {"slashes": "/" * 65_535, "letters": "a/" * 32_767, "wildcards": "+/" * 32_767 + "#", "shared": "$share/" + "/" * 65_000,
        "reserved": "$aws/" + "/" * 65_000, "nine-levels": "a/b/c/d/e/f/g/h/i"}


@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize("case", DEEP)
def test_topic_depth_bombs(server, version, case):
    """Too deep for AWS, in whatever packet: refused, and nobody hears of it."""
    topic = DEEP[case]
    with greeted(server, "plain", V5) as ear:
        ear.subscribe("#")
        for packet in (wire.publish(version, topic.replace("+", "p").replace("#", "h"), "x", qos=1, packet_id=1, retain=True),
                       wire.subscribe(version, [(topic, 1)], 1), wire.unsubscribe(version, [topic], 1)):
            with greeted(server, "plain", version) as connection:
                with contextlib.suppress(Closed):
                    connection.send(packet)
                    answer = connection.receive()
                    assert answer.kind == wire.UNSUBACK or answer.kind == wire.DISCONNECT or min(
                        answer.fields.get("codes") or [answer.fields.get("code", 0)]) >= 0x80, (case, answer)
        with dial(server, "plain", version=version) as connection:
            connection.send(wire.connect(version, unique("deep"), will=dict(topic=topic, payload="x", qos=1)))
            with contextlib.suppress(Closed):
                assert connection.receive().fields.get("code", 0) > 0
        assert [p.topic for p in ear.ping() if not p.topic.startswith("honest")] == []


def test_subscription_explosions(server):
    """Every filter that matches one topic of eight levels, from many clients; then thousands that match nothing."""
    levels = "a/b/c/d/e/f/g/h".split("/")
    filters = ["/".join("+" if mask >> n & 1 else level for n, level in enumerate(levels)) for mask in range(256)]
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(greeted(server, "plain", V5))
            for start in range(0, 256, 8):
                client.subscribe(*filters[start:start + 8], qos=0)
        with greeted(server, "plain", V5) as publisher:
            for _ in range(20):
                publisher.publish("a/b/c/d/e/f/g/h", "x", qos=1)
        restless = stack.enter_context(greeted(server, "plain", V5))
        for number in range(250):
            restless.subscribe(*(f"{number}/{n}/+/#" for n in range(8)), qos=0)
        # More in one packet than AWS takes.
        with greeted(server, "plain", V5) as client, contextlib.suppress(Closed):
            client.send(wire.subscribe(V5, [(f"m/{n}", 0) for n in range(8_000)], 1))
            client.receive()


# ---- connections -------------------------------------------------------------------------------------------------


def opened(server, port, data=b""):
    sock = socket.create_connection(("127.0.0.1", server.ports[port]), timeout=wire.DEADLINE)
    with contextlib.suppress(OSError):
        sock.sendall(data)
    return sock


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def assert_all_are_ended(sockets, within):
    """Whoever shows nothing is out before long."""
    end = time.monotonic() + within
    for sock in sockets:
        sock.settimeout(max(end - time.monotonic(), 0.01))
        try:
            while sock.recv(65536):
                pass
        except TimeoutError:
            pytest.fail(f"a socket is still open after {within} s")
        except OSError:
            pass
        sock.close()


@pytest.mark.parametrize("count", [100, pytest.param(1500, marks=slow)])
def test_tcp_floods(server, count):
    ports = ["plain", "mqtt", "tls", "https"]
    if count * len(ports) + 500 > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        pytest.skip("no room for that many sockets here: raise the limit of open files (ulimit -Hn)")
    assert_all_are_ended([opened(server, port) for _ in range(count) for port in ports], PATIENCE * 8)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=slow)])
def test_half_handshakes(server, count):
    """A hello without its end, and one whose answer nobody reads: both cost a place, for a while."""
    hello = client_hello()
    data = [hello[:len(hello) // 2], hello]
    assert_all_are_ended([opened(server, "mqtt", some) for _ in range(count) for some in data], PATIENCE * 8)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=slow)])
def test_handshakes_without_a_word_after(server, count):
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
def test_a_flood_of_connects_on_one_client_id(server, count):
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


def test_the_limit_of_connections_holds_and_ends(new_server, tmp_path):
    """Who is in stays in; who comes when all places are taken is closed at once, and let in when they are free again."""
    config = tmp_path / "thingcore.toml"
    config.write_text(f"[limits]\nconnections = 40\nfirst_packet_seconds = {PATIENCE}\nhandshake_seconds = {PATIENCE}\n")
    server = new_server("--config", config)
    with dial(server, "plain") as inside:
        inside.connect(unique("inside"))
        before = Cost(server)
        flood = [opened(server, "plain") for _ in range(300)]
        assert Cost(server).descriptors <= before.descriptors + 40 + 16
        assert inside.ping() == []
        assert_all_are_ended(flood, PATIENCE * 8)
        # A place is free when the server has seen the end, too.
        end = time.monotonic() + PATIENCE * 8
        while not let_in(server):
            assert time.monotonic() < end, "nobody is let in although all places are free"
        assert inside.ping() == []


def let_in(server):
    try:
        with dial(server, "plain") as later:
            return later.connect(unique("later")).code == 0
    except (OSError, AssertionError):
        return False


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


# ---- certificates ------------------------------------------------------------------------------------------------


def strange_certificates(key):
    """By name: a certificate, each of this key."""
    usage = dict(digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                 key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
    names = x509.SubjectAlternativeName([x509.DNSName(f"{n}.{'x' * 60}.example.com") for n in range(600)])
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x04\x01x")
    return {
        "huge": forged(key, (names, False)),
        "negative-serial": attacks.resigned(forged(key, serial=0x7F << 152), key, attacks.negative_serial),
        "longest-serial": forged(key, serial=(1 << 159) - 1),
        "for-servers": forged(key, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True)),
        "for-signing-certificates": forged(key, (x509.KeyUsage(**usage), True)),
        "an-authority": forged(key, (x509.BasicConstraints(True, None), True)),
        "critical-and-unknown": forged(key, (unknown, True)),
        "not-yet": forged(key, starts=5),
        "ended": forged(key, starts=-9, ends=-2),
        "long-name": forged(key, subject="x" * 64),
    }


def comes_in(server, shown):
    """Whether this chain and key get a CONNACK. Either way the server says nothing else."""
    try:
        with Wire.dial(server, shown) as connection:
            connection.send(wire.connect(V5, unique("odd")))
            return connection.receive().kind == wire.CONNACK
    except ENDED:
        return False


CERTIFICATES = list(strange_certificates(ec_key()))


@pytest.mark.parametrize("case", CERTIFICATES)
def test_strange_certificates(server, case):
    """None comes in by its looks. Registered it is as good as any other, or the registry says why it is none."""
    account, key = server.account, ec_key()
    shown = Shown(account.folder, key, strange_certificates(key)[case])
    try:
        assert not comes_in(server, shown), "it is not registered"
    except ssl.SSLError:
        pass  # The client's own library does not take it.
    try:
        made = account.iot.register_certificate_without_ca(certificatePem=shown.pem, status="ACTIVE")
    except account.iot.exceptions.ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 409), refused
        return
    account.iot.attach_policy(policyName=account.policy(allow("iot:*", "*")), target=made["certificateArn"])
    is_in_force = case not in ("not-yet", "ended")
    with contextlib.suppress(ssl.SSLError):
        assert comes_in(server, shown) <= is_in_force
    account.iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    assert not comes_in(server, shown)


@pytest.mark.parametrize("make", [ed25519.Ed25519PrivateKey.generate, lambda: ec.generate_private_key(ec.SECP256K1()),
                                  lambda: attacks.rsa_key(1024)], ids=["ed25519", "secp256k1", "rsa-1024"])
def test_keys_that_aws_does_not_take(server, make):
    key = make()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        authority = ec_key()
        certificate = forged(key, issuer=attacks.named("Some CA"), issuer_key=authority)
    else:
        certificate = forged(key)
    shown = Shown(server.account.folder, key, certificate)
    iot = server.account.iot
    with pytest.raises(iot.exceptions.ClientError):
        iot.register_certificate_without_ca(certificatePem=shown.pem, status="ACTIVE")
    with contextlib.suppress(ssl.SSLError):
        assert not comes_in(server, shown)


def registered(server, key):
    """A certificate of this key that is let in."""
    certificate, account = forged(key), server.account
    made = account.iot.register_certificate_without_ca(certificatePem=attacks.pem_of(certificate), status="ACTIVE")
    account.iot.attach_policy(policyName=account.policy(allow("iot:*", "*")), target=made["certificateArn"])
    return certificate


def test_chain_tricks(server):
    """The first certificate counts, and the key that TLS proves is its own: no other in the chain helps."""
    folder, key, own = server.account.folder, ec_key(), ec_key()
    good = registered(server, key)
    assert comes_in(server, Shown(folder, key, good))
    child = forged(own, issuer=good.subject, issuer_key=key)
    lookalike = forged(own, subject="lookalike", serial=good.serial_number)
    chains = {
        "signed by a device": [child, good], "registered one behind": [lookalike, good],
        "registered one in front, its key not there": [good, lookalike],
        "a hundred before": [forged(own) for _ in range(30)] + [good],
        "itself twice": [lookalike, lookalike, good],
    }
    for name, chain in chains.items():
        with contextlib.suppress(ssl.SSLError):
            assert not comes_in(server, Shown(folder, own, *chain)), name
    # What follows a right certificate does not matter, for its owner as for others.
    assert comes_in(server, Shown(folder, key, good, lookalike, child))


def test_another_certificate_of_the_same_key(server):
    """The key alone is no identity, nor is a certificate whose signature is written in another way another certificate."""
    folder, key = server.account.folder, ec_key()
    good = registered(server, key)
    for other in (forged(key), attacks.twisted(good)):
        shown = Shown(folder, key, other)
        assert not comes_in(server, shown)
    twin = Shown(folder, key, attacks.twisted(good))
    iot = server.account.iot
    with pytest.raises(iot.exceptions.ClientError):
        iot.register_certificate_without_ca(certificatePem=twin.pem, status="ACTIVE")


# ---- replay ------------------------------------------------------------------------------------------------------


def upgrades(server, path):
    try:
        WebSocket.dial(server, path).close()
        return True
    except (UpgradeRefused, Closed):
        return False


def test_replay_of_a_presigned_url(server):
    """Within its life it lets in whoever has it, as at AWS. Not after, not changed, and not when its key is gone."""
    host, iam, name = host_of(server), server.boto("iam"), unique("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(allow("iot:Connect", "*")))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = AccessKey(server, key["AccessKeyId"], key["SecretAccessKey"])
    path = user.presigned_path(host, expires=300)
    assert upgrades(server, path) and upgrades(server, path)
    assert not upgrades(server, user.presigned_path(host, expires=5, ago=10))
    changed = {
        "later": path.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"), "no end": path.replace("&X-Amz-Expires=300", ""),
        "another region": path.replace(server.region, "eu-central-9"), "twice": path + "&X-Amz-Expires=300",
        "another service": path.replace("iotdevicegateway", "iotdata"), "more": path + "&x-amz-customauthorizer-name=a",
        "another key": path.replace(user.key_id, server.ready["access_key_id"]), "no signature": path.split("&X-Amz-Signature")[0],
        "half a signature": path[:-32], "a signature of zeros": path[:-64] + "0" * 64,
    }
    assert path not in changed.values()
    assert [name for name, url in changed.items() if upgrades(server, url)] == []
    iam.delete_access_key(UserName=name, AccessKeyId=user.key_id)
    assert not upgrades(server, path)


def test_replay_of_a_connect(server):
    """A CONNECT's bytes say nothing: it is the handshake before them that proves who sends them."""
    account, name = server.account, unique("victim")
    victim = account.device(allow("iot:*", f"arn:aws:iot:*:*:client/{name}"))
    stranger = account.device(allow("iot:Connect", "arn:aws:iot:*:*:client/somebody-else"))
    heard = wire.connect(V5, name, clean=False, session_expiry=60)
    with Wire.dial(server, victim) as own:
        own.send(heard)
        assert own.receive().code == 0
        with Wire.dial(server, stranger) as other:
            other.send(heard)
            with contextlib.suppress(Closed):
                assert other.receive().code >= 0x80
        with pytest.raises(ENDED):
            with Wire.dial(server, None) as nobody:
                nobody.send(heard)
                nobody.receive()
        assert own.ping() == [], "the victim was thrown out"


class Through:
    """The server as a client behind the recorder sees it."""

    def __init__(self, server, port):
        self.ca_file, self.ports = server.ca_file, {"mqtt": port}


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_replay_of_a_whole_connection(server, newest):
    """Everything that a client sent, sent once more by somebody without its key."""
    recorder, device = Recorder(server, "mqtt"), server.account.everything()
    name = unique("recorded")
    context = wire.tls_context(server, device, newest=newest)
    with Wire.dial(Through(server, recorder.place[1]), device, context=context) as client:
        assert client.connect(name).code == 0
        client.publish("recorded", "once", qos=1)
        heard = bytes(recorder.heard)
        with greeted(server, "plain", V5) as ear:
            ear.subscribe("recorded")
            with opened(server, "mqtt", heard) as again:
                # The server may have hung up already.
                with contextlib.suppress(OSError):
                    again.shutdown(socket.SHUT_WR)
                    while again.recv(65536):
                        pass
            assert ear.ping() == [], "a recorded message came in again"
        assert client.ping() == [], "a recorded CONNECT took over"
    recorder.close()
