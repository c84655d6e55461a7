"""Certificates that nobody's tool would make, keys that are another's, and what the server says to whoever comes with them."""

import base64
import datetime
import json
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

import wire
from provision import unique
from tls_by_hand import ByHand
from websocket import own_address
from wire import V5, Closed, Wire

IN = "let in"
NOT_REGISTERED, INACTIVE = "DEVICE_CERTIFICATE_NOT_REGISTERED", "DEVICE_CERTIFICATE_INACTIVE"
UNSUPPORTED, BAD_SIGNATURE = "DEVICE_CERTIFICATE_UNSUPPORTED", "BadSignature"


# ---- coming in ---------------------------------------------------------------------------------------------------


def knock(server, shown, **tls):
    """Comes with a chain and a key: IN, or why not, as the server's log has it. So a handshake that our own side gave up is told
    from one that the server refused; a chain that our library does not even load is an error of the test."""
    context = wire.tls_context(server, shown, **tls)
    return _knock(server, lambda sock: context.wrap_socket(sock, server_hostname="localhost"))


def knock_by_hand(server, key, *chain):
    """The same by our own TLS 1.2, whatever chain and whatever key."""
    chain = [one.public_bytes(serialization.Encoding.DER) for one in chain]
    return _knock(server, lambda sock: ByHand(sock, chain, key))


def _knock(server, shake):
    # From a place of its own: the log counts what one address repeats.
    place, since = own_address(), server.log_mark()
    sock = socket.create_connection(("127.0.0.1", server.ports["mqtt"]), wire.DEADLINE, (place, 0))
    try:
        with Wire(shake(sock), V5) as connection:
            connection.send(wire.connect(V5, unique("odd")))
            answer = connection.receive()
            assert answer.kind == wire.CONNACK and answer.code == 0, answer
            return IN
    except (Closed, OSError):
        line = json.loads(server.wait_for_log('"Connection.AuthNError"', f'"{place}"', since=since))
        return f"{line['reason']}: {line['details']}"


class Shown:
    """A chain and a key in files, as a TLS client wants them."""

    def __init__(self, folder, key, *chain, poses=False):
        """`poses`: the key is not that of the chain's first certificate, and its file says that it were."""
        name = unique("shown")
        self.pem = pem_of(chain[0])
        self.certificate_file, self.key_file = str(folder / f"{name}.cert.pem"), str(folder / f"{name}.key.pem")
        Path(self.certificate_file).write_text("".join(pem_of(one) for one in chain))
        Path(self.key_file).write_bytes(posing(key, chain[0]) if poses else key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def posing(key, certificate):
    """A key on P-256 in a file (SEC 1) that holds the public half of the certificate instead of its own. OpenSSL compares that
    half with the certificate, and signs with the other."""
    points = certificate.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    curve = bytes.fromhex("06082a8648ce3d030107")
    body = der(0x30, der(0x02, b"\1") + der(0x04, number) + der(0xA0, curve) + der(0xA1, der(0x03, b"\0" + points)))
    return b"-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(body) + b"-----END EC PRIVATE KEY-----\n"


def pem_of(certificate):
    return ssl.DER_cert_to_PEM_cert(certificate.public_bytes(serialization.Encoding.DER))


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
