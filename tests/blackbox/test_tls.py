"""Who may finish a handshake: certificates the registry knows, and versions the security policy names."""

import datetime
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import odd_certificates as odd
import wire
from provision import Device, allow, unique
from test_domain_configurations import Bought
from wire import CONNACK, V5, V311, Closed, Wire

NEITHER = (ssl.SSLError, ConnectionError, Closed)


def self_signed(account, days=30, started=1):
    """A key and a self-signed certificate no one has registered."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, unique("own"))])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=started))
        .not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256()))
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    device = Device(account, unique("own"), dict(certificateId=fingerprint, certificateArn="", certificatePem=pem), account.folder)
    with open(device.certificate_file, "w") as file:
        file.write(pem)
    with open(device.key_file, "wb") as file:
        file.write(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return device


def assert_no_connection(server, device, **options):
    """The handshake or the first read fails: no CONNACK ever comes."""
    with pytest.raises(NEITHER):
        with Wire.dial(server, device, V5, **options) as connection:
            connection.send(wire.connect(V5, unique()))
            packet = connection.receive()
            pytest.fail(f"the server answered {packet!r}")


def test_unregistered_certificate_is_refused(server, account):
    mark = server.log_mark()
    device = self_signed(account)
    assert_no_connection(server, device)
    server.wait_for_log("DEVICE_CERTIFICATE_NOT_REGISTERED", since=mark)


def test_no_certificate_is_refused(server):
    assert_no_connection(server, None)


@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_certificate_that_is_not_active_is_refused(server, account, status):
    device = account.device(allow("iot:*", "*"))
    device.set_status(status)
    assert_no_connection(server, device)


def test_certificate_created_inactive_works_once_activated(server, account, dial):
    device = account.certificate(active=False)
    device.attach(account.policy(allow("iot:*", "*")))
    assert_no_connection(server, device)
    device.set_status("ACTIVE")
    assert dial(device).connect(unique()).code == 0


def test_deleted_certificate_is_refused(server, account):
    device = account.certificate()
    device.set_status("INACTIVE")
    account.iot.delete_certificate(certificateId=device.certificate_id)
    assert_no_connection(server, device)


def test_self_made_certificate_works_once_registered(server, account, dial):
    device = self_signed(account)
    registered = account.iot.register_certificate_without_ca(certificatePem=device.certificate_pem, status="ACTIVE")
    device.arn = registered["certificateArn"]
    assert registered["certificateId"] == device.certificate_id
    device.attach(account.policy(allow("iot:*", "*")))
    assert dial(device).connect(unique()).code == 0


def test_expired_certificate_is_refused_although_active(server, account):
    """Registered while valid is not testable without a clock; the registry may refuse it already."""
    device = self_signed(account, days=-1, started=10)
    try:
        registered = account.iot.register_certificate_without_ca(certificatePem=device.certificate_pem, status="ACTIVE")
    except account.iot.exceptions.ClientError:
        return
    device.arn = registered["certificateArn"]
    device.attach(account.policy(allow("iot:*", "*")))
    assert_no_connection(server, device)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_registered_certificate_with_a_foreign_key_is_refused(server, account, newest):
    """Knowing the certificate is not enough: the handshake proves the key."""
    honest, thief = odd.ec_key(), odd.ec_key()
    certificate = odd.forged(honest)
    account.iot.register_certificate_without_ca(certificatePem=odd.pem_of(certificate), status="ACTIVE")
    found = odd.knock(server, odd.Shown(account.folder, thief, certificate, poses=True), newest=newest)
    assert odd.BAD_SIGNATURE in found, found


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_both_tls_versions_work(server, account, dial, version, tls):
    device = account.everything()
    connection = dial(device, version, context=wire.tls_context(server, device, newest=tls, oldest=tls))
    assert connection.connect(unique()).code == 0
    assert connection.sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[tls]


def test_tls_1_1_is_refused(server, account):
    context = wire.tls_context(server, account.everything())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Wire.dial(server, None, V5, context=context)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_server_certificate_names_this_machine(server, account, dial, name):
    connection = dial(account.everything(), name=name)
    assert connection.connect(unique()).code == 0


def test_missing_server_name_is_accepted(server, account, dial):
    device = account.everything()
    context = wire.tls_context(server, device)
    context.check_hostname = False
    assert dial(device, context=context, name=None).connect(unique()).code == 0


def test_session_resumption_does_not_skip_the_registry(server, account):
    """A client that was let in once and whose certificate was then deactivated must not get in on a TLS session."""
    device = account.device(allow("iot:*", "*"))
    context = wire.tls_context(server, device, newest=ssl.TLSVersion.TLSv1_2)

    def attempt(session=None):
        raw = socket.create_connection(("127.0.0.1", server.ports["mqtt"]), timeout=wire.DEADLINE)
        return Wire(context.wrap_socket(raw, server_hostname="localhost", session=session), V5)

    with attempt() as first:
        assert first.connect(unique()).code == 0
        session = first.sock.session
    device.set_status("INACTIVE")
    with pytest.raises(NEITHER):
        with attempt(session) as second:
            second.send(wire.connect(V5, unique()))
            packet = second.receive()
            pytest.fail(f"the server answered {packet!r}")


def test_plain_port_needs_no_certificate(dial, version):
    connection = dial(None, version, port="plain")
    connection.send(wire.connect(version, unique()))
    assert connection.expect(CONNACK).code == 0
    assert connection.subscribe("a/b") == [1]


def test_server_certificate_files_are_read_again_while_connections_last(new_server, tmp_path):
    """Hot reload, and what happens when the new files are no good."""
    first, second = Bought("localhost"), Bought("localhost", kind="rsa")
    certificate, key, trusted = tmp_path / "server.cert.pem", tmp_path / "server.key.pem", tmp_path / "both.pem"
    trusted.write_bytes(first.chain + second.chain)

    def install(pem, private):
        certificate.write_bytes(pem)
        key.write_bytes(private)

    install(first.pem + first.chain, first.key)
    config = tmp_path / "thingcore.toml"
    config.write_text(f'[devices]\ncertificate_file = "{certificate}"\nprivate_key_file = "{key}"\n')
    server = new_server("--config", config)
    device = server.account.everything()

    def come():
        context = ssl.create_default_context(cafile=trusted)
        context.load_cert_chain(device.certificate_file, device.key_file)
        connection = Wire.dial(server, device, V5, context=context)
        assert connection.connect(unique()).code == 0
        shown = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True))
        return connection, shown

    old, shown = come()
    assert shown == x509.load_pem_x509_certificate(first.pem)
    mark = server.log_mark()
    install(second.pem + second.chain, second.key)
    server.wait_for_log("server.certificate-replaced", since=mark)
    new, shown = come()
    assert shown == x509.load_pem_x509_certificate(second.pem)
    old.ping()
    mark = server.log_mark()
    install(first.pem, second.key)
    server.wait_for_log("stays in service", since=mark)
    third, shown = come()
    assert shown == x509.load_pem_x509_certificate(second.pem)
    for connection in (old, new, third):
        connection.close()
