"""AWS's log levels, set through boto3 and the AWS CLI, and obeyed by the log: whose lines come, and whose do not."""

import json
import time

import botocore.exceptions
import pytest

from clients import AwsSdk5, Paho, Paho5
from provision import unique
from server import GLANCE, LOG_WITHIN
from test_aws_cli import aws

ROLE = "arn:aws:iam::123456789012:role/logs"


@pytest.fixture
def iot(new_server):
    """Nothing is configured: the server's own level holds. It is DEBUG, so that calls of the API have lines."""
    server = new_server("--log-level", "debug")
    iot = server.boto("iot")
    iot.server = server
    return iot


def error(call, **input):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**input)
    return caught.value.response["Error"]["Code"]


def set_level(iot, level, kind="DEFAULT", name=None):
    target = {"targetType": kind, **({"targetName": name} if name else {})}
    iot.set_v2_logging_level(logTarget=target, logLevel=level)


class Device:
    """A client that publishes; each of its messages has a topic of its own."""

    def __init__(self, server, kind=Paho):
        self.server = server
        self.thing = unique("device")
        self.device = server.account.everything()
        self.client = kind(server, self.device, self.thing)
        self.client.connect()

    def publish(self):
        topic = unique(f"log/{self.thing}")
        self.client.publish(topic, b"x", qos=1)
        return topic

    def logged(self, topic):
        for line in self.server.log_lines():
            if topic in line and (entry := json.loads(line))["eventType"] == "Publish-In":
                assert entry["clientId"] == self.thing and entry["logLevel"] == "INFO"
                return True
        return False


def told(server):
    """Waits until the log has been written as far as now: a call of the API makes a line that AWS's levels do not hide."""
    calls = lambda: sum('"ListThings"' in line for line in server.log_lines())  # noqa: E731
    before, end = calls(), time.monotonic() + LOG_WITHIN
    server.boto("iot").list_things()
    while calls() <= before:
        assert time.monotonic() < end, "the call is not in the log"
        time.sleep(GLANCE)


def becomes(device, seen, within=LOG_WITHIN):
    """Publishes until the lines of the device come, or do not come any more: a change takes effect soon, not at once."""
    end = time.monotonic() + within
    while True:
        topic = device.publish()
        told(device.server)
        if device.logged(topic) == seen:
            return
        assert time.monotonic() < end, f"{device.thing}: lines {'do not come' if seen else 'still come'}"
        time.sleep(GLANCE)


def test_options_and_levels_through_boto3(iot):
    assert error(iot.get_v2_logging_options) == "NotConfiguredException"
    assert error(iot.list_v2_logging_levels) == "NotConfiguredException"
    assert error(iot.set_v2_logging_level, logTarget={"targetType": "CLIENT_ID", "targetName": "c"}, logLevel="INFO") == "NotConfiguredException"
    assert "logLevel" not in iot.get_logging_options()
    assert error(iot.set_v2_logging_options, roleArn="logs", defaultLogLevel="INFO") == "InvalidRequestException"
    iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="ERROR", eventConfigurations=[{"eventType": "Ping", "logLevel": "DEBUG"}])
    found = iot.get_v2_logging_options()
    assert (found["roleArn"], found["defaultLogLevel"], found["disableAllLogs"]) == (ROLE, "ERROR", False)
    assert found["eventConfigurations"] == [{"eventType": "Ping", "logLevel": "DEBUG"}]
    assert {"eventType": "Connect", "logLevel": "ERROR"} in iot.get_v2_logging_options(verbose=True)["eventConfigurations"]
    assert error(iot.set_v2_logging_options, eventConfigurations=[{"eventType": "Publish"}]) == "InvalidRequestException"
    iot.set_logging_options(loggingOptionsPayload={"roleArn": ROLE, "logLevel": "WARN"})
    assert error(iot.set_logging_options, loggingOptionsPayload={"roleArn": ROLE, "logLevel": "LOUD"}) == "InvalidRequestException"
    assert iot.get_logging_options()["logLevel"] == iot.get_v2_logging_options()["defaultLogLevel"] == "WARN"


def test_levels_through_the_cli(iot):
    server = iot.server
    aws(server, "iot", "set-v2-logging-options", "--role-arn", ROLE, "--default-log-level", "WARN")
    aws(server, "iot", "set-v2-logging-level", "--log-target", "targetType=CLIENT_ID,targetName=c", "--log-level", "DEBUG")
    failed = aws(server, "iot", "set-v2-logging-level", "--log-target", "targetType=THING_GROUP,targetName=none", "--log-level", "INFO", check=False)
    assert "InvalidRequestException" in failed.stderr and "none" in failed.stderr, failed.stderr
    levels = aws(server, "iot", "list-v2-logging-levels")["logTargetConfigurations"]
    assert levels == [{"logTarget": {"targetType": "DEFAULT"}, "logLevel": "WARN"},
                      {"logTarget": {"targetType": "CLIENT_ID", "targetName": "c"}, "logLevel": "DEBUG"}]
    aws(server, "iot", "delete-v2-logging-level", "--target-type", "CLIENT_ID", "--target-name", "c")
    assert len(aws(server, "iot", "list-v2-logging-levels")["logTargetConfigurations"]) == 1


