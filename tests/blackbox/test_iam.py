"""Who signs, and what they may do: IAM users and roles, sessions of STS, identities of Amazon Cognito, with real clients."""

import base64
import json
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

import botocore
import botocore.config
import pytest
from botocore.exceptions import ClientError

from provision import allow, deny, document, unique
from test_aws_cli import aws
from test_domain_configurations import Bought, host

TRUST_ACCOUNT = "arn:aws:iam::{}:root"


def code(error):
    return error.value.response["Error"]["Code"]


def message(error):
    return error.value.response["Error"]["Message"]


def status(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def trust(principal, action="sts:AssumeRole", **condition):
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    return json.dumps({"Version": "2012-10-17", "Statement": [dict(statement, **({"Condition": condition} if condition else {}))]})


class Iam:
    """IAM of one server, as the account's owner sees it."""

    def __init__(self, server):
        self.server, self.iam, self.sts = server, server.boto("iam"), server.boto("sts")
        self.cognito = server.boto("cognito-identity")

    def user(self, *statements):
        """Makes a user with a policy and an access key."""
        name = unique("user")
        self.iam.create_user(UserName=name)
        if statements:
            self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return name, {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def role(self, *statements, trusted=None):
        """Makes a role; answers its ARN."""
        name = unique("role")
        trusted = trusted or trust({"AWS": TRUST_ACCOUNT.format(self.server.account_id)})
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return arn

    def pool(self, authenticated=(), unauthenticated=(), **options):
        """Makes an identity pool whose roles have these statements."""
        name = unique("pool")
        pool = self.cognito.create_identity_pool(
            IdentityPoolName=name, AllowUnauthenticatedIdentities=True, DeveloperProviderName="login.test", **options)["IdentityPoolId"]
        web = trust({"Federated": "cognito-identity.amazonaws.com"}, "sts:AssumeRoleWithWebIdentity",
                    StringEquals={"cognito-identity.amazonaws.com:aud": pool})
        roles = {"authenticated": self.role(*authenticated, trusted=web), "unauthenticated": self.role(*unauthenticated, trusted=web)}
        self.cognito.set_identity_pool_roles(IdentityPoolId=pool, Roles=roles)
        return pool


def keys(credentials):
    """The keyword arguments of boto3 for temporary credentials."""
    return {"aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials.get("SecretAccessKey") or credentials["SecretKey"],
            "aws_session_token": credentials["SessionToken"]}


@pytest.fixture
def iam(server):
    return Iam(server)


def unsigned(server, service="cognito-identity"):
    config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    return server.boto(service, config=config, aws_access_key_id=None, aws_secret_access_key=None)


# ---- IAM -------------------------------------------------------------------------------------------------------


def test_users_keys_and_policies(server, iam):
    name = unique("user")
    made = iam.iam.create_user(UserName=name)["User"]
    assert made["Arn"] == f"arn:aws:iam::{server.account_id}:user/{name}" and made["UserId"].startswith("AIDA")
    assert iam.iam.get_user(UserName=name)["User"] == made
    with pytest.raises(ClientError) as error:
        iam.iam.create_user(UserName=name)
    assert (code(error), status(error)) == ("EntityAlreadyExists", 409)
    text = document(allow("iot:ListThings", "*"))
    iam.iam.put_user_policy(UserName=name, PolicyName="a b".replace(" ", "-"), PolicyDocument=text)
    assert iam.iam.get_user_policy(UserName=name, PolicyName="a-b")["PolicyDocument"] == json.loads(text)
    assert iam.iam.list_user_policies(UserName=name)["PolicyNames"] == ["a-b"]
    key = iam.iam.create_access_key(UserName=name)["AccessKey"]
    assert key["AccessKeyId"].startswith("AKIA") and len(key["SecretAccessKey"]) == 40
    iam.iam.create_access_key(UserName=name)
    with pytest.raises(ClientError) as error:
        iam.iam.create_access_key(UserName=name)
    assert code(error) == "LimitExceeded"
    listed = iam.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    assert len(listed) == 2 and listed[0]["Status"] == "Active"
    with pytest.raises(ClientError) as error:
        iam.iam.delete_user(UserName=name)
    assert code(error) == "DeleteConflict"
    for one in listed:
        iam.iam.delete_access_key(UserName=name, AccessKeyId=one["AccessKeyId"])
    iam.iam.delete_user_policy(UserName=name, PolicyName="a-b")
    iam.iam.delete_user(UserName=name)
    with pytest.raises(ClientError) as error:
        iam.iam.get_user(UserName=name)
    assert (code(error), status(error)) == ("NoSuchEntity", 404)


def test_roles(server, iam):
    name = unique("role")
    trusted = trust({"AWS": "*"})
    made = iam.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted, Description="<a> & b")["Role"]
    assert made["RoleId"].startswith("AROA") and made["AssumeRolePolicyDocument"] == json.loads(trusted)
    assert iam.iam.get_role(RoleName=name)["Role"]["Description"] == "<a> & b"
    iam.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allow("*", "*")))
    assert iam.iam.list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
    with pytest.raises(ClientError) as error:
        iam.iam.delete_role(RoleName=name)
    assert code(error) == "DeleteConflict"
    iam.iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.iam.delete_role(RoleName=name)


