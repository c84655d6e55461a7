"""A page in a real browser: MQTT.js over a presigned WebSocket URL, as web applications of AWS IoT do it."""

import json
import subprocess

import pytest

from clients import NODE_DIR

WITHIN = 90.0


def page(server, path, version, topic):
    """What a page sees that opens the path, subscribes to the topic and publishes to it."""
    order = dict(url=f"wss://localhost:{server.ports['tls']}{path}", topic=topic, payload="hellö", version=version)
    done = subprocess.run(["node", "browser.mjs"], cwd=NODE_DIR, input=json.dumps(order), capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    if "absent" in seen:
        pytest.skip(f"no browser: {seen['absent'][:500]}")
    return seen


def path(server, **wrong):
    return server.account.owner().presigned_path(f"localhost:{server.ports['tls']}", **wrong)


@pytest.mark.parametrize("version", [4, 5], ids=["v311", "v5"])
def test_a_page_talks_over_a_presigned_url(server, topic, version):
    seen = page(server, path(server), version, topic)
    assert "Chrome" in seen.pop("userAgent")
    assert seen == {"topic": topic, "payload": "hellö", "qos": 1}


def test_a_page_with_a_wrong_signature(server, topic):
    seen = page(server, path(server, secret="wrong"), 5, topic)
    assert "topic" not in seen and seen["error"]
