"""Who watches whom."""

from __future__ import annotations

import asyncio

from actors.errors import MailboxFull
from supervisor.desk import QUEUE, Desk, _follow, _spread


def test_a_watcher_that_is_gone_leaves_nothing_behind():
    desk = Desk().open(None, lambda name, msg: None)
    desk.watchers = {"a": {"w", "v"}, "b": {"w"}}

    desk.forget("w")

    assert desk.watchers == {"a": {"v"}}


def test_a_reader_that_let_too_much_wait_gets_what_waits_and_then_an_error():
    async def run():
        readers, seen = {}, []
        stream = _follow(readers)
        first = asyncio.ensure_future(anext(stream))
        while not readers:  # noqa: ASYNC110 - it begins in its own time
            await asyncio.sleep(0)
        for number in range(QUEUE + 10):
            _spread(readers, number)
        seen.append(await first)
        try:
            async for number in stream:
                seen.append(number)  # noqa: PERF401 - the end is an error
        except MailboxFull as error:
            return seen, readers, str(error)
        return seen, readers, ""

    seen, readers, error = asyncio.run(run())

    assert seen == list(range(len(seen)))
    assert len(seen) >= QUEUE
    assert not readers
    assert "some are lost" in error
