"""Attackers with certificates, keys and chains that nobody's tool would make. Each is shown to the server for certain: what counts
is the reason in the server's log, not that a handshake failed somewhere."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from ssl import TLSVersion

import odd_certificates as odd
from attacks import honest, many_sockets, server, unharmed  # noqa: F401
from odd_certificates import BAD_SIGNATURE, IN, INACTIVE, NOT_REGISTERED, UNSUPPORTED, Shown, ec_key, forged, knock, knock_by_hand
from provision import allow

pytestmark = [pytest.mark.xdist_group("attackers"), pytest.mark.timeout(300)]


def strange_certificates(key):
    """By name: a certificate, each of this key."""
    usage = dict(digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                 key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
    names = x509.SubjectAlternativeName([x509.DNSName(f"{n}.{'x' * 60}.example.com") for n in range(600)])
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x04\x01x")
    return {
        "huge": forged(key, (names, False)),
        "negative-serial": odd.resigned(forged(key, serial=0x7F << 152), key, odd.negative_serial),
        "longest-serial": forged(key, serial=(1 << 159) - 1),
        "for-servers": forged(key, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True)),
        "for-signing-certificates": forged(key, (x509.KeyUsage(**usage), True)),
        "an-authority": forged(key, (x509.BasicConstraints(True, None), True)),
        "critical-and-unknown": forged(key, (unknown, True)),
        "not-yet": forged(key, starts=5),
        "ended": forged(key, starts=-9, ends=-2),
        "long-name": forged(key, subject="x" * 64),
    }


CERTIFICATES = list(strange_certificates(ec_key()))
OUT_OF_TIME = ("not-yet", "ended")


@pytest.mark.parametrize("case", CERTIFICATES)
def test_strange_certificates(server, case):
    """None comes in by its looks. Registered it is as good as any other; those out of their time are not registered."""
    account, key = server.account, ec_key()
    shown = Shown(account.folder, key, strange_certificates(key)[case])
    assert NOT_REGISTERED in knock(server, shown)
    if case in OUT_OF_TIME:
        with pytest.raises(account.iot.exceptions.CertificateValidationException):
            account.iot.register_certificate_without_ca(certificatePem=shown.pem, status="ACTIVE")
        return
    made = account.iot.register_certificate_without_ca(certificatePem=shown.pem, status="ACTIVE")
    account.iot.attach_policy(policyName=account.policy(allow("iot:*", "*")), target=made["certificateArn"])
    assert knock(server, shown) == IN
    account.iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    assert INACTIVE in knock(server, shown)


KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate, "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "rsa-1024": lambda: odd.rsa_key(1024)}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_that_aws_does_not_take(server, kind):
    """Neither registered nor let in. By hand: OpenSSL shows no certificate whose signature the server has not asked for."""
    key = KEYS[kind]()
    if kind == "ed25519":
        certificate = forged(key, issuer=odd.named("Some CA"), issuer_key=ec_key())
    else:
        certificate = forged(key)
    iot = server.account.iot
    with pytest.raises(iot.exceptions.CertificateValidationException):
        iot.register_certificate_without_ca(certificatePem=odd.pem_of(certificate), status="ACTIVE")
    assert UNSUPPORTED in knock_by_hand(server, key, certificate)


def registered(server, key):
    """A certificate of this key that is let in."""
    certificate, account = forged(key), server.account
    made = account.iot.register_certificate_without_ca(certificatePem=odd.pem_of(certificate), status="ACTIVE")
    account.iot.attach_policy(policyName=account.policy(allow("iot:*", "*")), target=made["certificateArn"])
    return certificate


def test_chain_tricks(server):
    """The first certificate counts, and the key that TLS proves is its own: no other in the chain helps."""
    folder, key, own = server.account.folder, ec_key(), ec_key()
    good = registered(server, key)
    assert knock(server, Shown(folder, key, good)) == IN
    child = forged(own, issuer=good.subject, issuer_key=key)
    lookalike = forged(own, subject="lookalike", serial=good.serial_number)
    chains = {
        "signed by a device": [child, good], "registered one behind": [lookalike, good],
        "a hundred before": [forged(own) for _ in range(100)] + [good],
        "itself twice": [lookalike, lookalike, good],
    }
    for name, chain in chains.items():
        assert NOT_REGISTERED in knock(server, Shown(folder, own, *chain)), name
        assert NOT_REGISTERED in knock_by_hand(server, own, *chain), name
    # What follows a right certificate does not matter, for its owner as for others.
    assert knock(server, Shown(folder, key, good, lookalike, child)) == IN


@pytest.mark.parametrize("newest", [TLSVersion.TLSv1_2, TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_a_registered_certificate_without_its_key(server, newest):
    """The thief's signature reaches the server, and is not the certificate's."""
    folder, key, own = server.account.folder, ec_key(), ec_key()
    good = registered(server, key)
    # What is shown is right but for the key.
    assert knock(server, Shown(folder, key, good, poses=True), newest=newest) == IN
    for chain in ([good], [good, forged(own)]):
        found = knock(server, Shown(folder, own, *chain, poses=True), newest=newest)
        assert UNSUPPORTED in found and BAD_SIGNATURE in found, found
    assert BAD_SIGNATURE in knock_by_hand(server, own, good)
    assert knock_by_hand(server, key, good) == IN


def test_another_certificate_of_the_same_key(server):
    """The key alone is no identity, nor is a certificate whose signature is written in another way another certificate."""
    folder, key = server.account.folder, ec_key()
    good = registered(server, key)
    assert knock(server, Shown(folder, key, good)) == IN
    for other in (forged(key), odd.twisted(good)):
        assert NOT_REGISTERED in knock(server, Shown(folder, key, other))
    twin = Shown(folder, key, odd.twisted(good))
    iot = server.account.iot
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.register_certificate_without_ca(certificatePem=twin.pem, status="ACTIVE")
