"""Policies decide each step, live: what a denial looks like to the client, and what the log says about it."""

import time

import pytest

import wire
from provision import allow, deny, document, unique
from wire import SUBACK, V5, V311, Closed


def eventually(attempt, within=15.0):
    """Repeats until it is true: a change in the registry reaches the connections through the store's feed."""
    end = time.monotonic() + within
    while not attempt():
        assert time.monotonic() < end, "the change did not take effect in time"


@pytest.fixture
def restricted(account, server):
    """A device that may use `ok/...` for everything and nothing else."""
    return account.device(
        allow("iot:Connect", "*"),
        allow(["iot:Publish", "iot:Receive", "iot:RetainPublish"], server.arn("topic/ok/*")),
        allow("iot:Subscribe", [server.arn("topicfilter/ok/*"), server.arn("topicfilter/half/*")]))


# ---- denial on the wire ----------------------------------------------------------------------------------------


def test_denied_qos_0_publish_ends_the_connection(connected, restricted, version):
    connection = connected(version, device=restricted)
    connection.send(wire.publish(version, "secret/topic", "x", qos=0))
    packet = connection.expect_disconnect(0x87)
    if version == V5:
        reason = packet.properties["reason_string"]
        assert reason.startswith("DISCONNECT:Client is not authenticated/authorized to send the message:"), reason


def test_denied_qos_1_publish(connected, restricted, version):
    connection = connected(version, device=restricted)
    if version == V5:
        assert connection.publish("secret/topic", "x", qos=1) == 0x87
        assert connection.publish("ok/topic", "x", qos=1) == 0, "the connection is kept"
    else:
        connection.send(wire.publish(version, "secret/topic", "x", qos=1))
        connection.expect_end()


def test_denied_subscribe(connected, restricted, version):
    connection = connected(version, device=restricted)
    if version == V5:
        assert connection.subscribe("secret/topic") == [0x87]
        assert connection.subscribe("ok/topic") == [1], "the connection is kept"
    else:
        connection.send(wire.subscribe(version, [("secret/topic", 1)]))
        connection.expect_end()


def test_one_denied_filter_among_granted_ones(connected, restricted, topic):
    connection = connected(V5, device=restricted)
    assert connection.subscribe(f"ok/{topic}", "secret/a", "ok/b") == [1, 0x87, 1]
    assert connection.publish(f"ok/{topic}", "x", qos=0) is None
    assert connection.message().payload == b"x"


def test_denied_receive_drops_the_message_for_this_client_alone(connected, restricted, topic, version):
    watcher, subscriber, publisher = connected(version), connected(version, device=restricted), connected(version)
    for client in (watcher, subscriber):
        client.subscribe(f"half/{topic}", f"ok/{topic}")
    assert publisher.publish(f"half/{topic}", "unseen", qos=1) == 0
    assert publisher.publish(f"ok/{topic}", "seen", qos=1) == 0
    assert [watcher.message().payload for _ in range(2)] == [b"unseen", b"seen"]
    assert subscriber.message().payload == b"seen"


def test_no_policy_at_all_denies(dial, account, version):
    connection = dial(account.certificate(), version)
    connection.send(wire.connect(version, unique()))
    if version == V5:
        assert connection.expect(wire.CONNACK).code == 0x87
    connection.expect_end()


def test_policy_wildcards_are_not_mqtt_wildcards(connected, account, server, topic):
    """`*` in a policy covers any text, `+` and `#` are themselves."""
    device = account.device(
        allow("iot:Connect", "*"), allow("iot:Subscribe", [server.arn(f"topicfilter/{topic}/+/x"), server.arn(f"topicfilter/{topic}/all/*")]))
    client = connected(V5, device=device)
    assert client.subscribe(f"{topic}/+/x", f"{topic}/a/x", f"{topic}/all/#", f"{topic}/#") == [1, 0x87, 1, 0x87]


# ---- the log says why ------------------------------------------------------------------------------------------


def test_log_says_who_was_denied_what_when_no_statement_matched(connected, restricted, server):
    mark = server.log_mark()
    client = connected(V5, device=restricted)
    client.publish("secret/topic", "x", qos=1)
    server.wait_for_log(client.client_id, "iot:Publish", "topic/secret/topic", "no statement matched", since=mark)


def test_log_names_the_statement_that_denied(connected, account, server, topic):
    device = account.device(
        allow("iot:*", "*"), deny("iot:Publish", server.arn(f"topic/{topic}"), Sid="KeepOut"))
    mark = server.log_mark()
    client = connected(V5, device=device)
    assert client.publish(topic, "x", qos=1) == 0x87
    server.wait_for_log(client.client_id, "iot:Publish", topic, device.policy_name, since=mark)


