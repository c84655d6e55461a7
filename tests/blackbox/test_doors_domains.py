"""The ways in through an endpoint of one's own: each authentication type with each application protocol that AWS lets go
together (developer guide, Configurable endpoints), by its server name, with its certificate, and beside each the refusal of
who shows something else. Then what else a domain configuration decides: TLS versions, DISABLED, renewal, iot:DomainName."""

import socket
import ssl
import subprocess

import paho.mqtt.client as paho
import pytest
from cryptography import x509

import clients
import signing
import wire
from clients import Refused
from conftest import require
from doors import House
from https import Https, assert_accepted, assert_refused
from lambdas import arn
from provision import allow, unique
from refusal import connect_refused
from test_api_things import refused
from test_domain_configurations import Bought, host
from test_provisioning import ROLE, Owner, jitp, status_of
from websocket import Refused as UpgradeRefused
from websocket import WebSocket, host_of, own_address, read_response, upgrade_request
from wire import V5, Wire

COMBINATIONS = [
    ("AWS_X509", "SECURE_MQTT"), ("AWS_X509", "HTTPS"),
    ("CUSTOM_AUTH_X509", "SECURE_MQTT"), ("CUSTOM_AUTH_X509", "HTTPS"),
    ("AWS_SIGV4", "MQTT_WSS"), ("AWS_SIGV4", "HTTPS"),
    ("CUSTOM_AUTH", "SECURE_MQTT"), ("CUSTOM_AUTH", "MQTT_WSS"), ("CUSTOM_AUTH", "HTTPS"),
]


class Domain:
    """A domain configuration, and how a client reaches it: by its name, trusting its CA only."""

    def __init__(self, house, folder, authentication, protocol, **more):
        self.house, self.name, self.configuration = house, host(), unique("door")
        self.ready, self.ports = house.server.ready, house.server.ports
        self.bought = Bought(self.name)
        acm, iot = house.server.boto("acm"), house.server.boto("iot")
        self.arn = acm.import_certificate(**self.bought.members())["CertificateArn"]
        members = {"authorizerConfig": {"defaultAuthorizerName": house.open, "allowAuthorizerOverride": False}} \
            if authentication.startswith("CUSTOM") else {}
        iot.create_domain_configuration(
            domainConfigurationName=self.configuration, domainName=self.name, serverCertificateArns=[self.arn],
            authenticationType=authentication, applicationProtocol=protocol, **members, **more)
        self.ca_file = folder / f"{self.name}.pem"
        self.ca_file.write_bytes(self.bought.chain)

    def context(self, device=None, **options):
        context = wire.tls_context(self, device, **options)
        # The socket goes to this machine, the handshake asks for the domain.
        wrap, name = context.wrap_socket, self.name
        context.wrap_socket = lambda *arguments, **named: wrap(*arguments, **{**named, "server_hostname": name})
        return context

    def update(self, **members):
        self.house.server.boto("iot").update_domain_configuration(domainConfigurationName=self.configuration, **members)

    def delete(self):
        self.update(domainConfigurationStatus="DISABLED")
        self.house.server.boto("iot").delete_domain_configuration(domainConfigurationName=self.configuration)


class Paho(clients.Paho5):
    """paho by way of a domain."""

    def __init__(self, domain, device=None, port="mqtt", user=None, path=None):
        super().__init__(domain.house.server, device, unique("door"))
        self.domain, self.port, self.user, self.path = domain, port, user, path
        self.transport = "websockets" if path else "tcp"

    def prepare(self):
        self.client.tls_set_context(self.domain.context(self.device))
        if self.user:
            self.client.username_pw_set(self.user, "password")
        if self.path:
            self.client.ws_set_options(path=self.path, headers={"Host": self.domain.name})
        return self.domain.ports[self.port]


class Tried:
    """What a client may show at a domain."""

    def __init__(self, domain):
        self.domain, self.server = domain, domain.house.server
        self.device = self.server.account.everything()

    def signed_path(self, secret=None):
        more = {"secret": secret} if secret else {}
        return signing.presigned_path(self.server, host=self.domain.name, **more)

    def mqtt(self, device=None, user=None, port="mqtt"):
        talk(Paho(self.domain, device, port, user))

    def websocket(self, path, user=None):
        talk(Paho(self.domain, None, "tls", user, path))

    def https(self, device=None, port="https", query="", signed=None):
        https = Https(self.server, port, context=self.domain.context(device))
        headers = {}
        if signed is not None:
            headers = signing.headers(self.server, self.domain.name, "POST", "/topics/ok/t", b"x", **signed)
        with https:
            answer = https.publish("ok/t", b"x", query, {"Host": self.domain.name, **headers})
        if answer.status != 200:
            assert_refused(answer, 403, "Forbidden")
            raise Refused(answer.status)
        assert_accepted(answer)


