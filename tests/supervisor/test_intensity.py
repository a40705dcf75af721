"""Were there too many restarts lately? (supervisor/intensity.py)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.intensity import add_restart, is_exceeded, recent
from supervisor.spec import Intensity


def restarted_at(*times: float, limit: Intensity) -> list[bool]:
    history: tuple[float, ...] = ()
    exceeded = []
    for now in times:
        history = add_restart(history, now, limit)
        exceeded.append(is_exceeded(history, limit))
    return exceeded


def test_as_many_restarts_as_allowed_are_allowed_and_one_more_is_not():
    assert restarted_at(0, 1, 2, limit=Intensity(2, 5.0)) == [False, False, True]


def test_a_restart_exactly_one_period_old_still_counts():
    assert restarted_at(0, 5, limit=Intensity(1, 5.0)) == [False, True]


def test_a_restart_older_than_the_period_is_forgotten():
    assert restarted_at(0, 5.001, limit=Intensity(1, 5.0)) == [False, False]


def test_intensity_zero_allows_no_restart_at_all():
    assert restarted_at(0, limit=Intensity(0, 5.0)) == [True]


def test_recent_shows_what_is_left_of_the_history():
    assert recent((1.0, 2.0, 9.0), 10.0, Intensity(10, 5.0)) == (9.0,)


@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.integers(0, 6),
    st.integers(1, 10),
)
def test_it_agrees_with_counting_everything_and_stays_short(gaps, restarts, period):
    limit = Intensity(restarts, float(period))
    history: tuple[float, ...] = ()
    everything: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        everything.append(now)
        history = add_restart(history, now, limit)

        counted = sum(1 for at in everything if at >= now - period)
        assert is_exceeded(history, limit) == (counted > restarts)
        assert len(history) <= restarts + 1
