"""The heartbeat monitor: an actor that looks at every process once a second.

It reads the flight recorders, which costs the others no message, and asks the operating system
for memory and processor time (`procstat.py`).  What it sees goes to the supervisor and to
`understudy status`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from typing import Final

from actors.actor import Actor
from actors.blackbox import feel
from actors.handler import receive
from actors.message import message
from actors.procstat import look
from actors.recorder import open_page
from actors.roster import Member, Roster, RosterRequest, Vital, Vitals

PERIOD: Final = 1.0


@message(tag="understudy:Look")
class Look:
    """Time to look again."""


class Monitor(Actor):
    """Measures; it judges nobody."""

    period: float = PERIOD

    def on_start(self) -> None:
        """Begin to look."""
        self.seen: dict[tuple[str, int], tuple[float, float]] = {}
        """When a life was looked at last, and the processor time it had used until then."""
        self.pages: dict[tuple[str, int], mmap.mmap] = {}
        self.context.tell_every(self.period, Look())

    @receive
    async def look(self, _msg: Look) -> None:
        """Measure everybody and report."""
        supervisor = self.context.actor("@supervisor")
        roster = await supervisor.ask(RosterRequest(), timeout=5.0)
        vitals = [vital for member in roster.members if (vital := self.measure(roster, member))]
        supervisor.tell(Vitals(vitals))
        self.forget(roster)

    def measure(self, roster: Roster, member: Member) -> Vital | None:
        """Return what is to be seen of one process; None when it has just ended."""
        stat, now = look(member.pid), time.monotonic()
        if stat is None:
            return None
        key = (member.name, member.incarnation)
        then, used = self.seen.get(key, (now, stat.cpu))
        self.seen[key] = (now, stat.cpu)
        cores = (stat.cpu - used) / (now - then) if now > then else 0.0
        return Vital(*key, stat.memory, cores, self.heartbeat(roster, member))

    def heartbeat(self, roster: Roster, member: Member) -> float | None:
        """Return the seconds since a process's loop turned."""
        if member.page < 0:
            return None
        key = (member.name, member.incarnation)
        page = self.pages.get(key)
        if page is None:
            try:
                fd = os.open(f"/proc/{roster.supervisor}/fd/{member.page}", os.O_RDONLY)
            except OSError:
                return None
            try:
                page = self.pages[key] = open_page(fd, readonly=True)
            finally:
                os.close(fd)
        seen = feel(page).alive_at
        return max(0.0, time.monotonic() - seen) if seen else None

    def forget(self, roster: Roster) -> None:
        """Let go of processes that have ended."""
        living = {(member.name, member.incarnation) for member in roster.members}
        self.seen = {key: seen for key, seen in self.seen.items() if key in living}
        for key in [key for key in self.pages if key not in living]:
            with contextlib.suppress(BufferError):
                self.pages.pop(key).close()
