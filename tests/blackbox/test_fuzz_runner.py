"""`fuzz/run.py` and `fuzz/seeds.py` without a compiler and without a fuzzer: what is read out of libFuzzer's log, whose turn it is,
and that each target has what runner, manifest and page need of it."""

import argparse
import datetime
import importlib.util
import itertools
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "fuzz"
BEGAN = datetime.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=datetime.timezone.utc)
LOG = """INFO: Running with entropic power schedule (0xFF, 100).
INFO: Seed: 2166136261
INFO: Loaded 1 modules   (4169 inline 8-bit counters): 4169 [0x55d0c8a0, 0x55d0d8e9),
INFO: Loaded 1 PC tables (4169 PCs): 4169 [0x55d0d8f0,0x55d1ddc0),
INFO: seed corpus: files: 3 min: 1b max: 90b total: 200b rss: 30Mb
#4\tINITED cov: 300 ft: 310 corp: 3/200b exec/s: 0 rss: 31Mb
#65536\tpulse  cov: 1700 ft: 2900 corp: 500/30Kb lim: 800 exec/s: 32768 rss: 40Mb
#73000\tNEW    cov: 1745 ft: 3001 corp: 501/30Kb lim: 877 exec/s: 36500 rss: 41Mb L: 12/90 MS: 1 ChangeBit-
"""
DONE = """#73831\tDONE   cov: 1745 ft: 3001 corp: 501/30Kb lim: 877 exec/s: 36915 rss: 41Mb
Done 73831 runs in 2 second(s)
stat::number_of_executed_units: 73831
stat::average_exec_per_sec:     36915
stat::new_units_added:          498
"""
FOUND = "artifact_prefix='/elsewhere/artifacts/decode/'; Test unit written to /elsewhere/artifacts/decode/crash-0f0e\n"


def module(name):
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", FUZZ / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The runner with a folder of its own, and two inputs in the corpus of `decode`."""
    run = module("run")
    monkeypatch.setattr(run, "HERE", tmp_path)
    corpus = tmp_path / "corpus/decode"
    corpus.mkdir(parents=True)
    for name in ("seed-1", "seed-2"):
        (corpus / name).write_bytes(b"a")
    return run


@pytest.fixture
def line(runner):
    return lambda text, code: runner.record("decode", BEGAN, "0123456789", (text, 1.26, code))


# ---- a line -------------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_log(line):
    assert line(LOG + DONE, 0) == {
        "target": "decode", "date": "2026-01-02T03:04:05+00:00", "commit": "0123456789", "built": None, "dirty": False, "cpu_seconds": 1.3,
        "executions": 73831, "edges": 1745, "edges_in_all": 4169, "corpus": 2, "findings": []}


def test_a_line_tells_when_the_binaries_were_built(runner, line, monkeypatch):
    monkeypatch.setattr(runner.subprocess, "run", lambda *_, **__: (runner.HERE / "target").mkdir(exist_ok=True))
    for dirty in (False, True):
        monkeypatch.setattr(runner, "commit", lambda: "0011223344")
        monkeypatch.setattr(runner, "is_dirty", lambda: dirty)
        runner.build()
        monkeypatch.setattr(runner, "commit", lambda: "later")
        monkeypatch.setattr(runner, "is_dirty", lambda: not dirty)
        assert (line(LOG, 0)["built"], line(LOG, 0)["dirty"]) == ("0011223344", dirty)


def test_a_run_that_was_killed_has_no_statistics_and_still_its_numbers(line):
    killed = line(LOG, -9)
    assert (killed["executions"], killed["edges"], killed["edges_in_all"]) == (73000, 1745, 4169)


def test_a_run_that_said_nothing_has_zeros(line):
    empty = line("", 0)
    assert (empty["executions"], empty["edges"], empty["edges_in_all"], empty["findings"]) == (0, 0, 0, [])


def test_what_was_found_goes_by_the_name_of_its_file(line):
    assert line(LOG + FOUND + DONE, 77)["findings"] == ["crash-0f0e"]
    both = LOG + FOUND + FOUND.replace("crash-0f0e", "slow-unit-00") + DONE
    assert line(both, 0)["findings"] == ["crash-0f0e", "slow-unit-00"], "found is found, whatever the exit code"


@pytest.mark.parametrize("code", [1, 77, -9, -11])
def test_a_bad_end_without_an_input_is_a_finding_too(line, code):
    assert line(LOG, code)["findings"] == [f"exit code {code}"]


