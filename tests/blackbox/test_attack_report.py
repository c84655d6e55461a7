"""The report of the attackers: a red run looks red in it, and the files in docs are of all attacks that there are, by the bounds of the
suite."""

import collections
import json
import os
import subprocess
import sys

import attack_report
import attacks

# Tests that end in every way there is, beside a fixture as `unharmed` is.
FOLDER = {
    "conftest.py": "from attack_report import pytest_runtest_makereport\n",
    "test_ends.py": '''
import attack_report, pytest

@pytest.fixture(autouse=True)
def unharmed(request):
    assert "setup" not in request.node.name, "not ready"
    yield
    attack_report.keep(request.node, {"messages": 7})
    assert "teardown" not in request.node.name, "harmed"

@pytest.mark.parametrize("how", ["passes", "setup", "body", "teardown", "both-body-teardown", "skips"])
def test_end(how):
    if how == "skips":
        pytest.skip("no room")
    assert "body" not in how, "a forged certificate was let in"
'''}


def test_a_row_says_how_its_case_ended(tmp_path):
    for name, text in FOLDER.items():
        (tmp_path / name).write_text(text)
    rows = tmp_path / "rows"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path], capture_output=True, timeout=60,
        env=dict(os.environ, ATTACKS_REPORT=str(rows), PYTHONPATH=str(attack_report.HERE)))
    rows = {row["case"]: row for row in map(json.loads, rows.read_text().splitlines())}
    assert {case: row["outcome"] for case, row in rows.items()} == {
        "test_ends.py::test_end[passes]": "passed", "test_ends.py::test_end[setup]": "failed", "test_ends.py::test_end[body]": "failed",
        "test_ends.py::test_end[teardown]": "failed", "test_ends.py::test_end[both-body-teardown]": "failed",
        "test_ends.py::test_end[skips]": "skipped"}
    told = {case.partition("[")[2]: row["why"] for case, row in rows.items()}
    assert told["passes]"] == "" and "no room" in told["skips]"], told
    assert told["body]"].startswith("call: ") and "forged certificate" in told["body]"], told
    assert told["teardown]"].startswith("teardown: ") and told["setup]"].startswith("setup: "), told
    # What was measured is there when the body failed, too.
    assert rows["test_ends.py::test_end[body]"]["messages"] == 7 and "messages" not in rows["test_ends.py::test_end[setup]"]


def row(case, outcome="passed", **changed):
    """As the suite writes it."""
    waits = {"median_ms": 0.2, "longest_ms": 8.0}
    found = {
        "case": case, "outcome": outcome, "why": "" if outcome == "passed" else "why", "date": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789", "build": "debug", "load": 1.5, "honest": 100, "messages": 10, "sockets": 3, "before": dict(waits),
        "newcomers": {}, "limits": attacks.LIMITS, "rule": attacks.BOUNDS,
        "measured": {**waits, "memory_mib": 1.0, "processor_s": 0.5}}
    found["bounds"] = {name: attacks.BOUNDS[name] for name in found["measured"]}
    return {**found, **changed}


def test_what_failed_and_what_was_not_run_is_told():
    expected = ["test_attackers.py::test_a[1]", "test_attackers.py::test_a[2]", "test_attackers.py::test_b", "test_attackers.py::test_c"]
    bare = {"case": expected[3], "outcome": "failed", "why": "setup: no", "date": "2026-01-01", "commit": "c", "build": "debug", "load": 2.0}
    found = attack_report.evidence([row(expected[0]), row(expected[1], "failed"), bare], expected, "A note.")
    assert [(one["attack"], one["passed"], one["cases"]) for one in found["attacks"]] == [("a", 1, 2), ("b", 0, 1), ("c", 0, 1)]
    assert [one["not_passed"] for one in found["attacks"]] == [
        {expected[1]: "failed: why"}, {expected[2]: "not run"}, {expected[3]: "failed: setup: no"}]
    page = attack_report.page(found)
    assert "**Not passed:**" in page and f"- `{expected[2]}`: not run\n" in page and "A note." in page
    assert "| a | 1 | 2 | 20 | 0.2 |" in page and "| b | 0 | 1 | – |" in page
    whole = attack_report.page(attack_report.evidence([row(case) for case in expected], expected, ""))
    assert "Not passed" not in whole


def test_one_file_holds_one_run_of_the_attacks_that_there_are():
    one = row("test_attackers.py::test_a")
    for rows in ([one, {**one, "outcome": "failed"}], [one, row("test_attackers.py::test_gone")]):
        try:
            attack_report.evidence(rows, [one["case"]], "")
        except AssertionError:
            continue
        raise AssertionError(f"taken: {rows}")


def test_the_worst_case_is_the_one_nearest_to_its_bound():
    """Memory: each case has a bound of its own, by its sockets."""
    cases = [f"test_attackers.py::test_a[{n}]" for n in range(2)]
    near, far = ({**row(case)["measured"], "memory_mib": memory} for case, memory in zip(cases, (60.0, 90.0)))
    rows = [row(cases[0], measured=near), row(cases[1], measured=far, bounds={**row(cases[1])["bounds"], "memory_mib": 400.0})]
    found, = attack_report.evidence(rows, cases, "")["attacks"]
    assert found["measured"]["memory_mib"] == {"value": 60.0, "bound": attacks.BOUNDS["memory_mib"]}


# ---- the files in docs -------------------------------------------------------------------------------------------


def test_the_evidence_is_of_all_cases_by_the_bounds_of_the_suite():
    """No bound is looser in the file than the suite applies it, and no case is missing. If one is new, run the attackers again."""
    found = json.loads(attack_report.EVIDENCE.read_text())
    assert found["bounds"] == attacks.BOUNDS and found["limits"] == attacks.LIMITS
    assert found["defaults"] == attack_report.defaults(attacks.LIMITS)
    there = collections.Counter(map(attack_report.attack_of, attack_report.cases()))
    assert {f"{one['file']}::{one['test']}": one["cases"] for one in found["attacks"]} == there
    for one in found["attacks"]:
        bounds = {name: pair["bound"] for name, pair in one.get("measured", {}).items()}
        room = bounds.pop("memory_mib", attacks.BOUNDS["memory_mib"]) - attacks.BOUNDS["memory_mib"]
        assert 0 <= room <= one.get("sockets", 0) * attacks.OF_SOCKET / attacks.MIB, one["attack"]
        assert bounds == {name: attacks.BOUNDS[name] for name in bounds}, one["attack"]


def test_the_page_is_made_of_the_evidence():
    found = json.loads(attack_report.EVIDENCE.read_text())
    assert attack_report.PAGE.read_text() == attack_report.written(found)
