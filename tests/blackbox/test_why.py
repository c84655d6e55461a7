"""`thingcore why`: each fault that a device can meet is reproduced with a real client, and the answer has to name the true
cause and what to change. The docstring of a scenario is its title in docs/troubleshooting.md.
"""

import contextlib
import datetime
import json
import queue
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from awsiot import mqtt5_client_builder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

import wire
from clients import AwsSdk5, AwsSdk5Custom, AwsSdk311, Paho, Paho5, Refused
from conftest import require
from doors import House
from https import Https, assert_accepted, assert_refused
from provision import allow, deny, unique
from server import Server, binary, clean_environment
from test_provisioning import Owner
from wire import V5, V311

WITHIN = 20.0
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"
DASHBOARD = GUIDE.parent / "grafana" / "thingcore.json"
SCENARIOS = []


def scenario(test):
    """A fault with its title in the guide."""
    SCENARIOS.append(test.__doc__.strip().rstrip("."))
    return test


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """AWS's quotas, but a keep-alive and a repetition that a test can wait for, and a client id may connect often."""
    folder = tmp_path_factory.mktemp("why")
    (folder / "thingcore.toml").write_text("[quotas]\nkeep-alive-minimum = 1\nretry-first = 1\nconnects-per-client-id = 1000\n")
    server = Server(folder, "--config", folder / "thingcore.toml", quotas="aws").start()
    yield server
    server.stop()


def thingcore(server, *words, code=0):
    command = [binary(), *words, "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    assert code is None or done.returncode == code, f"{words} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def why(server, subject):
    return json.loads(thingcore(server, "why", subject, "--format", "json", code=None))


def explained(server, subject, event, *words, says=(), what=None):
    """Waits until the cause is this event, its remedy has the words, and its sentence `says`."""
    end = time.monotonic() + WITHIN
    while True:
        answer = why(server, subject)
        cause = answer.get("cause") or {}
        if cause.get("event") == event or time.monotonic() >= end:
            break
    assert cause.get("event") == event, json.dumps(answer, indent=1)[-4000:]
    for word in words:
        assert word in cause["remedy"], cause
    for word in [says] if isinstance(says, str) else says:
        assert word in cause["says"], cause
    assert what is None or cause["what"] == what, cause
    text = thingcore(server, "why", subject)
    assert cause["remedy"] in text and cause["says"] in text
    return answer


def refused(client, **options):
    with pytest.raises(Refused):
        client.connect(**options)
    if not isinstance(client, AwsSdk311):  # There is nothing to close: it never opened.
        client.close()


def device_for(home, *statements):
    """A device that may connect with any client id, and what the statements say."""
    return home.account.device(allow("iot:Connect", "*"), *statements)


def closing(client):
    """Ends a paho client whose connection may be gone."""
    client.client.loop_stop()


def raw_paho(server, device, client_id, protocol=paho.MQTTv5, keepalive=60, clean=None, inflight=20, **options):
    """A bare paho client, for what the small face does not have; `ended` is set when the connection is over."""
    if clean is not None:
        options["clean_session"] = clean
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False, **options)
    client.max_inflight_messages = inflight
    client.tls_set(server.ca_file, device.certificate_file, device.key_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.opened, client.ended, client.acks = threading.Event(), threading.Event(), []
    client.on_connect = lambda *_: client.opened.set()
    client.on_disconnect = lambda *_: client.ended.set()
    client.connect("localhost", server.ports["mqtt"], keepalive=keepalive)
    client.loop_start()
    assert client.opened.wait(WITHIN)
    return client


def ended(client):
    assert client.ended.wait(WITHIN), "the server did not end the connection"
    client.loop_stop()


# ---- before MQTT -------------------------------------------------------------------------------------------------


@scenario
def test_inactive_certificate(home):
    """The certificate is not active"""
    device = home.account.device()
    device.set_status("INACTIVE")
    refused_at_tls(home, device)
    command = f"aws iot update-certificate --certificate-id {device.certificate_id} --new-status ACTIVE"
    explained(home, device.certificate_id, "handshake.failed", command, says="is INACTIVE", what="turned away")


@scenario
def test_inactive_certificate_of_a_known_client(home):
    """A device that worked is locked out: its certificate was switched off"""
    device = home.account.device(thing=True)
    client = Paho5(home, device, unique())
    client.connect()
    device.set_status("INACTIVE")
    client.end()
    closing(client)
    words = (f"--certificate-id {device.certificate_id} --new-status ACTIVE",)
    explained(home, client.client_id, "connection.ended", *words, says="the certificate is INACTIVE")
    # It tries again, with the same certificate: now it does not come as far as its client id.
    refused_at_tls(home, device)
    explained(home, client.client_id, "handshake.failed", *words)
    # By the name of its thing, too.
    explained(home, device.name, "handshake.failed", *words)


@scenario
def test_revoked_certificate(home):
    """The certificate is revoked"""
    device = home.account.device()
    device.set_status("REVOKED")
    refused_at_tls(home, device)
    explained(home, device.certificate_id, "handshake.failed", "create-keys-and-certificate", says="is REVOKED")


@scenario
def test_deleted_certificate(home):
    """The certificate is not registered"""
    device = home.account.certificate()
    device.set_status("INACTIVE")
    home.account.iot.delete_certificate(certificateId=device.certificate_id)
    refused_at_tls(home, device)
    explained(home, device.certificate_id, "handshake.failed", "register-certificate-without-ca", says="is not registered")


@scenario
@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_self_signed_certificate(home, tls):
    """A self-signed certificate: the handshake succeeds and the connection dies"""
    device = home.account.certificate()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self")])
    issued = x509.load_pem_x509_certificate(device.certificate_pem.encode())
    own = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
           .serial_number(x509.random_serial_number()).not_valid_before(issued.not_valid_before_utc)
           .not_valid_after(issued.not_valid_after_utc).sign(key, hashes.SHA256()))
    Path(device.certificate_file).write_bytes(own.public_bytes(serialization.Encoding.PEM))
    Path(device.key_file).write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    with pytest.raises((OSError, wire.Closed)):
        with wire.Wire.dial(home, device, V5, context=wire.tls_context(home, device, newest=tls, oldest=tls)) as connection:
            connection.send(wire.connect(V5, unique()))
            connection.receive()
    own_id = own.fingerprint(hashes.SHA256()).hex()
    explained(home, own_id, "handshake.failed", "register-certificate-without-ca", says="is not registered")


