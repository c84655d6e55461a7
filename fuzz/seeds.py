#!/usr/bin/env python3
"""Writes the seeds of each fuzz target to corpus/TARGET: right inputs, so that a fuzzer begins behind the first check.

Those of `decode`, `records` and `websocket` come from the wire vectors of the crate mqtt; those of `policies` and `reach` from the
truth tables of the crate policy and the examples of the docs; those of `prices` from the shipped price lists. Needs `cryptography`
(it is in the checkout's .venv) for certificates; without it that target has none."""

import datetime
import hashlib
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
READERS = {"new>server": 0, "4>server": 1, "5>server": 2, "4>client": 3, "5>client": 4}
REQUESTS = [
    "0GET /things?maxResults=10&attributeName=a&attributeValue=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    '0POST /things/a%20b HTTP/1.1\r\nHost: localhost\r\n\r\n{"thingTypeName":"t","attributePayload":{"attributes":{"a":"b"},"merge":true}}',
    '0PUT /target-policies/p HTTP/1.1\r\nHost: localhost\r\n\r\n{"target":"arn:aws:iot:us-east-1:123456789012:cert/a"}',
    '0POST /policies/p HTTP/1.1\r\nHost: localhost\r\n\r\n{"policyDocument":"{}","tags":[{"Key":"a","Value":"b"}]}',
    "0GET /certificates?pageSize=5&marker=x&isAscendingOrder=true HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "0DELETE /certificates/%61?forceDelete=true HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "0DELETE /principal-policies/p HTTP/1.1\r\nx-amzn-iot-principal: arn:aws:iot:us-east-1:123456789012:cert/a\r\n\r\n",
    "1POST /topics/a/b%2Fc?qos=1&retain=true&messageExpiry=5 HTTP/1.1\r\nx-amz-mqtt5-user-properties: W3siYSI6ImIifV0=\r\n"
    "x-amz-mqtt5-payload-format-indicator: UTF8_DATA\r\n\r\npayload",
    "1GET /retainedMessage?maxResults=3&nextToken=a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    '2PUT /things/a/jobs/$next HTTP/1.1\r\nHost: localhost\r\n\r\n{"statusDetails":{"a":"b"},"stepTimeoutInMinutes":5}',
    '3POST / HTTP/1.1\r\nx-amz-target: CertificateManager.ImportCertificate\r\n\r\n{"Certificate":"YQ==","PrivateKey":"YQ=="}',
    '4POST / HTTP/1.1\r\nx-amz-target: ServiceQuotasV20190624.GetServiceQuota\r\n\r\n{"ServiceCode":"iotcore","QuotaCode":"L-57BADEF0"}',
]
CREDENTIAL = "AKIAEXAMPLE/20260101/us-east-1/iotdevicegateway/aws4_request"
SIGNATURES = [
    f"GET\n/mqtt\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={CREDENTIAL.replace('/', '%2F')}&X-Amz-Date=20260101T000000Z"
    f"&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}&X-Amz-Security-Token=a%2Bb\nhost:localhost:443",
    f"POST\n/topics/a//./b%20c\nqos=1\nHost:localhost\nX-Amz-Date:20260101T000000Z\nX-Amz-Content-Sha256:{hashlib.sha256(b'').hexdigest()}\n"
    f"Authorization:AWS4-HMAC-SHA256 Credential={CREDENTIAL.replace('iotdevicegateway', 'iotdata')}, "
    f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
    f"GET\n/things\n\nHost:localhost\nDate:Thu, 01 Jan 2026 00:00:00 GMT\nAuthorization:AWS4-HMAC-SHA256 "
    f"Credential={CREDENTIAL}, SignedHeaders=date;host, Signature={'f' * 64}",
]
ID = "a" * 64
RECORDS = {
    0: dict(id=ID, pem="p", status="ACTIVE", mode="DEFAULT", created=1, modified=1, not_before=1, not_after=2, version=1, generation="g"),
    2: dict(name="thing", attributes={"a": "b"}, version=1),
}


