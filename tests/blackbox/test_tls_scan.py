"""What a scanner of TLS finds: for each security policy exactly its versions and suites, whatever a client offers.

The scanner writes its ClientHello by hand and offers every code point of the ranges in which suites were ever registered, 2304 of
them. What the server takes it offers no more, until the server refuses: so the answer is the whole set. TLS 1.2's suites go with
the server's kind of key.

What was found stands in docs/threat-model.md: `UPDATE_DOCS=1` writes it there."""

import fcntl
import os
import socket
import struct
from pathlib import Path

import pytest

import wire
from provision import unique
from server import Server
from test_domain_configurations import Bought, host
from websocket import own_address

SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
OLDER = (TLS11, TLS10, SSL3)
# Every range in which a suite was ever registered, SSL 2's and GREASE's neighbours included.
EVERY = [high << 8 | low for high in (0x00, 0x13, 0x56, 0xC0, 0xC1, 0xCC, 0xD0, 0xFE, 0xFF) for low in range(256)]

NEW = {0x1301, 0x1302, 0x1303}
# ECDHE with AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305.
OLD = {"ec": {0xC02B, 0xC02C, 0xCCA9}, "rsa": {0xC02F, 0xC030, 0xCCA8}}
POLICIES = {
    "IoTSecurityPolicy_TLS13_1_3_2022_10": (NEW, False),
    "IoTSecurityPolicy_TLS13_1_2_2022_10": (NEW, True),
    "IoTSecurityPolicy_TLS12_1_2_2022_10": (set(), True),
    "IoTSecurityPolicy_TLS12_1_0_2016_01": (set(), True),
}
NAMES = {
    0x1301: "AES128-GCM-SHA256", 0x1302: "AES256-GCM-SHA384", 0x1303: "CHACHA20-POLY1305-SHA256",
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256", 0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384", 0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256", 0xC030: "ECDHE-RSA-AES256-GCM-SHA384", 0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305"}

PAGE = Path(__file__).resolve().parents[2] / "docs" / "threat-model.md"
HEAD = ["| endpoint | key | TLS 1.3 | TLS 1.2 | TLS 1.1, 1.0, SSL 3 |", "|---|---|---|---|---|"]
# The endpoint without a domain configuration: its ports by the names of the ready file, and one in another partition.
DEFAULTS, GOVCLOUD = {"mqtt": "default, port 8883", "tls": "default, port 443", "https": "default, port 8443"}, "default, GovCloud"
ROWS = [(name, "ec") for name in [*DEFAULTS.values(), GOVCLOUD]] + [(policy, kind) for policy in POLICIES for kind in OLD]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of our own: there may be ten domain configurations only."""
    server = Server(tmp_path_factory.mktemp("scanned")).start()
    yield server
    server.stop()


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def listed(numbers, size=">H"):
    body = b"".join(struct.pack(">H", number) for number in numbers)
    return struct.pack(size, len(body)) + body


def client_hello(version, suites, name, extras=b""):
    """A ClientHello that can do this version only. For TLS 1.3 it brings no key share: the suite is chosen before that."""
    name = name.encode()
    extensions = extension(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name)
    extensions += extension(10, listed([0x001D, 0x0017, 0x0018])) + extension(11, b"\x01\x00")
    extensions += extension(13, listed([0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201]))
    if version == TLS13:
        extensions += extension(43, b"\x02\x03\x04") + extension(51, b"\x00\x00")
    extensions += extras
    body = struct.pack(">H", min(version, TLS12)) + bytes(32) + b"\x00" + listed(suites) + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16" + struct.pack(">HH", min(version, TLS10), len(message)) + message


def answer(server, port, data):
    """What the server says to a first flight: ("hello", version, suite), ("alert", number) or None for silence."""
    with socket.create_connection(("127.0.0.1", server.ports[port]), wire.DEADLINE, (own_address(), 0)) as sock:
        sock.sendall(data)
        got = b""
        try:
            while len(got) < 5 or len(got) < 5 + int.from_bytes(got[3:5], "big"):
                more = sock.recv(65536)
                if not more:
                    return None
                got += more
        except ConnectionError:
            return None
    if got[0] == 0x15:
        return "alert", got[6]
    assert got[0] == 0x16 and got[5] == 2, got[:80]
    # Record, message, version, random, session id.
    session = 5 + 4 + 2 + 32
    after = session + 1 + got[session]
    return "hello", struct.unpack(">H", got[9:11])[0], struct.unpack(">H", got[after:after + 2])[0]


def taken(server, version, name, port="mqtt"):
    """The suites that the server takes for a version."""
    offered, found = list(EVERY), set()
    while (said := answer(server, port, client_hello(version, offered, name))) is not None and said[0] == "hello":
        suite = said[2]
        assert suite in offered, f"0x{suite:04x} was not offered"
        found.add(suite)
        offered.remove(suite)
    return found


# ---- the page ----------------------------------------------------------------------------------------------------


def rows_of(lines):
    """The rows of the page's table, and where they stand."""
    start = lines.index(HEAD[0]) + len(HEAD)
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines))
    return lines[start:end], start, end


def key_of(line):
    return tuple(cell.strip() for cell in line.split("|")[1:3])


