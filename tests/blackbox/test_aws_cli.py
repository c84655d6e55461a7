"""The AWS CLI as it comes from its package."""

import json
import os
import subprocess

from provision import ALLOW_ALL, unique
from server import clean_environment


def aws(server, *words, check=True, url=None, **changed):
    """What the command answers, or how it went if that is not to be checked; `changed`: other environment variables."""
    environment = {**clean_environment(), **server.credentials(), "AWS_CA_BUNDLE": server.ca_file, **changed}
    url = url or server.ready["data_url" if words[0] == "iot-data" else "api_url"]
    command = ["aws", "--endpoint-url", url, "--output", "json", "--cli-connect-timeout", "20", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    if check:
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None
    return done


def test_things_and_an_error(server):
    name = unique("cli")
    made = aws(server, "iot", "create-thing", "--thing-name", name, "--attribute-payload", '{"attributes":{"a":"b"}}')
    assert made["thingArn"] == server.arn(f"thing/{name}")
    assert aws(server, "iot", "describe-thing", "--thing-name", name)["attributes"] == {"a": "b"}
    failed = aws(server, "iot", "describe-thing", "--thing-name", unique("nothing"), check=False)
    assert failed.returncode != 0 and "ResourceNotFoundException" in failed.stderr, failed.stderr


def test_certificate_and_policy(server, tmp_path):
    name, file = unique("cli"), tmp_path / "policy.json"
    file.write_text(ALLOW_ALL)
    made = aws(server, "iot", "create-keys-and-certificate", "--set-as-active", "--certificate-pem-outfile", str(tmp_path / "c.pem"),
               "--private-key-outfile", str(tmp_path / "k.pem"))
    assert "BEGIN CERTIFICATE" in (tmp_path / "c.pem").read_text() and "PRIVATE KEY" in (tmp_path / "k.pem").read_text()
    aws(server, "iot", "create-policy", "--policy-name", name, "--policy-document", f"file://{file}")
    aws(server, "iot", "attach-policy", "--policy-name", name, "--target", made["certificateArn"])
    assert aws(server, "iot", "list-targets-for-policy", "--policy-name", name)["targets"] == [made["certificateArn"]]


def publishing(topic, text):
    """The words that publish a text; version 2 of the CLI takes base64 unless it is told."""
    raw = ["--cli-binary-format", "raw-in-base64-out"] if os.environ.get("AWS_CLI_V2") else []
    return ["iot-data", "publish", "--topic", topic, "--qos", "1", *raw, "--payload", text]


def test_publish(server, connected, topic):
    client = connected()
    client.subscribe(topic)
    aws(server, *publishing(topic, "hello"))
    assert client.message().payload == b"hello"


def test_billing_groups(server):
    group, thing = unique("cli"), unique("cli")
    aws(server, "iot", "create-billing-group", "--billing-group-name", group,
        "--billing-group-properties", "billingGroupDescription=of the CLI")
    aws(server, "iot", "create-thing", "--thing-name", thing)
    aws(server, "iot", "add-thing-to-billing-group", "--billing-group-name", group, "--thing-name", thing)
    assert aws(server, "iot", "describe-thing", "--thing-name", thing)["billingGroupName"] == group
    assert aws(server, "iot", "list-things-in-billing-group", "--billing-group-name", group)["things"] == [thing]
    aws(server, "iot", "delete-billing-group", "--billing-group-name", group)
