"""Real MQTT clients behind one small face, so that one scenario runs with each of them.

A client connects, subscribes, publishes and keeps what happens to it in queues. `refused` is raised for what the server
did not grant; it carries the MQTT 5 reason code where the client library tells it.
"""

import json
import queue
import ssl
import subprocess
import threading
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import paho.mqtt.client as paho
from awscrt import mqtt as crt3
from awscrt import mqtt5 as crt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder, mqtt_connection_builder
from paho.mqtt.enums import CallbackAPIVersion

WITHIN = 20.0
NODE_DIR = Path(__file__).resolve().parents[1] / "node"


class Refused(Exception):
    """The server refused; `code` is the MQTT 5 reason code, or None where the client cannot know it."""

    def __init__(self, code=None, detail=""):
        super().__init__(f"code {code} {detail}")
        self.code = code


class Message:
    def __init__(self, topic, payload, qos, retain):
        self.topic, self.payload, self.qos, self.retain = topic, bytes(payload), int(qos), bool(retain)

    def __eq__(self, other):
        return (self.topic, self.payload, self.qos, self.retain) == other

    def __repr__(self):
        return f"Message({self.topic!r}, {self.payload!r}, qos={self.qos}, retain={self.retain})"


class Client:
    """What they have in common: queues of messages and of disconnections.

    `device` is who connects: a `provision.Device` by its certificate, a `provision.AccessKey` by its signature (`signs`)."""

    v5 = False
    signs = False

    def __init__(self, server, device, client_id):
        self.server, self.device, self.client_id = server, device, client_id
        self.messages, self.ends = queue.Queue(), queue.Queue()

    @classmethod
    def anybody(cls, server):
        """Who may do everything and comes as this kind of client does."""
        return server.account.owner() if cls.signs else server.account.everything()

    def message(self):
        return self.messages.get(timeout=WITHIN)

    def end(self):
        """Waits until the server ends the connection; the reason code if the client tells one."""
        return self.ends.get(timeout=WITHIN)

    def connect(self, will=None):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


# ---- AWS IoT Device SDK for Python -----------------------------------------------------------------------------


class AwsSdk5(Client):
    """awsiotsdk, MQTT 5, mutual TLS from files: as in the SDK's samples."""

    v5 = True

    def connect(self, will=None):
        opened = queue.Queue()
        if will:
            will = crt5.PublishPacket(topic=will["topic"], payload=will["payload"], qos=crt5.QoS(will.get("qos", 0)), retain=will.get("retain", False))

        def on_failure(data):
            opened.put(Refused(data.connack_packet.reason_code.value if data.connack_packet else None, str(data.exception)))

        def on_disconnection(data):
            self.ends.put(data.disconnect_packet.reason_code.value if data.disconnect_packet else None)

        def on_publish(data):
            packet = data.publish_packet
            self.messages.put(Message(packet.topic, packet.payload or b"", packet.qos, packet.retain))

        self.stopped, self.closed = queue.Queue(), False
        self.client = self.build(
            endpoint="localhost", ca_filepath=self.server.ca_file, client_id=self.client_id, will=will,
            min_reconnect_delay_ms=60_000, max_reconnect_delay_ms=120_000,
            on_lifecycle_connection_success=lambda data: opened.put(data.connack_packet), on_lifecycle_connection_failure=on_failure,
            on_lifecycle_disconnection=on_disconnection, on_publish_received=on_publish,
            on_lifecycle_stopped=lambda _: self.stopped.put(None))
        self.client.start()
        answer = opened.get(timeout=WITHIN)
        if isinstance(answer, Refused):
            raise answer

    def build(self, **options):
        return mqtt5_client_builder.mtls_from_path(
            port=self.server.ports["mqtt"], cert_filepath=self.device.certificate_file, pri_key_filepath=self.device.key_file,
            **options)

    def subscribe(self, topic_filter, qos=1):
        packet = crt5.SubscribePacket([crt5.Subscription(topic_filter, crt5.QoS(qos))])
        code = self.client.subscribe(packet).result(WITHIN).reason_codes[0].value
        if code >= 0x80:
            raise Refused(code)
        return code

    def publish(self, topic, payload, qos=0, retain=False):
        done = self.client.publish(crt5.PublishPacket(topic=topic, payload=payload, qos=crt5.QoS(qos), retain=retain)).result(WITHIN)
        if qos and done.puback.reason_code.value >= 0x80:
            raise Refused(done.puback.reason_code.value)

    def close(self):
        if not self.closed:
            self.closed = True
            self.client.stop(crt5.DisconnectPacket())
            self.stopped.get(timeout=WITHIN)