# ---- whose turn it is -----------------------------------------------------------------------------------------------


def wanted(**given):
    return argparse.Namespace(**{"targets": ["a", "b"], "rounds": 1, "until": None, **given})


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def test_all_targets_in_each_round(runner):
    assert list(runner.turns(wanted())) == ["a", "b"]
    assert list(runner.turns(wanted(rounds=3))) == ["a", "b"] * 3
    assert list(runner.turns(wanted(rounds=0))) == []


def test_until_a_time_there_are_as_many_rounds_as_fit(runner):
    assert list(runner.turns(wanted(rounds=5, until=now() - datetime.timedelta(seconds=1)))) == []
    asked = wanted(until=now() + datetime.timedelta(days=1))
    turns = runner.turns(asked)
    assert list(itertools.islice(turns, 5)) == ["a", "b", "a", "b", "a"], "more than the rounds"
    asked.until = now()
    assert list(turns) == [], "the time is over within a round"


def test_a_time_of_day_is_the_next_one(runner):
    for text in ("00:00", "03:15", "12:00", "23:59", now().strftime("%H:%M")):
        before = now()
        moment = runner.moment(text)
        assert before < moment <= now() + datetime.timedelta(days=1)
        assert (moment.strftime("%H:%M:%S"), moment.utcoffset()) == (f"{text}:00", datetime.timedelta(0))
    with pytest.raises(ValueError):
        runner.moment("25:00")


# ---- a whole run ----------------------------------------------------------------------------------------------------


def whole(runner, monkeypatch, tmp_path, *arguments):
    (tmp_path / "seeds.py").write_text("")
    record = tmp_path / "new/fuzz.jsonl"
    monkeypatch.setattr(sys, "argv", ["run.py", "--built", "--record", str(record), *arguments])
    code = runner.main()
    return code, [json.loads(line) for line in record.read_text().splitlines()]


def test_each_run_leaves_a_line(runner, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(runner, "run", lambda target, seconds: asked.append((target, seconds)) or (LOG + DONE, 1.0, 0))
    code, lines = whole(runner, monkeypatch, tmp_path, "--targets", "decode", "--rounds", "3", "--seconds", "7")
    assert (code, asked) == (0, [("decode", 7)] * 3)
    assert [(line["target"], line["executions"]) for line in lines] == [("decode", 73831)] * 3


def test_a_finding_is_the_exit_code(runner, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "run", lambda target, seconds: (LOG + FOUND, 1.0, 77))
    code, lines = whole(runner, monkeypatch, tmp_path, "--targets", "decode")
    assert (code, lines[0]["findings"]) == (1, ["crash-0f0e"])


def test_a_target_that_there_is_not_is_refused(runner, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        whole(runner, monkeypatch, tmp_path, "--targets", "decode,nothing")
    assert refused.value.code == 2 and "no such target: nothing" in capsys.readouterr().err


# ---- what each target needs -----------------------------------------------------------------------------------------


def test_each_target_has_its_place_in_manifest_and_page():
    targets = set(module("run").TARGETS)
    assert {"decode", "records", "requests"} <= targets
    assert set(re.findall(r'^path = "fuzz_targets/(\w+)\.rs"$', (FUZZ / "Cargo.toml").read_text(), flags=re.M)) == targets
    assert set(re.findall(r"^\| `(\w+)` \|", (FUZZ / "README.md").read_text(), flags=re.M)) == targets


def test_each_target_has_seeds(tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    seeds = module("seeds")
    monkeypatch.setattr(seeds, "HERE", tmp_path)
    seeds.main()
    written = {folder.name: len(list(folder.iterdir())) for folder in (tmp_path / "corpus").iterdir()}
    assert set(written) == set(module("run").TARGETS) and all(written.values()), written


def test_each_keyspace_of_the_registry_is_read_and_has_a_seed():
    seeds = module("seeds")
    files = (ROOT / "crates/registry/src").rglob("*.rs")
    keyspaces = {name for file in files for name in re.findall(r"^pub const ([A-Z_]+): Keyspace<", file.read_text(), flags=re.M)}
    assert "THINGS" in keyspaces and set(seeds.spaces()) == keyspaces
    assert set(seeds.RECORDS) == keyspaces
    numbers = {seed[0] for seed in seeds.records()}
    assert numbers == set(range(seeds.REGISTRY + len(keyspaces))), "a reader without a seed"
