"""Who looks at a program's connection: its I/O thread, or the one caller who waits.  A decider.

    one caller waits      he looks himself, so that no thread hands anything to another
    he has sent a flood   the I/O thread looks: it sends and receives while he does something else
    another comes         the I/O thread looks, and wakes each when his answer is here
    nobody waits          the I/O thread looks, a moment after the last caller has left

Known as leader and followers (Schmidt and others, Pattern-Oriented Software Architecture 2); here
a leader hands over to the I/O thread only, which is always there.
"""

from __future__ import annotations

import math
from typing import Final, final

QUIET: Final = 0.003
"""Seconds the I/O thread stays aside after a caller has left: he often comes again at once."""

LONG: Final = 0.05
"""Seconds of one caller's looking after which the I/O thread sleeps until it is called."""

STALE: Final = 1.5
"""Seconds without a step of the caller who looks after which he does not count; he takes one every
second at least.  Only a fallback: an unusual signal's handler keeps him, or has thrown him out.
"""

FLOOD: Final = 0.0005
"""Seconds between two messages below which they are left to leave together."""


@final
class Turns:
    """Who looks now, and who sends."""

    def __init__(self) -> None:
        self._waiting: set[object] = set()
        """One thread twice, when a signal's handler waits while it waits already."""
        self._leader: object = None
        self._led_at = -math.inf
        """When a caller began or ceased to look."""
        self._stepped_at = -math.inf
        """When the leader was there for certain."""
        self._sent_at = -math.inf
        """When something was posted last; nobody has begun to wait since."""
        self._flood = False
        """What was posted last followed something else at once."""
        self._aside = False
        """The I/O thread sleeps, and does not look."""
        self._asleep = False
        """It sleeps until it is called, because the leader stays long."""
        self._over = False

    @property
    def led(self) -> bool:
        """Whether a caller looks."""
        return self._leader is not None

    def arrive(self, caller: object, now: float) -> bool:
        """A caller waits from now on; return whether he looks himself.

        If not, whoever has looked until now does so no more, and the I/O thread must be called.
        """
        self._waiting.add(caller)
        self._sent_at = -math.inf
        busy = self._flood and not self._aside
        if busy or len(self._waiting) > 1 or self._over:
            self._leader = None
            return False
        self._leader, self._led_at, self._stepped_at = caller, now, now
        return True

    def step(self, caller: object, now: float) -> bool:
        """A caller who has looked is back; return whether he looks on."""
        if caller is not self._leader:
            return False
        self._stepped_at = now
        return True

    def give_way(self, caller: object) -> bool:
        """A caller does something else while he waits; return whether he has looked until now.

        If so, the I/O thread must be called.
        """
        if caller is not self._leader:
            return False
        self._leader = None
        return True

    def leave(self, caller: object, now: float, *, more: bool = False) -> bool:
        """A caller waits no longer; return whether the I/O thread must be called.

        `more` is on the connection already, so no descriptor will speak of it.  Twice is fine.
        """
        self._waiting.discard(caller)
        if caller is not self._leader:
            return False
        self._leader, self._led_at = None, now
        return self._asleep or (more and not self._aside)

    def aside(self, now: float) -> float:
        """Return for how many seconds the I/O thread sleeps before it asks again; 0: it looks."""
        if self.led and now - self._stepped_at > STALE:
            self._leader = None
        self._asleep = self.led and now - self._led_at >= LONG
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
        self._flood = now - self._sent_at <= FLOOD
        self._sent_at = now
        return not self._flood

    def close(self) -> None:
        """Nobody looks any more but the I/O thread, which must be called."""
        self._over = True
        self._leader = None
