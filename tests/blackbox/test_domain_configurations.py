"""Domain configurations and the imported certificates that serve them: the control plane (API reference,
CreateDomainConfiguration; ACM API reference, ImportCertificate), asked by boto3 and by the AWS CLI."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provision import unique
from server import Server
from test_api_things import pages, refused
from test_aws_cli import aws

INVALID = ("InvalidRequestException", 400)
DEFAULTS = ["iot:CredentialProvider", "iot:Data-ATS", "iot:Jobs"]
TLS13 = "IoTSecurityPolicy_TLS13_1_3_2022_10"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of our own: there may be ten domain configurations only."""
    server = Server(tmp_path_factory.mktemp("domains")).start()
    yield server
    server.stop()


@pytest.fixture
def iot(server):
    client = server.boto("iot")
    yield client
    for one in client.list_domain_configurations()["domainConfigurations"]:
        name = one["domainConfigurationName"]
        if name not in DEFAULTS:
            client.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="DISABLED")
            try:
                client.delete_domain_configuration(domainConfigurationName=name)
            except client.exceptions.InvalidRequestException:
                pass  # A domain of AWS stays DISABLED for seven days.


@pytest.fixture
def acm(server):
    return server.boto("acm")


def new_key(kind):
    return rsa.generate_private_key(public_exponent=65537, key_size=2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def builder(name, issuer, key, days):
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=400)
    return (x509.CertificateBuilder().subject_name(subject(name)).issuer_name(issuer).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=400 + days)))


class Bought:
    """A server certificate as one buys it, with its CA."""

    def __init__(self, *names, kind="ec", days=90, usage=ExtendedKeyUsageOID.SERVER_AUTH):
        ca_key, key = new_key(kind), new_key(kind)
        ca = builder("Some CA", subject("Some CA"), ca_key.public_key(), 900)
        ca = ca.add_extension(x509.BasicConstraints(True, None), True).sign(ca_key, hashes.SHA256())
        leaf = builder(names[0], ca.subject, key.public_key(), days)
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([usage]), False).sign(ca_key, hashes.SHA256())
        self.chain = ca.public_bytes(serialization.Encoding.PEM)
        self.pem = leaf.public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                     serialization.NoEncryption())

    def members(self):
        return {"Certificate": self.pem, "CertificateChain": self.chain, "PrivateKey": self.key}


def host():
    return unique("h").lower().replace("_", "-") + ".example.com"


def imported(acm, *names, **options):
    return acm.import_certificate(**Bought(*names, **options).members())["CertificateArn"]


def own(iot, acm, name=None, domain=None, **more):
    """A configuration with a domain of its own; name and domain."""
    name, domain = name or unique("domain"), domain or host()
    iot.create_domain_configuration(domainConfigurationName=name, domainName=domain,
                                    serverCertificateArns=[imported(acm, domain)], **more)
    return name, domain


# ---- certificates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, algorithm", [("rsa", "RSA_2048"), ("ec", "EC_prime256v1")])
def test_certificate_life(server, acm, kind, algorithm):
    domain = host()
    bought = Bought(domain, "*." + domain, kind=kind)
    arn = acm.import_certificate(**bought.members(), Tags=[{"Key": "team", "Value": "a"}])["CertificateArn"]
    assert arn.startswith(f"arn:aws:acm:{server.region}:{server.account_id}:certificate/")
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert found["DomainName"] == domain and found["SubjectAlternativeNames"] == [domain, "*." + domain]
    assert (found["Status"], found["Type"], found["KeyAlgorithm"]) == ("ISSUED", "IMPORTED", algorithm)
    assert found["InUseBy"] == [] and found["NotAfter"] > found["ImportedAt"]
    texts = acm.get_certificate(CertificateArn=arn)
    assert texts["Certificate"].encode() == bought.pem and texts["CertificateChain"].encode() == bought.chain
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    listed, _ = pages(acm, "list_certificates", "CertificateSummaryList", Includes={"keyTypes": [algorithm]})
    assert arn in [one["CertificateArn"] for one in listed]
    acm.delete_certificate(CertificateArn=arn)
    refused(acm, "ResourceNotFoundException", 400, "describe_certificate", CertificateArn=arn)