def test_lists_have_pages(server, iam):
    names = sorted(iam.user()[0] for _ in range(5))
    pages = list(iam.iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Users"]) <= 2 for page in pages)
    found = [user["UserName"] for page in pages for user in page["Users"]]
    assert found == sorted(found) and set(names) <= set(found) and len(found) == len(set(found))


@pytest.mark.parametrize("text", ["", "{}", '{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps","Action":"*","Resource":"*"}]}'])
def test_a_malformed_document_is_refused(iam, text):
    name, _ = iam.user()
    with pytest.raises((ClientError, botocore.exceptions.ParamValidationError)) as error:
        iam.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
    if isinstance(error.value, ClientError):
        assert (code(error), status(error)) == ("MalformedPolicyDocument", 400)


@pytest.mark.parametrize("statement, what", [
    ({"Effect": "Deny", "Condition": {"StringEquals": {"aws:ResourceTag/env": "prod"}}}, "condition key aws:ResourceTag/env"),
    ({"Effect": "Allow", "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "a"}}}, "condition key aws:PrincipalTag/team"),
    ({"Effect": "Deny", "Condition": {"StringLike": {"aws:userid": "${aws:PrincipalTag/team}"}}}, "policy variable aws:PrincipalTag/team"),
], ids=["deny", "negated", "variable"])
def test_what_would_never_hold_is_refused(iam, statement, what):
    """A Deny that depends on an unknown key would deny nothing."""
    name, _ = iam.user()
    role = iam.role().split("/")[-1]
    text = document(dict({"Action": "*", "Resource": "*"}, **statement))
    trusted = json.dumps({"Version": "2012-10-17", "Statement": [dict({"Action": "sts:AssumeRole", "Principal": "*"}, **statement)]})
    for call in [
        lambda: iam.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text),
        lambda: iam.iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=text),
        lambda: iam.iam.create_role(RoleName=unique("role"), AssumeRolePolicyDocument=trusted),
        lambda: iam.sts.assume_role(RoleArn=iam.role(), RoleSessionName="me", Policy=text),
    ]:
        with pytest.raises(ClientError) as error:
            call()
        assert (code(error), status(error)) == ("MalformedPolicyDocument", 400), error.value.response
        assert f"by its statement 1: the {what} is not built" in message(error), message(error)
    # AWS IoT takes them: there they have no value either, and AWS says nothing.
    iam.server.boto("iot").create_policy(policyName=unique("policy"), policyDocument=text)


@pytest.mark.parametrize("key", ["aws:SecureTransport", "sts:ExternalId", "aws:SourceAccount"])
def test_what_only_narrows_is_taken(iam, key):
    """An Allow that depends on an unknown key allows nothing, and keeps no document from counting."""
    condition = {"StringEquals": {key: "true"}}
    arn = iam.role(trusted=trust("*", **condition))
    _, key = iam.user({"Effect": "Allow", "Action": "iot:ListThings", "Resource": "*", "Condition": condition}, allow("iot:ListThingTypes", "*"))
    iot = iam.server.boto("iot", **key)
    iot.list_thing_types()
    denied(iot.list_things, iam.server)
    with pytest.raises(ClientError) as error:
        iam.server.boto("sts", **key).assume_role(RoleArn=arn, RoleSessionName="me")
    assert code(error) == "AccessDenied", error.value.response


# ---- what a user may do ----------------------------------------------------------------------------------------


def test_a_user_may_do_what_its_policy_allows(server, iam):
    name, key = iam.user(
        allow("iot:CreateThing", server.arn("thing/mine-*")), allow("iot:ListThings", "*"), deny("iot:CreateThing", server.arn("thing/mine-not")))
    iot = server.boto("iot", **key)
    mine = unique("mine")
    iot.create_thing(thingName=mine)
    assert iot.list_things()["things"]
    arn = f"arn:aws:iam::{server.account_id}:user/{name}"
    for call, why in [
        (lambda: iot.create_thing(thingName="other"), "because no identity-based policy allows the iot:CreateThing action"),
        (lambda: iot.create_thing(thingName="mine-not"), "with an explicit deny in an identity-based policy"),
        (lambda: iot.describe_thing(thingName=mine), "because no identity-based policy allows the iot:DescribeThing action"),
    ]:
        with pytest.raises(ClientError) as error:
            call()
        assert (code(error), status(error)) == ("AccessDeniedException", 403)
        assert message(error).startswith(f"User: {arn} is not authorized to perform: iot:"), message(error)
        assert why in message(error), message(error)
    assert server.arn("thing/other") not in [thing["thingArn"] for thing in iot.list_things()["things"]]


def denied(call, server, *resources):
    """The call is refused, and with an explicit Deny if resources are given: of one of them."""
    with pytest.raises(ClientError) as error:
        call()
    assert (code(error), status(error)) == ("AccessDeniedException", 403), error.value.response
    if resources:
        assert "explicit deny" in message(error), message(error)
        assert any(f"on resource: {server.arn(resource)} " in message(error) for resource in resources), message(error)


def test_an_id_in_capitals_walks_around_no_deny(server, account, iam):
    device = account.certificate()
    _, key = iam.user(allow("*", "*"), deny(["iot:UpdateCertificate", "iot:DeleteCertificate"], device.arn))
    iot = server.boto("iot", **key)
    for spelling in (device.certificate_id, device.certificate_id.upper()):
        denied(lambda: iot.update_certificate(certificateId=spelling, newStatus="INACTIVE"), server, f"cert/{device.certificate_id}")
        denied(lambda: iot.delete_certificate(certificateId=spelling, forceDelete=True), server, f"cert/{device.certificate_id}")
    seen = iot.describe_certificate(certificateId=device.certificate_id.upper())["certificateDescription"]
    assert (seen["certificateId"], seen["status"]) == (device.certificate_id, "ACTIVE")


def test_what_the_input_names_is_asked_about(server, account, iam):
    """Not in the path, but in header, query or body."""
    owner, thing, device = account.iot, unique("thing"), account.certificate()
    owner.create_thing(thingName=thing)
    names = {kind: unique(kind) for kind in ("closed", "open", "billing", "policy", "authorizer", "domain")}
    arns = {kind: owner.create_thing_group(thingGroupName=names[kind])["thingGroupArn"] for kind in ("closed", "open")}
    owner.create_billing_group(billingGroupName=names["billing"])
    owner.create_policy(policyName=names["policy"], policyDocument=document(allow("iot:Connect", "*")))
    domain = owner.create_domain_configuration(domainConfigurationName=names["domain"])["domainConfigurationArn"]
    group, billing = f"thinggroup/{names['closed']}", f"billinggroup/{names['billing']}"
    authorizer, cert, domain = f"authorizer/{names['authorizer']}", f"cert/{device.certificate_id}", domain.split(":")[-1]
    resources = [server.arn(one) for one in (group, billing, authorizer, cert, domain)]
    _, key = iam.user(allow("*", "*"), deny("iot:*", resources))
    iot = server.boto("iot", **key)
    for call, resource in [
        (lambda: iot.add_thing_to_thing_group(thingName=thing, thingGroupName=names["closed"]), group),
        (lambda: iot.add_thing_to_thing_group(thingName=thing, thingGroupArn=arns["closed"]), group),
        (lambda: iot.remove_thing_from_thing_group(thingName=thing, thingGroupName=names["closed"]), group),
        (lambda: iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToAdd=[names["open"], names["closed"]]), group),
        (lambda: iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToRemove=[names["closed"]]), group),
        (lambda: iot.create_thing_group(thingGroupName=unique("child"), parentGroupName=names["closed"]), group),
        (lambda: iot.add_thing_to_billing_group(thingName=thing, billingGroupName=names["billing"]), billing),
        (lambda: iot.remove_thing_from_billing_group(thingName=thing, billingGroupName=names["billing"]), billing),
        (lambda: iot.create_thing(thingName=unique("thing"), billingGroupName=names["billing"]), billing),
        (lambda: iot.set_default_authorizer(authorizerName=names["authorizer"]), authorizer),
        (lambda: iot.tag_resource(resourceArn=arns["closed"], tags=[{"Key": "a", "Value": "b"}]), group),
        (lambda: iot.untag_resource(resourceArn=arns["closed"], tagKeys=["a"]), group),
        (lambda: iot.list_tags_for_resource(resourceArn=arns["closed"]), group),
        (lambda: iot.list_attached_policies(target=device.arn), cert),
        (lambda: iot.attach_policy(policyName=names["policy"], target=device.arn), cert),
        (lambda: iot.attach_policy(policyName=names["policy"], target=arns["closed"]), group),
        (lambda: iot.detach_policy(policyName=names["policy"], target=device.arn), cert),
        (lambda: iot.attach_principal_policy(policyName=names["policy"], principal=device.arn), cert),
        (lambda: iot.attach_thing_principal(thingName=thing, principal=device.arn), cert),
        (lambda: iot.detach_thing_principal(thingName=thing, principal=device.arn), cert),
        (lambda: iot.describe_domain_configuration(domainConfigurationName=names["domain"]), domain),
        (lambda: iot.delete_domain_configuration(domainConfigurationName=names["domain"]), domain),
    ]:
        denied(call, server, resource)
    iot.add_thing_to_thing_group(thingName=thing, thingGroupName=names["open"])
    iot.attach_policy(policyName=names["policy"], target=arns["open"])
    assert owner.list_thing_groups_for_thing(thingName=thing)["thingGroups"][0]["groupName"] == names["open"]


