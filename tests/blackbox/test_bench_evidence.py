"""`thingcore-bench soak`, `overload` and `capacity`, small: that they measure, judge, and write the files that the page of
evidence is made of. The numbers of a few seconds say nothing, so only those rules are asked for that no machine is too slow for. And
by what `workshop/kills.py` judges a run."""

import importlib.util
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from server import GLANCE, binary, clean_environment

RULE = {"rule", "value", "bound", "met", "unit"}


def program():
    """thingcore-bench: beside the server, or the dev build of this checkout."""
    here = Path(__file__).resolve().parents[2] / "target" / "debug" / "thingcore-bench"
    found = next((path for path in (Path(binary()).with_name("thingcore-bench"), here) if path.is_file()), None)
    assert found, f"{here} does not exist: run `cargo build -p thingcore-bench`"
    return found


def measure(folder, command, *arguments):
    """Runs a command of thingcore-bench; gives its evidence, and the process."""
    out = folder / "evidence" / f"{command}.json"
    words = [program(), command, "--thingcore", binary(), "--out", out, "--commit", "abc", *arguments]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120,
                          env=clean_environment(), cwd=folder)
    assert out.is_file(), f"{words} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
    evidence = json.loads(out.read_text())
    assert evidence["kind"] == command and evidence["commit"] == "abc" and evidence["date"].endswith("Z")
    assert evidence["machine"]["cores"] > 0 and all(set(rule) == RULE for rule in evidence["verdict"])
    assert evidence["met"] == all(rule["met"] for rule in evidence["verdict"]) == (done.returncode == 0), done.stdout
    return evidence, done


def value(evidence, words):
    """The value of the one rule that says this."""
    (rule,) = [rule for rule in evidence["verdict"] if words in rule["rule"]]
    return rule["value"]


def picture(path):
    text = path.read_text()
    assert text.startswith("<svg") and "<polyline" in text and "NaN" not in text


def test_a_soak_moves_everything_and_loses_nothing(tmp_path):
    evidence, done = measure(
        tmp_path, "soak", "--minutes", "0.05", "--capacity", "600", "--pairs", "8", "--storm", "6", "--storm-every", "1.5",
        "--away", "2", "--changing", "2", "--readers", "2", "--sample", "0.5")
    for words in ("errors of any client", "QoS 1 messages lost", "QoS 0 messages lost", "QoS 0 messages that", "broker refused"):
        assert value(evidence, words) == 0, (words, evidence["totals"], done.stderr)
    totals = evidence["totals"]
    churn = totals["churn"]
    assert churn["queued"] == churn["drained"] > 0 and churn["drained_again"] == 0
    assert all(churn[what] > 0 for what in ("returns", "subscriptions", "policy_edits", "retained_updates", "retained_reads"))
    assert totals["qos0"]["delivered"] > 0 and totals["qos1"]["delivered"] == totals["qos1"]["acknowledged"] > 0
    samples = evidence["samples"]
    assert len(samples) >= 4 and all(sample["resident_bytes"] > 0 and sample["descriptors"] > 20 for sample in samples)
    lines = [json.loads(line) for line in (tmp_path / "evidence" / "soak.jsonl").read_text().splitlines()]
    assert lines[0]["rate"] == 420 and lines[1:] == samples, "the file that a stopped soak leaves"
    picture(tmp_path / "evidence" / "soak-latency.svg")
    picture(tmp_path / "evidence" / "soak-resources.svg")


def test_a_soak_that_is_stopped_judges_what_there_was(tmp_path):
    out, lines = tmp_path / "soak.json", tmp_path / "soak.jsonl"
    words = [program(), "soak", "--thingcore", binary(), "--out", out, "--minutes", "9", "--capacity", "300", "--pairs", "8",
             "--storm", "0", "--away", "0", "--changing", "0", "--readers", "0", "--sample", "0.2"]
    with subprocess.Popen([str(word) for word in words], env=clean_environment(), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, cwd=tmp_path) as soak:
        end = time.monotonic() + 60
        while not lines.is_file() or len(lines.read_text().splitlines()) < 5:
            assert time.monotonic() < end and soak.poll() is None
            time.sleep(GLANCE)
        soak.send_signal(signal.SIGTERM)
        soak.wait(60)
    evidence = json.loads(out.read_text())
    assert len(evidence["samples"]) >= 4 and evidence["settings"]["minutes_that_it_lasted"] < 1
    assert value(evidence, "errors of any client") == value(evidence, "QoS 1 messages lost") == 0
    picture(tmp_path / "soak-latency.svg")


def test_overload_is_throttled_as_aws_says_and_nobody_is_thrown_out(tmp_path):
    evidence, done = measure(
        tmp_path, "overload", "--quotas", "aws", "--before", "3", "--seconds", "2", "--after", "3", "--pairs", "8")
    assert value(evidence, "met an error") == value(evidence, "not dropped under a name") == 0, done.stderr
    assert value(evidence, "QoS 0 messages sent, not delivered and not counted") == 0, done.stderr
    assert evidence["runs"]["aws"]["qos0_sent_and_not_delivered"] > 0, "discarded, each under a name"
    assert value(evidence, "PUBACK 0x97") > 0 and value(evidence, "no more than the quota") < 1.5
    assert evidence["runs"]["aws"]["capacity"] == 800 and evidence["runs"]["aws"]["offered_per_second"] == 2400
    assert {sample["phase"] for sample in evidence["samples"]} == {"before", "overload", "after"}
    picture(tmp_path / "evidence" / "overload-aws.svg")


def test_connections_that_fit_are_told_as_an_extrapolation(tmp_path):
    evidence, done = measure(tmp_path, "capacity", "--points", "5,10,20", "--rest", "0.2", "--memory", "1")
    assert value(evidence, "ended by themselves") == 0
    assert [point["connections"] for point in evidence["points"]] == [0, 5, 10, 20]
    assert evidence["result"]["extrapolated"] is True and "extrapolation" in evidence["result"]["how"]
    picture(tmp_path / "evidence" / "capacity.svg")


WHOLE = {"kills": 500, "acknowledged": 9_000, "lost": 0, "shared_lost": 0, "retained_lost": 0, "things": 9, "things_lost": 0,
         "kills_before_any_acknowledgement": 50, "folder_sound": True}
BROKEN = [("lost", 1), ("shared_lost", 1), ("retained_lost", 1), ("things_lost", 1), ("folder_sound", False), ("acknowledged", 0),
          ("acknowledged", 499), ("things", 0), ("kills_before_any_acknowledgement", 51)]


@pytest.mark.parametrize(("what", "found"), BROKEN)
def test_kills_that_could_lose_nothing_are_no_success(what, found):
    spec = importlib.util.spec_from_file_location("kills", Path(__file__).resolve().parents[2] / "workshop" / "kills.py")
    kills = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kills)
    assert kills.verdict(WHOLE) == 0 and kills.verdict({**WHOLE, what: found}) == 1
