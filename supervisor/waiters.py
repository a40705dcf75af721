"""Who waits for an actor's start or end: `spawn`, `restart` and `stop` of any number of callers."""

from __future__ import annotations

import asyncio
from typing import final

from actors.errors import SpawnError


@final
class Waiters:
    """Futures by the name of the actor."""

    def __init__(self) -> None:
        self._starts: dict[str, list[asyncio.Future[int]]] = {}
        self._stops: dict[str, list[asyncio.Future[None]]] = {}

    async def start(self, name: str) -> int:
        """Wait until a life of this name is up; returns its incarnation.

        Raises `SpawnError` when the name goes down for good instead.
        """
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starts.setdefault(name, []).append(future)
        return await future

    def for_start(self, name: str) -> bool:
        """Whether anybody waits for a start of this name."""
        return any(not future.done() for future in self._starts.get(name, ()))

    def stop(self, name: str) -> asyncio.Future[None]:
        """Return what is done once this name is down for good."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stops.setdefault(name, []).append(future)
        return future

    def started(self, name: str, incarnation: int) -> None:
        """A life is up."""
        for future in self._starts.pop(name, []):
            if not future.done():
                future.set_result(incarnation)

    def down(self, name: str, error: SpawnError) -> None:
        """A name is down and does not come back by itself; `error` says so to who wants it up."""
        for stopping in self._stops.pop(name, []):
            if not stopping.done():
                stopping.set_result(None)
        for starting in self._starts.pop(name, []):
            if not starting.done():
                starting.set_exception(error)
