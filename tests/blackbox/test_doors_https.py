"""Publishing by HTTPS through every way in that AWS documents (developer guide, HTTPS; API reference, Publish): signed on
443, with a client certificate on 8443 and by ALPN on 443, with a custom authorizer on 443; and who is turned away."""

import base64
import http.client
import json
import ssl
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

import signing
import wire
from conftest import require
from doors import House
from https import Https, assert_accepted, assert_refused
from lambdas import Signer, arn
from provision import allow, unique
from server import Server
from signing import basic
from test_aws_cli import aws, publishing
from test_doors import refusal
from test_tls import NEITHER, self_signed
from websocket import host_of, own_address
from wire import V5, Wire


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("doors"))
    yield house
    house.stop()


@pytest.fixture
def hear(house):
    """hear(filter): what is published there comes to `message()` of the connection."""
    opened = []

    def subscribe(topic_filter):
        connection = Wire.dial(house.server, house.server.account.everything(), V5)
        opened.append(connection)
        assert connection.connect(unique("ear")).code == 0
        assert connection.subscribe(topic_filter) == [1]
        return connection

    yield subscribe
    for connection in opened:
        connection.close()


@pytest.fixture
def restricted(house):
    """A certificate that may publish to `ok/...` and read the message retained there."""
    server = house.server
    return server.account.device(
        allow("iot:Publish", server.arn("topic/ok/*")), allow("iot:RetainPublish", server.arn("topic/ok/*")),
        allow("iot:GetRetainedMessage", server.arn("topic/ok/*")))


def data(house, **overrides):
    return house.server.boto("iot-data", f"https://{host_of(house.server)}", **overrides)


# ---- signed ------------------------------------------------------------------------------------------------------


def test_boto3_publishes_with_all_parameters(house, hear, topic):
    ear = hear(topic)
    answer = data(house).publish(
        topic=topic, qos=1, retain=True, payload=b"\x00\xff", contentType="text/plain; charset=utf-8", responseTopic="re/ply",
        messageExpiry=600, userProperties=json.dumps([{"k1": "v1"}, {"k1": "v2"}]), payloadFormatIndicator="UNSPECIFIED_BYTES",
        correlationData=base64.b64encode(b"\x01corr").decode())
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    message = ear.message()
    assert (message.topic, message.payload, message.qos) == (topic, b"\x00\xff", 1)
    expiry = message.properties.pop("message_expiry")
    assert 590 <= expiry <= 600
    assert message.properties.pop("payload_format", 0) == 0
    assert message.properties == {
        "content_type": "text/plain; charset=utf-8", "response_topic": "re/ply", "correlation_data": b"\x01corr",
        "user_properties": [("k1", "v1"), ("k1", "v2")]}
    data(house).publish(topic=topic, payload="é".encode(), payloadFormatIndicator="UTF8_DATA")
    message = ear.message()
    assert (message.qos, message.properties) == (0, {"payload_format": 1})


def test_boto3_reads_retained_messages(house, topic):
    client = data(house)
    client.publish(topic=topic, qos=1, retain=True, payload=b"kept", userProperties=json.dumps([{"k": "v"}]))
    kept = client.get_retained_message(topic=topic)
    assert (kept["topic"], kept["payload"], kept["qos"]) == (topic, b"kept", 1)
    # botocore takes the base64 of the member away.
    assert json.loads(kept["userProperties"]) == [{"k": "v"}]
    topics = {}
    for page in client.get_paginator("list_retained_messages").paginate():
        topics |= {row["topic"]: row for row in page["retainedTopics"]}
    assert (topics[topic]["payloadSize"], topics[topic]["qos"]) == (4, 1)
    client.publish(topic=topic, qos=1, retain=True, payload=b"")
    with pytest.raises(ClientError) as missing:
        client.get_retained_message(topic=topic)
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize("wrong", [
    dict(aws_secret_access_key="wrong"), dict(aws_access_key_id="AKIANOBODYKNOWSTHISKEY"), dict(region_name="mars-north-1"),
], ids=["secret", "key", "region"])
def test_a_wrong_signature(house, topic, hear, wrong):
    ear = hear(topic)
    with pytest.raises(ClientError) as refused:
        data(house, **wrong).publish(topic=topic, payload=b"x")
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert response["Error"]["Message"] == "Forbidden"
    # The same for all of them: a stranger does not learn which access keys there are.
    assert response["Error"]["Code"] == "ForbiddenException"
    assert ear.ping() == []