def main():
    writers = {"decode": decode, "records": records, "websocket": websocket, "requests": lambda: map(numbered, REQUESTS),
               "signatures": lambda: map(str.encode, SIGNATURES), "settings": settings, "certificates": certificates,
               "policies": policies, "reach": reach, "prices": prices}
    for target, seeds in writers.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for count, seed in enumerate(seeds(), 1):
            (folder / f"seed-{hashlib.sha1(seed).hexdigest()[:16]}").write_bytes(seed)
        print(f"{target}: {count} seeds")


def numbered(text):
    """The first character is the choice."""
    return bytes([int(text[0])]) + text[1:].encode()


# ---- the wire vectors ----


def vectors():
    """Reader and bytes of each; the notation is told in their README."""
    for file in sorted((ROOT / "crates/mqtt/tests/vectors").glob("*.txt")):
        for line in file.read_text().splitlines():
            fields = line.split(" | ")
            if not line.startswith("#") and len(fields) >= 4:
                yield fields[1].strip(), group(re.findall(r"\"[^\"]*\"|'[^']*'|\S+", fields[2]))


def group(tokens):
    out = b""
    while tokens:
        token = tokens.pop(0)
        if token in ("@", "("):
            inner = group(tokens)
            out += varint(len(inner)) + inner
        elif token == ")":
            break
        elif token[0] == '"':
            text = token.strip('"').encode()
            out += len(text).to_bytes(2, "big") + text
        elif token[0] == "'":
            out += token.strip("'").encode()
        else:
            byte, _, times = token.partition("x")
            out += bytes([int(byte, 16)]) * int(times or 1)
    return out


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def decode():
    return (bytes([READERS[to]]) + packet for to, packet in vectors() if len(packet) < 5_000)


# ---- the others ----


def records():
    """A PUBLISH behind the head that the journal puts before it; tags; records as JSON."""
    for to, packet in vectors():
        if to.startswith("5") and packet[0] >> 4 == 3 and len(packet) < 5_000:
            yield b"\0\x01\x07" + bytes(7) + b"\x09" + packet
    yield b"\x01\x01\x03\x00\x01\x00\x00\x00\x07group"
    for choice, record in RECORDS.items():
        yield bytes([choice + 20]) + json.dumps(record).encode()


def websocket():
    """Each packet in a frame with a mask of zeros; pings, a Close, a packet in two frames."""
    for _, packet in vectors():
        if len(packet) < 126:
            yield b"\x05\x82" + bytes([0x80 | len(packet)]) + bytes(4) + packet
    yield b"\x07\x89\x81\0\0\0\0a\x82\x82\0\0\0\0\xc0\0\x88\x82\0\0\0\0\x03\xe8"
    yield b"\x03\x02\x81\0\0\0\0\xc0\x80\x81\0\0\0\0\0"


def settings():
    """The example as it is, and with all its lines in force."""
    text = (ROOT / "crates/thingcore/thingcore.example.toml").read_text()
    yield text.encode()
    yield re.sub(r"^#(?! )", "", text, flags=re.M).encode()
    for section in re.split(r"\n\n", re.sub(r"^#(?! )", "", text, flags=re.M)):
        yield section.encode()


SITE = "arn:aws:iot:us-east-1:123456789012:"
CONDITIONS = [
    {"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["PersistentConnect", "LastWill"]}},
    {"ForAnyValue:StringNotEquals": {"iot:ConnectAttributes": []}},
    {"Bool": {"iot:Connection.Thing.IsAttached": ["true"]}},
    {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}},
    {"StringLike": {"iot:ClientId": "a*?${*}"}, "NumericLessThanEquals": {"aws:EpochTime": "1"}},
]


def tables():
    """The statements of each row of the truth table: effect, action, resources."""
    for line in (ROOT / "crates/policy/tests/truth/w.txt").read_text().splitlines():
        fields = line.split(" | ")
        if not line.startswith("#") and len(fields) >= 4:
            yield [statement.split(maxsplit=2) for statement in fields[1].split("; ")]