def test_what_cannot_be_imported(acm):
    domain = host()
    bought, other = Bought(domain), Bought(domain)
    bad = [
        dict(bought.members(), PrivateKey=other.key), dict(bought.members(), CertificateChain=other.chain),
        dict(bought.members(), Certificate=b"rubbish"), Bought(domain, days=-1).members(),
        dict(bought.members(), PrivateKey=b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
    ]
    for members in bad:
        error = refused(acm, "InvalidParameterException", 400, "import_certificate", **members)
        assert "PRIVATE" not in error["Error"]["Message"] or "unencrypted" in error["Error"]["Message"]
    refused(acm, "ValidationException", 400, "describe_certificate", CertificateArn="x" * 20)


def test_keys_are_neither_logged_nor_readable_by_others(server, acm):
    imported(acm, host())
    assert "PRIVATE KEY" not in server.log_text()
    for path in server.data_dir.rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path


def test_certificate_in_use_stays(iot, acm):
    name, _ = own(iot, acm)
    arn = iot.describe_domain_configuration(domainConfigurationName=name)["serverCertificates"][0]["serverCertificateArn"]
    refused(acm, "ResourceInUseException", 400, "delete_certificate", CertificateArn=arn)
    assert len(acm.describe_certificate(CertificateArn=arn)["Certificate"]["InUseBy"]) == 1


# ---- domain configurations -------------------------------------------------------------------------------------


def test_life_of_a_domain_of_ones_own(server, iot, acm):
    name, domain = own(iot, acm, tags=[{"Key": "team", "Value": "a"}], authenticationType="AWS_X509",
                       applicationProtocol="SECURE_MQTT", tlsConfig={"securityPolicy": TLS13})
    found = iot.describe_domain_configuration(domainConfigurationName=name)
    assert found["domainName"] == domain and found["domainType"] == "CUSTOMER_MANAGED"
    assert found["domainConfigurationArn"].startswith(server.arn(f"domainconfiguration/{name}/"))
    assert found["serverCertificates"][0]["serverCertificateStatus"] == "VALID"
    assert (found["authenticationType"], found["applicationProtocol"]) == ("AWS_X509", "SECURE_MQTT")
    assert found["tlsConfig"] == {"securityPolicy": TLS13} and found["domainConfigurationStatus"] == "ENABLED"
    tags = iot.list_tags_for_resource(resourceArn=found["domainConfigurationArn"])["tags"]
    assert tags == [{"Key": "team", "Value": "a"}]
    refused(iot, *INVALID, "delete_domain_configuration", domainConfigurationName=name)
    iot.update_domain_configuration(
        domainConfigurationName=name, domainConfigurationStatus="DISABLED", applicationProtocol="HTTPS",
        clientCertificateConfig={"clientCertificateCallbackArn": "arn:aws:lambda:eu-west-1:123456789012:function:check"},
        serverCertificateConfig={"enableOCSPCheck": False})
    changed = iot.describe_domain_configuration(domainConfigurationName=name)
    assert (changed["domainConfigurationStatus"], changed["applicationProtocol"]) == ("DISABLED", "HTTPS")
    assert changed["serverCertificateConfig"] == {"enableOCSPCheck": False}
    assert changed["lastStatusChangeDate"] >= found["lastStatusChangeDate"]
    stapling = refused(iot, *INVALID, "update_domain_configuration", domainConfigurationName=name,
                       serverCertificateConfig={"enableOCSPCheck": True})
    assert "OCSP stapling is not built" in stapling["Error"]["Message"]
    iot.delete_domain_configuration(domainConfigurationName=name)
    refused(iot, "ResourceNotFoundException", 404, "describe_domain_configuration", domainConfigurationName=name)


def test_domain_of_aws_gets_a_name(server, iot):
    name = unique("managed")
    iot.create_domain_configuration(domainConfigurationName=name)
    found = iot.describe_domain_configuration(domainConfigurationName=name)
    assert found["domainName"].endswith(f"-ats.iot.{server.region}.amazonaws.com") and found["domainType"] == "AWS_MANAGED"
    iot.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="DISABLED")
    error = refused(iot, *INVALID, "delete_domain_configuration", domainConfigurationName=name)
    assert "7 days" in error["Error"]["Message"]


def test_default_endpoints_are_listed(server, iot):
    items, _ = pages(iot, "list_domain_configurations", "domainConfigurations", PaginationConfig={"PageSize": 2})
    names = [one["domainConfigurationName"] for one in items]
    assert [name for name in names if name.startswith("iot:")] == DEFAULTS and names == sorted(names)
    found = iot.describe_domain_configuration(domainConfigurationName="iot:Data-ATS")
    assert (found["domainType"], found["serviceType"]) == ("ENDPOINT", "DATA")
    assert found["domainName"] == iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    refused(iot, *INVALID, "update_domain_configuration", domainConfigurationName="iot:Data-ATS", domainConfigurationStatus="DISABLED")


