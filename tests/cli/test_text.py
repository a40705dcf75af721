"""Words for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.cli.text import duration, safe, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (42_000_000, "42 MB"),
        (3e15, "3000 TB"),
    ],
)
def test_sizes_are_short(count: float | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (42.4, "42 s"), (61, "1 m"), (8040, "2 h 14 m"), (90_000, "1 d 1 h")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.text())
def test_a_strangers_text_cannot_steer_the_terminal(text: str) -> None:
    assert safe(text).isprintable()
