"""How long to wait before the next try: growing, capped and spread at random.

    failure   1     2        3        4        5    ...
    ceiling   0     0.1      0.2      0.4      0.8  ... 10 s      (the defaults)
    delay     0     0..0.1   0..0.2   0..0.4   ...                drawn evenly: "full jitter"

The first try after a failure is immediate, because most failures happen once. From the second
on, each waits up to twice as long. Full jitter keeps a hundred actors that lost the same server
from coming back in the same instant. `Retries` forgets its failures after a time of health.
Time and randomness are arguments, so a schedule can be replayed.
"""

from __future__ import annotations

import math
from random import Random

import attrs


@attrs.frozen
class Backoff:
    """The pause before each next try.

    The first try is immediate; the n-th waits a random time between 0 and
    `initial * factor ** (n - 2)`, never more than `maximum`. Failures are forgotten once
    `reset_after` seconds of health lie between two of them. `Backoff.none()` never waits.

    Raises:
        ValueError: a value is out of range, or `maximum` is below `initial`.
    """

    initial: float = 0.1  # seconds, the ceiling of the second try
    factor: float = 2.0  # growth per failure
    maximum: float = 10.0  # seconds, never more
    reset_after: float = 5.0  # seconds of health

    def __attrs_post_init__(self) -> None:
        _check("initial", self.initial, 0.0)
        _check("factor", self.factor, 1.0)
        _check("maximum", self.maximum, 0.0)
        _check("reset_after", self.reset_after, 0.0)
        if self.maximum < self.initial:
            raise ValueError(
                f"Backoff.maximum ({self.maximum}) is below Backoff.initial ({self.initial}). "
                "Raise maximum, or lower initial."
            )

    @classmethod
    def none(cls) -> Backoff:
        """Return the backoff that never waits: only intensity then limits a crash loop."""
        return cls(initial=0.0, maximum=0.0)

    def ceiling(self, failures: int) -> float:
        """Return the longest pause, in seconds, after this many failures in a row (from 1)."""
        if failures <= 1:
            return 0.0
        try:
            return min(self.maximum, self.initial * self.factor ** (failures - 2))
        except OverflowError:  # 2.0 ** 1024: a child that has failed for hours
            return self.maximum if self.initial else 0.0

    def delay(self, failures: int, random: Random) -> float:
        """Draw the pause, in seconds, after this many failures in a row (from 1)."""
        ceiling = self.ceiling(failures)
        return random.uniform(0.0, ceiling) if ceiling else 0.0


@attrs.define
class Retries:
    """The failures of one thing that is tried again and again."""

    backoff: Backoff
    failures: int = 0  # in a row, without `reset_after` seconds of health between them
    _healthy_since: float | None = None  # None: not up, or not up since the last failure

    def succeeded(self, now: float) -> None:
        """Note that it is up from now on."""
        self._healthy_since = now

    def failed(self, now: float, random: Random) -> float:
        """Note a failure and return the seconds to wait before the next try."""
        self.ended(now)
        self.failures += 1
        return self.backoff.delay(self.failures, random)

    def ended(self, now: float) -> None:
        """Note an end that is no failure; a long enough life before it forgets the failures."""
        since = self._healthy_since
        if since is not None and now - since >= self.backoff.reset_after:
            self.failures = 0
        self._healthy_since = None


def _check(field: str, value: object, least: float) -> None:
    """Refuse what is not a finite number from `least` up."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf:
        return
    raise ValueError(f"Backoff.{field} is {value!r}: give a finite number from {least:g} up.")
