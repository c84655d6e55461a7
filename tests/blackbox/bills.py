"""What the tests of the bill share: `thingcore bill` and the numbers behind it."""

import json
import subprocess
import time
import urllib.request
from collections import Counter

from server import binary, clean_environment

STEP = 5 * 1024
WITHIN = 20.0
MILLION = 1_000_000


def thingcore(server, *words):
    command = [binary(), "bill", *[str(word) for word in words], "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
    return done.returncode, done.stdout, done.stderr


def bill(server, *words):
    code, out, err = thingcore(server, *words, "--format", "json")
    assert code == 0, err
    return json.loads(out)


def usage(server, folder, *words):
    """The numbers behind a bill, as --save writes them: {item: units}, and the whole document."""
    path = folder / "usage.json"
    bill(server, "--save", path, *words)
    document = json.loads(path.read_text())
    units = Counter()
    for row in document["usage"]["rows"]:
        units[row["item"]] += row["units"]
    return +units, document


def line(report, dimension):
    return next(one for one in report["bill"]["lines"] if one["dimension"] == dimension)


def until(true, what, within=WITHIN):
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {within} s"
        time.sleep(0.02)


def metrics(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['admin']}/metrics") as answer:
        return answer.read().decode()


def connections(server):
    """How many are open; asking it costs nothing, unlike GetConnection."""
    return next(int(row.split()[1]) for row in metrics(server).splitlines() if row.startswith("thingcore_connections "))