class AwsSdk5Custom(AwsSdk5):
    """awsiotsdk, MQTT 5, with whatever `builder` of the SDK and its `options`."""

    def __init__(self, server, client_id, builder, **options):
        super().__init__(server, None, client_id)
        self.builder, self.options = builder, {"port": server.ports["tls"], **options}

    def build(self, **options):
        return self.builder(**{**options, **self.options})


class AwsSdk5Wss(AwsSdk5):
    """awsiotsdk, MQTT 5 over WebSocket, signed."""

    signs = True

    def build(self, **options):
        return mqtt5_client_builder.websockets_with_default_aws_signing(
            region=self.device.region or self.server.region, credentials_provider=self.device.provider(),
            port=self.server.ports["tls"], **options)


class AwsSdk311(Client):
    """awsiotsdk, MQTT 3.1.1, mutual TLS from files."""

    def connect(self, will=None):
        if will:
            will = crt3.Will(will["topic"], crt3.QoS(will.get("qos", 0)), will["payload"].encode(), will.get("retain", False))
        self.connection = self.build(
            endpoint="localhost", ca_filepath=self.server.ca_file, client_id=self.client_id, clean_session=True,
            keep_alive_secs=60, will=will, reconnect_min_timeout_secs=60, reconnect_max_timeout_secs=120,
            on_connection_interrupted=self._on_interrupted)
        self.interrupted = False
        self.connection.on_message(lambda topic, payload, dup, qos, retain, **_: self.messages.put(Message(topic, payload, qos, retain)))
        try:
            self.connection.connect().result(WITHIN)
        except Exception as error:
            raise Refused(detail=str(error)) from error

    def build(self, **options):
        return mqtt_connection_builder.mtls_from_path(
            port=self.server.ports["mqtt"], cert_filepath=self.device.certificate_file, pri_key_filepath=self.device.key_file,
            **options)

    def subscribe(self, topic_filter, qos=1):
        future, _ = self.connection.subscribe(topic_filter, crt3.QoS(qos))
        return self._or_end(future)["qos"]

    def publish(self, topic, payload, qos=0, retain=False):
        future, _ = self.connection.publish(topic, payload, crt3.QoS(qos), retain)
        self._or_end(future)

    def _on_interrupted(self, **_):
        self.interrupted = True
        self.ends.put(None)

    def _or_end(self, future):
        """The result, or Refused if the connection ends first."""
        while True:
            try:
                return future.result(0.05)
            except FutureTimeout:
                if self.interrupted:
                    raise Refused(detail="the connection ended") from None
            except AwsCrtError as error:
                raise Refused(detail=str(error)) from error

    def close(self):
        done = self.connection.disconnect()
        # Between two attempts to connect again, the answer comes only after the next one.
        if not self.interrupted:
            done.result(WITHIN)


class AwsSdk311Custom(AwsSdk311):
    """awsiotsdk, MQTT 3.1.1, with whatever `builder` of the SDK and its `options`."""

    def __init__(self, server, client_id, builder, **options):
        super().__init__(server, None, client_id)
        self.builder, self.options = builder, {"port": server.ports["tls"], **options}

    def build(self, **options):
        return self.builder(**{**options, **self.options})


