"""HTTPS requests as a device makes them: one connection, any ALPN, with or without a client certificate."""

import http.client
import json

import wire
from websocket import own_address


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.status}, {self.headers}, {self.body[:300]!r})"


class Https:
    """One connection to a device port; requests go over it one after another."""

    def __init__(self, server, port="https", device=None, alpn=(), context=None):
        context = context or wire.tls_context(server, device)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.connection = http.client.HTTPSConnection(
            "localhost", server.ports[port], context=context, timeout=wire.DEADLINE, source_address=(own_address(), 0))

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        return Answer(self.connection.getresponse())

    def publish(self, topic, payload, query="", headers=None):
        return self.ask("POST", f"/topics/{topic}{'?' if query else ''}{query}", payload, headers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def assert_accepted(answer):
    """200 with the body that AWS sends: its id in header and body."""
    assert answer.status == 200 and answer.headers["content-type"] == "application/json", answer
    assert answer.json == {"message": "OK", "traceId": answer.headers["x-amzn-requestid"]}, answer


def assert_refused(answer, status, message=None):
    """A refusal in the shape of AWS's data plane; the message only where AWS tells none of its reasons."""
    assert answer.status == status, answer
    assert answer.json["traceId"] == answer.headers["x-amzn-requestid"], answer
    if message:
        assert answer.json["message"] == message, answer
