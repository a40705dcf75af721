"""Arrays in shared memory between real processes: who holds what, whoever is killed."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import supervisor
from actors.arrays.lease import Lease
from tests.processes.leaks import Hand, Look, Make, Pass, Use, passed

SIZE = 100_000


pytestmark = pytest.mark.process


@pytest.fixture
def system():
    with supervisor.start() as system:
        yield system


@pytest.fixture
def hands(system):
    two = system.spawn(Hand, name="two")
    return system.spawn(Hand, name="one", next=two), two


def found(system):
    gc.collect()
    return system._portal.memory.arena.statistics()


def test_what_goes_from_hand_to_hand_is_copied_once(system, hands):
    before = found(system)
    array = hands[0].ask(Pass(np.ones(SIZE))).result()

    # It is our own block: the actors that it went through have only passed it on.
    lease = Lease.of(array)
    assert lease is not None
    after = found(system)
    assert (after.shared, after.copied) == (before.shared + 1, before.copied + 1)
    system._portal.ask("two", Look(array), None).result()
    assert found(system).copied == after.copied


def test_a_killed_reader_gives_back_what_it_held(system, hands):
    hands[0].ask(Look(np.ones(SIZE))).result()
    hands[0].ask(Look(np.zeros(1))).result()  # the first message is settled by now
    assert found(system).lent == 1

    system.kill("one")
    assert found(system).lent == 0


def test_a_killed_owner_leaves_its_readers_what_they_read(system, hands):
    array = hands[1].ask(Make(SIZE, 7.0)).result()
    assert Lease.of(array) is not None
    system.kill("two")

    assert array.min() == array.max() == 7.0
    again = hands[0].ask(Pass(array)).result()  # and it is passed on without its owner
    assert again.min() == again.max() == 7.0


def test_after_twenty_kills_all_memory_is_back(system):
    before, after, (well, _) = passed(system, kills=20, seed=7)

    assert well > 0
    assert before == after == Use(0, 0, 0)
