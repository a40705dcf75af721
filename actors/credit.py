"""Flow control of one stream: how much its writer may send ahead of its reader.  A decider.

    writer   may send while fewer than WINDOW items, and fewer than WINDOW_BYTES, are unread;
             FREE items may always be under way, however large they are
    reader   says how many it has read in all: when it has read half a window, or half of FREE
             with nothing left to read (then large items may have stopped the writer)

The count is cumulative, so a repeated or overtaken grant does no harm.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

WINDOW: Final = 64
"""Items a writer may be ahead of its reader; part of the protocol."""

WINDOW_BYTES: Final = 32 << 20
"""Bytes a writer may be ahead of its reader, beyond the first FREE items."""

FREE: Final = 8
"""Items that may be under way whatever their size; part of the protocol."""


@final
class WriterCredit:
    """The writer's side."""

    def __init__(self) -> None:
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._read = 0

    @property
    def open(self) -> bool:
        """Whether the next item may be sent."""
        unread = len(self._sizes)
        return unread < FREE or (unread < WINDOW and self._bytes < WINDOW_BYTES)

    def sent(self, size: int) -> None:
        """An item of so many bytes has left."""
        self._sizes.append(size)
        self._bytes += size

    def granted(self, read: int) -> None:
        """The reader has read so many items in all."""
        while self._read < read and self._sizes:
            self._bytes -= self._sizes.popleft()
            self._read += 1


@final
class ReaderCredit:
    """The reader's side."""

    def __init__(self) -> None:
        self._read = 0
        self._told = 0

    def read(self, *, drained: bool) -> int:
        """One more item was taken; return the count to tell the writer, or 0 for not yet.

        `drained` says that no further item is here.
        """
        self._read += 1
        untold = self._read - self._told
        if untold >= WINDOW // 2 or (drained and untold >= FREE // 2):
            self._told = self._read
            return self._read
        return 0
