"""Sets of numbers that mostly follow each other, kept as runs.  A decider.

    3 4 5 6   9   12 13      three runs: 3-6, 9, 12-13

As large as there are gaps, not as there are numbers: of a million messages that were finished while
one before them is not, one run is kept.  On the wire a set is the first and last number of each
run, in their order: `[3, 6, 9, 9, 12, 13]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final


@final
class Runs:
    """A set of numbers."""

    __slots__ = ("_firsts", "_lasts", "count")

    def __init__(self) -> None:
        self._lasts: dict[int, int] = {}
        """By the first number of a run its last one."""
        self._firsts: dict[int, int] = {}
        self.count = 0
        """How many numbers there are."""

    def add(self, number: int) -> tuple[int, int]:
        """Add a number that is not in the set; return the run that it stands in now."""
        first = self._firsts.pop(number - 1, number)
        last = self._lasts.pop(number + 1, number)
        self._lasts[first], self._firsts[last] = last, first
        self.count += 1
        return first, last

    def take(self, first: int) -> int:
        """Remove the run that begins there; return its last number, the one before for none."""
        last = self._lasts.pop(first, first - 1)
        if last >= first:
            del self._firsts[last]
            self.count -= last - first + 1
        return last

    def pairs(self) -> list[int]:
        """Return the first and the last number of each run, in their order."""
        return [number for run in sorted(self._lasts.items()) for number in run]


def holds(pairs: Sequence[int], number: int) -> bool:
    """Whether a number is in one of the runs whose ends are given."""
    runs = zip(pairs[::2], pairs[1::2], strict=False)
    return any(first <= number <= last for first, last in runs)
