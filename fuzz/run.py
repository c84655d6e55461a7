#!/usr/bin/env python3
"""Builds the fuzz targets, runs them in turn, and keeps a line for each run: docs/evidence/fuzz.jsonl.

    python3 fuzz/run.py                                  (each target once, five minutes, two at a time)
    python3 fuzz/run.py --until 03:15 --seconds 240      (rounds, until that time of day, UTC)
    python3 fuzz/run.py --targets decode,reach --rounds 12

Needs a nightly compiler, and no cargo-fuzz. The build is optimised and has all assertions and checks of overflow. Seeds are
written first. What a run finds is in fuzz/artifacts/TARGET; the exit code is 1 then. Time is counted as processor time, so
that a busy machine does not make it longer than it was. A line tells HEAD when the run began (`commit`) and when the binaries were
built (`built`, and `dirty` if files were changed then; --built runs what there is, and it is null if nobody knows). Corpora are kept
in fuzz/corpus, outside of git.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TRIPLE = "x86_64-unknown-linux-gnu"
FLAGS = ("-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters "
         "-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares")
TARGETS = [file.stem for file in sorted((HERE / "fuzz_targets").glob("*.rs"))]
# Longer inputs find nothing that shorter ones do not, and take much longer.
LONGEST = {"policies": 3000, "reach": 160}
# Real seconds for one input. It is for inputs that never end: the targets measure their own bounds in processor time, and at the lowest
# priority on a busy machine what needs one second has taken a minute.
PATIENCE = 600
# MiB. None has had fifty.
MEMORY = 2048


def build():
    command = ["cargo", "+nightly", "build", "--release", "--target", TRIPLE, "--features", "whole", "--bins"]
    # Before: of a build that fails halfway nobody knows.
    built_at().unlink(missing_ok=True)
    at = commit() + (" dirty" if is_dirty() else "")
    subprocess.run(command, cwd=HERE, check=True, env={**os.environ, "RUSTFLAGS": FLAGS})
    built_at().write_text(at)


def built_at():
    """The file that tells at which commit the binaries beside it were built."""
    return HERE / "target" / "built"


def run(target, seconds):
    """One run of libFuzzer. What it printed, the processor seconds, and its exit code."""
    corpus, found = HERE / "corpus" / target, HERE / "artifacts" / target
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    command = [HERE / "target" / TRIPLE / "release" / target, f"-max_total_time={seconds}", f"-artifact_prefix={found}/",
               "-print_final_stats=1", f"-timeout={PATIENCE}", f"-report_slow_units={PATIENCE}", f"-rss_limit_mb={MEMORY}", corpus]
    if target in LONGEST:
        command.insert(1, f"-max_len={LONGEST[target]}")
    log = HERE / "target" / f"{target}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, cwd=HERE)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return log.read_text(errors="replace"), usage.ru_utime + usage.ru_stime, process.returncode


def record(target, began, commit, outcome):
    """The line of a run."""
    text, seconds, code = outcome
    last = lambda pattern: int((re.findall(pattern, text, flags=re.M) or ["0"])[-1])  # noqa: E731
    findings = re.findall(r"Test unit written to \S*?([^/\s]+)$", text, flags=re.M)
    # A run that ends badly and leaves no input behind has found something all the same.
    if code and not findings:
        findings = [f"exit code {code}"]
    built, _, dirty = (built_at().read_text() if built_at().is_file() else "").partition(" ")
    return {
        "target": target, "date": began.isoformat(timespec="seconds"), "commit": commit,
        "built": built or None, "dirty": bool(dirty), "cpu_seconds": round(seconds, 1),
        "executions": last(r"stat::number_of_executed_units: (\d+)") or last(r"^#(\d+)\s"), "edges": last(r" cov: (\d+)"),
        "edges_in_all": last(r"\((\d+) inline 8-bit counters\)"), "corpus": len(list((HERE / "corpus" / target).iterdir())),
        "findings": findings,
    }


def commit():
    return subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def is_dirty():
    """Whether files are other ones than those of the commit. What runs leave as evidence is no such change."""
    command = ["git", "status", "--porcelain", "--", ".", ":(exclude)docs"]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip())


def one(target, arguments, lock, lines):
    began, at = datetime.datetime.now(datetime.timezone.utc), commit()
    line = record(target, began, at, run(target, arguments.seconds))
    with lock:
        lines.append(line)
        with open(arguments.record, "a") as out:
            out.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def turns(arguments):
    """Which target is next: all in turn, until the rounds or the time are over."""
    number = 0
    while arguments.until or number < arguments.rounds:
        for target in arguments.targets:
            if arguments.until and datetime.datetime.now(datetime.timezone.utc) >= arguments.until:
                return
            yield target
        number += 1


def work(queue, arguments, lock, lines):
    while True:
        with lock:
            target = next(queue, None)
        if target is None:
            return
        one(target, arguments, lock, lines)


def moment(text):
    """The next time that a clock in UTC shows HH:MM."""
    now, at = datetime.datetime.now(datetime.timezone.utc), datetime.time.fromisoformat(text)
    then = datetime.datetime.combine(now.date(), at, datetime.timezone.utc)
    return then if then > now else then + datetime.timedelta(days=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=lambda text: text.split(","), default=TARGETS, help="which [default: all]")
    parser.add_argument("--seconds", type=int, default=300, help="real seconds of one run [default: 300]")
    parser.add_argument("--rounds", type=int, default=1, help="how often each [default: 1]")
    parser.add_argument("--until", type=moment, help="rounds until this time of day, HH:MM, UTC")
    parser.add_argument("--at-once", type=int, default=2, help="how many side by side [default: 2]")
    parser.add_argument("--built", action="store_true", help="the targets are built already")
    parser.add_argument("--record", type=Path, default=ROOT / "docs/evidence/fuzz.jsonl", help="the file of the lines")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if not arguments.built:
        build()
    subprocess.run([sys.executable, HERE / "seeds.py"], check=True)
    arguments.record.parent.mkdir(parents=True, exist_ok=True)
    queue, lock, lines = turns(arguments), threading.Lock(), []
    workers = [threading.Thread(target=work, args=(queue, arguments, lock, lines)) for _ in range(arguments.at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return 1 if any(line["findings"] for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
