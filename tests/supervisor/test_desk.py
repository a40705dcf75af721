"""Who watches whom."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from actors.attachments import Memory
from actors.control import SUPERVISOR, Heard
from actors.errors import MailboxFull, SpawnError
from actors.notices import Terminated
from actors.peer import Peer
from actors.portal import Portal
from actors.requests import SpawnActor, WatchStream
from supervisor.desk import ABSENT, QUEUE, Desk, _follow, _spread
from supervisor.exchange import Exchange


def portal():
    return Portal(Peer(SUPERVISOR, 1), Memory(), ask_timeout=1.0)


def test_a_watcher_that_is_gone_leaves_nothing_behind():
    desk = Desk().open(None, portal())
    desk.watchers = {"a": {"w", "v"}, "b": {"w"}}

    desk.forget("w")

    assert desk.watchers == {"a": {"v"}}


@pytest.mark.parametrize(
    ("launcher", "faults", "wait", "waits"),
    [
        ("fork", b"", True, True),
        ("spawn", b"", True, True),
        ("thread", b"", True, False),  # nothing is shared, and simulated runs stay as they are
        ("fork", b"a schedule", True, False),
        ("thread", b"", False, True),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_spawn_is_answered_when_the_broker_has_heard_of_the_actor(
    launcher, faults, wait, waits, fails
):
    class Starting:
        """A system in which actors start or fail at once, and a broker that is slow to hear."""

        boot = SimpleNamespace(launcher=launcher, faults=faults)

        async def spawn(self, _msg, _parent):
            if fails:
                raise SpawnError(actor="a", reason="no luck")
            return 1

    async def run():
        door = portal()
        door.peer.online = True
        desk = Desk().open(Starting(), door)
        Starting.exchange = Exchange(door.peer, lambda: None)
        desk.context = SimpleNamespace(sender=None)
        spawned = asyncio.ensure_future(
            desk.spawn(SpawnActor("a", "stage", "Player", "", "", {}, wait=wait))
        )
        await asyncio.sleep(0)
        while waits and not door.conditions:
            assert not spawned.done(), "nobody waits for the broker"
            await asyncio.sleep(0)
        assert spawned.done() is not waits
        with door.lock:
            door.peer.asides.take(Heard(1))
            door.after_pump()
        return await spawned

    with pytest.raises(SpawnError, match="no luck") if fails else nullcontext():
        assert asyncio.run(run()) == 1


def test_watching_those_who_never_come_is_bounded():
    class Empty:
        """A system without actors."""

        def means(self, _name):
            return False

    desk = Desk().open(Empty(), portal())
    for number in range(ABSENT + 10):
        desk.watchers[f"ghost-{number}"] = {"w"}
        desk._note_absent(f"ghost-{number}")

    assert len(desk.watchers) == len(desk.absent) == ABSENT
    assert "ghost-0" not in desk.watchers


def test_a_stream_of_ends_leaves_nothing_behind():
    class Whole:
        """A system that has every actor."""

        def means(self, _name):
            return True

    async def run():
        desk = Desk().open(Whole(), portal())
        streams = [desk.watch_stream(WatchStream("a")) for _ in range(2)]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        while len(desk.readers.get("a", ())) < len(streams):  # noqa: ASYNC110 - in their own time
            await asyncio.sleep(0)
        _spread(desk.readers["a"], Terminated("a", 1, "it fell"))
        await asyncio.gather(*waiting)
        for left, stream in enumerate(streams):
            assert len(desk.readers["a"]) == len(streams) - left
            await stream.aclose()
            while len(desk.readers.get("a", ())) == len(streams) - left:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
        return desk.readers

    assert asyncio.run(run()) == {}


def test_a_reader_that_let_too_much_wait_gets_what_waits_and_then_an_error():
    async def run():
        book, seen = {}, []
        stream = _follow(book, "a")
        first = asyncio.ensure_future(anext(stream))
        while not book:  # noqa: ASYNC110 - it begins in its own time
            await asyncio.sleep(0)
        for number in range(QUEUE + 10):
            _spread(book.get("a", {}), number)
        seen.append(await first)
        try:
            async for number in stream:
                seen.append(number)  # noqa: PERF401 - the end is an error
        except MailboxFull as error:
            return seen, book, str(error)
        return seen, book, ""

    seen, book, error = asyncio.run(run())

    assert seen == list(range(len(seen)))
    assert len(seen) >= QUEUE
    assert not book
    assert "some are lost" in error
