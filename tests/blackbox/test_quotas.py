"""Quotas as a client sees them: rates of connections, publishes, subscriptions and API calls (quotas; developer guide,
MQTT), and Service Quotas itself. Everything here runs on servers with AWS's rates; other tests run without."""

import json
import time

import botocore.exceptions
import pytest

import wire
from provision import allow, unique
from refusal import connect_refused
from server import Server
from test_aws_cli import aws
from wire import PUBACK, PUBLISH, SUBACK, UNSUBACK, V5, V311, Late

QUOTA_EXCEEDED = 0x97


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server with AWS's quotas."""
    server = Server(tmp_path_factory.mktemp("limited"), quotas="aws").start()
    yield server
    server.stop()


@pytest.fixture
def narrow(new_server, tmp_path):
    """narrow(**quotas): a server on which some quotas have small values, given by name or by AWS's code."""

    def make(**values):
        config = tmp_path / "quotas.toml"
        lines = [f"{json.dumps(name.replace('_', '-'))} = {value}" for name, value in values.items()]
        config.write_text("[quotas]\n" + "\n".join(lines) + "\n")
        return new_server("--config", str(config))

    return make


@pytest.fixture
def device(limited):
    return limited.account.everything()


def burst(client, topic, count, qos=1, payload=b"x", **options):
    """Sends publishes in one write."""
    packets = (wire.publish(client.version, topic, payload, qos, packet_id=number + 1, **options) for number in range(count))
    client.send(b"".join(packets))


def acknowledgements(client, count=None, quiet=1.0):
    """The PUBACKs that come, until so many are there or nothing comes any more."""
    found = []
    while count is None or len(found) < count:
        try:
            packet = client.receive(quiet)
        except Late:
            break
        if packet.kind == PUBACK:
            found.append(packet)
    return found


# ---- connecting ----

def test_client_id_that_connects_twice_in_a_second_is_refused(limited, dial, device, version):
    client_id = unique("hasty")
    first = dial(device, version, on=limited)
    assert first.connect(client_id).code == 0
    second = dial(device, version, on=limited)
    second.send(wire.connect(version, client_id))
    connect_refused(second, QUOTA_EXCEEDED)
    first.ping()
    time.sleep(1.05)
    third = dial(device, version, on=limited)
    assert third.connect(client_id).code == 0


def test_connects_of_the_account_have_a_rate(narrow, dial, version):
    server = narrow(connects_per_account=3)
    device = server.account.everything()
    for _ in range(3):
        assert dial(device, version, on=server).connect(unique("crowd")).code == 0
    late = dial(device, version, on=server)
    late.send(wire.connect(version, unique("crowd")))
    connect_refused(late, QUOTA_EXCEEDED)


# ---- publishing ----

def test_publishes_beyond_a_hundred_in_a_second_are_discarded(limited, connected, device, version, topic):
    client = connected(version, on=limited, device=device)
    burst(client, topic, 100)
    assert [ack.code for ack in acknowledgements(client, 100)] == [0] * 100
    burst(client, topic, 100)
    if version == V5:
        codes = [ack.code for ack in acknowledgements(client, 100)]
        assert codes.count(QUOTA_EXCEEDED) > 20 and set(codes) <= {0, QUOTA_EXCEEDED}, codes
    else:
        assert len(acknowledgements(client)) < 80
    client.ping()


def test_excess_of_qos_0_is_discarded_and_the_connection_stays(limited, connected, device, version, topic):
    subscriber = connected(version, on=limited, device=device)
    subscriber.subscribe(topic)
    client = connected(version, on=limited, device=device)
    burst(client, topic, 300, qos=0)
    client.ping()
    got = 0
    while subscriber.is_readable(0.7):
        got += subscriber.receive().kind == PUBLISH
    assert 90 <= got < 200, got


def test_deliveries_beyond_a_hundred_in_a_second_wait_with_qos_1(limited, connected, device, version, topic):
    subscriber = connected(version, on=limited, device=device)
    subscriber.subscribe(topic)
    began = time.monotonic()
    for _ in range(3):
        burst(connected(V311, on=limited, device=device), topic, 80)
    for _ in range(240):
        subscriber.message()
    assert time.monotonic() - began > 1.0


def test_deliveries_beyond_a_hundred_in_a_second_are_dropped_with_qos_0(limited, connected, device, version, topic):
    subscriber = connected(version, on=limited, device=device)
    subscriber.subscribe((topic, 0))
    for _ in range(4):
        burst(connected(V311, on=limited, device=device), topic, 90, qos=0)
    got = 0
    while subscriber.is_readable(0.7):
        got += subscriber.receive().kind == PUBLISH
    assert 90 <= got < 300, got


