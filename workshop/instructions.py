#!/usr/bin/env python3
"""What observing a message costs the thread that carries it, in instructions, which no other load on the machine changes.

Needs valgrind. Counts a run with some messages and one with more, and divides the difference: what the program does at its
start and end cancels out. Two runs give the same numbers but for a few addresses.

    python3 workshop/instructions.py
    python3 workshop/instructions.py --profile dev      with what is built already
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHO = ("none", "log", "metrics", "divergences", "recorder", "tail", "traffic", "all")
FEW, MANY = 20_000, 60_000


def instructions(program, who, messages):
    """Instructions of one whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), who, str(messages)]
    done = subprocess.run(command, capture_output=True, text=True)
    counted = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode != 0 or counted is None:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return int(counted.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="release", help="cargo's profile [default: release]")
    profile = parser.parse_args().profile
    build = ["cargo", "build", "-q", "-p", "thingcore-telemetry", "--example", "instructions", "--profile", profile]
    if subprocess.run(build, cwd=ROOT).returncode != 0:
        return 1
    folder = ROOT / "target" / ("debug" if profile == "dev" else profile)
    program = folder / "examples" / "instructions"
    each = {}
    for who in WHO:
        each[who] = (instructions(program, who, MANY) - instructions(program, who, FEW)) / (MANY - FEW)
        print(f"{who:<12} {each[who] - (each['none'] if who != 'none' else 0):8.1f} instructions a message", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