def test_the_aws_cli_publishes_on_443(house, hear, topic):
    ear, url = hear(topic), f"https://{host_of(house.server)}"
    aws(house.server, *publishing(topic, "hello"), url=url)
    assert ear.message().payload == b"hello"
    for wrong in (dict(AWS_SECRET_ACCESS_KEY="wrong"), dict(AWS_ACCESS_KEY_ID="AKIANOBODYKNOWSTHISKEY")):
        failed = aws(house.server, *publishing(topic, "hello"), check=False, url=url, **wrong)
        assert failed.returncode != 0 and "(ForbiddenException)" in failed.stderr, failed
    assert ear.ping() == []


@pytest.mark.parametrize("key, says", [
    ("AKIANOBODYKNOWSTHISKEY", "access key"), (None, "signature"), ("two words", "Credential"),
], ids=["unknown", "wrong", "malformed"])
def test_the_log_says_what_the_caller_is_not_told(house, key, says):
    moment, mark = basic(), house.server.log_mark()
    key = key or house.server.ready["access_key_id"]
    signature = (f"AWS4-HMAC-SHA256 Credential={key}/{moment[:8]}/{house.server.region}/iotdata/aws4_request, "
                 f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}")
    with Https(house.server, "tls") as https:
        answer = https.publish("a", b"x", headers={"Authorization": signature, "X-Amz-Date": moment})
        place = https.connection.sock.getsockname()[0]
    assert_refused(answer, 403, "Forbidden")
    line = house.server.wait_for_log("api.refused", place, since=mark)
    assert says.lower() in line.lower(), line


def test_a_captured_signature_is_good_for_its_own_topic_only(house, hear):
    """botocore signs a normalised path; a topic is what the path says as it came."""
    topic = unique("captured")
    ear = hear(f"{topic}/#")
    host, target = host_of(house.server), f"/topics/{topic}/b"
    headers = signing.headers(house.server, host, "POST", target, b"x")
    for changed, status in [(f"/topics/{topic}//b", 403), (f"/topics/{topic}/./b", 403), (target, 200)]:
        with Https(house.server, "tls") as https:
            answer = https.ask("POST", changed, b"x", headers)
        assert answer.status == status, (changed, answer)
    assert ear.message().topic == f"{topic}/b"
    assert ear.ping() == []


def test_refusals_buy_a_stranger_no_time_and_cost_no_other_its_connection(tmp_path):
    (tmp_path / "thingcore.toml").write_text("[limits]\nfirst_packet_seconds = 2\n")
    server = Server(tmp_path / "server", "--config", tmp_path / "thingcore.toml").start()
    try:
        host = host_of(server)

        def signed(secret=None):
            return signing.headers(server, host, "POST", "/topics/a", b"x", secret)

        def pester(https, until, headers):
            """Asks, and is refused, until then; seconds until the connection ended."""
            if https.connection.sock is None:
                https.connection.connect()
            https.connection.auto_open, begun = 0, time.monotonic()
            while time.monotonic() - begun < until:
                try:
                    assert_refused(https.publish("a", b"x", headers=headers), 403, "Forbidden")
                except (OSError, http.client.HTTPException):
                    return time.monotonic() - begun
                time.sleep(0.3)
            return None

        for headers in ({}, signed("wrong")):
            with Https(server, "tls") as https:
                stayed = pester(https, 10, headers)
                assert stayed is not None and 1 < stayed < 5, stayed
        with Https(server, "tls") as https:
            assert_refused(https.publish("a", b"x", headers=signed("wrong")), 403)
            assert_accepted(https.publish("a", b"x", headers=signed()))
            assert pester(https, 4, {}) is None
            assert_accepted(https.publish("a", b"x", headers=signed()))
        with Https(server, "https", server.account.device(allow("iot:Connect", "*"))) as https:
            assert pester(https, 4, {}) is None
    finally:
        server.stop()


def test_a_query_of_too_many_parameters_is_not_read(house):
    """Its head is as long as a head may be, and nobody has a key that it could be signed with."""
    path, mark = signing.presigned_path(house.server, host_of(house.server)), house.server.log_mark()
    with Https(house.server, "tls") as https:
        assert_refused(https.ask("POST", path.replace("/mqtt?", "/topics/a?" + "a&" * 14_000)), 403, "Forbidden")
    assert "256 parameters" in house.server.wait_for_log("api.refused", since=mark)


