"""Connections over HTTP: DeleteConnection, GetConnection, ListSubscriptions, SendDirectMessage (API reference, IoT Data
Plane; developer guide, Direct Messaging), asked by boto3 and answered about MQTT 3.1.1 and MQTT 5 clients."""

import base64
import concurrent.futures
import time

import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

import wire
from provision import allow, deny, unique
from test_api_protocol import call
from test_api_things import pages, refused
from wire import V5, V311

NOT_FOUND = ("ResourceNotFoundException", 404)
FORBIDDEN = ("ForbiddenException", 403)
INVALID = ("InvalidRequestException", 400)


@pytest.fixture
def data(server):
    return server.boto("iot-data")


@pytest.fixture
def aside():
    """aside(call, ...): a call on another thread; its future."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield lambda call, **arguments: pool.submit(call, **arguments)


def lasting(version):
    return {"clean": False, **({"session_expiry": 600} if version == V5 else {})}


def awkward():
    """Client ids that a path must not be confused by."""
    return [unique("a") + "/b", unique("x") + "/subscriptions", unique("x") + "/messages", unique("ü %25?&#")]


# ---- DeleteConnection ------------------------------------------------------------------------------------------


def test_deleted_connection_hears_why_and_may_come_back(connected, data, version):
    client = connected(version)
    answer = data.delete_connection(clientId=client.client_id)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    client.expect_disconnect(0x98)
    connected(version, client.client_id).ping()


def test_will_is_sent_unless_prevented(connected, data, version, topic):
    reader = connected(V5)
    reader.subscribe(topic)
    for prevent, sent in [(True, []), (False, [b"gone"])]:
        client = connected(version, will={"topic": topic, "payload": b"gone", "qos": 1})
        data.delete_connection(clientId=client.client_id, preventWillMessage=prevent)
        client.expect_disconnect(0x98)
        assert [packet.payload for packet in reader.ping()] == sent


@pytest.mark.parametrize("online", [True, False])
def test_session_stays_or_goes(connected, data, version, topic, online):
    for clean, present in [(False, True), (True, False)]:
        client = connected(version, **lasting(version))
        client.subscribe(topic)
        if not online:
            client.disconnect()
        data.delete_connection(clientId=client.client_id, cleanSession=clean)
        if online:
            client.expect_disconnect(0x98)
        publisher = connected(V5)
        publisher.publish(topic, b"waits", qos=1)
        again = connected(version, client.client_id, **lasting(version))
        assert again.connack.session_present is present
        assert [packet.payload for packet in again.ping()] == ([b"waits"] if present else [])


def test_deleted_session_is_gone_after_a_restart(new_server, connected):
    server = new_server()
    client = connected(V311, on=server, clean=False)
    client.subscribe("t")
    server.boto("iot-data").delete_connection(clientId=client.client_id, cleanSession=True)
    server.kill()
    server.start()
    refused(server.boto("iot-data"), *NOT_FOUND, "list_subscriptions", clientId=client.client_id)
    assert connected(V311, client.client_id, on=server, clean=False).connack.session_present is False


def test_flags_may_be_written_in_capitals(server, connected, data):
    client = connected(V311, clean=False)
    path = f"/connections/{client.client_id}?cleanSession=TRUE&preventWillMessage=False"
    status, _, body = call(server, "DELETE", path, service="iotdata", base=server.ready["data_url"])
    assert status == 200, body
    client.expect_disconnect(0x98)
    refused(data, *NOT_FOUND, "list_subscriptions", clientId=client.client_id)


def test_delete_of_nobody_is_not_found(data):
    refused(data, *NOT_FOUND, "delete_connection", clientId=unique())


def test_the_end_by_the_api_is_told_in_the_log(server, connected, data):
    client = connected(V5)
    mark = server.log_mark()
    data.delete_connection(clientId=client.client_id)
    server.wait_for_log(client.client_id, "API_INITIATED_DISCONNECT", since=mark)


# ---- GetConnection ---------------------------------------------------------------------------------------------


def without_metadata(answer):
    answer.pop("ResponseMetadata")
    return answer


def test_connection_is_described(server, connected, data, version):
    before = time.time() * 1000
    client = connected(version, keep_alive=77, **lasting(version))
    found = without_metadata(data.get_connection(clientId=client.client_id))
    assert before - 5000 <= found.pop("connectedSince") <= time.time() * 1000 + 5000
    assert found == {
        "clientId": client.client_id, "connected": True, "cleanSession": False, "keepAliveDuration": 77,
        "sessionExpiry": 600 if version == V5 else 3600}
    found = data.get_connection(clientId=client.client_id, includeSocketInformation=True)
    assert (found["sourceIp"], found["targetIp"]) == ("127.0.0.1", "127.0.0.1")
    assert (found["sourcePort"], found["targetPort"]) == (client.sock.getsockname()[1], server.ports["mqtt"])


def test_connection_of_a_thing_tells_its_name(server, connected, data):
    device = server.account.device(allow("iot:*", "*"), thing=True)
    connected(V5, device.name, device=device)
    assert data.get_connection(clientId=device.name)["thingName"] == device.name


@pytest.mark.parametrize("clean", [True, False])
def test_end_is_described_afterwards(connected, data, clean):
    for end, reason in [(lambda c: c.disconnect(), "CLIENT_INITIATED_DISCONNECT"),
                        (lambda c: data.delete_connection(clientId=c.client_id), "API_INITIATED_DISCONNECT")]:
        client = connected(V311, clean=clean)
        end(client)
        found = data.get_connection(clientId=client.client_id, includeSocketInformation=True)
        assert found["connected"] is False and found["disconnectReason"] == reason
        assert abs(found["disconnectedSince"] - time.time() * 1000) < 60_000
        assert found["cleanSession"] is clean and "connectedSince" not in found and "sourceIp" not in found


def test_nobody_is_not_found(data):
    refused(data, *NOT_FOUND, "get_connection", clientId=unique())
    refused(data, *INVALID, "get_connection", clientId="$GEN/x")


# ---- ListSubscriptions -----------------------------------------------------------------------------------------


def test_subscriptions_come_in_pages_online_and_offline(connected, data, version):
    client = connected(version, **lasting(version))
    filters = [f"f{number:02}/+" for number in range(25)]
    for at in range(0, 25, 5):
        client.subscribe(*[(one, number % 2) for number, one in enumerate(filters[at:at + 5], at)])
    for _ in range(2):
        items, count = pages(data, "list_subscriptions", "subscriptions", clientId=client.client_id)
        assert items == [{"topicFilter": one, "qos": number % 2} for number, one in enumerate(filters)]
        assert count == 2, "twenty on a page"
        page = data.list_subscriptions(clientId=client.client_id, maxResults=200)
        assert len(page["subscriptions"]) == 25 and "nextToken" not in page
        client.disconnect() if not client.sock._closed else None
    refused(data, *INVALID, "list_subscriptions", clientId=client.client_id, nextToken="made up")
    refused(data, *INVALID, "list_subscriptions", clientId=client.client_id, maxResults=201)
    refused(data, *NOT_FOUND, "list_subscriptions", clientId=unique())


def test_client_ids_are_percent_encoded(connected, data, topic):
    for client_id in awkward():
        client = connected(V5, client_id)
        client.subscribe(topic)
        assert data.get_connection(clientId=client_id)["clientId"] == client_id
        assert data.list_subscriptions(clientId=client_id)["subscriptions"] == [{"topicFilter": topic, "qos": 1}]
        data.send_direct_message(clientId=client_id, topic="direct", payload=b"x")
        assert client.message().payload == b"x"
        data.delete_connection(clientId=client_id)
        client.expect_disconnect(0x98)


# ---- SendDirectMessage -----------------------------------------------------------------------------------------


def test_direct_message_needs_no_subscription(connected, data, version):
    client = connected(version)
    answer = data.send_direct_message(
        clientId=client.client_id, topic="direct/a", payload=b"hello", contentType="text/plain", responseTopic="answer",
        userProperties='[{"k": "1"}, {"k": "2"}]', payloadFormatIndicator="UTF8_DATA",
        correlationData=base64.b64encode(b"id").decode())
    assert answer["message"] == "OK" and answer["traceId"]
    got = client.message()
    assert (got.topic, got.payload, got.qos, got.retain) == ("direct/a", b"hello", 0, False)
    if version == V5:
        assert got.properties["user_properties"] == [("k", "1"), ("k", "2")]
        assert got.properties["content_type"] == "text/plain" and got.properties["response_topic"] == "answer"
        assert got.properties["correlation_data"] == b"id"


def test_confirmation_waits_for_the_puback(connected, data, version, aside):
    client = connected(version)
    sending = aside(data.send_direct_message, clientId=client.client_id, topic="a", payload=b"x", confirmation=True, timeout=15)
    got = client.message(ack=False)
    assert got.qos == 1 and not sending.done()
    client.send(wire.puback(got.packet_id))
    assert sending.result(10)["message"] == "OK"


def test_without_puback_there_is_a_timeout(connected, data, version):
    client = connected(version)
    started = time.monotonic()
    refused(data, "GatewayTimeoutException", 504, "send_direct_message",
            clientId=client.client_id, topic="a", confirmation=True, timeout=1)
    assert 0.9 <= time.monotonic() - started < 5
    client.message()
    client.ping()


def test_direct_message_goes_to_nobody_else(connected, data, topic):
    reader, client = connected(V5), connected(V5)
    reader.subscribe(topic)
    data.send_direct_message(clientId=client.client_id, topic=topic, payload=b"x")
    assert client.message().payload == b"x"
    assert reader.ping() == []
    refused(data, *NOT_FOUND, "get_retained_message", topic=topic)


def test_direct_message_for_a_client_that_is_away(connected, data, version):
    absent = unique()
    nowhere = refused(data, *NOT_FOUND, "send_direct_message", clientId=absent, topic="a")
    client = connected(version, **lasting(version))
    client.disconnect()
    away = refused(data, *NOT_FOUND, "send_direct_message", clientId=client.client_id, topic="a")
    assert nowhere["Error"]["Message"].replace(absent, "") != away["Error"]["Message"].replace(client.client_id, "")
    assert connected(version, client.client_id, **lasting(version)).ping() == []


def test_receiver_must_be_allowed_to_receive(server, connected, data):
    device = server.account.device(allow("iot:Connect", "*"), allow("iot:Receive", server.arn("topic/ok")))
    client = connected(V5, device=device)
    mark = server.log_mark()
    denied = refused(data, "ForbiddenException", 403, "send_direct_message", clientId=client.client_id, topic="no")
    assert "iot:Receive" in denied["Error"]["Message"]
    server.wait_for_log(client.client_id, "RECEIVE_AUTHORIZATION_FAILURE", since=mark)
    data.send_direct_message(clientId=client.client_id, topic="ok", payload=b"x")
    assert client.message().payload == b"x"


def test_conditions_of_a_policy_see_what_is_asked_for(server, connected):
    """iot:Topic of SendDirectMessage, iot:IncludeSocketInformation of GetConnection."""
    client = connected(V5)
    sender = server.account.user(
        allow("iot:*", "*"),
        deny("iot:SendDirectMessage", "*", Condition={"StringLike": {"iot:Topic": "secret/*"}}),
        deny("iot:GetConnection", "*", Condition={"Bool": {"iot:IncludeSocketInformation": "true"}}))
    own = dict(aws_access_key_id=sender.key_id, aws_secret_access_key=sender.secret)
    data = server.boto("iot-data", **own)
    data.send_direct_message(clientId=client.client_id, topic="open/a", payload=b"x")
    assert client.message().topic == "open/a"
    assert "sourceIp" not in data.get_connection(clientId=client.client_id)
    refused(data, *FORBIDDEN, "send_direct_message", clientId=client.client_id, topic="secret/a", payload=b"x")
    refused(data, *FORBIDDEN, "get_connection", clientId=client.client_id, includeSocketInformation=True)
    careful = server.account.user(
        allow("iot:SendDirectMessage", "*", Condition={"StringEquals": {"iot:Topic": "open/a"}}),
        allow("iot:GetConnection", "*", Condition={"Bool": {"iot:IncludeSocketInformation": "false"}}))
    data = server.boto("iot-data", aws_access_key_id=careful.key_id, aws_secret_access_key=careful.secret)
    data.send_direct_message(clientId=client.client_id, topic="open/a", payload=b"x")
    refused(data, *FORBIDDEN, "send_direct_message", clientId=client.client_id, topic="open/b", payload=b"x")
    assert client.message().topic == "open/a"
    assert client.ping() == []


def test_bad_direct_messages_are_refused(connected, data):
    client = connected(V5)
    send, to = "send_direct_message", {"clientId": client.client_id}
    for topic in ["$aws/things/x/shadow/get", "a/+", "1/2/3/4/5/6/7/8/9", "x" * 257]:
        refused(data, *INVALID, send, topic=topic, **to)
    for timeout in [0, 16]:
        refused(data, *INVALID, send, topic="a", confirmation=True, timeout=timeout, **to)
    refused(data, *INVALID, send, topic="a", userProperties='{"k": "v"}', **to)
    refused(data, *INVALID, send, clientId="$x", topic="a")
    large = {"topic": "a", "payload": b"x" * (128 * 1024 + 1)}
    refused(data, "RequestEntityTooLargeException", 413, send, **large, **to)
    assert client.ping() == []


def test_full_window_of_the_receiver_is_its_own_failure(connected, data, aside):
    client = connected(V5, receive_maximum=1)
    send = {"clientId": client.client_id, "topic": "a", "confirmation": True}
    sending = aside(data.send_direct_message, timeout=15, **send)
    got = client.message(ack=False)
    full = refused(data, "ThrottlingException", 429, "send_direct_message", **send)
    assert "acknowledged" in full["Error"]["Message"]
    client.send(wire.puback(got.packet_id))
    sending.result(10)


def test_receiver_that_leaves_confirms_nothing(connected, data, aside):
    client = connected(V311, clean=False)
    sending = aside(data.send_direct_message, clientId=client.client_id, topic="a", confirmation=True, timeout=15)
    client.message(ack=False)
    client.close()
    with pytest.raises(data.exceptions.GatewayTimeoutException):
        sending.result(10)
    assert connected(V311, client.client_id, clean=False).ping() == []


def test_sender_that_hangs_up_is_told_in_the_log(server, connected):
    impatient = server.boto("iot-data", config=Config(read_timeout=1, retries={"total_max_attempts": 1}))
    client, mark = connected(V5), server.log_mark()
    with pytest.raises(ReadTimeoutError):
        impatient.send_direct_message(clientId=client.client_id, topic="a", confirmation=True, timeout=15)
    impatient.close()
    server.wait_for_log(client.client_id, "DELIVERY_CONFIRMATION_SENDER_DISCONNECT", since=mark)


# ---- quotas ----------------------------------------------------------------------------------------------------


def test_a_client_id_is_asked_about_once_in_a_second(aws_server, connected):
    data = aws_server.boto("iot-data")
    client = connected(V5, on=aws_server)
    for operation in ["get_connection", "list_subscriptions", "delete_connection"]:
        ask, started = getattr(data, operation), time.monotonic()
        outcomes = []
        while time.monotonic() - started < 0.9 and "ThrottlingException" not in outcomes:
            try:
                ask(clientId=client.client_id)
                outcomes.append("OK")
            except data.exceptions.ClientError as error:
                outcomes.append(error.response["Error"]["Code"])
        assert outcomes[0] == "OK" and "ThrottlingException" in outcomes, (operation, outcomes)
