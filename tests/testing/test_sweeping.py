"""The garbage collector is kept out of the worlds, and gets in between them."""

from __future__ import annotations

import gc
import weakref

from actors.testing import simulate
from actors.testing.escapes import staged
from actors.testing.sweeping import LITTER, sweep


class Loop:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.me = self


def litter() -> weakref.ref[Loop]:
    return weakref.ref(Loop())


def test_nothing_is_collected_while_a_world_runs():
    seen, frozen = [], gc.get_freeze_count()  # Python 3.12 freezes some objects itself

    async def scenario(_sim):
        seen.append(gc.isenabled())

    assert simulate(scenario).error is None
    assert seen == [False]
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_what_worlds_leave_is_collected_now_and_then():
    with staged():
        left = litter()
        sweep(LITTER - 1)
        assert left() is not None
        sweep(1)
        assert left() is None


def test_who_collects_by_hand_is_left_alone():
    gc.disable()
    try:
        with staged():
            left = litter()
            sweep(LITTER)
            assert left() is not None
        assert not gc.isenabled()
    finally:
        gc.enable()
    gc.collect()


def test_what_was_frozen_stays_frozen():
    gc.collect()
    gc.freeze()
    before = gc.get_freeze_count()
    try:
        with staged():
            assert not gc.isenabled()
        assert gc.get_freeze_count() == before
    finally:
        gc.unfreeze()