def talk(client):
    try:
        client.connect()
        topic = f"ok/{unique('talk')}"
        assert client.subscribe(topic, qos=1) == 1
        client.publish(topic, "hello", qos=1)
        assert client.message() == (topic, b"hello", 1, False)
    finally:
        client.close()


def attempts(tried, authentication, protocol):
    """(what comes in, what does not) at a domain of these settings, as functions."""
    device, mqtt, https, websocket = tried.device, tried.mqtt, tried.https, tried.websocket
    match authentication, protocol:
        case "AWS_X509", "SECURE_MQTT":
            return ([lambda: mqtt(device), lambda: mqtt(device, port="tls")],
                    [lambda: mqtt(user="somebody"), lambda: websocket(tried.signed_path()), lambda: https(device)])
        case "AWS_X509", "HTTPS":
            return ([lambda: https(device), lambda: https(device, port="tls")],
                    [lambda: https(signed={}), lambda: https(), lambda: mqtt(device)])
        case "CUSTOM_AUTH_X509", "SECURE_MQTT":
            return ([lambda: mqtt(device, "somebody"), lambda: mqtt(device, "somebody", "tls")],
                    [lambda: mqtt(user="somebody"), lambda: mqtt(device, "no-entry")])
        case "CUSTOM_AUTH_X509", "HTTPS":
            return ([lambda: https(device)], [lambda: https(), lambda: https(device, query="x=no-entry")])
        case "AWS_SIGV4", "MQTT_WSS":
            return ([lambda: websocket(tried.signed_path())],
                    [lambda: websocket(tried.signed_path("wrong")), lambda: websocket("/mqtt", "somebody"), lambda: mqtt(device)])
        case "AWS_SIGV4", "HTTPS":
            return ([lambda: https(port="tls", signed={}), lambda: https(signed={})],
                    [lambda: https(port="tls", signed={"secret": "wrong"}), lambda: https(device), lambda: https()])
        case "CUSTOM_AUTH", "SECURE_MQTT":
            return ([lambda: mqtt(user="somebody"), lambda: mqtt(user="somebody", port="tls")],
                    [lambda: mqtt(user="no-entry"), lambda: mqtt(device, "no-entry")])
        case "CUSTOM_AUTH", "MQTT_WSS":
            return ([lambda: websocket("/mqtt", "somebody")], [lambda: websocket("/mqtt", "no-entry"), lambda: mqtt(user="somebody")])
        case "CUSTOM_AUTH", "HTTPS":
            return ([lambda: https(port="tls"), lambda: https()], [lambda: https(port="tls", query="x=no-entry")])


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("domain-doors"))
    yield house
    house.stop()


@pytest.fixture
def domain(house, tmp_path):
    """domain(authentication, protocol, ...): a domain that is gone after the test."""
    made = []

    def make(authentication="DEFAULT", protocol="DEFAULT", **more):
        made.append(Domain(house, tmp_path, authentication, protocol, **more))
        return made[-1]

    yield make
    for one in made:
        one.delete()


REFUSALS = (Refused, wire.Closed, UpgradeRefused, ssl.SSLError, ConnectionError, paho.WebsocketConnectionError)


@pytest.mark.parametrize("authentication, protocol", COMBINATIONS, ids=lambda value: value.lower())
def test_who_comes_in_and_who_does_not(domain, authentication, protocol):
    good, bad = attempts(Tried(domain(authentication, protocol)), authentication, protocol)
    for come in good:
        come()
    for come in bad:
        with pytest.raises(REFUSALS):
            come()


def test_a_domain_without_settings_is_as_the_default_endpoint(domain):
    tried = Tried(domain())
    for come in [lambda: tried.mqtt(tried.device), lambda: tried.websocket(tried.signed_path()), lambda: tried.https(tried.device),
                 lambda: tried.https(port="tls", signed={})]:
        come()
    for come in [lambda: tried.mqtt(user="somebody"), lambda: tried.websocket(tried.signed_path("wrong"))]:
        with pytest.raises(REFUSALS):
            come()