def tell(endpoint, kind, found):
    """What was found is what the page says, or will be."""
    said = [", ".join(NAMES.get(suite, hex(suite)) for suite in sorted(found[version])) or "none" for version in (TLS13, TLS12)]
    older = set().union(*(found[version] for version in OLDER))
    line = "| " + " | ".join([endpoint, kind, *said, ", ".join(map(hex, sorted(older))) or "none"]) + " |"
    if not os.environ.get("UPDATE_DOCS"):
        assert line in rows_of(PAGE.read_text().splitlines())[0], f"{PAGE} does not say {line}: UPDATE_DOCS=1 makes it anew"
        return
    with open(PAGE, "r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)
        lines = page.read().splitlines()
        rows, start, end = rows_of(lines)
        known = {**{key_of(row): row for row in rows}, (endpoint, kind): line}
        lines[start:end] = [known[key] for key in ROWS if key in known]
        page.seek(0)
        page.truncate()
        page.write("\n".join(lines) + "\n")


def test_the_page_has_a_row_for_each_scan():
    if os.environ.get("UPDATE_DOCS"):
        pytest.skip("the page is being made")
    assert [key_of(row) for row in rows_of(PAGE.read_text().splitlines())[0]] == ROWS


# ---- the scan ----------------------------------------------------------------------------------------------------


def scan(server, name, port="mqtt"):
    """The suites that the server takes, by version."""
    return {version: taken(server, version, name, port) for version in (TLS13, TLS12, *OLDER)}


def exactly(new, old):
    return {TLS13: new, TLS12: old, **{version: set() for version in OLDER}}


@pytest.mark.parametrize("port", DEFAULTS)
def test_the_default_endpoint_takes_its_policy_and_no_more(server, port):
    found = scan(server, "localhost", port)
    assert found == exactly(NEW, OLD["ec"])
    tell(DEFAULTS[port], "ec", found)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_domain_takes_its_policy_and_no_more(server, policy, kind):
    new, is_old = POLICIES[policy]
    name = host()
    bought = Bought(name, kind=kind)
    certificate = server.boto("acm").import_certificate(**bought.members())["CertificateArn"]
    iot, configuration = server.boto("iot"), unique("scan")
    iot.create_domain_configuration(
        domainConfigurationName=configuration, domainName=name, serverCertificateArns=[certificate],
        tlsConfig={"securityPolicy": policy})
    try:
        found = scan(server, name)
        assert found == exactly(new, OLD[kind] if is_old else set())
        tell(policy, kind, found)
    finally:
        iot.update_domain_configuration(domainConfigurationName=configuration, domainConfigurationStatus="DISABLED")
        iot.delete_domain_configuration(domainConfigurationName=configuration)


def test_the_policy_of_govcloud_has_no_chacha_in_tls_1_3(new_server, tmp_path):
    config = tmp_path / "thingcore.toml"
    config.write_text('[account]\nregion = "us-gov-west-1"\n')
    server = new_server("--config", config)
    found = scan(server, "localhost")
    assert found == exactly(NEW - {0x1303}, OLD["ec"])
    tell(GOVCLOUD, "ec", found)


HEARTBEAT, COMPRESSED_CERTIFICATE, EARLY_DATA, TICKET = 15, 27, 42, 35


@pytest.mark.parametrize("extras", [
    extension(HEARTBEAT, b"\x01"), extension(EARLY_DATA, b""), extension(TICKET, bytes(200)),
    extension(COMPRESSED_CERTIFICATE, b"\x06\x00\x01\x00\x02\x00\x03")], ids=["heartbeat", "early-data", "ticket", "compression"])
def test_what_else_a_client_offers_changes_nothing(server, extras):
    """The suites are the same, and the server lives."""
    said = answer(server, "mqtt", client_hello(TLS12, EVERY, "localhost", extras))
    assert said is not None and (said[0] == "alert" or said[2] in OLD["ec"]), said


@pytest.mark.parametrize("data", [
    # SSL 2's CLIENT-HELLO: version 2, two ciphers, a challenge.
    b"\x80\x1c\x01\x00\x02\x00\x06\x00\x00\x00\x10\x07\x00\xc0\x01\x00\x80" + bytes(16),
    client_hello(TLS12, [], "localhost"),
    client_hello(TLS12, [0x00FF], "localhost"),
    client_hello(TLS12, [0x0000, 0x0001, 0x0002, 0xC010, 0xC015], "localhost"),
], ids=["ssl-2", "no-suite", "renegotiation-only", "null-suites"])
def test_hellos_without_a_suite_are_refused(server, data):
    said = answer(server, "mqtt", data)
    assert said is None or said[0] == "alert", said


def test_a_downgrade_does_not_go_unseen(server):
    """Or shown: whoever was talked down to TLS 1.2 finds the sentinel in the server's random (RFC 8446, 4.1.3), or gets the
    alert of TLS_FALLBACK_SCSV (RFC 7507)."""
    sock = socket.create_connection(("127.0.0.1", server.ports["mqtt"]), wire.DEADLINE, (own_address(), 0))
    with sock:
        sock.sendall(client_hello(TLS12, sorted(OLD["ec"]) + [0x5600], "localhost"))
        got = sock.recv(65536)
    if got[0] == 0x16:
        assert got[11:43].endswith(b"DOWNGRD\x01"), got[11:43]
