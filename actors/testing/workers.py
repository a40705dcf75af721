"""Worlds on several processors: forked workers that take the number of a world and report.

    parent ── numbers ─► one pipe, from which whoever is free reads the next one
    worker ── reports ─► a pipe of its own: which number it has begun, how that world went

Nothing but numbers passes.  What is to be tried, a worker has in its memory since the fork; what a
failure looks like, the parent sees when it tries the first failing world itself.  So a check says
the same with any number of workers.

A worker says nothing to anybody else: what its worlds print goes nowhere, and it leaves by
`os._exit`, without any `finally` or `atexit` of its parent's.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple, NoReturn, TypeAlias, final

from actors.testing.schedule import Place
from actors.testing.tally import Flaw, Tally
from supervisor.launcher.kernel import die_with_parent, has_other_threads, open_pidfd

WORTH: Final = 4_000
"""Turns of worlds (some 0.2 s) for which it pays to fork one more worker."""

CAN_FORK: Final = hasattr(os, "fork")

_NUMBER: Final = struct.Struct("<I")
_REPORT: Final = struct.Struct("<III")
"""Which world, what of it, how many places follow."""
_BEGUN, _PASSED, _FAILED, _DISCARDED = range(4)

_BLOCK: Final = 4096
"""Bytes of numbers that are written at once: the kernel takes so many whole, or not at all."""

_GONE: Final = 1
"""Exit code of a worker that something of its own has ended."""


class Shown(NamedTuple):
    """What a world that has not failed shows."""

    places: list[Place]
    """Where faults could hit it."""
    discarded: bool
    """Whether its scenario has rejected it."""


Try: TypeAlias = Callable[[int], Shown | None]
"""Runs the world of this number; returns what it shows, or None when it fails."""


def sensible(turns: int) -> int:
    """Return how many workers pay for worlds of so many turns together; 1 means none.

    They are forked, which is safe where this process has no other thread; and whoever looks at
    every line, a debugger or a measurement of coverage, would see nothing of what they do.
    """
    if sys.platform != "linux" or turns < 2 * WORTH:
        return 1
    if has_other_threads() or _watched():
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), turns // WORTH))


def _watched() -> bool:
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12
    return monitoring is not None and any(monitoring.get_tool(tool) for tool in range(6))


def spread(total: int, run: Try, workers: int) -> tuple[dict[int, Shown], Flaw | None]:
    """Try so many worlds; return what each has shown, and the first that did not pass.

    Whatever ends this call, no worker outlives it.
    """
    crew = _Crew(total, run)
    try:
        with _quiet():
            for _ in range(min(workers, total)):
                crew.hire()
        crew.work()
    finally:
        crew.dismiss()
    return crew.shown, crew.tally.first


@contextmanager
def _quiet() -> Generator[None]:
    """Fork without what Python says of threads: who has asked for workers has decided that."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # else a worker may write it once more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@final
class _Worker:
    """A forked process, as its parent sees it."""

    def __init__(self, pid: int, reports: int) -> None:
        self.pid = pid
        self.reports = reports
        self._handle: int | None = None
        """Means this process and no later one of its number; -1: none here, None: it is gone."""
        with suppress(ProcessLookupError):
            self._handle = open_pidfd(pid)
        self.heard = bytearray()
        self.at: int | None = None
        """The world that it is trying."""

    def kill(self) -> None:
        """End it, unless it has ended, even when somebody else has reaped it."""
        with suppress(ProcessLookupError):
            if self._handle == -1:
                os.kill(self.pid, signal.SIGKILL)
            elif self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def bury(self) -> str:
        """Wait for its end; return how it has ended."""
        os.close(self.reports)
        if self._handle is not None and self._handle >= 0:
            os.close(self._handle)
        self._handle = None
        return _reap(self.pid)


