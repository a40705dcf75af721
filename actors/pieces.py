"""Large letters over the network: cut, paced and joined, so that small ones pass them.  A decider.

    Cutter  what leaves of a letter: its parts (payload, array frames), piece by piece
    Pace    how many bytes of pieces may be under way on one link
    Joint   the other side: the pieces become the parts again

    outbox ── PIECE, PIECE, ... ──► the letter itself, which says how many parts went ahead
       ▲           │
       └── Pace ◄──┴── acknowledged at once

A connection carries one thing after the other: what has been handed to it cannot be overtaken.  So
what is under way is kept as short as `GOAL` seconds of what the connection carries.  How much that
is nobody says; it is found out from the time a piece takes until it is acknowledged, once in a
round trip: that time is what is under way, divided by what the connection carries, once there is a
queue, and the window is scaled by how far it is from the goal.

After LEDBAT (RFC 6817), which keeps a queue short by watching delays; a goal for the whole round
trip, not for its excess alone, keeps those who come later from taking a queue for the distance.
"""

from __future__ import annotations

import math
from typing import Final, final

import msgspec

from actors.address import NET_PREFIX
from actors.envelope import LARGEST_FRAME, Envelope, Frames, Kind
from actors.errors import MessageError

CUT_FROM: Final = 32 << 10
"""Bytes of a letter from which it is cut, and of the smallest piece."""

LEAST: Final = 128 << 10
"""Bytes of the smallest window, and of one of which nothing is known: a receiver that is seldom
there to acknowledge gets as much each time."""

MOST: Final = 1 << 20
"""Bytes of the largest window: 50 ms on a line of 20 MB/s, even where it was misjudged."""

LARGEST_PIECE: Final = 256 << 10
"""Bytes of a piece; more of them are in a window, so that the connection is never idle."""

GOAL: Final = 0.012
"""Seconds a piece may take until it is acknowledged, where the way itself does not take longer."""

MORE: Final = 0.03
"""Seconds it may take beyond the time of the way itself, where that is long."""

FORGET: Final = 1.0
"""Seconds without a piece after which a window begins anew."""

MOST_JOINED: Final = LARGEST_FRAME
"""Bytes that may go ahead of one letter; a larger one leaves as it is."""

OVERHEAD: Final = 64
"""Bytes counted for a part besides its own, so that empty ones are bounded too."""

_IN_A_WINDOW: Final = 4


def is_far(one: str, other: str) -> bool:
    """Whether what these two say to each other travels over the network."""
    return one.startswith(NET_PREFIX) or other.startswith(NET_PREFIX)


