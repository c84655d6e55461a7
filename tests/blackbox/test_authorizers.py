"""Custom authorizers through boto3: the records, the default, and TestInvokeAuthorizer against functions behind Lambda's
Invoke API and functions that are commands (developer guide, custom authentication)."""

import contextlib
import json
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

from lambdas import Lambda, Signer, arn
from provision import allow, document, unique
from server import Server
from test_api_things import pages, refused

POLICY = document(allow("iot:Connect", "*"))
FIELDS = "at principalId failed to satisfy constraint: Member must satisfy ([a-zA-Z0-9]){1,128}"
RANGE = "failed to satisfy constraint: Member must be greater than 5 minutes and less than 24 hours."

COMMAND = """
import json, subprocess, sys, time
event = json.load(sys.stdin)
name = event["protocolData"]["mqtt"]["username"]
if name == "fail":
    sys.exit("no such user")
if name == "slow":
    time.sleep(600)
principal = "abc"
if name == "leave":
    nothing = subprocess.DEVNULL
    principal = f"pid{subprocess.Popen(['sleep', '600'], stdin=nothing, stdout=nothing, stderr=nothing).pid}"
json.dump({"isAuthenticated": name == "good", "principalId": principal, "policyDocuments": []}, sys.stdout)
"""


def answer(**changes):
    """A good answer, changed; a change to None takes the member away."""
    members = {"isAuthenticated": True, "principalId": "abc", "policyDocuments": [POLICY], **changes}
    return {key: value for key, value in members.items() if value is not None}


def fail(event):
    raise KeyError("no such user")


@pytest.fixture(scope="module")
def lambdas():
    functions = Lambda(
        echo=lambda event: answer(),
        fail=fail,
        junk=lambda event: b"<html>",
        slow=lambda event: functions.stopping.wait(600) or answer(),
        huge=lambda event: b"{" + b" " * (2 << 20) + b"}",
        # Answers what the user name says.
        said=lambda event: json.loads(event["protocolData"]["mqtt"]["username"]),
    )
    yield functions
    functions.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory, lambdas):
    """A server whose functions are behind `lambdas`, but for one that is a command, and one that does not start."""
    folder = tmp_path_factory.mktemp("authorizers")
    (folder / "auth.py").write_text(COMMAND)
    command = json.dumps([sys.executable, str(folder / "auth.py")])
    (folder / "thingcore.toml").write_text(f"""
[functions]
endpoint = "{lambdas.url}"
[[function]]
arn = "{arn('command')}"
command = {command}
[[function]]
arn = "{arn('missing')}"
command = ["/no/such/program"]
[[function]]
arn = "{arn('own')}"
url = "{lambdas.url}/2015-03-31/functions/echo/invocations"
""")
    server = Server(folder / "server", "--config", folder / "thingcore.toml").start()
    yield server
    server.stop()


@pytest.fixture
def iot(house):
    return house.account.iot


@pytest.fixture(scope="module")
def signer():
    return Signer()


@pytest.fixture
def create(iot):
    """create(function, **members): an authorizer without signing unless said otherwise; deleted after the test."""
    made = []

    def make(function="echo", **members):
        name = unique("auth")
        if "tokenKeyName" not in members:
            members = {"signingDisabled": True, **members}
        iot.create_authorizer(authorizerName=name, authorizerFunctionArn=arn(function), **members)
        made.append(name)
        return name

    yield make
    for name in made:
        iot.update_authorizer(authorizerName=name, status="INACTIVE")
        iot.delete_authorizer(authorizerName=name)


@pytest.fixture
def said(iot, create):
    """said(answer): what TestInvokeAuthorizer makes of it."""
    name = create("said")

    def ask(answer):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return iot.test_invoke_authorizer(authorizerName=name, mqttContext={"username": text})

    ask.authorizer = name
    return ask


# ---- the records -----------------------------------------------------------------------------------------------


