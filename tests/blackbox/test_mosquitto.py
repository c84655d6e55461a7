"""Debian's mosquitto_pub and mosquitto_sub, MQTT 3.1.1 and 5."""

import subprocess

import pytest

from conftest import require
from provision import allow, unique


@pytest.fixture(params=["mqttv311", "mqttv5"])
def protocol(request):
    require("mosquitto_sub")
    require("mosquitto_pub")
    return request.param


class Mosquitto:
    def __init__(self, server, protocol):
        self.server, self.protocol, self.running = server, protocol, []

    def command(self, program, device, client_id, *more):
        device = device or self.server.account.everything()
        return [program, "-h", "localhost", "-p", str(self.server.ports["mqtt"]), "--cafile", self.server.ca_file,
                "--cert", device.certificate_file, "--key", device.key_file, "-V", self.protocol, "-i", client_id or unique("mosq"), *more]

    def publish(self, *more, device=None, client_id=None):
        return subprocess.run(self.command("mosquitto_pub", device, client_id, *more), capture_output=True, text=True, timeout=60)

    def subscribe(self, *more, device=None, client_id=None, count=1):
        """Starts mosquitto_sub and returns once the server granted the subscription. (Its own output comes too late.)"""
        mark, client_id = self.server.log_mark(), client_id or unique("mosq")
        command = self.command("mosquitto_sub", device, client_id, "-C", str(count), "-W", "30", "-F", "MESSAGE %t|%p|%q|%r", *more)
        listener = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.running.append(listener)
        self.server.wait_for_log(f"{client_id} subscribed to", since=mark)
        return listener

    def received(self, listener):
        output, _ = listener.communicate(timeout=60)
        return [line.removeprefix("MESSAGE ") for line in output.splitlines() if line.startswith("MESSAGE ")]


@pytest.fixture
def mosquitto(server, protocol):
    one = Mosquitto(server, protocol)
    yield one
    for process in one.running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def restricted(account, server):
    return account.device(allow("iot:Connect", "*"), allow(["iot:Publish", "iot:Receive"], server.arn("topic/ok/*")),
                          allow("iot:Subscribe", server.arn("topicfilter/ok/*")))


@pytest.mark.parametrize("qos", ["0", "1"])
def test_publish_and_receive(mosquitto, topic, qos):
    listener = mosquitto.subscribe("-t", topic, "-q", "1")
    assert mosquitto.publish("-t", topic, "-m", "hello", "-q", qos).returncode == 0
    assert mosquitto.received(listener) == [f"{topic}|hello|{qos}|0"]


def test_retained(mosquitto, topic):
    assert mosquitto.publish("-t", topic, "-m", "kept", "-q", "1", "-r").returncode == 0
    assert mosquitto.received(mosquitto.subscribe("-t", topic, "-q", "1")) == [f"{topic}|kept|1|1"]


def test_will_of_a_client_that_is_taken_over(mosquitto, topic):
    watcher = mosquitto.subscribe("-t", topic, "-q", "1")
    client_id = unique("mosq")
    mosquitto.subscribe("-t", f"{topic}/other", "--will-topic", topic, "--will-payload", "gone", client_id=client_id)
    mosquitto.publish("-t", f"{topic}/x", "-m", "x", client_id=client_id)
    assert mosquitto.received(watcher) == [f"{topic}|gone|0|0"]


def test_denied_connect(mosquitto, account, server):
    device = account.device(allow("iot:Connect", server.arn("client/somebody-else")))
    assert mosquitto.publish("-t", "a", "-m", "x", device=device).returncode != 0


def test_denied_publish(mosquitto, protocol, restricted, server):
    mark, client_id = server.log_mark(), unique("mosq")
    done = mosquitto.publish("-t", "secret", "-m", "x", "-q", "1", device=restricted, client_id=client_id)
    if protocol == "mqttv5":
        assert "Not authorized" in done.stdout + done.stderr, done
    else:
        assert done.returncode != 0, done
    server.wait_for_log(client_id, "iot:Publish", "secret", since=mark)


def test_denied_subscribe(mosquitto, protocol, restricted):
    command = mosquitto.command("mosquitto_sub", restricted, None, "-t", "secret", "-W", "3", "-d")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    text = done.stdout + done.stderr
    if protocol == "mqttv5":
        assert "135" in text or "denied" in text.lower(), text
    else:
        assert "SUBACK" not in text, text