def test_each_resource_of_an_operation_is_needed(server, account, iam):
    thing, group, other, policy, billing = unique("thing"), unique("group"), unique("group"), unique("policy"), unique("billing")
    account.iot.create_thing(thingName=thing)
    arn, other_arn = (account.iot.create_thing_group(thingGroupName=name)["thingGroupArn"] for name in (group, other))
    account.iot.create_policy(policyName=policy, policyDocument=document(allow("iot:Connect", "*")))
    billing_arn = account.iot.create_billing_group(billingGroupName=billing)["billingGroupArn"]
    device, foreign = account.certificate(), account.certificate()
    mine, both = server.arn("thing/mine-*"), ["iot:AddThingToThingGroup", "iot:UpdateThingGroupsForThing"]
    _, key = iam.user(
        allow(both, [server.arn(f"thing/{thing}"), arn]), allow("iot:AttachPolicy", device.arn), allow("iot:CreateThing", mine),
        allow("iot:TagResource", arn), allow(["iot:AttachThingPrincipal", "iot:ListPrincipalThings"], device.arn))
    iot = server.boto("iot", **key)
    iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
    iot.attach_policy(policyName=policy, target=device.arn)
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "b"}])
    iot.attach_thing_principal(thingName=thing, principal=device.arn)
    assert iot.list_principal_things(principal=device.arn)["things"] == [thing]
    iot.create_thing(thingName=unique("mine"))
    denied(lambda: iot.add_thing_to_thing_group(thingName=thing, thingGroupName=other), server)
    denied(lambda: iot.add_thing_to_thing_group(thingName=unique("thing"), thingGroupName=group), server)
    denied(lambda: iot.attach_policy(policyName=policy, target=arn), server)
    denied(lambda: iot.list_attached_policies(target=device.arn), server)
    denied(lambda: iot.attach_thing_principal(thingName=thing, principal=foreign.arn), server)
    denied(lambda: iot.list_principal_things(principal=foreign.arn), server)
    # What is optional needs an Allow as soon as it is given.
    denied(lambda: iot.create_thing(thingName=unique("mine"), billingGroupName=billing), server)
    account.iot.add_thing_to_thing_group(thingName=thing, thingGroupName=other)
    for groups in ({"thingGroupsToRemove": [other]}, {"thingGroupsToAdd": [other]}, {"thingGroupsToAdd": [group, other]}):
        denied(lambda: iot.update_thing_groups_for_thing(thingName=thing, **groups), server)
    iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToRemove=[group])
    left = account.iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]
    assert [one["groupArn"] for one in left] == [other_arn]
    _, key = iam.user(allow("iot:CreateThing", [mine, billing_arn]))
    server.boto("iot", **key).create_thing(thingName=unique("mine"), billingGroupName=billing)


