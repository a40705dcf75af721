"""Where the calling code stands: how deep on the stack, within which lock, on which loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any, Final, cast

ROOM: Final = 100
"""Calls deep that a pump may go."""


def has_room(calls: int = ROOM) -> bool:
    """Whether the stack has room for so many calls; a pump must not fail for want of it."""
    try:
        # Almost always it is far from deep, which the interpreter finds out much faster than we.
        sys._getframe(sys.getrecursionlimit() // 2)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except ValueError:
        return True
    try:
        return _descend(calls)
    except RecursionError:
        return False


def _descend(calls: int) -> bool:
    return not calls or _descend(calls - 1)


def on_a_loop() -> bool:
    """Whether an event loop runs in this thread, even if it sleeps and a signal's handler asks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def holds(lock: threading.RLock) -> bool:
    """Whether the calling thread holds a lock; it is asked as `threading.Condition` asks."""
    return bool(cast("Any", lock)._is_owned())  # noqa: SLF001
