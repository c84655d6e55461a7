"""The export to an OpenTelemetry collector: a small collector decodes what real clients bring about.

The collector speaks OTLP over HTTP with JSON bodies (opentelemetry-proto, *collector/metrics* and *collector/logs*).
"""

import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from clients import Paho5, Refused
from provision import allow, unique
from server import binary, clean_environment

WITHIN = 20.0


class Collector:
    """Keeps what comes. `statuses` are the answers to the first requests; after those it takes everything."""

    def __init__(self, port=0, statuses=()):
        self.statuses, self.requests, self.news = list(statuses), [], threading.Condition()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                owner.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, request):
        body = json.loads(request.rfile.read(int(request.headers["content-length"])))
        with self.news:
            status = self.statuses.pop(0) if self.statuses else 200
            if status == 200:
                self.requests.append((request.path, dict(request.headers), body))
            self.news.notify_all()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    def until(self, find):
        """What `find` makes of what came so far, as soon as it is something."""
        end = time.monotonic() + WITHIN
        with self.news:
            while not (found := find(self)):
                left = end - time.monotonic()
                assert left > 0 and self.news.wait(left), [path for path, _, _ in self.requests]
            return found

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- decoding ----

    def metric(self, name, **labels):
        """The newest value of a data point, with the metric."""
        for path, _, body in reversed(self.requests):
            if path.endswith("/v1/metrics"):
                for metric in body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
                    if metric["name"] == name:
                        points = (metric.get("sum") or metric["gauge"])["dataPoints"]
                        return metric, [int(point["asInt"]) for point in points if decoded(point) == labels][0]
        return None

    def entries(self):
        """Attributes, body and severity of each log record."""
        return [
            dict(decoded(record), body=record["body"]["stringValue"], severity=record["severityText"])
            for path, _, body in self.requests if path.endswith("/v1/logs")
            for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]]


def decoded(thing):
    """The attributes of a resource, point or record."""
    return {pair["key"]: value(pair["value"]) for pair in thing.get("attributes", [])}


def value(any_value):
    ((kind, inner),) = any_value.items()
    if kind == "arrayValue":
        return [value(item) for item in inner["values"]]
    if kind == "kvlistValue":
        return {pair["key"]: value(pair["value"]) for pair in inner["values"]}
    return int(inner) if kind == "intValue" else inner


@pytest.fixture
def collector():
    one = Collector()
    yield one
    one.close()


def configured(folder, collector, extra=""):
    path = folder / "otlp.toml"
    path.write_text(f'[otlp]\nendpoint = "{collector.url}"\ninterval_seconds = 0.2\n{extra}')
    return "--config", path


def test_metrics_and_entries_reach_a_collector(new_server, tmp_path, collector):
    extra = '[otlp.headers]\nx-tenant = "seven"\n[otlp.attributes]\n"deployment.environment.name" = "test"\n'
    server = new_server(*configured(tmp_path, collector, extra))
    device = server.account.device(allow("iot:Connect", "*"), allow("iot:Publish", server.arn("topic/mine")))
    client = Paho5(server, device, unique("sensor"))
    client.connect()
    client.publish("mine", b"12345", qos=1)
    with pytest.raises(Refused):
        client.publish("not/mine", b"x", qos=1)
    client.close()

    collector.until(lambda c: (c.metric("aws_iot_publish_in_success", protocol="MQTT") or (0, 0))[1] == 1)
    metric, count = collector.until(lambda c: c.metric("aws_iot_publish_in_auth_error", protocol="MQTT"))
    assert count == 1 and metric["sum"]["isMonotonic"] and metric["sum"]["aggregationTemporality"] == 2
    assert metric["description"].startswith("AWS/IoT PublishIn.AuthError")
    assert collector.metric("thingcore_publish_in_bytes", protocol="MQTT")[1] == 5
    assert collector.metric("thingcore_resident_memory_bytes")[1] > 0
    ended = dict(reason="CLIENT_INITIATED_DISCONNECT")
    collector.until(lambda c: c.metric("thingcore_disconnects", **ended)[1] == 1)
    # The same names as on the page for Prometheus, which adds _total to counters; none is missing.
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['admin']}/metrics", timeout=10) as answer:
        page = {line.split()[2] for line in answer.read().decode().splitlines() if line.startswith("# TYPE")}
    path, headers, body = next(request for request in collector.requests if request[0] == "/v1/metrics")
    sent = {metric["name"] for metric in body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]}
    assert sent == page
    assert headers["content-type"] == "application/json" and headers["x-tenant"] == "seven"
    resource = decoded(body["resourceMetrics"][0]["resource"])
    assert resource["service.name"] == "thingcore" and resource["deployment.environment.name"] == "test"
    assert (resource["cloud.account.id"], resource["cloud.region"]) == (server.account_id, server.region)

    denied = collector.until(lambda c: [entry for entry in c.entries() if entry["event"] == "publish.denied"])[0]
    assert (denied["eventType"], denied["status"], denied["reason"]) == ("Publish-In", "Failure", "AUTHORIZATION_FAILURE")
    assert (denied["clientId"], denied["topicName"]) == (client.client_id, "not/mine")
    assert denied["severity"] == "ERROR" and "may not iot:Publish" in denied["body"]
    assert device.policy_name in denied["remedy"]
    # What is said at the very end is exported too.
    server.stop()
    assert [entry for entry in collector.entries() if entry["event"] == "broker.stopping"]


def test_a_collector_that_is_away_costs_nothing(new_server, tmp_path):
    """Clients are served, one line says so, what waited comes when the collector does, and the end is not held up."""
    collector = Collector()
    port = collector.server.server_address[1]
    collector.close()
    # Bound and not listening: nobody is there, and nobody else takes the port.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    server = new_server(*configured(tmp_path, collector))
    failed = json.loads(server.wait_for_log('"event":"export.failed"'))
    assert str(port) in failed["details"] and "of [otlp] runs" in failed["remedy"]
    client = Paho5(server, server.account.everything(), unique("sensor"))
    client.connect()
    client.publish("a/b", b"x", qos=1)
    client.close()
    collector = Collector(port)
    try:
        entries = collector.until(lambda c: [entry for entry in c.entries() if entry.get("clientId") == client.client_id])
        assert {"connect.accepted", "connection.ended"} <= {entry["event"] for entry in entries}
        assert collector.until(lambda c: c.metric("thingcore_otlp_failures"))[1] >= 1
        assert collector.metric("thingcore_otlp_log_records_dropped")[1] == 0
        server.wait_for_log('"event":"export.resumed"')
    finally:
        collector.close()
        held.close()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10


def test_an_endpoint_that_cannot_be_is_refused_at_the_start(tmp_path):
    for endpoint, says in (("https://collector.example.com", "ca_file"), ("collector:4318", "http://")):
        command = [binary(), "serve", "--data-dir", str(tmp_path / "data"), "--otlp-endpoint", endpoint]
        for port in ("mqtt", "tls", "https", "api", "admin"):
            command += [f"--{port}-port", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
        assert done.returncode == 1 and "[otlp]" in done.stderr and says in done.stderr, done.stderr
