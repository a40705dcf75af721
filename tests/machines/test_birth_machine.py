"""Arrays born in shared memory against a plain list: who still holds which block?

A block lives as long as its array, a view of it, or a reader's claim does; not a moment longer and
not a moment less, and what readers find in it never changes.
"""

from __future__ import annotations

import gc

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.ledger import Ledger
from actors.arrays.mapper import Mapper
from actors.arrays.segment import HAS_MEMFD, PAGE
from actors.arrays.shelves import block_size
from actors.errors import SharedMemoryFull


class Birth:
    """What the test knows of one array."""

    def __init__(self, array):
        self.holders = [array]
        self.size = array.nbytes
        self.content = array.tobytes()
        self.claims = 0
        self.frozen = False

    @property
    def lives(self):
        return bool(self.holders or self.claims)


class BirthMachine(RuleBasedStateMachine):
    births = Bundle("births")
    claims = Bundle("claims")

    def __init__(self):
        super().__init__()
        self.known = []

    @initialize(limit=st.integers(2, 30), segment=st.sampled_from([PAGE, 8 * PAGE]))
    def open(self, limit, segment):
        self.limit = limit * PAGE
        self.arena = Arena(Allowance(self.limit), segment=segment)
        self.mapper = Mapper()

    @rule(target=births, size=st.integers(1, 5 * PAGE))
    def be_born(self, size):
        before = self.arena.statistics()
        try:
            array = self.arena.empty((size,), np.uint8)
        except SharedMemoryFull:
            assert before.reserved + block_size(size) > self.limit
            return multiple()
        array[:] = np.random.default_rng(len(self.known)).integers(0, 256, size, np.uint8)
        self.known.append(Birth(array))
        return self.known[-1]

    @rule(birth=births)
    def write(self, birth):
        if not birth.holders:
            return
        if birth.frozen:
            with pytest.raises(ValueError, match="read-only"):
                birth.holders[0][:] = 1
        else:
            birth.holders[0][:] = 1
            birth.content = birth.holders[0].tobytes()

    @rule(birth=births)
    def take_a_view(self, birth):
        if birth.holders and birth.frozen:  # a view from before could still write
            birth.holders.append(birth.holders[-1].reshape(1, -1)[:, ::-1][:, ::-1].reshape(-1))

    @rule(birth=births, last=st.booleans())
    def let_go(self, birth, last):
        if birth.holders:
            birth.holders.pop(-1 if last else 0)

    @rule(target=claims, birth=births, part=st.sampled_from([1, 2, 3]))
    def share(self, birth, part):
        if not birth.holders:
            return multiple()
        piece = birth.holders[-1][: birth.size // part]
        before = self.arena.statistics()
        descriptor = self.arena.share(piece)
        after = self.arena.statistics()

        assert (before.blocks, before.living) == (after.blocks, after.living)
        assert not any(array.flags.writeable for array in (piece, birth.holders[0]))
        birth.claims += 1
        birth.frozen = True
        return birth, descriptor

    @rule(claim=consumes(claims))
    def free(self, claim):
        birth, descriptor = claim
        assert self.arena.free(descriptor[-1])
        birth.claims -= 1

    @rule(claim=claims)
    def read(self, claim):
        birth, descriptor = claim
        copy = self.mapper.read(descriptor, "u1", (descriptor[4],))
        assert copy.tobytes() == birth.content[: descriptor[4]]

    @invariant()
    def the_books_are_right(self):
        if not hasattr(self, "arena"):
            return
        lives = [birth for birth in self.known if birth.lives]
        found = self.arena.statistics()

        assert found.blocks == len(lives)
        assert found.living == sum(block_size(birth.size) for birth in lives)
        assert found.living <= found.reserved <= self.limit

    def teardown(self):
        if hasattr(self, "arena"):
            self.arena.close()
            self.mapper.close()


TestBirthMachine = BirthMachine.TestCase

assert HAS_MEMFD, "these run on Linux"


class LedgerMachine(RuleBasedStateMachine):
    """Against a dictionary of counts."""

    blocks = Bundle("blocks")

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.places = {}
        self.counts = {}
        self.dropped = []

    @rule(target=blocks)
    def add(self):
        place = object()
        block = self.ledger.add(place)
        assert block not in self.places
        self.places[block], self.counts[block] = place, 1
        return block

    @rule(block=blocks)
    def claim(self, block):
        place = self.places[block]
        assert self.ledger.claim(block, place) is (place if self.counts[block] else None)
        self.counts[block] += self.counts[block] > 0

    @rule(block=blocks)
    def claim_what_was_elsewhere(self, block):
        assert self.ledger.claim(block, object()) is None

    @rule(block=blocks)
    def end(self, block):
        known, place = self.ledger.end(block)
        assert known == (self.counts[block] > 0)
        self.counts[block] -= known
        assert place is (self.places[block] if known and not self.counts[block] else None)

    @rule(block=blocks)
    def drop(self, block):
        self.ledger.drop(block)
        self.dropped.append(block)

    @rule()
    def settle(self):
        expected = []
        for block in self.dropped:
            if self.counts[block]:
                self.counts[block] -= 1
                expected += [self.places[block]] * (not self.counts[block])
        self.dropped.clear()
        assert self.ledger.settle() == expected

    @invariant()
    def it_holds_what_is_claimed(self):
        assert len(self.ledger) == sum(count > 0 for count in self.counts.values())


TestLedgerMachine = LedgerMachine.TestCase


def test_an_array_in_a_cycle_is_given_back_by_the_collector_in_the_midst_of_anything():
    """Its finalizer runs while the arena's own lock is held, and must not want it."""
    arena = Arena(Allowance(1 << 20))
    for _ in range(200):
        cycle = [arena.empty((1000,), np.uint8)]
        cycle.append(cycle)
        del cycle
        gc.collect(0)
    gc.collect()

    assert arena.statistics().blocks == 0
    arena.close()


def test_an_array_outlives_its_arena():
    arena = Arena(Allowance(1 << 20))
    array = arena.empty((4, 4), "float32")
    array[:] = 7.0
    arena.close()
    array[0, 0] = 8.0

    assert array.sum() == 15 * 7.0 + 8.0


@pytest.mark.parametrize(
    "view",
    [lambda a: a[1:], lambda a: a[::2], lambda a: a.reshape(2, -1).T, lambda a: a.astype("f4")],
    ids=["later", "strided", "turned", "converted"],
)
def test_what_does_not_lie_at_the_start_as_it_is_is_copied_and_stays_ones_own(view):
    arena, mapper = Arena(Allowance(1 << 20)), Mapper()
    array = arena.empty((100,), "float64")
    array[:] = np.arange(100)
    piece = view(array)
    descriptor = arena.share(piece)
    expected = piece.copy()
    array[:] = 0

    copy = mapper.read(descriptor, piece.dtype, piece.shape)
    assert np.array_equal(copy, expected)
    assert arena.statistics().blocks == 2
    arena.close()
    mapper.close()


def test_the_numbers_of_another_arena_mean_nothing():
    one, other = Arena(Allowance(1 << 20)), Arena(Allowance(1 << 20))
    array = one.empty((100,), "float64")
    array[:] = 3.0
    descriptor = other.share(array)

    assert array.flags.writeable
    assert Mapper().read(descriptor, array.dtype, array.shape).max() == 3.0
    one.close()
    other.close()
