"""What a run of the attackers leaves behind: a row for each case with its outcome, and docs/evidence/attacks.json made of all rows.

A row is written when a case is over, teardown and all, so that it says of a case that failed or was skipped that it did. Which cases
there are is asked of pytest: one without a row is named as not run. Whoever judges the file (`thingcore-bench evidence`) finds each
number beside the bound that the suite held it to.

    ATTACKS_REPORT=FILE .venv/bin/python -m pytest tests/blackbox/test_attackers*.py -n 2 --dist loadgroup
    .venv/bin/python tests/blackbox/attack_report.py FILE --note "what else ran on the machine"

The second command writes the evidence and the last part of docs/attackers.md; its exit code is 1 if a case has not passed."""

import argparse
import datetime
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from server import binary

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EVIDENCE, PAGE = ROOT / "docs" / "evidence" / "attacks.json", ROOT / "docs" / "attackers.md"
EXAMPLE = ROOT / "crates" / "thingcore" / "thingcore.example.toml"
# From here on the page is made of the evidence.
MADE = "## What it cost\n"
FOUND, PHASES = pytest.StashKey(), pytest.StashKey()


# ---- a row for each case -----------------------------------------------------------------------------------------


def keep(item, found):
    """What was measured beside a case, for its row."""
    item.stash[FOUND] = found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """conftest.py has it: pytest calls it after setup, body and teardown of each test."""
    made = yield
    path = os.environ.get("ATTACKS_REPORT")
    if path and "unharmed" in getattr(item, "fixturenames", ()):
        phases = item.stash.setdefault(PHASES, [])
        phases.append(made)
        if made.when == "teardown":
            with open(path, "a") as file:
                file.write(json.dumps(row(item, phases)) + "\n")
    return made


def row(item, phases):
    """Passed is what passed setup, body and teardown."""
    outcomes = [phase.outcome for phase in phases]
    outcome = "passed" if outcomes == ["passed"] * 3 else next(one for one in ("failed", "skipped") if one in outcomes)
    why = next((reason(phase) for phase in phases if phase.outcome == outcome), "") if outcome != "passed" else ""
    # The name of the node has that of the worker's group behind it.
    case = f"{item.path.name}::{item.name}"
    return {"case": case, "outcome": outcome, "why": why, **of_this_run(), "load": os.getloadavg()[0], **item.stash.get(FOUND, {})}


def reason(phase):
    """A line of why it was not passed."""
    if phase.outcome == "skipped" and isinstance(phase.longrepr, tuple):
        return phase.longrepr[2]
    crash = getattr(phase.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(phase.longrepr)).splitlines()
    return f"{phase.when}: {lines[0][:200] if lines else ''}"


@functools.lru_cache
def of_this_run():
    """When it began, what build the binary is, and of which commit: that of the checkout, or ATTACKS_COMMIT if it is an older one."""
    told = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    commit = os.environ.get("ATTACKS_COMMIT") or told.stdout.strip()
    # Of an older one nobody knows.
    dirty = not os.environ.get("ATTACKS_COMMIT") and is_dirty()
    return {"date": now, "commit": commit, "dirty": dirty, "build": Path(binary()).parent.name}


def is_dirty():
    """Whether files are other ones than those of the commit. What runs leave as evidence is no such change."""
    command = ["git", "status", "--porcelain", "--", ".", ":(exclude)docs"]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip())


# ---- all rows ----------------------------------------------------------------------------------------------------


def cases():
    """Every case of every attack, as pytest finds them."""
    files = [str(path) for path in sorted(HERE.glob("test_attackers*.py"))]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert told.returncode == 0, told.stdout + told.stderr
    return [re.sub(r"^.*/(?=[^/]*\.py::)", "", line) for line in told.stdout.splitlines() if "::" in line]


def attack_of(case):
    return case.partition("[")[0]


def evidence(rows, expected, note):
    """The file of evidence: of each attack that there is, its worst numbers beside their bounds, and what has not passed."""
    by_case = {one["case"]: one for one in rows}
    assert len(by_case) == len(rows), "a case has two rows: a file holds one run"
    unknown = sorted(set(by_case) - set(expected))
    assert not unknown, f"rows of cases that there are no more: {unknown}"
    first, loads = min(rows, key=lambda one: one["date"]), [one["load"] for one in rows]
    measured = [one for one in rows if "measured" in one]
    of_run = measured[0] if measured else {"rule": {}, "limits": {}}
    named = {}
    for case in expected:
        named.setdefault(attack_of(case), []).append(case)
    return {
        "kind": "attacks", "date": first["date"], "commit": first["commit"], "dirty": any(one.get("dirty") for one in rows),
        "build": first["build"], "note": note,
        "machine": {"processors": os.cpu_count(), "load_average": [min(loads), max(loads)]},
        "limits": of_run["limits"], "defaults": defaults(of_run["limits"]), "bounds": of_run["rule"],
        "attacks": [attack(name, its, by_case) for name, its in named.items()],
    }


def defaults(limits):
    """What the same limits are without a word in the configuration: the example of it says so."""
    text = EXAMPLE.read_text()
    return {name: float(re.search(rf"^#{name} = ([\d.]+)$", text, re.MULTILINE).group(1)) for name in limits}