def test_a_signature_for_the_control_plane_is_not_taken(house):
    """The control plane is not behind the device ports."""
    with pytest.raises(ClientError) as refused:
        house.server.boto("iot", f"https://{host_of(house.server)}").list_things()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_nothing_shows_who_asks(house):
    for alpn in ([], ["http/1.1"]):
        with Https(house.server, "tls", alpn=alpn) as https:
            assert_refused(https.publish("a", b"x"), 403, "Forbidden")


def test_a_certificate_counts_on_443_by_its_alpn_only(house):
    with Https(house.server, "tls", house.server.account.everything()) as https:
        assert_refused(https.publish("a", b"x"), 403, "Forbidden")


# ---- with a client certificate -------------------------------------------------------------------------------------

DOORS = pytest.mark.parametrize("port, alpn", [("https", []), ("https", ["http/1.1"]), ("tls", ["x-amzn-http-ca"])],
                                ids=["8443", "8443-http", "443"])


@DOORS
def test_publish_by_certificate(house, hear, restricted, topic, port, alpn):
    ear = hear(f"ok/{topic}")
    properties = base64.b64encode(b'[{"k":"v"}]').decode()
    with Https(house.server, port, restricted, alpn) as https:
        assert_accepted(https.publish(f"ok%2F{topic}", b"one", "qos=1&contentType=text%2Fplain", {
            "x-amz-mqtt5-user-properties": properties, "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA",
            "x-amz-mqtt5-correlation-data": base64.b64encode(b"c").decode()}))
        assert_accepted(https.publish(f"ok/{topic}", b"two", "retain=true"))
        message = ear.message()
        assert (message.payload, message.qos) == (b"one", 1)
        assert message.properties == {
            "content_type": "text/plain", "payload_format": 1, "correlation_data": b"c", "user_properties": [("k", "v")]}
        assert ear.message().payload == b"two"
        kept = https.ask("GET", f"/retainedMessage/ok%2F{topic}")
        assert kept.status == 200 and base64.b64decode(kept.json["payload"]) == b"two"


@DOORS
def test_a_policy_that_does_not_allow_it(house, hear, restricted, topic, port, alpn):
    ear, mark = hear(topic), house.server.log_mark()
    with Https(house.server, port, restricted, alpn) as https:
        assert_refused(https.publish(topic, b"x"), 403, "Forbidden")
        assert_refused(https.ask("GET", f"/retainedMessage/{topic}"), 403, "Forbidden")
        assert_refused(https.ask("GET", "/retainedMessage"), 403, "Forbidden")
    line = json.loads(house.server.wait_for_log("AUTHORIZATION_FAILURE", topic, since=mark))
    assert restricted.certificate_id in json.dumps(line), line
    assert ear.ping() == []


@DOORS
def test_certificates_that_do_not_count(house, port, alpn):
    def status(device):
        with Https(house.server, port, device, alpn) as https:
            return https.publish("a", b"x").status

    inactive = house.server.account.device(allow("iot:*", "*"))
    inactive.set_status("INACTIVE")
    for device, reason in [(None, "NOT_AUTHENTICATED"), (self_signed(house.server.account), "DEVICE_CERTIFICATE_NOT_REGISTERED"),
                           (inactive, "DEVICE_CERTIFICATE_INACTIVE")]:
        mark = house.server.log_mark()
        with pytest.raises((*NEITHER, ConnectionError, ssl.SSLError)):
            pytest.fail(f"{reason}: {status(device)}")
        refusal(house.server, mark, reason, {"NOT_AUTHENTICATED": "--cert"}.get(reason, "aws iot "))


def test_a_certificate_that_is_switched_off_ends_its_connection_too(house, topic):
    device = house.server.account.device(allow("iot:*", "*"))
    with Https(house.server, "https", device) as https:
        assert_accepted(https.publish(topic, b"x"))
        device.set_status("INACTIVE")
        assert_refused(https.publish(topic, b"x"), 403, "Forbidden")


def test_neither_signature_nor_authorizer_is_taken_on_8443(house):
    for headers in (house.headers(house.open), {"Authorization": "AWS4-HMAC-SHA256 Credential=a"}):
        with pytest.raises((*NEITHER, ConnectionError)):
            with Https(house.server, "https") as https:
                pytest.fail(f"{https.publish('a', b'x', headers=headers)}")


def curl(server, topic, device=None):
    """How `curl` publishes on 8443, from an address of its own."""
    require("curl")
    shown = ["--cert", device.certificate_file, "--key", device.key_file] if device else []
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--tlsv1.2", "--interface", own_address(), "--cacert", server.ca_file, *shown,
         "--request", "POST", "--data", '{"message": "Hello"}', f"https://{host_of(server, 'https')}/topics/{topic}?qos=1"],
        capture_output=True, text=True, timeout=30)


