"""TestAuthorization and GetEffectivePolicies with boto3: what they say is what the device then meets."""

import json

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.x509.oid import NameOID

from clients import AwsSdk5, Refused
from provision import allow, deny, document, unique
from test_aws_cli import aws
from test_iam import Iam, keys, unsigned


def names(policies):
    return sorted(policy["policyName"] for policy in policies)


@pytest.fixture
def fleet(server, account):
    """A device whose certificate may connect and publish to open/, and whose thing's group opens the thing's own topic."""
    thing, root = unique("thing"), unique("root")
    device = account.certificate(thing)
    account.iot.create_thing(thingName=thing)
    account.iot.attach_thing_principal(thingName=thing, principal=device.arn)
    group = unique("group")
    group_arn = account.iot.create_thing_group(thingGroupName=group)["thingGroupArn"]
    account.iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)

    def make(kind, *statements):
        return account.iot.create_policy(policyName=unique(kind), policyDocument=document(*statements))["policyName"]
    own = make("own", allow("iot:Connect", server.arn("client/*")), allow("iot:Publish", server.arn(f"topic/{root}/*")))
    grouped = make("grouped", allow("iot:Publish", server.arn("topic/" + root + "-of/${iot:Connection.Thing.ThingName}")))
    closed = make("closed", deny("iot:Publish", server.arn(f"topic/{root}/secret")))
    device.attach(own)
    account.iot.attach_policy(policyName=grouped, target=group_arn)
    return dict(device=device, thing=thing, root=root, group=group_arn, own=own, grouped=grouped, closed=closed)


def test_decisions_name_the_policies(server, account, fleet):
    def ask(action, *resources, **more):
        info = {"actionType": action, "resources": [server.arn(resource) for resource in resources]}
        answer = account.iot.test_authorization(principal=fleet["device"].arn, authInfos=[info], **more)
        result, = answer["authResults"]
        assert result["authInfo"] == info
        denied = result["denied"]
        return (result["authDecision"], names(result["allowed"]["policies"]), names(denied["implicitDeny"]["policies"]),
                names(denied["explicitDeny"]["policies"]), result["missingContextValues"])
    root, own, grouped, closed, thing = (fleet[key] for key in ("root", "own", "grouped", "closed", "thing"))
    assert ask("PUBLISH", f"topic/{root}/secret") == ("ALLOWED", [own], [], [], [])
    assert ask("SUBSCRIBE", f"topicfilter/{root}/#") == ("IMPLICIT_DENY", [], [own], [], [])
    assert ask("PUBLISH", f"topic/{root}/secret", policyNamesToAdd=[closed]) == ("EXPLICIT_DENY", [own], [], [closed], [])
    assert ask("PUBLISH", f"topic/{root}/secret", policyNamesToSkip=[own]) == ("IMPLICIT_DENY", [], [], [], [])
    assert ask("PUBLISH", f"topic/{root}-of/{thing}") == ("IMPLICIT_DENY", [], [own], [], [])
    assert ask("PUBLISH", f"topic/{root}-of/{thing}", clientId=thing) == ("ALLOWED", [grouped], [own], [], [])
    assert ask("PUBLISH", f"topic/{root}-of/x", policyNamesToAdd=[grouped])[4] == ["iot:Connection.Thing.ThingName"]
    assert ask("PUBLISH", f"topic/{root}/a", f"topic/elsewhere")[0] == "IMPLICIT_DENY"


