#!/usr/bin/env python3
"""Runs the Eclipse Paho interoperability suites (github.com/eclipse/paho.mqtt.testing, not part of this checkout) against
thingcore, case by case, and names the divergences that the server saw. Build first; then

    .venv/bin/python workshop/interop.py FOLDER/interoperability client_test5.py oasis

The third word is a dialect; names of cases may follow. docs/interoperability.md has the outcome.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "blackbox"))

from server import Server, binary, clean_environment  # noqa: E402

# One case in a process of its own: the suites end by calling unittest.main.
RUN = """
import runpy, sys, unittest
script, case, port = sys.argv[1:]
real = unittest.main
unittest.main = lambda *_, **__: real(module="__main__", argv=["case", "Test." + case])
sys.argv = [script, "-p", port] if script == "client_test.py" else [script, "--port", port]
sys.path.insert(0, ".")
runpy.run_path(script, run_name="__main__")
"""


def rows(server):
    """The divergences that clients met since this was asked last."""
    command = [binary(), "divergences", "--format", "json", "--reset", "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    clients = json.loads(done.stdout or "{}").get("clients", [])
    return sorted({row["id"] for client in clients for row in client["rows"]})


def run(server, folder, script, case):
    command = [sys.executable, "-c", RUN, script, case, str(server.ports["plain"])]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        return "no end within 90 s"
    # The suites catch what fails, print it, and fail in the end because of it.
    errors = re.findall(r"^(?:\w*Error|Exception|assert)\b.*", done.stderr, re.M)
    return "ok" if done.returncode == 0 else "failed: " + (errors[0] if errors else "?")[:100]


def main():
    folder, script, dialect, *wanted = Path(sys.argv[1]), *sys.argv[2:]
    cases = re.findall(r"^ +def (test\w+)\(", (folder / script).read_text(), re.M)
    with tempfile.TemporaryDirectory() as data:
        server = Server(Path(data), "--dialect", dialect).start()
        try:
            for case in wanted or cases:
                outcome = run(server, folder, script, case)
                print(f"{case:32} {outcome:12} {' '.join(rows(server))}", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
