"""Sets of numbers kept as runs, against plain sets."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.runs import Runs, holds

NUMBERS = st.integers(1, 20)


class Numbers(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runs, self.model = Runs(), set()

    @rule(number=NUMBERS)
    def add(self, number):
        if number not in self.model:
            self.runs.add(number)
            self.model.add(number)

    @rule(first=NUMBERS)
    def take(self, first):
        last = first - 1
        if first - 1 not in self.model:  # no run begins in the midst of another
            while last + 1 in self.model:
                last += 1

        assert self.runs.take(first) == last
        self.model -= set(range(first, last + 1))

    @invariant()
    def it_is_the_same_set(self):
        pairs = self.runs.pairs()
        runs = [range(first, last + 1) for first, last in zip(pairs[::2], pairs[1::2], strict=True)]

        assert self.runs.count == len(self.model)
        assert {number for run in runs for number in run} == self.model
        assert all(one.stop < other.start for one, other in itertools.pairwise(runs))
        assert [n for n in range(23) if holds(pairs, n)] == sorted(self.model)
        assert len(self.runs._firsts) == len(runs)


TestNumbers = Numbers.TestCase
TestNumbers.settings = settings(stateful_step_count=30)
