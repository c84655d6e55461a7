"""Provisioning: templates and RegisterThing through boto3, just-in-time registration and provisioning through TLS."""

import datetime
import json
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

import wire
from provision import ALLOW_ALL, Device, allow, document, unique
from test_api_things import pages, refused
from wire import V5, Closed, Wire

ROLE = "arn:aws:iam::123456789012:role/provisioner"
REF_ID = {"Ref": "AWS::IoT::Certificate::Id"}


@pytest.fixture
def iot(account):
    return account.iot


def thing(name, **properties):
    return {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": name, **properties}}


def template(resources, **parameters):
    return json.dumps({"Parameters": {name: {"Type": "String", **more} for name, more in parameters.items()},
                       "Resources": resources})


def jitp(policy=ALLOW_ALL, **properties):
    """A thing named by the common name; a policy; the certificate becomes active."""
    name = "AWS::IoT::Certificate::CommonName"
    return template(
        {"thing": thing({"Ref": name}, **properties),
         "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateId": REF_ID, "Status": "ACTIVE"}},
         "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": policy}}},
        **{name: {}, "AWS::IoT::Certificate::Id": {}})


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Owner:
    """A CA of the customer."""

    def __init__(self, account):
        self.account, self.key = account, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, unique("ca"))])
        self.certificate = self._sign(self.name, self.key, ca=True)
        self.pem, self.id = pem(self.certificate), None

    def _sign(self, subject, key, ca=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=30))
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                .sign(self.key, hashes.SHA256()))

    def register(self, config=None, auto=True):
        """In mode DEFAULT, with the proof that it takes."""
        iot = self.account.iot
        code = iot.get_registration_code()["registrationCode"]
        key = ec.generate_private_key(ec.SECP256R1())
        proof = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, code)]), key)
        made = iot.register_ca_certificate(
            caCertificate=self.pem, verificationCertificate=pem(proof), setAsActive=True, allowAutoRegistration=auto,
            **({"registrationConfig": config} if config else {}))
        self.id = made["certificateId"]
        return self

    def device(self, name=None, chain=False):
        """A device that nobody has registered; with `chain` it sends the CA's certificate too."""
        name = name or unique("jit")
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        created = dict(certificateId=fingerprint, certificateArn=self.account.server.arn(f"cert/{fingerprint}"),
                       certificatePem=pem(certificate))
        device = Device(self.account, name, created, self.account.folder)
        with open(device.certificate_file, "w") as file:
            file.write(device.certificate_pem + (self.pem if chain else ""))
        with open(device.key_file, "wb") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))
        return device


def status_of(iot, device):
    return iot.describe_certificate(certificateId=device.certificate_id)["certificateDescription"]["status"]


def turned_away(server, device):
    """A handshake, and no CONNACK ever."""
    with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
        with Wire.dial(server, device, V5) as connection:
            connection.send(wire.connect(V5, unique()))
            pytest.fail(f"the server answered {connection.receive()!r}")


# ---- templates -------------------------------------------------------------------------------------------------


def test_template_life(iot, server):
    name = unique("template")
    made = iot.create_provisioning_template(
        templateName=name, description="lamps", templateBody=jitp(), provisioningRoleArn=ROLE, type="JITP", enabled=True,
        tags=[{"Key": "k", "Value": "v"}])
    assert made["defaultVersionId"] == 1 and made["templateArn"] == server.arn(f"provisioningtemplate/{name}")
    seen = iot.describe_provisioning_template(templateName=name)
    assert (seen["type"], seen["enabled"], seen["templateBody"], seen["description"]) == ("JITP", True, jitp(), "lamps")
    assert iot.list_tags_for_resource(resourceArn=made["templateArn"])["tags"] == [{"Key": "k", "Value": "v"}]
    refused(iot, "ResourceAlreadyExistsException", 409, "create_provisioning_template", templateName=name,
            templateBody=jitp(), provisioningRoleArn=ROLE)
    iot.update_provisioning_template(templateName=name, enabled=False, description="")
    assert iot.describe_provisioning_template(templateName=name)["enabled"] is False
    listed, _ = pages(iot, "list_provisioning_templates", "templates", PaginationConfig={"PageSize": 1})
    assert name in [row["templateName"] for row in listed]
    iot.delete_provisioning_template(templateName=name)
    refused(iot, "ResourceNotFoundException", 404, "describe_provisioning_template", templateName=name)


