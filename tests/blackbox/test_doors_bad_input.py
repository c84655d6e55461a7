"""What is no WebSocket and no HTTP at the doors that speak them: it ends, in bounded time, and nobody else notices."""

import contextlib
import json
import socket
import ssl
import struct
import time

import pytest

import signing
import wire
from provision import unique
from server import Server
from websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Refused, WebSocket, host_of, read_response
from websocket import tls_socket, upgrade_request
from wire import CONNACK, PINGRESP, V5, Wire

# Of the server below: no head, CONNECT or body may take longer.
PATIENCE = 2.0
ENDED = (wire.Closed, ConnectionError, ssl.SSLError)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    config = folder / "thingcore.toml"
    config.write_text(f"[limits]\nfirst_packet_seconds = {PATIENCE}\npartial_packet_seconds = {PATIENCE}\n")
    server = Server(folder / "server", "--config", config).start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def unimpressed(server):
    """Somebody who is there all the while, and somebody who comes in afterwards."""
    with Wire.dial(server, server.account.everything(), V5) as witness:
        assert witness.connect(unique("witness")).code == 0
        yield
        server.assert_alive()
        assert witness.ping() == []
        with WebSocket.dial(server, presigned(server)) as socket_:
            assert Wire(socket_, V5).connect(unique("after")).code == 0


def presigned(server):
    return signing.presigned_path(server, host_of(server))


@pytest.fixture
def opened(server):
    """A WebSocket without MQTT on it yet."""
    with WebSocket.dial(server, presigned(server)) as opened:
        yield opened


@pytest.fixture
def conversing(opened):
    """A WebSocket with an MQTT connection on it."""
    connection = Wire(opened, V5)
    assert connection.connect(unique("door")).code == 0
    return connection


def end_of(opened, within=wire.DEADLINE):
    """Waits for the end; the code of the Close frame before it, if there was one."""
    opened.settimeout(within)
    try:
        while True:
            opened.recv(0)
    except Closed as closed:
        return closed.code
    except ENDED:
        return None


# ---- frames --------------------------------------------------------------------------------------------------------


FRAMES = {
    "text": lambda w: w.frame(TEXT, b"hello"),
    "empty text": lambda w: w.frame(TEXT),
    "no mask": lambda w: w.frame(BINARY, b"\xc0\0", masked=False),
    "reserved opcode": lambda w: w.frame(3, b"x"),
    "reserved control opcode": lambda w: w.frame(11, b"x"),
    "reserved bit": lambda w: bytes([w.frame(BINARY, b"x")[0] | 0x40]) + w.frame(BINARY, b"x")[1:],
    "continuation of nothing": lambda w: w.frame(CONTINUATION, b"x"),
    "message within a message": lambda w: w.frame(BINARY, b"x", final=False) + w.frame(BINARY, b"x"),
    "ping in pieces": lambda w: w.frame(PING, b"x", final=False),
    "long ping": lambda w: w.frame(PING, b"x" * 126),
    "close with half a code": lambda w: w.frame(CLOSE, b"\x03"),
    "close whose reason is not UTF-8": lambda w: w.frame(CLOSE, struct.pack(">H", 1000) + b"\xff"),
    "length of 2 GB": lambda w: w.frame(BINARY, b"x", length=1 << 31),
    "length of 2^63-1": lambda w: w.frame(BINARY, b"x", length=(1 << 63) - 1),
    "length of 2^64-1": lambda w: w.frame(BINARY, b"x", length=(1 << 64) - 1),
    "frame beyond the limit": lambda w: w.frame(BINARY, b"\0" * 300_000),
    "pieces beyond the limit": lambda w: w.frame(BINARY, b"\0" * 60_000, final=False) + 5 * w.frame(
        CONTINUATION, b"\0" * 60_000, final=False),
    "no MQTT": lambda w: w.frame(BINARY, b"GET / HTTP/1.1\r\n\r\n"),
    "second request": lambda w: b"GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("case", FRAMES)
@pytest.mark.parametrize("is_greeted", [False, True], ids=["before-connect", "after-connect"])
def test_frames_that_are_none(server, opened, case, is_greeted):
    if is_greeted:
        assert Wire(opened, V5).connect(unique("door")).code == 0
    with contextlib.suppress(OSError):
        opened.sock.sendall(FRAMES[case](opened))
    code = end_of(opened)
    if "text" in case:
        assert code == 1003


@pytest.mark.parametrize("payload", [b"", struct.pack(">H", 1000), struct.pack(">H", 1001) + b"bye", struct.pack(">H", 4000)],
                         ids=["none", "1000", "1001", "4000"])
def test_close_codes(opened, conversing, payload):
    opened.send_frame(CLOSE, payload)
    assert opened.receive_frame() == (CLOSE, payload[:2] + payload[2:])
    with pytest.raises(ENDED):
        opened.receive_frame()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 65535])