def test_publishes_of_the_account_have_a_rate(narrow, connected, topic):
    server = narrow(publishes_in_per_account=5)
    client = connected(V5, on=server)
    burst(client, topic, 20)
    codes = [ack.code for ack in acknowledgements(client, 20)]
    assert codes[:5] == [0] * 5 and codes.count(QUOTA_EXCEEDED) > 10, codes
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        for _ in range(20):
            server.boto("iot-data").publish(topic=topic, payload=b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


@pytest.mark.slow
def test_throughput_beyond_512_kib_in_a_second_is_delayed_not_lost(limited, connected, device, version, topic):
    client = connected(version, on=limited, device=device)
    began = time.monotonic()
    burst(client, topic, 14, payload=b"x" * 131_000)
    assert len(acknowledgements(client, 14, quiet=10.0)) == 14
    # 1.8 MB, of which the first 512 KiB are free.
    assert 1.5 < time.monotonic() - began < 8.0


# ---- retaining ----

def test_retaining_twice_in_a_second_on_one_topic_is_throttled(limited, connected, device, topic):
    client = connected(V5, on=limited, device=device)
    assert client.publish(topic, "first", qos=1, retain=True) == 0
    assert client.publish(topic, "second", qos=1, retain=True) == QUOTA_EXCEEDED
    assert client.publish(topic + "/other", "first", qos=1, retain=True) == 0
    reader = connected(V5, on=limited, device=device)
    reader.subscribe(topic)
    assert reader.message().payload == b"first"
    time.sleep(1.05)
    assert client.publish(topic, "third", qos=1, retain=True) == 0


def test_retaining_beyond_the_cap_is_throttled_and_deleting_passes(narrow, connected, topic):
    server = narrow(retained_messages=1)
    client = connected(V5, on=server)
    assert client.publish(topic + "/1", "a", qos=1, retain=True) == 0
    assert client.publish(topic + "/2", "b", qos=1, retain=True) == QUOTA_EXCEEDED
    assert client.publish(topic + "/1", "c", qos=1, retain=True) == 0
    assert client.publish(topic + "/2", "d", qos=1) == 0
    assert client.publish(topic + "/1", "", qos=1, retain=True) == 0
    assert client.publish(topic + "/2", "e", qos=1, retain=True) == 0


def test_retained_publishes_of_the_account_have_a_rate(narrow, connected, topic):
    server = narrow(retained_publishes_per_account=2)
    client = connected(V5, on=server)
    codes = [client.publish(f"{topic}/{number}", "a", qos=1, retain=True) for number in range(6)]
    assert codes[:2] == [0, 0] and QUOTA_EXCEEDED in codes, codes


# ---- subscribing ----

def test_subscriptions_of_the_account_have_a_rate(narrow, connected, version):
    server = narrow(subscribes_per_account=5)
    client = connected(version, on=server)
    granted = client.subscribe(*(unique("rate") for _ in range(4)))
    assert granted == [1] * 4
    refused = QUOTA_EXCEEDED if version == V5 else 0x80
    codes = client.subscribe(*(unique("rate") for _ in range(8)))
    assert codes[0] == 1 and codes.count(refused) >= 5, codes
    client.ping()


def test_subscriptions_that_are_denied_count(narrow, connected):
    server = narrow(subscribes_per_account=5)
    stranger = connected(V5, device=server.account.device(allow("iot:Connect", "*")), on=server)
    codes = sum((stranger.subscribe(*(unique("rate") for _ in range(8))) for _ in range(4)), [])
    assert codes[:5] == [0x87] * 5 and codes.count(QUOTA_EXCEEDED) >= 20, codes
    assert stranger.unsubscribe(*(unique("rate") for _ in range(8))) == [0] * 8
    stranger.ping()


def test_shared_groups_and_their_members_are_counted(narrow, connected, version, topic):
    server = narrow(shared_groups=2, shared_group_members=2)
    clients = [connected(version, on=server) for _ in range(3)]
    refused = [QUOTA_EXCEEDED if version == V5 else 0x80]
    assert clients[0].subscribe(f"$share/a/{topic}") == [1]
    assert clients[0].subscribe(f"$share/b/{topic}") == [1]
    assert clients[0].subscribe(f"$share/c/{topic}") == refused
    assert clients[1].subscribe(f"$share/a/{topic}") == [1]
    assert clients[2].subscribe(f"$share/a/{topic}") == refused
    clients[0].unsubscribe(f"$share/b/{topic}")
    assert clients[0].subscribe(f"$share/c/{topic}") == [1]


def test_requests_for_one_shared_group_have_a_rate(narrow, connected, topic):
    server = narrow(shared_group_requests=4)
    client = connected(V5, on=server)
    group = f"$share/g/{topic}"
    for _ in range(2):
        assert client.subscribe(group) == [1]
        client.unsubscribe(group)
    assert client.subscribe(group) == [QUOTA_EXCEEDED]
    assert client.subscribe(f"$share/h/{topic}") == [1]


# ---- the API ----

def test_api_calls_beyond_their_rate_are_throttled(limited):
    iot = limited.boto("iot")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        for _ in range(200):
            iot.list_policies()
    error = refused.value.response
    assert error["Error"]["Code"] == "ThrottlingException", error
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        for _ in range(200):
            limited.boto("iot-data").list_retained_messages()
    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_quotas_are_read_as_from_service_quotas(limited):
    quotas = limited.boto("service-quotas")
    one = quotas.get_service_quota(ServiceCode="iotcore", QuotaCode="L-083F3861")["Quota"]
    assert one["Value"] == 100 and one["Period"] == {"PeriodValue": 1, "PeriodUnit": "SECOND"} and not one["Adjustable"]
    assert one["QuotaArn"].endswith(f":{limited.account_id}:iotcore/L-083F3861")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="iotcore", PaginationConfig={"PageSize": 7})
    codes = [quota["QuotaCode"] for page in pages for quota in page["Quotas"]]
    assert len(codes) > 60 and len(set(codes)) == len(codes) and "L-75CAB723" in codes
    assert quotas.list_services()["Services"] == [{"ServiceCode": "iotcore", "ServiceName": "AWS IoT Core"}]
    for wrong in [{"ServiceCode": "ec2", "QuotaCode": "L-083F3861"}, {"ServiceCode": "iotcore", "QuotaCode": "L-00000000"}]:
        with pytest.raises(quotas.exceptions.NoSuchResourceException):
            quotas.get_service_quota(**wrong)
    with pytest.raises(quotas.exceptions.InvalidPaginationTokenException):
        quotas.list_service_quotas(ServiceCode="iotcore", NextToken="bm9uc2Vuc2U=")
    with pytest.raises(quotas.exceptions.IllegalArgumentException):
        quotas.list_service_quotas(ServiceCode="1")


