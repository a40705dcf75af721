"""Who uses a computation, and when nobody has for so long that it should end.  Two deciders.

A client is whoever holds a stream open (`Attend`): the stream ends when its process does, so a dead
client is gone without a word.  Whoever only sends commands is heard, which puts the end off.
"""

from __future__ import annotations

from typing import Final, final

MOST_HANDLERS: Final = 16
"""Handlers that one client may have at the same time: each is a process."""


@final
class Attendance:
    """Those who are there.  `now` is in seconds of any clock that only goes on."""

    def __init__(self, now: float, *, limit: float) -> None:
        self.limit = limit
        """Seconds without anybody after which it is over; inf: never."""
        self._present: dict[int, str] = {}
        self._serial = 0
        self._last = now

    @property
    def clients(self) -> int:
        """How many are there."""
        return len(self._present)

    def others(self, name: str) -> int:
        """How many there are besides the one of this name, who may look at several things."""
        return len(set(self._present.values()) - {name})

    def enter(self, name: str) -> int:
        """Somebody of this name has come; return the number to leave with."""
        self._serial += 1
        self._present[self._serial] = name
        return self._serial

    def leave(self, number: int, now: float) -> None:
        """Somebody has gone.  Twice is fine."""
        if number in self._present:
            del self._present[number]
            self._last = max(self._last, now)

    def heard(self, now: float) -> None:
        """Somebody who need not be there has sent a command."""
        self._last = max(self._last, now)

    def left(self, now: float) -> float:
        """Return the seconds until it is over if nobody comes, and those who are there go now."""
        return self.limit if self._present else max(0.0, self._last + self.limit - now)

    def over(self, now: float) -> bool:
        """Tell whether nobody has been there for so long that it is over."""
        return not self._present and now - self._last >= self.limit


@final
class Service:
    """Which handlers serve which client, none of which may have too many."""

    def __init__(self) -> None:
        self._clients: dict[str, str] = {}

    @property
    def handlers(self) -> list[str]:
        """The names of all of them."""
        return list(self._clients)

    def is_full(self, client: str) -> bool:
        """Whether this client may have no further one."""
        return list(self._clients.values()).count(client) >= MOST_HANDLERS

    def check(self, client: str, computation: str) -> None:
        """Raise `RuntimeError` when this client may have no further one."""
        if self.is_full(client):
            raise RuntimeError(
                f"{client} has {MOST_HANDLERS} handlers of {computation} already, and each is a "
                "process: close views by message that are not needed any more, or look at several "
                "outputs through one handler"
            )

    def begin(self, handler: str, client: str) -> None:
        """It serves this client.  Twice is fine."""
        self._clients[handler] = client

    def end(self, handler: str) -> None:
        """It serves nobody any more.  Twice is fine."""
        self._clients.pop(handler, None)
