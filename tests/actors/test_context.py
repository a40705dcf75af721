"""Timers of an actor that has no time for them."""

from __future__ import annotations

import asyncio

from actors.context import Every
from actors.mailbox import Mailbox, Timer


class Box:
    """An actor's mailbox, and nobody who empties it."""

    def __init__(self):
        self.mailbox = Mailbox()
        self.taken = 0

    def tell_self(self, timer):
        self.mailbox.put(timer)

    def take(self):
        self.taken += self.mailbox.take() is not None


async def wait_until(condition):
    while not condition():  # noqa: ASYNC110 - there is nothing to wait for
        await asyncio.sleep(0.001)


def test_ticks_that_nobody_takes_do_not_pile_up_and_go_on_when_they_are_taken():
    box, turns = Box(), []

    async def run():
        loop = asyncio.get_running_loop()
        every = Every(loop, 0.001, Timer("tick"), box)
        for _ in range(3):
            await wait_until(lambda: len(box.mailbox))
            await asyncio.sleep(0.02)
            turns.append(len(box.mailbox))
            box.take()
        every.cancel()

    asyncio.run(asyncio.wait_for(run(), 10.0))

    assert turns == [1, 1, 1]
    assert box.taken == 3
