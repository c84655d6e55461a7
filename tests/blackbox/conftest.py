"""Fixtures: a server shared by the tests of one worker, servers of one's own, and connections that get closed."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attack_report import pytest_runtest_makereport  # noqa: E402, F401
from server import Server  # noqa: E402
from wire import V5, V311, Wire  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests of this process that leave it as they found it. It must stop cleanly in the end."""
    server = Server(tmp_path_factory.mktemp("server")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory):
    """One more, with all of AWS's quotas: the other one has no rates, nor limits that AWS would raise on request."""
    server = Server(tmp_path_factory.mktemp("aws-server"), quotas="aws").start()
    yield server
    server.stop()


@pytest.fixture
def new_server(tmp_path):
    """Makes servers for one test: new_server(*flags). They are stopped, cleanly, unless the test did it."""
    servers = []

    def make(*flags, start=True, folder=None, **options):
        one = Server(folder or tmp_path / f"server-{len(servers) + 1}", *flags, **options)
        servers.append(one)
        return one.start() if start else one

    yield make
    for one in servers:
        one.stop()


@pytest.fixture
def account(server):
    return server.account


@pytest.fixture(params=[V311, V5], ids=["v311", "v5"])
def version(request):
    return request.param


@pytest.fixture
def dial(server):
    """dial(device, version): a fresh connection, TLS and certificate done, nothing sent. Closed after the test."""
    opened = []

    def make(device=None, version=V5, on=None, **options):
        wire = Wire.dial(on or server, device, version, **options)
        opened.append(wire)
        return wire

    yield make
    for wire in opened:
        wire.close()


@pytest.fixture
def connected(dial, server):
    """connected(version, client_id, ...): a connection with CONNECT and CONNACK behind it; `wire.connack` is kept."""
    from provision import unique

    def make(version=V5, client_id=None, device=None, on=None, **options):
        device = device or (on or server).account.everything()
        wire = dial(device, version, on=on)
        wire.client_id = client_id if client_id is not None else unique("client")
        wire.connack = wire.connect(wire.client_id, **options)
        assert wire.connack.code == 0, wire.connack
        return wire

    return make


@pytest.fixture
def topic():
    """A topic no other test uses."""
    from provision import unique

    return unique("topic")


def require(command):
    """Skips the test, with the reason, if a system command is missing."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed on this machine")
