"""The supervisor's own look at its children: performs what `liveness` decides.

    pages, /proc ──► Liveness.look ──► Verdict ──► its stack, if it can be had ──► SIGKILL
                                                                                     │
                            an ordinary abnormal end, with the verdict as its reason ◄┘

The supervisor looks itself, so that it matters to nobody whether the monitor lives: the monitor
measures for people, and is one of those looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, final

from actors.log import logger
from supervisor.liveness import Fault, Liveness, Reading, Verdict
from supervisor.sampling import sample

if TYPE_CHECKING:
    from supervisor.limits import Limits
    from supervisor.lives import ChildLife

BATCH: Final = 32
"""Processes looked at before others may run."""

STACK_LOOKS: Final = 20
STACK_PAUSE: Final = 0.01
"""A hung process has so many times so many seconds to say where it is."""


@final
class Watchdog:
    """Looks at every life, and ends those that are judged."""

    def __init__(self, lives: Callable[[], Iterable[tuple[ChildLife, Limits]]]) -> None:
        self._lives = lives
        self._liveness = Liveness()
        self._task: asyncio.Task[None] | None = None
        self._ends: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Look no longer.  Twice is fine."""
        for task in (self._task, *self._ends):
            if task is not None:
                task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._liveness.period)
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - nobody else looks: whatever it was, look again
                logger.exception("the supervisor could not look at its children")

    async def _look(self) -> None:
        now = time.monotonic()
        children: dict[tuple[str, int], ChildLife] = {}
        readings: list[Reading] = []
        for child, limits in list(self._lives()):
            reading = _read(child, limits)
            if reading is not None:
                children[reading.key] = child
                readings.append(reading)
            if len(readings) % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        for verdict in self._liveness.look(now, readings):
            task = asyncio.get_running_loop().create_task(_end(children[verdict.key], verdict))
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)


def _read(child: ChildLife, limits: Limits) -> Reading | None:
    pid = child.pid
    if pid is None or child.exit is not None:
        return None
    # First the process, then the page: a heartbeat in between speaks for it, never against it.
    seen = sample(pid)
    if seen is not None:
        child.peak_memory = max(child.peak_memory or 0, seen.memory)
    return Reading((child.name, child.incarnation), limits, child.pulse(), seen)


async def _end(child: ChildLife, verdict: Verdict) -> None:
    """Kill a life that was judged; one that can still say where it is says so before."""
    child.verdict = verdict
    if verdict.fault is not Fault.STOPPED and child.ask_for_stack():
        for _ in range(STACK_LOOKS):
            if child.stack() or child.exit is not None:
                break
            await asyncio.sleep(STACK_PAUSE)
        await asyncio.sleep(STACK_PAUSE)  # it is written line by line
    child.kill()
