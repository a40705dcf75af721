"""Tasks and futures with a number for a hash, so that sets of them have one order in every run.

asyncio keeps tasks in sets: `as_completed` starts them in the order of a set, a `TaskGroup` cancels
in that order, `wait` returns sets.  An object is hashed by its address, and those differ.
"""

from __future__ import annotations

import abc
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
    """Return what of asyncio is something else inside a run."""
    future = _stand_in(asyncio.Future, "create_future")
    task = _stand_in(asyncio.Task, "create_task")
    in_order = _in_order(asyncio.as_completed)
    found = [Replacement(owner, "Future", future) for owner in (asyncio, asyncio.futures)]
    found += [Replacement(owner, "Task", task) for owner in (asyncio, asyncio.tasks)]
    found += [Replacement(owner, "as_completed", in_order) for owner in (asyncio, asyncio.tasks)]
    name = "_GatheringFuture"
    real: Any = getattr(asyncio.tasks, name, None)
    if real is not None:  # nobody has promised it
        found.append(Replacement(asyncio.tasks, name, _gathering(real)))
    return found


def _stand_in(real: type, maker: str) -> type:
    """Return a class whose calls let the loop of the run make, by `maker`, what `real` would make.

    Of the C class itself the hash cannot be changed. For `isinstance`, and outside of a run, this
    is the real one.
    """

    class StandIn(abc.ABCMeta):  # so that somebody may derive from it and an abstract class
        def __call__(cls, *args: Any, loop: Any = None, **options: Any) -> Any:
            if cls is not new:  # a class that was derived from it in the run
                return super().__call__(*args, loop=loop, **options)
            world = present()
            here = None if world is None or world.current is None else world.current.loop
            if here is None or (loop is not None and loop is not here):
                return real(*args, loop=loop, **options)
            return getattr(here, maker)(*args, **options)

        def __instancecheck__(cls, each: object) -> bool:
            return isinstance(each, real) if cls is new else super().__instancecheck__(each)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real) if cls is new else super().__subclasscheck__(other)

    new = StandIn(real.__name__, (real,), {"__doc__": real.__doc__, "__module__": real.__module__})
    return new


def _number(gathering: Any) -> int:
    number: int = gathering.number
    return number


def _gathering(real: Any) -> Callable[..., Any]:
    """Return what makes the futures of `gather`."""
    shape: dict[str, Any] = {"number": 0, "__hash__": _number}
    numbered: Any = type("NumberedGathering", (real,), shape)

    def gathering(children: Any, *, loop: Any) -> Any:
        world = present()
        if world is None:
            return real(children, loop=loop)
        made = numbered(children, loop=loop)
        made.number = next(world.numbers)
        return made

    return gathering


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
