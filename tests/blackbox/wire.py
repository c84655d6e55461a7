"""A small MQTT client on a bare socket: it can send what no library would and sees every byte that comes back.

Nothing here sleeps. Whoever waits names a deadline, and what did not come by then is a failure that says what came instead.
"""

import select
import socket
import ssl
import struct
import time

DEADLINE = 15.0

V311, V5 = 4, 5

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15
NAMES = {value: name for name, value in list(globals().items()) if name.isupper() and name.isalpha() and isinstance(value, int)}

# MQTT 5 properties: identifier -> (name, how it is written).
PROPERTIES = {
    0x01: ("payload_format", "byte"), 0x02: ("message_expiry", "u32"), 0x03: ("content_type", "text"),
    0x08: ("response_topic", "text"), 0x09: ("correlation_data", "binary"), 0x0B: ("subscription_identifier", "varint"),
    0x11: ("session_expiry", "u32"), 0x12: ("assigned_client_id", "text"), 0x13: ("server_keep_alive", "u16"),
    0x15: ("authentication_method", "text"), 0x16: ("authentication_data", "binary"),
    0x17: ("request_problem_information", "byte"), 0x18: ("will_delay", "u32"),
    0x19: ("request_response_information", "byte"), 0x1A: ("response_information", "text"),
    0x1C: ("server_reference", "text"), 0x1F: ("reason_string", "text"), 0x21: ("receive_maximum", "u16"),
    0x22: ("topic_alias_maximum", "u16"), 0x23: ("topic_alias", "u16"), 0x24: ("maximum_qos", "byte"),
    0x25: ("retain_available", "byte"), 0x26: ("user_properties", "pair"), 0x27: ("maximum_packet_size", "u32"),
    0x28: ("wildcard_available", "byte"), 0x29: ("subscription_identifiers_available", "byte"),
    0x2A: ("shared_available", "byte"),
}
IDENTIFIERS = {name: (identifier, form) for identifier, (name, form) in PROPERTIES.items()}


class Closed(Exception):
    """The server closed the connection."""


class Late(AssertionError):
    """What was waited for did not come in time."""


# ---- writing ---------------------------------------------------------------------------------------------------


def varint(number):
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def properties(values):
    """The property block of MQTT 5 from a dict by name; a list of pairs for user properties."""
    out = bytearray()
    for name, value in values.items():
        identifier, form = IDENTIFIERS[name]
        for one in value if form == "pair" else [value]:
            out.append(identifier)
            out += {
                "byte": lambda v: bytes([v]), "u16": lambda v: struct.pack(">H", v), "u32": lambda v: struct.pack(">I", v),
                "text": text, "binary": text, "varint": varint, "pair": lambda v: text(v[0]) + text(v[1]),
            }[form](one)
    return varint(len(out)) + bytes(out)


