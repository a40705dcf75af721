"""The I/O thread of a program."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from actors import client, turns
from actors.attachments import Memory
from actors.client import ClientThread
from actors.errors import ConnectionLost
from actors.eye import Eye
from actors.peer import Peer
from actors.portal import Portal, Until
from actors.reply import Reply
from actors.stream import Stream


class Broken:
    """A connection that fails."""

    closed = False

    def close(self, linger=0.0):
        self.closed = True

    def eye(self):
        return Eye([])

    def note(self, spoken):
        pass

    def flush(self, peer, now):
        pass

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


class Quiet(Broken):
    """A connection on which nothing happens."""

    readable = False

    def pump(self, peer, now):
        return False


class Interrupted(Quiet):
    """A connection where Ctrl-C comes while it is woken."""

    woken = 0

    def wake(self):
        os.kill(os.getpid(), signal.SIGINT)
        self.woken += 1


def test_ctrl_c_leaves_no_wake_up_half_done(monkeypatch):
    monkeypatch.setattr(turns, "FLOOD", 60.0)
    interrupted = Interrupted()
    thread = ClientThread(Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0), interrupted)
    thread.wake()  # sends at once; what follows is left to whoever looks

    with pytest.raises(KeyboardInterrupt):
        thread.wake()

    assert interrupted.woken == 1


class Untidy:
    """Memory that cannot be tidied up."""

    def tidy(self):
        raise OSError("no more descriptors")


def test_a_failure_beside_the_connection_is_heard_too(monkeypatch):
    monkeypatch.setattr(client, "PING_EVERY", 0.01)
    portal = Portal(Peer("client-1", 1), Untidy(), ask_timeout=1.0)
    quiet = Quiet()
    thread = ClientThread(portal, quiet)

    thread.start()
    thread.block(Until(portal, lambda: portal.lost is not None), 10.0)
    thread.stop()

    with pytest.raises(ConnectionLost, match="no more descriptors"):
        portal.check()
    assert quiet.closed


def test_who_stops_it_while_sending_does_not_wait_for_himself():
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    quiet = Quiet()
    thread = ClientThread(portal, quiet)
    thread.start()

    with portal.lock:
        thread.stop()  # as the handler of a signal does
    thread.stop()

    assert quiet.closed


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
