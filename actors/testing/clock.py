"""A clock that is turned by hand, for code that is given the time."""

from __future__ import annotations

import math
from typing import final


@final
class ManualClock:
    """Seconds that pass when `advance` says so.  Call it for the time, as `time.monotonic`."""

    def __init__(self, start: float = 0.0) -> None:
        if not math.isfinite(start):
            raise ValueError(f"a clock begins at a finite time, not {start!r}")
        self._now = start

    def __call__(self) -> float:
        """Return the time (s)."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Let time pass and return it; raises `ValueError` for a step back or without end."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"advance({seconds!r}): time goes forward, by so many seconds")
        self._now += seconds
        return self._now
