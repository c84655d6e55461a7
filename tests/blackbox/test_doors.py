"""Every way in that AWS documents (developer guide, Device communication protocols: protocol, authentication, port, ALPN),
each with a real client, and beside each the refusal of a client that has no right to it."""

import json
import random
import select
import socket
import ssl
from urllib.parse import quote

import pytest
from awscrt import io as crt_io
from awscrt import mqtt5 as crt5
from awsiot import mqtt5_client_builder as sdk5
from awsiot import mqtt_connection_builder as sdk311

import clients
import signing
import wire
from clients import Refused
from doors import TOKEN_KEY, House
from lambdas import Signer
from provision import AccessKey, allow, unique
from refusal import connect_refused
from server import Server
from test_iam import Iam, unsigned
from test_tls import NEITHER, self_signed
from websocket import CLOSE, WebSocket, host_of, read_response, tls_socket, upgrade_request
from websocket import Refused as UpgradeRefused
from wire import PUBLISH, V5, Wire


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("doors"))
    yield house
    house.stop()


@pytest.fixture
def closing():
    """closing(thing): closed after the test, whatever it is."""
    things = []

    def keep(thing):
        things.append(thing)
        return thing

    yield keep
    for thing in things:
        try:
            thing.close()
        except Exception:
            pass


def talk(client):
    """A message to itself: the way in is open in both directions."""
    topic = f"ok/{unique('talk')}"
    assert client.subscribe(topic, qos=1) == 1
    client.publish(topic, "hello", qos=1)
    assert client.message() == (topic, b"hello", 1, False)


def refusal(server, mark, reason, remedy):
    """The log line of a refusal: reason and remedy stand in it."""
    line = json.loads(server.wait_for_log(reason, since=mark))
    assert remedy in json.dumps(line), line
    return line


# ---- MQTT with a client certificate ----------------------------------------------------------------------------


class CrtByAlpn(clients.AwsSdk5):
    """awscrt with a TLS context of its own: the SDK's builders offer ALPN on port 443 only."""

    def build(self, **options):
        tls = crt_io.TlsContextOptions.create_client_with_mtls_from_path(self.device.certificate_file, self.device.key_file)
        tls.override_default_trust_store_from_path(ca_filepath=self.server.ca_file)
        tls.alpn_list = ["x-amzn-mqtt-ca"]
        connect = crt5.ConnectPacket(client_id=self.client_id, keep_alive_interval_sec=60)
        return crt5.Client(crt5.ClientOptions(
            host_name="localhost", port=self.server.ports["tls"], tls_ctx=crt_io.ClientTlsContext(tls), connect_options=connect,
            min_reconnect_delay_ms=60_000, max_reconnect_delay_ms=120_000,
            on_publish_callback_fn=options["on_publish_received"], on_lifecycle_event_stopped_fn=options["on_lifecycle_stopped"],
            on_lifecycle_event_connection_success_fn=options["on_lifecycle_connection_success"],
            on_lifecycle_event_connection_failure_fn=options["on_lifecycle_connection_failure"],
            on_lifecycle_event_disconnection_fn=options["on_lifecycle_disconnection"]))


class PahoByAlpn(clients.Paho):
    """paho on port 443, with ALPN by Python's ssl."""

    alpn = ["x-amzn-mqtt-ca"]

    def prepare(self):
        context = wire.tls_context(self.server, self.device)
        if self.alpn:
            context.set_alpn_protocols(self.alpn)
        self.client.tls_set_context(context)
        return self.server.ports["tls"]


class PahoWithoutAlpn(PahoByAlpn):
    alpn = []


@pytest.mark.parametrize("kind", [
    clients.AwsSdk5, clients.AwsSdk311, clients.NodeAwsSdk5, clients.NodeAwsSdk311], ids=["v5", "v311", "node-v5", "node-v311"])
def test_mqtt_by_certificate_on_8883(house, closing, kind):
    client = closing(kind(house.server, house.server.account.everything(), unique("door")))
    client.connect()
    talk(client)