def test_sixth_version_of_a_template_is_refused(iot):
    name = unique("template")
    iot.create_provisioning_template(templateName=name, templateBody=jitp(), provisioningRoleArn=ROLE, type="JITP")
    for number in range(2, 6):
        made = iot.create_provisioning_template_version(templateName=name, templateBody=jitp(), setAsDefault=number == 5)
        assert (made["versionId"], made["isDefaultVersion"]) == (number, number == 5)
    refused(iot, "VersionsLimitExceededException", 409, "create_provisioning_template_version", templateName=name,
            templateBody=jitp())
    refused(iot, "DeleteConflictException", 409, "delete_provisioning_template_version", templateName=name, versionId=5)
    iot.delete_provisioning_template_version(templateName=name, versionId=2)
    iot.update_provisioning_template(templateName=name, defaultVersionId=3)
    versions = iot.list_provisioning_template_versions(templateName=name)["versions"]
    assert [(v["versionId"], v["isDefaultVersion"]) for v in versions] == [(5, False), (4, False), (3, True), (1, False)]
    assert iot.describe_provisioning_template_version(templateName=name, versionId=3)["isDefaultVersion"] is True


def test_template_that_is_none_says_where(iot):
    error = refused(iot, "InvalidRequestException", 400, "create_provisioning_template", templateName=unique("template"),
                    templateBody=template({"t": thing({"Ref": "Nobody"})}), provisioningRoleArn=ROLE)
    assert "Resources.t.Properties.ThingName.Ref" in error["Error"]["Message"], error


# ---- RegisterThing ---------------------------------------------------------------------------------------------


def test_register_thing_makes_everything(iot, account, dial):
    group, name, own = unique("group"), unique("thing"), account.policy(allow("iot:*", "*"))
    iot.create_thing_group(thingGroupName=group)
    device = account.certificate(active=False)
    body = template(
        {"thing": thing({"Ref": "Name"}, AttributePayload={"serial": {"Fn::Join": ["-", ["s", {"Ref": "Name"}]]}},
                        ThingGroups=[group]),
         "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateId": {"Ref": "Id"}},
                         "OverrideSettings": {"Status": "REPLACE"}},
         "known": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": own}},
         "made": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": ALLOW_ALL}}},
        Name={}, Id={})
    answer = iot.register_thing(templateBody=body, parameters={"Name": name, "Id": device.certificate_id})
    assert answer["certificatePem"] == device.certificate_pem
    arns = answer["resourceArns"]
    assert set(arns) == {"thing", "certificate", "known", "made"} and arns["certificate"] == device.arn
    assert iot.describe_thing(thingName=name)["attributes"] == {"serial": f"s-{name}"}
    assert iot.list_things_in_thing_group(thingGroupName=group)["things"] == [name]
    assert iot.list_thing_principals(thingName=name)["principals"] == [device.arn]
    assert len(iot.list_attached_policies(target=device.arn)["policies"]) == 2
    assert dial(device).connect(name).code == 0


def test_register_thing_that_fails_leaves_nothing(iot):
    name = unique("thing")
    body = template({"thing": thing(name), "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": unique("no")}}})
    error = refused(iot, "ResourceRegistrationFailureException", 400, "register_thing", templateBody=body)
    assert error["Error"]["Message"].startswith("policy: "), error
    refused(iot, "ResourceNotFoundException", 404, "describe_thing", thingName=name)


# ---- CAs -------------------------------------------------------------------------------------------------------


def test_ca_takes_templates_of_type_jitp_only(iot, account):
    fleet, known = unique("template"), unique("template")
    iot.create_provisioning_template(templateName=fleet, templateBody=jitp(), provisioningRoleArn=ROLE)
    iot.create_provisioning_template(templateName=known, templateBody=jitp(), provisioningRoleArn=ROLE, type="JITP")
    owner = Owner(account).register({"templateName": known})
    described = iot.describe_ca_certificate(certificateId=owner.id)
    assert described["registrationConfig"] == {"templateName": known}
    assert described["certificateDescription"]["autoRegistrationStatus"] == "ENABLE"
    listed, _ = pages(iot, "list_ca_certificates", "certificates", templateName=known)
    assert [row["certificateId"] for row in listed] == [owner.id]
    for config, code, status in [
        ({"templateName": fleet}, "InvalidRequestException", 400),
        ({"templateName": unique("no")}, "ResourceNotFoundException", 404),
        ({"templateBody": "{}", "roleArn": ROLE}, "InvalidRequestException", 400),
        ({"templateBody": jitp()}, "InvalidRequestException", 400),
    ]:
        refused(iot, code, status, "update_ca_certificate", certificateId=owner.id, registrationConfig=config)
    iot.update_ca_certificate(certificateId=owner.id, removeAutoRegistration=True)
    described = iot.describe_ca_certificate(certificateId=owner.id)
    assert "registrationConfig" not in described
    assert described["certificateDescription"]["autoRegistrationStatus"] == "DISABLE"