def test_principals_are_put_on_the_things_of_a_condition(server, account, iam):
    mine, other, device = unique("team-a"), unique("team-b"), account.certificate()
    for name in (mine, other):
        account.iot.create_thing(thingName=name)
    condition = {"ArnLike": {"iot:thingArn": server.arn("thing/team-a*")}}
    _, key = iam.user(dict(allow(["iot:AttachThingPrincipal", "iot:DetachThingPrincipal"], device.arn), Condition=condition))
    iot = server.boto("iot", **key)
    for call, owner in [(iot.attach_thing_principal, account.iot.attach_thing_principal), (iot.detach_thing_principal, None)]:
        call(thingName=mine, principal=device.arn)
        if owner:
            owner(thingName=other, principal=device.arn)
        denied(lambda: call(thingName=other, principal=device.arn), server)
    assert account.iot.list_principal_things(principal=device.arn)["things"] == [other]


def test_a_certificate_of_acm_is_asked_about(server, iam):
    owner = server.boto("acm")
    new = lambda: Bought(host()).members()  # noqa: E731
    closed, opened = (owner.import_certificate(**new())["CertificateArn"] for _ in range(2))
    before = owner.get_certificate(CertificateArn=closed)
    _, but_one = iam.user(allow("acm:*", "*"), deny("acm:*", closed))
    _, only_one = iam.user(allow("acm:*", opened))
    calls = [lambda acm, arn: acm.describe_certificate(CertificateArn=arn), lambda acm, arn: acm.get_certificate(CertificateArn=arn),
             lambda acm, arn: acm.list_tags_for_certificate(CertificateArn=arn),
             lambda acm, arn: acm.import_certificate(CertificateArn=arn, **new()), lambda acm, arn: acm.delete_certificate(CertificateArn=arn)]
    for key, why in [(but_one, "with an explicit deny"), (only_one, "because no identity-based policy allows")]:
        acm = server.boto("acm", **key)
        for call in calls:
            with pytest.raises(ClientError) as error:
                call(acm, closed)
            assert code(error) == "AccessDeniedException", error.value.response
            assert f"on resource: {closed} {why}" in message(error), message(error)
    assert owner.get_certificate(CertificateArn=closed)["Certificate"] == before["Certificate"], "nobody has replaced it"
    acm = server.boto("acm", **only_one)
    for call in [lambda: acm.import_certificate(**new()), acm.list_certificates]:  # They name none: they are on all.
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "AccessDeniedException", error.value.response
    for call in calls:
        call(acm, opened)
    acm = server.boto("acm", **but_one)
    acm.delete_certificate(CertificateArn=acm.import_certificate(**new())["CertificateArn"])
    assert closed in [one["CertificateArn"] for one in acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]]
    owner.delete_certificate(CertificateArn=closed)


def test_permissions_change_at_once(server, iam):
    name, key = iam.user()
    iot = server.boto("iot", **key)
    with pytest.raises(ClientError) as error:
        iot.list_things()
    assert "no policy is attached" in message(error), message(error)
    iam.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(allow("iot:ListThings", "*")))
    iot.list_things()
    iam.iam.delete_user_policy(UserName=name, PolicyName="p")
    with pytest.raises(ClientError):
        iot.list_things()


def test_an_inactive_key_signs_nothing(server, iam):
    name, key = iam.user(allow("*", "*"))
    sts = server.boto("sts", **key)
    sts.get_caller_identity()
    iam.iam.update_access_key(UserName=name, AccessKeyId=key["aws_access_key_id"], Status="Inactive")
    with pytest.raises(ClientError) as error:
        sts.get_caller_identity()
    assert (code(error), status(error)) == ("InvalidClientTokenId", 403)
    with pytest.raises(ClientError) as error:
        server.boto("iot", **key).list_things()
    assert code(error) == "UnrecognizedClientException"
    iam.iam.update_access_key(UserName=name, AccessKeyId=key["aws_access_key_id"], Status="Active")
    sts.get_caller_identity()


def test_users_manage_themselves_if_they_may(server, iam):
    name, key = iam.user(allow(["iam:ListAccessKeys", "iam:GetUser"], f"arn:aws:iam::{server.account_id}:user/${{aws:username}}"))
    own = server.boto("iam", **key)
    assert own.get_user()["User"]["UserName"] == name
    assert own.list_access_keys()["AccessKeyMetadata"][0]["AccessKeyId"] == key["aws_access_key_id"]
    with pytest.raises(ClientError) as error:
        own.get_user(UserName=iam.user()[0])
    assert (code(error), status(error)) == ("AccessDenied", 403)
    with pytest.raises(ClientError) as error:
        own.create_user(UserName=unique("user"))
    assert code(error) == "AccessDenied"


