"""`thingcore policy ...`: what the tools say about policies is what two real clients meet."""

import json
import pathlib
import subprocess

import pytest

from clients import AwsSdk5, Refused
from provision import allow, deny, document, unique
from server import binary, clean_environment

ARN = "arn:aws:iot:us-east-1:123456789012:"
THING = "${iot:Connection.Thing.ThingName}"


def policy(*words, code=0):
    """Runs `thingcore policy ...` and gives what it prints."""
    done = subprocess.run([binary(), "policy", *map(str, words)], capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == code, f"exit code {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def leaking(arn=ARN, root="fleet"):
    """The policy of docs/policies.md: each device publishes under its own name, and reads the whole fleet."""
    return document(
        allow("iot:Connect", f"{arn}client/{THING}"),
        allow("iot:Publish", f"{arn}topic/{root}/{THING}/telemetry"),
        allow("iot:Subscribe", f"{arn}topicfilter/{root}/*"),
        allow("iot:Receive", f"{arn}topic/{root}/*"))


def mended(arn=ARN, root="fleet"):
    return document(
        allow("iot:Connect", f"{arn}client/{THING}"),
        allow("iot:Publish", f"{arn}topic/{root}/{THING}/telemetry"),
        allow("iot:Subscribe", f"{arn}topicfilter/{root}/{THING}/*"),
        allow("iot:Receive", f"{arn}topic/{root}/{THING}/*"))


@pytest.fixture
def written(tmp_path):
    def write(text, name="policy.json"):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write


def leak_row(*words):
    rows = json.loads(policy("reach", *words, "--format", "json"))
    return next(row for row in rows if row["question"].startswith("read what"))


# ---- the chapter: found, proved, mended, proved ----------------------------------------------------------------


def test_check_finds_the_leak_with_a_witness_and_the_mended_policy_is_clean(written):
    findings = json.loads(policy("check", written(leaking()), "--format", "json", code=3))
    leak = next(finding for finding in findings if finding["id"] == "fleet-leak")
    assert leak["severity"] == "high" and "fleet/" in leak["witness"], leak
    assert leak["line"] == 1 and leak["column"] > 1
    findings = json.loads(policy("check", written(mended()), "--format", "json"))
    assert [finding["id"] for finding in findings] == ["no-retain-publish"]


def test_reach_proves_the_leak_and_its_absence(written):
    row = leak_row("--policy", written(leaking()))
    assert row["answer"] == "yes"
    reader, writer = row["witness"]["devices"]
    assert reader["clientId"] != writer["clientId"]
    assert leak_row("--policy", written(mended()))["answer"] == "no"
    policy("reach", "--policy", written(mended()), "--expect", "no")
    policy("reach", "--policy", written(leaking()), "--expect", "no", code=3)


def test_diff_says_that_the_mended_policy_is_stricter(written):
    first, second = written(leaking(), "first.json"), written(mended(), "second.json")
    told = json.loads(policy("diff", first, second, "--format", "json"))
    assert told["second"] == "stricter", told
    policy("diff", first, second, "--no-looser")
    policy("diff", second, first, "--no-looser", code=3)


def test_the_readmes_walk(tmp_path):
    """The policy and the commands of README.md, word for word."""
    chapter = (pathlib.Path(__file__).parents[2] / "README.md").read_text().split("## Policies you can reason about")[1]
    fleet, walk = (block.split("```")[0] for block in (chapter.split("```json\n")[1], chapter.split("```\n\n")[1].split("```\n")[1]))
    for name, text in (("fleet.json", fleet), ("mended.json", fleet.replace("fleet/*", f"fleet/{THING}/*"))):
        (tmp_path / name).write_text(text)
    assert json.loads(fleet) == json.loads(leaking()), "the devices of the other tests have the README's policy"
    lines = [line.split("#")[0].split() for line in walk.splitlines()]
    assert [words[:3] for words in lines] == [["thingcore", "policy", word] for word in ("check", "reach", "reach", "diff")]
    codes = [subprocess.run([binary(), *words[1:]], cwd=tmp_path, capture_output=True, env=clean_environment(), timeout=60).returncode
             for words in lines]
    assert codes == [3, 3, 0, 0]


def heard(server, account, make, root):
    """Whether one device gets what another publishes on its own topic, through the filter of the witness."""
    names = unique("reader"), unique("writer")
    name = account.iot.create_policy(policyName=unique("fleet"), policyDocument=make(server.arn(""), root))["policyName"]
    devices = []
    for thing in names:
        device = account.certificate(thing)
        account.iot.create_thing(thingName=thing)
        account.iot.attach_thing_principal(thingName=thing, principal=device.arn)
        device.attach(name)
        devices.append(device)
    reader, writer = (AwsSdk5(server, device, device.name) for device in devices)
    try:
        reader.connect()
        writer.connect()
        try:
            reader.subscribe(f"{root}/{names[1]}/telemetry", 1)
        except Refused:
            return False, devices
        writer.publish(f"{root}/{names[1]}/telemetry", b"secret", 1)
        return reader.message().payload == b"secret", devices
    finally:
        reader.close()
        writer.close()


def test_two_devices_meet_what_the_tools_say(server, account):
    """The leak is real with the policy of the chapter, and gone with the mended one."""
    root = unique("fleet")
    assert heard(server, account, leaking, root)[0] is True
    assert heard(server, account, mended, unique("fleet"))[0] is False


def test_policies_of_a_running_server(server, account):
    _, (reader, _) = heard(server, account, leaking, unique("fleet"))
    where = ["--data-dir", server.data_dir]
    for principal in (reader.certificate_id, reader.name):
        rows = json.loads(policy("reach", "--principal", principal, *where, "--format", "json"))
        assert any(row["question"] == "receive some topic" and row["answer"] == "yes" for row in rows), rows
    told = policy("explain", "--principal", reader.name, *where, "--action", "iot:Connect", "--resource", "client/x",
                  "--client-id", "x")
    assert told.startswith("IMPLICIT_DENY") and "iot:Connection.Thing.ThingName" in told, told


def members(account, document_text, count):
    """A group of things whose certificates have one policy."""
    group = unique("group")
    account.iot.create_thing_group(thingGroupName=group)
    name = account.iot.create_policy(policyName=unique("fleet"), policyDocument=document_text)["policyName"]
    devices = []
    for _ in range(count):
        device = account.certificate(unique("member"))
        account.iot.create_thing(thingName=device.name)
        account.iot.attach_thing_principal(thingName=device.name, principal=device.arn)
        account.iot.add_thing_to_thing_group(thingGroupName=group, thingName=device.name)
        device.attach(name)
        devices.append(device.name)
    return f"thinggroup/{group}", sorted(devices)


def test_a_group_of_things_is_analysed_as_one(server, account):
    """Whether a device of one group can read what devices of another publish; equal policies count once."""
    root, arn, where = unique("fleet"), server.arn(""), ["--data-dir", server.data_dir, "--format", "json"]
    first, names = members(account, mended(arn, root), 3)
    spies, (spy,) = members(account, document(
        allow("iot:Connect", f"{arn}client/{THING}"), allow("iot:Subscribe", f"{arn}topicfilter/{root}/*"),
        allow("iot:Receive", f"{arn}topic/{root}/*/telemetry")), 1)
    rows = json.loads(policy("reach", "--principal", first, *where))
    assert all(sorted(row["principals"]) == names for row in rows), rows
    assert next(row for row in rows if row["question"].startswith("read what"))["answer"] == "no"
    receive = next(row for row in rows if row["question"].startswith("receive"))
    assert [part["names"] for part in receive["parts"]] == [[f"{root}/{THING}/*"]]
    policy("reach", "--principal", first, "--writer-principal", spies, *where, "--expect", "no")
    told = json.loads(policy("reach", "--principal", spies, "--writer-principal", first, *where, "--expect", "yes"))
    reads = next(row for row in told if row["question"].startswith("read what"))
    assert reads["principals"] == [spy] and reads["witness"]["name"].endswith("/telemetry"), reads
    cells = json.loads(policy("matrix", "--principal", first, "--topics", f"{root}/{names[0]}/telemetry", *where))
    publishes = {row["principal"]: row["topics"][0]["answers"]["publish"]["answer"] for row in cells}
    assert publishes == {name: "yes" if name == names[0] else "no" for name in names}


# ---- the other commands ----------------------------------------------------------------------------------------


def test_explain_shows_every_statement_and_the_nearest(written):
    path = written(document(
        allow("iot:Publish", f"{ARN}topic/a/${{iot:ClientId}}", Sid="Own"), allow("iot:Receive", f"{ARN}topic/a"),
        deny("iot:Publish", f"{ARN}topic/a/secret")))
    words = ["--policy", path, "--action", "iot:Publish", "--client-id", "c1", "--format", "json"]
    told = json.loads(policy("explain", *words, "--resource", "topic/a/c2"))
    assert told["decision"] == "IMPLICIT_DENY"
    assert [s["applies"] for s in told["statements"]] == [False, False, False]
    assert told["nearest"]["sid"] == "Own" and "topic/a/c1" in told["nearest"]["why"]
    told = json.loads(policy("explain", *words, "--resource", "topic/a/c1"))
    assert told["decision"] == "ALLOWED" and told["nearest"]["statement"] == 3


def test_reach_shows_all_that_is_reached_as_patterns(written):
    path = written(document(
        allow("iot:Connect", f"{ARN}client/{THING}"), allow("iot:Publish", f"{ARN}topic/up/{THING}/*"),
        deny("iot:Publish", f"{ARN}topic/up/*/secret"), allow("iot:Subscribe", [f"{ARN}topicfilter/down/*", f"{ARN}topicfilter/all/+/x"]),
        allow("iot:Receive", [f"{ARN}topic/down/{THING}/*", f"{ARN}topic/all/*"])))
    rows = {row["question"]: row for row in json.loads(policy("reach", "--policy", path, "--format", "json"))}
    sent, = rows["publish to some topic"]["parts"]
    assert (sent["names"], sent["except"], sent["associations"]) == ([f"up/{THING}/*"], ["up/*/secret"], ["attached", "exclusive"]), sent
    got = {part["through"]["filters"]: part["names"] for part in rows["receive some topic"]["parts"]}
    assert got == {"down/*": [f"down/{THING}/*"], "all/+/x": ["all/*"]}
    assert all(part["witness"]["filter"] for part in rows["receive some topic"]["parts"])
    told = policy("reach", "--policy", path)
    assert "all of" in told and f"up/{THING}/*" in told, told


def test_matrix_shows_who_may_do_what(written):
    path = written(document(
        allow("iot:Connect", f"{ARN}client/*"), allow("iot:Publish", f"{ARN}topic/up/*"),
        allow("iot:Subscribe", f"{ARN}topicfilter/down/*"), allow("iot:Receive", f"{ARN}topic/down/*")))
    rows = json.loads(policy("matrix", "--policy", path, "--topics", "up/#", "--topics", "down/1", "--format", "json"))
    words = [{deed: answer["answer"] for deed, answer in cell["answers"].items()} for cell in rows[0]["topics"]]
    assert words[0] == {"publish": "yes", "retain": "no", "subscribe": "no", "receive": "no"}
    assert words[1] == {"publish": "no", "retain": "no", "subscribe": "yes", "receive": "yes"}


def test_check_reads_templates_plans_and_folders_and_writes_sarif(written, tmp_path):
    everything = json.loads(document(allow("iot:*", "*")))
    written(json.dumps({"Resources": {"Fleet": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": everything}}}}), "template.json")
    resource = {"address": "aws_iot_policy.p", "type": "aws_iot_policy", "values": {"policy": json.dumps(everything)}}
    written(json.dumps({"planned_values": {"root_module": {"resources": [resource]}}}), "plan.json")
    written("[]", "other.json")
    findings = json.loads(policy("check", tmp_path, "--format", "json", code=3))
    assert {finding["document"] for finding in findings if finding["audit"]} == {"Fleet", "aws_iot_policy.p"}
    log = json.loads(policy("check", tmp_path, "--format", "sarif", "--fail-on", "never"))
    assert log["version"] == "2.1.0" and log["runs"][0]["results"][0]["ruleId"]
    assert "broad-access" in policy("check", tmp_path / "plan.json", code=3)


def test_what_cannot_be_read_is_said(written):
    done = subprocess.run([binary(), "policy", "check", written("Resources: {}", "a.json")], capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == 1 and "YAML" in done.stderr


# ---- recorded traffic ------------------------------------------------------------------------------------------


def said(event, client, topic="", **more):
    return json.dumps(dict(event=event, clientId=client, topic=topic, **more))


@pytest.fixture
def recorded(tmp_path):
    """What `thingcore tail --format json` writes of two devices of the fleet."""
    lines = []
    for device in ("d1", "d2"):
        lines += [said("connect.accepted", device), said("publish.accepted", device, f"fleet/{device}/telemetry"),
                  said("subscribe.accepted", device, f"fleet/{device}/#"), said("delivery.sent", device, f"fleet/{device}/cmd")]
    lines.append(said("publish.denied", "d1", "admin"))
    path = tmp_path / "traffic.jsonl"
    path.write_text("\n".join(lines) + "\nnot a line of events\n")
    return path


def test_suggest_writes_the_least_policy_and_says_what_of_todays_would_go(recorded, written):
    today = json.loads(leaking())
    today["Statement"].append(allow("iot:Publish", f"{ARN}topic/debug/*", Sid="Old"))
    told = json.loads(policy("suggest", "--log", recorded, "--today", written(json.dumps(today)), "--format", "json"))
    assert {s["Action"]: s["Resource"] for s in told["policy"]["Statement"]} == {
        "iot:Connect": [f"{ARN}client/{THING}"], "iot:Publish": [f"{ARN}topic/fleet/{THING}/telemetry"],
        "iot:Subscribe": [f"{ARN}topicfilter/fleet/{THING}/#"], "iot:Receive": [f"{ARN}topic/fleet/{THING}/cmd"]}
    assert [row["sid"] for row in told["today"] if row["requests"] == 0] == ["Old"]
    assert told["deniedRequests"] == 1
    suggestion = written(json.dumps(told["policy"]), "suggested.json")
    policy("replay", "--log", recorded, "--policy", suggestion, "--today", written(leaking(), "today.json"))
    policy("reach", "--policy", suggestion, "--expect", "no")


def test_replay_tells_what_would_fail_and_what_is_newly_open(recorded, written):
    narrow = written(document(allow("iot:Connect", f"{ARN}client/d1"), allow("iot:Publish", f"{ARN}topic/admin")), "narrow.json")
    today = written(leaking(), "today.json")
    told = json.loads(policy("replay", "--log", recorded, "--client", "d1", "--policy", narrow, "--today", today, "--format", "json", code=3))
    assert {row["resource"] for row in told["newlyFailing"]} == {
        "topic/fleet/d1/telemetry", "topicfilter/fleet/d1/#", "topic/fleet/d1/cmd"}
    assert [row["resource"] for row in told["newlyAllowed"]] == ["topic/admin"]
    opened = {row["action"]: row["open"] for row in told["newlyOpen"]}
    assert opened["iot:Publish"]["answer"] == "yes" and opened["iot:Publish"]["witness"]["name"] == "admin"


def test_suggest_from_a_running_server(server, account, tmp_path):
    """What tail writes of a device is enough for a policy with which the device does the same again."""
    tail = subprocess.Popen(
        [binary(), "tail", "--data-dir", server.data_dir, "--level", "debug", "--format", "json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    try:
        assert "following" in tail.stderr.readline()
        _, (reader, writer) = heard(server, account, leaking, unique("fleet"))
        lines = []
        for line in tail.stdout:
            lines.append(line)
            event = json.loads(line)
            if event["event"] == "connection.ended" and event.get("clientId") == writer.name:
                break
    finally:
        tail.kill()
        tail.communicate()
    log = tmp_path / "tail.jsonl"
    log.write_text("".join(lines))
    told = json.loads(policy("suggest", "--log", log, "--client", writer.name, "--format", "json"))
    assert {s["Action"] for s in told["policy"]["Statement"]} == {"iot:Connect", "iot:Publish"}
    assert all(THING in resource for s in told["policy"]["Statement"] for resource in s["Resource"])


def test_suggest_follows_a_running_server_and_replay_asks_what_it_remembers(server, account, written):
    """Without a file between: the events as they happen, and the flight recorder."""
    where = ["--data-dir", str(server.data_dir)]
    watch = subprocess.Popen(
        [binary(), "policy", "suggest", "--live", "8", *where, "--format", "json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
    assert "following" in watch.stderr.readline()
    root = unique("fleet")
    _, (reader, writer) = heard(server, account, leaking, root)
    out, err = watch.communicate(timeout=60)
    assert watch.returncode == 0, err
    resources = [resource for s in json.loads(out)["policy"]["Statement"] for resource in s["Resource"]]
    assert any(resource.endswith(f"topic/{root}/{THING}/telemetry") for resource in resources), resources
    nothing = written(document(allow("iot:Connect", f"{ARN}client/{reader.name}")), "nothing.json")
    told = json.loads(policy("replay", "--remembered", reader.name, *where, "--policy", nothing, "--format", "json", code=3))
    assert [row["resource"] for row in told["newlyFailing"]] == [f"topicfilter/{root}/{writer.name}/telemetry"]
