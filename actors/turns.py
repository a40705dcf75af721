"""Who looks at a program's connection: its I/O thread, or the one caller who waits.  A decider.

    one caller waits      he looks himself, so that no thread hands anything to another
    several wait          the I/O thread looks, and wakes each when his answer is here
    nobody waits          the I/O thread looks, a moment after the last caller has left

Known as leader and followers (Schmidt and others, Pattern-Oriented Software Architecture 2); here
a leader hands over to the I/O thread only, which is always there.
"""

from __future__ import annotations

import math
from typing import Final, final

QUIET: Final = 0.002
"""Seconds the I/O thread stays aside after a caller has left: he often comes again at once."""

FLOOD: Final = 0.0005
"""Seconds between two messages below which they are left to leave together."""


@final
class Turns:
    """Who looks now, and who sends."""

    def __init__(self) -> None:
        self._waiting: set[int] = set()
        self._leader: int | None = None
        self._led_at = -math.inf
        """When a caller began or ceased to look."""
        self._sent_at = -math.inf
        """When something was posted last; nobody has begun to wait since."""
        self._aside = False
        """The I/O thread sleeps, and does not look."""
        self._asleep = False
        """It sleeps until it is called, because the leader stays long."""
        self._over = False

    @property
    def led(self) -> bool:
        """Whether a caller looks."""
        return self._leader is not None

    def arrive(self, caller: int, now: float) -> bool:
        """A caller, known by his thread, waits from now on; return whether he looks himself."""
        self._waiting.add(caller)
        self._sent_at = -math.inf
        if len(self._waiting) > 1 or self._over:
            return False
        self._leader, self._led_at = caller, now
        return True

    def leave(self, caller: int, now: float, *, more: bool = False) -> bool:
        """A caller waits no longer; return whether the I/O thread must be called.

        `more` is on the connection already, so no descriptor will speak of it.  Twice is fine.
        """
        self._waiting.discard(caller)
        if caller is not self._leader:
            return False
        self._leader, self._led_at = None, now
        return bool(self._waiting) or self._over or self._asleep or (more and not self._aside)

    def aside(self, now: float) -> float:
        """Return for how many seconds the I/O thread sleeps before it asks again; 0: it looks."""
        self._asleep = self.led and now - self._led_at >= QUIET
        if self._asleep:
            pause = math.inf
        elif self.led:
            pause = QUIET
        elif self._waiting or self._over:
            pause = 0.0
        else:
            pause = max(0.0, self._led_at + QUIET - now)
        self._aside = pause > 0.0
        return pause

    def call(self) -> bool:
        """Somebody is to look now; return whether the I/O thread must be woken for that.

        If not, whoever looks finds it in the wake-up pipe.
        """
        if self.led or not self._aside:
            return False
        self._led_at = -math.inf
        return True

    def sends(self, now: float) -> bool:
        """Whether a thread that has just posted a message sends it itself."""
        alone = now - self._sent_at > FLOOD
        self._sent_at = now
        return alone

    def close(self) -> None:
        """Nobody may begin to look any more but the I/O thread."""
        self._over = True