def shown(house, name):
    """The certificate that the server shows to who asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Wire.dial(house.server, context=context, name=name) as connection:
        return x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True))


def test_each_name_has_its_certificate_and_unknown_names_have_the_default(house, domain):
    first, second = domain(), domain()
    for one in (first, second):
        assert shown(house, one.name) == x509.load_pem_x509_certificate(one.bought.pem)
    default = shown(house, "localhost")
    assert shown(house, host()) == default and shown(house, None) == default


def test_a_renewed_certificate_is_shown_at_once_and_connections_stay(house, domain):
    one = domain()
    device = house.server.account.everything()
    old = Wire.dial(house.server, device, V5, context=one.context(device))
    assert old.connect(unique("door")).code == 0
    new = Bought(one.name)
    house.server.boto("acm").import_certificate(CertificateArn=one.arn, **new.members())
    assert shown(house, one.name) == x509.load_pem_x509_certificate(new.pem)
    old.ping()
    old.close()


def test_a_tls_policy_is_held_to(house, domain):
    one = domain(tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"})
    device = house.server.account.everything()
    with Wire.dial(house.server, device, context=one.context(device, oldest=ssl.TLSVersion.TLSv1_3)) as new:
        assert new.connect(unique("door")).code == 0
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Wire.dial(house.server, device, context=one.context(device, newest=ssl.TLSVersion.TLSv1_2))
    one.update(tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS12_1_2_2022_10"})
    with Wire.dial(house.server, device, context=one.context(device, newest=ssl.TLSVersion.TLSv1_2)) as old:
        assert old.connect(unique("door")).code == 0
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Wire.dial(house.server, device, context=one.context(device, oldest=ssl.TLSVersion.TLSv1_3))


@pytest.mark.parametrize("region, policy, is_in", [
    ("eu-west-1", "IoTSecurityPolicy_TLS13_1_2_2022_10", True), ("us-gov-west-1", "IoTSecurityPolicy_TLS13_1_2_2022_01", False)])
def test_the_default_endpoint_holds_to_the_policy_that_is_shown(new_server, tmp_path, region, policy, is_in):
    """That of GovCloud has no ChaCha20."""
    require("curl")
    config = tmp_path / "thingcore.toml"
    config.write_text(f'[account]\nregion = "{region}"\n')
    server = new_server("--config", config)
    shown = server.boto("iot").describe_domain_configuration(domainConfigurationName="iot:Data-ATS")
    assert shown["tlsConfig"] == {"securityPolicy": policy}
    done = subprocess.run(
        ["curl", "--silent", "--tlsv1.3", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256", "--cacert", server.ca_file,
         f"https://{host_of(server)}/"], capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) is is_in, done


def test_a_disabled_domain_lets_nobody_in_until_it_is_enabled(house, domain):
    one, tried = domain(), None
    tried = Tried(one)
    one.update(domainConfigurationStatus="DISABLED")
    mark = house.server.log_mark()
    with pytest.raises(REFUSALS):
        tried.mqtt(tried.device)
    assert one.name in house.server.wait_for_log("handshake.failed", since=mark)
    # It is not the protocol that the client should change.
    with pytest.raises(ssl.SSLError) as alert:
        Wire.dial(house.server, tried.device, context=one.context(tried.device))
    assert alert.value.reason == "TLSV1_ALERT_ACCESS_DENIED"
    one.update(domainConfigurationStatus="ENABLED")
    tried.mqtt(tried.device)


@pytest.mark.parametrize("is_upgrade", [False, True], ids=["request", "upgrade"])
@pytest.mark.parametrize("change, status, reason", [
    ({"domainConfigurationStatus": "DISABLED"}, 403, "DOMAIN_CONFIGURATION_DISABLED"),
    ({"authenticationType": "CUSTOM_AUTH"}, 503, "DOMAIN_CONFIGURATION_CHANGED"),
], ids=["disabled", "changed"])
def test_a_change_holds_for_connections_that_are_open(house, domain, change, status, reason, is_upgrade):
    """At their next request: a connection that was kept alive is no way in that is closed by now."""
    one = domain("AWS_SIGV4", "MQTT_WSS" if is_upgrade else "HTTPS")
    tried = Tried(one)
    with socket.create_connection(("127.0.0.1", house.server.ports["tls"]), wire.DEADLINE, (own_address(), 0)) as raw:
        with one.context().wrap_socket(raw) as sock:
            sock.sendall(f"GET /mqtt HTTP/1.1\r\nHost: {one.name}\r\n\r\n".encode())
            before, _ = read_response(sock)
            assert before.headers.get("connection") != "close"
            one.update(**change)
            mark = house.server.log_mark()
            path = tried.signed_path()
            if is_upgrade:
                sock.sendall(upgrade_request(house.server, path, host=one.name)[0])
            else:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {one.name}\r\n\r\n".encode())
            after, _ = read_response(sock)
            assert (after.status, after.headers.get("connection")) == (status, "close"), after
            assert sock.recv(1) == b"", "the connection ends"
    assert one.name in house.server.wait_for_log(reason, since=mark)


@pytest.mark.parametrize("authentication, protocol, offer", [
    ("AWS_SIGV4", "MQTT_WSS", "mqtt"), ("AWS_SIGV4", "HTTPS", "h2"), ("AWS_X509", "SECURE_MQTT", "http/1.1"),
    ("CUSTOM_AUTH", "SECURE_MQTT", "h2"),
])
def test_a_domain_for_one_protocol_does_not_depend_on_alpn(house, domain, authentication, protocol, offer):
    """Developer guide, configurable endpoints: a specified protocol removes the dependency on ALPN, on port 443 too."""
    one = domain(authentication, protocol)
    tried = Tried(one)
    device = tried.device if "X509" in authentication else None
    context = one.context(device)
    context.set_alpn_protocols([offer])
    with socket.create_connection(("127.0.0.1", house.server.ports["tls"]), wire.DEADLINE, (own_address(), 0)) as raw:
        with context.wrap_socket(raw) as sock:
            assert sock.selected_alpn_protocol() is None
            if protocol == "SECURE_MQTT":
                assert Wire(sock, V5).connect(unique("door"), user="somebody").code == 0
            elif protocol == "MQTT_WSS":
                sock.sendall(upgrade_request(house.server, tried.signed_path(), host=one.name)[0])
                assert read_response(sock)[0].status == 101
            else:
                sock.sendall(f"GET /retainedMessage HTTP/1.1\r\nHost: {one.name}\r\n\r\n".encode())
                assert read_response(sock)[0].status == 403


def test_a_certificate_that_the_domains_function_refuses_is_not_registered(house, domain):
    """clientCertificateCallbackArn is asked before just-in-time provisioning, and not about strangers."""
    name, said, account = unique("callback"), {"isAuthenticated": False}, house.server.account
    house.lambdas.functions[name] = lambda event: said
    one = domain("AWS_X509", "SECURE_MQTT", clientCertificateConfig={"clientCertificateCallbackArn": arn(name)})
    device = Owner(account).register({"templateBody": jitp(), "roleArn": ROLE}).device()

    def knock(device):
        with Wire.dial(house.server, device, V5, context=one.context(device)) as connection:
            connection.send(wire.connect(V5, unique("door")))
            return connection.receive().code

    def told():
        return [event for asked, event in list(house.lambdas.events) if asked == name]

    for stranger, count in [(device, 1), (Owner(account).device(), 1)]:
        with pytest.raises(REFUSALS):
            knock(stranger)
        assert len(told()) == count
        refused(account.iot, "ResourceNotFoundException", 404, "describe_certificate", certificateId=stranger.certificate_id)
    assert (told()[0]["principalId"], told()[0]["serverName"]) == (device.certificate_id, one.name)
    said["isAuthenticated"] = True
    with pytest.raises(REFUSALS):
        knock(device)
    assert status_of(account.iot, device) == "ACTIVE"
    assert knock(device) == 0
    said["isAuthenticated"] = False
    with pytest.raises(REFUSALS):
        knock(device)


def test_policies_see_the_domain(house, domain):
    one, other = domain(), domain()
    statement = {**allow("iot:Connect", "*"), "Condition": {"StringEquals": {"iot:DomainName": one.name}}}
    device = house.server.account.device(statement)
    with Wire.dial(house.server, device, V5, context=one.context(device)) as connection:
        assert connection.connect(unique("door")).code == 0
    with Wire.dial(house.server, device, V5, context=other.context(device)) as connection:
        connection.send(wire.connect(V5, unique("door")))
        connect_refused(connection, 0x87)


def test_an_authorizer_is_named_by_the_client_only_where_the_domain_lets_it_be(house, domain):
    """`allowAuthorizerOverride`."""
    one = domain("CUSTOM_AUTH", "SECURE_MQTT")
    named = "somebody?x-amz-customauthorizer-name="
    # The domain's own one is asked, whomever the client names.
    talk(Paho(one, user=named + house.broken))
    one.update(authorizerConfig={"defaultAuthorizerName": house.broken, "allowAuthorizerOverride": True})
    talk(Paho(one, user=named + house.open))
    with pytest.raises(REFUSALS):
        talk(Paho(one, user="somebody"))
