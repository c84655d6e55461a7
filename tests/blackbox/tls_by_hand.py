"""The client's side of TLS 1.2 (RFC 5246) by hand. It shows any certificates and signs with any key, also those with which no
library would come: what reaches the server is then for the server to refuse."""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import wire
from test_tls_scan import TLS12, client_hello

# ECDHE-ECDSA-AES128-GCM-SHA256.
SUITE, X25519 = 0xC02B, 0x001D
CHANGE, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
SERVER_HELLO, CERTIFICATE, SERVER_KEY, SERVER_DONE, VERIFY, CLIENT_KEY, FINISHED = 2, 11, 12, 14, 15, 16, 20
LONGEST_RECORD = 1 << 14
# The random of our hello stands behind the heads of record and message, and the version.
RANDOM = slice(11, 43)


def derived(secret, label, seed, length):
    """The pseudorandom function of TLS 1.2 with SHA-256."""
    seed = label + seed
    out, step = b"", seed
    while len(out) < length:
        step = hmac.digest(secret, step, "sha256")
        out += hmac.digest(secret, step + seed, "sha256")
    return out[:length]


def sized(body):
    """A value behind its length in three bytes."""
    return len(body).to_bytes(3, "big") + body


def signed(key, data):
    """The scheme's number and a signature, by whatever kind of key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return 0x0807, key.sign(data)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return 0x0403, key.sign(data, ec.ECDSA(hashes.SHA256()))
    return 0x0401, key.sign(data, padding.PKCS1v15(), hashes.SHA256())


class Half:
    """One direction once it is encrypted."""

    def __init__(self, key, salt):
        self.cipher, self.salt, self.count = AESGCM(key), salt, 0

    def _head(self, kind, length):
        self.count += 1
        return struct.pack(">QBHH", self.count - 1, kind, TLS12, length)

    def seal(self, kind, data):
        nonce = struct.pack(">Q", self.count)
        return nonce + self.cipher.encrypt(self.salt + nonce, data, self._head(kind, len(data)))

    def open(self, kind, data):
        return self.cipher.decrypt(self.salt + data[:8], data[8:], self._head(kind, len(data) - 24))


class ByHand:
    """A connection whose handshake is done: it has the methods of a socket that `Wire` uses."""

    def __init__(self, sock, chain, key):
        """`chain`: certificates in DER."""
        self.sock, self.raw, self.messages, self.transcript = sock, b"", b"", b""
        self.writing = self.reading = None
        try:
            self._shake(chain, key)
        except BaseException:
            sock.close()
            raise

    def _shake(self, chain, key):
        hello = client_hello(TLS12, [SUITE], "localhost")
        self.transcript += hello[5:]
        self.sock.sendall(hello)
        server_random, their_point = self._flight()
        own = X25519PrivateKey.generate()
        self._say(CERTIFICATE, sized(b"".join(map(sized, chain))))
        point = own.public_key().public_bytes_raw()
        self._say(CLIENT_KEY, bytes([len(point)]) + point)
        scheme, signature = signed(key, self.transcript)
        self._say(VERIFY, struct.pack(">HH", scheme, len(signature)) + signature)
        shared = own.exchange(X25519PublicKey.from_public_bytes(their_point))
        self._switch(derived(shared, b"master secret", hello[RANDOM] + server_random, 48), hello[RANDOM], server_random)

    def _flight(self):
        """The server's first flight: its random, and its half of the key exchange."""
        random = point = None
        while True:
            kind, body = self._message()
            if kind == SERVER_HELLO:
                random = body[2:34]
            elif kind == SERVER_KEY:
                assert body[0] == 3 and int.from_bytes(body[1:3], "big") == X25519, body[:4]
                point = body[4:4 + body[3]]
            elif kind == SERVER_DONE:
                return random, point

    def _switch(self, master, client_random, server_random):
        """Both sides turn their keys on and prove that they have them."""
        keys = derived(master, b"key expansion", server_random + client_random, 40)
        self._send(CHANGE, b"\1")
        self.writing = Half(keys[:16], keys[32:36])
        self._say(FINISHED, derived(master, b"client finished", hashlib.sha256(self.transcript).digest(), 12))
        kind, _ = self._record()
        assert kind == CHANGE, kind
        self.reading = Half(keys[16:32], keys[36:40])
        proof = derived(master, b"server finished", hashlib.sha256(self.transcript).digest(), 12)
        assert self._message() == (FINISHED, proof)

    # ---- messages and records ----

    def _say(self, kind, body):
        message = bytes([kind]) + sized(body)
        self.transcript += message
        self._send(HANDSHAKE, message)

    def _send(self, kind, data):
        for start in range(0, len(data), LONGEST_RECORD):
            piece = data[start:start + LONGEST_RECORD]
            body = self.writing.seal(kind, piece) if self.writing else piece
            self.sock.sendall(struct.pack(">BHH", kind, TLS12, len(body)) + body)

    def _message(self):
        """The next message of the handshake."""
        while len(self.messages) < 4 or len(self.messages) < 4 + int.from_bytes(self.messages[1:4], "big"):
            kind, body = self._record()
            assert kind == HANDSHAKE, kind
            self.messages += body
        end = 4 + int.from_bytes(self.messages[1:4], "big")
        message, self.messages = self.messages[:end], self.messages[end:]
        self.transcript += message
        return message[0], message[4:]

    def _record(self):
        """The next record: what it holds, and the content. An alert is the end."""
        while len(self.raw) < 5 or len(self.raw) < 5 + int.from_bytes(self.raw[3:5], "big"):
            more = self.sock.recv(65536)
            if not more:
                raise wire.Closed("end of stream")
            self.raw += more
        end = 5 + int.from_bytes(self.raw[3:5], "big")
        kind, body, self.raw = self.raw[0], self.raw[5:end], self.raw[end:]
        body = self.reading.open(kind, body) if self.reading else body
        if kind == ALERT:
            raise wire.Closed(f"alert {body[-1]}")
        return kind, body

    # ---- what Wire uses ----

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def sendall(self, data):
        self._send(DATA, data)

    def recv(self, _):
        kind, body = self._record()
        assert kind == DATA, kind
        return body

    def close(self):
        self.sock.close()
