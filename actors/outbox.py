"""The sender's half of a link: what is on its way to one name, across the lives of its holder.

    offer ─► waiting ── take: number it ─► flying ── acknowledge ─► settled
                ▲                             │
                └──── never begun ◄── bury ───┴── begun or finished ─► a verdict

    waiting   not yet sent to the present life, no number
    flying    sent, not yet known to be handled, numbered without gaps

A letter stays here until the receiver says it is *handled*.  When the receiving life ends, its
flight recorder says for each letter whether it was finished, in progress or never begun (`bury`);
what was never begun goes to the next life, renumbered from 1.  Answers belong to one life of the
asker and are never given to another.

Sequence numbers and cumulative acknowledgement as in TCP (RFC 9293); per-life numbering and
fencing follow Erlang's distribution (a new node life starts a new connection).
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

from actors.control import LaneRecord
from actors.envelope import LAST_MAILBOX_KIND, Kind
from actors.letter import Letter, Verdict, judge
from actors.pieces import Cutter

OUTBOX_MESSAGES: Final = 10_000
OUTBOX_BYTES: Final = 64 << 20

MOST_ANSWERS: Final = 10_000
MOST_ANSWER_BYTES: Final = 64 << 20
"""Answers that are kept for a program on the network; beyond them it has to acknowledge some."""

FIRST_WINDOW: Final = 256
"""Messages to a life that has not acknowledged any: it may have promised its room to others."""

BATCH_ENVELOPES: Final = 256
BATCH_BYTES: Final = 4 << 20

_LAST_ANSWER: Final = int(Kind.END)

_WITHDRAWN: Final = -1
"""In place of a number: the sender has taken the letter back, or its name is gone."""


@final
class Outbound:
    """An outbox towards one name."""

    __slots__ = (
        "_again", "_answers", "_at_work", "_bytes", "_count", "_heard", "_withdrawn",
        "answer_bytes", "answers", "base", "credit", "cutter", "flying", "incarnation", "last",
        "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.incarnation = 0
        """The life letters are sent to; 0 while none takes messages."""
        self.credit = OUTBOX_MESSAGES
        """Unfinished messages we may have; what the receiver will hold, or less."""
        self.waiting: deque[Letter] = deque()
        self.flying: dict[int, Letter] = {}
        self.last = 0
        """Highest number given out in the present life."""
        self.base = 1
        """The lowest number that is not settled."""
        self._again: deque[Letter] = deque()
        self._count = 0
        self._bytes = 0
        self._withdrawn = 0
        """Letters in `waiting` that were taken back; removed when they are met, or are many."""
        self._answers = 0
        """Letters in `waiting` that wait for no credit."""
        self.answers = self.answer_bytes = 0
        """Answers that are not known to have arrived, and their size."""
        self._at_work = 0
        """Messages (not answers) among those that are flying."""
        self._heard = False
        """Whether the present life has acknowledged anything: until then its credit is a guess."""
        self.cutter: Cutter | None = None
        """Cuts what is large; None where nothing is delayed by it."""

    @property
    def full(self) -> bool:
        """Whether another message has to wait for room."""
        return self._count >= self.credit or self._bytes >= OUTBOX_BYTES

    @property
    def window(self) -> int:
        """Messages that may be flying now."""
        return self.credit if self._heard else min(self.credit, FIRST_WINDOW)

    @property
    def pinched(self) -> bool:
        """Whether messages wait for the first acknowledgement of this life."""
        return not self._heard and self._count > self.window

    @property
    def heavy(self) -> bool:
        """Whether large messages fill the outbox: each acknowledgement makes much room.

        Not where all that waits is one ask: its answer brings the acknowledgement, and to send one
        before it costs a seventh of the round trip.
        """
        if self._bytes < OUTBOX_BYTES // 2:
            return False
        alone = self._count == len(self.waiting) == 1 and self.cutter is None
        return not (alone and self.waiting[0].envelope.kind == Kind.ASK)

    @property
    def unfinished(self) -> int:
        """Messages (not answers) that are not known to be handled."""
        return self._count

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        lane = self.cutter is not None and self.cutter.lane
        return not self.flying and not lane and len(self.waiting) == self._withdrawn

    @property
    def unsent(self) -> list[Letter]:
        """Letters that wait, or are leaving in pieces, and have no number yet."""
        leaving = () if self.cutter is None else self.cutter.lane
        return [*leaving, *(letter for letter in self.waiting if letter.waiting)]

    def offer(self, letter: Letter) -> None:
        """Accept a letter.  The caller has looked at `full` first; answers are never refused."""
        if letter.envelope.kind <= LAST_MAILBOX_KIND:
            self._count += 1
            self._bytes += letter.size
        else:
            self._answers += 1
            if letter.envelope.kind <= _LAST_ANSWER:
                self.answers += 1
                self.answer_bytes += letter.size
        self.waiting.append(letter)

    def withdraw(self, letter: Letter) -> bool:
        """Take back a letter that has not left; False when it is too late."""
        if not letter.waiting:
            return False
        letter.envelope.seq = _WITHDRAWN
        self._forget(letter)
        if self.cutter is not None and self.cutter.abandon(letter):
            self._at_work -= 1
            return True
        # Searching the queue for each of many expired asks would take quadratic time.
        self._withdrawn += 1
        if self._withdrawn * 2 > len(self.waiting):
            self.waiting = deque(x for x in self.waiting if x.waiting)
            self._withdrawn = 0
        return True

    def give_away(self) -> Letter | None:
        """Remove and return the oldest letter that waits, for another outbox."""
        while self.waiting:
            letter = self.waiting.popleft()
            if letter.waiting:
                self._forget(letter)
                return letter
            self._withdrawn -= 1
        return None

    def recall(self, pool: str) -> list[Letter]:
        """Remove and return the letters that wait here for a pool, oldest first."""
        letters = [one for one in self.waiting if one.waiting and one.pool == pool]
        self.waiting = deque(x for x in self.waiting if not (x.waiting and x.pool == pool))
        for letter in letters:
            self._forget(letter)
        return letters

    def take_back(self, letters: list[Letter]) -> None:
        """Put letters that were given away before all others again."""
        self.waiting.extendleft(reversed(letters))
        for letter in letters:
            self._count += 1
            self._bytes += letter.size

    def take(self) -> list[Letter]:
        """Return what should go out now, at most one batch; call again until it is empty."""
        batch: list[Letter] = []
        if self.incarnation and not (self._again and self._repeat(batch)):
            if self.waiting:
                self._fill(batch)
            if self.cutter is not None and not batch:
                self._take_pieces(batch, self.cutter)
        return batch

    def _fill(self, batch: list[Letter]) -> None:
        """Fill a batch with what waits and may leave."""
        cutter, room, last = self.cutter, BATCH_BYTES, self.last
        window = 0 if cutter is not None and cutter.message else self.window
        waiting, flying, held = self.waiting, self.flying, deque[Letter]()
        while waiting and len(batch) < BATCH_ENVELOPES and room > 0:
            if self._at_work >= window and not self._answers:
                break
            letter = waiting.popleft()
            if letter.envelope.seq < 0:
                self._withdrawn -= 1
                continue
            if letter.envelope.kind > LAST_MAILBOX_KIND:
                self._answers -= 1
            elif self._at_work >= window:
                held.append(letter)
                continue
            else:
                self._at_work += 1
            if cutter is not None and cutter.takes(letter):
                window = 0 if cutter.message else window
                continue
            last += 1
            letter.envelope.seq = last
            room -= letter.size
            flying[last] = letter
            batch.append(letter)
        waiting.extendleft(reversed(held))
        self.last = last

    def _take_pieces(self, batch: list[Letter], cutter: Cutter) -> None:
        """Fill a batch with what leaves of large letters: about one piece, and what needs none."""
        room = cutter.pace.piece
        while len(batch) < BATCH_ENVELOPES and (letter := cutter.next(room)):
            room -= letter.size
            self.last = letter.envelope.seq = self.last + 1
            self.flying[self.last] = letter
            batch.append(letter)

    def _repeat(self, batch: list[Letter]) -> bool:
        """Fill a batch with what the receiver has missed; False if it was settled meanwhile."""
        room = BATCH_BYTES
        again, flying = self._again, self.flying
        while again and len(batch) < BATCH_ENVELOPES and room > 0:
            letter = again.popleft()
            if letter.envelope.seq in flying:
                room -= letter.size
                batch.append(letter)
        return bool(batch)

    @property
    def ready(self) -> bool:
        """Whether `take` would return something."""
        if not self.incarnation:
            return False
        if self._again or self._answers:
            return True
        cutter = self.cutter
        if cutter is not None and (cutter.message or cutter.ready):
            return cutter.ready
        return self._at_work < self.window and len(self.waiting) > self._withdrawn

    def acknowledge(self, handled: int, finished: list[int], credit: int) -> list[Letter]:
        """Note what the receiver has finished; return the letters that are settled by it.

        `handled` is cumulative, `finished` are the ends of runs above it (see `runs.py`).
        """
        if credit > 0:
            self.credit = min(credit, OUTBOX_MESSAGES)
            self._heard = True
        settled: list[Letter] = []
        flying, base = self.flying, self.base
        end = min(handled, self.last)
        # Counting, not looking for the dictionary's first key: CPython walks over every key that
        # was ever deleted at its front.
        while base <= end:
            letter = flying.pop(base, None)
            base += 1
            if letter is not None:
                settled.append(letter)
        if finished:
            self._settle_early(finished, base, settled)
        while base <= self.last and base not in flying:
            base += 1
        self.base = base
        self._count_off(settled)
        return settled

    def _count_off(self, settled: list[Letter]) -> None:
        """Letters have left `flying`: each makes room for others."""
        for letter in settled:
            kind = letter.envelope.kind
            if kind <= LAST_MAILBOX_KIND:
                self._count -= 1
                self._bytes -= letter.size
                self._at_work -= 1
            elif kind <= _LAST_ANSWER:
                self.answers -= 1
                self.answer_bytes -= letter.size

    def _settle_early(self, finished: list[int], first: int, settled: list[Letter]) -> None:
        """Settle what was finished though one before it was not.

        Whatever the receiver says, this takes no longer than there are numbers from `first` on;
        and for an honest one no longer than there are letters.
        """
        flying = self.flying
        for said, until in zip(finished[::2], finished[1::2], strict=False):
            begin, end = max(said, first), min(until, self.last)
            few = end - begin < len(flying)
            run = range(begin, end + 1) if few else [n for n in flying if begin <= n <= end]
            settled += [flying.pop(seq) for seq in run if seq in flying]
            first = max(first, end + 1)

    def rewind(self, received: int) -> None:
        """Send again everything after number `received`: the receiver has a gap."""
        flying = self.flying
        self._again = deque(one for seq, one in flying.items() if seq > received)

    def bind(self, incarnation: int, credit: int) -> None:
        """A life takes messages: send to it from now on.  The former one is buried."""
        if credit > 0:
            self.credit = min(credit, OUTBOX_MESSAGES)
        self.incarnation = incarnation

    def bury(
        self, record: LaneRecord | None, *, known: bool, heir: int = 0
    ) -> list[tuple[Letter, Verdict]]:
        """The life letters went to is over: settle what it had begun, keep what it had not.

        `record` is what its flight recorder says of this link, None when nothing had reached it;
        with `known` False the record is lost and everything sent counts as in progress.  Answers
        are void, but not those to `heir`, a later life that has asked already: what was sent to
        the dead one in its place is sent again.
        """
        done = (record or LaneRecord()) if known else None
        verdicts: list[tuple[Letter, Verdict]] = []
        kept: list[Letter] = []
        for letter in self.flying.values():
            verdict = None if heir and letter.life == heir else judge(letter, done)
            if verdict is None:
                kept.append(letter)
            else:
                verdicts.append((letter, verdict))
        waiting = self.unsent
        void = [letter for letter in waiting if letter.life not in (0, heir)]
        verdicts += [(letter, Verdict.VOID) for letter in void]
        for letter, _ in verdicts:
            self._forget(letter)
        self._start_again(kept, deque(one for one in waiting if one.life in (0, heir)))
        return verdicts

    def close(self) -> list[Letter]:
        """The name is gone for good: return everything that was never handled."""
        letters = [*self.flying.values(), *self.unsent]
        for letter in letters:
            self._forget(letter)
            letter.envelope.seq = _WITHDRAWN
        self._start_again([], deque())
        return letters

    def _start_again(self, first: list[Letter], rest: deque[Letter]) -> None:
        """Nothing is in flight any more; number from 1 what goes to the next life."""
        for letter in first:
            letter.envelope.seq = 0
        if self.cutter is not None:
            self.cutter.start_again()
        rest.extendleft(reversed(first))
        self.waiting, self.flying = rest, {}
        self._again.clear()
        self._withdrawn = self._at_work = 0
        self._answers = sum(one.envelope.kind > LAST_MAILBOX_KIND for one in rest)
        self._heard = False
        self.last, self.base, self.incarnation = 0, 1, 0

    def _forget(self, letter: Letter) -> None:
        kind = letter.envelope.kind
        if kind <= LAST_MAILBOX_KIND:
            self._count -= 1
            self._bytes -= letter.size
        elif kind <= _LAST_ANSWER:
            self.answers -= 1
            self.answer_bytes -= letter.size