# ---- just in time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", [False, True], ids=["own", "with-ca"])
def test_new_device_is_registered_and_announced(server, iot, account, connected, dial, chain):
    owner = Owner(account).register()
    watcher = connected()
    topic = f"$aws/events/certificates/registered/{owner.id}"
    watcher.subscribe(topic)
    device = owner.device(chain=chain)
    for _ in range(2):
        turned_away(server, device)
        message = watcher.message()
        assert message.topic == topic
        told = json.loads(message.payload)
        assert (told["certificateId"], told["caCertificateId"]) == (device.certificate_id, owner.id)
        assert (told["certificateStatus"], told["awsAccountId"]) == ("PENDING_ACTIVATION", server.account_id)
        assert isinstance(told["timestamp"], int) and isinstance(told["certificateRegistrationTimestamp"], str)
    assert status_of(iot, device) == "PENDING_ACTIVATION"
    device.attach(account.policy(allow("iot:*", "*")))
    device.set_status("ACTIVE")
    assert dial(device).connect(unique()).code == 0


@pytest.mark.parametrize("stored", [False, True], ids=["body", "name"])
def test_new_device_is_provisioned_and_comes_back(server, iot, account, dial, stored):
    config = {"templateBody": jitp(AttributePayload={"version": "v1"}), "roleArn": ROLE}
    if stored:
        name = unique("template")
        iot.create_provisioning_template(templateName=name, templateBody=config["templateBody"], provisioningRoleArn=ROLE,
                                         type="JITP", enabled=True)
        config = {"templateName": name}
    device = Owner(account).register(config).device()
    turned_away(server, device)
    assert status_of(iot, device) == "ACTIVE"
    assert iot.describe_thing(thingName=device.name)["attributes"] == {"version": "v1"}
    assert iot.list_thing_principals(thingName=device.name)["principals"] == [device.arn]
    assert dial(device).connect(device.name).code == 0


