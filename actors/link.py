"""Links: nothing lost, nothing twice, in order, from one party to one name.  A decider.

    sender                                             receiver (one life)
    Outbound ── letters, numbered when they leave ──►  Inbound ── in order, once ──► mailbox
       ▲                                                  │
       └───────── received, handled, credit ◄─────────────┘   in the head of every batch back

A letter stays in the sender's outbox until the receiver says it is *handled*.  When the receiving
life ends, its flight recorder says for each letter whether it was finished, in progress or never
begun (`Outbound.bury`); what was never begun goes to the next life, renumbered from 1.

    waiting   not yet sent to the present life, no number
    flying    sent, not yet known to be handled, numbered without gaps

Sequence numbers and cumulative acknowledgement as in TCP (RFC 9293); per-life numbering and
fencing follow Erlang's distribution (a new node life starts a new connection).
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, final

from actors.control import LaneRecord
from actors.envelope import LAST_MAILBOX_KIND, Envelope

OUTBOX_MESSAGES: Final = 10_000
OUTBOX_BYTES: Final = 64 << 20
ENVELOPE_OVERHEAD: Final = 64
"""Bytes counted for a letter besides its payload, so that empty messages are bounded too."""

REDELIVERY_LIMIT: Final = 3
"""A `redeliver=True` message is given to so many lives; then it is a dead letter."""

BATCH_ENVELOPES: Final = 256
BATCH_BYTES: Final = 4 << 20


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
class Letter:
    """An envelope in the outbox, with what the sender needs to know about it."""

    __slots__ = ("blocks", "envelope", "frames", "redeliver", "size")

    def __init__(
        self,
        envelope: Envelope,
        frames: tuple[bytes | memoryview, ...] = (),
        *,
        blocks: tuple[int, ...] = (),
        redeliver: bool = False,
    ) -> None:
        self.envelope = envelope
        self.frames = frames
        self.blocks = blocks
        """Shared-memory blocks that live until this letter is settled."""
        self.redeliver = redeliver
        size = ENVELOPE_OVERHEAD + len(envelope.payload)
        for frame in frames:
            size += len(frame) if isinstance(frame, bytes) else frame.nbytes
        self.size = size

    @property
    def sent(self) -> bool:
        """Whether the present life of the receiver may have it."""
        return self.envelope.seq > 0


@final
class Outbound:
    """The sender's half: an outbox towards one name, across the lives of its holder."""

    __slots__ = ("_again", "_bytes", "_count", "credit", "flying", "incarnation", "last", "waiting")

    def __init__(self, credit: int = OUTBOX_MESSAGES) -> None:
        self.incarnation = 0
        """The life letters are sent to; 0 while none takes messages."""
        self.credit = credit
        """Unfinished messages the receiver will hold for us."""
        self.waiting: deque[Letter] = deque()
        self.flying: dict[int, Letter] = {}
        self.last = 0
        """Highest number given out in the present life."""
        self._again: list[Letter] = []
        self._count = 0
        self._bytes = 0

    @property
    def base(self) -> int:
        """The lowest number that is not settled."""
        return next(iter(self.flying), self.last + 1)

    @property
    def full(self) -> bool:
        """Whether another message has to wait for room."""
        return self._count >= min(self.credit, OUTBOX_MESSAGES) or self._bytes >= OUTBOX_BYTES

    @property
    def unfinished(self) -> int:
        """Messages (not answers) that are not known to be handled."""
        return self._count

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self.flying and not self.waiting

    def offer(self, letter: Letter) -> None:
        """Accept a letter.  The caller has looked at `full` first; answers are never refused."""
        if letter.envelope.kind <= LAST_MAILBOX_KIND:
            self._count += 1
            self._bytes += letter.size
        self.waiting.append(letter)

    def withdraw(self, letter: Letter) -> bool:
        """Take back a letter that has not left; False when it is too late."""
        if letter.sent or letter not in self.waiting:
            return False
        self.waiting.remove(letter)
        self._forget(letter)
        return True

    def take(self) -> list[Letter]:
        """Return what should go out now, at most one batch; call again until it is empty."""
        if not self.incarnation:
            return []
        if self._again:
            batch, self._again = self._again[:BATCH_ENVELOPES], self._again[BATCH_ENVELOPES:]
            return batch
        batch = []
        room = BATCH_BYTES
        waiting, flying = self.waiting, self.flying
        while waiting and len(batch) < BATCH_ENVELOPES and room > 0:
            letter = waiting.popleft()
            self.last += 1
            letter.envelope.seq = self.last
            room -= letter.size
            flying[self.last] = letter
            batch.append(letter)
        return batch

    @property
    def ready(self) -> bool:
        """Whether `take` would return something."""
        return bool(self.incarnation and (self.waiting or self._again))

    def acknowledge(self, handled: int, finished: list[int], credit: int) -> list[Letter]:
        """Note what the receiver has finished; return the letters that are settled by it."""
        if credit > 0:
            self.credit = credit
        flying = self.flying
        numbers: list[int] = []
        for seq in flying:
            if seq > handled:
                break
            numbers.append(seq)
        numbers += [seq for seq in finished if seq > handled and seq in flying]
        settled = [flying.pop(seq) for seq in numbers]
        for letter in settled:
            self._forget(letter)
        return settled

    def rewind(self, received: int) -> None:
        """Send again everything after number `received`: the receiver has a gap."""
        self._again = [letter for seq, letter in self.flying.items() if seq > received]

    def bind(self, incarnation: int, credit: int) -> None:
        """A life takes messages: send to it from now on, everything unsettled first."""
        if incarnation == self.incarnation:
            return
        self._unsend(list(self.flying.values()))
        self.incarnation = incarnation
        if credit > 0:
            self.credit = credit

    def bury(self, record: LaneRecord | None, *, known: bool) -> list[tuple[Letter, Verdict]]:
        """The life letters went to is over: settle what it had begun, keep what it had not.

        `record` is what its flight recorder says of this link, None when nothing had reached it;
        with `known` False the record is lost and everything sent counts as in progress.
        """
        done = record or LaneRecord()
        verdicts: list[tuple[Letter, Verdict]] = []
        kept: list[Letter] = []
        for letter in self.flying.values():
            verdict = _judge(letter, done, known=known)
            if verdict is None:
                kept.append(letter)
            else:
                verdicts.append((letter, verdict))
                self._forget(letter)
        answers = [x for x in self.waiting if x.envelope.kind > LAST_MAILBOX_KIND]
        if answers:
            verdicts += [(letter, Verdict.VOID) for letter in answers]
            self.waiting = deque(x for x in self.waiting if x.envelope.kind <= LAST_MAILBOX_KIND)
        self._unsend(kept)
        self.incarnation = 0
        return verdicts

    def close(self) -> list[Letter]:
        """The name is gone for good: return everything that was never handled."""
        letters = [*self.flying.values(), *self.waiting]
        self.flying.clear()
        self.waiting.clear()
        self._again = []
        self._count = self._bytes = self.incarnation = 0
        return letters

    def _unsend(self, letters: list[Letter]) -> None:
        for letter in reversed(letters):
            letter.envelope.seq = 0
            self.waiting.appendleft(letter)
        self.flying = {}
        self._again = []
        self.last = 0

    def _forget(self, letter: Letter) -> None:
        if letter.envelope.kind <= LAST_MAILBOX_KIND:
            self._count -= 1
            self._bytes -= letter.size


