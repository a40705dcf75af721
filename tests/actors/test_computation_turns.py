"""The loop of a computation: steps, frames and rests, a turn at a time."""

from __future__ import annotations

import asyncio
import logging
from functools import wraps

from actors.compute.pacing import Pacing
from actors.compute.turns import Turn, Turns


def in_a_loop(test):
    """Run a test that is a coroutine."""

    @wraps(test)
    def run():
        asyncio.run(test())

    return run


class Stage:
    """A context with a mailbox that is read when somebody says so."""

    name = "stage"
    log = logging.getLogger("understudy.test")

    def __init__(self):
        self.timers = []
        self.mailbox = []

    def tell_after(self, seconds, msg):
        loop = asyncio.get_running_loop()
        self.timers.append(loop.call_later(seconds, self.take, len(self.timers), msg))
        return self.timers[-1]

    def take(self, number, msg):
        self.timers[number] = None
        self.mailbox.append(msg)

    @property
    def coming(self):
        """Turns in the mailbox, and on their way to it."""
        waiting = [timer for timer in self.timers if timer is not None and not timer.cancelled()]
        return len(self.mailbox) + len(waiting)

    async def arrival(self):
        """Wait until a turn is in the mailbox; return whether there is one."""
        while self.coming and not self.mailbox:  # noqa: ASYNC110 - the timer that is waited for is next
            await asyncio.sleep(0)
        return bool(self.mailbox)

    async def play(self, turns, most=1):
        for _ in range(most):
            if await self.arrival():
                assert self.mailbox.pop(0) == Turn()
                turns.turn()


def begun(advance=lambda _: None, show=lambda _: None, fps=1e9):
    stage = Stage()
    pacing = Pacing(steps_per_frame=2, frames_per_second=fps)
    turns = Turns(stage, pacing, advance=advance, show=show)
    turns.come_in(0.0)
    return stage, turns


@in_a_loop
async def test_each_turn_brings_the_next_one():
    made = []
    stage, turns = begun(made.append, lambda number: made.append(f"frame {number}"))

    await stage.play(turns, 20)

    assert stage.coming == 1
    assert made[:2] == ["frame 1", 1]
    assert "frame 2" in made


@in_a_loop
async def test_commands_that_come_while_a_turn_waits_in_the_mailbox_add_none():
    stage, turns = begun()
    for _ in range(10):  # somebody drags a slider
        assert await stage.arrival()
        turns.come_in(0.0)
        await stage.play(turns)

    assert stage.coming == 1


@in_a_loop
async def test_a_command_ends_a_rest():
    stage, turns = begun(fps=0.001)
    while turns._coming.when() <= asyncio.get_running_loop().time() + 1.0:
        await stage.play(turns)

    turns.come_in(0.0)
    await stage.play(turns)

    assert stage.coming == 1


@in_a_loop
async def test_what_raises_pauses_and_is_told():
    def fail(_count):
        raise ZeroDivisionError("no more")

    stage, turns = begun(fail)
    await stage.play(turns, 20)

    assert turns.error == "ZeroDivisionError: no more"
    assert stage.coming == 0