def der(tag, content):
    length = len(content)
    size = length.to_bytes(length.bit_length() // 8 + 1, "big").lstrip(b"\0") or b"\0"
    return bytes([tag]) + (size if length < 128 else bytes([0x80 | len(size)]) + size) + content


def rewrite(account, device):
    """The device's certificate with the other signature that ECDSA takes for the same content: (r, n - s)."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    one = x509.load_pem_x509_certificate(device.certificate_pem.encode())
    r, s = utils.decode_dss_signature(one.signature)
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    bits = der(3, b"\0" + utils.encode_dss_signature(r, order - s))
    other = x509.load_der_x509_certificate(der(0x30, one.tbs_certificate_bytes + ecdsa_with_sha256 + bits))
    fingerprint = other.fingerprint(hashes.SHA256()).hex()
    made = Device(account, unique("thief"), dict(
        certificateId=fingerprint, certificateArn=account.server.arn(f"cert/{fingerprint}"), certificatePem=pem(other)),
        account.folder)
    with open(made.certificate_file, "w") as file:
        file.write(made.certificate_pem)
    made.key_file = device.key_file
    return made


def test_revoked_device_does_not_come_back_with_its_certificate_rewritten(new_server, dial):
    # A log of its own: what happens often is told in one line.
    server = new_server()
    account, iot = server.account, server.account.iot
    device = Owner(account).register({"templateBody": jitp(), "roleArn": ROLE}).device()
    turned_away(server, device)
    assert dial(device, on=server).connect(device.name).code == 0
    device.set_status("REVOKED")
    thief, mark = rewrite(account, device), server.log_mark()
    assert thief.certificate_id != device.certificate_id
    for _ in range(2):
        turned_away(server, thief)
    server.wait_for_log(thief.certificate_id, "is registered as", "REVOKED", since=mark)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=thief.certificate_id)
    assert status_of(iot, device) == "REVOKED"


def test_many_first_contacts_provision_a_device_once(server, iot, account, dial):
    device = Owner(account).register({"templateBody": jitp(), "roleArn": ROLE}).device()

    def contact(_):
        """Turned away, or let in because another one was there first."""
        try:
            with Wire.dial(server, device, V5) as connection:
                connection.send(wire.connect(V5, unique()))
                return connection.receive().code
        except (ssl.SSLError, ConnectionError, Closed):
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(contact, range(8)))
    assert None in answers and set(answers) <= {None, 0}, answers
    assert iot.describe_thing(thingName=device.name)["version"] == 1
    assert len(iot.list_attached_policies(target=device.arn)["policies"]) == 1
    assert dial(device).connect(device.name).code == 0


def test_template_that_does_not_fit_a_device_leaves_it_waiting(server, iot, account):
    mark = server.log_mark()
    config = {"templateBody": jitp(policy=document(allow("iot:Connect", "*")), ThingTypeName=unique("no-type")),
              "roleArn": ROLE}
    device = Owner(account).register(config).device()
    turned_away(server, device)
    server.wait_for_log("does not exist", device.certificate_id, since=mark)
    assert status_of(iot, device) == "PENDING_ACTIVATION"
    refused(iot, "ResourceNotFoundException", 404, "describe_thing", thingName=device.name)


def test_subject_does_not_write_the_policy_of_its_device(new_server, dial):
    """The common name goes into the middle of a document: it may name a client, and not end the text it stands in."""
    server = new_server()
    account, iot = server.account, server.account.iot
    name, things = "AWS::IoT::Certificate::CommonName", unique("thing")
    text = document(allow("iot:Connect", [server.arn("client/NAME")])).replace("NAME", "${" + name + "}")
    body = json.loads(jitp(policy={"Fn::Sub": text}))
    body["Resources"]["thing"] = thing(things)
    owner = Owner(account).register({"templateBody": json.dumps(body), "roleArn": ROLE})
    # Not as a filter either, which would be everybody's.
    for more in ['", "*', "+", "#"]:
        thief = owner.device(unique("x") + more)
        mark = server.log_mark()
        turned_away(server, thief)
        server.wait_for_log("has the character", thief.certificate_id, since=mark)
        assert status_of(iot, thief) == "PENDING_ACTIVATION"
        assert iot.list_attached_policies(target=thief.arn)["policies"] == []
    device = owner.device()
    turned_away(server, device)
    assert dial(device, on=server).connect(device.name).code == 0


def test_ca_without_auto_registration_lets_nobody_in(server, iot, account):
    mark = server.log_mark()
    device = Owner(account).register(auto=False).device()
    turned_away(server, device)
    server.wait_for_log("auto registration disabled", device.certificate_id, since=mark)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=device.certificate_id)


def test_device_of_a_foreign_ca_of_the_same_name_is_refused(server, iot, account):
    owner = Owner(account).register()
    thief = Owner(account)
    thief.name = owner.name
    device = thief.device()
    turned_away(server, device)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=device.certificate_id)


def behind(device, *texts):
    """The device sends these certificates behind its own."""
    with open(device.certificate_file, "w") as file:
        file.write(device.certificate_pem + "".join(texts))
    return device


@pytest.mark.parametrize("shape", ["twice", "unrelated", "wrong-order"])
def test_a_chain_of_an_odd_shape_lets_a_device_in_just_in_time(server, iot, account, shape):
    """Its own certificate counts, and who signed it: a registered CA, whatever stands between and behind."""
    owner = Owner(account).register()
    device, others = owner.device(), [Owner(account).pem, Owner(account).pem]
    behind(device, *{"twice": [device.certificate_pem] * 2, "unrelated": others, "wrong-order": [*others, owner.pem]}[shape])
    turned_away(server, device)
    assert status_of(iot, device) == "PENDING_ACTIVATION"


def test_an_intermediate_that_is_no_ca_lets_nobody_in(server, iot, account):
    """A device of a registered CA signs another: the CA's word does not reach so far."""
    owner = Owner(account).register()
    middle, made = owner.device(), Owner(account)
    with open(middle.key_file, "rb") as file:
        made.key = serialization.load_pem_private_key(file.read(), None)
    made.name = x509.load_pem_x509_certificate(middle.certificate_pem.encode()).subject
    device = behind(made.device(), middle.certificate_pem, owner.pem)
    turned_away(server, device)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=device.certificate_id)


def test_a_chain_that_is_too_long_lets_nobody_in(server, iot, account):
    owner = Owner(account).register()
    device, mark = behind(owner.device(), *[owner.pem] * 10), server.log_mark()
    turned_away(server, device)
    server.wait_for_log("11 certificates", "10 are looked at", since=mark)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=device.certificate_id)


def test_a_registered_ca_is_no_device(server, iot, account):
    """Who has the CA's key and shows its certificate is not registered by it."""
    owner = Owner(account).register()
    device = owner.device()
    device.certificate_pem = owner.pem
    with open(device.key_file, "wb") as file:
        file.write(owner.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    mark = server.log_mark()
    turned_away(server, behind(device))
    server.wait_for_log("is a registered CA certificate", since=mark)
    refused(iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=owner.id)
