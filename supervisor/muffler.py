"""A thing that happens again and again is said once, then counted, and said again with the count.

heard(key, now) --> True: say it now
due(now)        --> keys that happened again since they were said, and how often
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final, Generic, TypeVar, final

import attrs

K = TypeVar("K", bound=Hashable)

PERIOD: Final = 10.0
"""Seconds between two lines about one thing."""

THINGS: Final = 100
"""Things kept apart; what comes on top of them within one period is not said."""


@attrs.define
class _Quiet:
    until: float
    more: int = 0


@final
class Muffler(Generic[K]):
    """At most one line per thing and period, and none is forgotten."""

    def __init__(self, period: float = PERIOD, things: int = THINGS) -> None:
        self._period = period
        self._things = things
        self._quiet: dict[K, _Quiet] = {}
        self.unsaid = 0
        """Things of which there were too many to say anything of each."""

    def __contains__(self, key: K) -> bool:
        """Whether this is kept apart, so that `due` will name it when it happens again."""
        return key in self._quiet

    def heard(self, key: K, now: float) -> bool:
        """Note that it happened; return whether to say so now."""
        quiet = self._quiet.get(key)
        if quiet is not None:
            quiet.more += 1
            return False
        if len(self._quiet) >= self._things:
            self.unsaid += 1
            return False
        self._quiet[key] = _Quiet(now + self._period)
        return True

    @property
    def next_due(self) -> float:
        """Return when `due` has something to do; infinity for never."""
        return min((quiet.until for quiet in self._quiet.values()), default=math.inf)

    def due(self, now: float) -> list[tuple[K, int]]:
        """Return what happened again since it was said, as far as its time is over."""
        said: list[tuple[K, int]] = []
        for key, quiet in list(self._quiet.items()):
            if quiet.until > now:
                continue
            if quiet.more:
                said.append((key, quiet.more))
                self._quiet[key] = _Quiet(now + self._period)
            else:
                del self._quiet[key]
        return said
