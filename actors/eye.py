"""What one thread looks at descriptors with; several may look at the same ones."""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Final, TypeAlias, final

Spoken: TypeAlias = list[tuple[int, int]]
"""Descriptors that have something to say, each with its events."""

LONGEST: Final = 3600.0
"""Seconds; more would not fit the system call."""


@final
class Eye:
    """Belongs to one thread at a time: two cannot sleep at one `poll` object."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        # The descriptors themselves: `zmq.Poller` would ask every socket before and after.
        self._poll = select.poll()
        for descriptor in descriptors:
            self.add(descriptor)

    def add(self, descriptor: int) -> None:
        """Look at this one too, from the next look on."""
        self._poll.register(descriptor, select.POLLIN)

    def look(self, seconds: float) -> Spoken:
        """Sleep until a descriptor speaks or the time is over."""
        return self._poll.poll(min(seconds, LONGEST) * 1000)
