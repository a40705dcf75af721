"""Tasks and futures with a number for a hash, so that sets of them have one order in every run.

asyncio keeps tasks in sets: `as_completed` starts them in the order of a set, a `TaskGroup` cancels
in that order, `wait` returns sets.  An object is hashed by its address, and those differ.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import Context
from typing import Any, TypeVar, final

from actors.testing.stage import Replacement, present

T = TypeVar("T")


@final
class NumberedFuture(asyncio.Future[T]):
    """A future."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


@final
class NumberedTask(asyncio.Task[T]):
    """A task."""

    def __init__(
        self,
        number: int,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        loop: asyncio.AbstractEventLoop,
        name: str,
        context: Context | None,
    ) -> None:
        self._number = number  # before asyncio puts the task into a set of all
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self._number


def replacements() -> list[Replacement]:
    """Return the functions of asyncio that are others inside a run."""
    new = _in_order(asyncio.as_completed)
    return [Replacement(owner, "as_completed", new) for owner in (asyncio, asyncio.tasks)]


def _in_order(real: Callable[..., Any]) -> Callable[..., Any]:
    """Give coroutines, whose hash cannot be changed, to tasks before they come into a set."""

    @functools.wraps(real)
    def as_completed(fs: Iterable[Any], **options: Any) -> Any:
        # One future or coroutine, instead of several, is refused by asyncio itself.
        if present() is None or asyncio.isfuture(fs) or asyncio.iscoroutine(fs):
            return real(fs, **options)
        # A map and no list: as ever, tasks begin when asyncio looks at them, not before.
        return real(map(asyncio.ensure_future, dict.fromkeys(fs)), **options)

    return as_completed
