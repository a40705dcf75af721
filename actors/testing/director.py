"""Which deviations of a schedule happen at a message, and what they have hit.  A decider."""

from __future__ import annotations

from typing import final

from actors.testing.schedule import Deviation, Passing, Schedule


class _Planned:
    """A deviation that has not happened yet."""

    __slots__ = ("deviation", "left")

    def __init__(self, deviation: Deviation) -> None:
        self.deviation = deviation
        self.left = 1 if isinstance(deviation.at, int) else deviation.nth
        """Messages of its kind until it happens."""


@final
class Director:
    """The schedule of one run."""

    def __init__(self, schedule: Schedule) -> None:
        self._planned = [_Planned(deviation) for deviation in schedule]
        self.hit: list[tuple[Deviation, Passing]] = []
        """What has happened, and where."""
        self.seen: list[Passing] = []
        """Messages at which something could happen: none after `stop`."""
        self._stopped = False

    def at(self, passing: Passing) -> list[Deviation]:
        """Return what happens at this message, and strike it off."""
        if self._stopped:
            return []
        self.seen.append(passing)
        due: list[Deviation] = []
        if not self._planned:
            return due
        for planned in [one for one in self._planned if one.deviation.matches(passing)]:
            planned.left -= 1
            if not planned.left:
                self._planned.remove(planned)
                self.hit.append((planned.deviation, passing))
                due.append(planned.deviation)
        return due

    def stop(self) -> None:
        """Nothing goes wrong from now on."""
        self._stopped = True

    @property
    def missed(self) -> Schedule:
        """What has not happened."""
        return tuple(planned.deviation for planned in self._planned)