def test_what_the_certificate_says_counts(server, account, fleet):
    """Certificates that AWS IoT issues have the common name `AWS IoT Certificate`."""
    named = account.iot.describe_certificate(certificateId=fleet["device"].certificate_id)["certificateDescription"]["certificatePem"]
    common, = x509.load_pem_x509_certificate(named.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    for value, decision in [(common.value, "EXPLICIT_DENY"), ("another", "ALLOWED")]:
        condition = {"StringEquals": {"iot:Certificate.Subject.CommonName": value}}
        added = account.policy(deny("iot:Publish", "*", Condition=condition))
        info = {"actionType": "PUBLISH", "resources": [server.arn(f"topic/{fleet['root']}/a")]}
        answer = account.iot.test_authorization(principal=fleet["device"].arn, authInfos=[info], policyNamesToAdd=[added])
        assert answer["authResults"][0]["authDecision"] == decision, answer


def test_what_is_said_is_what_the_device_meets(server, account, fleet):
    topics = [f"{fleet['root']}/a", f"{fleet['root']}-of/{fleet['thing']}", f"{fleet['root']}-of/other"]
    infos = [{"actionType": "PUBLISH", "resources": [server.arn(f"topic/{topic}")]} for topic in topics]
    said = account.iot.test_authorization(principal=fleet["device"].arn, clientId=fleet["thing"], authInfos=infos)
    said = [result["authDecision"] == "ALLOWED" for result in said["authResults"]]
    met = []
    for topic in topics:
        client = AwsSdk5(server, fleet["device"], fleet["thing"])
        try:
            client.connect()
            client.publish(topic, b"x", 1)
            met.append(True)
        except Refused:
            met.append(False)
        finally:
            client.close()
    assert said == met == [True, True, False]


def test_effective_policies(account, fleet):
    def effective(**asked):
        rows = account.iot.get_effective_policies(**asked)["effectivePolicies"]
        assert all(json.loads(row["policyDocument"])["Version"] and row["policyArn"] for row in rows)
        return names(rows)
    arn, thing = fleet["device"].arn, fleet["thing"]
    assert effective(principal=arn) == [fleet["own"]]
    assert effective(principal=arn, thingName=thing) == sorted([fleet["own"], fleet["grouped"]])
    assert effective(principal=fleet["group"]) == [fleet["grouped"]]
    assert effective(thingName=thing) == [fleet["grouped"]]


def test_what_cannot_be_asked(server, account, fleet):
    info = {"actionType": "PUBLISH", "resources": [server.arn("topic/a")]}
    unknown = server.arn("cert/" + "0" * 64)
    for code, call in (
            ("ResourceNotFoundException", lambda: account.iot.test_authorization(principal=unknown, authInfos=[info])),
            ("InvalidRequestException", lambda: account.iot.test_authorization(principal="me", authInfos=[info])),
            ("InvalidRequestException", lambda: account.iot.get_effective_policies()),
            ("ResourceNotFoundException", lambda: account.iot.get_effective_policies(thingName=unique("no")))):
        with pytest.raises(ClientError) as refusal:
            call()
        assert refusal.value.response["Error"]["Code"] == code


def test_the_cli_asks_the_same(server, fleet):
    """The AWS CLI as it comes from its package, with its own spelling of the shapes."""
    root, thing = fleet["root"], fleet["thing"]
    topics = [f"{root}/a", f"{root}-of/{thing}", "elsewhere"]
    said = aws(server, "iot", "test-authorization", "--principal", fleet["device"].arn, "--client-id", thing,
               "--policy-names-to-skip", fleet["own"], "--auth-infos",
               *(f"actionType=PUBLISH,resources={server.arn(f'topic/{topic}')}" for topic in topics))
    assert [result["authDecision"] for result in said["authResults"]] == ["IMPLICIT_DENY", "ALLOWED", "IMPLICIT_DENY"]
    assert names(said["authResults"][1]["allowed"]["policies"]) == [fleet["grouped"]]
    said = aws(server, "iot", "test-authorization", "--principal", fleet["device"].arn, "--policy-names-to-add", fleet["closed"],
               "--auth-infos", f"actionType=PUBLISH,resources={server.arn(f'topic/{root}/secret')}")
    assert said["authResults"][0]["authDecision"] == "EXPLICIT_DENY"
    listed = aws(server, "iot", "get-effective-policies", "--principal", fleet["device"].arn, "--thing-name", thing)
    assert names(listed["effectivePolicies"]) == sorted([fleet["own"], fleet["grouped"]])
    refused = aws(server, "iot", "test-authorization", "--principal", server.arn("cert/" + "0" * 64), "--auth-infos",
                  f"actionType=PUBLISH,resources={server.arn('topic/a')}", check=False)
    assert refused.returncode != 0 and "ResourceNotFoundException" in refused.stderr, refused.stderr


def test_for_a_cognito_identity_its_role_and_its_policies_have_to_allow(server, account):
    """What TestAuthorization says of an authenticated identity is what its credentials then meet."""
    iam, root = Iam(server), unique("root")
    pool = iam.pool(authenticated=[allow("iot:Publish", server.arn(f"topic/{root}/role/*")), allow("iot:Publish", server.arn(f"topic/{root}/both"))])
    token = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"login.test": "alice"})
    identity, logins = token["IdentityId"], {"cognito-identity.amazonaws.com": token["Token"]}
    credentials = unsigned(server).get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
    data = server.boto("iot-data", **keys(credentials))
    topics = [f"{root}/role/a", f"{root}/both", f"{root}/policy/a"]

    def said():
        infos = [{"actionType": "PUBLISH", "resources": [server.arn(f"topic/{topic}")]} for topic in topics]
        answer = account.iot.test_authorization(principal=identity, cognitoIdentityPoolId=pool, authInfos=infos)
        return [result["authDecision"] == "ALLOWED" for result in answer["authResults"]]

    def met(topic):
        try:
            data.publish(topic=topic, payload=b"x")
            return True
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            return False
    assert said() == [met(topic) for topic in topics] == [False, False, False], "the role alone is not enough"
    policy = account.iot.create_policy(policyName=unique("cognito"), policyDocument=document(
        allow("iot:Publish", server.arn(f"topic/{root}/both")), allow("iot:Publish", server.arn(f"topic/{root}/policy/*"))))["policyName"]
    account.iot.attach_policy(policyName=policy, target=identity)
    assert said() == [met(topic) for topic in topics] == [False, True, False]
    listed = account.iot.get_effective_policies(principal=identity, cognitoIdentityPoolId=pool)
    assert names(listed["effectivePolicies"]) == [policy]
