"""Attributes of a thing travel with its messages, if its type says so (enriched-user-properties)."""

import pytest

from provision import unique
from wire import V5, V311


@pytest.fixture
def sensor(account):
    """A thing with a type that propagates, and its certificate."""
    kind = unique("type")
    account.iot.create_thing_type(
        thingTypeName=kind,
        thingTypeProperties={"mqtt5Configuration": {"propagatingAttributes": [
            {"userPropertyKey": "site", "thingAttribute": "site"},
            {"userPropertyKey": "iot:client", "connectionAttribute": "iot:ClientId"},
            {"userPropertyKey": "thing", "connectionAttribute": "iot:Thing.ThingName"},
        ]}},
    )
    device = account.device(thing=True)
    account.iot.update_thing(thingName=device.name, thingTypeName=kind, attributePayload={"attributes": {"site": "Jena"}})
    device.kind = kind
    return device


def pairs(packet):
    return [tuple(pair) for pair in packet.properties.get("user_properties", [])]


def test_attributes_travel(connected, sensor, version):
    topic = f"enriched/{sensor.name}"
    reader, old = connected(V5), connected(V311)
    reader.subscribe(topic), old.subscribe(topic)
    publisher = connected(version, sensor.name, sensor)
    assert publisher.publish(topic, "x", qos=1) in (0, None)
    assert pairs(reader.message()) == [("site", "Jena"), ("iot:client", sensor.name), ("thing", sensor.name)]
    assert old.message().payload == b"x"


def test_a_change_counts_for_a_client_that_is_connected(connected, sensor, account, server):
    topic = f"enriched/{sensor.name}"
    reader = connected(V5)
    reader.subscribe(topic)
    publisher = connected(V5, sensor.name, sensor)
    account.iot.update_thing(thingName=sensor.name, attributePayload={"attributes": {"site": "Gera"}, "merge": True})
    for _ in range(200):
        publisher.publish(topic, "x", qos=1)
        if ("site", "Gera") in pairs(reader.message()):
            return
    raise AssertionError("the new attribute never came")


def test_another_client_id_or_no_type_adds_nothing(connected, sensor, account):
    topic = f"enriched/{sensor.name}"
    reader = connected(V5)
    reader.subscribe(topic)
    for client_id, device in [(unique("other"), sensor), (None, account.everything())]:
        publisher = connected(V5, client_id, device)
        publisher.publish(topic, "x", qos=1)
        assert pairs(reader.message()) == []