@pytest.mark.parametrize("kind", [
    CrtByAlpn, PahoByAlpn, clients.NodeAwsSdk5Alpn, clients.NodeAwsSdk311Alpn], ids=["awscrt-v5", "paho-v311", "node-v5", "node-v311"])
def test_mqtt_by_certificate_on_443(house, closing, kind):
    client = closing(kind(house.server, house.server.account.everything(), unique("door")))
    client.connect()
    talk(client)


@pytest.mark.parametrize("kind, port, alpn", [
    (clients.AwsSdk5, "mqtt", []), (clients.NodeAwsSdk5, "mqtt", []), (clients.NodeAwsSdk311, "mqtt", []), (clients.NodeMqtt5, "mqtt", []),
    (CrtByAlpn, "tls", ["x-amzn-mqtt-ca"]), (clients.NodeAwsSdk5Alpn, "tls", ["x-amzn-mqtt-ca"]),
    (clients.NodeAwsSdk311Alpn, "tls", ["x-amzn-mqtt-ca"]),
], ids=["8883", "8883-node-v5", "8883-node-v311", "8883-mqttjs", "443", "443-node-v5", "443-node-v311"])
def test_mqtt_by_an_unknown_certificate(house, closing, kind, port, alpn):
    stranger = self_signed(house.server.account)
    with pytest.raises(Refused):
        closing(kind(house.server, stranger, unique("door"))).connect()
    mark = house.server.log_mark()
    with pytest.raises(NEITHER):
        with Wire(tls_socket(house.server, port, alpn, stranger), V5) as connection:
            connection.send(wire.connect(V5, unique("door")))
            pytest.fail(f"the server answered {connection.receive()}")
    line = refusal(house.server, mark, "DEVICE_CERTIFICATE_NOT_REGISTERED", "register-certificate-without-ca")
    assert stranger.certificate_id in json.dumps(line)


def test_mqtt_by_certificate_on_443_needs_its_alpn(house, closing):
    """Without it the door speaks HTTP."""
    device, mark = house.server.account.everything(), house.server.log_mark()
    client = closing(PahoWithoutAlpn(house.server, device, unique("door")))
    with pytest.raises(Refused):
        client.connect()
    refusal(house.server, mark, "PROTOCOL_MISMATCH", "x-amzn-mqtt-ca")


def test_an_unknown_alpn_on_443(house):
    mark = house.server.log_mark()
    with pytest.raises(ssl.SSLError) as refused:
        tls_socket(house.server, alpn=["h2"])
    assert "no application protocol" in str(refused.value).lower().replace("_", " ")
    refusal(house.server, mark, "h2", "x-amzn-http-ca")


def test_a_custom_authorizer_is_no_way_in_by_the_alpn_of_certificates(house):
    """x-amzn-mqtt-ca wants a certificate, whatever the user name says."""
    mark = house.server.log_mark()
    with pytest.raises(NEITHER):
        with Wire(tls_socket(house.server, alpn=["x-amzn-mqtt-ca"]), V5) as connection:
            connection.send(wire.connect(V5, unique("door"), user="?" + house.query(house.open)))
            pytest.fail(f"the server answered {connection.receive()}")
    refusal(house.server, mark, "NOT_AUTHENTICATED", "certificate and private key")


# ---- MQTT with a custom authorizer -------------------------------------------------------------------------------


def custom5(house, **options):
    return clients.AwsSdk5Custom(house.server, unique("door"), sdk5.direct_with_custom_authorizer, **options)


def signed(house, token, signature=None):
    return dict(auth_authorizer_name=house.signed, auth_token_key_name=TOKEN_KEY, auth_token_value=token,
                auth_authorizer_signature=signature or house.signer.sign(token))


def test_mqtt_by_an_authorizer(house, closing):
    name = unique("user")
    client = closing(custom5(house, auth_username=name, auth_password=b"\xffsecret", auth_authorizer_name=house.open))
    client.connect()
    talk(client)
    with pytest.raises(Refused):
        client.publish("elsewhere", "x", qos=1)
    [event] = house.asked(name)
    assert event["protocols"] == ["tls", "mqtt"] and event["signatureVerified"] is False
    assert event["protocolData"]["tls"] == {"serverName": "localhost"}
    mqtt = event["protocolData"]["mqtt"]
    assert mqtt["username"].startswith(f"{name}?x-amz-customauthorizer-name={house.open}")
    assert (mqtt["password"], mqtt["clientId"]) == ("/3NlY3JldA==", client.client_id)


