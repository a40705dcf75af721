"""Large letters over the network: cut, paced and joined, so that small ones pass them.  A decider.

    Cutter  a lane for large letters: what leaves of the first, and who must not pass it
    Pace    how many bytes of pieces may be under way on one link
    Joint   the other side: the pieces become the parts again

    outbox ── PIECE, PIECE, ... ──► the letter itself, which says how many parts went ahead
       ▲           │
       └── Pace ◄──┴── acknowledged at once

A connection carries one thing after the other: what has been handed to it cannot be overtaken.  So
what is under way is kept as short as `GOAL` seconds of what the connection carries, by all that
share it, though none knows of the others.  How much that is nobody says; it is found out from the
time a piece takes until it is acknowledged, once in a round trip: that time is what is under way,
divided by what the connection carries, once there is a queue, and the window is scaled by how far
it is from the goal.

After LEDBAT (RFC 6817), which keeps a queue short by watching delays; a goal for the whole round
trip, not for its excess alone, keeps those who come later from taking a queue for the distance.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final, final

import msgspec

from actors.address import NET_PREFIX
from actors.envelope import LARGEST_FRAME, LAST_MAILBOX_KIND, Envelope, Frames, Kind
from actors.errors import MessageError
from actors.letter import Letter

CUT_FROM: Final = 32 << 10
"""Bytes of a letter from which it is cut."""

FIRST: Final = 8 << 10
"""Bytes of a window of which nothing is known: eight at once are 64 ms on a line of 1 MB/s."""

SMALLEST: Final = 4 << 10
"""Bytes of the smallest window, however slow the line is."""

LEAST: Final = 128 << 10
"""Bytes from which no delay makes a window smaller unless the line is seen to be slow: a receiver
that is seldom there to acknowledge gets as much each time.  After a pause no more leave at once."""

MOST: Final = 1 << 20
"""Bytes of the largest window: 50 ms on a line of 20 MB/s, even where it was misjudged."""

LARGEST_PIECE: Final = 256 << 10
"""Bytes of a piece; more of them are in a window, so that the connection is never idle."""

GOAL: Final = 0.012
"""Seconds a piece may take until it is acknowledged, where the way itself does not take longer."""

SHARE: Final = 0.004
"""Seconds of what the line carries that each may have under way, however many there are."""

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

    __slots__ = ("_best", "_floor", "_heard", "_last", "_more", "_new", "_since", "flying",
                 "window")  # fmt: skip

    def __init__(self) -> None:
        self.window = FIRST
        self.flying = 0
        """Bytes that have left and are not acknowledged."""
        self._floor = FIRST
        """Bytes of a window that no delay makes smaller."""
        self._new = True
        """Nothing has taken too long yet: the window is doubled."""
        self._best = math.inf
        """The shortest time a piece has taken."""
        self._since = 0.0
        """When the window was last changed: only what left later tells of the present one."""
        self._heard = 0.0
        """When a piece was last acknowledged."""
        self._more = 0
        """Bytes acknowledged since the window was changed, without those by which it was."""
        self._last = 0.0
        """When a piece last left."""

    @property
    def open(self) -> bool:
        """Whether another piece may leave."""
        return self.flying < self.window

    @property
    def piece(self) -> int:
        """Bytes of the next piece."""
        return min(LARGEST_PIECE, self.window // _IN_A_WINDOW)

    def sent(self, size: int, now: float) -> None:
        """A piece has left."""
        if not self.flying and now - self._last > FORGET:
            self.window, self._since = min(self.window, LEAST), now
            self._best, self._more, self._new = math.inf, 0, True
        self.flying += size
        self._last = now

    def arrived(self, size: int, sent: float, now: float) -> None:
        """A piece that left at `sent` was acknowledged."""
        self.flying -= size
        taken = max(now - sent, 1e-6)
        self._best = min(self._best, taken)
        if sent < self._since:
            self._more, self._heard = self._more + size, now
            return
        if self._more:
            self._look_at_the_line()
        self._since, self._more = now, 0
        goal = max(GOAL, min(1.25 * self._best, self._best + MORE))
        scale = 2.0 if self._new else min(2.0, goal / taken)
        if taken > goal:
            self._new = False
            scale = max(0.5, goal / taken)
            if self.window <= self._floor:
                self._best = min(taken, 2 * GOAL)  # with so little it is hardly our queue
        self.window = int(min(MOST, max(self._floor, self.window * scale)))

    def _look_at_the_line(self) -> None:
        """Set the floor by how far apart the acknowledgements of one window came.

        A slow line spreads them.  They come together when the line is quick, or from a receiver
        that is seldom there, whose delay says nothing of the line.
        """
        spread = max(self._heard - self._since, SHARE / 2)
        seen = min(2 * self._floor, max(self._floor / 2, self._more * SHARE / spread))
        self._floor = int(min(LEAST, max(SMALLEST, seen)))

    def lost(self) -> None:
        """Nothing is under way any more: whoever should acknowledge it is gone."""
        self.flying = 0


@final
class Cutter:
    """The letters of one link that leave in pieces, and those that must not pass them."""

    __slots__ = ("_answers", "_at", "_flying", "_in_vain", "_offset", "_parts", "lane", "message",
                 "pace")  # fmt: skip

    def __init__(self) -> None:
        self.pace = Pace()
        self.lane: deque[Letter] = deque()
        """Large letters, in their order, and what must not pass them; the first is leaving."""
        self.message = False
        """Whether one of them is a message: no other message may pass it."""
        self._answers: Counter[int] = Counter()
        """How many answers in the lane belong to an ask or stream of the other side."""
        self._parts: list[memoryview] = []
        """Payload and array frames of the first letter, once it leaves in pieces."""
        self._at = 0
        """The part of which the next piece is."""
        self._offset = 0
        """Where that piece begins."""
        self._in_vain = False
        """The other side has pieces of a letter that was taken back, and does not know."""
        self._flying: dict[int, tuple[int, float]] = {}
        """Size of each piece that is under way, and when it left."""

    @property
    def ready(self) -> bool:
        """Whether something of the lane may leave."""
        return self._in_vain or bool(self.lane and (self.pace.open or self._whole))

    @property
    def _whole(self) -> bool:
        """Whether the first letter needs no piece, or no more."""
        return self._at == len(self._parts) if self._parts else not _is_large(self.lane[0])

    def takes(self, letter: Letter) -> bool:
        """Take a letter that leaves, if it is large or must not pass one that is here."""
        envelope = letter.envelope
        if not _is_large(letter) and not (self.lane and self._follows(envelope)):
            return False
        self.lane.append(letter)
        if envelope.kind <= LAST_MAILBOX_KIND:
            self.message = True
        elif envelope.kind <= Kind.END:
            self._answers[envelope.correlation] += 1
        return True

    def _follows(self, envelope: Envelope) -> bool:
        """Whether a small letter belongs behind what is here.

        That is the next item of a stream.  And a member of a pool that hears of more work before
        it has what it was given would ask for that too.
        """
        if envelope.kind >= Kind.WANT:
            return self.message
        answers = LAST_MAILBOX_KIND < envelope.kind <= Kind.END
        return answers and envelope.correlation in self._answers

    def next(self, room: int) -> Letter | None:
        """Return the next piece, or the first letter when all its pieces have left; None to wait.

        A piece needs `room`, and a place in the window.
        """
        if self._in_vain:
            self._in_vain = False
            return Letter(Envelope(Kind.PIECE, 0, 0, "", b""))
        if not self.lane:
            return None
        first = self.lane[0]
        if self._whole:
            first.envelope.parts = len(self._parts)
            self._drop(first)
            return first
        if room <= 0 or not self.pace.open:
            return None
        if not self._parts:
            self._parts = [memoryview(part) for part in (first.envelope.payload, *first.frames)]
        part, offset = self._parts[self._at], self._offset
        piece = part[offset : offset + self.pace.piece]
        self._offset += piece.nbytes
        if self._offset == part.nbytes:
            self._at, self._offset = self._at + 1, 0
        return Letter(Envelope(Kind.PIECE, 0, offset, "", b"", 1), (piece,))

    def abandon(self, letter: Letter) -> bool:
        """Take a letter back, with the pieces of it that have left; whether it was here."""
        if letter not in self.lane:
            return False
        if self._parts and letter is self.lane[0]:
            self._in_vain = True
        self._drop(letter)
        return True

    def _drop(self, letter: Letter) -> None:
        if letter is self.lane[0]:
            self._parts, self._at, self._offset = [], 0, 0
        self.lane.remove(letter)
        kind, correlation = letter.envelope.kind, letter.envelope.correlation
        if kind <= LAST_MAILBOX_KIND:
            self.message = False
        elif kind <= Kind.END:
            self._answers[correlation] -= 1
            if not self._answers[correlation]:
                del self._answers[correlation]

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
        """The life that pieces went to is over; whoever calls has taken what was in the lane."""
        self.lane.clear()
        self._answers.clear()
        self.message = self._in_vain = False
        self._parts, self._at, self._offset = [], 0, 0
        self._flying.clear()
        self.pace.lost()


def _is_large(letter: Letter) -> bool:
    """Whether a letter leaves in pieces."""
    return CUT_FROM < letter.size <= MOST_JOINED - OVERHEAD * (len(letter.frames) + 1)


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
