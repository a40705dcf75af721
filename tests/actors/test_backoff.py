"""How long to wait before the next try (actors/backoff.py)."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.backoff import Backoff, Retries

backoffs = st.builds(
    Backoff,
    initial=st.floats(0, 1),
    factor=st.floats(1, 10),
    maximum=st.floats(1, 60),
    reset_after=st.floats(0, 60),
)


def test_the_first_try_is_immediate_and_the_ceiling_then_doubles_up_to_ten_seconds():
    backoff = Backoff()

    ceilings = [backoff.ceiling(failures) for failures in range(1, 11)]

    assert ceilings == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])


@given(backoffs, st.integers(1, 10**9), st.integers(0, 2**32))
def test_a_delay_lies_between_zero_and_the_ceiling_however_often_it_failed(backoff, failures, seed):
    delay = backoff.delay(failures, Random(seed))

    assert 0 <= delay <= backoff.ceiling(failures) <= backoff.maximum


def test_the_jitter_is_full():
    random = Random(1)

    delays = [Backoff().delay(20, random) for _ in range(2_000)]

    assert min(delays) < 0.1
    assert max(delays) > 9.9
    assert sum(delays) / len(delays) == pytest.approx(5, abs=0.3)


def test_the_same_seed_gives_the_same_delays():
    def schedule():
        random = Random(7)
        retries = Retries(Backoff())
        return [retries.failed(0.0, random) for _ in range(20)]

    assert schedule() == schedule()


def test_none_never_waits():
    random = Random(1)

    assert [Backoff.none().delay(failures, random) for failures in (1, 2, 50, 10**6)] == [0] * 4


def test_hours_of_failures_are_no_number_too_large():
    assert Backoff().ceiling(10**6) == 10
    assert Backoff(initial=0.0).ceiling(10**6) == 0


def test_a_failure_waits_as_long_as_its_number_says():
    retries = Retries(Backoff())
    mine, theirs = Random(3), Random(3)

    waits = [retries.failed(0.0, mine) for _ in range(20)]

    assert waits == [Backoff().delay(number, theirs) for number in range(1, 21)]


def test_failures_add_up_while_there_is_no_health_between_them():
    retries = Retries(Backoff())
    random = Random(1)

    for now in range(4):
        retries.failed(float(now), random)

    assert retries.failures == 4


@pytest.mark.parametrize(("lived", "failures"), [(4.9, 3), (5.0, 1), (60.0, 1)])
def test_five_seconds_of_health_forget_the_failures(lived, failures):
    retries = Retries(Backoff())
    random = Random(1)
    retries.failed(0.0, random)
    retries.failed(0.0, random)

    retries.succeeded(100.0)
    retries.failed(100.0 + lived, random)

    assert retries.failures == failures


def test_time_that_it_was_down_is_no_health():
    retries = Retries(Backoff())
    random = Random(1)
    retries.succeeded(0.0)
    retries.failed(1.0, random)
    retries.failed(100.0, random)

    assert retries.failures == 2


def test_an_end_that_is_no_failure_counts_nothing_and_ends_the_time_of_health():
    retries = Retries(Backoff())
    random = Random(1)
    retries.failed(0.0, random)
    retries.succeeded(0.0)

    retries.ended(1.0)

    assert retries.failures == 1
    retries.failed(100.0, random)
    assert retries.failures == 2


@pytest.mark.parametrize("field", ["initial", "factor", "maximum", "reset_after"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "1", None])
def test_a_value_out_of_range_is_refused_with_its_name(field, value):
    with pytest.raises(ValueError, match=f"Backoff.{field} is"):
        Backoff(**{field: value})


def test_a_factor_that_shrinks_is_refused():
    with pytest.raises(ValueError, match=r"Backoff.factor is 0.5: give a finite number from 1 up"):
        Backoff(factor=0.5)


def test_a_maximum_below_the_initial_pause_is_refused():
    with pytest.raises(ValueError, match="Raise maximum, or lower initial"):
        Backoff(initial=2.0, maximum=1.0)
