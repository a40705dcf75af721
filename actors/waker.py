"""How one thread makes another look up that waits for descriptors."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import final


@final
class Waker:
    """A pipe to oneself: its descriptor is readable from `wake` until `clear`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may wake while its thread is at it
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._write, False)

    def wake(self) -> None:
        """Make the descriptor readable.  For any thread, also after `close`."""
        # Under a lock, because a descriptor closed meanwhile may be somebody else's file by now.
        with self._lock, suppress(BlockingIOError):  # a full pipe wakes too
            if self._write >= 0:
                os.write(self._write, b"\0")

    def clear(self) -> None:
        """Take the wake-ups that have arrived."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, 4096)

    def close(self) -> None:
        """Nobody is woken any more."""
        with self._lock:
            os.close(self.descriptor)
            os.close(self._write)
            self._write = -1
