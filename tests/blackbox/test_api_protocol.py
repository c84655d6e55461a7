"""The API as a protocol: signatures, errors, limits, operations not built yet, and the data plane."""

import base64
import json
import ssl
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.config import Config

import wire
from provision import allow, unique
from signing import presigned_path
from test_api_things import pages, refused
from websocket import Refused, WebSocket, host_of
from wire import V5, V311


@pytest.fixture
def iot(account):
    return account.iot


def call(server, method, path, body=b"", headers=(), service="iot", base=None, sign=True, **credentials):
    """One HTTP request, signed by botocore: status, headers, body."""
    base = base or server.ready["api_url"]
    request = botocore.awsrequest.AWSRequest(method=method, url=base.rstrip("/") + path, data=body, headers=dict(headers))
    if sign:
        keys = botocore.credentials.Credentials(
            credentials.get("key", server.ready["access_key_id"]), credentials.get("secret", server.ready["secret_access_key"]))
        botocore.auth.SigV4Auth(keys, service, credentials.get("region", server.region)).add_auth(request)
    prepared = request.prepare()
    plain = urllib.request.Request(prepared.url, data=body or None, method=method, headers=dict(prepared.headers.items()))
    context = ssl.create_default_context(cafile=server.ca_file) if prepared.url.startswith("https") else None
    try:
        with urllib.request.urlopen(plain, timeout=30, context=context) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


# ---- signatures ------------------------------------------------------------------------------------------------


def test_wrong_secret_is_refused(server):
    status, headers, _ = call(server, "GET", "/things", secret="wrong")
    assert status == 403 and lowered(headers)["x-amzn-errortype"].startswith("InvalidSignatureException"), (status, headers)


def test_unknown_access_key_is_refused(server):
    status, headers, _ = call(server, "GET", "/things", key="AKIAUNKNOWN")
    assert status == 403 and lowered(headers)["x-amzn-errortype"].startswith("UnrecognizedClientException"), (status, headers)


def test_missing_signature_is_refused(server):
    status, headers, _ = call(server, "GET", "/things", sign=False)
    assert status == 403 and lowered(headers)["x-amzn-errortype"].startswith("MissingAuthenticationTokenException"), (status, headers)


def test_test_keys_are_refused_without_dev_mode(server):
    assert call(server, "GET", "/things", key="test", secret="test")[0] == 403


def test_dev_mode_takes_test_keys(new_server):
    server = new_server("--dev")
    assert call(server, "GET", "/things", key="test", secret="test")[0] == 200


def test_dev_mode_takes_no_websocket_of_a_page_from_elsewhere(new_server):
    """The key is public, so a page could sign; the port of a page on this machine may be any."""
    server = new_server("--dev")

    def upgrade(host=None, **headers):
        host = host or host_of(server)
        path = presigned_path(server, host, key="test", secret="test")
        try:
            with WebSocket.dial(server, path, host=host, **headers):
                return 101
        except Refused as refused:
            return refused.response.status
    assert [upgrade(), upgrade(origin="http://localhost:3000"), upgrade(origin="https://127.0.0.1")] == [101] * 3
    mark = server.log_mark()
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        assert upgrade(origin=origin) == 403, origin
        server.wait_for_log("by a page of", "--dev", since=mark)
    assert upgrade(host="evil.example") == 403
    server.wait_for_log("at the host", "--dev", since=mark)


def test_without_dev_mode_any_page_may_open_a_websocket(server):
    host = "device.example"
    with WebSocket.dial(server, presigned_path(server, host), host=host, origin="https://elsewhere.example") as open_:
        assert open_.response.status == 101


def test_tampered_body_is_refused(server):
    base = server.ready["api_url"]
    request = botocore.awsrequest.AWSRequest(method="POST", url=f"{base}/things/tampered", data=b"{}")
    keys = botocore.credentials.Credentials(server.ready["access_key_id"], server.ready["secret_access_key"])
    botocore.auth.SigV4Auth(keys, "iot", server.region).add_auth(request)
    context = ssl.create_default_context(cafile=server.ca_file) if base.startswith("https") else None
    plain = urllib.request.Request(request.url, data=b'{"thingTypeName":"x"}', method="POST", headers=dict(request.headers.items()))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(plain, timeout=30, context=context)
    assert caught.value.code == 403


def lowered(headers):
    return {key.lower(): value for key, value in headers.items()}


# ---- answers ---------------------------------------------------------------------------------------------------


def test_what_has_no_operation_is_told_before_its_body_is_kept(server):
    long = b"x" * (600 * 1024)
    assert call(server, "POST", "/things/t", long)[0] == 413
    for method, path, expected in [("POST", "/no/such/path", 404), ("PUT", "/endpoint", 405)]:
        status, headers, _ = call(server, method, path, long)
        assert status == expected, (path, headers)
    at_the_door = f"https://localhost:{server.ports['tls']}"
    assert call(server, "POST", "/no/such/path", long, service="iotdata", base=at_the_door)[0] == 404


def test_a_device_endpoint_takes_no_more_than_a_payload(server):
    """Whatever the operation: at the API's own port JSON may be longer."""
    at_the_door = f"https://localhost:{server.ports['tls']}"
    for base, expected in [(at_the_door, 413), (None, 501)]:
        status, _, body = call(server, "PUT", "/things/t/jobs/$next", b" " * 200_000, service="iot-jobs-data", base=base)
        assert status == expected, body


def test_every_answer_has_a_request_id(server):
    for path in ("/things", "/things/does-not-exist", "/no/such/path"):
        assert lowered(call(server, "GET", path)[1]).get("x-amzn-requestid"), path


def test_error_shape(server):
    status, headers, body = call(server, "GET", "/things/does-not-exist")
    assert status == 404 and lowered(headers)["x-amzn-errortype"].startswith("ResourceNotFoundException")
    assert json.loads(body)["message"]