@scenario
def test_no_certificate(home):
    """The client shows no certificate"""
    context = ssl.create_default_context(cafile=home.ca_file)
    with pytest.raises((OSError, wire.Closed)):
        with wire.Wire.dial(home, None, V5, context=context) as connection:
            connection.send(wire.connect(V5, unique()))
            connection.receive()
    entry = met(home, "127.0.0.1", "the peer presented no client certificate")
    assert "certificate and private key" in entry["remedy"]


@scenario
def test_plaintext_on_a_tls_port(home):
    """The client speaks without TLS, or to the wrong port"""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, unique(), reconnect_on_failure=False)
    gone = threading.Event()
    client.on_disconnect = lambda *_: gone.set()
    client.connect("127.0.0.1", home.ports["mqtt"])
    client.loop_start()
    assert gone.wait(WITHIN)
    client.loop_stop()
    entry = met(home, "127.0.0.1", "is not TLS")
    assert "connect with TLS" in entry["remedy"]


@scenario
def test_client_does_not_trust_the_server(home):
    """The client does not trust the server"""
    device = home.account.device()
    client = Paho(home, device, unique())
    trusting_nobody = paho.Client(paho.CallbackAPIVersion.VERSION2, client.client_id)
    trusting_nobody.tls_set(None, device.certificate_file, device.key_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError):
        trusting_nobody.connect("localhost", home.ports["mqtt"])
    entry = met(home, "127.0.0.1", "alert UnknownCA")
    assert "this broker's CA file" in entry["remedy"]


@scenario
def test_just_in_time_registration(home):
    """The first connection of a new device is dropped (just-in-time registration)"""
    owner = Owner(home.account).register()
    device = owner.device(chain=True)
    refused_at_tls(home, device)
    explained(home, device.certificate_id, "handshake.failed", "--new-status ACTIVE", says="PENDING_ACTIVATION")


