"""Certificates, authorities and policies through boto3 (API reference of AWS IoT)."""

import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from provision import ALLOW_ALL, allow, document, unique
from test_api_things import pages, refused


@pytest.fixture
def iot(account):
    return account.iot


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Authority:
    """A certificate authority of the user's own."""

    def __init__(self, name=None, key=None, valid=(-1, 30)):
        """`valid`: from and until, in days from now."""
        self.key, self.valid = key or ec.generate_private_key(ec.SECP256R1()), valid
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or unique("authority"))])
        self.certificate = self.sign(self.name, self.key.public_key(), authority=True)

    def sign(self, subject, public_key, authority=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=self.valid[0]))
            .not_valid_after(now + datetime.timedelta(days=self.valid[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        return builder.sign(self.key, None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256())

    def device(self, common_name=None):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or unique("leaf"))])
        return self.sign(subject, ec.generate_private_key(ec.SECP256R1()).public_key())


# ---- certificates ----------------------------------------------------------------------------------------------


def test_created_keys_and_certificate(iot, server):
    made = iot.create_keys_and_certificate(setAsActive=True)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert made["certificateId"] == certificate.fingerprint(hashes.SHA256()).hex()
    assert made["certificateArn"] == server.arn(f"cert/{made['certificateId']}")
    key = serialization.load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048
    assert key.public_key().public_numbers() == certificate.public_key().public_numbers()
    assert certificate.subject.rfc4514_string() == "CN=AWS IoT Certificate"
    assert certificate.not_valid_after_utc == datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
    seen = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert seen["status"] == "ACTIVE" and seen["certificatePem"] == made["certificatePem"]
    assert seen["ownedBy"] == server.account_id and seen["certificateMode"] == "DEFAULT"
    assert seen["validity"]["notAfter"] == certificate.not_valid_after_utc


def test_certificate_is_inactive_unless_asked_for(iot):
    made = iot.create_keys_and_certificate()
    assert iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]["status"] == "INACTIVE"


def test_certificate_from_a_signing_request(iot):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "from-csr")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    text = request.public_bytes(serialization.Encoding.PEM).decode()
    first, second = (iot.create_certificate_from_csr(certificateSigningRequest=text, setAsActive=True) for _ in range(2))
    certificate = x509.load_pem_x509_certificate(first["certificatePem"].encode())
    assert certificate.public_key().public_numbers() == key.public_key().public_numbers()
    assert certificate.subject == subject
    assert first["certificateId"] != second["certificateId"], "the same request twice gives two certificates"
    refused(iot, "InvalidRequestException", 400, "create_certificate_from_csr", certificateSigningRequest="nonsense")


def test_status_moves_and_deletion_is_guarded(iot, account):
    device = account.device()
    refused(iot, "CertificateStateException", 406, "delete_certificate", certificateId=device.certificate_id)
    device.set_status("INACTIVE")
    device.set_status("INACTIVE")
    refused(iot, "DeleteConflictException", 409, "delete_certificate", certificateId=device.certificate_id)
    device.detach(device.policy_name)
    iot.delete_certificate(certificateId=device.certificate_id)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=device.certificate_id)
    refused(iot, "ResourceNotFoundException", 404, "update_certificate", certificateId=device.certificate_id, newStatus="ACTIVE")


def test_force_delete_ignores_policies_but_not_things(iot, account):
    device = account.device(thing=True)
    device.set_status("INACTIVE")
    refused(iot, "DeleteConflictException", 409, "delete_certificate", certificateId=device.certificate_id, forceDelete=True)
    iot.detach_thing_principal(thingName=device.name, principal=device.arn)
    iot.delete_certificate(certificateId=device.certificate_id, forceDelete=True)


def test_certificates_are_listed_in_pages(iot, account):
    made = {account.certificate().certificate_id for _ in range(4)}
    listed, count = pages(iot, "list_certificates", "certificates", PaginationConfig={"PageSize": 2})
    assert made <= {row["certificateId"] for row in listed} and count >= 2
    assert {"certificateArn", "certificateId", "status", "creationDate"} <= set(listed[0])