def test_mqtt_by_an_authorizer_with_a_signed_token(house, closing):
    token = unique("token")
    client = closing(custom5(house, **signed(house, token)))
    client.connect()
    talk(client)
    [event] = house.asked(token)
    assert (event["token"], event["signatureVerified"]) == (token, True)


@pytest.mark.parametrize("user, reason, remedy", [
    (lambda house: "?" + house.query(house.signed, "token", Signer().sign("token")), "TOKEN_SIGNATURE_MISMATCH", "RSASSA-PKCS1-v1_5"),
    (lambda house: "?" + house.query(house.signed), "NO_TOKEN", "tokenKeyName"),
    (lambda house: "?" + house.query("nobody-knows"), "UNKNOWN_AUTHORIZER", "Create the authorizer"),
    (lambda house: "?" + house.query(house.inactive), "INACTIVE_AUTHORIZER", "UpdateAuthorizer"),
    (lambda house: "?" + house.query(house.broken), "FUNCTION_ERROR", "TestInvokeAuthorizer"),
    (lambda house: "no-entry?" + house.query(house.open), "NOT_AUTHENTICATED", "look at the function"),
    (lambda house: "nobody", "NO_AUTHORIZER", "SetDefaultAuthorizer"),
    (lambda house: None, "NO_AUTHORIZER", "SetDefaultAuthorizer"),
], ids=["signature", "token", "unknown", "inactive", "fails", "denied", "unnamed", "silent"])
def test_mqtt_that_an_authorizer_does_not_let_in(house, closing, user, reason, remedy, version):
    mark = house.server.log_mark()
    connection = closing(Wire(tls_socket(house.server, alpn=["mqtt"]), version))
    connection.send(wire.connect(version, unique("door"), user=user(house)))
    connect_refused(connection, 0x87)
    refusal(house.server, mark, reason, remedy)


def test_what_is_presented_to_an_authorizer_has_a_limit(house, closing, version):
    """It is kept as long as the connection: 32 KiB, the longest token and signature escaped."""
    mark, user = house.server.log_mark(), "me?" + house.query(house.open)
    for length, code in [(32 * 1024 - len(user), 0), (32 * 1024 - len(user) + 1, 0x87), (65535, 0x87)]:
        connection = closing(Wire(tls_socket(house.server, alpn=["mqtt"]), version))
        connection.send(wire.connect(version, unique("door"), user=user, password=b"x" * length))
        if code:
            connect_refused(connection, code)
        else:
            assert connection.expect(wire.CONNACK).code == 0
    refusal(house.server, mark, "CUSTOM_AUTHORIZER_PARAMETER_INVALID", "6144")


def test_the_sdk_is_told_that_an_authorizer_does_not_let_it_in(house, closing):
    client = closing(custom5(house, **signed(house, "token", Signer().sign("token"))))
    with pytest.raises(Refused) as refused:
        client.connect()
    assert refused.value.code == 0x87


# The SDK for JavaScript: with an authorizer, MQTT on port 443 by ALPN `mqtt`, or WebSocket.
NODE_CUSTOM = pytest.mark.parametrize("kind", [clients.NodeAwsSdk5Custom, clients.NodeAwsSdk311Custom], ids=["v5", "v311"])
BY_WEBSOCKET = pytest.mark.parametrize("websocket", [False, True], ids=["direct", "websocket"])


def signed_in_node(house, token, signature=None):
    # Its builder for MQTT 5 over WebSocket is the one that takes the signature as it stands in the user name.
    return dict(authorizerName=house.signed, tokenKeyName=TOKEN_KEY, tokenValue=token,
                tokenSignature=quote(signature or house.signer.sign(token), safe=""))


