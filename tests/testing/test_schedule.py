"""Schedules are plain data that prints as the code that makes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import Request, message
from actors.testing import (
    BrokerRestart,
    Crash,
    Delay,
    Drop,
    Hang,
    Partition,
    SupervisorCrash,
    schedules,
)
from actors.testing.director import Director
from actors.testing.schedule import KINDS, Passing, deviations_at, named, single_faults


@message
class Deposit(Request[int]):
    amount: int


@message
class Look:
    pass


NAMES = {"Deposit": Deposit, "Look": Look} | {
    cls.__name__: cls
    for cls in (BrokerRestart, Crash, Delay, Drop, Hang, Partition, SupervisorCrash)
}
TAG = f"{Deposit.__module__}:Deposit"


def passing(number, target="bank", *, source="client", answer=False, mortal=True):
    return Passing(number, source, target, mortal, ((TAG, answer),))


@pytest.mark.parametrize(
    ("deviation", "text"),
    [
        (Crash("bank", at=Deposit, nth=2), "Crash('bank', at=Deposit, nth=2)"),
        (Crash(at=3, when="lost"), "Crash(at=3, when='lost')"),
        (Drop(at=Deposit, answer=True), "Drop(at=Deposit, answer=True)"),
        (Delay(at=Look, seconds=10.0, to="bank"), "Delay(at=Look, seconds=10.0, to='bank')"),
        (Partition("a", "b", at=1), "Partition('a', 'b', at=1)"),
        (Hang(at=2), "Hang(at=2)"),
        (BrokerRestart(at=9), "BrokerRestart(at=9)"),
        (SupervisorCrash(at=9), "SupervisorCrash(at=9)"),
    ],
)
def test_a_deviation_prints_as_the_code_that_makes_it(deviation, text):
    assert repr(deviation) == text
    assert eval(text, NAMES) == deviation


@given(schedules(KINDS, max_faults=4))
def test_every_drawn_schedule_can_be_pasted(schedule):
    assert eval(repr(schedule), NAMES) == schedule


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Drop, {"at": 0}),
        (Drop, {"at": Deposit, "nth": 0}),
        (Delay, {"at": 1, "seconds": 0.0}),
        (Crash, {"at": 1, "when": "sometimes"}),
        (Drop, {"at": "Deposit"}),
        (Drop, {"at": int}),
        (Drop, {"at": True}),
    ],
)
def test_a_deviation_without_sense_is_refused(kind, options):
    with pytest.raises((TypeError, ValueError)):
        kind(**options)


def test_a_mistaken_moment_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="a crash happens") as error:
        Crash("bank", at=Deposit, when="never")

    assert str(error.value) == "when='never': a crash happens 'before', 'after' or 'lost'"


def test_a_number_is_hit_once():
    director = Director((Drop(at=2),))

    assert [director.at(passing(number)) for number in (1, 2, 3)] == [[], [Drop(at=2)], []]


def test_a_class_counts_its_own_messages_only():
    crash = Crash("bank", at=Deposit, nth=2)
    director = Director((crash,))

    assert director.at(passing(1)) == []
    assert director.at(passing(2, "shop")) == []
    assert director.at(passing(3, answer=True)) == []
    assert director.at(passing(4)) == [crash]
    assert director.hit == [(crash, passing(4))]


def test_nothing_happens_once_it_is_stopped():
    director = Director((Drop(at=1),))
    director.stop()

    assert director.at(passing(1)) == []


def test_every_kind_is_tried_at_every_message_it_can_hit():
    run = [passing(1), passing(2, "client", source="bank", answer=True, mortal=False)]
    faults = single_faults(run, KINDS)

    assert len(faults) == len(set(faults))
    assert {fault.at for fault in faults if isinstance(fault, (Crash, Hang))} == {1}
    assert [fault for fault in faults if fault.at == 1] == list(deviations_at(1, KINDS))


@given(st.sampled_from(list(deviations_at(7, (*KINDS, SupervisorCrash)))), st.integers(1, 5))
def test_a_named_deviation_hits_the_same_message(deviation, nth):
    hit = passing(7)
    by_name = named(deviation, hit, nth)
    director = Director((by_name,))
    others = [director.at(passing(number)) for number in range(1, nth)]

    assert by_name.at is Deposit
    assert others == [[]] * (nth - 1)
    assert director.at(hit) == [by_name]