def test_registering_without_an_authority(iot):
    certificate = Authority().device()
    made = iot.register_certificate_without_ca(certificatePem=pem(certificate), status="ACTIVE")
    assert made["certificateId"] == certificate.fingerprint(hashes.SHA256()).hex()
    seen = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert seen["certificateMode"] == "SNI_ONLY" and seen["status"] == "ACTIVE"
    refused(iot, "ResourceAlreadyExistsException", 409, "register_certificate_without_ca", certificatePem=pem(certificate))
    refused(iot, "CertificateValidationException", 400, "register_certificate_without_ca", certificatePem="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


# ---- authorities -----------------------------------------------------------------------------------------------


def verification(iot, authority):
    return pem(authority.device(iot.get_registration_code()["registrationCode"]))


def test_registration_code_is_stable(iot):
    code = iot.get_registration_code()["registrationCode"]
    assert len(code) == 64 and iot.get_registration_code()["registrationCode"] == code


def test_authority_life_and_its_devices(iot, server):
    authority = Authority()
    made = iot.register_ca_certificate(caCertificate=pem(authority.certificate), verificationCertificate=verification(iot, authority), setAsActive=True)
    assert made["certificateArn"] == server.arn(f"cacert/{made['certificateId']}")
    seen = iot.describe_ca_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert seen["status"] == "ACTIVE" and seen["autoRegistrationStatus"] == "DISABLE" and seen["certificateMode"] == "DEFAULT"
    leaf = authority.device()
    device = iot.register_certificate(certificatePem=pem(leaf), caCertificatePem=pem(authority.certificate), setAsActive=True)
    described = iot.describe_certificate(certificateId=device["certificateId"])["certificateDescription"]
    assert described["caCertificateId"] == made["certificateId"]
    listed = iot.list_certificates_by_ca(caCertificateId=made["certificateId"])["certificates"]
    assert [row["certificateId"] for row in listed] == [device["certificateId"]]
    authorities, _ = pages(iot, "list_ca_certificates", "certificates")
    assert made["certificateId"] in {row["certificateId"] for row in authorities}
    refused(iot, "CertificateStateException", 406, "delete_ca_certificate", certificateId=made["certificateId"])
    iot.update_ca_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    with pytest.raises(iot.exceptions.ClientError):
        iot.register_certificate(certificatePem=pem(authority.device()), caCertificatePem=pem(authority.certificate))
    iot.delete_ca_certificate(certificateId=made["certificateId"])
    refused(iot, "ResourceNotFoundException", 404, "describe_ca_certificate", certificateId=made["certificateId"])


def test_authority_must_prove_itself(iot):
    authority = Authority()
    wrong_code = pem(authority.device("not the registration code"))
    refused(iot, "RegistrationCodeValidationException", 400, "register_ca_certificate", caCertificate=pem(authority.certificate), verificationCertificate=wrong_code)
    foreign = verification(iot, Authority())
    error = refused(iot, "CertificateValidationException", 400, "register_ca_certificate", caCertificate=pem(authority.certificate), verificationCertificate=foreign)
    assert "verification certificate" in error["Error"]["Message"], error
    # Its own certificate is no proof either: the code does not stand in it.
    refused(iot, "RegistrationCodeValidationException", 400, "register_ca_certificate", caCertificate=pem(authority.certificate), verificationCertificate=pem(authority.certificate))


def two_in_one(authority):
    return pem(authority.certificate) + pem(Authority().certificate)


@pytest.mark.parametrize("mode", ["DEFAULT", "SNI_ONLY"])
@pytest.mark.parametrize("make, says", [
    (lambda: (one := Authority(), pem(one.device())), "basic constraints"),
    (lambda: (one := Authority(valid=(-30, -1)), pem(one.certificate)), "has expired"),
    (lambda: (one := Authority(valid=(1, 30)), pem(one.certificate)), "is not valid yet"),
    (lambda: (one := Authority(key=rsa.generate_private_key(65537, 1024)), pem(one.certificate)), "RSA of at least 2048"),
    (lambda: (one := Authority(key=ed25519.Ed25519PrivateKey.generate()), pem(one.certificate)), "the key is"),
    (lambda: (one := Authority(), two_in_one(one)), "not exactly one PEM block"),
    (lambda: (one := Authority(), pem(one.certificate)[:300]), "not exactly one PEM block"),
    (lambda: (one := Authority(), "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n"), "not a well-formed certificate"),
], ids=["leaf", "expired", "not-yet", "weak", "ed25519", "two", "half", "garbage"])
def test_what_is_no_authority_is_not_registered(iot, mode, make, says):
    authority, text = make()
    proof = {} if mode == "SNI_ONLY" else dict(verificationCertificate=verification(iot, authority))
    error = refused(iot, "CertificateValidationException", 400, "register_ca_certificate", caCertificate=text, certificateMode=mode, **proof)
    assert says in error["Error"]["Message"], error


def test_a_leaf_names_no_authority_for_others(iot):
    """What a device of a registered CA has signed is not the CA's."""
    authority = Authority()
    iot.register_ca_certificate(caCertificate=pem(authority.certificate), certificateMode="SNI_ONLY", setAsActive=True)
    middle = Authority()
    middle.certificate = authority.sign(middle.name, middle.key.public_key())
    for text in (None, pem(middle.certificate), pem(authority.certificate)):
        refused(iot, "CertificateValidationException", 400, "register_certificate", certificatePem=pem(middle.device()),
                **({"caCertificatePem": text} if text else {}))


def test_certificate_of_an_unknown_authority_is_refused(iot):
    with pytest.raises(iot.exceptions.ClientError):
        iot.register_certificate(certificatePem=pem(Authority().device()))


def test_authority_in_sni_only_mode_needs_no_verification(iot):
    made = iot.register_ca_certificate(caCertificate=pem(Authority().certificate), certificateMode="SNI_ONLY", setAsActive=True)
    assert iot.describe_ca_certificate(certificateId=made["certificateId"])["certificateDescription"]["certificateMode"] == "SNI_ONLY"


# ---- policies --------------------------------------------------------------------------------------------------


def test_policy_and_version_life(iot, server):
    name = unique("policy")
    made = iot.create_policy(policyName=name, policyDocument=ALLOW_ALL)
    assert (made["policyVersionId"], made["policyArn"], made["policyDocument"]) == ("1", server.arn(f"policy/{name}"), ALLOW_ALL)
    second = iot.create_policy_version(policyName=name, policyDocument=document(allow("iot:Connect", "*")))
    assert (second["policyVersionId"], second["isDefaultVersion"]) == ("2", False)
    assert iot.get_policy(policyName=name)["defaultVersionId"] == "1"
    iot.set_default_policy_version(policyName=name, policyVersionId="2")
    seen = iot.get_policy(policyName=name)
    assert seen["defaultVersionId"] == "2" and json.loads(seen["policyDocument"])["Statement"][0]["Action"] == "iot:Connect"
    assert iot.get_policy_version(policyName=name, policyVersionId="1")["isDefaultVersion"] is False
    refused(iot, "DeleteConflictException", 409, "delete_policy_version", policyName=name, policyVersionId="2")
    refused(iot, "DeleteConflictException", 409, "delete_policy", policyName=name)
    iot.delete_policy_version(policyName=name, policyVersionId="1")
    third = iot.create_policy_version(policyName=name, policyDocument=ALLOW_ALL, setAsDefault=True)
    assert (third["policyVersionId"], third["isDefaultVersion"]) == ("3", True)
    versions = iot.list_policy_versions(policyName=name)["policyVersions"]
    assert {v["versionId"]: v["isDefaultVersion"] for v in versions} == {"2": False, "3": True}
    iot.delete_policy_version(policyName=name, policyVersionId="2")
    iot.delete_policy(policyName=name)
    refused(iot, "ResourceNotFoundException", 404, "get_policy", policyName=name)


def test_policy_name_is_taken_once(iot):
    name = unique("policy")
    iot.create_policy(policyName=name, policyDocument=ALLOW_ALL)
    refused(iot, "ResourceAlreadyExistsException", 409, "create_policy", policyName=name, policyDocument=ALLOW_ALL)


def test_sixth_version_is_refused(iot):
    name = unique("policy")
    iot.create_policy(policyName=name, policyDocument=ALLOW_ALL)
    for _ in range(4):
        iot.create_policy_version(policyName=name, policyDocument=ALLOW_ALL)
    refused(iot, "VersionsLimitExceededException", 409, "create_policy_version", policyName=name, policyDocument=ALLOW_ALL)


def test_attachments_both_ways(iot, account, server):
    device, name, group = account.certificate(), account.policy(allow("iot:*", "*")), unique("group")
    group_arn = iot.create_thing_group(thingGroupName=group)["thingGroupArn"]
    for target in (device.arn, group_arn):
        iot.attach_policy(policyName=name, target=target)
        iot.attach_policy(policyName=name, target=target)
    assert sorted(iot.list_targets_for_policy(policyName=name)["targets"]) == sorted([device.arn, group_arn])
    assert [p["policyName"] for p in iot.list_attached_policies(target=device.arn)["policies"]] == [name]
    assert iot.list_attached_policies(target=group_arn)["policies"][0]["policyArn"] == server.arn(f"policy/{name}")
    refused(iot, "DeleteConflictException", 409, "delete_policy", policyName=name)
    for target in (device.arn, group_arn):
        iot.detach_policy(policyName=name, target=target)
    assert iot.list_targets_for_policy(policyName=name)["targets"] == []
    iot.delete_policy(policyName=name)


def test_recursive_listing_includes_parents(iot, account):
    parent, child, name = unique("parent"), unique("child"), account.policy(allow("iot:*", "*"))
    parent_arn = iot.create_thing_group(thingGroupName=parent)["thingGroupArn"]
    child_arn = iot.create_thing_group(thingGroupName=child, parentGroupName=parent)["thingGroupArn"]
    iot.attach_policy(policyName=name, target=parent_arn)
    assert iot.list_attached_policies(target=child_arn)["policies"] == []
    assert [p["policyName"] for p in iot.list_attached_policies(target=child_arn, recursive=True)["policies"]] == [name]


def test_deprecated_principal_policy_calls(iot, account):
    device, name = account.certificate(), account.policy(allow("iot:*", "*"))
    iot.attach_principal_policy(policyName=name, principal=device.arn)
    assert [p["policyName"] for p in iot.list_principal_policies(principal=device.arn)["policies"]] == [name]
    assert iot.list_policy_principals(policyName=name)["principals"] == [device.arn]
    assert [p["policyName"] for p in iot.list_attached_policies(target=device.arn)["policies"]] == [name]
    iot.detach_principal_policy(policyName=name, principal=device.arn)
    assert iot.list_principal_policies(principal=device.arn)["policies"] == []


def test_attaching_what_does_not_exist_is_not_found(iot, account):
    refused(iot, "ResourceNotFoundException", 404, "attach_policy", policyName=unique("no"), target=account.certificate().arn)


def test_quotas_of_attachments(iot, account):
    """10 policies on a certificate, 2 on a thing group (quotas)."""
    device = account.certificate()
    for _ in range(10):
        device.attach(account.policy(allow("iot:*", "*")))
    refused(iot, "LimitExceededException", 410, "attach_policy", policyName=account.policy(allow("iot:*", "*")), target=device.arn)
    arn = iot.create_thing_group(thingGroupName=unique("group"))["thingGroupArn"]
    for _ in range(2):
        iot.attach_policy(policyName=account.policy(allow("iot:*", "*")), target=arn)
    refused(iot, "LimitExceededException", 410, "attach_policy", policyName=account.policy(allow("iot:*", "*")), target=arn)


def test_policies_are_listed_in_pages(iot, account):
    made = {account.policy(allow("iot:*", "*")) for _ in range(5)}
    listed, count = pages(iot, "list_policies", "policies", PaginationConfig={"PageSize": 2})
    assert made <= {row["policyName"] for row in listed} and count >= 3


MALFORMED = [
    "", "nonsense", "null", "[]", "{}", '"text"', "1", '{"Version":"2012-10-17"}', '{"Version":"2012-10-17","Statement":7}',
    '{"Version":"2012-10-17","Statement":[{}]}', '{"Version":"2012-10-17","Statement":[7]}',
    '{"Version":"1999-01-01","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}',
    document({"Effect": "Maybe", "Action": "iot:*", "Resource": "*"}),
    document({"Effect": "Allow", "Resource": "*"}), document({"Effect": "Allow", "Action": "iot:*"}),
    document({"Effect": "Allow", "Action": 5, "Resource": "*"}), document({"Effect": "Allow", "Action": "iot:*", "Resource": {}}),
    document({"Effect": "Allow", "Action": "iot:*", "Resource": "not an arn"}),
    document({"Effect": "Allow", "Action": "iot:*", "Resource": "*", "Condition": []}),
    document({"Effect": "Allow", "Action": "iot:*", "Resource": "*", "Condition": {"NoSuchOperator": {"a": "b"}}}),
    document({"Effect": "Allow", "Action": "iot:*", "Resource": "*", "Principal": "*"}),
    '{"Version":"2012-10-17","Statement":[' + "[" * 5000 + "]" * 5000 + "]}", "{" * 100000,
    document(*[allow("iot:Publish", "arn:aws:iot:us-east-1:123456789012:topic/" + "x" * 100)] * 20),
]


@pytest.mark.parametrize("text", MALFORMED[1:], ids=range(1, len(MALFORMED)))
def test_malformed_policies_are_refused(iot, text):
    error = refused(iot, "MalformedPolicyException", 400, "create_policy", policyName=unique("bad"), policyDocument=text)
    assert error["Error"]["Message"].startswith("Policy document is Malformed: "), error


def test_white_space_does_not_count_against_the_size_of_a_policy(iot):
    statements = [allow("iot:Publish", "arn:aws:iot:us-east-1:123456789012:topic/" + "x" * 100)] * 9
    spacious = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=64)
    assert len(spacious) > 4000
    iot.create_policy(policyName=unique("wide"), policyDocument=spacious)