def _judge(letter: Letter, done: LaneRecord, *, known: bool) -> Verdict | None:
    """Return what became of a sent letter; None when it was never begun and must go out again."""
    envelope = letter.envelope
    if envelope.kind > LAST_MAILBOX_KIND:
        return Verdict.VOID
    if known and (envelope.seq <= done.handled or envelope.seq in done.finished):
        return Verdict.FINISHED
    if known and envelope.seq not in done.in_progress:
        return None
    if not letter.redeliver:
        return Verdict.IN_PROGRESS
    if envelope.attempt >= REDELIVERY_LIMIT:
        return Verdict.POISON
    envelope.attempt += 1
    return None


@final
class Inbound:
    """The receiver's half: one life of a sender."""

    __slots__ = ("_early", "_news", "expected", "gap", "handled", "owed")

    def __init__(self, base: int) -> None:
        self.expected = base
        """The next number that is new."""
        self.handled = base - 1
        """Every number up to this one is finished."""
        self.gap = False
        """Something was lost on the way: ask for it again."""
        self.owed = 0
        """Letters finished since the sender was last told."""
        self._early: set[int] = set()
        self._news: list[int] = []

    def accept(self, seq: int) -> bool:
        """Whether this number is the next one; a repeated or an early one is refused."""
        if seq == self.expected:
            self.expected = seq + 1
            return True
        if seq > self.expected:
            self.gap = True
        else:
            # The sender repeats itself: it has not heard our acknowledgement.
            self.owed += 1
        return False

    def notice_last(self, last: int) -> None:
        """The sender has sent up to `last`: anything missing at the end was lost."""
        if last >= self.expected:
            self.gap = True

    def finish(self, seq: int) -> int:
        """Mark a number as finished; return the cumulative mark."""
        self.owed += 1
        if seq != self.handled + 1:
            # An early one: a handler that overlaps others, or a stream, was faster.
            self._early.add(seq)
            self._news.append(seq)
            return self.handled
        self.handled = seq
        early = self._early
        while early and self.handled + 1 in early:
            self.handled += 1
            early.discard(self.handled)
        return self.handled

    def news(self) -> list[int]:
        """Return the numbers finished out of order since the last call; clear what is owed."""
        self.owed = 0
        if not self._news:
            return []
        news, self._news = [seq for seq in self._news if seq > self.handled], []
        return news

    @property
    def unfinished(self) -> int:
        """Letters that arrived and are not finished."""
        return self.expected - 1 - self.handled - len(self._early)
