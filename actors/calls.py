"""Pending asks and streams of one party: opened, answered, failed, expired.  A decider.

Every ask ends: with its answer, an error, the callee's death, or its deadline.  `Calls` holds what
is open, finds a call by its correlation number, and says which deadlines have passed.
"""

from __future__ import annotations

import heapq
import math
from typing import Final, Protocol, final

from actors.cycles import Hold, Waiter
from actors.envelope import Envelope, Frames
from actors.errors import ActorError
from actors.letter import Letter

STALE_DEADLINES: Final = 1024
"""Deadlines of calls that are over, kept until they are so many and the most."""

NOBODY: Final = Waiter(hold=Hold.OVER)
"""Made the calls of programs, and of tasks that have outlived their handler."""


class Sink(Protocol):
    """Where the answers of a call go: a `Reply` or a `Stream`."""

    def take(self, envelope: Envelope, frames: Frames, *, near: bool) -> bool:
        """Accept an answer, which may name shared memory if its sender is `near`.

        Returns whether the call is over.
        """
        ...

    def fail(self, error: ActorError) -> None:
        """End the call with `error`."""
        ...


@final
class _Nowhere:
    """The sink of a call that is over."""

    def take(self, envelope: Envelope, frames: Frames, *, near: bool) -> bool:  # noqa: ARG002
        """Nobody waits for it."""
        return True

    def fail(self, error: ActorError) -> None:
        """Nobody waits for it."""


_NOWHERE: Final = _Nowhere()


@final
class Call:
    """One open ask or stream."""

    __slots__ = (
        "correlation", "deadline", "letter", "lost", "message", "reason", "sink", "target",
        "timeout", "waiter",
    )  # fmt: skip

    def __init__(
        self, sink: Sink, *, target: str, message: str, deadline: float, timeout: float = 0.0
    ) -> None:
        self.sink = sink
        self.target = target
        self.message = message
        """Name of the message class, for error texts."""
        self.deadline = deadline
        """Seconds on our clock; infinity for none."""
        self.timeout = timeout
        """Seconds that were given until the deadline; 0 when nobody says."""
        self.correlation = 0
        self.letter: Letter | None = None
        """The request; None before it is in an outbox."""
        self.lost = False
        """The callee finished it and died: the answer has a moment left to arrive."""
        self.reason = ""
        """How the callee ended, when `lost`."""
        self.waiter = NOBODY
        """The handler that made the call."""

    def over(self, sink: Sink) -> None:
        """Let go of the request and of `sink`, if that is where answers go: nothing more comes.

        The sink holds its call: together they would keep an answer, perhaps an array in somebody's
        shared memory, until Python looks for cycles.
        """
        if self.sink is sink:
            self.sink, self.letter = _NOWHERE, None


@final
class Calls:
    """All open calls of a party."""

    def __init__(self) -> None:
        self._open: dict[int, Call] = {}
        self._deadlines: list[tuple[float, int]] = []
        """A heap; calls that are over stay in it until they are met, or are the most."""
        self._last = 0

    def __len__(self) -> int:
        return len(self._open)

    def open(self, call: Call) -> int:
        """Register `call`; return its correlation number."""
        self._last += 1
        call.correlation = self._last
        self._open[call.correlation] = call
        if call.deadline < math.inf:
            self._remember(call)
        return call.correlation

    def find(self, correlation: int) -> Call | None:
        """Return the open call with this number."""
        return self._open.get(correlation)

    def close(self, correlation: int) -> Call | None:
        """Remove a call that is over; None when it was not open (a late or repeated answer)."""
        return self._open.pop(correlation, None)

    def hurry(self, call: Call, deadline: float) -> None:
        """Give an open call an earlier deadline."""
        if deadline < call.deadline:
            call.deadline = deadline
            self._remember(call)

    def next_deadline(self) -> float:
        """Return when the next call may expire; infinity when none will."""
        heap = self._deadlines
        while heap and heap[0][1] not in self._open:
            heapq.heappop(heap)
        return heap[0][0] if heap else math.inf

    def expire(self, now: float) -> list[Call]:
        """Remove and return the calls whose deadline has passed."""
        expired: list[Call] = []
        heap = self._deadlines
        while heap and heap[0][0] <= now:
            _, correlation = heapq.heappop(heap)
            call = self._open.get(correlation)
            if call is not None and call.deadline <= now:
                expired.append(self._open.pop(correlation))
        return expired

    def to(self, target: str) -> list[Call]:
        """Return the open calls to one name, oldest first."""
        return [call for call in self._open.values() if call.target == target]

    def all(self) -> list[Call]:
        """Return every open call, oldest first."""
        return list(self._open.values())

    def _remember(self, call: Call) -> None:
        heap = self._deadlines
        # Answered in microseconds with 30 s left, calls would leave millions of deadlines behind.
        if len(heap) > STALE_DEADLINES and len(heap) > 4 * len(self._open):
            timed = (one for one in self._open.values() if one.deadline < math.inf)
            heap[:] = [(one.deadline, one.correlation) for one in timed]
            heapq.heapify(heap)  # this one is among them
        else:
            heapq.heappush(heap, (call.deadline, call.correlation))
