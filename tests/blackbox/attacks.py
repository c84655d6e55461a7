"""What the tests of attackers share: honest clients that must not notice, what an attack costs by /proc, certificates that
nobody's tool would make.

With ATTACKS_REPORT=FILE each attack leaves a line there; `python tests/blackbox/attacks.py FILE` makes a table of them."""

import datetime
import json
import os
import socket
import ssl
import statistics
import sys
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

import signing
import wire
from provision import unique
from websocket import WebSocket, host_of
from wire import V5, Wire

MIB = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")


class Cost:
    """What a server uses now."""

    def __init__(self, server):
        process = Path(f"/proc/{server.process.pid}")
        self.memory = server.resident_bytes()
        self.descriptors = len(list((process / "fd").iterdir()))
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        self.processor = (int(fields[11]) + int(fields[12])) / TICKS
        self.threads = int(fields[17])


class Honest(threading.Thread):
    """Clients on all transports, each sending itself numbered messages with QoS 1."""

    def __init__(self, server, count):
        super().__init__(daemon=True)
        self.server, self.count = server, count
        self.done, self.begun, self.failure = threading.Event(), threading.Event(), None
        self.latencies, self.memory, self.descriptors = [], 0, 0

    def run(self):
        clients = []
        try:
            clients = [(client, unique("honest")) for client in self._dialled()]
            for client, topic in clients:
                assert client.connect(topic, keep_alive=1200).code == 0
                client.subscribe(topic)
            self.begun.set()
            number = 0
            while not self.done.wait(0.01):
                number += 1
                for client, topic in clients:
                    self._round(client, topic, number)
                self._look()
        except BaseException as failure:
            self.failure = failure
        finally:
            self.begun.set()
            for client, _ in clients:
                client.close()

    def _dialled(self):
        device = self.server.account.everything()
        for number in range(self.count):
            yield dial(self.server, ("plain", "tls", "websocket")[number % 3], device)

    def _round(self, client, topic, number):
        started = time.monotonic()
        client.send(wire.publish(client.version, topic, str(number), qos=1, packet_id=client.packet_id()))
        # The message and its acknowledgement, in whatever order.
        packets = {packet.kind: packet for packet in (client.receive(), client.receive())}
        assert packets[wire.PUBACK].code == 0 and int(packets[wire.PUBLISH].payload) == number, packets
        client.send(wire.puback(packets[wire.PUBLISH].packet_id))
        self.latencies.append(time.monotonic() - started)

    def _look(self):
        cost = Cost(self.server)
        self.memory, self.descriptors = max(self.memory, cost.memory), max(self.descriptors, cost.descriptors)

    def start_and_wait(self):
        self.start()
        assert self.begun.wait(60)
        return self

    def served(self):
        """Waits until each of them was served once more, or one was not."""
        enough = len(self.latencies) + self.count
        until(lambda: len(self.latencies) > enough or self.failure, "the honest are not served any more")
        assert self.failure is None, f"an honest client met {self.failure!r} after {len(self.latencies)} messages"

    def look_again(self):
        """From now on, only what is from now on counts."""
        self.latencies, self.memory, self.descriptors = [], 0, 0

    def finish(self):
        self.done.set()
        self.join(wire.DEADLINE * 2)

    def median(self):
        return statistics.median(self.latencies)


def dial(server, transport, device=None, version=V5, **options):
    """A connection of one of the three transports, let in and without a word of MQTT."""
    if transport == "plain":
        return Wire.dial(server, None, version, port="plain", **options)
    if transport == "tls":
        return Wire.dial(server, device or server.account.everything(), version, **options)
    return Wire(WebSocket.dial(server, signing.presigned_path(server, host_of(server))), version)


