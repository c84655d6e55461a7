#!/usr/bin/env python3
"""Writes the seeds of each fuzz target to corpus/TARGET: right inputs, so that a fuzzer begins behind the first check.

Those of `decode`, `records` and `websocket` come from the wire vectors of the crate mqtt; those of `policies` and `reach` from the
truth tables of the crate policy and the examples of the docs; those of `prices` from the shipped price lists. `records` has a record
for each keyspace of the registry: a new one needs one here. Needs `cryptography`
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
# What a peer of the gateway says, behind the terms on which it is there: a signature or an authorizer decides, all is taken.
UPGRADE = ("GET /mqtt{} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}\r\n{}\r\n")
AUTHORIZER = "x-amz-customauthorizer-name: a\r\nx-amz-customauthorizer-signature: c2ln\r\ntoken: t\r\n"
FRAME = "\x82\x82\0\0\0\0\xc0\0"
PEERS = [
    "\0" + UPGRADE.format("?" + SIGNATURES[0].split("\n")[2], "mqtt", ""),
    "\0" + UPGRADE.format("", "mqtt", "X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + CREDENTIAL
                          + ", SignedHeaders=host;x-amz-date, Signature=" + "0" * 64 + "\r\n"),
    "\0" + UPGRADE.format("?x-amz-customauthorizer-name=a&token=t%20u&x-amz-customauthorizer-signature=c2ln", "mqtt", "") + FRAME,
    "\x02" + UPGRADE.format("", "other, mqtt", AUTHORIZER) + FRAME,
    "\x82" + UPGRADE.format("", "mqttv3.1", AUTHORIZER) + FRAME,
    "\x04" + UPGRADE.format("", "mqtt", ""),
    "\x42" + UPGRADE.format("", "mqtt", AUTHORIZER + "Origin: http://localhost:8080\r\n"),
    "\0POST /topics/a?qos=1 HTTP/1.1\r\nHost: h\r\n" + AUTHORIZER + "Content-Length: 2\r\n\r\nhi" + "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "\0POST /topics/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "\x10GET /things HTTP/1.0\r\n\r\n",
]
ID, ARN = "a" * 64, "arn:aws:iam::123456789012:role/r"
TIMES = dict(created=1, modified=1, not_before=1, not_after=2)
# A record of each space of the registry, by the name of its keyspace.
RECORDS = {
    "REGISTRATION_CODE": dict(code=ID, created=1),
    "POLICY_TARGETS": dict(attached=1),
    "TARGET_POLICIES": dict(attached=1),
    "AUTHORIZERS": dict(name="a", function_arn="arn:aws:lambda:us-east-1:123456789012:function:f", token_key_name="t",
                        public_keys={"k": "p"}, status="ACTIVE", signing_disabled=False, caching_for_http=True, created=1, modified=1),
    "DEFAULT_AUTHORIZER": dict(name="a"),
    "BILLING_GROUPS": dict(name="b", id=ID, description="d", version=1, created=1, closing=True),
    "BILLING_GROUP_THINGS": {},
    "CA_CERTIFICATES": dict(id=ID, pem="p", subject="s", status="INACTIVE", mode="SNI_ONLY", auto_registration=True, version=1,
                            registration_config=dict(template_body="{}", role_arn=ARN, template_name="t"), generation="g", **TIMES),
    "CA_SUBJECTS": {},
    "CERTIFICATES": dict(id=ID, pem="p", status="ACTIVE", mode="DEFAULT", ca_certificate_id=ID, version=1, generation="g", **TIMES),
    "SIGNED_PARTS": ID,
    "DOMAIN_CONFIGURATIONS": dict(
        name="d", id="1", domain_name="a.example.com", managed=False, enabled=True, status_changed=1,
        authorizer=dict(default="a", allow_override=True), security_policy="IoTSecurityPolicy_TLS13_1_3_2022_10",
        authentication_type="AWS_X509", application_protocol="SECURE_MQTT", server_certificate_arn="s", validation_certificate_arn="v",
        server_certificate_config=dict(enable_ocsp_check=True, ocsp_lambda_arn="l", ocsp_authorized_responder_arn="r"),
        client_certificate_callback="c"),
    "DOMAIN_NAMES": dict(configuration="d"),
    "GUARDS": dict(additions=1),
    "IDENTITY_POOLS": dict(id="us-east-1:1", name="p", allow_unauthenticated=True, allow_classic_flow=True, developer_provider="d",
                           login_providers={"a": "b"}, roles={"authenticated": ARN}, created=1),
    "COGNITO_IDENTITIES": dict(pool_id="us-east-1:1", logins=["a"], created=1),
    "POOL_IDENTITIES": {},
    "LOGINS": dict(identity="us-east-1:2"),
    "IAM_ROLES": dict(name="r", id="AROA", created=1, from_configuration=True, description="d", max_session_seconds=3600, trust="{}",
                      policies={"p": "{}"}),
    "IAM_USERS": dict(name="u", id="AIDA", created=1, from_configuration=True, policies={"p": "{}"},
                      access_keys=[dict(id="AKIA", secret="s", status="Active", created=1)]),
    "IAM_ACCESS_KEYS": dict(user="u"),
    "LOGGING_OPTIONS": dict(role_arn=ARN, default_level="INFO", disabled=True,
                            events=[dict(event_type="Connect", level="DEBUG", destination="d")]),
    "LOGGING_LEVELS": dict(level="ERROR"),
    "ORDER": {},
    "POLICIES": dict(name="p", default_version=1, versions=[dict(id=1, document="{}", created=1)], last_version=1, created=1, modified=1,
                     generation="g", closing=True),
    "PROVISIONING_TEMPLATES": dict(
        name="t", type="FLEET_PROVISIONING", description="d", enabled=True, role_arn=ARN, hook=dict(payload_version="v", target_arn="f"),
        default_version=1, versions=[dict(id=1, body="{}", created=1)], last_version=1, created=1, modified=1),
    "SERVER_CERTIFICATES": dict(
        id="s", created=1, imported=1, tags={"a": "b"}, in_service=None, current=dict(
            certificate="c", chain="c", private_key="k", names=["a.example.com"], common_name="a", key_algorithm="RSA_2048", for_servers=True,
            depth=1, not_before=1, not_after=2)),
    "TAGS": dict(value="v"),
    "THING_GROUPS": dict(name="g", id="1", parent="h", ancestors=["h"], description="d", attributes={"a": "b"}, version=1, created=1,
                         closing=True),
    "GROUP_CHILDREN": {},
    "THING_MEMBERSHIPS": dict(joined=1),
    "GROUP_MEMBERS": dict(joined=1),
    "THING_PRINCIPALS": dict(type="EXCLUSIVE_THING", attached=1),
    "PRINCIPAL_THINGS": dict(type="NON_EXCLUSIVE_THING", attached=1),
    "THING_TYPES": dict(name="t", id="1", created=1, deprecated=2, properties=dict(
        description="d", searchable_attributes=["a"],
        propagating_attributes=[dict(user_property_key="k", thing_attribute="a", connection_attribute="iot:ClientId")])),
    "TYPE_THINGS": {},
    "THINGS": dict(name="thing", id="1", type_name="t", attributes={"a": "b"}, billing_group="b", version=1, created=1, modified=1),
}
SESSIONS = [
    dict(incarnation="i", version=4, expiry=3600, ended=None, subscriptions=[dict(filter="a/+", qos=1)]),
    dict(incarnation="0f", version=5, expiry=4294967295, ended=1_767_225_600_000, received=[1, 65535], seen=7, released=[2, 3], finished=[9],
         subscriptions=[dict(filter="$share/group/a/#", qos=2, no_local=True, retain_as_published=True, identifier=268435455),
                        dict(filter="#", qos=0), dict(filter="#", qos=1)]),
]
PRINCIPALS = [
    {"Certificate": ID}, {"AccessKey": "AKIA"}, {"Plain": "p"}, {"Custom": dict(principal_id="p", authorizer="a")},
    {"Iam": dict(access_key_id="ASIA", unique_id="AROA:s", kind={"Role": dict(name="r", session="s")}, session_policy="{}",
                 cognito=dict(id="us-east-1:2", pool_id="us-east-1:1", authenticated=True),
                 device=dict(thing_name="t", thing_type_name=None, certificate_id=ID))},
]
GRANT = dict(authorizer="a", documents=['{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'])
# The readers of the target `records` before those of the registry, as it numbers them.
MESSAGE, TAG, BLOCK, QUEUE, SESSION, WILL, RETAINED, REGISTRY = range(8)

def main():
    writers = {"decode": decode, "records": records, "websocket": websocket, "requests": requests,
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


def requests():
    """Requests to the services, and peers of the gateway."""
    yield from map(numbered, REQUESTS)
    for peer in PEERS:
        yield b"\x05" + peer.encode("latin-1")


def spaces():
    """The keyspaces of the registry, in the order of the target `records`."""
    return re.findall(r"same\(&[\w:]*\b([A-Z_]+), bytes\)", (ROOT / "fuzz/fuzz_targets/records.rs").read_text())


def messages():
    """A PUBLISH behind the head that the journal puts before it."""
    for to, packet in vectors():
        if to.startswith("5") and packet[0] >> 4 == 3 and len(packet) < 5_000:
            yield b"\x01\x07" + bytes(7) + b"\x09" + packet


def records():
    """Messages, tags, queues, sessions, wills, retained messages, and a record of each space of the registry."""
    for message in messages():
        yield bytes([MESSAGE]) + message
        yield bytes([RETAINED]) + (1_767_225_600_000).to_bytes(8, "big") + message
    yield bytes([TAG]) + b"\x01\x03\x00\x01\x00\x00\x00\x07group"
    yield from queues()
    for session in SESSIONS:
        yield bytes([SESSION]) + json.dumps(session).encode()
    for principal in PRINCIPALS:
        will = dict(principal=principal, peer="192.0.2.1:1883", server_name="localhost", expiry=60, grant=GRANT,
                    message=next(messages()).hex())
        yield bytes([WILL]) + json.dumps(will).encode()
    for number, space in enumerate(spaces(), REGISTRY):
        yield bytes([number]) + json.dumps(RECORDS[space]).encode()


def queues():
    """Names, and blocks with one reference, with some, and full."""
    for name in (b"client\0i\0", b"\0client\0i\0", b"$group\0$share/g/a\0s\0"):
        yield bytes([QUEUE]) + name
        for count in (1, 3, 64):
            key = len(name).to_bytes(2, "big") + name + (5).to_bytes(8, "big")
            references = (at.to_bytes(8, "big") + b"\x02\x01\x00" for at in range(5, 5 + count))
            yield bytes([BLOCK, len(key)]) + key + b"".join(references)


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
