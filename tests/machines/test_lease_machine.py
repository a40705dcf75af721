"""Leases against a plain list of who holds what: owner, readers, forwarders, deaths at any point.

No block is used again while anybody reads it, so what a reader sees never changes; and once nobody
holds it any more, for whatever reason, it is free.  The locks are the kernel's, and each reader has
its own: here, as in another process.

What came to nothing stays among the messages and arrays, as void: whether a dead forwarder's
descriptor still leads to the block is up to the numbers that happen to be open in this process, and
Hypothesis has to draw among the same in each run of an example.
"""

from __future__ import annotations

import tempfile
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
    rule,
)

from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.lease import Lease
from actors.arrays.mapper import Mapper
from actors.arrays.segment import HAS_MEMFD, PAGE
from actors.errors import MessageError, SharedMemoryFull

pytestmark = pytest.mark.timeout(180)  # files and maps: 200 examples took 34 s at load 10

READERS = 3
WHO = st.integers(0, READERS - 1)


class Block:
    """What the test knows of one block: who keeps it from being used again."""

    def __init__(self, content, owner):
        self.content = content
        self.owner = owner  # the life of the owner that it belongs to
        self.messages = 0  # on their way from the owner
        self.born = None  # the owner's own array
        self.reading = []  # arrays in place, of any reader

    @property
    def claimed(self):
        return self.messages > 0 or self.born is not None


class Message:
    def __init__(self, block=None, descriptor=None, forwarder=None, kept=None):
        self.block = block
        self.descriptor = descriptor  # None: it could not be sent
        self.forwarder = forwarder  # the life of the reader that passes it on
        self.kept = kept  # its array, until the message is settled


class LeaseMachine(RuleBasedStateMachine):
    messages = Bundle("messages")
    arrays = Bundle("arrays")

    @initialize(
        named=st.sampled_from([False, True] if HAS_MEMFD else [True]),
        most=st.integers(1, 4),
        leased=st.sampled_from([3 * PAGE, 1 << 30]),
    )
    def open(self, named, most, leased):
        self.named = named
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name)
        self.new_arena = lambda: Arena(Allowance(30 * PAGE), path, named=named, segment=4 * PAGE)
        self.new_mapper = lambda: Mapper(path, most=most, leased=leased)
        self.lives = 0
        self.blocks, self.count = [], 0
        self.arena = self.new_arena()
        self.mappers = [self.new_mapper() for _ in range(READERS)]

    def fresh(self, size):
        self.count += 1
        return np.random.default_rng(self.count).integers(0, 256, size, np.uint8)

    @rule(target=messages, size=st.integers(1, 3 * PAGE), born=st.booleans())
    def send(self, size, born):
        content = self.fresh(size)
        array = content
        if born:
            try:
                array = self.arena.empty(size, np.uint8)
            except SharedMemoryFull:
                return Message()
            array[:] = content
        descriptor = self.arena.share(array)
        if descriptor is None:
            return Message()
        block = Block(content.tobytes(), self.lives)
        block.messages, block.born = 1, array if born else None
        self.blocks.append(block)
        return Message(block, descriptor)

    @rule(message=messages)
    def send_again(self, message):
        block = message.block
        if block and block.owner == self.lives and block.born is not None:
            assert self.arena.share(block.born) is not None
            self.arena.free(message.descriptor[-1])

    @rule(message=messages)
    def forget_the_senders_array(self, message):
        if message.block:
            message.block.born = None

    @rule(target=arrays, message=messages, who=WHO)
    def read(self, message, who):
        block = message.block
        if block is None:
            return []
        try:
            array = self.mappers[who].read(message.descriptor, "u1", (len(block.content),))
        except MessageError:
            assert not self.on_its_way(message), "a message on its way could not be read"
            return []
        assert array.tobytes() == block.content
        if Lease.of(array) is not None:
            block.reading.append(array)
        return [block, who, array]

    def on_its_way(self, message):
        owned = message.block.owner == self.lives
        if message.forwarder is not None:  # a file's name goes with its owner
            return message.forwarder in self.mappers and (owned or not self.named)
        return owned and message.block.claimed

    @rule(target=messages, held=arrays)
    def forward(self, held):
        if not held:
            return Message()
        block, who, array = held
        lease = Lease.of(array)
        descriptor = None if lease is None else lease.forward(array)
        if descriptor is None:
            return Message()
        kept = array.view()
        block.reading.append(kept)
        return Message(block, descriptor, self.mappers[who], kept)

    @rule(message=consumes(messages))
    def settle(self, message):
        block = message.block
        if block is None:
            return
        if message.kept is not None:
            self.drop_array(block, message.kept)
            message.kept = None
        elif message.forwarder is None and block.owner == self.lives:
            assert self.arena.free(message.descriptor[-1])
            block.messages -= 1

    def drop_array(self, block, array):
        block.reading[:] = [one for one in block.reading if one is not array]

    @rule(held=consumes(arrays))
    def drop(self, held):
        if held:
            self.drop_array(held[0], held[2])
            held.clear()

    @rule(who=WHO, held=st.lists(consumes(arrays), max_size=3))
    def a_reader_dies(self, who, held):
        for one in held:
            self.drop(one)
        self.mappers[who].close()
        self.mappers[who] = self.new_mapper()

    @rule()
    def the_owner_dies(self):
        self.lives += 1
        self.arena.close()
        self.arena = self.new_arena()
        for block in self.blocks:
            block.born = None

    @rule()
    def tidy(self):
        self.arena.tidy()
        for mapper in self.mappers:
            mapper.tidy()

    @invariant()
    def what_is_read_never_changes(self):
        for block in getattr(self, "blocks", ()):
            for array in block.reading:
                assert array.tobytes() == block.content

    @invariant()
    def the_books_are_right(self):
        if not hasattr(self, "arena"):
            return
        mine = [block for block in self.blocks if block.owner == self.lives]
        found = self.arena.statistics()

        assert found.blocks == sum(block.claimed for block in mine)
        assert found.lent == sum(bool(block.reading) and not block.claimed for block in mine)

    def teardown(self):
        if not hasattr(self, "arena"):
            return
        self.blocks.clear()
        for mapper in self.mappers:
            mapper.close()
        self.arena.close()
        self.directory.cleanup()


TestLeaseMachine = LeaseMachine.TestCase