def test_authorizer_life(iot, house, signer):
    name = unique("auth")
    made = iot.create_authorizer(
        authorizerName=name, authorizerFunctionArn=arn("echo"), tokenKeyName="My-Token",
        tokenSigningPublicKeys={"first": signer.public_key}, tags=[{"Key": "owner", "Value": "me"}])
    assert (made["authorizerName"], made["authorizerArn"]) == (name, house.arn(f"authorizer/{name}"))
    tags = iot.list_tags_for_resource(resourceArn=made["authorizerArn"])["tags"]
    assert tags == [{"Key": "owner", "Value": "me"}]
    seen = iot.describe_authorizer(authorizerName=name)["authorizerDescription"]
    assert seen["tokenSigningPublicKeys"] == {"first": signer.public_key}
    assert (seen["status"], seen["signingDisabled"], seen["enableCachingForHttp"]) == ("INACTIVE", False, False)
    assert (seen["authorizerFunctionArn"], seen["tokenKeyName"]) == (arn("echo"), "My-Token")
    refused(iot, "ResourceAlreadyExistsException", 409, "create_authorizer", authorizerName=name,
            authorizerFunctionArn=arn("echo"), signingDisabled=True)
    iot.update_authorizer(authorizerName=name, status="ACTIVE", enableCachingForHttp=True)
    seen = iot.describe_authorizer(authorizerName=name)["authorizerDescription"]
    assert (seen["status"], seen["enableCachingForHttp"]) == ("ACTIVE", True)
    assert seen["lastModifiedDate"] > seen["creationDate"]
    refused(iot, "DeleteConflictException", 409, "delete_authorizer", authorizerName=name)
    iot.update_authorizer(authorizerName=name, status="INACTIVE")
    iot.delete_authorizer(authorizerName=name)
    refused(iot, "ResourceNotFoundException", 404, "describe_authorizer", authorizerName=name)
    refused(iot, "ResourceNotFoundException", 404, "update_authorizer", authorizerName=name, status="ACTIVE")


def test_constraints_of_authorizers(iot, signer):
    def bad(**members):
        members = {"authorizerName": unique("bad"), "authorizerFunctionArn": arn("echo"), "tokenKeyName": "t",
                   "tokenSigningPublicKeys": {"k": signer.public_key}, **members}
        members = {key: value for key, value in members.items() if value is not None}
        return refused(iot, "InvalidRequestException", 400, "create_authorizer", **members)["Error"]["Message"]

    bad(authorizerName="a b")
    bad(tokenKeyName="a b")
    bad(tokenSigningPublicKeys={"a b": signer.public_key})
    assert "tokenKeyName" in bad(tokenKeyName=None)
    assert "tokenSigningPublicKeys" in bad(tokenSigningPublicKeys=None)
    assert "2048" in bad(tokenSigningPublicKeys={"k": Signer(1024).public_key})
    assert "k is not valid" in bad(tokenSigningPublicKeys={"k": "no key"})
    assert "Lambda" in bad(authorizerFunctionArn="arn:aws:sqs:us-east-1:123456789012:queue")


def test_authorizers_are_listed_by_status_and_page(iot, create):
    active, idle = create(status="ACTIVE"), create()
    names = lambda **arguments: [row["authorizerName"] for row in pages(iot, "list_authorizers", "authorizers", **arguments)[0]]
    assert {active, idle} <= set(names(pageSize=1))
    assert names() == names(ascendingOrder=True)[::-1]
    assert active in names(status="ACTIVE") and idle not in names(status="ACTIVE")
    assert idle in names(status="INACTIVE")


def test_default_authorizer(iot, create):
    first, second = create(), create()
    refused(iot, "ResourceNotFoundException", 404, "describe_default_authorizer")
    refused(iot, "ResourceNotFoundException", 404, "clear_default_authorizer")
    assert iot.set_default_authorizer(authorizerName=first)["authorizerName"] == first
    assert iot.describe_default_authorizer()["authorizerDescription"]["authorizerName"] == first
    refused(iot, "ResourceAlreadyExistsException", 409, "set_default_authorizer", authorizerName=second)
    refused(iot, "DeleteConflictException", 409, "delete_authorizer", authorizerName=first)
    iot.clear_default_authorizer()
    iot.set_default_authorizer(authorizerName=second)
    iot.clear_default_authorizer()
    refused(iot, "ResourceNotFoundException", 404, "set_default_authorizer", authorizerName=unique("none"))


def test_more_than_32_active_authorizers_are_refused(iot, create):
    for _ in range(32):
        create(status="ACTIVE")
    one_more = create()
    refused(iot, "LimitExceededException", 410, "update_authorizer", authorizerName=one_more, status="ACTIVE")
    refused(iot, "LimitExceededException", 410, "create_authorizer", authorizerName=unique("auth"), status="ACTIVE",
            authorizerFunctionArn=arn("echo"), signingDisabled=True)


