"""The heartbeat monitor: an actor that looks at every process once a second.

It reads the flight recorders, which costs the others no message, and asks the operating system
for memory and processor time.  What it sees goes to the supervisor and to `understudy status`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from typing import Final

import psutil

from actors.actor import Actor
from actors.blackbox import feel
from actors.handler import receive
from actors.message import message
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
        self.processes: dict[int, psutil.Process] = {}
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
        try:
            process = self.processes.get(member.pid)
            if process is None:
                process = self.processes[member.pid] = psutil.Process(member.pid)
            with process.oneshot():
                memory = process.memory_info().rss
                cpu = process.cpu_percent() / 100.0
        except psutil.Error:
            return None
        return Vital(member.name, member.incarnation, memory, cpu, self.heartbeat(roster, member))

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
        pids = {member.pid for member in roster.members}
        self.processes = {pid: p for pid, p in self.processes.items() if pid in pids}
        living = {(member.name, member.incarnation) for member in roster.members}
        for key in [key for key in self.pages if key not in living]:
            with contextlib.suppress(BufferError):
                self.pages.pop(key).close()