def test_quotas_that_were_set_differ_from_their_defaults(narrow):
    server = narrow(**{"L-083F3861": 250, "subscriptions": 77})
    quotas = server.boto("service-quotas")

    def value(call, code):
        return call(ServiceCode="iotcore", QuotaCode=code)["Quota"]["Value"]

    assert value(quotas.get_service_quota, "L-083F3861") == 250
    assert value(quotas.get_aws_default_service_quota, "L-083F3861") == 100
    assert value(quotas.get_service_quota, "L-52CBB99B") == 77
    defaults = quotas.list_aws_default_service_quotas(ServiceCode="iotcore")["Quotas"]
    assert {quota["QuotaCode"]: quota["Value"] for quota in defaults}["L-52CBB99B"] == 500_000


def test_quotas_through_the_aws_cli(limited):
    one = aws(limited, "service-quotas", "get-service-quota", "--service-code", "iotcore", "--quota-code", "L-033DE216")
    assert one["Quota"]["Value"] == 1.0
    all_of_them = aws(limited, "service-quotas", "list-service-quotas", "--service-code", "iotcore")["Quotas"]
    assert {"L-033DE216", "L-13573643"} <= {quota["QuotaCode"] for quota in all_of_them}
    failed = aws(limited, "service-quotas", "get-service-quota", "--service-code", "iotcore", "--quota-code", "L-00000000", check=False)
    assert failed.returncode != 0 and "NoSuchResourceException" in failed.stderr, failed.stderr


def test_profile_unlimited_has_no_rates(server):
    quotas = server.boto("service-quotas")
    assert quotas.get_service_quota(ServiceCode="iotcore", QuotaCode="L-083F3861")["Quota"]["Value"] > 1_000_000
    assert quotas.get_service_quota(ServiceCode="iotcore", QuotaCode="L-13573643")["Quota"]["Value"] == 131_072