def test_operation_not_built_yet_says_so(iot):
    error = refused_with_status(iot, 501, "list_audit_tasks", startTime=0, endTime=1)
    assert "ListAuditTasks" in error["Error"]["Message"], error


def refused_with_status(iot, status, operation, **arguments):
    with pytest.raises(iot.exceptions.ClientError) as caught:
        getattr(iot, operation)(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status, caught.value.response
    return caught.value.response


def test_unknown_path_is_not_found(server):
    assert call(server, "GET", "/no/such/path")[0] in (403, 404)


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff\xfe", b'{"attributePayload": 7}', b'{"attributePayload": {"attributes": [1]}}'])
def test_body_that_is_not_the_shape_is_refused(server, body):
    status, headers, _ = call(server, "POST", f"/things/{unique('bad')}", body, {"content-type": "application/json"})
    assert status == 400, headers


def test_names_with_special_characters_survive_the_path(iot, server):
    name = "a+b=c,d.e@f-g_h" + unique("p")
    iot.create_policy(policyName=name, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("iot:*", "*")]}))
    assert iot.get_policy(policyName=name)["policyName"] == name
    thing = unique("thing") + ":with:colons"
    iot.create_thing(thingName=thing)
    assert iot.describe_thing(thingName=thing)["thingName"] == thing


def test_page_size_limits(server):
    lax = server.boto("iot", config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))
    refused(lax, "InvalidRequestException", 400, "list_things", maxResults=251)
    refused(lax, "InvalidRequestException", 400, "list_things", maxResults=0)


# ---- data plane ------------------------------------------------------------------------------------------------


def test_publish_over_http_reaches_subscribers(account, connected, topic, version):
    client = connected(version)
    client.subscribe(topic)
    account.data.publish(topic=topic, qos=1, payload=b"over http")
    message = client.message()
    assert (message.topic, message.payload, message.qos) == (topic, b"over http", 1)


def test_publish_over_http_carries_v5_properties(account, connected, topic):
    client = connected(V5)
    client.subscribe(topic)
    account.data.publish(
        topic=topic, payload=b"x", contentType="text/plain", responseTopic="answer/here", messageExpiry=1000,
        payloadFormatIndicator="UTF8_DATA", correlationData=base64.b64encode(b"id").decode(),
        userProperties=json.dumps([{"k": "1"}, {"k": "2"}]))
    properties = client.message().properties
    assert 990 <= properties.pop("message_expiry") <= 1000
    assert properties == {
        "content_type": "text/plain", "response_topic": "answer/here", "payload_format": 1, "correlation_data": b"id",
        "user_properties": [("k", "1"), ("k", "2")]}


def test_publish_over_http_answers_like_aws(server):
    status, _, body = call(server, "POST", "/topics/some%2Ftopic?qos=1", b"x", service="iotdata", base=server.ready["data_url"])
    answer = json.loads(body)
    assert status == 200 and answer["message"] == "OK" and len(answer["traceId"]) == 36


@pytest.mark.parametrize("service", ["iotdata", "iotdevicegateway"])
def test_both_names_of_the_data_plane_sign(server, service):
    assert call(server, "POST", "/topics/some%2Ftopic", b"x", service=service, base=server.ready["data_url"])[0] == 200


@pytest.mark.parametrize("bad", ["x" * 257, "a/#", "$mine/x", "/".join("123456789")])
def test_publish_over_http_to_a_bad_topic_is_refused(account, bad):
    refused(account.data, "InvalidRequestException", 400, "publish", topic=bad, payload=b"x")


def test_publish_over_http_with_qos_2_is_refused(server):
    assert call(server, "POST", "/topics/t?qos=2", b"x", service="iotdata", base=server.ready["data_url"])[0] == 400


def test_payload_limit_over_http(account, server, topic):
    account.data.publish(topic=topic, payload=b"x" * 131072)
    status, _, _ = call(server, "POST", f"/topics/{topic}", b"x" * 131073, service="iotdata", base=server.ready["data_url"])
    assert status in (400, 413)


def test_retained_messages_over_http(account, connected, topic):
    data, names = account.data, [f"{topic}/{n}" for n in range(5)]
    for name in names:
        data.publish(topic=name, qos=1, retain=True, payload=b"kept " + name.encode(), userProperties=json.dumps([{"a": "b"}]))
    seen = data.get_retained_message(topic=names[0])
    assert (seen["topic"], seen["payload"], seen["qos"]) == (names[0], b"kept " + names[0].encode(), 1)
    assert seen["lastModifiedTime"] > 1_600_000_000_000
    assert json.loads(base64.b64decode(seen["userProperties"]) if isinstance(seen["userProperties"], str) else seen["userProperties"]) == [{"a": "b"}]
    listed, count = pages(data, "list_retained_messages", "retainedTopics", PaginationConfig={"PageSize": 2})
    mine = [row for row in listed if row["topic"].startswith(f"{topic}/")]
    assert sorted(row["topic"] for row in mine) == names and count >= 3
    assert mine[0]["payloadSize"] == len(b"kept " + names[0].encode()) and mine[0]["qos"] == 1
    client = connected(V311)
    client.subscribe(names[1])
    assert client.message().retain
    data.publish(topic=names[0], retain=True, payload=b"")
    refused(data, "ResourceNotFoundException", 404, "get_retained_message", topic=names[0])


def test_retained_message_of_an_mqtt_client_is_visible_over_http(account, connected, topic):
    connected(V5).publish(topic, "from mqtt", qos=1, retain=True)
    seen = account.data.get_retained_message(topic=topic)
    assert seen["payload"] == b"from mqtt" and seen["qos"] == 1