@final
class Pace:
    """How many bytes of pieces may be under way on one link."""

    __slots__ = ("_best", "_last", "_since", "flying", "window")

    def __init__(self) -> None:
        self.window = LEAST
        self.flying = 0
        """Bytes that have left and are not acknowledged."""
        self._best = math.inf
        """The shortest time a piece has taken."""
        self._since = 0.0
        """When the window was last changed: only what left later tells of the present one."""
        self._last = 0.0
        """When a piece last left."""

    @property
    def open(self) -> bool:
        """Whether another piece may leave."""
        return self.flying < self.window

    @property
    def piece(self) -> int:
        """Bytes of the next piece."""
        return min(LARGEST_PIECE, max(CUT_FROM, self.window // _IN_A_WINDOW))

    def sent(self, size: int, now: float) -> None:
        """A piece has left."""
        if not self.flying and now - self._last > FORGET:
            self.window, self._best, self._since = LEAST, math.inf, now
        self.flying += size
        self._last = now

    def arrived(self, size: int, sent: float, now: float) -> None:
        """A piece that left at `sent` was acknowledged."""
        self.flying -= size
        taken = max(now - sent, 1e-6)
        self._best = min(self._best, taken)
        if sent < self._since:
            return
        self._since = now
        goal = max(GOAL, min(1.25 * self._best, self._best + MORE))
        if taken > goal and self.window == LEAST:
            self._best = min(taken, 2 * GOAL)  # with so little it is not our queue that takes long
        window = self.window * min(2.0, max(0.5, goal / taken))
        self.window = int(min(MOST, max(LEAST, window)))

    def lost(self) -> None:
        """Nothing is under way any more: whoever should acknowledge it is gone."""
        self.flying = 0


@final
class Cutter:
    """Cuts the large ones of the letters that leave on one link, one at a time."""

    __slots__ = ("_at", "_flying", "_of", "_offset", "_parts", "pace")

    def __init__(self) -> None:
        self.pace = Pace()
        self._of: Envelope | None = None
        """The letter that is leaving in pieces."""
        self._parts: list[memoryview] = []
        """Its payload and its array frames."""
        self._at = 0
        """The part of which the next piece is."""
        self._offset = 0
        """Where that piece begins."""
        self._flying: dict[int, tuple[int, float]] = {}
        """Size of each piece that is under way, and when it left."""

    @property
    def room(self) -> int:
        """Bytes that may leave now; 0 while as much is under way as may be."""
        return self.pace.piece if self.pace.open else 0

    def ahead(
        self, envelope: Envelope, frames: Frames, size: int
    ) -> tuple[Envelope, tuple[memoryview, ...]] | None:
        """Return the piece that must leave before this letter of `size` bytes; None for none."""
        if not CUT_FROM < size <= MOST_JOINED - OVERHEAD * (len(frames) + 1):
            return None
        if self._of is not envelope:
            if self._of is not None and (word := self.abandon(self._of)):
                return word, ()  # it waits for credit, and begins again when it has some
            self._of, self._at, self._offset = envelope, 0, 0
            self._parts = [memoryview(part) for part in (envelope.payload, *frames)]
        if self._at == len(self._parts):
            envelope.parts = len(self._parts)
            self._of, self._parts = None, []
            return None
        part, offset = self._parts[self._at], self._offset
        piece = part[offset : offset + self.pace.piece]
        self._offset += piece.nbytes
        if self._offset == part.nbytes:
            self._at, self._offset = self._at + 1, 0
        return Envelope(Kind.PIECE, 0, offset, "", b"", 1), (piece,)

    def abandon(self, envelope: Envelope) -> Envelope | None:
        """This letter is taken back; return what tells the other side, if it has some of it."""
        if self._of is not envelope:
            return None
        self._of, self._parts = None, []
        return Envelope(Kind.PIECE, 0, 0, "", b"")

    def sent(self, seq: int, size: int, now: float) -> None:
        """A piece has left under this number, perhaps not for the first time."""
        if seq not in self._flying:
            self._flying[seq] = (size, now)
            self.pace.sent(size, now)

    def arrived(self, seq: int, now: float) -> None:
        """What left under this number was acknowledged."""
        if seq in self._flying:
            self.pace.arrived(*self._flying.pop(seq), now)

    def start_again(self) -> None:
        """The life that pieces went to is over."""
        self._of, self._parts = None, []
        self._flying.clear()
        self.pace.lost()


def without_parts(envelope: Envelope) -> Envelope:
    """Return what of a letter follows the pieces that went ahead of it."""
    return msgspec.structs.replace(envelope, payload=b"", frames=0) if envelope.parts else envelope


@final
class Joint:
    """Pieces of one sender on their way to become a letter again."""

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: list[bytearray] = []
        self.size = 0
        """Bytes that are here."""

    def check(self, envelope: Envelope, frames: Frames) -> None:
        """Refuse what does not fit what is here; raises `MessageError`."""
        if envelope.kind == Kind.PIECE:
            size = sum(map(len, frames))
            if envelope.parts or len(frames) > 1 or self.size + size + OVERHEAD > MOST_JOINED:
                raise MessageError(f"{size} bytes more, in {len(frames)} frames, are no piece")
            if frames and envelope.correlation and not self._fits(envelope.correlation):
                raise MessageError(f"a piece from {envelope.correlation} on does not follow")
        elif envelope.parts and (envelope.parts != len(self._parts) or frames or envelope.payload):
            raise MessageError(f"{envelope.parts} parts are said to be here, and are not")

    def _fits(self, offset: int) -> bool:
        return bool(self._parts) and len(self._parts[-1]) == offset

    def add(self, envelope: Envelope, frames: Frames) -> None:
        """Take a piece that was checked."""
        if not frames:
            self.clear()
            return
        (piece,) = frames
        if envelope.correlation:
            self._parts[-1] += piece
        else:
            self._parts.append(bytearray(piece))
            self.size += OVERHEAD
        self.size += len(piece)

    def join(self, envelope: Envelope) -> Frames:
        """Return the array frames of a letter that was checked; its payload is put into it."""
        payload, *frames = self._parts
        envelope.payload, envelope.frames = bytes(payload), len(frames)
        self.clear()
        return [memoryview(frame).toreadonly() for frame in frames]

    def clear(self) -> None:
        """Let go of what is here."""
        self._parts, self.size = [], 0