def test_curl_publishes_by_certificate(house, hear, topic):
    ear = hear(topic)
    done = curl(house.server, topic, house.server.account.everything())
    assert done.returncode == 0 and json.loads(done.stdout)["message"] == "OK", done
    assert ear.message().payload == b'{"message": "Hello"}'


@pytest.mark.parametrize("who, reason", [
    (lambda account: None, "NOT_AUTHENTICATED"), (self_signed, "DEVICE_CERTIFICATE_NOT_REGISTERED"),
    (lambda account: account.certificate(active=False), "DEVICE_CERTIFICATE_INACTIVE"),
], ids=["none", "unknown", "inactive"])
def test_curl_with_a_certificate_that_does_not_count(house, hear, topic, who, reason):
    """The connection ends without a response, as it does at AWS."""
    ear, mark = hear(topic), house.server.log_mark()
    done = curl(house.server, topic, who(house.server.account))
    assert done.returncode != 0 and not done.stdout, done
    house.server.wait_for_log(reason, since=mark)
    assert ear.ping() == []


def test_curl_without_a_policy_that_allows_it(house, restricted, topic):
    done = curl(house.server, topic, restricted)
    assert done.returncode == 0 and json.loads(done.stdout)["message"] == "Forbidden", done


# ---- with a custom authorizer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["headers", "query"])
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
def test_publish_by_an_authorizer(house, hear, topic, where, is_signed):
    ear = hear(f"ok/{topic}")
    authorizer, token = (house.signed, unique("token")) if is_signed else (house.open, None)
    marker = token or unique("marker")
    with Https(house.server, "tls") as https:
        if where == "headers":
            more = dict(headers=house.headers(authorizer, token, **{"X-Marker": marker}), query="qos=1")
        else:
            more = dict(query="qos=1&" + house.query(authorizer, token, marker=marker))
        assert_accepted(https.publish(f"ok/{topic}", b"hello", **more))
        assert_refused(https.publish("elsewhere", b"hello", **more), 403, "Forbidden")
    message = ear.message()
    assert (message.payload, message.qos) == (b"hello", 1)
    # Without caching the function is asked about every request.
    first, second = house.asked(marker)
    assert first["protocols"] == ["tls", "http"] and first["signatureVerified"] is is_signed
    assert first["protocolData"]["tls"] == {"serverName": "localhost"}
    assert first["connectionMetadata"] == second["connectionMetadata"]
    assert (marker in first["protocolData"]["http"]["queryString"]) is (where == "query")
    assert first.get("token") == token


def test_an_answer_is_cached_for_its_connection_and_credentials_only(house, topic):
    def asked(marker, https, name):
        headers = house.headers(house.cached, x_marker=marker, x_name=name)
        assert_accepted(https.publish(f"ok/{topic}", name.encode(), "qos=1", headers))
        return len(house.asked(marker))

    marker = unique("marker")
    with Https(house.server, "tls") as https:
        assert [asked(marker, https, "me") for _ in range(3)] == [1, 1, 1]
        assert asked(marker, https, "you") == 2
        # One answer is kept: the last.
        assert asked(marker, https, "me") == 3
    with Https(house.server, "tls") as https:
        assert asked(marker, https, "me") == 4


@pytest.mark.parametrize("name", ["date", "content-type", "x-amz-mqtt5-content-type", "x-amz-mqtt5-user-properties"])
def test_an_answer_is_not_for_who_differs_in_a_header_of_the_message(house, topic, name):
    """Any header may be what the function goes by: a proxy's connection carries many people."""
    marker, values = unique("marker"), ("eyJhIjogIjEifQ==", "eyJhIjogIjIifQ==")
    with Https(house.server, "tls") as https:
        for count, value in [(1, values[0]), (1, values[0]), (2, values[1])]:
            https.publish(f"ok/{topic}", b"x", headers=house.headers(house.cached, x_marker=marker, **{name: value}))
            assert len(house.asked(marker)) == count


