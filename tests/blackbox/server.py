"""`thingcore serve` as a child process, as the black-box contract describes it."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import boto3
import botocore.config

from provision import Account

START_WITHIN = 60.0
STOP_WITHIN = 30.0
LOG_WITHIN = 15.0
GLANCE = 0.02


def binary():
    path = os.environ.get("THINGCORE_BIN") or Path(__file__).resolve().parents[2] / "target" / "debug" / "thingcore"
    assert Path(path).is_file(), f"{path} does not exist: run `cargo build -p thingcore`, or set THINGCORE_BIN"
    return str(path)


def clean_environment():
    """No AWS configuration of the person who runs the tests, and no colours."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    nowhere = str(Path(os.devnull))
    return dict(kept, AWS_CONFIG_FILE=nowhere, AWS_SHARED_CREDENTIALS_FILE=nowhere, AWS_EC2_METADATA_DISABLED="true", NO_COLOR="1")


class Server:
    """One server on its own data folder and free ports."""

    def __init__(self, folder, *flags, plain=True, quotas="unlimited", log="json"):
        """`quotas`: the profile. Tests that are not about quotas run without rates, so that they can be fast."""
        self.folder = Path(folder)
        self.data_dir = self.folder / "data"
        self.flags, self.plain, self.quotas, self.log = flags, plain, quotas, log
        self.process = self.ready = None
        self.starts = 0
        self._account = None

    # ---- life ----

    def command(self):
        ports = ["mqtt", "tls", "https", "api", "admin"] + (["plain"] if self.plain else [])
        command = [binary(), "serve", "--data-dir", self.data_dir, "--ready-file", self.ready_file, "--log", self.log]
        command += ["--quotas", self.quotas]
        for port in ports:
            command += [f"--{port}-port", "0"]
        return [str(word) for word in command + list(self.flags)]

    def launch(self):
        """Starts the process without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        self.ready_file = self.folder / f"ready-{self.starts}.json"
        self.log_file = self.folder / f"log-{self.starts}.txt"
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=clean_environment(),
                cwd=self.folder)
        return self

    def start(self):
        self.launch()
        end = time.monotonic() + START_WITHIN
        while not self.ready_file.exists():
            code = self.process.poll()
            assert code is None, f"the server stopped with {code} before it was ready:\n{self.log_text()}"
            if time.monotonic() >= end:
                self.kill()
                raise AssertionError(f"not ready within {START_WITHIN} s:\n{self.log_text()}")
            time.sleep(GLANCE)
        # Written atomically: what can be opened is whole.
        self.ready = json.loads(self.ready_file.read_text())
        self._account = None
        return self

    def stop(self):
        """SIGTERM: must end with exit code 0."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"still running {STOP_WITHIN} s after SIGTERM:\n{self.log_text()[-4000:]}") from None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.log_text()[-4000:]}"

    def kill(self):
        """SIGKILL: the power went."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            process.wait()

    def assert_alive(self):
        assert self.process.poll() is None, f"the server died:\n{self.log_text()[-4000:]}"

    def resident_bytes(self):
        """Resident memory (VmRSS) of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    # ---- what the ready file says ----

    @property
    def ports(self):
        return self.ready["ports"]

    @property
    def ca_file(self):
        return self.ready["ca_file"]

    @property
    def region(self):
        return self.ready["region"]

    @property
    def account_id(self):
        return self.ready["account"]

    def arn(self, resource):
        return f"arn:aws:iot:{self.region}:{self.account_id}:{resource}"

    def credentials(self):
        return {
            "AWS_ACCESS_KEY_ID": self.ready["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.ready["secret_access_key"],
            "AWS_DEFAULT_REGION": self.region,
        }

    def boto(self, service, url=None, **overrides):
        """A boto3 client for `iot` or `iot-data`, with the server's own key pair unless overridden."""
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
        return session().client(service, **{
            "endpoint_url": url or self.ready["data_url" if service == "iot-data" else "api_url"],
            "region_name": self.region, "verify": self.ca_file, "config": config,
            "aws_access_key_id": self.ready["access_key_id"],
            "aws_secret_access_key": self.ready["secret_access_key"], **overrides})

    @property
    def account(self):
        """The registry as this test session sees it: makes things, certificates and policies."""
        if self._account is None:
            self._account = Account(self)
        return self._account

    def run_cli(self, *arguments, env=(), check=True, within=60):
        """Runs a subcommand of thingcore against this server's data folder."""
        command = [binary(), *(str(word) for word in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, cwd=self.folder,
                              env=dict(clean_environment(), **dict(env)))
        if check:
            assert done.returncode == 0, f"{command} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    # ---- the log ----

    def log_text(self):
        return self.log_file.read_text(errors="replace")

    def log_mark(self):
        """A place in the log: later lines only, please."""
        return self.log_file.stat().st_size

    def log_lines(self, since=0):
        """Whole lines: the last one may still be on its way."""
        with open(self.log_file, "rb") as log:
            log.seek(since)
            text = log.read()
        return text[: text.rfind(b"\n") + 1].decode(errors="replace").splitlines()

    def wait_for_log(self, *words, since=0, within=LOG_WITHIN):
        """The first log line after `since` that contains all the words."""
        end = time.monotonic() + within
        while True:
            for line in self.log_lines(since):
                if all(word in line for word in words):
                    return line
            if time.monotonic() >= end:
                tail = "\n".join(line[:400] for line in self.log_lines(since)[-12:])
                raise AssertionError(f"no log line with {words} within {within} s; the last ones:\n{tail}")
            time.sleep(GLANCE)


_session_lock = threading.Lock()
_session = None


def session():
    """One boto3 session per process: loading the service models takes a while."""
    global _session
    with _session_lock:
        if _session is None:
            _session = boto3.session.Session()
        return _session
