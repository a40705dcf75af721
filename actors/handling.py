"""Which message is being handled: what is sent meanwhile inherits its deadline and its chain."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final, final

from actors.cycles import Hold, Waiter


@final
class Handling(Waiter, eq=False):
    """The message being handled, as far as what is sent meanwhile depends on it.

    It is what the calls made meanwhile wait with, too.
    """

    sender: str
    """"" for a timer's message."""
    deadline: float
    """Seconds on our clock; infinity for none."""
    chain: tuple[str, ...]
    """Names of those who wait for its answer, outermost first."""
    attempt: int


_OVER: Final = Hold.OVER

HANDLING: Final[ContextVar[Handling | None]] = ContextVar("understudy_handling", default=None)
"""Set while a handler runs; asyncio tasks a handler starts inherit it."""


def handling_now() -> Handling | None:
    """Return what is being handled; None in a task that has outlived its handler.

    Nobody waits for what such a task asks, so neither deadline nor chain are its own.
    """
    handling = HANDLING.get()
    return None if handling is None or handling.hold is _OVER else handling


def in_event_loop() -> bool:
    """Whether the calling code runs inside an asyncio task."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