def test_close_codes_that_nobody_may_send(opened, conversing, code):
    opened.send_frame(CLOSE, struct.pack(">H", code))
    assert end_of(opened) == 1002


# ---- MQTT in frames of any cut ---------------------------------------------------------------------------------------


def test_a_packet_in_many_frames_and_messages(opened):
    packet = wire.connect(V5, unique("door"))
    for byte in packet[:10]:
        opened.send_frame(BINARY, bytes([byte]))
    opened.send_frame(BINARY, packet[10:12], final=False)
    opened.send_frame(PING, b"between")
    for byte in packet[12:-1]:
        opened.send_frame(CONTINUATION, bytes([byte]), final=False)
    opened.send_frame(CONTINUATION, packet[-1:])
    connection = Wire(opened, V5)
    assert connection.expect(CONNACK).code == 0
    assert opened.pongs == 1


def test_many_packets_in_one_frame(opened):
    connection = Wire(opened, V5)
    topic = unique("topic")
    connection.send(wire.connect(V5, unique("door")) + wire.subscribe(V5, [(topic, 0)]) + wire.publish(V5, topic, b"x") + wire.PING * 50)
    assert connection.expect(CONNACK).code == 0
    kinds = [connection.receive().kind for _ in range(52)]
    assert sorted(kinds) == [wire.PUBLISH, wire.SUBACK] + [PINGRESP] * 50


def test_a_packet_behind_the_upgrade_in_the_same_breath(server):
    with tls_socket(server) as sock:
        frame = WebSocket(sock).frame(BINARY, wire.connect(V5, unique("door")))
        sock.sendall(upgrade_request(server, presigned(server))[0] + frame)
        response, left = read_response(sock)
        assert response.status == 101
        assert Wire(WebSocket(sock, left), V5).expect(CONNACK).code == 0


def test_a_flood_of_pings_leaves_room_for_mqtt(opened, conversing):
    for _ in range(20):
        opened.sock.sendall(b"".join(opened.frame(PING, b"x" * 125) for _ in range(500)))
    opened.send_frame(PONG, b"nobody asked")
    assert conversing.ping() == []
    assert opened.pongs > 0


def test_pings_whose_answers_nobody_reads_are_not_kept(server):
    """16 MB of pings by a client that does not read: the server keeps a frame's worth of its answers, and the last one."""
    with socket.create_connection(("127.0.0.1", server.ports["tls"]), wire.DEADLINE) as raw:
        with wire.tls_context(server).wrap_socket(raw, server_hostname="localhost") as sock:
            sock.sendall(upgrade_request(server, presigned(server))[0])
            response, left = read_response(sock)
            assert response.status == 101
            deaf = WebSocket(sock, left)
            connection = Wire(deaf, V5)
            assert connection.connect(unique("deaf")).code == 0
            sent, some = 0, b"".join(deaf.frame(PING, b"x" * 125) for _ in range(500))
            for _ in range(256):
                sock.sendall(some)
                sent += 500
            deaf.send_frame(PING, b"the last one")
            server.assert_alive()
            assert connection.ping() == []
            assert 0 < deaf.pongs < sent * 3 // 4


def test_a_frame_that_never_ends(server, opened):
    begun = time.monotonic()
    opened.sock.sendall(opened.frame(BINARY, b"\x10", length=100))
    end_of(opened)
    assert time.monotonic() - begun < PATIENCE + 10


def test_a_websocket_without_a_word(server, opened):
    begun = time.monotonic()
    end_of(opened)
    assert time.monotonic() - begun < PATIENCE + 10


