"""What a dead supervisor leaves to be cleared away, and the portable process that does so.

The kernel ends the children of a dead supervisor and frees their memory. It does not end *their*
children, and it does not remove files. A process that outlives the supervisor does both: the
zygote where there is one, else the sweeper, which listens on a pipe whose other end only the
supervisor has. One line is one word:

    +PID   this child lives        =PATH   this directory is to be removed
    -PID   it was reaped           !       the supervisor ends in good order
    (EOF)  the supervisor is dead
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, final

from supervisor.rundir import remove_directory

_SECONDS: Final = 1.5
_PAUSE: Final = 0.005


@final
class Estate:
    """The living children of a supervisor, and its directory."""

    def __init__(self) -> None:
        self._living: set[int] = set()
        self._directory = ""  # empty: none

    def guard(self, pids: Iterable[int], directory: str) -> None:
        """Add children; set the directory (empty: none)."""
        self._living.update(pids)
        self._directory = directory

    def add(self, pid: int) -> None:
        """Add a child."""
        self._living.add(pid)

    def forget(self, pid: int) -> None:
        """Take out a child that has ended, before its number can belong to a stranger."""
        self._living.discard(pid)

    def kill_all(self) -> None:
        """Kill every living child and its process group."""
        for pid in self._living:
            for kill in (os.killpg, os.kill):  # one that has not made its group yet, too
                with suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)

    def remove_directory(self) -> None:
        """Remove the directory as soon as the dying supervisor has let go of its lock.

        Its descriptors are closed one by one, and that of the lock may be a late one.
        """
        if not self._directory:
            return
        until = time.monotonic() + _SECONDS
        while not remove_directory(Path(self._directory)) and time.monotonic() < until:
            time.sleep(_PAUSE)


def ignore_requests_to_end() -> None:
    """Ignore the signals that people and shells send to whole groups of processes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)


def begin(descriptor: int) -> NoReturn:
    """Be the sweeper: listen on a pipe until the supervisor ends."""
    ignore_requests_to_end()
    estate = Estate()
    with open(descriptor, encoding="utf-8", errors="surrogateescape") as words:
        for line in words:
            kind, rest = line[:1], line[1:].rstrip("\n")
            if kind == "+":
                estate.add(int(rest))
            elif kind == "-":
                estate.forget(int(rest))
            elif kind == "=":
                estate.guard((), rest)
            else:
                os._exit(0)
    estate.kill_all()
    estate.remove_directory()
    os._exit(0)
