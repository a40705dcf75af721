"""Which of many worlds is the first that does not pass, whoever is done first.  A decider.

The worlds are numbered in the order in which one process would try them.  Several processes take
them in this order, and finish in any.  The first that does not pass is certain once all before it
have passed; what comes after it would never have been tried, and does not count.
"""

from __future__ import annotations

from typing import Final, NamedTuple, final


class Flaw(NamedTuple):
    """A world that did not pass."""

    number: int
    died: str
    """How the process that tried it has died; "" when the world failed."""


@final
class Tally:
    """What is known of so many worlds."""

    def __init__(self, total: int) -> None:
        self.total: Final = total
        self._passed = bytearray(total)
        self._row = 0
        """So many from the beginning have all passed."""
        self._flaw: Flaw | None = None

    def passed(self, number: int) -> None:
        """Take note of a world that has passed."""
        self._passed[number] = 1
        while self._row < self.total and self._passed[self._row]:
            self._row += 1

    def flawed(self, number: int, died: str = "") -> None:
        """Take note of one that has not."""
        if self._flaw is None or number < self._flaw.number:
            self._flaw = Flaw(number, died)

    @property
    def decided(self) -> bool:
        """Whether the first flaw is certain, or that there is none."""
        return self._row == (self.total if self._flaw is None else self._flaw.number)

    @property
    def first(self) -> Flaw | None:
        """The first flaw, once it is decided."""
        assert self.decided
        return self._flaw
