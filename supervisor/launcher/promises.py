"""One zygote as its supervisor knows it: how to reach it, and what it has yet to answer."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, TypeVar, final

import attrs

from supervisor.launcher.order import Life

T = TypeVar("T")


class LostError(Exception):
    """The zygote, or the child before it had its order, was killed: do it again."""


@final
@attrs.define(eq=False)
class Zygote:
    """A zygote that was started, and has not been seen to end."""

    line: socket.socket
    pid: int
    life: Life | None = None  # None until a loop watches it
    ready: asyncio.Future[None] | None = None  # likewise
    loading: str = ""  # the module of the program's that it imports
    began: int = 0  # when it began with that, nanoseconds of `time.time_ns`
    reads: set[str] = attrs.field(factory=set[str])  # the files that it has read for it
    asked: dict[int, asyncio.Future[Life]] = attrs.field(factory=dict[int, asyncio.Future[Life]])
    checks: dict[int, asyncio.Future[None]] = attrs.field(factory=dict[int, asyncio.Future[None]])
    forked: set[int] = attrs.field(factory=set[int])  # its living children

    def lose(self) -> None:
        """It has died: fail all that it has not answered."""
        fail(self.ready, LostError())
        for asked in (self.asked, self.checks):
            for answer in asked.values():
                fail(answer, LostError())
            asked.clear()


def resolve(future: asyncio.Future[T] | None, value: T) -> None:
    """Answer whoever still waits."""
    if future is not None and not future.done():
        future.set_result(value)


def fail(future: asyncio.Future[Any] | None, error: Exception) -> None:
    """Raise at whoever still waits."""
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # seen: asyncio need not complain when nobody waits for it