def test_publish_asks_the_users_policies(server, iam, connected, topic):
    _, key = iam.user(allow("iot:Publish", server.arn(f"topic/{topic}")))
    client = connected()
    client.subscribe(topic)
    data = server.boto("iot-data", **key)
    data.publish(topic=topic, payload=b"hello", qos=1)
    assert client.message().payload == b"hello"
    for options in ({"topic": topic + "/other"}, {"topic": topic, "retain": True}):
        with pytest.raises(ClientError) as error:
            data.publish(payload=b"no", **options)
        assert (code(error), status(error)) == ("ForbiddenException", 403), error.value.response
    with pytest.raises(ClientError) as error:
        data.list_retained_messages()
    assert (code(error), status(error)) == ("ForbiddenException", 403)


def test_the_device_port_asks_the_same(server, iam, topic):
    _, key = iam.user(allow("iot:Publish", server.arn(f"topic/{topic}")), allow("iot:GetRetainedMessage", server.arn(f"topic/{topic}")))
    data = server.boto("iot-data", url=f"https://localhost:{server.ports['tls']}", **key)
    data.publish(topic=topic, payload=b"hello")
    for call, expected in [
        (lambda: data.publish(topic=topic + "/other", payload=b"no"), "ForbiddenException"),
        (lambda: data.list_retained_messages(), "ForbiddenException"),
        (lambda: data.get_retained_message(topic=topic + "/other"), "ForbiddenException"),
        (lambda: data.get_retained_message(topic=topic), "ResourceNotFoundException"),
    ]:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == expected, error.value.response


def test_own_operations_are_the_owners(server, iam):
    _, key = iam.user(allow("*", "*"))
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    credentials = botocore.credentials.Credentials(key["aws_access_key_id"], key["aws_secret_access_key"])
    request = botocore.awsrequest.AWSRequest("GET", server.ready["api_url"] + "/thingcore/divergences")
    botocore.auth.SigV4Auth(credentials, "thingcore", server.region).add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers)))
    assert error.value.code == 403 and b"owner" in error.value.read()


# ---- STS -------------------------------------------------------------------------------------------------------


def test_who_am_i(server, iam):
    assert iam.sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{server.account_id}:root"
    name, key = iam.user()
    identity = server.boto("sts", **key).get_caller_identity()
    assert identity["Arn"].endswith(f":user/{name}") and identity["Account"] == server.account_id


def test_a_role_is_assumed(server, iam):
    role = iam.role(allow("iot:ListThings", "*"))
    session = iam.sts.assume_role(RoleArn=role, RoleSessionName="me")
    who = server.boto("sts", **keys(session["Credentials"])).get_caller_identity()
    assert who["Arn"] == session["AssumedRoleUser"]["Arn"] == role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/me"
    assert session["Credentials"]["AccessKeyId"].startswith("ASIA")
    iot = server.boto("iot", **keys(session["Credentials"]))
    iot.list_things()
    with pytest.raises(ClientError) as error:
        iot.create_thing(thingName=unique("thing"))
    assert code(error) == "AccessDeniedException"
    iam.iam.delete_role_policy(RoleName=role.split("/")[-1], PolicyName="p")
    iam.iam.delete_role(RoleName=role.split("/")[-1])
    with pytest.raises(ClientError) as error:
        iot.list_things()
    assert code(error) == "UnrecognizedClientException", "the sessions of a role end with it"


def test_who_may_assume_a_role(server, iam):
    name, key = iam.user(allow("sts:AssumeRole", "*"))
    arn = f"arn:aws:iam::{server.account_id}:user/{name}"
    nobody, nobodys = iam.user()
    sts, poor = server.boto("sts", **key), server.boto("sts", **nobodys)
    by_account, by_name = iam.role(), iam.role(trusted=trust({"AWS": f"arn:aws:iam::{server.account_id}:user/{nobody}"}))
    sts.assume_role(RoleArn=by_account, RoleSessionName="s1")
    poor.assume_role(RoleArn=by_name, RoleSessionName="s1")
    service = iam.role(trusted=trust({"Service": "iot.amazonaws.com"}))
    for client, who, role in [(poor, nobody, by_account), (sts, name, by_name), (sts, name, service), (sts, name, by_name + "x")]:
        with pytest.raises(ClientError) as error:
            client.assume_role(RoleArn=role, RoleSessionName="s1")
        assert (code(error), status(error)) == ("AccessDenied", 403)
        expected = f"User: {arn.replace(name, who)} is not authorized to perform: sts:AssumeRole on resource: {role}"
        assert message(error) == expected


