"""Who passes a large letter: an outbox that cuts, against the plain list of what was offered.

The line keeps what it has got in its order; the other side joins the pieces.  A letter that has not
left must have a reason, and one that arrives must not have passed what it belongs behind.
"""

from __future__ import annotations

from collections import deque

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.control import LaneRecord
from actors.envelope import Envelope, Kind
from actors.letter import Letter, Verdict
from actors.outbox import Outbound
from actors.pieces import CUT_FROM, OVERHEAD, Cutter, Joint, without_parts

MESSAGES = [Kind.TELL, Kind.ASK, Kind.STREAM]
ANSWERS = [Kind.REPLY, Kind.FAILURE, Kind.ITEM, Kind.END]
KINDS = st.sampled_from([*MESSAGES, *ANSWERS, Kind.GRANT, Kind.CANCEL, Kind.WANT, Kind.OFFER])
SIZES = st.sampled_from([0, 0, 10, CUT_FROM // 2, CUT_FROM, 3 * CUT_FROM, 20 * CUT_FROM])


def belongs_behind(later, earlier):
    """Whether what is promised of order concerns these two."""
    if later.envelope.kind in MESSAGES:
        return earlier.envelope.kind in MESSAGES
    same = later.envelope.correlation == earlier.envelope.correlation
    return later.envelope.kind in ANSWERS and earlier.envelope.kind in ANSWERS and same


def told(letter):
    return letter.envelope.kind, letter.envelope.correlation, letter.size


class Passing(RuleBasedStateMachine):
    @initialize(credit=st.sampled_from([1, 3, 100]))
    def begin(self, credit):
        self.out, self.credit, self.now, self.life = Outbound(), credit, 0.0, 1
        self.out.cutter = Cutter()
        self.out.bind(1, credit)
        self.offered = []  # and not arrived, oldest first
        self.behind = set()  # those that had one to wait for when they were offered
        self.held = []  # messages that are there and not handled
        self.meet()

    def meet(self):
        """A life of the other side begins."""
        self.line, self.joint, self.received, self.finished = deque(), Joint(), 0, []

    # --- what the sender does

    @rule(kind=KINDS, number=st.integers(1, 3), size=SIZES)
    def offer(self, kind, number, size):
        size = size if kind in (*MESSAGES, *ANSWERS) else 0
        frames = (bytes([number]) * (size // 2),) if size else ()
        letter = Letter(Envelope(kind, 0, number, "", bytes(size // 2), len(frames)), frames)
        letter.life = 0 if kind in MESSAGES else self.life
        self.out.offer(letter)
        unsent = [one for one in self.offered if one.waiting]
        if any(belongs_behind(letter, one) or kind >= Kind.WANT for one in unsent):
            self.behind.add(letter)
        self.offered.append(letter)

    @rule()
    def send(self):
        self.now += 0.001
        while letters := self.out.take():
            for letter in letters:
                if letter.envelope.kind == Kind.PIECE:
                    self.out.cutter.sent(letter.envelope.seq, letter.size, self.now)
            self.line += letters
        assert not self.out.ready
        unsent = [one for one in self.offered if one.waiting]
        for place, letter in enumerate(unsent):
            assert self.reason(letter, unsent[:place]), f"{told(letter)} waits for nothing"

    def reason(self, letter, before):
        if letter.envelope.kind in MESSAGES and self.at_work() >= self.credit:
            return True
        if letter.size > CUT_FROM or any(belongs_behind(letter, one) for one in before):
            return True
        # What once went behind a large one goes on with those that have come between.
        return letter in self.behind and any(one.size > CUT_FROM for one in before)

    def at_work(self):
        return sum(one.envelope.kind in MESSAGES for one in self.out.flying.values())

    @precondition(lambda self: any(one.waiting for one in self.offered))
    @rule(which=st.integers(0, 9))
    def take_back(self, which):
        asks = [one for one in self.offered if one.waiting and one.envelope.kind in MESSAGES]
        if asks:
            letter = asks[which % len(asks)]
            assert self.out.withdraw(letter)
            self.offered.remove(letter)

    # --- what the other side does

    @rule(count=st.integers(1, 9))
    def arrive(self, count):
        for _ in range(min(count, len(self.line))):
            letter = self.line.popleft()
            envelope = without_parts(letter.envelope)
            frames = () if envelope.parts else letter.frames
            self.received += 1
            assert envelope.seq == self.received
            self.joint.check(envelope, frames)
            if envelope.kind == Kind.PIECE:
                self.joint.add(envelope, frames)
            else:
                self.whole(letter, self.joint.join(envelope) if envelope.parts else frames)
            if envelope.kind in MESSAGES:
                self.held.append(letter)
            else:
                self.finished += [envelope.seq]

    def whole(self, letter, frames):
        assert [*map(bytes, frames)] == [*map(bytes, letter.frames)]
        before = self.offered[: self.offered.index(letter)]
        assert not any(belongs_behind(letter, one) for one in before), told(letter)
        self.offered.remove(letter)

    @rule(count=st.integers(0, 3))
    def acknowledge(self, count):
        done, self.held = self.held[:count], self.held[count:]
        numbers = sorted([*self.finished, *(one.envelope.seq for one in done)])
        self.finished = []
        for letter in self.out.acknowledge(0, [n for n in numbers for _ in "ab"], self.credit):
            self.out.cutter.arrived(letter.envelope.seq, self.now)

    @rule()
    def die(self):
        """Everything that has arrived was handled, nobody has said so; the next life begins."""
        record = LaneRecord(handled=self.received)
        for letter, verdict in self.out.bury(record, known=True):
            lost = verdict is Verdict.VOID and letter in self.offered
            assert lost or letter not in self.offered
            if lost:
                self.offered.remove(letter)
        self.life += 1
        self.held = []
        self.out.bind(self.life, self.credit)
        self.meet()

    # --- what must hold

    @invariant()
    def no_more_is_under_way_than_the_window_allows(self):
        if hasattr(self, "out"):
            pieces = [one for one in self.out.flying.values() if one.envelope.kind == Kind.PIECE]
            most = self.out.cutter.pace.window + self.out.cutter.pace.piece + 3 * OVERHEAD
            shrunk = self.out.cutter.pace.flying > self.out.cutter.pace.window
            assert sum(one.size for one in pieces) <= most or shrunk

    def teardown(self):
        if not hasattr(self, "out"):
            return
        for _ in range(1000):
            self.send()
            self.arrive(1000)
            self.acknowledge(1000)
            if self.out.idle:
                break
        assert self.out.idle
        assert not self.offered
        assert not self.out.flying
        assert self.out.unfinished == self.out._at_work == self.out._bytes == 0
        assert not self.joint.size


TestPassing = Passing.TestCase
TestPassing.settings = settings(stateful_step_count=40)
