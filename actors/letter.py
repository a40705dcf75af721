"""Letters: an envelope in an outbox, and what became of it when its receiver died.  A decider."""

from __future__ import annotations

from enum import Enum
from typing import Final, final

import msgspec

from actors.control import LaneRecord
from actors.envelope import LAST_MAILBOX_KIND, Envelope
from actors.runs import holds

ENVELOPE_OVERHEAD: Final = 64
"""Bytes counted for a letter besides its payload, so that empty messages are bounded too."""

REDELIVERY_LIMIT: Final = 3
"""A `redeliver=True` message is given to so many lives; then it is a dead letter."""


class Verdict(Enum):
    """What became of a letter whose receiver died."""

    FINISHED = "finished"
    """Handled; if it was an ask, its answer may be lost."""
    IN_PROGRESS = "in progress"
    """It was being handled: nobody knows how far it came."""
    POISON = "poison"
    """Redeliverable, but it has been in progress at too many deaths."""
    VOID = "void"
    """An answer, or a word about a stream, to a life that is gone: nobody waits for it."""


@final
class Letter(msgspec.Struct, eq=False):
    """An envelope in the outbox, with what the sender needs to know about it."""

    # A Struct, as others that are made once for a message.
    envelope: Envelope
    frames: tuple[bytes | memoryview, ...] = ()
    blocks: tuple[int, ...] = ()
    """Shared-memory blocks that live until this letter is settled."""
    redeliver: bool = False
    shared: int = 0
    """Bytes in those blocks; they count too, because they stay lent so long."""
    life: int = 0
    """The only incarnation an answer is meant for; 0 for a message, which any may handle."""
    pool: str = ""
    """The pool it was sent to, once a member has got it."""
    size: int = 0
    """Bytes it takes of an outbox."""

    def __post_init__(self) -> None:
        size = ENVELOPE_OVERHEAD + len(self.envelope.payload) + self.shared
        for frame in self.frames:
            size += len(frame) if isinstance(frame, bytes) else frame.nbytes
        self.size = size

    @property
    def waiting(self) -> bool:
        """Whether it has not been given to the present life, and still may be."""
        return self.envelope.seq == 0


def judge(letter: Letter, done: LaneRecord | None) -> Verdict | None:
    """Return what became of a sent letter; None when the next life shall have it."""
    envelope = letter.envelope
    if envelope.kind > LAST_MAILBOX_KIND:
        return Verdict.VOID
    if done is not None:
        if envelope.seq <= done.handled or holds(done.finished, envelope.seq):
            return Verdict.FINISHED
        if envelope.seq not in done.in_progress:
            return None
    if not letter.redeliver:
        return Verdict.IN_PROGRESS
    if envelope.attempt >= REDELIVERY_LIMIT:
        return Verdict.POISON
    envelope.attempt += 1
    return None
