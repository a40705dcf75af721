"""Figures: measured side by side, compared pair by pair.

A shared machine is faster or slower from one second to the next, so no time stands alone.  What is
compared runs in turn, in short blocks,

    A B C   B C A   C A B   ...

and the ratio is the median of the ratios within a round; a busy second falls on all of them alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import attrs


@attrs.frozen
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    low: float | None = None  # quartiles over the rounds, or p50 .. p99 where the note says so
    high: float | None = None
    beside: str = ""  # what it is compared with
    other: float | None = None
    ratio: float | None = None  # value / other, pair by pair
    note: str = ""
    at: float | None = None  # how much there was of what grows, for a curve


def rounds(count: int, variants: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run every variant `count` times, in turn; the first round warms up and is dropped."""
    names = list(variants)
    results: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(count + 1):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            result = variants[name]()
            if turn:
                results[name].append(result)
    return results


def quantile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios, pair by pair."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def compared(
    name: str,
    unit: str,
    ours: list[float],
    theirs: list[float] | None = None,
    *,
    beside: str = "",
    note: str = "",
) -> Figure:
    """Make a figure of a variant's rounds and, pair by pair, another's."""
    return Figure(
        name=name,
        value=statistics.median(ours),
        unit=unit,
        low=quantile(ours, 0.25),
        high=quantile(ours, 0.75),
        beside=beside,
        other=None if theirs is None else statistics.median(theirs),
        ratio=None if theirs is None else ratio(ours, theirs),
        note=note,
    )