def attack(name, its, by_case):
    """One attack: all of its cases."""
    file, _, test = name.partition("::")
    rows = [by_case[case] for case in its if case in by_case]
    red = {case: "not run" for case in its if case not in by_case}
    red.update({one["case"]: f"{one['outcome']}: {one['why']}" for one in rows if one["outcome"] != "passed"})
    out = {"attack": test.removeprefix("test_").replace("_", " "), "test": test, "file": file, "cases": len(its),
           "passed": sum(one["outcome"] == "passed" for one in rows), "not_passed": red}
    rows = [one for one in rows if "measured" in one]
    if rows:
        out.update(honest=min(one["honest"] for one in rows), messages=sum(one["messages"] for one in rows),
                   sockets=max(one["sockets"] for one in rows), before=worst_of(one["before"] for one in rows),
                   measured=nearest(rows))
        came = [one["newcomers"] for one in rows if one["newcomers"]]
        if came:
            out["newcomers"] = {transport: newcomers([one[transport] for one in came]) for transport in came[0]}
    return out


def worst_of(numbers):
    numbers = list(numbers)
    return {name: max(one[name] for one in numbers) for name in numbers[0]}


def nearest(rows):
    """Each number with its bound, in the case that came nearest to it."""
    names = {name: None for one in rows for name in one["measured"]}
    pairs = {name: [(one["measured"][name], one["bounds"][name]) for one in rows if name in one["measured"]] for name in names}
    return {name: dict(zip(("value", "bound"), max(found, key=lambda pair: pair[0] / pair[1]))) for name, found in pairs.items()}


def newcomers(rows):
    return {"connects": sum(one["connects"] for one in rows), "fewest": min(one["connects"] for one in rows),
            "longest_ms": max(one["longest_ms"] for one in rows)}


# ---- the page ----------------------------------------------------------------------------------------------------

COLUMNS = ["attack", "passed", "of cases", "messages", "median, ms", "median before, ms", "longest, ms", "longest before, ms",
           "newcomers", "their longest, ms", "memory, MiB", "sockets", "processor, s"]


def page(found):
    """The last part of docs/attackers.md."""
    cells = [COLUMNS, ["---"] + ["---:"] * (len(COLUMNS) - 1)] + [line(one) for one in found["attacks"]]
    table = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in cells)
    red = [f"- `{case}`: {why}" for one in found["attacks"] for case, why in one["not_passed"].items()]
    missed = ("\n**Not passed:**\n\n" + "\n".join(red) + "\n") if red else ""
    return f"{MADE}\n{head(found)}\n{missed}\n{table}\n\n## Bounds and limits\n\n{rules(found)}"


def head(found):
    low, high = found["machine"]["load_average"]
    changes = ", with changes" if found.get("dirty") else ""
    return f"""Made of [evidence/attacks.json](evidence/attacks.json) by `tests/blackbox/attack_report.py`: a {found["build"]} build of commit
{found["commit"]}{changes}, {found["date"]}, on {found["machine"]["processors"]} processors whose load average was {low:.1f} to {high:.1f}. {found["note"]}

The worst of all cases of each attack: the waits of honest clients for their messages in the moment before the attack and beside it,
the newcomers that connected anew while it went on and the longest that one of them waited from its first byte to CONNACK, what
resident memory grew by, the sockets of the attacker, and the processor time of the server."""


def line(one):
    if "measured" not in one:
        return [one["attack"], one["passed"], one["cases"]] + ["–"] * (len(COLUMNS) - 3)
    value = {name: pair["value"] for name, pair in one["measured"].items()}
    came = one.get("newcomers", {})
    connects = sum(row["connects"] for row in came.values()) if came else "–"
    longest = f"{value['newcomers_longest_ms']:.0f}" if came else "–"
    return [one["attack"], one["passed"], one["cases"], one["messages"], f"{value['median_ms']:.1f}", f"{one['before']['median_ms']:.1f}",
            f"{value['longest_ms']:.1f}", f"{one['before']['longest_ms']:.1f}", connects, longest, f"{value['memory_mib']:.0f}",
            one["sockets"], f"{value['processor_s']:.1f}"]


BOUNDS = {
    "median_ms": "half of the messages are back within, ms", "longest_ms": "all messages are back within, ms",
    "median_later_ms": "half of them later than before the attack by at most, ms",
    "longest_later_ms": "any of them later than the latest before it by at most, ms",
    "newcomers_longest_ms": "a newcomer beside a flood has its CONNACK within, ms",
    "memory_mib": "resident memory grows by at most, MiB", "memory_of_a_socket_kib": "and for each socket of the attacker, KiB",
    "processor_s": "processor time, s", "threads": "threads more than before", "descriptors": "descriptors that are kept afterwards",
}


def rules(found):
    bounds = "\n".join(f"| {BOUNDS[name]} | {value:g} |" for name, value in found["bounds"].items())
    limits = "\n".join(
        f"| `{name}` | {value:g} | {found['defaults'][name]:g} | {found['defaults'][name] / value:g} |"
        for name, value in found["limits"].items())
    times = [found["defaults"][name] / value for name, value in found["limits"].items()] or [1]
    return f"""| what holds beside each attack | bound |
|---|---:|
{bounds}

The server under attack has little patience, so that the tests need not wait for it:

| limit | in these tests, s | by default, s | times |
|---|---:|---:|---:|
{limits}

By default an attacker holds each of its sockets {min(times):g} to {max(times):g} times longer than here. One who opens sockets at the same rate
holds as many times more of them at once, and what they hold of memory, descriptors and `connections` grows with their number: the
numbers above are those of the limits of these tests, not of the defaults.
"""


def written(found):
    """The page with its last part made anew."""
    return PAGE.read_text().partition(MADE)[0] + page(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="what ATTACKS_REPORT named")
    parser.add_argument("--note", default="", help="a sentence on what else ran on the machine")
    arguments = parser.parse_args()
    rows = [json.loads(text) for text in arguments.rows.read_text().splitlines()]
    found = evidence(rows, cases(), arguments.note)
    EVIDENCE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(written(found))
    red = [f"{case}: {why}" for one in found["attacks"] for case, why in one["not_passed"].items()]
    print("\n".join(red) or f"all {len(rows)} cases have passed")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
