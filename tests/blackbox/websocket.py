"""A WebSocket on a bare socket: it sends frames that no library would, and under it `wire.Wire` speaks MQTT."""

import base64
import contextlib
import hashlib
import itertools
import os
import socket
import ssl
import struct

import wire

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Response:
    """An HTTP response without its chunks."""

    def __init__(self, status, headers, body=b""):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"Response({self.status}, {self.headers}, {self.body[:300]!r})"


class Refused(Exception):
    """The upgrade was refused."""

    def __init__(self, response):
        super().__init__(repr(response))
        self.response = response


class Closed(wire.Closed):
    """The server sent a Close frame."""

    def __init__(self, code, reason):
        super().__init__(f"Close frame {code} {reason}")
        self.code = code


_places = itertools.count(os.getpid() * 251)


def own_address():
    """A loopback address of its own for a client: the log counts what one address repeats instead of writing it again."""
    place = next(_places)
    return f"127.{place // 62500 % 250 + 1}.{place // 250 % 250}.{place % 250 + 2}"


def tls_socket(server, port="tls", alpn=(), device=None, name="localhost"):
    """A socket whose TLS handshake is done, from an address of its own."""
    context = wire.tls_context(server, device)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    raw = socket.create_connection(("127.0.0.1", server.ports[port]), wire.DEADLINE, (own_address(), 0))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(raw, server_hostname=name)
    except BaseException:
        raw.close()
        raise


def host_of(server, port="tls"):
    return f"localhost:{server.ports[port]}"


def upgrade_request(server, path, method="GET", version="HTTP/1.1", without=(), **changed):
    """The bytes of a right upgrade request; `changed`: headers by name with _ for -; `without`: headers left out."""
    headers = {
        "host": host_of(server), "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(), "sec-websocket-protocol": "mqtt",
    }
    headers.update({name.replace("_", "-").lower(): value for name, value in changed.items()})
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in headers.items() if name not in without]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), headers["sec-websocket-key"]


def read_response(sock, left=b""):
    """The next response on a socket, and what came behind it. Raises wire.Closed if there is none."""
    data = bytearray(left)

    def more():
        try:
            got = sock.recv(65536)
        except (ConnectionError, ssl.SSLError, OSError) as error:
            raise wire.Closed(f"{error}; {bytes(data[:200])!r} so far") from error
        if not got:
            raise wire.Closed(f"end of stream; {bytes(data[:200])!r} so far")
        data.extend(got)

    while b"\r\n\r\n" not in data:
        more()
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    data = bytearray(rest)
    while len(data) < length:
        more()
    return Response(int(first.split()[1]), headers, bytes(data[:length])), bytes(data[length:])


class WebSocket:
    """The client's side. It has the methods of a socket that `Wire` uses, so that MQTT can be spoken over it."""

    def __init__(self, sock, left=b""):
        self.sock, self.raw = sock, bytearray(left)
        self.pongs = 0

    @classmethod
    def dial(cls, server, path, alpn=(), **changed):
        """Upgrades, or raises Refused with the response."""
        sock = tls_socket(server, alpn=alpn)
        try:
            request, key = upgrade_request(server, path, **changed)
            sock.sendall(request)
            response, left = read_response(sock)
            if response.status != 101:
                raise Refused(response)
            accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            assert response.headers["sec-websocket-accept"] == accept, response
            socket_ = cls(sock, left)
            socket_.response = response
            return socket_
        except BaseException:
            sock.close()
            raise

    # ---- frames ----

    def frame(self, opcode, payload=b"", final=True, masked=True, length=None):
        """A frame's bytes; `length` is what it claims instead of its own length."""
        claimed = len(payload) if length is None else length
        if claimed < 126:
            size = bytes([claimed | (0x80 if masked else 0)])
        elif claimed < 1 << 16:
            size = bytes([126 | (0x80 if masked else 0)]) + struct.pack(">H", claimed)
        else:
            size = bytes([127 | (0x80 if masked else 0)]) + struct.pack(">Q", claimed)
        mask = os.urandom(4) if masked else b""
        if masked and payload:
            key = (mask * (len(payload) // 4 + 1))[:len(payload)]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
        return bytes([(0x80 if final else 0) | opcode]) + size + mask + payload

    def send_frame(self, *arguments, **options):
        self.sock.sendall(self.frame(*arguments, **options))

    def _take(self, count):
        while len(self.raw) < count:
            got = self.sock.recv(65536)
            if not got:
                raise wire.Closed("end of stream")
            self.raw += got
        taken = bytes(self.raw[:count])
        del self.raw[:count]
        return taken

    def receive_frame(self):
        """The next frame: opcode and payload. The server must not mask, nor cut its messages."""
        first, second = self._take(2)
        assert first & 0x80 and not second & 0x80, (first, second)
        size = second & 0x7F
        if size == 126:
            size, = struct.unpack(">H", self._take(2))
        elif size == 127:
            size, = struct.unpack(">Q", self._take(8))
        return first & 0x0F, self._take(size)

    # ---- what Wire uses ----

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def sendall(self, data):
        self.send_frame(BINARY, data)

    def recv(self, _):
        """The payload of the next binary frame."""
        while True:
            opcode, payload = self.receive_frame()
            if opcode == BINARY and payload:
                return payload
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None
                raise Closed(code, payload[2:].decode())
            if opcode == PING:
                self.send_frame(PONG, payload)
            self.pongs += opcode == PONG
            assert opcode in (BINARY, PING, PONG), (opcode, payload)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()