@final
class _Crew:
    """The workers of one search."""

    def __init__(self, total: int, run: Try) -> None:
        self.tally = Tally(total)
        self.shown: dict[int, Shown] = {}
        self._run = run
        self._parent = os.getpid()
        self._handed = 0
        """Numbers that are in the pipe, or were."""
        self._workers: dict[int, _Worker] = {}
        self._source, self._sink = os.pipe()
        os.set_blocking(self._sink, False)

    def hire(self) -> None:
        """Fork one more."""
        reports, voice = os.pipe()
        pid = os.fork()
        if not pid:
            _serve(self._run, self._source, self._sink, voice, self._parent)
        # The end of a worker shows as the end of its reports: nobody else may hold this.
        os.close(voice)
        self._workers[reports] = _Worker(pid, reports)

    def work(self) -> None:
        """Hand out the numbers, and listen, until it is known which world is the first to fail."""
        poll = select.poll()
        poll.register(self._sink, select.POLLOUT)
        for reports in self._workers:
            poll.register(reports, select.POLLIN)
        while not self.tally.decided:
            for descriptor, _ in poll.poll():
                if descriptor == self._sink:
                    self._hand_out(poll)
                elif not self._hear(self._workers[descriptor]):
                    poll.unregister(descriptor)
                    self._bury(self._workers.pop(descriptor))

    def _hand_out(self, poll: select.poll) -> None:
        end = min(self.tally.total, self._handed + _BLOCK // _NUMBER.size)
        numbers = range(self._handed, end)
        try:
            os.write(self._sink, b"".join(map(_NUMBER.pack, numbers)))
        except BlockingIOError:
            return
        self._handed = end
        if end == self.tally.total:
            poll.unregister(self._sink)
            os.close(self._sink)
            self._sink = -1

    def _hear(self, worker: _Worker) -> bool:
        """Take what a worker says; return whether it lives."""
        said = os.read(worker.reports, 1 << 16)
        heard = worker.heard
        heard += said
        while len(heard) >= _REPORT.size:
            number, what, many = _REPORT.unpack_from(heard)
            size = _REPORT.size + many * _NUMBER.size
            if len(heard) < size:
                break
            places = [each for (each,) in _NUMBER.iter_unpack(heard[_REPORT.size : size])]
            del heard[:size]
            worker.at = number if what == _BEGUN else None
            if what in (_PASSED, _DISCARDED):
                found = [Place(each >> 1, bool(each & 1)) for each in places]
                self.shown[number] = Shown(found, what == _DISCARDED)
                self.tally.passed(number)
            elif what == _FAILED:
                self.tally.flawed(number)
        return bool(said)

    def _bury(self, worker: _Worker) -> None:
        """A worker is dead; it has left when there was nothing more to do, or has left a world."""
        how = worker.bury()
        if worker.at is not None:
            self.tally.flawed(worker.at, how)
        elif not self._workers and not self.tally.decided:
            raise RuntimeError(f"all processes that tried worlds have died, the last one {how}")

    def dismiss(self) -> None:
        """End them all."""
        for descriptor in (self._source, self._sink):
            if descriptor >= 0:
                os.close(descriptor)
        for worker in self._workers.values():
            worker.kill()
        for worker in self._workers.values():
            worker.bury()


def _reap(pid: int) -> str:
    """Wait for the end of a process; return how it has ended."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:  # this program has its children reaped by the kernel
        return "in an unknown way"
    code = os.waitstatus_to_exitcode(status)
    return f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


# --- in the worker --------------------------------------------------------------------------------


def _serve(run: Try, source: int, sink: int, voice: int, parent: int) -> NoReturn:
    """Be a worker until there is nothing more to do."""
    code = _GONE
    try:
        os.close(sink)
        _settle(parent)
        while taken := os.read(source, _NUMBER.size):
            (number,) = _NUMBER.unpack(taken)
            os.write(voice, _REPORT.pack(number, _BEGUN, 0))
            os.write(voice, _report(number, run(number)))
        code = 0
    finally:
        os._exit(code)


def _settle(parent: int) -> None:
    """Belong to nobody but the parent: no Ctrl-C, no handlers and no voice of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    die_with_parent(parent)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = os.fdopen(nowhere, "w", encoding="utf-8")


def _report(number: int, shown: Shown | None) -> bytes:
    if shown is None:
        return _REPORT.pack(number, _FAILED, 0)
    numbers = b"".join(_NUMBER.pack(place.number << 1 | place.mortal) for place in shown.places)
    what = _DISCARDED if shown.discarded else _PASSED
    return _REPORT.pack(number, what, len(shown.places)) + numbers