def document(statements, condition=None):
    def one(effect, action, resources):
        element = "NotResource" if resources.startswith("!") else "Resource"
        named = [name if name.startswith("arn:") or name == "*" else SITE + name for name in resources.lstrip("!").split(", ")]
        action = action if ":" in action or action == "*" else f"iot:{action}"
        made = {"Effect": effect, "Action": [action], element: named}
        return {**made, "Condition": condition} if condition else made

    return json.dumps({"Version": "2012-10-17", "Statement": [one(*statement) for statement in statements]})


def policies():
    """The truth table as documents, conditions, and each document that the docs show."""
    for number, statements in enumerate(tables()):
        yield document(statements).encode()
        if number < len(CONDITIONS):
            yield document(statements, CONDITIONS[number]).encode()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for example in re.findall(r"```json\n(.*?)```", page.read_text(), flags=re.S):
            yield example.encode()
    yield json.dumps({"Parameters": {"Name": {"Type": "String"}}, "Resources": {"policy": {"Type": "AWS::IoT::Policy", "Properties": {
        "PolicyDocument": document([["Allow", "Connect", "client/*"]])}}}}).encode()


# As the target has them.
PIECES = ["a", "b", "/", "*", "?", "+", "#", "*a", "*a*a*a*a*a*a*a*a", "?" * 8, "*/*/*/*/*/*", "${iot:ClientId}",
          "${iot:Connection.Thing.ThingName}", "$share/g/", "*b*a?", "${*}"]
KINDS = {"Connect": 0, "Publish": 1, "RetainPublish": 2, "Subscribe": 3, "Receive": 4, "iot:*": 5}


def reach():
    """The truth table in the letters of the target, and two pieces side by side in every kind of statement."""
    for statements in tables():
        lines = [line(effect, KINDS[action], name) for effect, action, resources in statements if action in KINDS
                 for name in resources.split(", ")]
        yield b"\0" + b"\n".join(lines)
    for kind in KINDS.values():
        for first in range(16):
            for second in (3, 5, 11):
                yield bytes([first % 2, kind, 0x10 | first, 0x10 | second])


def line(effect, kind, name):
    """A statement: its head, and the pieces of its name as far as there are such."""
    marks = (0x40 if effect == "Deny" else 0) | (0x80 if name.startswith("!") else 0)
    # The kind is the rest of a division by six; a line feed would end the line.
    head = next(h for h in range(256) if h % 6 == kind and h & 0xC0 == marks and h != 10)
    rest, pieces = name.lstrip("!").partition("/")[2], b""
    while rest:
        fits = [at for at, piece in enumerate(PIECES) if rest.startswith(piece)]
        best = max(fits, key=lambda at: len(PIECES[at]), default=ord(rest[0]) % 2)
        rest = rest[len(PIECES[best]) if fits else 1:]
        pieces += bytes([0x10 | best])
    return bytes([head]) + pieces


def prices():
    """The shipped lists, each alone and tier by tier, and budgets."""
    for file in sorted((ROOT / "crates/metering/prices").glob("*.toml")):
        text = file.read_text()
        head, *tiers = text.split("[[tier]]")
        yield text.encode()
        for tier in tiers:
            yield f"{head}[[tier]]{tier}".encode()
    yield b'per_device_day = "0.01"\ntotal = "12.5"\n'
    yield b'total = "0.000000001"\n'


def certificates():
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
        from cryptography.x509.oid import NameOID
    except ImportError:
        print("no cryptography: no seeds of certificates", file=sys.stderr)
        return
    name = x509.Name([x509.NameAttribute(kind, "a") for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)])
    start, form = datetime.datetime(2026, 1, 1), serialization.Encoding
    for key in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(public_exponent=65537, key_size=2048)):
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
                .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=9000)))
        full = made.add_extension(x509.BasicConstraints(True, 1), True).add_extension(
            x509.SubjectAlternativeName([x509.DNSName("a.example.com")]), False)
        for certificate in (made.sign(key, hashes.SHA256()), full.sign(key, hashes.SHA256())):
            yield b"\0" + certificate.public_bytes(form.DER)
            yield b"\x02" + certificate.public_bytes(form.PEM)
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        yield b"\x01" + request.public_bytes(form.DER)
        yield b"\x01" + key.public_key().public_bytes(form.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


if __name__ == "__main__":
    main()
