"""Who waits for an actor's start or end: `spawn`, `restart` and `stop` of any number of callers."""

from __future__ import annotations

import asyncio
import math
import signal
from typing import TYPE_CHECKING, Final, TypeAlias, final

import attrs

from actors.errors import SpawnError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.control import Failed
    from supervisor.lifecycle import ExitReason
    from supervisor.lives import ChildLife

START_SECONDS: Final = 120.0
"""Seconds an actor's class may take to be imported and its `on_start` to run."""

Starts: TypeAlias = dict[str, list[asyncio.Future[int]]]


@final
class Waiters:
    """Futures by the name of the actor."""

    def __init__(self) -> None:
        self._starts: Starts = {}
        """Of a `spawn`: a first start that fails is the last."""
        self._restarts: Starts = {}
        """A start that fails is followed by others, which nobody waits for."""
        self._ends: dict[str, list[asyncio.Future[None]]] = {}
        """Of a `stop`: whatever follows this life, it is over."""
        self._failures: dict[str, Failed] = {}
        """What the latest life said of why it ends."""

    async def start(self, name: str) -> int:
        """Wait until a life of this name is up; returns its incarnation.

        Raises `SpawnError` when the name goes down for good instead.
        """
        return await _added(self._starts, name)

    async def restart(self, graces: Mapping[str, float]) -> int:
        """Wait until the next lives of these names are up; returns the highest incarnation.

        Each has its grace to stop, and then as long as a spawn to start.  Raises `SpawnError` for
        the first that does not start; the supervisor goes on trying.
        """
        seconds = sum(grace + START_SECONDS for grace in graces.values())
        waiting = {name: _added(self._restarts, name) for name in graces}
        everybody = asyncio.gather(*waiting.values())
        try:
            lives = await asyncio.wait_for(everybody, None if seconds == math.inf else seconds)
        except TimeoutError:
            late = next(name for name, future in waiting.items() if future.cancelled())
            text = f"it was not up {seconds:g} s after its restart was asked for, and is waited for"
            raise SpawnError(actor=late, reason=f"{text} no more. {_outlook(late)}") from None
        return max(lives, default=0)

    def for_start(self, name: str) -> bool:
        """Whether anybody waits for a start of this name."""
        futures = (*self._starts.get(name, ()), *self._restarts.get(name, ()))
        return any(not future.done() for future in futures)

    def end(self, name: str) -> asyncio.Future[None]:
        """Return what is done once the life that has this name now is over."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(name, []).append(future)
        return future

    def note(self, name: str, failure: Failed | None) -> None:
        """A life has ended, and has said why, or nothing."""
        for future in self._ends.pop(name, []):
            if not future.done():
                future.set_result(None)
        self._failures.pop(name, None)
        if failure is not None:
            self._failures[name] = failure

    def started(self, child: ChildLife) -> None:
        """A life is up."""
        self._failures.pop(child.name, None)
        waiting = _taken(self._starts, child.name)
        if not (child.expected or child.killed):
            # Else its word was on the way when it was told to stop: this is the life that a restart
            # is to end, not the one that it is to bring up.
            waiting += _taken(self._restarts, child.name)
        for future in waiting:
            future.set_result(child.incarnation)

    def failed(self, child: ChildLife, reason: ExitReason) -> None:
        """A life has ended, and another one follows it."""
        if child.up or child.expected or reason.signal == signal.SIGKILL:
            return  # this says nothing of how the next one starts
        error = self._error(child.name, reason)
        said = f"{error.reason.rstrip('.')}. {_outlook(child.name)}"
        for future in _taken(self._restarts, child.name):
            future.set_exception(attrs.evolve(error, reason=said))

    def down(self, name: str, reason: ExitReason) -> None:
        """A name is down and does not come back by itself; who wants it up is told why."""
        error = self._error(name, reason)
        self._failures.pop(name, None)
        for starting in _taken(self._starts, name) + _taken(self._restarts, name):
            starting.set_exception(error)

    def _error(self, name: str, reason: ExitReason) -> SpawnError:
        failure = self._failures.get(name)
        trace = "" if failure is None else failure.traceback
        return SpawnError(actor=name, reason=reason.text or str(reason), remote_traceback=trace)


def _added(starts: Starts, name: str) -> asyncio.Future[int]:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    starts.setdefault(name, []).append(future)
    return future


def _taken(starts: Starts, name: str) -> list[asyncio.Future[int]]:
    return [future for future in starts.pop(name, []) if not future.done()]


def _outlook(name: str) -> str:
    return (
        "The supervisor goes on trying, so it comes up by itself once that is mended; "
        f"system.stop({name!r}) gives it up"
    )