def test_a_session_policy_narrows(server, iam):
    role = iam.role(allow("iot:*", "*"))
    narrow = document(allow("iot:ListThings", "*"))
    session = iam.sts.assume_role(RoleArn=role, RoleSessionName="me", Policy=narrow)["Credentials"]
    iot = server.boto("iot", **keys(session))
    iot.list_things()
    with pytest.raises(ClientError) as error:
        iot.create_thing(thingName=unique("thing"))
    assert "by the session policy" in message(error), message(error)
    for bad in [{"Policy": "{"}, {"DurationSeconds": 3601}, {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/AdministratorAccess"}]}]:
        with pytest.raises(ClientError):
            iam.sts.assume_role(RoleArn=role, RoleSessionName="me", **bad)


def test_a_session_policy_holds_for_other_roles_too(server, iam):
    own = iam.role(allow("*", "*"))
    named, everybody = iam.role(allow("*", "*"), trusted=trust({"AWS": own})), iam.role(allow("*", "*"), trusted=trust({"AWS": "*"}))
    narrow, wide = document(allow("iot:ListThings", "*")), document(allow("sts:AssumeRole", named))
    for policy, may in [(narrow, []), (wide, [named])]:
        session = iam.sts.assume_role(RoleArn=own, RoleSessionName="me", Policy=policy)["Credentials"]
        sts = server.boto("sts", **keys(session))
        for role in [named, everybody]:
            if role in may:
                sts.assume_role(RoleArn=role, RoleSessionName="me")
                continue
            with pytest.raises(ClientError) as error:
                sts.assume_role(RoleArn=role, RoleSessionName="me")
            assert (code(error), status(error)) == ("AccessDenied", 403)


def test_sessions_are_revoked(server, iam):
    """By the policy that AWS's console writes for it: whatever was issued before now."""
    role = iam.role(allow("iot:ListThings", "*"))
    assume = lambda: server.boto("iot", **keys(iam.sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]))  # noqa: E731
    name, key = iam.user(allow("iot:ListThings", "*"))
    of_user = server.boto("iot", **keys(server.boto("sts", **key).get_session_token()["Credentials"]))
    before = [assume(), of_user]
    for iot in before:
        iot.list_things()
    time.sleep(0.01)
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    time.sleep(0.01)
    revoke = document({"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": {"DateLessThan": {"aws:TokenIssueTime": now}}})
    iam.iam.put_role_policy(RoleName=role.split("/")[-1], PolicyName="AWSRevokeOlderSessions", PolicyDocument=revoke)
    iam.iam.put_user_policy(UserName=name, PolicyName="AWSRevokeOlderSessions", PolicyDocument=revoke)
    for iot in before:
        with pytest.raises(ClientError) as error:
            iot.list_things()
        assert (code(error), status(error)) == ("AccessDeniedException", 403), error.value.response
        assert "with an explicit deny" in message(error), message(error)
    assume().list_things()
    server.boto("iot", **key).list_things()


def test_forged_and_foreign_tokens(server, iam):
    role = iam.role(allow("*", "*"))
    good = keys(iam.sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"])
    other = keys(iam.sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"])
    token = bytearray(base64.b64decode(good["aws_session_token"]))
    token[-3] ^= 1
    for bad in [dict(good, aws_session_token=base64.b64encode(bytes(token)).decode()), dict(good, aws_session_token="x"),
                dict(good, aws_session_token=other["aws_session_token"]), dict(good, aws_session_token=None)]:
        with pytest.raises(ClientError) as error:
            server.boto("iot", **bad).list_things()
        assert (code(error), status(error)) == ("UnrecognizedClientException", 403)
        assert message(error).startswith("The security token included in the request is invalid."), message(error)
    with pytest.raises(ClientError) as error:
        server.boto("iot", **dict(good, aws_secret_access_key="x")).list_things()
    assert code(error) == "InvalidSignatureException"


def test_session_tokens_of_a_user_and_of_the_owner(server, iam):
    name, key = iam.user(allow("iot:ListThings", "*"))
    session = server.boto("sts", **key).get_session_token(DurationSeconds=900)["Credentials"]
    server.boto("iot", **keys(session)).list_things()
    assert server.boto("sts", **keys(session)).get_caller_identity()["Arn"].endswith(f":user/{name}")
    with pytest.raises(ClientError) as error:
        server.boto("sts", **keys(session)).get_session_token()
    assert code(error) == "AccessDenied"
    owner = iam.sts.get_session_token()["Credentials"]
    server.boto("iot", **keys(owner)).create_thing(thingName=unique("thing"))


def test_sessions_outlive_a_restart(new_server):
    server = new_server()
    iam = Iam(server)
    session = keys(iam.sts.assume_role(RoleArn=iam.role(allow("iot:ListThings", "*")), RoleSessionName="me")["Credentials"])
    assert (server.data_dir / "session-key").stat().st_mode & 0o777 == 0o600
    server.stop()
    server.start()
    server.boto("iot", **session).list_things()
    assert session["aws_secret_access_key"] not in server.log_text()


# ---- Amazon Cognito --------------------------------------------------------------------------------------------


def test_an_unauthenticated_identity(server, iam, connected, topic):
    pool = iam.pool(unauthenticated=[allow("iot:Publish", server.arn("topic/${cognito-identity.amazonaws.com:sub}/*"))])
    guest = unsigned(server)
    identity = guest.get_id(IdentityPoolId=pool)["IdentityId"]
    assert identity.startswith(server.region + ":")
    answer = guest.get_credentials_for_identity(IdentityId=identity)
    credentials = answer["Credentials"]
    assert answer["IdentityId"] == identity and credentials["Expiration"].timestamp() > 0
    client = connected()
    client.subscribe(f"{identity}/#")
    data = server.boto("iot-data", **keys(credentials))
    data.publish(topic=f"{identity}/x", payload=b"mine", qos=1)
    assert client.message().payload == b"mine"
    with pytest.raises(ClientError) as error:
        data.publish(topic="others/x", payload=b"no")
    assert status(error) == 403
    who = server.boto("sts", **keys(credentials)).get_caller_identity()
    assert who["Arn"].endswith("/CognitoIdentityCredentials")


def test_an_authenticated_identity_needs_both(server, iam, topic):
    pool = iam.pool(authenticated=[allow("iot:*", "*")])
    token = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"login.test": "alice"})
    identity = token["IdentityId"]
    again = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"login.test": "alice"})
    assert again["IdentityId"] == identity
    logins = {"cognito-identity.amazonaws.com": token["Token"]}
    app = unsigned(server)
    assert app.get_id(IdentityPoolId=pool, Logins=logins)["IdentityId"] == identity
    credentials = keys(app.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"])
    data, iot = server.boto("iot-data", **credentials), server.boto("iot", **credentials)
    iot.list_things()
    with pytest.raises(ClientError) as error:
        data.publish(topic=topic, payload=b"x")
    assert "AWS IoT policies of Cognito identity" in message(error) and "no policy is attached" in message(error), message(error)
    policy = unique("policy")
    owner = server.boto("iot")
    owner.create_policy(policyName=policy, policyDocument=document(allow("iot:Publish", server.arn(f"topic/{topic}"))))
    owner.attach_policy(policyName=policy, target=identity)
    data.publish(topic=topic, payload=b"x")
    with pytest.raises(ClientError):
        data.publish(topic=topic + "/y", payload=b"x")


def test_what_vouches_for_nobody(server, iam):
    pool = iam.pool(SupportedLoginProviders={"graph.facebook.com": "1"})
    other = iam.pool()
    app = unsigned(server)
    alice = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"login.test": "alice"})
    bob = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"login.test": "bob"})
    foreign = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=other, Logins={"login.test": "alice"})
    logins = lambda token: {"cognito-identity.amazonaws.com": token}  # noqa: E731
    for wrong in [{}, logins(bob["Token"]), logins(foreign["Token"]), logins(alice["Token"] + "x"), logins("x"),
                  {"graph.facebook.com": "token"}, {"accounts.google.com": "token"}]:
        with pytest.raises(ClientError) as error:
            app.get_credentials_for_identity(IdentityId=alice["IdentityId"], Logins=wrong)
        assert (code(error), status(error)) == ("NotAuthorizedException", 400), error.value.response
    with pytest.raises(ClientError) as error:
        iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"other": "alice"})
    assert code(error) == "NotAuthorizedException"


