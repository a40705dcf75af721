"""When a computation steps, when it shows a frame, when it rests.  A decider.

    paused ── start ──► running          next(now)  →  Step(count)    so many steps, now
       ▲  ◄── pause ──    │                            Show()         a frame is due
       └── step(n) ──►  n steps, then paused again     Rest(seconds)  ask again then, or when told

A frame is due after every `steps_per_frame` steps, and when somebody has changed something, so
that viewers of a paused computation see that too; but never more than `frames_per_second`.  The
steps wait for their frame, so the cap holds for them as well.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias, final

import attrs

TURN_SECONDS: Final = 0.01
"""Steps that take longer together are not made in one go: messages come in between."""

SMOOTHING: Final = 0.2
"""Share of the newest measurement in the mean time of a step."""

LATENESS: Final = 0.25
"""Share of a period between frames by which one may follow sooner than that on a late one."""


@final
@attrs.frozen
class Step:
    """Make so many steps, then say how long they took (`stepped`)."""

    count: int


@final
@attrs.frozen
class Show:
    """Show a frame, then say how long it took (`shown`)."""


@final
@attrs.frozen
class Rest:
    """There is nothing to do for so many seconds; inf: until a command comes."""

    seconds: float


Command: TypeAlias = Step | Show | Rest


@final
class Pacing:
    """The pace of one computation.  `now` is in seconds of any clock that only goes on."""

    def __init__(
        self, *, steps_per_frame: int, frames_per_second: float, running: bool = True
    ) -> None:
        self.steps_per_frame = steps_per_frame
        self.frames_per_second = frames_per_second
        self.running = running
        self.owed = 0
        """Steps to make although it is paused."""
        self.steps = 0
        """Made since the beginning, or since the last reset."""
        self.frames = 0
        """Shown since the beginning; a reset does not change it."""
        self.step_seconds = 0.0
        """Mean time of a step; 0 until one was made."""
        self.show_seconds = 0.0
        self._in_frame = 0
        self._changed = True
        self._show_at = -math.inf

    @property
    def attainable(self) -> float:
        """Frames per second that this computation could show if nothing held it back."""
        seconds = self.step_seconds * self.steps_per_frame + self.show_seconds
        return 1.0 / seconds if seconds else 0.0

    # --- what was said

    def start(self) -> None:
        """Step from now on."""
        self.running, self.owed = True, 0
        self._changed = True

    def pause(self) -> None:
        """Make no further step.  What stands is shown."""
        self.running, self.owed = False, 0
        self._changed = True

    def step(self, count: int) -> None:
        """Make `count` further steps while paused.

        Raises `ValueError` for fewer than one, or while it is running.
        """
        if count < 1:
            raise ValueError(f"{count} steps: give one or more")
        if self.running:
            raise ValueError("it is running: pause it, then make single steps")
        self.owed += count

    def reset(self) -> None:
        """The computation has been begun anew; it runs, or is paused, as before."""
        self.steps = self._in_frame = self.owed = 0
        self._changed = True

    def changed(self) -> None:
        """Something that a frame shows is other than before."""
        self._changed = True

    def resume(self, *, steps: int, frames: int, running: bool) -> None:
        """Go on where a former life was."""
        self.steps, self.frames, self.running = steps, frames, running

    # --- what was done

    def stepped(self, count: int, seconds: float) -> None:
        """So many steps were made, and took so long together."""
        self.steps += count
        self._in_frame += count
        if not self.running:
            self.owed = max(0, self.owed - count)
            self._changed = self._changed or not self.owed
        self.step_seconds = _smoothed(self.step_seconds, seconds / count)

    def shown(self, now: float, seconds: float) -> None:
        """A frame was shown, and took so long."""
        self.frames += 1
        self._changed = False
        if self._in_frame >= self.steps_per_frame or not self.running:
            self._in_frame = 0
        period = 1.0 / self.frames_per_second
        # A frame that came late is made up for, but no more than that: k + 1 frames take k
        # periods, less `LATENESS` of one, whenever one begins to count.
        self._show_at = max(self._show_at, now - LATENESS * period) + period
        self.show_seconds = _smoothed(self.show_seconds, seconds)

    # --- what to do

    def next(self, now: float) -> Command:
        """Say what to do now."""
        # A rate that was raised since the last frame holds now, not when a former period is over.
        self._show_at = min(self._show_at, now + 1.0 / self.frames_per_second)
        if self._changed or self._in_frame >= self.steps_per_frame:
            wait = self._show_at - now
            if wait <= 0:
                return Show()
            if self._in_frame >= self.steps_per_frame or not self._stepping:
                return Rest(wait)
        if not self._stepping:
            return Rest(math.inf)
        left = self.steps_per_frame - self._in_frame
        if not self.running:
            left = min(left, self.owed)
        return Step(max(1, min(left, self._in_one_turn)))

    @property
    def _stepping(self) -> bool:
        return self.running or self.owed > 0

    @property
    def _in_one_turn(self) -> int:
        """Steps that take about `TURN_SECONDS`; one while nobody knows how long they take."""
        return int(TURN_SECONDS / self.step_seconds) if self.step_seconds else 1


def _smoothed(mean: float, newest: float) -> float:
    # Time that no clock can show would otherwise look like "never measured".
    newest = max(newest, 1e-9)
    return (1 - SMOOTHING) * mean + SMOOTHING * newest if mean else newest
