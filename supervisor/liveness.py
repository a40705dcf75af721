"""Who hangs, and who takes too much.  A decider: measurements in, verdicts out.

    flight recorder's page ──┐
    operating system's word ─┼─► Reading ──► Liveness.look(now, readings) ──► [Verdict, ...]
    the spec's Limits ───────┘

A life is *blamed* for the time between two looks in which its loop did not turn, and judged when
the blame is too large:

    what the page says            blamed for                                     judged after
    stopped by a signal           all of it                                      2 s
    nothing to handle             the part in which it could have run            3 s
    a message, a stream, a hook   all of it; less when it got no processor       1 to 1.4 limits
    starting                      nothing: an import may take long

Two things are never blamed on anybody.  *The judge's own absence*: whoever looks once in ten
seconds saw nothing of nine of them, so an interval counts one second at the most.  *The machine's
load*: a process that waited for a processor, or for a disk, could not have turned its loop.  So
nobody is judged for what a heartbeat alone says.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Iterable
from typing import Final, final

import attrs

from actors.blackbox import Pulse
from actors.recorder import State
from supervisor.limits import Limits

PERIOD: Final = 0.5
"""Seconds between two looks, unless some handler has less than four seconds."""

SHORTEST_PERIOD: Final = 0.05

LOOKS_PER_LIMIT: Final = 8

LONGEST_INTERVAL: Final = 1.0
"""Seconds of blame for the time between two looks, at the most."""

STOPPED_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 3.0

LATEST: Final = 1.4
"""Limits of a handler after which it is judged though the machine gave it little time."""

CPU_SECONDS: Final = 10.0
"""The window over which processor time is averaged."""

Key = tuple[str, int]
"""Name and incarnation."""


@final
class Condition(enum.Enum):
    """What a process is doing, as the operating system says."""

    RUNNING = "running"  # or ready to, and waiting for a processor
    SLEEPING = "sleeping"  # it waits for something of its own choice
    STOPPED = "stopped"  # by a signal
    EXCUSED = "excused"  # in the kernel's hands, or a debugger's


@final
@attrs.frozen
class Sample:
    """One process as the operating system sees it."""

    condition: Condition
    cpu: float  # seconds of processor time since its start
    memory: int  # bytes of resident memory
    ran: float  # seconds its main thread had a processor, or of the process where unknown
    waited: float | None  # seconds its main thread was ready and had none; None: unknown


@final
@attrs.frozen
class Reading:
    """One life at one look."""

    key: Key
    limits: Limits
    pulse: Pulse | None  # None: it keeps no flight recorder
    sample: Sample | None  # None: the operating system did not say


@final
class Fault(enum.Enum):
    """What a life is judged for."""

    STOPPED = "stopped"
    LOOP = "loop"
    HANDLER = "handler"
    MEMORY = "memory"
    CPU = "cpu"


@final
@attrs.frozen
class Verdict:
    """A life is to be ended, and its next begun."""

    key: Key
    fault: Fault
    text: str  # why, in plain words


@final
class _Case:
    """What is held against one life."""

    def __init__(self, now: float, reading: Reading) -> None:
        self.now = now
        self.reading = reading
        self.sign = _sign(reading.pulse)
        self.stopped = 0.0
        """Seconds of blame for standing still."""
        self.stalled = 0.0
        """Seconds in which its loop did not turn."""
        self.able = 0.0
        """The part of these in which it could have."""
        self.cpu: deque[tuple[float, float]] = deque()
        """Times, and processor time used until then."""


@final
class Liveness:
    """Judges lives by what is seen of them, each at most once."""

    def __init__(self) -> None:
        self._cases: dict[Key, _Case] = {}
        self._judged: set[Key] = set()
        self._period = PERIOD

    @property
    def period(self) -> float:
        """Seconds until the next look."""
        return self._period

    def look(self, now: float, readings: Iterable[Reading]) -> list[Verdict]:
        """Take what is seen of every living process; return who is to be ended.

        Args:
            now: Monotonic seconds.
            readings: Every life there is; one that is missing has ended.
        """
        seen: set[Key] = set()
        verdicts: list[Verdict] = []
        shortest = math.inf
        for reading in readings:
            seen.add(reading.key)
            shortest = min(shortest, reading.limits.handler_seconds)
            verdict = self._judge(now, reading)
            if verdict is not None and reading.key not in self._judged:
                self._judged.add(reading.key)
                verdicts.append(verdict)
        self._cases = {key: case for key, case in self._cases.items() if key in seen}
        self._judged &= seen
        self._period = min(PERIOD, max(SHORTEST_PERIOD, shortest / LOOKS_PER_LIMIT))
        return verdicts

    def _judge(self, now: float, reading: Reading) -> Verdict | None:
        case = self._cases.get(reading.key)
        if case is None:
            self._cases[reading.key] = case = _Case(now, reading)
        _blame(case, now, reading)
        found = _hung(case, reading) or _greedy(case, now, reading)
        return None if found is None else Verdict(reading.key, *found)


def _blame(case: _Case, now: float, reading: Reading) -> None:
    """Hold the time since the last look against a life, or forgive what was before."""
    interval = min(max(0.0, now - case.now), LONGEST_INTERVAL)
    condition = reading.sample.condition if reading.sample is not None else None
    if condition is Condition.STOPPED:
        # It was seen running before: how long it has been standing still, nobody knows.
        former = case.reading.sample
        already = former is not None and former.condition is Condition.STOPPED
        case.stopped += interval if already else 0.0
    else:
        case.stopped = 0.0
    sign = _sign(reading.pulse)
    if sign != case.sign:
        case.stalled = case.able = 0.0
    elif _could_run(case.reading.sample, reading.sample):
        case.stalled += interval
        case.able = max(0.0, case.able + _able(case.reading.sample, reading.sample, interval))
    case.now, case.reading, case.sign = now, reading, sign


def _sign(pulse: Pulse | None) -> float:
    """Return the last time at which a life certainly got on."""
    return 0.0 if pulse is None else max(pulse.alive_at, pulse.busy_since or 0.0)


def _could_run(before: Sample | None, after: Sample | None) -> bool:
    """Return whether a process had any processor at all, or did not want one."""
    if before is None or after is None or after.condition is Condition.EXCUSED:
        return False
    return after.condition is not Condition.RUNNING or after.ran > before.ran


def _able(before: Sample | None, after: Sample | None, interval: float) -> float:
    """Return how much of an interval a process could have used to turn its loop.

    Less than nothing when it shows only now how long it had waited before.
    """
    if before is None or after is None:
        return 0.0
    if before.waited is not None and after.waited is not None:
        return interval - max(0.0, after.waited - before.waited)
    running = after.condition is Condition.RUNNING
    return min(interval, after.ran - before.ran) if running else interval


def _hung(case: _Case, reading: Reading) -> tuple[Fault, str] | None:
    if case.stopped >= STOPPED_SECONDS:
        text = f"stopped by a signal (SIGSTOP or the like) for {case.stopped:.1f} s"
        return Fault.STOPPED, f"killed because it hung: {text}"
    pulse = reading.pulse
    if pulse is None or not pulse.alive_at or pulse.state is State.STARTING:
        return None
    if pulse.state is State.IDLE and not pulse.engaged:
        if case.able >= IDLE_SECONDS:
            text = f"its loop had not turned for {case.stalled:.1f} s, with nothing to handle"
            return Fault.LOOP, f"killed because it hung: {text}"
        return None
    limit = reading.limits.handler_seconds
    if case.stalled >= limit and (case.able >= limit or case.stalled >= LATEST * limit):
        text = f"it did not come back to its loop for {case.stalled:.1f} s{_hook(pulse)}"
        return Fault.HANDLER, f"killed because it hung: {text} (handler_seconds={limit:g})"
    return None


def _hook(pulse: Pulse) -> str:
    if pulse.current is not None:
        return ""  # which message it was is said with every end
    return " in on_stop" if pulse.state is State.STOPPING else " in a stream or a snapshot"


def _greedy(case: _Case, now: float, reading: Reading) -> tuple[Fault, str] | None:
    sample, limits = reading.sample, reading.limits
    if sample is None:
        return None
    if limits.memory is not None and sample.memory > limits.memory:
        used, most = sample.memory / 1e6, limits.memory / 1e6
        return (
            Fault.MEMORY,
            f"killed because of its memory: {used:.0f} MB resident, the limit is {most:.0f} MB",
        )
    if limits.cpu is None:
        return None
    history = case.cpu
    history.append((now, sample.cpu))
    while len(history) > 1 and now - history[1][0] >= CPU_SECONDS:
        history.popleft()
    seconds = now - history[0][0]
    if seconds < CPU_SECONDS:
        return None
    cores = (sample.cpu - history[0][1]) / seconds
    if cores <= limits.cpu:
        return None
    text = f"killed because of its processor time: {cores:.2f} cores over {seconds:.0f} s"
    return Fault.CPU, f"{text}, the limit is {limits.cpu:g}"
