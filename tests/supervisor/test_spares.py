"""Which children have a spare, and when (supervisor/spares.py)."""

from __future__ import annotations

import pytest

from supervisor.spares import MOST_ENDS, SETTLE, End, GiveUp, Make, Spares


def ready_spare(spares, name="calc", now=0.0):
    [make] = spares.started(name, now)
    assert spares.due(name, make.number)
    spares.ready(name, make.number, make.at)
    return make.number


def test_a_spare_is_made_a_moment_after_the_child_is_up():
    assert Spares().started("calc", 10.0) == [Make("calc", 1, 10.0 + SETTLE)]


def test_a_spare_that_is_ready_is_taken_once():
    spares = Spares()
    number = ready_spare(spares)

    assert spares.take("calc") == number
    assert spares.take("calc") is None


def test_one_that_still_imports_is_left_for_the_life_after():
    spares = Spares()
    [make] = spares.started("calc", 0.0)
    spares.due("calc", make.number)

    assert spares.take("calc") is None
    assert spares.started("calc", 1.0) == []
    spares.ready("calc", make.number, 1.0)
    assert spares.take("calc") == make.number


def test_one_that_was_only_planned_is_planned_again_after_the_next_start():
    spares = Spares()
    [first] = spares.started("calc", 0.0)

    assert spares.take("calc") is None
    assert not spares.due("calc", first.number)
    [second] = spares.started("calc", 1.0)
    assert spares.due("calc", second.number)


def test_spares_that_end_by_themselves_come_later_and_later_and_then_no_more():
    spares = Spares()
    [make] = spares.started("calc", 0.0)
    pauses = []
    for _ in range(MOST_ENDS - 1):
        spares.due("calc", make.number)
        [make] = spares.ended("calc", make.number, 0.0)
        pauses.append(make.at)
    spares.due("calc", make.number)

    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    assert spares.ended("calc", make.number, 0.0) == [GiveUp("calc", MOST_ENDS)]
    assert spares.started("calc", 0.0) == [Make("calc", make.number + 1, SETTLE)]


def test_one_that_stood_ready_for_long_is_replaced_as_if_it_were_the_first_to_end():
    spares = Spares()
    number = ready_spare(spares)
    for _ in range(3 * MOST_ENDS):
        [make] = spares.ended("calc", number, 1000.0)
        assert make.at == 1000.0 + SETTLE
        number = make.number
        spares.due("calc", number)
        spares.ready("calc", number, 0.0)


@pytest.mark.parametrize("over", ["dismiss", "close"])
def test_one_that_nobody_needs_is_ended_and_its_end_means_nothing(over):
    spares = Spares()
    number = ready_spare(spares)

    commands = spares.dismiss("calc") if over == "dismiss" else spares.close()

    assert commands == [End("calc", number)]
    assert spares.ended("calc", number, 1.0) == []
    assert spares.take("calc") is None


def test_nothing_is_made_for_a_system_that_ends():
    spares = Spares()
    spares.close()

    assert spares.started("calc", 0.0) == []


def test_what_is_said_of_a_spare_that_was_taken_changes_nothing():
    spares = Spares()
    old = ready_spare(spares)
    spares.take("calc")
    [make] = spares.started("calc", 1.0)

    spares.ready("calc", old, 1.0)
    assert spares.ended("calc", old, 1.0) == []
    assert spares.due("calc", make.number)
