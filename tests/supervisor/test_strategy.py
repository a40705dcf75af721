"""Who falls with whom (supervisor/strategy.py)."""

from __future__ import annotations

import pytest

from supervisor.spec import Strategy
from supervisor.strategy import affected


@pytest.mark.parametrize(
    ("strategy", "fallen", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "a", "a"),
        (Strategy.ONE_FOR_ONE, "c", "c"),
        (Strategy.ONE_FOR_ALL, "a", "abcd"),
        (Strategy.ONE_FOR_ALL, "d", "abcd"),
        (Strategy.REST_FOR_ONE, "a", "abcd"),
        (Strategy.REST_FOR_ONE, "c", "cd"),
        (Strategy.REST_FOR_ONE, "d", "d"),
    ],
)
def test_each_strategy_takes_its_siblings_along_in_start_order(strategy, fallen, expected):
    assert "".join(affected(strategy, list("abcd"), fallen)) == expected


def test_a_stranger_is_refused():
    with pytest.raises(ValueError, match="not in list"):
        affected(Strategy.ONE_FOR_ALL, ["a"], "x")
