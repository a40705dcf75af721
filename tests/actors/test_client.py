"""The I/O thread of a program."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.attachments import Memory
from actors.client import ClientThread
from actors.errors import ConnectionLost
from actors.peer import Peer
from actors.portal import Portal, Until
from actors.reply import Reply
from actors.stream import Stream


class Broken:
    """A connection that fails."""

    closed = False

    def close(self):
        self.closed = True

    def pump(self, peer, now):
        raise RuntimeError("the wire is cut")

    def wake(self):
        pass


@pytest.mark.filterwarnings("error")
def test_a_thread_that_fails_says_so_to_everybody_who_waits():
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    broken = Broken()
    thread = ClientThread(portal, broken)

    thread.start()
    begun = time.monotonic()
    thread.block(Until(portal, lambda: portal.lost is not None), 10.0)

    assert time.monotonic() - begun < 5.0
    with pytest.raises(ConnectionLost, match="the wire is cut"):
        portal.check()
    thread.stop()
    assert broken.closed


def test_what_was_asked_before_a_fork_is_lost_in_the_child_and_nobody_waits_for_it():
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    thread = ClientThread(portal, Broken())
    reply, stream = Reply(portal, bytes), Stream(portal, bytes)

    async def wait(pending):
        async with asyncio.timeout(5.0):
            await (pending if pending is reply else anext(pending))

    thread.orphan()
    for pending in (reply, stream):
        with pytest.raises(ConnectionLost, match="was forked"):
            asyncio.run(wait(pending))
