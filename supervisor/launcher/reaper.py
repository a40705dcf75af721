"""Who ended, and how: the only place that waits for processes.

    child ends ─► pidfd readable ─► kill its process group ─► reap ─► Life.end(Exit)
                                    (grandchildren)

A pid stays taken while its zombie waits, so the group is killed *before* the zombie is reaped:
afterwards the number may belong to a stranger.

With `strays=True` it also reaps processes that nobody here started: grandchildren whose parent
died come to the supervisor because it adopts orphans. A process that runs other people's code
must not ask for that: it would take `subprocess`'s children away from it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

import attrs

from supervisor.launcher.kernel import open_pidfd
from supervisor.launcher.order import Exit, Launched, Life
from supervisor.launcher.wires import Wires

_STRAY_SECONDS: Final = 1.0
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # bytes in what the kernel counts in
_SETTLE_SECONDS: Final = 0.5
_SETTLE_PAUSE: Final = 0.002


@final
@attrs.define(eq=False)
class _Watched:
    life: Life
    pidfd: int  # -1: a thread waits instead, and it is the one who reaps
    before_reap: Callable[[int], object] | None  # told while the pid is still taken


@final
class Reaper:
    """Reaps children of this process. Used from one loop only."""

    def __init__(self, *, strays: bool = False, pidfds: bool = True) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None  # the one of the first `expect`
        self._watched: dict[int, _Watched] = {}  # by pid, until reaped
        self._strays = strays
        self._pidfds = pidfds  # false: the portable way, as on macOS
        self._on_signal = False  # SIGCHLD wakes us for strays; else a timer does
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, pid: int, before_reap: Callable[[int], object] | None = None) -> Life:
        """Watch a child of this process, which must not have been reaped.

        Args:
            pid: the child.
            before_reap: called with the pid when it has ended and its group was killed.

        Raises:
            ProcessLookupError: it is gone.
        """
        loop = self._begin()
        pidfd = open_pidfd(pid) if self._pidfds else -1
        watched = self._watched[pid] = _Watched(Life(pid), pidfd, before_reap)
        if pidfd >= 0:
            loop.add_reader(pidfd, self._ended, pid)
        else:
            name = f"reaper-{pid}"
            threading.Thread(target=self._wait, args=(pid, loop), name=name, daemon=True).start()
        return watched.life

    def launched(self, life: Life, wires: Wires) -> Launched:
        """Make what a launch returns, for a watched child."""
        watched = self._watched.get(life.pid)
        return Launched(
            life.pid,
            wires.lifeline,
            life,
            stdout=wires.stdout,
            stderr=wires.stderr,
            pidfd=watched.pidfd if watched else -1,
            signal=lambda number: self.signal(life.pid, number),
        )

    def signal(self, pid: int, number: int) -> bool:
        """Send a signal to a watched child; false when it is gone."""
        watched = self._watched.get(pid)
        if watched is None:
            return False
        try:
            if watched.pidfd >= 0:
                signal.pidfd_send_signal(watched.pidfd, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def reap_strays(self) -> None:
        """Reap every ended process that became ours without our starting it."""
        while (pid := _next_zombie()) is not None:
            watched = self._watched.get(pid)
            if watched is None:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            elif watched.pidfd >= 0:
                self._ended(pid)
            else:
                return  # its thread reaps it, and comes here again

    async def settle(self) -> None:
        """Wait, for a moment at most, until no stray is left: the killed ones take their time."""
        until = time.monotonic() + _SETTLE_SECONDS
        while self._strays and _has_children() and time.monotonic() < until:
            self.reap_strays()
            await asyncio.sleep(_SETTLE_PAUSE)

    def close(self) -> None:
        """Stop watching. Children that still live are not told and not reaped."""
        if self._timer is not None:
            self._timer.cancel()
        if self._on_signal and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_signal_handler(signal.SIGCHLD)
            self._on_signal = False
        for watched in self._watched.values():
            self._release(watched)
        self._watched.clear()

    def _begin(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            if self._strays:
                self._watch_strays(self._loop)
        return self._loop

    def _watch_strays(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.add_signal_handler(signal.SIGCHLD, self.reap_strays)
        except (RuntimeError, ValueError, NotImplementedError):  # not the main thread
            self._tick()
        else:
            self._on_signal = True

    def _tick(self) -> None:
        self.reap_strays()
        assert self._loop is not None
        self._timer = self._loop.call_later(_STRAY_SECONDS, self._tick)

    def _ended(self, pid: int) -> None:
        watched = self._watched.pop(pid, None)
        if watched is None:
            return
        _kill_group(pid)
        if watched.before_reap is not None:
            watched.before_reap(pid)
        how = _reap(pid)  # a zombie already: returns at once
        self._release(watched)
        watched.life.end(how)

    def _wait(self, pid: int, loop: asyncio.AbstractEventLoop) -> None:
        how = _reap(pid)
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know
            loop.call_soon_threadsafe(self._reaped, pid, how)

    def _reaped(self, pid: int, how: Exit) -> None:
        watched = self._watched.pop(pid, None)
        if watched is None:
            return
        _kill_group(pid)
        if watched.before_reap is not None:
            watched.before_reap(pid)
        watched.life.end(how)
        if self._strays:
            self.reap_strays()

    def _release(self, watched: _Watched) -> None:
        if watched.pidfd >= 0:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(watched.pidfd)
            os.close(watched.pidfd)
            watched.pidfd = -1


def _reap(pid: int) -> Exit:
    """Wait for a child; nobody knows how it ended when somebody else has reaped it."""
    try:
        _, status, used = os.wait4(pid, 0)
    except ChildProcessError:
        return Exit()
    return Exit.from_status(status, used.ru_maxrss * _RSS_UNIT or None)


def _next_zombie() -> int | None:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _kill_group(pid: int) -> None:
    # Every child leads its own group. Until it does, the group does not exist.
    # PermissionError: macOS says so of a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
