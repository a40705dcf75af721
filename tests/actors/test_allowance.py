"""What one process may set aside (actors/arrays/allowance.py)."""

from __future__ import annotations

import contextlib
import gc
import threading
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.arrays import allowance as allowance_room
from actors.arrays import segment
from actors.arrays.accounts import Account, Accounts
from actors.arrays.allowance import Allowance
from actors.arrays.arena import Arena
from actors.arrays.ring import SharedRing
from actors.arrays.segment import PAGE
from actors.arrays.sharing import Sharing
from actors.errors import SharedMemoryFull
from tests.interrupts import interruptions

MIB = 1 << 20


@given(
    limit=st.integers(PAGE, 40 * PAGE),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 20 * PAGE))),
)
def test_it_gives_what_is_left_and_no_byte_more(limit, steps):
    allowance, held = Allowance(limit), []
    for take, size in steps:
        if take:
            assert allowance.take(size) == (sum(held) + size <= limit)
            held = [*held, size] if sum(held) + size <= limit else held
        elif held:
            allowance.give_back(held.pop())
        assert allowance.taken == sum(held)
        assert allowance.missing(PAGE) == max(0, sum(held) + PAGE - limit)


def test_threads_together_get_no_more_than_one_would():
    allowance, served = Allowance(100 * PAGE), []

    def work():
        served.extend(allowance.take(PAGE) for _ in range(60))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(served) == 100
    assert allowance.missing(1) == 1


def test_what_a_finalizer_gives_back_in_the_midst_of_a_take_is_soon_free_for_others(tmp_path):
    accounts = Accounts.create(tmp_path / "accounts", 100 * PAGE)
    allowance = Allowance(100 * PAGE, Account(tmp_path / "accounts", "one"))
    assert allowance.take(60 * PAGE)
    with allowance._lock:
        allowance.give_back(50 * PAGE)
    assert accounts.taken == 60 * PAGE

    allowance.describe(Sharing())  # once a second

    assert accounts.taken == 10 * PAGE
    allowance.close()
    accounts.close()


@pytest.mark.parametrize("limit", [-1, 0, PAGE - 1])
def test_a_limit_that_holds_nothing_is_refused(limit):
    with pytest.raises(ValueError, match="use at least 4096 bytes"):
        Allowance(limit)


def test_arrays_and_rings_of_a_process_share_one():
    allowance = Allowance(3 * MIB)
    arena, ring = Arena(allowance), SharedRing(2, allowance=allowance)
    ring.write(np.zeros(MIB // 2, "u1"))
    kept = arena.empty(MIB, "u1")
    assert allowance.missing(MIB)

    with pytest.raises(SharedMemoryFull, match=r"of the 3,145,728 bytes that this process may"):
        arena.empty(MIB, "u1")
    with pytest.raises(
        SharedMemoryFull, match=r"an actor may have more by Limits\(shared_memory=\)"
    ):
        ring.write(np.zeros(MIB, "u1"))
    assert arena.share(np.zeros(MIB, "u1")) is None
    ring.write(np.ones(MIB // 2, "u1"))  # what it has it keeps

    del kept
    ring.close()
    arena.close()
    gc.collect()
    assert not allowance.taken


def test_what_alone_is_above_the_limit_is_said_to_be_since_letting_go_would_not_help():
    allowance = Allowance(MIB)
    arena, ring = Arena(allowance), SharedRing(2, allowance=allowance)

    for share in (lambda: arena.empty(MIB + 1, "u1"), lambda: ring.write(np.zeros(MIB, "u1"))):
        with pytest.raises(SharedMemoryFull) as error:
            share()
        assert "alone it takes more than the 1,048,576 bytes that this process may share" in str(
            error.value
        )
        assert "Limits(shared_memory=), a program may not" in str(error.value)
        assert "Let go" not in str(error.value)

    ring.close()
    arena.close()


def test_a_ring_that_grows_gives_the_former_slots_back():
    allowance = Allowance(8 * MIB)
    ring = SharedRing(2, allowance=allowance)
    for size in (PAGE, 10 * PAGE, 100 * PAGE):
        ring.write(np.zeros(size, "u1"))
        assert allowance.taken == ring.reserved

    ring = None  # let go of, not closed
    gc.collect()
    assert not allowance.taken


def test_a_segment_that_the_machine_refuses_counts_nothing(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    allowance = Allowance(MIB)
    arena = Arena(allowance)
    monkeypatch.setattr("actors.arrays.segment.allocate", full)

    with pytest.raises(SharedMemoryFull, match="this machine has no memory left"):
        arena.empty(PAGE, "u1")
    with pytest.raises(SharedMemoryFull, match="No space left on device"):
        SharedRing(2, allowance=allowance)
    assert not allowance.taken


def test_ctrl_c_while_memory_is_given_back_leaves_it_to_the_next_who_asks():
    allowance = Allowance(100 * PAGE)

    def give_back():
        allowance.give_back(PAGE)

    assert allowance.take(PAGE)
    for _ in interruptions(give_back, allowance_room, spared=("give_back",)):
        assert not allowance._lock.locked()
        assert allowance.taken == 0
        assert allowance.take(PAGE)


@pytest.mark.parametrize(
    "ask",
    [
        lambda allowance: allowance.missing(PAGE),
        lambda allowance: allowance.take(PAGE),
        lambda allowance: allowance.shortage(PAGE),
        lambda allowance: allowance.refuse(),
        lambda allowance: allowance.describe(Sharing()),
    ],
    ids=["missing", "take", "shortage", "refuse", "describe"],
)
def test_ctrl_c_while_it_is_asked_keeps_nobody_else_out(ask):
    allowance, seen = Allowance(100 * PAGE), []

    def watched():
        try:
            ask(allowance)
        except KeyboardInterrupt as error:
            seen.append(error)  # whoever prints it has its frames, and what they hold
            raise

    for _ in interruptions(watched, allowance_room, contextlib):
        assert not allowance._lock.locked()
    assert seen


def test_ctrl_c_while_an_array_is_made_costs_nothing_of_the_allowance():
    allowance, made = Allowance(100 * PAGE), []
    arena = Arena(allowance, segment=8 * PAGE)
    for _ in interruptions(lambda: made.append(arena.empty(PAGE, "u1")), segment):
        made.clear()
        arena.trim()
        assert (allowance.taken, arena.statistics().reserved) == (0, 0)
    arena.close()


def test_ctrl_c_while_a_ring_is_made_costs_nothing_of_the_allowance():
    allowance = Allowance(100 * PAGE)

    def make():
        SharedRing(2, allowance=allowance).close()

    for _ in interruptions(make, segment, spared=("close",)):
        assert allowance.taken == 0


def test_ctrl_c_while_a_ring_gets_larger_slots_costs_nothing_of_the_allowance():
    allowance = Allowance(10_000 * PAGE)
    ring, sizes = SharedRing(2, allowance=allowance), count(PAGE, PAGE)

    def grow():
        ring.write(np.zeros(next(sizes), "u1"))

    # Not where the frame is whole already: it is the newest then, or the next one is.
    for _ in interruptions(grow, segment, spared=("mark", "discard", "close")):
        slots = 0 if ring._present is None else ring._present.part.data
        assert allowance.taken == ring.reserved == PAGE + slots
    ring.close()