def test_log_names_the_variable_that_was_missing(dial, account, server):
    device = account.device(allow("iot:Connect", server.arn("client/${iot:Connection.Thing.ThingName}")))
    mark, client_id = server.log_mark(), unique("stranger")
    connection = dial(device, V5)
    connection.send(wire.connect(V5, client_id))
    assert connection.expect(wire.CONNACK).code == 0x87
    server.wait_for_log(client_id, "iot:Connection.Thing.ThingName", since=mark)


# ---- changes while connected -----------------------------------------------------------------------------------


def test_new_policy_version_refuses_the_next_publish(connected, account, server, topic):
    device = account.device(allow("iot:*", "*"))
    client = connected(V5, device=device)
    assert client.publish(topic, "x", qos=1) == 0
    mark = server.log_mark()
    device.replace_policy(allow("iot:*", "*"), deny("iot:Publish", server.arn(f"topic/{topic}")))
    eventually(lambda: client.publish(topic, "x", qos=1) == 0x87)
    server.wait_for_log(client.client_id, topic, device.policy_name, since=mark)
    device.replace_policy(allow("iot:*", "*"))
    eventually(lambda: client.publish(topic, "x", qos=1) == 0)


def test_receive_can_be_withdrawn_from_a_live_subscription(connected, account, server, topic):
    device = account.device(allow("iot:*", "*"))
    client, publisher = connected(V5, device=device), connected(V5)
    client.subscribe(topic, f"{topic}-sentinel")

    def hears():
        publisher.publish(topic, "x", qos=1)
        publisher.publish(f"{topic}-sentinel", "x", qos=1)
        first = client.message()
        if first.topic == topic:
            client.message()
        return first.topic == topic

    assert hears()
    device.replace_policy(allow("iot:*", "*"), deny("iot:Receive", server.arn(f"topic/{topic}")))
    eventually(lambda: not hears())


def test_detached_policy_stops_deciding(connected, account, topic):
    device = account.device(allow("iot:Connect", "*"))
    extra = account.policy(allow("iot:Publish", "*"))
    device.account.iot.attach_policy(policyName=extra, target=device.arn)
    client = connected(V5, device=device)
    assert client.publish(topic, "x", qos=1) == 0
    device.account.iot.detach_policy(policyName=extra, target=device.arn)
    eventually(lambda: client.publish(topic, "x", qos=1) == 0x87)
    device.account.iot.attach_policy(policyName=extra, target=device.arn)
    eventually(lambda: client.publish(topic, "x", qos=1) == 0)


def test_older_version_can_be_made_the_default_again(connected, account, topic):
    device = account.device(allow("iot:*", "*"))
    client = connected(V5, device=device)
    device.replace_policy(allow("iot:Connect", "*"))
    eventually(lambda: client.publish(topic, "x", qos=1) == 0x87)
    account.iot.set_default_policy_version(policyName=device.policy_name, policyVersionId="1")
    eventually(lambda: client.publish(topic, "x", qos=1) == 0)


@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_certificate_that_is_no_longer_active_loses_its_connection(connected, account, version, status):
    device = account.device(allow("iot:*", "*"))
    client = connected(version, device=device)
    device.set_status(status)
    with pytest.raises(Closed):
        while True:
            client.receive()


# ---- variables -------------------------------------------------------------------------------------------------


def test_client_id_variable(connected, account, server):
    device = account.device(
        allow("iot:Connect", server.arn("client/${iot:ClientId}")),
        allow("iot:Publish", server.arn("topic/dev/${iot:ClientId}/data")))
    client = connected(V5, device=device)
    assert client.publish(f"dev/{client.client_id}/data", "x", qos=1) == 0
    assert client.publish("dev/another/data", "x", qos=1) == 0x87


def test_thing_variables_resolve_for_the_attached_thing_only(connected, dial, account, server):
    statements = [
        allow("iot:Connect", server.arn("client/${iot:Connection.Thing.ThingName}"),
              Condition={"Bool": {"iot:Connection.Thing.IsAttached": "true"}}),
        allow("iot:Publish", server.arn("topic/${iot:Connection.Thing.Attributes[site]}/${iot:Connection.Thing.ThingName}"))]
    device = account.device(*statements)
    account.iot.create_thing(thingName=device.name, attributePayload={"attributes": {"site": "berlin"}})
    account.iot.attach_thing_principal(thingName=device.name, principal=device.arn)
    client = connected(V5, client_id=device.name, device=device)
    assert client.publish(f"berlin/{device.name}", "x", qos=1) == 0
    assert client.publish(f"paris/{device.name}", "x", qos=1) == 0x87
    other = dial(device, V5)
    other.send(wire.connect(V5, unique("other")))
    assert other.expect(wire.CONNACK).code == 0x87