# ---- what the function is asked ----------------------------------------------------------------------------------


@pytest.fixture
def signed(create, signer):
    keys = {"other": Signer().public_key, "own": signer.public_key}
    return create(tokenKeyName="My-Token", tokenSigningPublicKeys=keys)


def test_a_signed_token_is_passed_on(iot, lambdas, signer, signed):
    lambdas.events.clear()
    seen = iot.test_invoke_authorizer(authorizerName=signed, token="a token", tokenSignature=signer.sign("a token"))
    assert (seen["isAuthenticated"], seen["principalId"], seen["policyDocuments"]) == (True, "abc", [POLICY])
    assert (seen["refreshAfterInSeconds"], seen["disconnectAfterInSeconds"]) == (300, 86400)
    [(name, event)] = lambdas.events
    assert name == "echo" and len(event.pop("connectionMetadata")["id"]) == 36
    assert event == {"token": "a token", "signatureVerified": True}


def test_a_wrong_signature_invokes_nothing(iot, lambdas, signer, signed, create):
    def message(**arguments):
        arguments = {"authorizerName": signed, **arguments}
        return refused(iot, "InvalidRequestException", 400, "test_invoke_authorizer", **arguments)["Error"]["Message"]

    lambdas.events.clear()
    signature = signer.sign("token")
    mismatch = f"Token signature mismatch for authorizer {signed}"
    assert message(token="tokem", tokenSignature=signature) == mismatch
    assert message(token="token", tokenSignature=Signer().sign("token")) == mismatch
    together = "Request must provide both token and tokenSignature together."
    assert message(token="token") == message(tokenSignature=signature) == together
    context = {"mqttContext": {"username": "me"}}
    assert message(token="token", tokenSignature=signature, **context) == (
        "Request cannot have token and Http/Mqtt/Tls context.")
    unsigned = create()
    assert message(authorizerName=unsigned, token="token", tokenSignature=signature) == (
        "Token and token signature provided but signing is disabled for the authorizer.")
    assert message(authorizerName=unsigned) == "Request must have Http/Mqtt/Tls context."
    assert message(authorizerName=unsigned, httpContext={"queryString": "a=b"}) == "Invalid arguments in the call"
    assert lambdas.events == []
    error = refused(iot, "ResourceNotFoundException", 404, "test_invoke_authorizer", authorizerName="none", **context)
    assert error["Error"]["Message"] == "Authorizer none not found"


def test_contexts_are_passed_on(iot, lambdas, create):
    lambdas.events.clear()
    iot.test_invoke_authorizer(
        authorizerName=create("own"), tlsContext={"serverName": "iot.test"},
        httpContext={"headers": {"X-Own": "1"}, "queryString": "?a=%20b"},
        mqttContext={"username": "me?c=d", "password": b"\xffsecret", "clientId": "c"})
    [(_, event)] = lambdas.events
    del event["connectionMetadata"]
    assert event == {
        "signatureVerified": False, "protocols": ["tls", "http", "mqtt"],
        "protocolData": {
            "tls": {"serverName": "iot.test"}, "http": {"headers": {"X-Own": "1"}, "queryString": "?a=%20b"},
            "mqtt": {"username": "me?c=d", "password": "/3NlY3JldA==", "clientId": "c"}}}


def test_a_token_in_the_user_name_is_verified(iot, lambdas, signer, signed):
    lambdas.events.clear()
    query = urllib.parse.urlencode({"x-amz-customauthorizer-signature": signer.sign("t"), "My-Token": "t"})
    username = f"me?{query}?SDK=PythonV2&Version=1"
    iot.test_invoke_authorizer(authorizerName=signed, mqttContext={"username": username})
    [(_, event)] = lambdas.events
    assert (event["token"], event["signatureVerified"]) == ("t", True)
    assert event["protocolData"]["mqtt"]["username"] == username
    refused(iot, "InvalidRequestException", 400, "test_invoke_authorizer", authorizerName=signed,
            mqttContext={"username": username.replace("My-Token=t", "My-Token=x")})


# ---- what the function answers -----------------------------------------------------------------------------------


