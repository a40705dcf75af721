"""Which children have a spare, and when one is made. A decider.

                 ┌──────────────────────── taken: the next life has a process ◄─┐
                 ▼                                                              │
    none ── started ──► DUE ── due ──► COMING ── ready ──► READY ── take ───────┘
                         ▲                │                  │
                         └──── ended ─────┴──────────────────┘    later and later, then no more

A spare is a process that has imported its child's class and has no identity yet. It is made some
time after the child itself is up, so as not to take the processor from its first messages.
"""

from __future__ import annotations

import enum
from typing import Final, final

import attrs

from actors.backoff import Backoff

SETTLE: Final = 0.2
"""Seconds after a start until a spare is made."""

MOST_ENDS: Final = 5
"""Spares in a row that end by themselves; then there is none until the child starts again."""

_PAUSE: Final = Backoff()


@final
@attrs.frozen
class Make:
    """Call `due` with this number when it is `at`, and make a spare if it says so."""

    name: str
    number: int
    at: float


@final
@attrs.frozen
class End:
    """Kill this spare; nothing is to be said of its end."""

    name: str
    number: int


@final
@attrs.frozen
class GiveUp:
    """Say that there will be none until the child starts again: so many in a row have ended."""

    name: str
    ends: int


Command = Make | End | GiveUp


@final
class Standing(enum.Enum):
    """How far a spare is."""

    DUE = "due"  # there is none, but there will be
    COMING = "coming"  # launched; it imports its class
    READY = "ready"


@final
@attrs.define
class _Spare:
    number: int
    standing: Standing = Standing.DUE
    ready_at: float = 0.0


@final
class Spares:
    """At most one spare for each child, known by a number that is never used again.

    What is said of a number that is not the present one is ignored: it is about a spare that was
    taken or ended meanwhile.
    """

    def __init__(self) -> None:
        self._spares: dict[str, _Spare] = {}
        self._ends: dict[str, int] = {}
        """Spares in a row that ended by themselves."""
        self._number = 0
        self._closed = False

    def started(self, name: str, now: float) -> list[Command]:
        """A child that wants a spare is up."""
        self._ends.pop(name, None)
        return [] if name in self._spares else self._plan(name, now + SETTLE)

    def due(self, name: str, number: int) -> bool:
        """The time of a `Make` has come; return whether it still holds."""
        spare = self._present(name, number)
        if spare is None or spare.standing is not Standing.DUE:
            return False
        spare.standing = Standing.COMING
        return True

    def ready(self, name: str, number: int, now: float) -> None:
        """A spare has imported its class."""
        spare = self._present(name, number)
        if spare is not None and spare.standing is Standing.COMING:
            spare.standing, spare.ready_at = Standing.READY, now

    def ended(self, name: str, number: int, now: float) -> list[Command]:
        """A spare has ended by itself, or could not be launched."""
        spare = self._present(name, number)
        if spare is None:
            return []
        del self._spares[name]
        healthy = now - spare.ready_at >= _PAUSE.reset_after
        if spare.standing is Standing.READY and healthy:
            self._ends.pop(name, None)
        ends = self._ends[name] = self._ends.get(name, 0) + 1
        if ends >= MOST_ENDS:
            return [] if self._closed else [GiveUp(name, ends)]
        return self._plan(name, now + max(SETTLE, _PAUSE.ceiling(ends)))

    def take(self, name: str) -> int | None:
        """A child needs a process: return the number of the spare that it may have, if any.

        The next one is made once the child is up again.
        """
        spare = self._spares.get(name)
        if spare is None or spare.standing is Standing.COMING:  # it is there for the next time
            return None
        del self._spares[name]
        return spare.number if spare.standing is Standing.READY else None

    def dismiss(self, name: str) -> list[Command]:
        """A child stays down: it needs none."""
        self._ends.pop(name, None)
        spare = self._spares.pop(name, None)
        if spare is None or spare.standing is Standing.DUE:
            return []
        return [End(name, spare.number)]

    def close(self) -> list[Command]:
        """The system ends: nobody needs one any more."""
        self._closed = True
        return [command for name in list(self._spares) for command in self.dismiss(name)]

    def is_ready(self, name: str, number: int) -> bool:
        """Whether this spare could be taken now."""
        spare = self._present(name, number)
        return spare is not None and spare.standing is Standing.READY

    def number(self, name: str) -> int | None:
        """Return the number of the spare of a child that is coming or ready."""
        spare = self._spares.get(name)
        return None if spare is None or spare.standing is Standing.DUE else spare.number

    def _present(self, name: str, number: int) -> _Spare | None:
        spare = self._spares.get(name)
        return spare if spare is not None and spare.number == number else None

    def _plan(self, name: str, at: float) -> list[Command]:
        if self._closed:
            return []
        self._number += 1
        self._spares[name] = _Spare(self._number)
        return [Make(name, self._number, at)]
