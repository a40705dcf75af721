"""Does what the pacing decides, a turn at a time: each turn is one message among the others.

Turn ──► turn() ──► Pacing.next(now) ──► steps | a frame | nothing ──► the next Turn, then
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final, assert_never, final

from actors.compute.pacing import Pacing, Rest, Show, Step
from actors.context import Context
from actors.failure import from_theirs, said_of, writable
from actors.message import message

SOON: Final = 0.001
"""Seconds; longer than any clock's step, so that a timer that has gone off is known to have."""


@message(tag="understudy:compute.Turn")
class Turn:
    """Time for a step or a frame."""


@message(tag="understudy:compute.Beat")
class Beat:
    """Time for a heartbeat."""


@final
class Turns:
    """The loop of one life of a computation."""

    def __init__(
        self,
        context: Context,
        pacing: Pacing,
        *,
        advance: Callable[[int], None],
        show: Callable[[int], None],
    ) -> None:
        """`advance` makes so many steps, `show` a frame of this number; both may raise."""
        self.error = ""
        """Why the last step or frame failed, which paused it; "" when all is well."""
        self._context = context
        self._pacing = pacing
        self._advance = advance
        self._show = show
        self._coming: asyncio.TimerHandle | None = None

    def turn(self) -> None:
        """Do what is to be done now, and come again."""
        self._coming = None
        todo = self._pacing.next(time.monotonic())
        match todo:
            case Rest():
                self.come_in(todo.seconds)
            case Show():
                # What cannot be shown now cannot be shown at once again.
                self.come_in(0.0 if self._survives(self._frame) else math.inf)
            case Step():
                self._survives(lambda: self._step(todo.count))
                self.come_in(0.0)
            case _:
                assert_never(todo)

    def come_in(self, seconds: float) -> None:
        """Have the next turn then, or sooner; inf: only when something is said."""
        if self._coming is not None:
            if self._coming.when() <= asyncio.get_running_loop().time() + SOON:
                return  # its message is in the mailbox already: another would be one more for ever
            self._coming.cancel()
            self._coming = None
        if math.isfinite(seconds):
            self._coming = self._context.tell_after(seconds, Turn())

    def _step(self, count: int) -> None:
        begun = time.perf_counter()
        self._advance(count)
        self._pacing.stepped(count, time.perf_counter() - begun)

    def _frame(self) -> None:
        begun = time.perf_counter()
        self._show(self._pacing.frames + 1)
        self._pacing.shown(time.monotonic(), time.perf_counter() - begun)

    def _survives(self, act: Callable[[], None]) -> bool:
        """Do it; when it raises, pause and say why in every heartbeat."""
        try:
            act()
        except Exception as error:
            self._pacing.pause()
            self.error = writable(said_of(error))  # each heartbeat has to carry it
            trace = from_theirs(error.__traceback__)
            text = "%s is paused, because its computation raised"
            self._context.log.exception(
                text, self._context.name, exc_info=(type(error), error, trace)
            )
            return False
        return True