def test_what_does_not_fit_is_not_repeated(new_server):
    """It may be a token, and refusals are logged. Of many the log has some only: a server of its own."""
    server, token = new_server(), unique("eyJ-token")
    for body, why in [({"IdentityId": "x", "Logins": token}, "invalid type: string, expected a map"),
                      ({"IdentityId": "x", "Logins": {"a": [token]}}, "invalid type: sequence, expected a string"),
                      ({"IdentityId": {token: 1}}, "invalid type: map, expected a string")]:
        headers = {"X-Amz-Target": "AWSCognitoIdentityService.GetCredentialsForIdentity", "Content-Type": "application/x-amz-json-1.1"}
        request = urllib.request.Request(server.ready["api_url"] + "/", json.dumps(body).encode(), headers)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request)
        answer = json.loads(error.value.read())
        assert (error.value.code, answer["__type"]) == (400, "InvalidParameterException"), answer
        assert answer["message"] == f"The request does not fit the operation: {why}."
        server.wait_for_log("GetCredentialsForIdentity", why)
    assert token not in server.log_text()


def test_pools(server, iam):
    pool = iam.pool()
    assert iam.cognito.describe_identity_pool(IdentityPoolId=pool)["DeveloperProviderName"] == "login.test"
    assert set(iam.cognito.get_identity_pool_roles(IdentityPoolId=pool)["Roles"]) == {"authenticated", "unauthenticated"}
    listed, more = [], {}
    while True:
        page = iam.cognito.list_identity_pools(MaxResults=1, **more)
        listed += [one["IdentityPoolId"] for one in page["IdentityPools"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert pool in listed
    identity = unsigned(server).get_id(IdentityPoolId=pool)["IdentityId"]
    iam.cognito.delete_identity_pool(IdentityPoolId=pool)
    for call in [lambda: iam.cognito.describe_identity_pool(IdentityPoolId=pool),
                 lambda: unsigned(server).get_credentials_for_identity(IdentityId=identity)]:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "ResourceNotFoundException"
    with pytest.raises(ClientError) as error:
        unsigned(server).list_identity_pools(MaxResults=1)
    assert status(error) in (400, 403), "only what AWS takes unsigned is taken unsigned"


def test_identities_are_listed_and_deleted(server, iam):
    pool, app = iam.pool(), unsigned(server)
    made = {app.get_id(IdentityPoolId=pool)["IdentityId"] for _ in range(3)}
    token = iam.cognito.get_open_id_token_for_developer_identity(IdentityPoolId=pool, Logins={"login.test": "alice"})
    listed, more = [], {}
    while True:
        page = iam.cognito.list_identities(IdentityPoolId=pool, MaxResults=3, **more)
        listed += page["Identities"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert {one["IdentityId"] for one in listed} == made | {token["IdentityId"]} and len(listed) == 4
    assert [one["IdentityId"] for one in listed if one["Logins"]] == [token["IdentityId"]]
    deleted = iam.cognito.delete_identities(IdentityIdsToDelete=[*made, token["IdentityId"]])
    assert deleted["UnprocessedIdentityIds"] == []
    assert iam.cognito.list_identities(IdentityPoolId=pool, MaxResults=60)["Identities"] == []
    logins = {"cognito-identity.amazonaws.com": token["Token"]}
    for call in [lambda: app.get_credentials_for_identity(IdentityId=made.pop()), lambda: app.get_id(IdentityPoolId=pool, Logins=logins)]:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "ResourceNotFoundException", error.value.response
    _, key = iam.user(allow("cognito-identity:ListIdentities", "*"))
    with pytest.raises(ClientError) as error:
        server.boto("cognito-identity", **key).delete_identities(IdentityIdsToDelete=["eu-central-1:x"])
    assert code(error) == "AccessDeniedException", error.value.response


def test_a_pool_that_is_not_set_up_says_so(server, iam):
    pool = iam.cognito.create_identity_pool(IdentityPoolName=unique("pool"), AllowUnauthenticatedIdentities=True)["IdentityPoolId"]
    app = unsigned(server)
    identity = app.get_id(IdentityPoolId=pool)["IdentityId"]
    untrusting = iam.role()
    for roles in [{}, {"unauthenticated": untrusting}, {"unauthenticated": untrusting + "-gone"}]:
        iam.cognito.set_identity_pool_roles(IdentityPoolId=pool, Roles=roles)
        with pytest.raises(ClientError) as error:
            app.get_credentials_for_identity(IdentityId=identity)
        assert code(error) == "InvalidIdentityPoolConfigurationException"


# ---- the configuration file and the AWS CLI --------------------------------------------------------------------


def test_users_and_roles_of_the_configuration_file(new_server, tmp_path):
    file, policy = tmp_path / "thingcore.toml", tmp_path / "policy.json"
    policy.write_text(document(allow("iot:ListThings", "*")))
    configured = f"""
[account]
region = "eu-central-1"

[[iam.user]]
name = "filed"
access_key_id = "AKIAFILED"
secret_access_key = "filed-secret"
policy_file = "{policy}"

[[iam.role]]
name = "filed-role"
policy = '{document(allow("iot:ListThings", "*"))}'
"""
    file.write_text(configured)
    server = new_server("--config", file)
    key = {"aws_access_key_id": "AKIAFILED", "aws_secret_access_key": "filed-secret"}
    server.boto("iot", **key).list_things()
    role = f"arn:aws:iam::{server.account_id}:role/filed-role"
    session = keys(server.boto("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"])
    assert server.boto("iam", region_name="us-east-1").get_user(UserName="filed")["User"], "IAM has one Region"
    before = server.boto("iam").get_user(UserName="filed")["User"]["UserId"]
    with pytest.raises(ClientError) as error:
        server.boto("iam").delete_user(UserName="filed")
    assert code(error) == "UnmodifiableEntity"
    server.stop()
    server.start()
    assert server.boto("iam").get_user(UserName="filed")["User"]["UserId"] == before
    server.boto("iot", **session).list_things()
    server.stop()
    file.write_text("[account]\nregion = \"eu-central-1\"\n")
    server.start()
    for gone in (key, session):
        with pytest.raises(ClientError) as error:
            server.boto("iot", **gone).list_things()
        assert code(error) == "UnrecognizedClientException"


USER = """
[[iam.user]]
name = "filed"
access_key_id = "{id}"
secret_access_key = "secret-of-the-user"
"""
OWNER = """
[[access_key]]
id = "{id}"
secret = "secret-of-the-owner"
"""


def test_an_access_key_that_two_hold_is_refused_at_the_start(new_server, tmp_path):
    """The owner's keys are looked at first: everything would be allowed to whoever holds the user's."""
    file = tmp_path / "thingcore.toml"
    file.write_text("")
    server = new_server("--config", file)
    name, made = Iam(server).user()
    server.stop()
    for text, words in [
        (OWNER.format(id="AKIABOTH") + USER.format(id="AKIABOTH"), ["filed", "AKIABOTH", "account's owner"]),
        (USER.format(id=server.ready["access_key_id"]), ["filed", server.ready["access_key_id"], "account's owner"]),
        (OWNER.format(id=made["aws_access_key_id"]), ["[[access_key]]", made["aws_access_key_id"], name]),
        (USER.format(id="ASIAFILED"), ["filed", "ASIA"]),
    ]:
        file.write_text(text)
        server.launch()
        assert server.process.wait(30) != 0 and not server.ready_file.exists()
        server.process = None
        said = server.log_text()
        assert all(word in said for word in words), said
        assert "secret-of" not in said
    file.write_text(OWNER.format(id="AKIAOWNERS") + USER.format(id="AKIAUSERS"))
    server.start()
    key = {"aws_access_key_id": "AKIAUSERS", "aws_secret_access_key": "secret-of-the-user"}
    assert server.boto("sts", **key).get_caller_identity()["Arn"].endswith(":user/filed")


def test_with_the_aws_cli(server, iam):
    assert aws(server, "sts", "get-caller-identity")["Account"] == server.account_id
    name = unique("cli")
    assert aws(server, "iam", "create-user", "--user-name", name)["User"]["UserName"] == name
    key = aws(server, "iam", "create-access-key", "--user-name", name)["AccessKey"]
    assert key["Status"] == "Active"
    aws(server, "iam", "put-user-policy", "--user-name", name, "--policy-name", "p", "--policy-document", document(allow("iot:*", "*")))
    failed = aws(server, "iam", "get-user", "--user-name", unique("nobody"), check=False)
    assert failed.returncode != 0 and "NoSuchEntity" in failed.stderr, failed.stderr