def test_changed_thing_attribute_takes_effect(connected, account, server):
    device = account.device(
        allow("iot:Connect", "*"), allow("iot:Publish", server.arn("topic/${iot:Connection.Thing.Attributes[site]}")))
    account.iot.create_thing(thingName=device.name, attributePayload={"attributes": {"site": "berlin"}})
    account.iot.attach_thing_principal(thingName=device.name, principal=device.arn)
    client = connected(V5, client_id=device.name, device=device)
    assert client.publish("berlin", "x", qos=1) == 0
    account.iot.update_thing(thingName=device.name, attributePayload={"attributes": {"site": "paris"}})
    eventually(lambda: client.publish("paris", "x", qos=1) == 0)
    assert client.publish("berlin", "x", qos=1) == 0x87


def test_exclusive_thing_belongs_to_the_certificate_whatever_the_client_id(connected, account, server):
    device = account.device(
        allow("iot:Connect", server.arn("client/*"), Condition={"Bool": {"iot:Connection.Thing.IsAttached": "true"}}),
        allow("iot:Publish", server.arn("topic/${iot:Connection.Thing.ThingName}")),
        thing=True, exclusive=True)
    client = connected(V5, client_id=unique("anything"), device=device)
    assert client.publish(device.name, "x", qos=1) == 0
    assert client.publish(client.client_id, "x", qos=1) == 0x87


def test_certificate_variable(connected, account, server):
    device = account.device(allow("iot:Connect", "*"), allow("iot:Publish", server.arn("topic/cert/${iot:CertificateId}")))
    client = connected(V5, device=device)
    assert client.publish(f"cert/{device.certificate_id}", "x", qos=1) == 0
    assert client.publish("cert/other", "x", qos=1) == 0x87


def test_connect_attributes(connected, dial, account, server):
    """Sample C03: no persistent sessions."""
    device = account.device(allow("iot:Connect", "*", Condition={"ForAllValues:StringNotEquals": {"iot:ConnectAttributes": ["PersistentConnect"]}}))
    connected(V5, device=device)
    connected(V311, device=device)
    for version, options in ((V5, dict(session_expiry=60)), (V311, dict(clean=False))):
        connection = dial(device, version)
        connection.send(wire.connect(version, unique(), **options))
        if version == V5:
            assert connection.expect(wire.CONNACK).code == 0x87
        connection.expect_end()


def test_source_ip(connected, dial, account):
    here = account.device(allow("iot:*", "*", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}))
    connected(V5, device=here)
    elsewhere = account.device(allow("iot:*", "*", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}))
    connection = dial(elsewhere, V5)
    connection.send(wire.connect(V5, unique()))
    assert connection.expect(wire.CONNACK).code == 0x87


# ---- thing groups ----------------------------------------------------------------------------------------------


def test_policies_of_thing_groups_are_inherited(connected, account, server, topic):
    device = account.device(allow("iot:Connect", "*"), thing=True)
    parent, child = unique("parent"), unique("child")
    account.iot.create_thing_group(thingGroupName=parent)
    group = account.iot.create_thing_group(thingGroupName=child, parentGroupName=parent)
    client = connected(V5, client_id=device.name, device=device)
    assert client.publish(topic, "x", qos=1) == 0x87
    policy = account.policy(allow("iot:Publish", "*"))
    account.iot.attach_policy(policyName=policy, target=server.arn(f"thinggroup/{parent}"))
    account.iot.add_thing_to_thing_group(thingGroupName=child, thingName=device.name)
    eventually(lambda: client.publish(topic, "x", qos=1) == 0)
    account.iot.remove_thing_from_thing_group(thingGroupArn=group["thingGroupArn"], thingName=device.name)
    eventually(lambda: client.publish(topic, "x", qos=1) == 0x87)


def test_thing_group_policies_need_the_thing(connected, account, server, topic):
    """Another client id than the thing's name: the connection is not associated with the thing."""
    device = account.device(allow("iot:Connect", "*"), thing=True)
    name = unique("group")
    account.iot.create_thing_group(thingGroupName=name)
    account.iot.attach_policy(policyName=account.policy(allow("iot:Publish", "*")), target=server.arn(f"thinggroup/{name}"))
    account.iot.add_thing_to_thing_group(thingGroupName=name, thingName=device.name)
    stranger = connected(V5, device=device)
    assert stranger.publish(topic, "x", qos=1) == 0x87
    member = connected(V5, client_id=device.name, device=device)
    assert member.publish(topic, "x", qos=1) == 0


def test_deny_of_a_group_beats_the_certificates_allow(connected, account, server, topic):
    device = account.device(allow("iot:*", "*"), thing=True)
    name = unique("group")
    account.iot.create_thing_group(thingGroupName=name)
    account.iot.add_thing_to_thing_group(thingGroupName=name, thingName=device.name)
    client = connected(V5, client_id=device.name, device=device)
    assert client.publish(topic, "x", qos=1) == 0
    policy = account.policy(deny("iot:Publish", server.arn(f"topic/{topic}")))
    account.iot.attach_policy(policyName=policy, target=server.arn(f"thinggroup/{name}"))
    eventually(lambda: client.publish(topic, "x", qos=1) == 0x87)
