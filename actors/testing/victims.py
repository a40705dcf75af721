"""The processes of actors, as the fault-injecting broker gets at them: real signals.

The kernel says which process is at the other end of a local socket, so nobody has to be asked.
Only siblings, children of the broker's own supervisor, are ever sent a signal.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final, final

import psutil

REAP_SECONDS: Final = 2.0
"""Seconds that a killed process has to be gone."""


@final
class Victims:
    """Processes by the names of their actors."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, psutil.Process]] = {}
        self._stopped: dict[psutil.Process, float] = {}

    def note(self, name: str, incarnation: int, pid: int) -> None:
        """A party has introduced itself."""
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.ppid() == os.getppid():
                self._latest[name] = (incarnation, process)

    def kill(self, name: str) -> int:
        """Kill -9 and wait for the end; return which incarnation that was, 0 for none."""
        incarnation, process = self._latest.pop(name, (0, None))
        if process is not None:
            self._stopped.pop(process, None)
            with suppress(psutil.Error):
                process.kill()
                process.wait(REAP_SECONDS)
        return incarnation

    def stop(self, name: str, until: float) -> None:
        """SIGSTOP, for a while."""
        _, process = self._latest.get(name, (0, None))
        if process is not None:
            with suppress(psutil.Error):
                process.suspend()
                self._stopped[process] = max(until, self._stopped.get(process, 0.0))

    def go_on(self, now: float) -> None:
        """SIGCONT to everybody whose time is over."""
        for process in [one for one, until in self._stopped.items() if until <= now]:
            del self._stopped[process]
            with suppress(psutil.Error):
                process.resume()

    def is_alive(self, name: str, incarnation: int) -> bool:
        """Whether this life of an actor goes on."""
        latest, process = self._latest.get(name, (0, None))
        return process is not None and latest == incarnation and process.is_running()

    @property
    def hang(self) -> bool:
        """Whether somebody stands still."""
        return bool(self._stopped)