@pytest.mark.parametrize("settings", [
    {"serviceType": "JOBS"},
    {"authenticationType": "AWS_X509", "applicationProtocol": "MQTT_WSS"},
    {"authenticationType": "AWS_SIGV4", "applicationProtocol": "SECURE_MQTT"},
    {"authenticationType": "CUSTOM_AUTH_X509", "applicationProtocol": "MQTT_WSS"},
    {"tlsConfig": {"securityPolicy": "TLS13"}},
    {"authorizerConfig": {"defaultAuthorizerName": "nobody", "allowAuthorizerOverride": True}},
    {"authorizerConfig": {"defaultAuthorizerName": "nobody"}},
    {"clientCertificateConfig": {"clientCertificateCallbackArn": "arn:aws:sns:eu-west-1:123456789012:x"}},
    {"serverCertificateConfig": {"enableOCSPCheck": True}},
    {"domainName": "iot.example.com"},
])
def test_settings_that_no_endpoint_can_have(iot, settings):
    refused(iot, *INVALID, "create_domain_configuration", domainConfigurationName=unique("bad"), **settings)


def test_certificate_must_cover_the_domain(iot, acm, server):
    domain = host()
    for arn in [imported(acm, host()), imported(acm, domain, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
                f"arn:aws:acm:{server.region}:{server.account_id}:certificate/nothing"]:
        refused(iot, "CertificateValidationException", 400, "create_domain_configuration",
                domainConfigurationName=unique("bad"), domainName=domain, serverCertificateArns=[arn])


def test_renewal_and_what_is_none(iot, acm):
    name, domain = own(iot, acm)

    def shown():
        return iot.describe_domain_configuration(domainConfigurationName=name)["serverCertificates"][0]

    arn = shown()["serverCertificateArn"]
    assert acm.import_certificate(CertificateArn=arn, **Bought(domain).members())["CertificateArn"] == arn
    assert shown()["serverCertificateStatus"] == "VALID"
    acm.import_certificate(CertificateArn=arn, **Bought(host(), kind="rsa").members())
    assert shown()["serverCertificateStatus"] == "INVALID" and "stays in service" in shown()["serverCertificateStatusDetail"]


def test_names_are_taken_once(iot, acm):
    name, domain = own(iot, acm)
    refused(iot, "ResourceAlreadyExistsException", 409, "create_domain_configuration", domainConfigurationName=name)
    other = refused(iot, "ResourceAlreadyExistsException", 409, "create_domain_configuration", domainConfigurationName=unique(),
                    domainName=domain.upper(), serverCertificateArns=[imported(acm, domain)])
    assert other["resourceId"] == name


def test_domain_configurations_survive_a_restart(new_server):
    server = new_server()
    name, domain = own(server.boto("iot"), server.boto("acm"))
    server.kill()
    server.start()
    found = server.boto("iot").describe_domain_configuration(domainConfigurationName=name)
    assert found["domainName"] == domain and found["serverCertificates"][0]["serverCertificateStatus"] == "VALID"


def test_eleven_are_too_many(new_server):
    iot = new_server().boto("iot")
    for number in range(10):
        iot.create_domain_configuration(domainConfigurationName=f"d{number}")
    refused(iot, "LimitExceededException", 410, "create_domain_configuration", domainConfigurationName="d10")


def test_the_aws_cli_imports_and_configures(server, iot, tmp_path):
    domain, name = host(), unique("cli")
    bought = Bought(domain, kind="rsa")
    for file, text in [("c", bought.pem), ("k", bought.key), ("ca", bought.chain)]:
        (tmp_path / file).write_bytes(text)
    arn = aws(server, "acm", "import-certificate", "--certificate", f"fileb://{tmp_path}/c", "--private-key", f"fileb://{tmp_path}/k",
              "--certificate-chain", f"fileb://{tmp_path}/ca")["CertificateArn"]
    assert arn in [one["CertificateArn"] for one in aws(server, "acm", "list-certificates")["CertificateSummaryList"]]
    aws(server, "iot", "create-domain-configuration", "--domain-configuration-name", name, "--domain-name", domain,
        "--server-certificate-arns", arn, "--authentication-type", "CUSTOM_AUTH", "--application-protocol", "MQTT_WSS")
    assert aws(server, "iot", "describe-domain-configuration", "--domain-configuration-name", name)["domainName"] == domain
    failed = aws(server, "acm", "delete-certificate", "--certificate-arn", arn, check=False)
    assert failed.returncode != 0 and "ResourceInUseException" in failed.stderr
