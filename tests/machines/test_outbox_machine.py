"""An outbox against two plain lists: what waits, and what has left."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.envelope import Envelope, Kind
from actors.letter import Letter
from actors.outbox import Outbound

KINDS = st.sampled_from([Kind.TELL, Kind.ASK, Kind.STREAM])
WHICH = st.integers(0, 9)


class Outbox(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.out = Outbound()
        self.out.bind(1, 0)
        self.life = 1
        self.waiting, self.flying, self.away = [], [], []

    @rule(kind=KINDS, size=st.integers(0, 9), pool=st.sampled_from(["", "p"]))
    def offer(self, kind, size, pool):
        one = Letter(Envelope(kind, 0, 0, "m:M", bytes(size)))
        if pool:
            one.pool = pool
        self.out.offer(one)
        self.waiting.append(one)

    @precondition(lambda self: self.waiting)
    @rule(which=WHICH)
    def withdraw(self, which):
        assert self.out.withdraw(self.waiting.pop(which % len(self.waiting)))

    @rule()
    def give_away(self):
        given, self.waiting = self.waiting[:1], self.waiting[1:]

        assert self.out.give_away() is (given[0] if given else None)
        self.away += given

    @rule()
    def recall(self):
        recalled = [one for one in self.waiting if one.pool]
        self.waiting = [one for one in self.waiting if not one.pool]

        assert self.out.recall("p") == recalled
        self.away += recalled

    @rule()
    def take_back(self):
        self.out.take_back(self.away)
        self.away, self.waiting = [], self.away + self.waiting

    @rule()
    def take(self):
        assert self.out.take() == self.waiting
        self.flying += self.waiting
        self.waiting = []

    @precondition(lambda self: self.flying)
    @rule(which=WHICH)
    def acknowledge(self, which):
        one = self.flying.pop(which % len(self.flying))

        assert self.out.acknowledge(0, [one.envelope.seq] * 2, 0) == [one]

    @rule()
    def the_name_is_gone_and_comes_again(self):
        self.life += 1

        assert self.out.close() == self.flying + self.waiting

        self.out.bind(self.life, 0)
        self.waiting, self.flying = [], []

    @rule()
    def the_life_ends_before_it_has_begun_anything(self):
        self.life += 1

        assert self.out.bury(None, known=True) == []

        self.out.bind(self.life, 0)
        self.waiting, self.flying = self.flying + self.waiting, []

    @invariant()
    def it_knows_what_it_holds(self):
        held = self.waiting + self.flying
        assert [one for one in self.out.waiting if one.waiting] == self.waiting
        assert list(self.out.flying.values()) == self.flying
        assert self.out._at_work == len(self.flying)
        assert self.out.unfinished == len(held)
        assert self.out._bytes == sum(one.size for one in held)
        assert self.out.idle == (not held)
        assert self.out.ready == bool(self.waiting)

    @invariant()
    def it_counts_what_was_taken_back(self):
        assert self.out._withdrawn == sum(not one.waiting for one in self.out.waiting)


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(stateful_step_count=40)
