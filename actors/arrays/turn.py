"""A turn at a lock for those who must not wait for it, finalizers above all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

_WITHOUT_WAITING: Final = (False,)


def take_turn(lock: threading.Lock, work: Callable[[], None]) -> bool:
    """Do `work` with the lock if nobody has it now, and return whether; waits for nobody.

    A finalizer runs in the midst of anything: the lock may be its own thread's, or that of one who
    waits for what this thread has.
    """
    taken: list[bool] = []
    try:
        # `if lock.acquire(...)` would look the same.  But Python looks for signals between that
        # call and the next step, and a handler that raises there (Ctrl-C) leaves the lock taken for
        # ever.  This way it is taken, and noted, by one call.
        taken.extend(map(lock.acquire, _WITHOUT_WAITING))
        if taken[0]:
            work()
        return taken[0]
    finally:
        if taken and taken[0]:
            lock.release()