@NODE_CUSTOM
@BY_WEBSOCKET
def test_an_authorizer_through_the_sdk_for_javascript(house, closing, kind, websocket):
    name = unique("user")
    client = closing(kind(house.server, unique("door"), websocket, username=name, password="secret", authorizerName=house.open))
    client.connect()
    talk(client)
    [event] = house.asked(name)
    assert event["protocols"] == (["tls", "http", "mqtt"] if websocket else ["tls", "mqtt"])
    assert (event["protocolData"]["mqtt"]["password"], event["signatureVerified"]) == ("c2VjcmV0", False)


@NODE_CUSTOM
@BY_WEBSOCKET
def test_a_signed_token_through_the_sdk_for_javascript(house, closing, kind, websocket):
    token = unique("token")
    client = closing(kind(house.server, unique("door"), websocket, **signed_in_node(house, token)))
    client.connect()
    talk(client)
    [event] = house.asked(token)
    assert (event["token"], event["signatureVerified"]) == (token, True)


@NODE_CUSTOM
@BY_WEBSOCKET
@pytest.mark.parametrize("is_signed", [False, True], ids=["denied", "signature"])
def test_whom_an_authorizer_refuses_through_the_sdk_for_javascript(house, closing, kind, websocket, is_signed):
    """A token that somebody else signed does not get as far as the function."""
    word = unique("no-entry")
    options = signed_in_node(house, word, Signer().sign(word)) if is_signed else dict(username=word, authorizerName=house.open)
    with pytest.raises(Refused) as refused:
        closing(kind(house.server, unique("door"), websocket, **options)).connect()
    assert refused.value.code == (0x87 if kind.v5 else None)
    assert len(house.asked(word)) == (0 if is_signed else 1)


@pytest.fixture
def on_443():
    """A loopback address of its own whose port 443 is free."""
    address = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
    with socket.socket() as probe:
        try:
            probe.bind((address, 443))
        except OSError as error:
            pytest.skip(f"port 443 of {address} cannot be bound here: {error}")
    return address


def test_mqtt_311_by_an_authorizer_through_the_sdk_that_knows_only_443(on_443, tmp_path, closing, monkeypatch):
    """The SDK's builder for MQTT 3.1.1 goes to port 443, whatever it is told."""
    monkeypatch.setattr(Server, "command", lambda server, command=Server.command: [
        "443" if before == "--tls-port" else word for before, word in zip([None] + command(server), command(server))])
    monkeypatch.setattr("doors.Server", lambda folder, *flags: Server(folder, *flags, "--bind", on_443, "--server-name", on_443))
    house = House(tmp_path / "house")
    try:
        client = closing(clients.AwsSdk311Custom(
            house.server, unique("door"), sdk311.direct_with_custom_authorizer, endpoint=on_443, port=None, **signed(house, "token")))
        client.connect()
        talk(client)
        client.close()
        stranger = closing(clients.AwsSdk311Custom(
            house.server, unique("door"), sdk311.direct_with_custom_authorizer, endpoint=on_443, port=None,
            **signed(house, "token", Signer().sign("token"))))
        with pytest.raises(Refused):
            stranger.connect()
    finally:
        house.stop()


# ---- MQTT over WebSocket, signed ---------------------------------------------------------------------------------


SDK_WSS = pytest.mark.parametrize("kind", [
    clients.AwsSdk5Wss, clients.AwsSdk311Wss, clients.NodeAwsSdkWss5, clients.NodeAwsSdkWss311], ids=["v5", "v311", "node-v5", "node-v311"])


@SDK_WSS
def test_websocket_by_signature(house, closing, kind):
    client = closing(kind(house.server, AccessKey(house.server), unique("door")))
    client.connect()
    talk(client)


@SDK_WSS
@pytest.mark.parametrize("wrong", [
    dict(secret="wrong"), dict(region="mars-north-1"), dict(key_id="AKIANOBODYKNOWSTHISKEY")], ids=["secret", "region", "key"])