def test_good_answers(said):
    assert said(answer(isAuthenticated=False))["isAuthenticated"] is False
    seen = said(answer(policyDocuments=[json.loads(POLICY)] * 10, refreshAfterInSeconds=300, disconnectAfterInSeconds=86400))
    assert [json.loads(text) for text in seen["policyDocuments"]] == [json.loads(POLICY)] * 10
    assert all(" " not in text for text in seen["policyDocuments"])
    assert said(answer(policyDocuments=[]))["policyDocuments"] == []


@pytest.mark.parametrize("given, message", [
    ({}, "Lambda invocation result is in invalid format"),
    ([], "Lambda invocation result is in invalid format"),
    (answer(isAuthenticated="true"), "Lambda invocation result is in invalid format"),
    (answer(isAuthenticated=None), "Lambda invocation result is in invalid format"),
    (answer(principalId=None), f"null {FIELDS}"),
    (answer(principalId="a-b"), f"a-b {FIELDS}"),
    (answer(policyDocuments=None), "policyDocuments failed to satisfy constraint: List of policies cannot be null."),
    (answer(policyDocuments=["x"]),
     "policyDocuments failed to satisfy constraint: Policy document is Malformed: Invalid policy syntax."),
    (answer(policyDocuments=[POLICY] * 11),
     "policyDocuments failed to satisfy constraint: Number of policies allowed cannot exceed 10"),
    (answer(policyDocuments=[document(allow("iot:Connect", "arn:aws:iot:*:*:client/" + "x" * 2048))]),
     "policyDocuments failed to satisfy constraint: Size of a policy document cannot exceeds hard limit of 2048"),
    (answer(refreshAfterInSeconds=299), f"299 at refreshAfterInSeconds {RANGE}"),
    (answer(disconnectAfterInSeconds=86401), f"86401 at disconnectAfterInSeconds {RANGE}"),
])
def test_answers_that_break_a_rule(iot, said, given, message):
    error = refused(iot, "InvalidResponseException", 400, "test_invoke_authorizer", authorizerName=said.authorizer,
                    mqttContext={"username": json.dumps(given)})
    assert error["Error"]["Message"] == message


@pytest.mark.parametrize("function, message", [
    ("fail", "Lambda function encountered error in execution: 'no such user': KeyError"),
    ("junk", "Lambda invocation result is in invalid format"),
    ("huge", "Lambda invocation result is in invalid format"),
    ("slow", "Lambda function encountered error in execution: it did not answer within 5 seconds"),
])
def test_functions_that_fail(iot, create, function, message):
    error = refused(iot, "InvalidResponseException", 400, "test_invoke_authorizer", authorizerName=create(function),
                    mqttContext={"username": "me"})
    assert error["Error"]["Message"] == message


def test_functions_that_cannot_be_invoked(iot, create, server):
    def message(client, name):
        return refused(client, "InvalidRequestException", 400, "test_invoke_authorizer", authorizerName=name,
                       mqttContext={"username": "me"})["Error"]["Message"]

    assert "404" in message(iot, create("nobody-knows"))
    assert "/no/such/program" in message(iot, create("missing"))
    # Another server has no functions at all, and says what to write.
    other, name = server.account.iot, unique("auth")
    other.create_authorizer(authorizerName=name, authorizerFunctionArn=arn("echo"), signingDisabled=True)
    text = message(other, name)
    assert arn("echo") in text and "[[function]]" in text
    other.delete_authorizer(authorizerName=name)


def test_a_command_leaves_nothing_running(iot, create):
    said = iot.test_invoke_authorizer(authorizerName=create("command"), mqttContext={"username": "leave"})
    stat, deadline = Path("/proc") / said["principalId"].removeprefix("pid") / "stat", time.monotonic() + 20
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # A zombie does not run: it waits for whoever adopted it.
        while not stat.read_text().rpartition(") ")[2].startswith("Z"):
            assert time.monotonic() < deadline, "its child runs on"
            time.sleep(0.02)


def test_a_function_may_be_a_command(iot, create):
    name = create("command")
    ask = lambda username: iot.test_invoke_authorizer(authorizerName=name, mqttContext={"username": username})
    assert ask("good")["isAuthenticated"] is True
    assert ask("bad")["isAuthenticated"] is False
    for username, says in [("fail", "no such user: "), ("slow", "within 5 seconds")]:
        error = refused(iot, "InvalidResponseException", 400, "test_invoke_authorizer", authorizerName=name,
                        mqttContext={"username": username})
        assert says in error["Error"]["Message"]
