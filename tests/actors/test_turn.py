"""A turn at a lock for those who must not wait (actors/arrays/turn.py)."""

from __future__ import annotations

import threading

import pytest

from actors.arrays import turn
from actors.arrays.turn import take_turn
from tests.interrupts import interruptions


def test_the_work_is_done_with_the_lock_which_is_free_afterwards():
    lock, seen = threading.Lock(), []

    assert take_turn(lock, lambda: seen.append(lock.locked()))
    assert seen == [True]
    assert not lock.locked()


def test_nobody_waits_for_a_lock_that_is_taken_not_even_by_ones_own_thread():
    lock, seen = threading.Lock(), []
    with lock:
        assert not take_turn(lock, lambda: seen.append(1))
        assert lock.locked()

    assert not seen


def test_work_that_fails_gives_the_lock_back():
    def fail():
        raise OSError("no more of it")

    lock = threading.Lock()
    with pytest.raises(OSError, match="no more of it"):
        take_turn(lock, fail)

    assert not lock.locked()


def test_ctrl_c_at_any_moment_leaves_the_lock_as_it_was():
    lock = threading.Lock()
    for _ in interruptions(lambda: take_turn(lock, list), turn):
        assert not lock.locked()

    with lock:
        for _ in interruptions(lambda: take_turn(lock, list), turn):
            assert lock.locked()
