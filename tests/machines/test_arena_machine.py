"""The arena against a plain dictionary of arrays.

Blocks never overlap, living ones keep their contents whatever else happens, freed ones are not
delivered, a block is freed once, and what is set aside stays within the limit.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

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
from actors.arrays.mapper import Mapper
from actors.arrays.segment import HAS_MEMFD, PAGE
from actors.arrays.shelves import block_size
from actors.errors import MessageError

pytestmark = pytest.mark.timeout(180)  # files and maps: 200 examples took 34 s at load 10

SIZES = st.one_of(
    st.integers(0, 3 * PAGE),
    st.integers(0, 40 * PAGE),
    st.integers(1, 8).map(lambda pages: pages * PAGE),
)


class ArenaMachine(RuleBasedStateMachine):
    living = Bundle("living")
    freed = Bundle("freed")

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.model = {}  # descriptor -> what was shared
        self.number = 0

    @initialize(
        limit=st.integers(1, 40).map(lambda pages: pages * PAGE),
        segment=st.sampled_from([PAGE, 8 * PAGE, 64 * PAGE]),
        named=st.sampled_from([False, True] if HAS_MEMFD else [True]),
        most=st.integers(1, 5),
    )
    def open(self, limit, segment, named, most):
        path = Path(self.directory.name)
        self.limit = limit
        self.arena = Arena(Allowance(limit), path, named=named, segment=segment)
        self.mapper = Mapper(path, most=most)

    def array(self, size):
        self.number += 1
        return np.random.default_rng(self.number).integers(0, 256, size, np.uint8)

    def used(self):
        return sum(block_size(array.nbytes) for array in self.model.values())

    @rule(target=living, size=SIZES)
    def share(self, size):
        array = self.array(size)
        before = self.arena.statistics()
        descriptor = self.arena.share(array)
        if descriptor is None:
            # Fresh memory would have broken the limit, even without all that is idle.
            assert before.reserved + block_size(size) > self.limit
            assert self.model or block_size(size) > self.limit
            assert self.arena.statistics().reserved == before.reserved
            return multiple()
        assert descriptor not in self.model
        self.model[descriptor] = array
        return descriptor

    @rule(target=freed, descriptor=consumes(living))
    def free(self, descriptor):
        del self.model[descriptor]

        assert self.arena.free(descriptor[-1])
        return descriptor

    @rule(descriptor=freed)
    def free_again(self, descriptor):
        assert not self.arena.free(descriptor[-1])

    @rule(number=st.integers(-5, 10**9))
    def free_what_never_was(self, number):
        if number not in {descriptor[-1] for descriptor in self.model}:
            assert not self.arena.free(number)

    @rule(descriptor=freed)
    def read_what_was_freed(self, descriptor):
        with pytest.raises(MessageError):
            self.mapper.read(descriptor, "u1", (descriptor[4],))

    @rule()
    def trim(self):
        before = self.arena.statistics().reserved
        given_back = self.arena.trim()

        assert self.arena.statistics().reserved == before - given_back
        if not self.model:
            assert self.arena.statistics().segments == 0

    @rule()
    def forget_all_maps(self):
        self.mapper.close()

    @invariant()
    def living_arrays_are_intact(self):
        for descriptor, array in self.model.items():
            copy = self.mapper.read(descriptor, array.dtype, array.shape)
            assert copy.tobytes() == array.tobytes()

    @invariant()
    def blocks_do_not_overlap(self):
        pieces = sorted(
            (descriptor[1:3], descriptor[3], descriptor[3] + block_size(descriptor[4]))
            for descriptor in self.model
        )
        for (segment, _, end), (other, start, _) in pairwise(pieces):
            assert segment != other or end <= start

    @invariant()
    def the_books_are_right(self):
        if not hasattr(self, "arena"):
            return
        found = self.arena.statistics()

        assert found.blocks == len(self.model)
        assert found.living == self.used()
        assert found.living <= found.reserved <= self.limit

    def teardown(self):
        if hasattr(self, "arena"):
            self.arena.close()
            self.mapper.close()
        assert list(Path(self.directory.name).iterdir()) == []
        self.directory.cleanup()


TestArenaMachine = ArenaMachine.TestCase