class AwsSdk311Wss(AwsSdk311):
    """awsiotsdk, MQTT 3.1.1 over WebSocket, signed."""

    signs = True

    def build(self, **options):
        return mqtt_connection_builder.websockets_with_default_aws_signing(
            region=self.device.region or self.server.region, credentials_provider=self.device.provider(),
            port=self.server.ports["tls"], **options)


# ---- paho ------------------------------------------------------------------------------------------------------


class Paho(Client):
    protocol, transport = paho.MQTTv311, "tcp"

    def prepare(self):
        """Sets up the way in; returns the port."""
        self.client.tls_set(
            self.server.ca_file, self.device.certificate_file, self.device.key_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        return self.server.ports["mqtt"]

    def connect(self, will=None):
        self.opened, self.acks = queue.Queue(), queue.Queue()
        self.client = client = paho.Client(
            CallbackAPIVersion.VERSION2, self.client_id, protocol=self.protocol, transport=self.transport, reconnect_on_failure=False)
        port = self.prepare()
        if will:
            client.will_set(will["topic"], will["payload"], will.get("qos", 0), will.get("retain", False))
        client.on_connect = lambda _c, _u, _f, reason, _p: self.opened.put(reason)
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = lambda _c, _u, mid, reasons, _p: self.acks.put(reasons[0].value)
        client.on_publish = lambda _c, _u, mid, reason, _p: self.acks.put(reason.value)
        client.on_message = lambda _c, _u, m: self.messages.put(Message(m.topic, m.payload, m.qos, m.retain))
        try:
            client.connect("localhost", port, keepalive=60)
        except paho.WebsocketConnectionError as error:
            raise Refused(detail=str(error)) from error
        client.loop_start()
        answer = self.opened.get(timeout=WITHIN)
        if answer is None or answer.is_failure:
            raise Refused(answer.value if answer is not None and self.v5 else None)

    def _on_disconnect(self, _client, _userdata, flags, reason, _properties):
        code = reason.value if self.v5 and flags.is_disconnect_packet_from_server else None
        self.opened.put(None)
        self.acks.put(None)
        self.ends.put(code)

    def _ack(self):
        code = self.acks.get(timeout=WITHIN)
        if code is None or code >= 0x80:
            raise Refused(code if self.v5 else None)
        return code

    def subscribe(self, topic_filter, qos=1):
        self.client.subscribe(topic_filter, qos)
        return self._ack()

    def publish(self, topic, payload, qos=0, retain=False):
        self.client.publish(topic, payload, qos, retain)
        self._ack()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Paho5(Paho):
    protocol, v5 = paho.MQTTv5, True


class PahoWss(Paho):
    """Over WebSocket, with a presigned path."""

    transport, signs = "websockets", True

    def prepare(self):
        port = self.server.ports["tls"]
        self.client.tls_set(self.server.ca_file, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.ws_set_options(path=self.device.presigned_path(f"localhost:{port}"))
        return port


class PahoWss5(PahoWss):
    protocol, v5 = paho.MQTTv5, True


# ---- Node ------------------------------------------------------------------------------------------------------


class Node(Client):
    """A script of tests/node that takes one JSON command a line and answers with events, one a line."""

    script, options = "", {}

    def connect(self, will=None):
        self.process = subprocess.Popen(["node", self.script], cwd=NODE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._ask("connect", host="localhost", ca=self.server.ca_file, clientId=self.client_id, will=will, **self.way(), **self.options)

    def way(self):
        """Where and how the script gets in."""
        return dict(port=self.server.ports["mqtt"], cert=self.device.certificate_file, key=self.device.key_file)

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "message":
                self.messages.put(Message(event["topic"], bytes.fromhex(event["payload"]), event["qos"], event["retain"]))
            elif event["event"] == "end":
                self.ends.put(event.get("code"))
            else:
                self.answers.put(event)
        self.answers.put({"event": "refused", "detail": "the script ended"})

    def _ask(self, command, **arguments):
        self.process.stdin.write(json.dumps(dict(arguments, command=command)) + "\n")
        self.process.stdin.flush()
        answer = self.answers.get(timeout=WITHIN)
        if answer["event"] == "refused":
            raise Refused(answer.get("code"), answer.get("detail", ""))
        return answer.get("code", 0)

    def subscribe(self, topic_filter, qos=1):
        return self._ask("subscribe", filter=topic_filter, qos=qos)

    def publish(self, topic, payload, qos=0, retain=False):
        self._ask("publish", topic=topic, payload=payload, qos=qos, retain=retain)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(WITHIN)

    def kill(self):
        self.process.kill()
        self.process.wait()


class NodeMqtt(Node):
    script, options = "mqtt.js", {"version": 4}


class NodeMqtt5(Node):
    script, options, v5 = "mqtt.js", {"version": 5}, True


class NodeAwsSdk5(Node):
    script, v5 = "aws-sdk-5.js", True


class NodeAwsSdk311(Node):
    script = "aws-sdk-311.js"


class NodeAwsSdk5Alpn(NodeAwsSdk5):
    """The SDK for JavaScript on port 443: it offers ALPN `x-amzn-mqtt-ca` on every port."""

    def way(self):
        return {**Node.way(self), "port": self.server.ports["tls"]}


class NodeAwsSdk311Alpn(NodeAwsSdk311):
    way = NodeAwsSdk5Alpn.way


class NodeMqttWss(NodeMqtt):
    """MQTT.js over WebSocket, with a presigned URL."""

    signs = True

    def way(self):
        port = self.server.ports["tls"]
        return dict(port=port, url=f"wss://localhost:{port}" + self.device.presigned_path(f"localhost:{port}"))


class NodeMqttWss5(NodeMqttWss):
    options, v5 = {"version": 5}, True


class NodeAwsSdkWss311(NodeAwsSdk311):
    """The SDK for JavaScript over WebSocket, signed."""

    signs = True

    def way(self):
        return dict(port=self.server.ports["tls"], region=self.device.region or self.server.region, accessKeyId=self.device.key_id,
                    secretAccessKey=self.device.secret, sessionToken=self.device.token)


class NodeAwsSdkWss5(NodeAwsSdk5):
    signs, way = True, NodeAwsSdkWss311.way


class NodeAwsSdk5Custom(NodeAwsSdk5):
    """The SDK for JavaScript with a custom authorizer, directly (ALPN `mqtt`) or by WebSocket."""

    def __init__(self, server, client_id, websocket=False, **authorizer):
        """`authorizer`: authorizerName, username, password, tokenKeyName, tokenValue, tokenSignature."""
        Node.__init__(self, server, None, client_id)
        self.websocket, self.authorizer = websocket, authorizer

    def way(self):
        return dict(port=self.server.ports["tls"], websocket=self.websocket, authorizer=self.authorizer)


class NodeAwsSdk311Custom(NodeAwsSdk311):
    __init__, way = NodeAwsSdk5Custom.__init__, NodeAwsSdk5Custom.way


ALL = {
    "awsiotsdk-v5": AwsSdk5, "awsiotsdk-v311": AwsSdk311, "paho-v5": Paho5, "paho-v311": Paho, "node-mqtt-v5": NodeMqtt5,
    "node-mqtt-v311": NodeMqtt, "node-awssdk-v5": NodeAwsSdk5, "node-awssdk-v311": NodeAwsSdk311,
    "awsiotsdk-wss-v5": AwsSdk5Wss, "awsiotsdk-wss-v311": AwsSdk311Wss, "paho-wss-v5": PahoWss5, "paho-wss-v311": PahoWss,
    "node-mqtt-wss-v5": NodeMqttWss5, "node-mqtt-wss-v311": NodeMqttWss, "node-awssdk-wss-v5": NodeAwsSdkWss5,
    "node-awssdk-wss-v311": NodeAwsSdkWss311,
}
