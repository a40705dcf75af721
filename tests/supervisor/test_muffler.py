"""Saying things sparingly."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.muffler import Muffler


def test_the_first_is_said_and_the_others_are_counted():
    muffler = Muffler(period=10.0)

    said = [muffler.heard("a", float(second)) for second in range(5)]

    assert said == [True, False, False, False, False]
    assert muffler.next_due == 10.0
    assert muffler.due(9.9) == []
    assert muffler.due(10.0) == [("a", 4)]
    assert muffler.due(20.0) == []
    assert muffler.heard("a", 20.0)


def test_of_too_many_kinds_only_the_number_is_said():
    muffler = Muffler(things=2)

    assert [muffler.heard(key, 0.0) for key in "abcd"] == [True, True, False, False]
    assert muffler.unsaid == 2


@example([("a", 2.355955615817717), ("b", 1.3754609933921957), ("a", 1.5), ("b", 3.5)], 2)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.0, 4.0))), st.integers(1, 4))
def test_every_one_is_said_or_counted_and_none_too_often(happened, things):
    muffler = Muffler(period=5.0, things=things)
    now, said, lines = 0.0, 0, {}
    for key, pause in happened:
        now += pause
        for again, more in muffler.due(now):
            said += more
            lines.setdefault(again, []).append(now)
        if muffler.heard(key, now):
            said += 1
            lines.setdefault(key, []).append(now)
    said += sum(more for _, more in muffler.due(float("inf"))) + muffler.unsaid

    assert said == len(happened)
    for times in lines.values():
        # Not the difference, which may be rounded to a little less than the period.
        assert all(later >= sooner + 5.0 for sooner, later in pairwise(times))
