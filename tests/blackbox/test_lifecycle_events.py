"""Lifecycle events under $aws/events/, heard by clients of AWS (developer guide, Lifecycle events)."""

import json
import time
import uuid

import pytest

import clients
import wire
from clients import Refused
from provision import allow, deny, unique
from wire import V5, V311

WITHIN = 60_000  # ms: how far a time stamp may be from this machine's clock


class Ear:
    """A client of AWS's SDK that hears of one client."""

    def __init__(self, server, kind, about):
        self.client = kind(server, server.account.everything(), unique("ear"))
        self.client.connect()
        for filter in (f"$aws/events/presence/+/{about}", f"$aws/events/subscriptions/+/{about}"):
            self.client.subscribe(filter, qos=1)

    def hear(self, kind):
        """The next event, which must be of this kind, without what is different in every run."""
        message = self.client.message()
        topic, event = message.topic, json.loads(message.payload)
        assert topic.startswith(f"$aws/events/{kind}/"), (topic, event)
        assert event["clientId"] == topic.rpartition("/")[2] and event["eventType"] == kind.rpartition("/")[2]
        assert abs(event.pop("timestamp") - time.time() * 1000) < WITHIN
        uuid.UUID(event["sessionIdentifier"])
        return event


@pytest.fixture
def ear(server):
    ears = []

    def make(about, kind=clients.AwsSdk5):
        ears.append(Ear(server, kind, about))
        return ears[-1]

    yield make
    for one in ears:
        one.client.close()


@pytest.mark.parametrize("kind", [clients.AwsSdk5, clients.AwsSdk311, clients.Paho], ids=["sdk5", "sdk311", "paho311"])
def test_a_life_from_connect_to_disconnect(server, ear, kind):
    device, client_id = server.account.everything(), unique("life")
    heard = ear(client_id)
    client = kind(server, device, client_id)
    client.connect()
    came = heard.hear("presence/connected")
    same = {"clientId": client_id, "sessionIdentifier": came["sessionIdentifier"], "principalIdentifier": device.certificate_id}
    assert came == {**same, "eventType": "connected", "ipAddress": "127.0.0.1", "versionNumber": 0}
    client.subscribe("a/#", qos=1)
    assert heard.hear("subscriptions/subscribed") == {**same, "eventType": "subscribed", "topics": ["a/#"]}
    client.close()
    assert heard.hear("presence/disconnected") == {
        **same, "eventType": "disconnected", "versionNumber": 0, "clientInitiatedDisconnect": True,
        "disconnectReason": "CLIENT_INITIATED_DISCONNECT"}


def test_unsubscribing_tells_all_filters_of_the_packet(connected, ear, version):
    client_id = unique("packet")
    heard = ear(client_id)
    client = connected(version, client_id)
    heard.hear("presence/connected")
    client.subscribe("a/1", "b/2")
    assert heard.hear("subscriptions/subscribed")["topics"] == ["a/1", "b/2"]
    client.unsubscribe("a/1", "b/2")
    assert heard.hear("subscriptions/unsubscribed")["topics"] == ["a/1", "b/2"]


@pytest.mark.parametrize("end, reason", [
    (lambda client, server: client.close(), "CONNECTION_LOST"),
    (lambda client, server: client.send(wire.frame(0, 0, b"")), "CLIENT_ERROR"),
    (lambda client, server: client.send(wire.publish(client.version, "forbidden", "x")), "AUTH_ERROR"),
    (lambda client, server: server.boto("iot-data").delete_connection(clientId=client.client_id), "API_INITIATED_DISCONNECT"),
], ids=["lost", "misuse", "denied", "deleted"])
def test_why_a_connection_ended(server, connected, ear, version, end, reason):
    device = server.account.device(allow("iot:*", "*"), deny("iot:Publish", server.arn("topic/forbidden")))
    client_id = unique("end")
    heard = ear(client_id)
    client = connected(version, client_id, device)
    heard.hear("presence/connected")
    end(client, server)
    left = heard.hear("presence/disconnected")
    assert (left["disconnectReason"], left["clientInitiatedDisconnect"]) == (reason, False)


def test_a_takeover_and_version_numbers(connected, ear, version):
    client_id = unique("twice")
    heard = ear(client_id)
    connected(version, client_id)
    assert heard.hear("presence/connected")["versionNumber"] == 0
    connected(version, client_id)
    # They may come in any order.
    events = [json.loads(heard.client.message().payload) for _ in range(2)]
    told = {event["eventType"]: (event["versionNumber"], event.get("disconnectReason")) for event in events}
    assert told == {"disconnected": (0, "DUPLICATE_CLIENTID"), "connected": (1, None)}


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "not"])
def test_the_thing_is_named_only_if_it_is_attached_exclusively(server, connected, ear, exclusive):
    device = server.account.device(allow("iot:*", "*"), thing=True, exclusive=exclusive)
    heard = ear(device.name)
    connected(V5, device.name, device)
    assert heard.hear("presence/connected").get("thingName") == (device.name if exclusive else None)


@pytest.mark.parametrize("kind", [clients.AwsSdk5, clients.AwsSdk311], ids=["sdk5", "sdk311"])
def test_who_may_not_connect_is_told_of(server, ear, kind):
    device = server.account.device(allow("iot:Connect", server.arn("client/somebody-else")))
    client_id = unique("refused")
    heard = ear(client_id)
    client = kind(server, device, client_id)
    with pytest.raises(Refused):
        client.connect()
    failed = heard.hear("presence/connect_failed")
    failed.pop("sessionIdentifier")
    assert failed == {
        "clientId": client_id, "eventType": "connect_failed", "connectFailureReason": "AUTHORIZATION_FAILED",
        "principalIdentifier": device.certificate_id, "ipAddress": "127.0.0.1"}


def test_events_are_received_by_policy(server, connected, ear):
    """Who may not receive them does not."""
    about = unique("watched")
    nosy = server.account.device(allow(["iot:Connect", "iot:Subscribe"], "*"))
    watcher = connected(V311, device=nosy)
    watcher.subscribe(f"$aws/events/presence/+/{about}")
    heard = ear(about)
    connected(V5, about)
    heard.hear("presence/connected")
    assert watcher.ping() == []