# ---- the upgrade -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status, options", [
    (400, dict(without=["connection"])), (400, dict(connection="close")), (426, dict(without=["sec-websocket-version"])),
    (426, dict(sec_websocket_version="8")), (400, dict(without=["sec-websocket-key"])), (400, dict(sec_websocket_key="c2hvcnQ=")),
    (400, dict(sec_websocket_key="?")), (400, dict(without=["sec-websocket-protocol"])), (400, dict(sec_websocket_protocol="wamp")),
    (400, dict(method="POST", content_length="0")),
])
def test_upgrades_out_of_shape(server, status, options):
    with pytest.raises(Refused) as refused:
        WebSocket.dial(server, presigned(server), **options)
    response = refused.value.response
    assert response.status == status, response
    assert json.loads(response.body)["traceId"] == response.headers["x-amzn-requestid"]
    if status == 426:
        assert response.headers.get("sec-websocket-version") == "13", response


@pytest.mark.parametrize("path", ["/", "/mqtt/", "/MQTT", "/mqtt2", "//mqtt", "/%6dqtt", "/x/../mqtt"])
def test_upgrades_elsewhere(server, path):
    signed = signing.presigned_path(server, host_of(server), path=path)
    with pytest.raises(Refused) as refused:
        WebSocket.dial(server, signed)
    assert refused.value.response.status == 404


def test_an_upgrade_by_http_1_0(server):
    with pytest.raises((Refused, *ENDED)) as refused:
        WebSocket.dial(server, presigned(server), version="HTTP/1.0")
    if refused.type is Refused:
        assert refused.value.response.status in (400, 403, 404, 426, 505)


def test_a_refused_upgrade_may_be_tried_again(server):
    with tls_socket(server) as sock:
        for path, status in [("/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256", 403), (presigned(server), 101)]:
            sock.sendall(upgrade_request(server, path)[0])
            response, _ = read_response(sock)
            assert response.status == status, response


# ---- requests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def device(server):
    return server.account.everything()


@pytest.fixture
def heard(server, device):
    """heard(filter): what was published there, up to a message that comes after all others."""
    with Wire.dial(server, device, V5) as ear:
        assert ear.connect(unique("ear")).code == 0
        assert ear.subscribe("heard/#") == [1]

        def payloads():
            ear.publish("heard/end", b"end", qos=0)
            found = []
            while (message := ear.message()).topic != "heard/end":
                found.append(message.payload)
            return found

        yield payloads


def ask(server, device, data, port="https"):
    """Sends bytes and returns the statuses of all responses, until the server closes or has nothing more to say."""
    statuses = []
    with tls_socket(server, port, device=device) as sock:
        with contextlib.suppress(*ENDED):
            sock.sendall(data)
        left = b""
        with contextlib.suppress(*ENDED):
            while True:
                response, left = read_response(sock, left)
                statuses.append(response.status)
    return statuses


