"""Which message is being handled: what is sent meanwhile inherits its deadline and its chain."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final, final

import attrs


@final
@attrs.frozen
class Handling:
    """The message being handled, as far as what is sent meanwhile depends on it."""

    sender: str
    deadline: float
    """Seconds on our clock; infinity for none."""
    chain: tuple[str, ...]
    """Names of those who wait for its answer, outermost first."""
    attempt: int


HANDLING: Final[ContextVar[Handling | None]] = ContextVar("understudy_handling", default=None)
"""Set while a handler runs; asyncio tasks a handler starts inherit it."""


def in_event_loop() -> bool:
    """Whether the calling code runs inside an asyncio task."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
