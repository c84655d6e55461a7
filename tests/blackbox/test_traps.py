"""What AWS's SDKs and everybody's recipes do that a broker trips over, each by its name. Two more stand elsewhere:
`test_tls.py::test_session_resumption_does_not_skip_the_registry`, `test_doors.py::test_presigned_url_of_temporary_credentials`
(the session token comes after the signature)."""

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import signing
import wire
from https import Https, assert_accepted, assert_refused
from provision import Device, allow, unique
from test_provisioning import Owner, der, pem, status_of, turned_away
from test_tls import self_signed
from websocket import Refused, WebSocket, host_of, tls_socket
from wire import V5, Wire

# ---- awscrt signs `connection;host` --------------------------------------------------------------------------------


def test_connection_and_host_signed_in_a_presigned_url(server):
    path = signing.presigned_path(server, host_of(server), connection="Upgrade")
    assert "X-Amz-SignedHeaders=connection%3Bhost" in path
    with WebSocket.dial(server, path) as opened:
        assert Wire(opened, V5).connect(unique("trap")).code == 0
    # It is signed, so it counts as it was signed.
    with pytest.raises(Refused) as refused:
        WebSocket.dial(server, path, connection="keep-alive, Upgrade")
    assert refused.value.response.status == 403


def test_connection_and_host_signed_in_headers(server):
    signed = signing.crt_headers(server, host_of(server), "GET", "/mqtt", b"", "Upgrade", service="iotdevicegateway")
    assert "SignedHeaders=connection;host;x-amz-date" in signed["Authorization"]
    more = {name.replace("-", "_"): value for name, value in signed.items()}
    with WebSocket.dial(server, "/mqtt", **more) as opened:
        assert Wire(opened, V5).connect(unique("trap")).code == 0
    with pytest.raises(Refused) as refused:
        WebSocket.dial(server, "/mqtt", **{**more, "Connection": "keep-alive, Upgrade"})
    assert refused.value.response.status == 403


def test_connection_and_host_signed_in_the_headers_of_a_publish(server, topic):
    path = f"/topics/{topic}"
    signed = signing.crt_headers(server, host_of(server), "POST", path, b"x", "keep-alive")
    assert "SignedHeaders=connection;host;x-amz-date" in signed["Authorization"]
    with Https(server, "tls") as https:
        assert_accepted(https.ask("POST", path, b"x", signed))
        assert_refused(https.ask("POST", path, b"x", {**signed, "Connection": "Keep-Alive, x"}), 403, "Forbidden")


# ---- no ALPN on odd ports ------------------------------------------------------------------------------------------


def test_no_alpn_on_odd_ports(server, topic):
    """awsiotsdk offers none on ports but 443, and these are none of AWS's: the port decides what is spoken."""
    device = server.account.everything()
    assert 443 not in server.ports.values() and 8883 not in server.ports.values()
    with Wire(tls_socket(server, "mqtt", device=device), V5) as connection:
        assert connection.sock.selected_alpn_protocol() is None
        assert connection.connect(unique("trap")).code == 0
    with Https(server, "https", device) as https:
        assert_accepted(https.publish(topic, b"x"))
        assert https.connection.sock.selected_alpn_protocol() is None
    with WebSocket.dial(server, signing.presigned_path(server, host_of(server))) as opened:
        assert opened.sock.selected_alpn_protocol() is None
        assert Wire(opened, V5).connect(unique("trap")).code == 0


# ---- `openssl x509 -req` makes version 1 certificates ---------------------------------------------------------------


def values(content):
    """The DER values that stand one behind the other."""
    while content:
        size, start = content[1], 2
        if size >= 128:
            start += size - 128
            size = int.from_bytes(content[2:start], "big")
        yield content[:start + size]
        content = content[start + size:]


def contents(value):
    return value[2 + (value[1] - 128 if value[1] >= 128 else 0):]


def version_one(device, key):
    """The device with its certificate as version 1: without the version, without extensions, signed by `key`."""
    before = x509.load_pem_x509_certificate(device.certificate_pem.encode())
    kept = [value for value in values(contents(before.tbs_certificate_bytes)) if value[0] not in (0xA0, 0xA3)]
    signed = der(0x30, b"".join(kept))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    signature = der(3, b"\0" + key.sign(signed, ec.ECDSA(hashes.SHA256())))
    after = x509.load_der_x509_certificate(der(0x30, signed + ecdsa_with_sha256 + signature))
    assert after.version == x509.Version.v1
    fingerprint = after.fingerprint(hashes.SHA256()).hex()
    made = Device(device.account, device.name, dict(
        certificateId=fingerprint, certificateArn=device.account.server.arn(f"cert/{fingerprint}"), certificatePem=pem(after)),
        device.account.folder)
    with open(made.certificate_file, "w") as file:
        file.write(made.certificate_pem)
    return made


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_a_version_1_certificate_that_is_registered(server, account, tls):
    device = self_signed(account)
    with open(device.key_file, "rb") as file:
        device = version_one(device, serialization.load_pem_private_key(file.read(), None))
    account.iot.register_certificate_without_ca(certificatePem=device.certificate_pem, status="ACTIVE")
    device.attach(account.policy(allow("iot:*", "*")))
    context = wire.tls_context(server, device, newest=tls, oldest=tls)
    with Wire.dial(server, device, V5, context=context) as connection:
        assert connection.connect(unique("trap")).code == 0
    # The holder of another key is nobody with it.
    device.key_file = self_signed(account).key_file
    turned_away(server, device)


def test_a_version_1_certificate_comes_just_in_time(server, account):
    owner = Owner(account).register()
    device = version_one(owner.device(), owner.key)
    turned_away(server, device)
    assert status_of(account.iot, device) == "PENDING_ACTIVATION"
    stranger = version_one(Owner(account).device(), ec.generate_private_key(ec.SECP256R1()))
    turned_away(server, stranger)
    with pytest.raises(account.iot.exceptions.ResourceNotFoundException):
        status_of(account.iot, stranger)
