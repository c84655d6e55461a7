"""Attackers who take all the places there are, on a server that has few of them, a hundred of which the honest hold."""

import time

import pytest

from attacks import (  # noqa: F401
    ENDED, HONEST, PATIENCE, Cost, assert_all_are_ended, attacked, dial, honest, many_sockets, opened, unharmed)
from provision import unique

pytestmark = [pytest.mark.xdist_group("attackers"), pytest.mark.timeout(300)]

# Beside those of the honest.
FREE = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = attacked(tmp_path_factory.mktemp("full"), connections=HONEST + FREE)
    yield server
    server.stop()


def test_the_limit_of_connections_holds_and_ends(server):
    """Who is in stays in; who comes when all places are taken is closed at once, and let in when they are free again."""
    with dial(server, "plain") as inside:
        assert inside.connect(unique("inside")).code == 0
        before, flood = Cost(server), [opened(server, "plain") for _ in range(300)]
        assert Cost(server).descriptors <= before.descriptors + FREE + 16
        assert inside.ping() == []
        assert_all_are_ended(flood, PATIENCE * 8)
        # A place is free when the server has seen the end, too.
        end = time.monotonic() + PATIENCE * 8
        while not let_in(server):
            assert time.monotonic() < end, "nobody is let in although all places are free"
        assert inside.ping() == []


def let_in(server):
    try:
        with dial(server, "plain") as later:
            return later.connect(unique("later")).code == 0
    except (*ENDED, AssertionError):
        return False