def until(true, what, within=wire.DEADLINE):
    """Waits for something that /proc shows, for want of an event."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def is_over(connection, within=wire.DEADLINE):
    """Reads to the end; what came before it. None if there was no end in time."""
    packets, end = [], time.monotonic() + within
    try:
        while time.monotonic() < end:
            packets.append(connection.receive(max(end - time.monotonic(), 0.01)))
    except wire.Late:
        return None
    except (wire.Closed, OSError):
        return packets
    return None


def report(node, honest, before, after):
    """Leaves a line of what an attack has cost, if somebody asked for it."""
    path = os.environ.get("ATTACKS_REPORT")
    if path:
        row = dict(
            attack=node.originalname, honest=honest.count, messages=len(honest.latencies), median=honest.median() * 1000,
            longest=max(honest.latencies) * 1000, memory=(honest.memory - before.memory) / MIB,
            descriptors=honest.descriptors - before.descriptors, processor=after.processor - before.processor)
        with open(path, "a") as file:
            file.write(json.dumps(row) + "\n")


def table(path):
    """The lines of a report as a table, the worst case of each attack; those with as many honest clients together."""
    groups = {}
    for row in map(json.loads, Path(path).read_text().splitlines()):
        groups.setdefault((row["attack"], row["honest"]), []).append(row)
    print("| attack | cases | honest clients | their messages | median, ms | longest, ms | memory, MiB | sockets | processor, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (attack, honest), rows in groups.items():
        worst = {name: max(row[name] for row in rows) for name in rows[0] if name not in ("attack", "messages")}
        print(f"| {attack.removeprefix('test_').replace('_', ' ')} | {len(rows)} | {honest} | {sum(row['messages'] for row in rows)} "
              f"| {worst['median']:.1f} | {worst['longest']:.1f} | {max(worst['memory'], 0):.0f} | {max(worst['descriptors'], 0)} "
              f"| {worst['processor']:.1f} |")


# ---- certificates ------------------------------------------------------------------------------------------------


def der(tag, body):
    """One value of DER."""
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def forged(key, *extensions, issuer=None, issuer_key=None, serial=None, starts=-1, ends=30, subject=None):
    """A certificate; `starts` and `ends` in days from now."""
    now, own = datetime.datetime.now(datetime.timezone.utc), named(subject or unique("odd"))
    builder = (
        x509.CertificateBuilder().subject_name(own).issuer_name(issuer or own).public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=starts))
        .not_valid_after(now + datetime.timedelta(days=ends)))
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(issuer_key or key, hashes.SHA256())


def resigned(certificate, key, change):
    """The certificate with its signed part changed, and signed again."""
    signed = change(certificate.tbs_certificate_bytes)
    return rewritten(certificate, signed, key.sign(signed, ec.ECDSA(hashes.SHA256())))


class Raw:
    """A certificate as bytes that no tool has read."""

    def __init__(self, content):
        self.content = content

    def public_bytes(self, _):
        return self.content


def rewritten(certificate, signed, signature):
    algorithm = der(0x30, der(0x06, bytes.fromhex("2a8648ce3d040302")))
    return Raw(der(0x30, signed + algorithm + der(0x03, b"\0" + signature)))


def twisted(certificate):
    """The same certificate with the other signature that every ECDSA signature has: it verifies, and its hash is new."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = decode_dss_signature(certificate.signature)
    return rewritten(certificate, certificate.tbs_certificate_bytes, encode_dss_signature(r, order - s))


def negative_serial(signed):
    """The serial number is the first INTEGER behind the version: its first bit is the sign."""
    at = signed.index(b"\x02\x14", 4) + 2
    return signed[:at] + bytes([signed[at] | 0x80]) + signed[at + 1:]


def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


class Shown:
    """A chain and a key in files, as a TLS client wants them."""

    def __init__(self, folder, key, *chain):
        name = unique("shown")
        self.pem = pem_of(chain[0])
        self.certificate_file, self.key_file = str(folder / f"{name}.cert.pem"), str(folder / f"{name}.key.pem")
        Path(self.certificate_file).write_text("".join(pem_of(one) for one in chain))
        Path(self.key_file).write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def pem_of(certificate):
    return ssl.DER_cert_to_PEM_cert(certificate.public_bytes(serialization.Encoding.DER))


class Recorder:
    """Stands between a client and the server and keeps what the client sends, as a listener on the path does."""

    def __init__(self, server, port):
        self.server, self.port, self.heard = server, port, bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = self.listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.server.ports[self.port]))
        threading.Thread(target=self._carry, args=(far, near, None), daemon=True).start()
        self._carry(near, far, self.heard)

    @staticmethod
    def _carry(source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            sock.close()

    def close(self):
        self.listener.close()


if __name__ == "__main__":
    table(sys.argv[1])