def test_websocket_by_a_wrong_signature(house, closing, kind, wrong):
    client = closing(kind(house.server, AccessKey(house.server, **wrong), unique("door")))
    with pytest.raises(Refused):
        client.connect()


def wss(house, path, version=V5, **options):
    return Wire(WebSocket.dial(house.server, path, **options), version)


@pytest.mark.parametrize("changes", [
    {}, {"expires": 86400}, {"expires": 600, "ago": 500}, {"ago": 240},
    {"host": "localhost"},
], ids=["plain", "expires", "not-yet-expired", "clocks-apart", "host-without-port"])
def test_presigned_url(house, closing, changes):
    path = signing.presigned_path(house.server, **{"host": host_of(house.server), **changes})
    connection = closing(wss(house, path))
    response = connection.sock.response
    assert response.headers["sec-websocket-protocol"] == "mqtt"
    assert (response.headers["upgrade"].lower(), response.headers["connection"].lower()) == ("websocket", "upgrade")
    assert connection.connect(unique("door")).code == 0


@pytest.mark.parametrize("changes, reason", [
    ({"secret": "wrong"}, "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
    ({"region": "mars-north-1"}, "SECURITY_TOKEN_INVALID"),
    ({"service": "iot"}, "SECURITY_TOKEN_INVALID"),
    ({"service": "iotdata"}, "SECURITY_TOKEN_INVALID"),
    ({"ago": 3600}, "SECURITY_TOKEN_EXPIRED"),
    ({"ago": 100, "expires": 60}, "SECURITY_TOKEN_EXPIRED"),
    ({"ago": 2 * 86400, "expires": 7 * 86400}, "SECURITY_TOKEN_EXPIRED"),
    ({"ago": -3600}, "SECURITY_TOKEN_INVALID"),
    ({"scope_date": "20200101"}, "SECURITY_TOKEN_INVALID"),
    ({"host": "elsewhere.example.com"}, "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
    ({"signed_path": "/other"}, "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
    ({"method": "POST"}, "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
    ({"key": "AKIANOBODYKNOWSTHISKEY"}, "SECURITY_TOKEN_INVALID"),
], ids=["secret", "region", "service", "service-of-https", "old", "expired", "expires-beyond-a-day", "future", "scope-date", "host",
        "path", "method", "key"])
def test_wrong_presigned_url(house, changes, reason):
    mark = house.server.log_mark()
    path = signing.presigned_path(house.server, **{"host": host_of(house.server), **changes})
    with pytest.raises(UpgradeRefused) as refused:
        WebSocket.dial(house.server, path)
    response = refused.value.response
    trace = json.loads(response.body)["traceId"]
    assert json.loads(response.body) == {"message": "Forbidden", "traceId": trace}
    assert (response.status, response.headers["x-amzn-requestid"]) == (403, trace)
    assert response.headers["content-type"] == "application/json"
    refusal(house.server, mark, reason, "access key" if "key" in changes else "iotdevicegateway")


def test_a_parameter_added_to_a_presigned_url(house):
    path = signing.presigned_path(house.server, host_of(house.server)) + "&more=1"
    with pytest.raises(UpgradeRefused):
        WebSocket.dial(house.server, path)


@pytest.mark.parametrize("is_signed", [False, True], ids=["appended", "signed"])
def test_a_session_token_may_be_appended_after_signing_or_signed(house, closing, is_signed):
    """AWS's devices append it. The owner's key needs none, and what comes with it counts for the signature only."""
    path = signing.presigned_path(house.server, host_of(house.server), token="a/token+==", sign_token=is_signed)
    assert closing(wss(house, path)).connect(unique("door")).code == 0


# ---- temporary credentials ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(house):
    """The keys of a role's session that may connect and use `ok/...`."""
    server, iam = house.server, Iam(house.server)
    role = iam.role(
        allow("iot:Connect", "*"), allow(["iot:Publish", "iot:Receive"], server.arn("topic/ok/*")),
        allow("iot:Subscribe", server.arn("topicfilter/ok/*")))
    made = iam.sts.assume_role(RoleArn=role, RoleSessionName="door")["Credentials"]
    return AccessKey(server, made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


@SDK_WSS
def test_websocket_by_temporary_credentials(house, closing, session, kind):
    client = closing(kind(house.server, session, unique("door")))
    client.connect()
    talk(client)
    with pytest.raises(Refused):
        client.subscribe("elsewhere")


@SDK_WSS
def test_websocket_by_wrong_temporary_credentials(house, closing, session, kind):
    wrong = AccessKey(house.server, session.key_id, session.secret, session.token[:-6] + "AAAAAA")
    with pytest.raises(Refused):
        closing(kind(house.server, wrong, unique("door"))).connect()
    stale = AccessKey(house.server, session.key_id, "wrong", session.token)
    with pytest.raises(Refused):
        closing(kind(house.server, stale, unique("door"))).connect()


@pytest.mark.parametrize("is_signed", [False, True], ids=["appended", "signed"])
def test_presigned_url_of_temporary_credentials(house, closing, session, is_signed):
    """AWS's devices append the token after signing; who signs it is let in too."""
    connection = closing(wss(house, session.presigned_path(host_of(house.server), sign_token=is_signed)))
    assert connection.connect(unique("door")).code == 0
    assert connection.subscribe("ok/a") == [1]
    assert connection.subscribe("elsewhere") == [0x87]


@pytest.mark.parametrize("is_signed", [False, True], ids=["appended", "signed"])
@pytest.mark.parametrize("token", [None, "forged", "changed"])
def test_presigned_url_with_a_wrong_session_token(house, session, is_signed, token):
    token = session.token[:-6] + "AAAAAA" if token == "changed" else token
    mark = house.server.log_mark()
    with pytest.raises(UpgradeRefused) as refused:
        WebSocket.dial(house.server, session.presigned_path(host_of(house.server), token=token, sign_token=is_signed))
    assert refused.value.response.status == 403
    refusal(house.server, mark, "SECURITY_TOKEN_INVALID", "session token")


def test_a_guest_of_an_identity_pool_comes_in_by_websocket(house, closing):
    server, iam = house.server, Iam(house.server)
    own = "${cognito-identity.amazonaws.com:sub}"
    pool = iam.pool(unauthenticated=[
        allow("iot:Connect", server.arn(f"client/{own}")), allow(["iot:Publish", "iot:Receive"], server.arn(f"topic/{own}/*")),
        allow("iot:Subscribe", server.arn(f"topicfilter/{own}/*"))])
    guest = unsigned(server)
    identity = guest.get_id(IdentityPoolId=pool)["IdentityId"]
    made = guest.get_credentials_for_identity(IdentityId=identity)["Credentials"]
    key = AccessKey(server, made["AccessKeyId"], made["SecretKey"], made["SessionToken"])
    connection = closing(wss(house, key.presigned_path(host_of(server))))
    assert connection.connect(identity).code == 0
    assert connection.subscribe(f"{identity}/#") == [1]
    assert connection.subscribe("elsewhere") == [0x87]
    connection.publish(f"{identity}/a", b"x")
    assert connection.message().payload == b"x"
    stranger = closing(wss(house, key.presigned_path(host_of(server))))
    stranger.send(wire.connect(V5, unique("other")))
    connect_refused(stranger, 0x87)


# ---- how a WebSocket behaves ----------------------------------------------------------------------------------------


def test_a_close_frame_is_an_orderly_end(house, closing):
    """The client meant to: no will. A socket that just ends is a lost one."""
    watcher, topic = closing(wss(house, presigned(house))), unique("will")
    assert watcher.connect(unique("watcher")).code == 0
    assert watcher.subscribe(f"{topic}/+") == [1]
    for end in ("polite", "lost"):
        client = wss(house, presigned(house))
        client.connect(unique("door"), will=dict(topic=f"{topic}/{end}", payload="gone"))
        if end == "polite":
            client.sock.send_frame(CLOSE, (1000).to_bytes(2, "big"))
            assert client.sock.receive_frame()[0] == CLOSE
        client.close()
    assert watcher.message().topic == f"{topic}/lost"


def presigned(house):
    return signing.presigned_path(house.server, host_of(house.server))


def test_websocket_mqtt_of_both_versions(house, closing, version):
    connection = closing(wss(house, presigned(house), version))
    assert connection.connect(unique("door")).code == 0
    topic = unique("topic")
    assert connection.subscribe(topic) == [1]
    assert connection.publish(topic, b"x" * 100_000) is None
    assert connection.expect(PUBLISH).payload == b"x" * 100_000
    connection.send(wire.disconnect(version))
    assert connection.sock.receive_frame()[0] == CLOSE


def test_a_client_certificate_is_no_way_into_a_websocket(house):
    """On the ports for certificates there are no WebSockets."""
    device = house.server.account.everything()
    mark = house.server.log_mark()
    for port, alpn in (("https", ()), ("tls", ["x-amzn-http-ca"])):
        with tls_socket(house.server, port, alpn, device) as sock:
            sock.sendall(upgrade_request(house.server, "/mqtt")[0])
            response, _ = read_response(sock)
        assert response.status == 403
    refusal(house.server, mark, "PROTOCOL_MISMATCH", "port 443 without a client certificate")


# ---- MQTT over WebSocket, with a custom authorizer ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["headers", "query"])
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
def test_websocket_by_an_authorizer(house, closing, where, is_signed):
    authorizer, token = (house.signed, unique("token")) if is_signed else (house.open, None)
    marker = token or unique("marker")
    if where == "headers":
        connection = closing(wss(house, "/mqtt", **house.headers(authorizer, token, x_marker=marker)))
    else:
        connection = closing(wss(house, "/mqtt?" + house.query(authorizer, token, marker=marker)))
    client_id = unique("door")
    assert connection.connect(client_id, user="name", password=b"word").code == 0
    assert connection.subscribe("ok/a") == [1]
    assert connection.subscribe("elsewhere") == [0x87]
    [event] = house.asked(marker)
    assert event["protocols"] == ["tls", "http", "mqtt"] and event["signatureVerified"] is is_signed
    http = event["protocolData"]["http"]
    assert http["headers"]["sec-websocket-protocol"] == "mqtt"
    assert (marker in http["queryString"]) is (where == "query")
    assert event["protocolData"]["mqtt"] == {"username": "name", "password": "d29yZA==", "clientId": client_id}


@pytest.mark.parametrize("alpn", [[], ["http/1.1"], ["mqtt"]], ids=["none", "http", "mqtt"])
def test_websocket_by_an_authorizer_named_in_connect(house, closing, alpn):
    connection = closing(wss(house, "/mqtt", alpn=alpn))
    assert connection.connect(unique("door"), user="me?" + house.query(house.signed, "token")).code == 0


@pytest.mark.parametrize("kind, builder", [
    (clients.AwsSdk5Custom, sdk5.websockets_with_custom_authorizer), (clients.AwsSdk311Custom, sdk311.websockets_with_custom_authorizer),
], ids=["v5", "v311"])
def test_websocket_by_an_authorizer_through_the_sdk(house, closing, kind, builder):
    client = closing(kind(house.server, unique("door"), builder, **signed(house, "token")))
    client.connect()
    talk(client)
    stranger = closing(kind(house.server, unique("door"), builder, **signed(house, "token", Signer().sign("token"))))
    with pytest.raises(Refused):
        stranger.connect()


@pytest.mark.parametrize("query, user, reason, remedy", [
    (lambda house: house.query(house.signed, "token", Signer().sign("token")), None, "TOKEN_SIGNATURE_MISMATCH", "RSASSA"),
    (lambda house: house.query("nobody-knows"), None, "UNKNOWN_AUTHORIZER", "Create the authorizer"),
    (lambda house: house.query(house.open), "no-entry", "NOT_AUTHENTICATED", "look at the function"),
    (lambda house: "", None, "NO_AUTHORIZER", "SetDefaultAuthorizer"),
], ids=["signature", "unknown", "denied", "none"])
def test_websocket_that_an_authorizer_does_not_let_in(house, closing, query, user, reason, remedy):
    mark = house.server.log_mark()
    connection = closing(wss(house, "/mqtt?" + query(house)))
    assert connection.connect(unique("door"), user=user).code == 0x87
    line = refusal(house.server, mark, reason, remedy)
    assert "CUSTOM_AUTH" in json.dumps(line)


def test_a_signature_is_not_taken_where_alpn_asks_for_an_authorizer(house, closing):
    """It is not looked at: whom nobody else vouches for is refused when CONNECT is there."""
    mark = house.server.log_mark()
    opened = closing(WebSocket.dial(house.server, presigned(house), alpn=["mqtt"]))
    assert Wire(opened, V5).connect(unique("door")).code == 0x87
    refusal(house.server, mark, "NO_AUTHORIZER", "CUSTOM_AUTH")
    opened = closing(WebSocket.dial(house.server, presigned(house), alpn=["mqtt"]))
    assert Wire(opened, V5).connect(unique("door"), user="me?" + house.query(house.open)).code == 0


@pytest.mark.parametrize("alpn", [[], ["mqtt"]], ids=["none", "mqtt"])
@pytest.mark.parametrize("authorization", ["Bearer abc.def", "Basic bWU6d29yZA==", "token"])
def test_an_authorization_header_of_another_scheme_is_the_authorizers(house, closing, alpn, authorization):
    """Developer guide, custom authentication: other credentials come in any header."""
    marker = unique("marker")
    headers = house.headers(house.open, x_marker=marker, authorization=authorization)
    connection = closing(wss(house, "/mqtt", alpn=alpn, **headers))
    assert connection.connect(unique("door")).code == 0
    [event] = house.asked(marker)
    assert event["protocolData"]["http"]["headers"]["authorization"] == authorization


# ---- the end of a WebSocket ---------------------------------------------------------------------------------------


def test_a_websocket_ends_after_its_duration(tmp_path, new_server, closing):
    config = tmp_path / "thingcore.toml"
    config.write_text("[quotas]\nwebsocket-duration = 2\n")
    server = new_server("--config", config)
    watcher = closing(Wire.dial(server, server.account.everything(), V5))
    watcher.connect(unique("watcher"))
    topic = unique("will")
    watcher.subscribe(topic)
    mark = server.log_mark()
    connection = closing(Wire(WebSocket.dial(server, signing.presigned_path(server, host_of(server))), V5))
    assert connection.connect(unique("door"), will=dict(topic=topic, payload="gone", qos=1)).code == 0
    assert connection.ping() == []
    connection.expect_disconnect(0x98)
    assert watcher.message().payload == b"gone"
    server.wait_for_log("WEBSOCKET_TTL_EXPIRATION", since=mark)
    # A connection without WebSocket lives on.
    assert watcher.ping() == []


def test_ws_24h_and_ws_subprotocol_lenient_are_switches(tmp_path, new_server, closing):
    """Without the first a WebSocket has no longest life; with the second its subprotocol is taken as it comes."""
    config = tmp_path / "thingcore.toml"
    config.write_text("[quotas]\nwebsocket-duration = 1\n[divergences]\nws-24h = false\nws-subprotocol-lenient = true\n")
    server = new_server("--config", config)
    path = signing.presigned_path(server, host_of(server))
    sockets = {
        "mqtt": WebSocket.dial(server, path), "mqttv3.1": WebSocket.dial(server, path, sec_websocket_protocol="mqttv3.1"),
        None: WebSocket.dial(server, path, without=["sec-websocket-protocol"])}
    connections = [closing(Wire(socket_, V5)) for socket_ in sockets.values()]
    for (subprotocol, socket_), connection in zip(sockets.items(), connections):
        assert socket_.response.headers.get("sec-websocket-protocol") == subprotocol
        assert connection.connect(unique("door")).code == 0
    with pytest.raises(UpgradeRefused):
        WebSocket.dial(server, path, sec_websocket_protocol="wamp")
    ended, _, _ = select.select([socket_.sock for socket_ in sockets.values()], [], [], 1.5)
    assert not ended
    assert all(connection.ping() == [] for connection in connections)