def test_a_cached_answer_does_not_outlive_its_authorizer(house, topic):
    """What AWS does is not known; this is the safe side."""
    iot, marker, name = house.server.account.iot, unique("marker"), unique("door")
    members = dict(authorizerName=name, signingDisabled=True, enableCachingForHttp=True)
    iot.create_authorizer(authorizerFunctionArn=arn("letin"), status="ACTIVE", **members)
    with Https(house.server, "tls") as https:
        publish = lambda: https.publish(f"ok/{topic}", b"x", headers=house.headers(name, x_marker=marker))
        for _ in range(2):
            assert_accepted(publish())
        iot.update_authorizer(authorizerName=name, status="INACTIVE")
        assert_refused(publish(), 403, "Forbidden")
        assert len(house.asked(marker)) == 1
        iot.update_authorizer(authorizerName=name, status="ACTIVE")
        for _ in range(2):
            assert_accepted(publish())
        assert len(house.asked(marker)) == 2
        iot.update_authorizer(authorizerName=name, status="INACTIVE")
        iot.delete_authorizer(authorizerName=name)
        assert_refused(publish(), 403, "Forbidden")


def test_a_refusal_is_not_cached(house):
    marker = unique("marker")
    with Https(house.server, "tls") as https:
        for _ in range(2):
            headers = house.headers(house.cached, x_marker=marker, x_name="no-entry")
            assert_refused(https.publish("ok/a", b"x", headers=headers), 403, "Forbidden")
    assert len(house.asked(marker)) == 2


@pytest.mark.parametrize("headers, reason", [
    (lambda house: house.headers(house.signed, "token", Signer().sign("token")), "TOKEN_SIGNATURE_MISMATCH"),
    (lambda house: house.headers("nobody-knows"), "UNKNOWN_AUTHORIZER"),
    (lambda house: house.headers(house.inactive), "INACTIVE_AUTHORIZER"),
    (lambda house: house.headers(house.broken), "FUNCTION_ERROR"),
    (lambda house: house.headers(house.open, x_name="no-entry"), "NOT_AUTHENTICATED"),
], ids=["signature", "unknown", "inactive", "fails", "denied"])
def test_whom_an_authorizer_does_not_let_in(house, headers, reason):
    mark = house.server.log_mark()
    with Https(house.server, "tls") as https:
        assert_refused(https.publish("ok/a", b"x", headers=headers(house)), 403, "Forbidden")
    house.server.wait_for_log(reason, since=mark)


# ---- what is refused whoever asks ------------------------------------------------------------------------------------


@pytest.fixture
def https(house):
    with Https(house.server, "https", house.server.account.everything()) as https:
        yield https


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/topics/a", 405), ("PUT", "/topics/a", 405), ("DELETE", "/topics/a", 405), ("POST", "/retainedMessage/a", 405),
    ("POST", "/nowhere", 404), ("GET", "/", 404), ("POST", "/topics", 404), ("GET", "/mqtt", 404),
])
def test_wrong_methods_and_paths(https, method, path, status):
    answer = https.ask(method, path, b"" if method == "POST" else None)
    assert_refused(answer, status)
    if status == 405:
        assert answer.headers["allow"]
    # The connection is good for more.
    assert_accepted(https.publish("a", b"x"))


@pytest.mark.parametrize("query, headers", [
    ("qos=2", {}), ("qos=x", {}), ("retain=maybe", {}), ("messageExpiry=x", {}), ("messageExpiry=-1", {}),
    ("responseTopic=a%2F%2B", {}), ("responseTopic=%23", {}), ("responseTopic=", {}), ("responseTopic=&retain=true", {}),
    ("", {"x-amz-mqtt5-user-properties": "not base64"}),
    ("", {"x-amz-mqtt5-user-properties": base64.b64encode(b"{}").decode()}),
    ("", {"x-amz-mqtt5-payload-format-indicator": "TEXT"}),
    ("", {"x-amz-mqtt5-correlation-data": "!"}),
])
def test_wrong_parameters(https, query, headers):
    assert_refused(https.publish("a", b"x", query, headers), 400)
    assert_accepted(https.publish("a", b"x"))


def test_a_payload_of_128_kb_is_the_longest(house, hear, https, topic):
    ear = hear(topic)
    assert_accepted(https.publish(topic, b"x" * 131_072, "qos=1"))
    assert len(ear.message().payload) == 131_072
    assert_refused(https.publish(topic, b"x" * 131_073, "qos=1"), 413)
    assert ear.ping() == []


def test_http_1_0(house, hear, topic):
    """AWS documents HTTP/1.0 and 1.1."""
    from websocket import read_response, tls_socket

    ear = hear(topic)
    with tls_socket(house.server, "https", device=house.server.account.everything()) as sock:
        sock.sendall(f"POST /topics/{topic}?qos=1 HTTP/1.0\r\nContent-Length: 3\r\n\r\nold".encode())
        response, _ = read_response(sock)
        assert response.status == 200 and json.loads(response.body)["message"] == "OK"
        assert sock.recv(1) == b""
    assert ear.message().payload == b"old"
