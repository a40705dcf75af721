"""The I/O thread of a program."""

from __future__ import annotations

import time

import pytest

from actors.attachments import Memory
from actors.client import ClientThread
from actors.errors import ConnectionLost
from actors.peer import Peer
from actors.portal import Portal, Until


class Broken:
    """A connection that fails."""

    def pump(self, peer, now):
        raise RuntimeError("the wire is cut")

    def wake(self):
        pass


@pytest.mark.filterwarnings("error")
def test_a_thread_that_fails_says_so_to_everybody_who_waits():
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    thread = ClientThread(portal, Broken())

    thread.start()
    begun = time.monotonic()
    thread.block(Until(portal, lambda: portal.lost is not None), 10.0)

    assert time.monotonic() - begun < 5.0
    with pytest.raises(ConnectionLost, match="the wire is cut"):
        portal.check()
