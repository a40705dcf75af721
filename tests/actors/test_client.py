"""The I/O thread of a program."""

from __future__ import annotations

import asyncio
import select
import time

import pytest

from actors.attachments import Memory
from actors.client import ClientThread
from actors.errors import ConnectionLost
from actors.peer import Peer
from actors.portal import Portal, Until
from actors.reply import Reply
from actors.stream import Stream
from actors.waker import Waker


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


class Interrupted(Broken):
    """A connection where Ctrl-C comes the first time it is woken."""

    wakes = 0

    def wake(self):
        self.wakes += 1
        if self.wakes == 1:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_no_wake_up_half_done():
    interrupted = Interrupted()
    thread = ClientThread(Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0), interrupted)

    with pytest.raises(KeyboardInterrupt):
        thread.wake()
    thread.wake()

    assert interrupted.wakes == 2, "whoever sends next trusts in a wake-up that never was"


def test_a_signals_handler_may_wake_while_its_thread_is_at_it():
    waker = Waker()
    with waker._lock:  # where the handler has interrupted it
        waker.wake()

    assert select.select([waker.descriptor], [], [], 0)[0]
    waker.close()


def test_who_stops_it_while_sending_does_not_wait_for_himself():
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    thread = ClientThread(portal, Broken())
    thread.start()

    with portal.lock:
        thread.stop()  # as the handler of a signal does
    thread.stop()