def test_a_clients_lines_appear_and_vanish(iot):
    server = iot.server
    one, other = Device(server), Device(server, AwsSdk5)
    becomes(one, True)
    iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="ERROR")
    becomes(one, False)
    set_level(iot, "DEBUG", "CLIENT_ID", one.thing)
    becomes(one, True)
    # A line of level DEBUG, which no default shows.
    one.client.subscribe(unique("log/sub"))
    assert json.loads(server.wait_for_log("subscribe.received", one.thing))["logLevel"] == "DEBUG"
    assert not other.logged(other.publish())
    set_level(iot, "INFO")
    becomes(other, True)
    set_level(iot, "DISABLED", "CLIENT_ID", one.thing)
    becomes(one, False)
    becomes(other, True)
    iot.set_v2_logging_options(disableAllLogs=True)
    becomes(other, False)
    iot.set_v2_logging_options(disableAllLogs=False)
    becomes(other, True)
    iot.delete_v2_logging_level(targetType="CLIENT_ID", targetName=one.thing)
    becomes(one, True)
    for device in (one, other):
        device.client.close()


def test_the_most_specific_level_wins(iot):
    server = iot.server
    device = Device(server)
    iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="INFO")
    becomes(device, True)
    iot.set_v2_logging_options(eventConfigurations=[{"eventType": "Publish-In", "logLevel": "ERROR"}])
    becomes(device, False)
    group = unique("group")
    iot.create_thing_group(thingGroupName=group)
    iot.create_thing(thingName=device.thing)
    set_level(iot, "INFO", "THING_GROUP", group)
    iot.add_thing_to_thing_group(thingGroupName=group, thingName=device.thing)
    becomes(device, True)
    set_level(iot, "ERROR", "SOURCE_IP", "127.0.0.1")
    set_level(iot, "ERROR", "SOURCE_IP", "::1")
    becomes(device, False)
    set_level(iot, "DEBUG", "PRINCIPAL_ID", device.device.certificate_id)
    becomes(device, True)
    set_level(iot, "ERROR", "CLIENT_ID", device.thing)
    becomes(device, False)
    iot.delete_v2_logging_level(targetType="CLIENT_ID", targetName=device.thing)
    iot.delete_v2_logging_level(targetType="PRINCIPAL_ID", targetName=device.device.certificate_id)
    for address in ("127.0.0.1", "::1"):
        iot.delete_v2_logging_level(targetType="SOURCE_IP", targetName=address)
    becomes(device, True)
    iot.remove_thing_from_thing_group(thingGroupName=group, thingName=device.thing)
    becomes(device, False)
    device.client.close()


def test_levels_hold_after_a_restart(iot):
    server = iot.server
    iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="ERROR")
    server.stop()
    server.start()
    device = Device(server)
    becomes(device, False)
    device.client.close()


def test_calls_about_connections_and_retained_messages_have_entries(new_server):
    """As AWS's log has them: named like the operation, the target as clientId or topicName, whoever called as principalId."""
    server = new_server()
    device = server.account.everything()
    thing = unique("target")
    server.account.iot.create_thing(thingName=thing)
    server.account.iot.attach_thing_principal(thingName=thing, principal=device.arn)
    client = Paho5(server, device, thing)
    client.connect()
    data, absent = server.account.data, unique("absent")
    client.publish("kept", b"x", qos=1, retain=True)
    data.get_connection(clientId=client.client_id)
    data.list_subscriptions(clientId=client.client_id, maxResults=7)
    data.get_retained_message(topic="kept")
    data.list_retained_messages()
    data.send_direct_message(clientId=client.client_id, topic="direct", payload=b"x", confirmation=False, timeout=5)
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_connection(clientId=absent)
    with pytest.raises(data.exceptions.ClientError):
        data.send_direct_message(clientId=absent, topic="direct", payload=b"x")
    data.delete_connection(clientId=client.client_id)
    server.wait_for_log('"eventType":"DeleteConnection"')
    client.client.loop_stop()
    entries = [json.loads(line) for line in server.log_lines() if line.startswith("{")]
    told = [(entry["eventType"], entry["status"], entry.get("clientId"), entry.get("topicName"), entry.get("reason"))
            for entry in entries if entry["event"] in ("device.call", "direct.refused")]
    target = client.client_id
    assert told == [
        ("GetConnection", "Success", target, None, None),
        ("ListSubscriptions", "Success", target, None, None),
        ("GetRetainedMessage", "Success", None, "kept", None),
        ("ListRetainedMessage", "Success", None, None, None),
        ("SendDirectMessage", "Success", target, "direct", None),
        ("GetConnection", "Failure", absent, None, "ResourceNotFoundException"),
        ("SendDirectMessage", "Failure", absent, "direct", "TARGET_CLIENT_ID_NOT_FOUND"),
        ("DeleteConnection", "Success", target, None, None)]
    called = [entry for entry in entries if entry["event"] == "device.call"]
    assert [entry.get("maxResults") for entry in called if entry["eventType"] == "ListSubscriptions"] == ["7"]
    sent = next(entry for entry in called if entry["eventType"] == "SendDirectMessage")
    assert (sent["confirmation"], sent["timeout"]) == ("false", "5")
    kept = next(entry for entry in called if entry["eventType"] == "GetRetainedMessage")
    assert kept["qos"] == "1" and int(kept["lastModifiedDate"]) > 1_600_000_000_000
    connected = next(entry for entry in entries if entry["eventType"] == "Connect" and entry.get("clientId") == target)
    assert connected["thingName"] == target
    assert {(entry["protocol"], entry["principalId"], entry["sourceIp"]) for entry in called} == {
        ("HTTP", server.ready["access_key_id"], "127.0.0.1")}
    assert {entry["logLevel"] for entry in called} == {"INFO", "ERROR"}
