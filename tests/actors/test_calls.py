"""Open calls and their deadlines."""

from __future__ import annotations

import math

from actors.calls import NOBODY, STALE_DEADLINES, Call, Calls


class Sink:
    def take(self, envelope, frames, *, near):
        return True

    def fail(self, error):
        raise AssertionError(error)


def call(target="a", deadline=math.inf):
    return Call(Sink(), target=target, message="M", deadline=deadline)


def test_every_call_gets_a_number_of_its_own():
    calls = Calls()
    one, two = call(), call()

    assert calls.open(one) != calls.open(two)
    assert calls.find(one.correlation) is one
    assert len(calls) == 2


def test_a_call_is_closed_once():
    calls = Calls()
    one = call()
    calls.open(one)

    assert calls.close(one.correlation) is one
    assert calls.close(one.correlation) is None
    assert calls.find(one.correlation) is None


def test_only_calls_whose_deadline_has_passed_expire_earliest_first():
    calls = Calls()
    late, early, never = call(deadline=3.0), call(deadline=1.0), call()
    for one in (late, early, never):
        calls.open(one)

    assert calls.next_deadline() == 1.0
    assert calls.expire(0.9) == []
    assert calls.expire(3.0) == [early, late]
    assert calls.next_deadline() == math.inf
    assert calls.all() == [never]


def test_a_closed_call_does_not_expire():
    calls = Calls()
    one = call(deadline=1.0)
    calls.open(one)
    calls.close(one.correlation)

    assert calls.next_deadline() == math.inf
    assert calls.expire(2.0) == []


def test_a_hurried_call_expires_earlier_and_only_once():
    calls = Calls()
    one = call(deadline=5.0)
    calls.open(one)
    calls.hurry(one, 1.0)
    calls.hurry(one, 9.0)

    assert calls.next_deadline() == 1.0
    assert calls.expire(1.0) == [one]
    assert calls.expire(10.0) == []


def test_a_call_without_a_deadline_can_be_hurried():
    calls = Calls()
    one = call()
    calls.open(one)
    calls.hurry(one, 1.0)

    assert calls.expire(1.0) == [one]


def test_calls_to_one_name_are_found():
    calls = Calls()
    one, other = call("a"), call("b")
    calls.open(one)
    calls.open(other)

    assert calls.to("a") == [one]


def test_deadlines_of_answered_calls_do_not_pile_up():
    calls = Calls()
    kept = call(deadline=50.0)
    calls.open(kept)
    for _ in range(10 * STALE_DEADLINES):
        calls.close(calls.open(call(deadline=30.0)))

    assert len(calls._deadlines) <= STALE_DEADLINES + 2
    assert calls.next_deadline() == 50.0 or calls.expire(40.0) == []
    assert calls.expire(50.0) == [kept]


def test_deadlines_are_looked_through_only_when_those_that_are_over_are_many_and_the_most():
    calls = Calls()
    for _ in range(STALE_DEADLINES + 1):
        calls.close(calls.open(call(deadline=30.0)))
    assert len(calls._deadlines) == STALE_DEADLINES + 1, "not yet many"

    opened = [calls.open(call(deadline=30.0)) for _ in range(2 * STALE_DEADLINES)]
    first = len(calls._deadlines)
    assert first <= 2 * STALE_DEADLINES + 2, "they were many and the most"
    for number in opened[: STALE_DEADLINES + STALE_DEADLINES // 2]:
        calls.close(number)
    calls.open(call(deadline=30.0))

    assert len(calls._deadlines) == first + 1, "many, and not yet the most"


def test_a_call_without_a_deadline_stays_without_one():
    calls = Calls()
    endless = call()
    calls.open(endless)
    for _ in range(2 * STALE_DEADLINES):
        calls.close(calls.open(call(deadline=30.0)))

    assert len(calls._deadlines) <= STALE_DEADLINES + 1
    assert all(deadline < math.inf for deadline, _ in calls._deadlines)


def test_a_call_that_was_never_opened_is_none_of_the_open_ones_and_nobody_waits_for_it():
    calls, early = Calls(), call()
    calls.open(call())

    assert calls.close(early.correlation) is None
    assert len(calls) == 1
    assert (early.waiter, early.lost, early.reason) == (NOBODY, False, "")