def frame(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(version, client_id, clean=True, keep_alive=60, will=None, user=None, password=None, **props):
    """will: dict(topic, payload, qos, retain, **properties)."""
    flags = 0x02 if clean else 0
    tail = text(client_id)
    if will is not None:
        will = dict(will)
        topic, payload = will.pop("topic"), will.pop("payload", b"")
        flags |= 0x04 | will.pop("qos", 0) << 3 | (0x20 if will.pop("retain", False) else 0)
        tail += (properties(will) if version == V5 else b"") + text(topic) + text(payload)
    if user is not None:
        flags |= 0x80
        tail += text(user)
    if password is not None:
        flags |= 0x40
        tail += text(password)
    head = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    return frame(CONNECT, 0, head + (properties(props) if version == V5 else b"") + tail)


def publish(version, topic, payload=b"", qos=0, retain=False, dup=False, packet_id=1, **props):
    payload = payload.encode() if isinstance(payload, str) else payload
    body = text(topic) + (struct.pack(">H", packet_id) if qos else b"")
    body += properties(props) if version == V5 else b""
    return frame(PUBLISH, (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + payload)


def subscribe(version, filters, packet_id=1, **props):
    """filters: list of (filter, options byte)."""
    body = struct.pack(">H", packet_id) + (properties(props) if version == V5 else b"")
    return frame(SUBSCRIBE, 2, body + b"".join(text(name) + bytes([options]) for name, options in filters))


def unsubscribe(version, filters, packet_id=1, **props):
    body = struct.pack(">H", packet_id) + (properties(props) if version == V5 else b"")
    return frame(UNSUBSCRIBE, 2, body + b"".join(text(name) for name in filters))


def puback(packet_id):
    return acknowledgement(PUBACK, packet_id)


def acknowledgement(kind, packet_id, code=0, **props):
    """PUBACK, PUBREC, PUBREL or PUBCOMP. MQTT 3.1.1 has neither code nor properties."""
    tail = bytes([code]) + (properties(props) if props else b"") if code or props else b""
    return frame(kind, 2 if kind == PUBREL else 0, struct.pack(">H", packet_id) + tail)


def auth(code, **props):
    return frame(AUTH, 0, bytes([code]) + properties(props))


def disconnect(version, code=0, **props):
    if version == V311 or (code == 0 and not props):
        return frame(DISCONNECT, 0, b"")
    return frame(DISCONNECT, 0, bytes([code]) + (properties(props) if props else b""))


PING = frame(PINGREQ, 0, b"")


# ---- reading ---------------------------------------------------------------------------------------------------


class Packet:
    """One packet from the server; which attributes it has depends on its kind."""

    def __init__(self, kind, flags, **fields):
        self.kind, self.flags, self.fields = kind, flags, fields

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(f"{self!r} has no {name}") from None

    def __repr__(self):
        shown = {k: (v[:60] if isinstance(v, (bytes, str)) else v) for k, v in self.fields.items()}
        return f"{NAMES.get(self.kind, self.kind)}{shown}"


class Reader:
    """Takes values off the front of a packet's body."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), f"the server's packet is truncated: {self.data!r}"
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def varint(self):
        number = shift = 0
        while True:
            digit = self.byte()
            number |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return number

    def binary(self):
        return self.take(self.u16())

    def text(self):
        return self.binary().decode()

    def pair(self):
        return self.text(), self.text()

    def left(self):
        return len(self.data) - self.at

    def properties(self):
        if not self.left():
            return {}
        end, found = self.varint(), {}
        end += self.at
        while self.at < end:
            identifier = self.byte()
            assert identifier in PROPERTIES, f"unknown property 0x{identifier:02x} in {self.data!r}"
            name, form = PROPERTIES[identifier]
            value = getattr(self, form)()
            if form == "pair":
                found.setdefault(name, []).append(value)
            else:
                assert name not in found, f"{name} twice in {self.data!r}"
                found[name] = value
        assert self.at == end, f"property length is wrong in {self.data!r}"
        return found


def parse(version, first, body):
    kind, flags, read = first >> 4, first & 0x0F, Reader(body)
    v5 = version == V5
    if kind == CONNACK:
        fields = dict(session_present=bool(read.byte()), code=read.byte(), properties=read.properties() if v5 else {})
    elif kind == PUBLISH:
        qos = flags >> 1 & 3
        fields = dict(topic=read.text(), qos=qos, retain=bool(flags & 1), dup=bool(flags & 8))
        fields["packet_id"] = read.u16() if qos else None
        fields["properties"] = read.properties() if v5 else {}
        fields["payload"] = read.take(read.left())
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        fields = dict(packet_id=read.u16(), code=read.byte() if read.left() else 0)
        fields["properties"] = read.properties() if v5 else {}
    elif kind in (SUBACK, UNSUBACK):
        fields = dict(packet_id=read.u16(), properties=read.properties() if v5 else {})
        fields["codes"] = list(read.take(read.left()))
    elif kind == DISCONNECT:
        fields = dict(code=read.byte() if read.left() else 0)
        fields["properties"] = read.properties() if v5 else {}
    else:
        fields = {}
    assert not read.left(), f"{NAMES.get(kind)} has {read.left()} bytes too many: {body!r}"
    return Packet(kind, flags, **fields)


# ---- a connection ----------------------------------------------------------------------------------------------


def tls_context(server, device=None, newest=None, oldest=None):
    """A client's TLS settings: trusts the server's CA, shows the device's certificate."""
    context = ssl.create_default_context(cafile=server.ca_file)
    if device is not None:
        context.load_cert_chain(device.certificate_file, device.key_file)
    if newest:
        context.maximum_version = newest
    if oldest:
        context.minimum_version = oldest
    return context


class Wire:
    """One MQTT connection. `dial` opens the socket only; `connect` sends CONNECT and returns the CONNACK."""

    def __init__(self, sock, version):
        self.sock, self.version = sock, version
        self.buffer = bytearray()
        self.next_id = 0

    @classmethod
    def dial(cls, server, device=None, version=V5, port="mqtt", context=None, name="localhost", receive_buffer=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE)
        try:
            sock.connect(("127.0.0.1", server.ports[port]))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if port != "plain":
                context = context or tls_context(server, device)
                sock = context.wrap_socket(sock, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        return cls(sock, version)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the socket without a DISCONNECT: for the server the network broke."""
        self.sock.close()

    def send(self, data, within=DEADLINE):
        self.sock.settimeout(within)
        try:
            self.sock.sendall(data)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed(str(error)) from error

    def receive(self, within=DEADLINE):
        """The next packet. Raises Closed if the server closed, Late if nothing whole came in time."""
        end = time.monotonic() + within
        while True:
            packet = self._whole()
            if packet is not None:
                return packet
            self._fill(end)

    def _whole(self):
        shift = length = 0
        for index in range(1, 5):
            if index >= len(self.buffer):
                return None
            digit = self.buffer[index]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        start = index + 1
        if len(self.buffer) < start + length:
            return None
        first, body = self.buffer[0], bytes(self.buffer[start:start + length])
        del self.buffer[:start + length]
        return parse(self.version, first, body)

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise Late(f"no packet in time; {bytes(self.buffer[:80])!r} so far")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(262144)
        except (TimeoutError, socket.timeout):
            raise Late(f"no packet in time; {bytes(self.buffer[:80])!r} so far") from None
        except (ConnectionError, ssl.SSLError, OSError) as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    def expect(self, kind, within=DEADLINE):
        """The next packet, which must be of this kind."""
        try:
            packet = self.receive(within)
        except Closed as closed:
            raise AssertionError(f"expected {NAMES[kind]}, but the server closed: {closed}") from None
        assert packet.kind == kind, f"expected {NAMES[kind]}, got {packet!r}"
        return packet

    def expect_end(self, within=DEADLINE):
        """The server closes now, without another packet."""
        try:
            packet = self.receive(within)
        except Closed:
            return
        raise AssertionError(f"expected the end of the connection, got {packet!r}")

    def expect_disconnect(self, code, within=DEADLINE):
        """MQTT 5: DISCONNECT with this code, then the end. MQTT 3.1.1: the end."""
        packet = None
        if self.version == V5:
            packet = self.expect(DISCONNECT, within)
            assert packet.code == code, f"expected DISCONNECT 0x{code:02x}, got 0x{packet.code:02x} {packet.properties}"
        self.expect_end(within)
        return packet

    def connect(self, client_id, within=DEADLINE, **options):
        self.send(connect(self.version, client_id, **options))
        return self.expect(CONNACK, within)

    def packet_id(self):
        self.next_id += 1
        return self.next_id

    def subscribe(self, *filters, qos=1, **props):
        """SUBSCRIBE to these filters; returns the codes of the SUBACK, which must be the next packet."""
        packet_id = self.packet_id()
        rows = [one if isinstance(one, tuple) else (one, qos) for one in filters]
        self.send(subscribe(self.version, rows, packet_id, **props))
        suback = self.expect(SUBACK)
        assert suback.packet_id == packet_id
        return suback.codes

    def unsubscribe(self, *filters):
        packet_id = self.packet_id()
        self.send(unsubscribe(self.version, filters, packet_id))
        unsuback = self.expect(UNSUBACK)
        assert unsuback.packet_id == packet_id
        return unsuback.codes

    def publish(self, topic, payload=b"", qos=0, retain=False, **props):
        """PUBLISH; for QoS 1 waits for the PUBACK, which must be the next packet, and returns its code."""
        packet_id = self.packet_id() if qos else 0
        self.send(publish(self.version, topic, payload, qos, retain, packet_id=packet_id, **props))
        if not qos:
            return None
        ack = self.expect(PUBACK)
        assert ack.packet_id == packet_id
        return ack.code

    def ping(self):
        """A round trip: returns what arrived before the PINGRESP."""
        self.send(PING)
        before = []
        while True:
            packet = self.receive()
            if packet.kind == PINGRESP:
                return before
            before.append(packet)

    def message(self, within=DEADLINE, ack=True):
        """The next PUBLISH, acknowledged if it is of QoS 1."""
        packet = self.expect(PUBLISH, within)
        if ack and packet.qos == 1:
            self.send(puback(packet.packet_id))
        return packet

    def disconnect(self, code=0, **props):
        """An orderly DISCONNECT; waits for the server to close."""
        self.send(disconnect(self.version, code, **props))
        self.expect_end()
        self.close()

    def is_readable(self, within):
        """Whether anything (or the end) arrives within that many seconds. For slow tests only."""
        return bool(self.buffer) or bool(select.select([self.sock], [], [], within)[0])