def post(path="/topics/heard/a?qos=1", *headers, body=b"", version="HTTP/1.1"):
    lines = [f"POST {path} {version}", "Host: localhost", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CLOSES = "Connection: close"
SMUGGLED = post("/topics/heard/smuggled?qos=1", "Content-Length: 1", body=b"S")

SHAPES = {
    "two lengths": (post("/topics/heard/a", "Content-Length: 1", "Content-Length: 2", body=b"ab"), []),
    "length with sign": (post("/topics/heard/a", "Content-Length: +1", body=b"a"), []),
    "negative length": (post("/topics/heard/a", "Content-Length: -1", body=b"a"), []),
    "list of lengths": (post("/topics/heard/a", "Content-Length: 1, 1", body=b"a"), []),
    "length beyond numbers": (post("/topics/heard/a", "Content-Length: 99999999999999999999999", body=b"a"), []),
    "chunk size of no number": (post("/topics/heard/a", "Transfer-Encoding: chunked", body=b"x\r\na\r\n0\r\n\r\n"), []),
    "chunk size beyond numbers": (post("/topics/heard/a", "Transfer-Encoding: chunked", body=b"f" * 20 + b"\r\na\r\n0\r\n\r\n"), []),
    "chunk longer than its size": (post("/topics/heard/a", "Transfer-Encoding: chunked", body=b"1\r\nab\r\n0\r\n\r\n"), []),
    "chunk without its end": (post("/topics/heard/a", "Transfer-Encoding: chunked", body=b"1\r\na0\r\n\r\n"), []),
    "transfer coding that is not known": (post("/topics/heard/a", "Transfer-Encoding: gzip", body=b"a"), []),
    "chunked not last": (post("/topics/heard/a", "Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), []),
    "chunks by HTTP/1.0": (post("/topics/heard/a", "Transfer-Encoding: chunked", body=b"0\r\n\r\n", version="HTTP/1.0"), []),
    "folded header": (post("/topics/heard/a", "X-A: b", " c", "Content-Length: 1", body=b"a"), []),
    "space before the colon": (post("/topics/heard/a", "Content-Length : 1", body=b"a"), []),
    "header without colon": (post("/topics/heard/a", "Content-Length", body=b""), []),
    "NUL in a header": (post("/topics/heard/a", "X-A: \0", "Content-Length: 1", body=b"a"), []),
    "CR in a header": (post("/topics/heard/a", "X-A: a\rb", "Content-Length: 1", body=b"a"), []),
    "no version": (b"POST /topics/heard/a\r\nContent-Length: 1\r\n\r\na", []),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []),
    "HTTP/9": (post("/topics/heard/a", "Content-Length: 1", body=b"a", version="HTTP/9.9"), []),
    "two spaces": (b"POST  /topics/heard/a HTTP/1.1\r\nContent-Length: 1\r\n\r\na", []),
    "path with a space": (post("/topics/heard/a b", "Content-Length: 1", body=b"a"), []),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", []),
    "CONNECT": (b"CONNECT localhost:443 HTTP/1.1\r\nHost: a\r\n\r\n", []),
    "bare line feeds": (post("/topics/heard/a", "Content-Length: 1", CLOSES, body=b"a").replace(b"\r\n", b"\n"), [b"a"]),
    "absolute form": (post("https://elsewhere.example.com/topics/heard/a", "Content-Length: 1", CLOSES, body=b"a"), [b"a"]),
    "the same length twice": (post("/topics/heard/a", "Content-Length: 1", "Content-Length: 1", CLOSES, body=b"a"), [b"a"]),
    "chunks with extensions and trailers": (
        post("/topics/heard/a", "Transfer-Encoding: chunked", CLOSES, body=b"1;a=b\r\na\r\n0\r\nX-Late: 1\r\n\r\n"), [b"a"]),
    "chunks beside a length": (
        post("/topics/heard/a", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED), [b""]),
    "a length beside chunks": (
        post("/topics/heard/a", "Transfer-Encoding: chunked", f"Content-Length: {5 + len(SMUGGLED)}", body=b"0\r\n\r\n" + SMUGGLED), [b""]),
}


@pytest.mark.parametrize("case", SHAPES)
def test_requests_out_of_shape(server, device, heard, case):
    """Refused with 4xx and the end of the connection, or understood in one way only."""
    data, expected = SHAPES[case]
    statuses = ask(server, device, data)
    if expected:
        assert statuses in ([200], [400]), statuses
    else:
        assert all(400 <= status < 510 for status in statuses), statuses
    assert heard() == (expected if statuses == [200] else [])


def test_requests_one_behind_the_other(server, device, heard):
    data = b"".join(post(f"/topics/heard/{n}?qos=1", "Content-Length: 1", body=b"%d" % n) for n in range(9))
    assert ask(server, device, data + post("/topics/heard/9?qos=1", "Content-Length: 1", CLOSES, body=b"9")) == [200] * 10
    assert heard() == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize("headers", [
    ["X-A: " + "a" * 100_000], [f"X-{n}: a" for n in range(1000)], ["X-" + "a" * 100_000 + ": a"],
    [f"X-{n}: " + "a" * 2000 for n in range(60)],
], ids=["long", "many", "long-name", "long-together"])
def test_headers_beyond_the_limits(server, device, heard, headers):
    assert ask(server, device, post("/topics/heard/a", *headers, "Content-Length: 1", body=b"a")) in ([431], [400], [])
    assert heard() == []


def test_a_path_beyond_the_limits(server, device, heard):
    assert ask(server, device, post("/topics/" + "a" * 70_000, "Content-Length: 1", body=b"a")) in ([414], [431], [400], [])


@pytest.mark.parametrize("length", [131_073, 1100_000, 1 << 20])
def test_bodies_beyond_the_limit(server, device, heard, length):
    head = post("/topics/heard/a", f"Content-Length: {length}", CLOSES)
    assert ask(server, device, head + b"x" * length) == [413]
    chunks = b"%x\r\n" % length + b"x" * length + b"\r\n0\r\n\r\n"
    assert ask(server, device, post("/topics/heard/a", "Transfer-Encoding: chunked", CLOSES, body=chunks)) == [413]
    assert heard() == []


def test_a_body_without_end(server, device):
    """It is cut: nobody has to wait for all of it."""
    with tls_socket(server, "https", device=device) as sock:
        with contextlib.suppress(*ENDED):
            sock.sendall(post("/topics/heard/a", "Content-Length: 99999999999"))
            for _ in range(200):
                sock.sendall(b"x" * 65536)
            pytest.fail("13 MB of a body were taken")


@pytest.mark.parametrize("path, topic", [
    ("heard/a/b", "heard/a/b"), ("heard%2Fa%2Fb", "heard/a/b"), ("heard%2fa", "heard/a"), ("heard//a", "heard//a"),
    ("heard/a/", "heard/a/"), ("heard/../a", "heard/../a"), ("heard/%2E%2E/a", "heard/../a"), ("heard/a%20b", "heard/a b"),
    ("heard/a+b", None), ("heard/%2B", None), ("heard/%23", None), ("heard/%00", None), ("heard/%C3%A9", "heard/é"),
    ("heard/%ff", None), ("heard/%ED%A0%80", None), ("heard/%2525", "heard/%25"), ("%24SYS/a", None), ("", None),
    ("heard/1/2/3/4/5/6/7/8", None),
])
def test_topics_in_paths(server, device, path, topic):
    with Wire.dial(server, device, V5) as ear:
        assert ear.connect(unique("ear")).code == 0
        ear.subscribe("heard/#")
        statuses = ask(server, device, post(f"/topics/{path}?qos=1", "Content-Length: 1", CLOSES, body=b"a"))
        if topic is None:
            assert statuses and 400 <= statuses[0] < 500, statuses
            assert ear.ping() == []
        else:
            assert statuses == [200]
            assert ear.message().topic == topic


# ---- slow ones -------------------------------------------------------------------------------------------------------


def drip(sock, data, deadline):
    """A byte now and then until the server has enough of it: True if that is before the deadline."""
    sock.settimeout(0.2)
    with contextlib.suppress(*ENDED):
        for byte in data:
            if time.monotonic() > deadline:
                return False
            sock.sendall(bytes([byte]))
            try:
                if not sock.recv(4096):
                    return True
                # A word about it, and then the end.
                return True
            except (TimeoutError, socket.timeout, ssl.SSLWantReadError):
                pass
    return True


@pytest.mark.parametrize("port, data", [
    ("https", b"POST /topics/heard/a HTTP/1.1\r\n" + b"X-A: b\r\n" * 1000),
    ("tls", b"GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n" + b"X-A: b\r\n" * 1000),
    ("https", post("/topics/heard/a", "Content-Length: 1000") + b"a" * 1000),
    ("https", post("/topics/heard/a", "Transfer-Encoding: chunked") + b"1\r\na\r\n" * 1000),
    ("tls", post("/topics/heard/a", "Content-Length: 1000") + b"a" * 1000),
], ids=["head", "upgrade", "body", "chunks", "body-of-nobody"])
def test_slow_requests_are_cut(server, device, heard, port, data):
    # All but the last bytes of the head at once: what is slow is what is tested.
    head, slow = data[:data.index(b"\r\n") + 2], data[data.index(b"\r\n") + 2:]
    if b"\r\n\r\n" in slow:
        more, slow = slow.split(b"\r\n\r\n", 1)
        head += more + b"\r\n\r\n"
    with tls_socket(server, port, device=device if port == "https" else None) as sock:
        sock.sendall(head)
        assert drip(sock, slow, time.monotonic() + PATIENCE + 10), "still taken"
    assert heard() == []


def test_a_connection_without_a_request_is_cut(server, device):
    begun = time.monotonic()
    with tls_socket(server, "https", device=device) as sock:
        with contextlib.suppress(*ENDED):
            assert sock.recv(1) == b""
    assert time.monotonic() - begun < PATIENCE + 10
