"""Says which deviations of a schedule happen at a message, and remembers what they hit.  A decider."""

from __future__ import annotations

from typing import final

from actors.testing.schedule import Deviation, Passing, Schedule


@final
class Director:
    """The schedule of one run."""

    def __init__(self, schedule: Schedule) -> None:
        self._left = [[deviation, deviation.nth] for deviation in schedule]
        self.hit: list[tuple[Deviation, Passing]] = []
        """What has happened, and where."""

    def at(self, passing: Passing) -> list[Deviation]:
        """Return what happens at this message, and strike it off."""
        due: list[Deviation] = []
        for entry in list(self._left):
            deviation, left = entry
            if deviation.matches(passing):
                entry[1] = left - 1 if not isinstance(deviation.at, int) else 0
                if entry[1] == 0:
                    self._left.remove(entry)
                    self.hit.append((deviation, passing))
                    due.append(deviation)
        return due

    def stop(self) -> None:
        """Nothing goes wrong from now on."""
        self._left.clear()