@scenario
def test_websocket_signature(home):
    """WebSocket answers 403: the signature"""
    context = ssl.create_default_context(cafile=home.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{home.ready['access_key_id']}%2F{moment[:8]}%2F{home.region}%2Fiotdevicegateway%2Faws4_request"
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date={moment}&X-Amz-SignedHeaders=host"
    with wire.Wire.dial(home, None, V5, port="tls", context=context) as connection:
        connection.send((
            f"GET /mqtt?{query}&X-Amz-Signature={'0' * 64} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        assert b" 403 " in connection.sock.recv(4096)
    entry = met(home, "127.0.0.1", "SECURITY_TOKEN_SIGNATURE_MISMATCH")
    assert "iotdevicegateway in this server's Region, with the host as it is sent" in entry["remedy"]


@scenario
@pytest.mark.parametrize("authorizer, says, remedy", [
    ("broken", "the function encountered an error: 'no such user'", "try it with TestInvokeAuthorizer"),
    ("open", "isAuthenticated is false", "look at the function and its token")], ids=["fails", "denies"])
def test_custom_authorizer(doors, authorizer, says, remedy):
    """The custom authorizer fails, or does not let the device in"""
    client = AwsSdk5Custom(
        doors.server, unique("guest"), mqtt5_client_builder.direct_with_custom_authorizer,
        auth_authorizer_name=getattr(doors, authorizer), auth_username="no-entry", auth_password=b"x")
    refused(client)
    # Nobody is remembered by a client id that nothing vouches for: ask about the address.
    assert remedy in met(doors.server, "127.0.0.1", says)["remedy"]


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    """A server with custom authorizers."""
    house = House(tmp_path_factory.mktemp("doors"))
    yield house
    house.stop()


def refused_at_tls(server, device):
    """A real client that never gets a CONNACK."""
    with pytest.raises((OSError, Refused)):
        client = Paho(server, device, unique())
        try:
            client.connect()
        finally:
            client.client.loop_stop()


def met(server, subject, words):
    """The fact about a subject whose sentence has these words."""
    end = time.monotonic() + WITHIN
    while True:
        for entry in why(server, subject)["timeline"]:
            if words in entry["says"]:
                return entry
        assert time.monotonic() < end, f"{words}: {[entry['says'] for entry in why(server, subject)['timeline']]}"


# ---- CONNECT -----------------------------------------------------------------------------------------------------


@scenario
@pytest.mark.parametrize("kind", [AwsSdk311, AwsSdk5])
def test_connect_denied(home, kind):
    """UNEXPECTED_HANGUP at once: iot:Connect is not allowed for this client id"""
    device = home.account.device(allow("iot:Connect", home.arn("client/another")))
    client = kind(home, device, unique("sensor"))
    refused(client)
    arn, policy = home.arn(f"client/{client.client_id}"), f"statement 1 of policy {device.policy_name}"
    explained(home, client.client_id, "connect.refused", f"add {arn} to the Resource of {policy}", says="may not iot:Connect")


@scenario
def test_no_policy(home):
    """The certificate has no policy"""
    device = home.account.certificate()
    client = Paho5(home, device, unique("sensor"))
    refused(client)
    remedy = f"attach a policy that allows iot:Connect on {home.arn('client/' + client.client_id)}"
    explained(home, client.client_id, "connect.refused", remedy, says="no policy is attached")


@scenario
def test_explicit_deny(home):
    """A Deny statement overrules what is allowed"""
    device = home.account.device(allow("iot:*", "*"), deny("iot:Connect", home.arn("client/*")))
    client = Paho5(home, device, unique("sensor"))
    refused(client)
    explained(home, client.client_id, "connect.refused", "narrow or remove client/*", device.policy_name, "statement 2",
              says="denied explicitly")


@scenario
def test_thing_variable_without_thing(home):
    """A policy variable has no value: the certificate is not attached to the thing"""
    device = home.account.device(allow("iot:Connect", home.arn("client/${iot:Connection.Thing.ThingName}")))
    client = Paho5(home, device, unique("sensor"))
    refused(client)
    explained(home, client.client_id, "connect.refused", "attach the certificate to the thing", device.policy_name,
              says="not associated with a thing")


@scenario
def test_will_denied(home):
    """The will's topic is not allowed"""
    device = device_for(home, allow("iot:Publish", home.arn("topic/mine")))
    client = Paho5(home, device, unique("sensor"))
    refused(client, will=dict(topic="not/mine", payload="gone"))
    explained(home, client.client_id, "connect.refused", f"add {home.arn('topic/not/mine')}", "statement 2", device.policy_name)


@scenario
@pytest.mark.parametrize("client_id", ["$sensor", "x" * 129], ids=["dollar", "long"])
def test_bad_client_id(home, client_id):
    """The client id is not valid"""
    client = Paho5(home, home.account.everything(), client_id)
    refused(client)
    explained(home, client_id, "connect.refused", "1 to 128 bytes that does not start with $")


@scenario
def test_account_connect_rate(new_server, tmp_path):
    """The account connects too often"""
    (tmp_path / "slow.toml").write_text("[quotas]\nconnects-per-account = 1\n")
    server = new_server("--config", tmp_path / "slow.toml", quotas="aws")
    throttled(server, lambda: unique("sensor"), "connect later", what="throttled")


@scenario
def test_client_id_connect_rate(new_server):
    """One client id connects too often"""
    server = new_server(quotas="aws")
    client_id = unique("sensor")
    throttled(server, lambda: client_id, "at least a second between connects", "share the client id", what="throttled")


def throttled(server, name, *words, what):
    """Connects until it is refused."""
    device = server.account.everything()
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        client = Paho5(server, device, name())
        try:
            client.connect()
        except Refused:
            break
        finally:
            client.close()
    explained(server, client.client_id, "connect.refused", *words, what=what)


# ---- PUBLISH -----------------------------------------------------------------------------------------------------


@scenario
@pytest.mark.parametrize("kind", [AwsSdk311, Paho, Paho5])
def test_publish_denied(home, kind):
    """Publishing ends the connection: iot:Publish is not allowed for the topic"""
    device = device_for(home, allow("iot:Publish", home.arn("topic/dev/${iot:ClientId}/data")))
    client = kind(home, device, unique("sensor"))
    client.connect()
    with pytest.raises(Refused):
        client.publish("dev/8/data", "x", qos=1)
    answer = explained(
        home, client.client_id, "publish.denied", f"add {home.arn('topic/dev/8/data')} to the Resource of statement 2 of policy",
        device.policy_name, says=f"topic/dev/{client.client_id}/data")
    if not client.v5:
        assert "AUTH_ERROR" in answer["cause"]["then"]
    client.close()


@scenario
def test_denied_again_and_again(home):
    """The client reconnects for ever and is cut off each time"""
    device = device_for(home)
    client_id = unique("sensor")
    for _ in range(3):
        client = Paho(home, device, client_id)
        client.connect()
        with pytest.raises(Refused):
            client.publish("a/b", "x", qos=1)
        client.close()
    end = time.monotonic() + WITHIN
    while not (loop := [hint for hint in why(home, client_id)["hints"] if "ended the same way" in hint]):
        assert time.monotonic() < end
    assert "3 connections" in loop[0] and "QoS 1" in loop[0]
    answer = explained(home, client_id, "publish.denied", "add to policy", "iot:Publish", device.policy_name)
    assert answer["cause"]["times"] == 3


@scenario
def test_retain_denied(home):
    """RETAIN ends the connection: iot:RetainPublish is not allowed"""
    device = device_for(home, allow("iot:Publish", "*"))
    client = Paho(home, device, unique("sensor"))
    client.connect()
    with pytest.raises(Refused):
        client.publish("a/b", "x", qos=1, retain=True)
    client.close()
    explained(home, client.client_id, "publish.denied", '"Action":"iot:RetainPublish"', home.arn("topic/a/b"))


@scenario
@pytest.mark.parametrize("version", [V311, V5])
def test_reserved_topic(home, version):
    """A topic that begins with $ is refused"""
    client = (Paho5 if version == V5 else Paho)(home, home.account.everything(), unique("sensor"))
    client.connect()
    client.client.publish("$mine/status", "x", qos=1)
    client.end()
    closing(client)
    explained(home, client.client_id, "connection.ended", "no other $ topic", says="$mine/status is a reserved topic")


@scenario
def test_payload_too_large(home):
    """A message over 128 KB: the client disconnects, reconnects and sends it again"""
    client = AwsSdk5(home, home.account.everything(), unique("sensor"))
    client.connect()
    client.client.publish(_sdk_publish("a/b", b"x" * 131_073))
    client.end()
    client.close()
    explained(home, client.client_id, "connection.ended", "within 128 KB", says="131073")


def _sdk_publish(topic, payload):
    from awscrt import mqtt5
    return mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)


@scenario
@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_qos2_publish(home, protocol):
    """QoS 2 is never acknowledged, or ends the connection"""
    client_id = unique("sensor")
    client = raw_paho(home, home.account.everything(), client_id, protocol)
    client.publish("a/b", "x", qos=2) if protocol == paho.MQTTv311 else client._send_publish(1, b"a/b", b"x", 2, False, False)
    event = "publish.refused" if protocol == paho.MQTTv311 else "connection.ended"
    explained(home, client_id, event, "publish with QoS 0 or 1")
    client.disconnect()
    client.loop_stop()


@scenario
def test_topic_alias(home):
    """A topic alias beyond 8"""
    client_id = unique("sensor")
    client = raw_paho(home, home.account.everything(), client_id)
    properties = Properties(PacketTypes.PUBLISH)
    properties.TopicAlias = 9
    client.publish("a/b", "x", properties=properties)
    ended(client)
    explained(home, client_id, "connection.ended", "Topic Alias Maximum", says="topic alias 9, the limit is 8")


@scenario
def test_inbound_window(new_server, tmp_path):
    """More unacknowledged messages than the Receive Maximum"""
    (tmp_path / "narrow.toml").write_text("[quotas]\ninflight-in = 10\n")
    server = new_server("--config", tmp_path / "narrow.toml", "--dialect", "oasis")
    with wire.Wire.dial(server, server.account.everything(), V5) as connection:
        client_id = unique("sensor")
        connection.connect(client_id)
        connection.send(b"".join(wire.publish(V5, "a/b", b"x", qos=2, packet_id=number) for number in range(1, 12)))
        while (last := connection.receive()).kind == wire.PUBREC:
            pass
        assert last.code == 0x93
    explained(server, client_id, "connection.ended", "wait for PUBACKs")


@scenario
def test_inbound_window_of_qos1(new_server, tmp_path):
    """More unacknowledged messages than the Receive Maximum"""
    (tmp_path / "fast.toml").write_text("[quotas]\npublishes-per-connection = 100000\n")
    server = new_server("--config", tmp_path / "fast.toml", quotas="aws")
    device = server.account.everything()
    absent = raw_paho(server, device, unique("absent"), paho.MQTTv311, clean=False)
    absent.on_subscribe = lambda *_: absent.disconnect()
    absent.subscribe("a/b", 1)
    ended(absent)
    # It sends on without waiting for PUBACKs, which wait for the disk.
    client_id = unique("sensor")
    client = raw_paho(server, device, client_id, inflight=1000)
    end = time.monotonic() + WITHIN
    while not client.ended.is_set():
        assert time.monotonic() < end
        for number in range(500):
            client.publish("a/b", str(number), qos=1)
    client.loop_stop()
    explained(server, client_id, "connection.ended", "wait for PUBACKs", says="more than 100 messages of QoS 1")


@scenario
def test_https_publish_denied(home):
    """An HTTPS publish answers 403"""
    device = home.account.device(allow("iot:Publish", home.arn("topic/dev/7/data")))
    with Https(home, device=device) as https:
        assert_accepted(https.publish("dev/7/data", b"x"))
        assert_refused(https.publish("dev/8/data", b"x"), 403)
    remedy = f"add {home.arn('topic/dev/8/data')} to the Resource of statement 1 of policy {device.policy_name}"
    explained(home, device.certificate_id, "publish.denied", remedy)


@scenario
@pytest.mark.parametrize("kind", [Paho, Paho5])
def test_publish_rate(home, kind):
    """Over 100 messages a second: messages vanish, the connection stays"""
    client = kind(home, home.account.everything(), unique("sensor"))
    client.connect()
    end = time.monotonic() + WITHIN
    while not (why(home, client.client_id).get("cause") or {}).get("what") == "throttled":
        assert time.monotonic() < end
        for number in range(300):
            client.client.publish("a/b", str(number), qos=0)
    answer = why(home, client.client_id)
    assert "at most 100 times a second" in answer["cause"]["remedy"], answer["cause"]
    client.close()


# ---- SUBSCRIBE ---------------------------------------------------------------------------------------------------


@scenario
@pytest.mark.parametrize("kind", [AwsSdk311, AwsSdk5, Paho5])
def test_subscribe_denied(home, kind):
    """Subscribing is refused: iot:Subscribe needs a topicfilter resource"""
    device = device_for(home, allow("iot:Subscribe", home.arn("topic/dev/7/#")))
    client = kind(home, device, unique("sensor"))
    client.connect()
    with pytest.raises(Refused):
        client.subscribe("dev/7/#")
    client.close()
    explained(home, client.client_id, "subscribe.denied", f"add {home.arn('topicfilter/dev/7/#')}", device.policy_name,
              says="decided on topicfilter/ resources")


@scenario
def test_receive_denied(home):
    """Subscribed, and nothing arrives: iot:Receive is not allowed"""
    device = device_for(home, allow("iot:Subscribe", "*"))
    client = Paho5(home, device, unique("sensor"))
    client.connect()
    client.subscribe("dev/7/#")
    home.account.data.publish(topic="dev/7/command", qos=1, payload=b"x")
    explained(home, client.client_id, "delivery.denied", '"Action":"iot:Receive"', home.arn("topic/dev/7/command"),
              device.policy_name)
    client.close()


@scenario
def test_receive_denied_for_want_of_a_topic(home):
    """Subscribed, and nothing arrives: iot:Receive is not allowed"""
    device = device_for(home, allow("iot:Subscribe", "*"), allow("iot:Receive", home.arn("topic/dev/8/*")))
    client = AwsSdk5(home, device, unique("sensor"))
    client.connect()
    client.subscribe("dev/7/#")
    home.account.data.publish(topic="dev/7/command", qos=1, payload=b"x")
    remedy = f"add {home.arn('topic/dev/7/command')} to the Resource of statement 3 of policy {device.policy_name}"
    explained(home, client.client_id, "delivery.denied", remedy)
    client.close()


@scenario
def test_subscription_identifier(home):
    """A subscription identifier ends the connection"""
    client_id = unique("sensor")
    client = raw_paho(home, home.account.everything(), client_id)
    properties = Properties(PacketTypes.SUBSCRIBE)
    properties.SubscriptionIdentifier = 1
    client.subscribe("a/b", properties=properties)
    ended(client)
    explained(home, client_id, "connection.ended", "without a subscription identifier")


@scenario
def test_too_many_filters(home):
    """More than 8 filters in one SUBSCRIBE"""
    client = Paho5(home, home.account.everything(), unique("sensor"))
    client.connect()
    client.client.subscribe([(f"a/{number}", 0) for number in range(9)])
    explained(home, client.client_id, "subscribe.refused", "at most 8 filters", what="throttled")
    client.close()


@scenario
def test_reserved_filter(home):
    """A filter on reserved topics is refused"""
    client = Paho5(home, home.account.everything(), unique("sensor"))
    client.connect()
    with pytest.raises(Refused):
        client.subscribe("$mine/#")
    explained(home, client.client_id, "subscribe.refused")
    client.close()


@scenario
def test_no_local(home):
    """No Local is ignored: the client gets its own messages"""
    client_id = unique("sensor")
    client = raw_paho(home, home.account.everything(), client_id)
    client.subscribe("a/b", options=SubscribeOptions(qos=0, noLocal=True))
    end = time.monotonic() + WITHIN
    while not (hints := [hint for hint in why(home, client_id)["hints"] if "no-local" in hint]):
        assert time.monotonic() < end, why(home, client_id)
    assert "differs from the MQTT standard" in hints[0]
    client.disconnect()
    client.loop_stop()


@scenario
@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_sent_again(home, protocol):
    """A message comes again, with DUP 0"""
    client_id, copies = unique("sensor"), queue.Queue()
    client = raw_paho(home, home.account.everything(), client_id, protocol, manual_ack=True)
    client.on_message = lambda _client, _userdata, message: copies.put((message.mid, message.payload, message.dup))
    granted = threading.Event()
    client.on_subscribe = lambda *_: granted.set()
    client.subscribe("again/#", 1)
    assert granted.wait(WITHIN)
    home.account.data.publish(topic=f"again/{client_id}", qos=1, payload=client_id)
    first, second = ours(copies, client_id), ours(copies, client_id)
    assert first == second and not second[2]
    hint = hinted(home, client_id, f"the last on again/{client_id}")
    assert "sent again" in hint and "DUP is 0 on the second, as at AWS" in hint
    client.disconnect()
    client.loop_stop()


def ours(copies, payload):
    """The next copy that is of this test: two of them share the topics."""
    while True:
        copy = copies.get(timeout=WITHIN)
        if copy[1] == payload.encode():
            return copy


def hinted(server, subject, words):
    """The first hint with these words."""
    end = time.monotonic() + WITHIN
    while not (hints := [hint for hint in why(server, subject)["hints"] if words in hint]):
        assert time.monotonic() < end, why(server, subject)
    return hints[0]


@scenario
def test_duplicates_under_load(home):
    """The same message of QoS 1 arrives twice"""
    client = Paho(home, home.account.everything(), unique("sensor"))
    client.connect()
    client.subscribe(f"load/{client.client_id}", qos=1)
    seen, busy = queue.Queue(), threading.Event()

    def work(_client, _userdata, message):
        """Too busy with the first message to acknowledge the second in time."""
        seen.put(message.payload)
        busy.wait(WITHIN)

    client.client.on_message = work
    for payload in (b"first", b"second"):
        home.account.data.publish(topic=f"load/{client.client_id}", qos=1, payload=payload)
    hinted(home, client.client_id, "expect duplicates")
    busy.set()
    came = [seen.get(timeout=WITHIN)]
    while came.count(b"first") < 2 and came.count(b"second") < 2:
        came.append(seen.get(timeout=WITHIN))
    client.close()


# ---- the life of a connection ------------------------------------------------------------------------------------


@scenario
def test_shared_client_id(home):
    """Two devices with one client id throw each other out"""
    client_id = unique("sensor")
    one, two = Paho5(home, home.account.device(), client_id), Paho5(home, home.account.device(), client_id)
    one.connect()
    two.connect()
    one.end()
    answer = explained(home, client_id, "connection.ended", f"client id `{client_id}` is also used by 127.0.0.1")
    assert one.device.certificate_id[:12] in answer["hints"][0] and two.device.certificate_id[:12] in answer["hints"][0]
    closing(one)
    two.close()


@scenario
def test_events_out_of_order(home):
    """A device counts as offline although it is connected: lifecycle events in another order"""
    watcher = AwsSdk5(home, home.account.everything(), unique("watcher"))
    watcher.connect()
    client_id = unique("sensor")
    watcher.subscribe(f"$aws/events/presence/+/{client_id}")
    one, two = Paho5(home, home.account.everything(), client_id), Paho5(home, home.account.everything(), client_id)
    one.connect()
    two.connect()
    one.end()
    events = [json.loads(watcher.message().payload) for _ in range(3)]
    # However they come: the newest version counts, and of one version the end.
    newest = max(events, key=lambda event: (event["versionNumber"], event["eventType"] == "disconnected"))
    assert (newest["eventType"], newest["versionNumber"]) == ("connected", 1)
    assert {event["versionNumber"] for event in events if event["eventType"] == "disconnected"} == {0}
    explained(home, client_id, "connection.ended", "also used by", says="DUPLICATE_CLIENTID")
    closing(one)
    two.close()
    watcher.close()


BRIDGE = """listener {port} 127.0.0.1
allow_anonymous true
user root
connection {name}
remote_clientid {name}
address localhost:{broker}
bridge_cafile {ca}
bridge_certfile {certificate}
bridge_keyfile {key}
topic out/# out 1
"""


class Bridge:
    """Debian's mosquitto with a bridge."""

    def __init__(self, server, device, name, folder, *settings):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        path = folder / f"{name}-{len(settings)}.conf"
        path.write_text(BRIDGE.format(
            port=port, name=name, broker=server.ports["mqtt"], ca=server.ca_file, certificate=device.certificate_file,
            key=device.key_file) + "\n".join(settings) + "\n")
        self.process = subprocess.Popen(
            ["mosquitto", "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


@scenario
def test_mosquitto_bridge(home, tmp_path):
    """A mosquitto bridge drops over and over"""
    require("mosquitto")
    device, name = home.account.everything(), unique("bridge")
    # Before the server can know its client id: ask about the certificate.
    with Bridge(home, device, name, tmp_path):
        entry = met(home, device.certificate_id, "level 132 is not spoken here")
        assert "try_private false" in entry["remedy"]
    with Bridge(home, device, name, tmp_path, "bridge_protocol_version mqttv311", "try_private false"):
        explained(home, name, "connect.refused", "notifications false", says="$SYS/broker/connection/")
    settings = ("bridge_protocol_version mqttv311", "try_private false", "notifications false")
    with Bridge(home, device, name, tmp_path, *settings):
        met(home, name, "connected (MQTT 3.1.1")


@scenario
def test_bridge_notifications(home):
    """A mosquitto bridge drops over and over"""
    client = Paho(home, home.account.everything(), unique("bridge"))
    refused(client, will=dict(topic=f"$SYS/broker/connection/{client.client_id}/state", payload="0", qos=1, retain=True))
    explained(home, client.client_id, "connect.refused", "notifications false", says="$SYS/broker/connection/")


@scenario
def test_second_connect(home):
    """A second CONNECT on one connection"""
    with wire.Wire.dial(home, home.account.everything(), V5) as connection:
        client_id = unique("sensor")
        connection.connect(client_id)
        connection.send(wire.connect(V5, client_id))
        connection.expect_disconnect(0x82)
    explained(home, client_id, "connection.ended", "one CONNECT per network connection")


@scenario
def test_malformed_packet(home):
    """A malformed packet"""
    with wire.Wire.dial(home, home.account.everything(), V5) as connection:
        client_id = unique("sensor")
        connection.connect(client_id)
        connection.send(struct.pack("BB", 0xF1, 0))
        connection.expect_disconnect(0x81)
    explained(home, client_id, "connection.ended", "correct the client library")


@scenario
def test_keep_alive(home):
    """The device falls silent: keep-alive timeout"""
    with wire.Wire.dial(home, home.account.everything(), V5) as connection:
        client_id = unique("sensor")
        connection.connect(client_id, keep_alive=1)
        connection.expect_disconnect(0x8D)
    explained(home, client_id, "connection.ended", "PINGREQ within the keep-alive interval", says="MQTT_KEEP_ALIVE_TIMEOUT")


@scenario
def test_connection_lost(home):
    """The network cut the connection"""
    with wire.Wire.dial(home, home.account.everything(), V5) as connection:
        client_id = unique("sensor")
        connection.connect(client_id)
    explained(home, client_id, "connection.ended", "the broker did not end it", says="CONNECTION_LOST", what="disconnected")


@scenario
def test_delete_connection(home):
    """Somebody called DeleteConnection"""
    client = AwsSdk5(home, home.account.everything(), unique("sensor"))
    client.connect()
    home.account.data.delete_connection(clientId=client.client_id)
    client.end()
    client.close()
    explained(home, client.client_id, "connection.ended", "may reconnect at once", says="API_INITIATED_DISCONNECT")


@scenario
def test_server_shutdown(new_server):
    """The server was stopped"""
    server = new_server()
    client = Paho5(server, server.account.everything(), unique("sensor"))
    client.connect()
    reading = Reading(server, "tail", "--reason", "SERVER_INITIATED_DISCONNECT")
    until_it_waits(server)
    server.stop()
    client.end()
    closing(client)
    event = reading.event()
    assert event["clientId"] == client.client_id and "reconnect" in event["remedy"]
    reading.end()


def until_it_waits(server):
    """The reader's next call has reached the server."""
    end = time.monotonic() + WITHIN
    while "\nthingcore_tail_waiting 1\n" not in metrics_of(server):
        assert time.monotonic() < end


def metrics_of(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['admin']}/metrics", timeout=10) as answer:
        return answer.read().decode()


class Reading:
    """A command of thingcore that follows events, as JSON."""

    def __init__(self, server, *words):
        command = [binary(), *words, "--format", "json", "--data-dir", str(server.data_dir)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
        assert "following events" in self.process.stderr.readline()

    def event(self):
        return json.loads(self.process.stdout.readline())

    def end(self):
        """It ends by itself."""
        assert self.process.wait(WITHIN) == 0, self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()


# ---- tail and top ------------------------------------------------------------------------------------------------


def test_tail_shows_what_is_asked_for(home):
    client = Paho5(home, home.account.everything(), unique("tailed"))
    topics = Reading(home, "tail", "--kind", "publish", "--topic", "tail/+/x", "--count", "2")
    mine = Reading(home, "tail", "--client", "tailed-*", "--count", "1")
    client.connect()
    client.publish("tail/1/x", "a", qos=1)
    client.publish("tail/1/y", "a", qos=1)
    client.publish("tail/2/x", "a", qos=1)
    client.close()
    seen = [topics.event(), topics.event()]
    assert [(event["event"], event["topic"]) for event in seen] == [("publish.accepted", "tail/1/x"), ("publish.accepted", "tail/2/x")]
    first = mine.event()
    assert (first["event"], first["clientId"]) == ("connect.accepted", client.client_id)
    topics.end()
    mine.end()


def test_why_follows(home):
    client_id = unique("followed")
    device = device_for(home)
    command = [binary(), "why", client_id, "--follow", "--for", "5", "--data-dir", str(home.data_dir)]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    assert "Nothing is known" in following.stdout.readline()
    assert "following events" in following.stderr.readline()
    client = Paho(home, device, client_id)
    client.connect()
    with pytest.raises(Refused):
        client.publish("a/b", "x", qos=1)
    client.close()
    out, _ = following.communicate(timeout=WITHIN)
    assert "publish.denied" in out and device.policy_name in out
    assert following.returncode == 0


class InFront:
    """What speaks TLS in front of a server's API: accepts, decrypts, hands on."""

    def __init__(self, server, folder):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.timezone.utc)
        own = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=1))
               .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
               .sign(key, hashes.SHA256()))
        self.certificate, key_file = folder / "front.pem", folder / "front.key"
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        self.server, self.context, self.listener = server, context, socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as outer, \
                socket.create_connection(("127.0.0.1", self.server.ports["api"])) as inner:
            threading.Thread(target=self.copy, args=(inner, outer), daemon=True).start()
            self.copy(outer, inner)

    @staticmethod
    def copy(source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def test_a_remote_broker_is_asked_over_its_api(home, tmp_path):
    """why, tail and top by URL and credentials alone, over TLS; and what a wrong URL or key is answered."""
    client = Paho(home, device_for(home), unique("remote"))
    client.connect()
    with pytest.raises(Refused):
        client.publish("a/b", "x", qos=1)
    client.close()
    elsewhere = dict(clean_environment(), **home.credentials())

    def ask(url, *words, **environment):
        return subprocess.run([binary(), *words, "--api-url", url], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                              env=dict(elsewhere, **environment))

    with InFront(home, tmp_path) as front:
        trusting = dict(AWS_CA_BUNDLE=str(front.certificate))
        told = ask(front.url, "why", client.client_id, **trusting)
        assert told.returncode == 0 and client.device.policy_name in told.stdout, told
        assert "Busiest clients" in ask(front.url, "top", "--once", "--interval", "0.2", **trusting).stdout
        follow = ask(front.url, "why", client.client_id, "--follow", "--for", "0.2", **trusting)
        assert follow.returncode == 0 and f"following events of {front.url}" in follow.stderr, follow
        assert ask(front.url, "tail", "--for", "0.2", **trusting).returncode == 0
        # Nobody knows the certificate of the one in front.
        assert "does not answer" in ask(front.url, "why", client.client_id, AWS_CA_BUNDLE=home.ca_file).stderr
    wrong = ask(home.ready["api_url"], "why", client.client_id, AWS_SECRET_ACCESS_KEY="wrong")
    assert wrong.returncode == 1 and "Check your AWS Secret Access Key" in wrong.stderr, wrong
    assert "AWS_ACCESS_KEY_ID is not set" in ask(home.ready["api_url"], "why", "x", AWS_ACCESS_KEY_ID="").stderr
    nobody = ask("http://127.0.0.1:1", "top", "--once")
    assert nobody.returncode == 1 and "look whether the server runs" in nobody.stderr, nobody


def test_filters_that_cannot_be_are_refused(home):
    for words in (["--kind", "publis"], ["--client", "x", "--kind", "no.such"]):
        command = [binary(), "tail", *words, "--data-dir", str(home.data_dir)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
        assert done.returncode == 1 and "events.md" in done.stderr, done.stderr
    done = subprocess.run([binary(), "tail", "--topic", "a/#/b", "--data-dir", str(home.data_dir)], capture_output=True,
                          text=True, timeout=60, env=clean_environment())
    assert done.returncode == 1 and "a/#/b is no topic filter" in done.stderr, done.stderr


def test_unknown_clients_are_said_to_be(home):
    assert "Nothing is known of no-such-client" in thingcore(home, "why", "no-such-client", code=3)


def test_top_once(home):
    client = Paho5(home, home.account.everything(), unique("busy"))
    client.connect()
    topic = unique("top")
    for _ in range(20):
        client.publish(topic, "x", qos=1)
    picture = json.loads(thingcore(home, "top", "--once", "--format", "json", "--interval", "0.2"))
    assert picture["connections"] >= 1
    assert any(row["name"] == client.client_id and row["messagesIn"] > 0 for row in picture["clients"]), picture["clients"]
    assert any(row["name"] == topic for row in picture["topics"])
    assert picture["house"]["thingcore_resident_memory_bytes"] > 0
    assert "Busiest clients" in thingcore(home, "top", "--once", "--interval", "0.2")
    client.close()


def test_the_recorder_is_bounded_and_can_be_off(new_server, tmp_path):
    (tmp_path / "off.toml").write_text("[recorder]\nbytes = 0\n")
    server = new_server("--config", tmp_path / "off.toml")
    client = Paho5(server, server.account.everything(), unique("sensor"))
    client.connect()
    client.close()
    assert "Nothing is known" in thingcore(server, "why", client.client_id, code=3)


def test_every_metric_of_the_dashboard_exists(home):
    served = {re.split(r"[{ ]", line)[0] for line in metrics_of(home).splitlines() if not line.startswith("#")}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    wanted = {name for panel in panels for target in panel["targets"] for name in re.findall(r"(?:aws_iot|thingcore)_\w+", target["expr"])}
    assert len(wanted) > 30 and wanted <= served, wanted - served
    for family in ("aws_iot_connect_success_total", "thingcore_loop_lag_microseconds", "thingcore_store_commits_total"):
        assert family in wanted


def test_the_guide_has_every_scenario():
    text = GUIDE.read_text()
    missing = [title for title in SCENARIOS if f"\n### {title}\n" not in text]
    assert not missing, missing
    titles = {line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")}
    assert titles == set(SCENARIOS), titles - set(SCENARIOS)
