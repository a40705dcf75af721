"""An asyncio event loop that only does what the simulation tells it to.

One simulated process has one.  It never runs by itself: `world.py` takes its callbacks one by one,
so a process that is frozen, or has lost its power, is simply not run any more.  What would leave
the simulation (threads, sockets, subprocesses) raises `SimEscape`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, final

from actors.testing.escapes import SimEscape
from actors.testing.numbered import NumberedFuture, NumberedTask

if TYPE_CHECKING:
    # Type checkers find every method in the one; the other has none that would do anything.
    from asyncio import BaseEventLoop as Loop

    from actors.testing.node import Node
else:
    from asyncio import AbstractEventLoop as Loop

T = TypeVar("T")

KEPT_TASKS: Final = 64
"""Tasks remembered before those that are over are dropped."""


@final
class _Soon(asyncio.Handle):
    """A callback that is due: a handle that asks nobody about debugging."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: NodeLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


@final
class NodeLoop(Loop):
    """The loop of one simulated process."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._world = node.world
        self.ready: deque[Any] = deque()
        """Callbacks that are due: handles, and pumps, which look like handles."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._prune_at = KEPT_TASKS
        self._made = 0
        self.closed = False

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that are not over."""
        return [task for task in self._tasks if not task.done()]

    # --- what asyncio uses

    def time(self) -> float:
        """Virtual seconds."""
        return self._world.now

    def get_debug(self) -> bool:
        """Debugging is not for here."""
        return False

    def is_running(self) -> bool:
        """It is, whenever somebody asks."""
        return True

    def is_closed(self) -> bool:
        """Whether its process is over."""
        return self.closed

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback in the process's next turn."""
        handle = _Soon(callback, args, self, context)
        self.ready.append(handle)
        node = self._node
        if not node.queued:
            node.wake()
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at a virtual time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._world.at(when, self._due, handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after virtual seconds."""
        return self.call_at(self._world.now + delay, callback, *args, context=context)

    def _due(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled() and not self.closed:
            self.ready.append(handle)
            self._node.wake()

    def _timer_handle_cancelled(  # pyright: ignore[reportUnusedFunction] - asyncio calls it
        self, handle: asyncio.TimerHandle
    ) -> None:
        """Nothing to do: it is met and passed over."""

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return NumberedFuture(next(self._world.numbers), self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **_options: object,
    ) -> asyncio.Task[T]:
        """Return a task of this loop."""
        self._made += 1
        label = f"{self._node.label}-{self._made}" if name is None else str(name)
        task = NumberedTask(next(self._world.numbers), coro, self, label, context)
        # What a power cut leaves pending is nobody's mistake.
        setattr(task, "_log_destroy_pending", False)  # noqa: B010 - it is no public attribute
        if len(self._tasks) >= self._prune_at:
            self._tasks = self.tasks
            self._prune_at = max(KEPT_TASKS, 2 * len(self._tasks))
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Something of this process raised where nobody waits for it: note it in the trace."""
        error = context.get("exception")
        if not self.closed and "never retrieved" not in str(context.get("message")):
            self._world.note(self._node.label, f"{context.get('message')}: {error!r}")

    default_exception_handler = call_exception_handler

    def escaped(self, escape: SimEscape) -> None:
        """Code of this process tried to leave the simulation."""
        self._world.escaped(escape)

    def close(self) -> None:
        """Run nothing any more."""
        self.closed = True
        self.ready.clear()


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(self: NodeLoop, *_args: object, **_options: object) -> NoReturn:
        escape = SimEscape(f"loop.{name}")
        self.escaped(escape)
        raise escape

    return refuse


for _name in (
    "add_reader", "add_writer", "remove_reader", "remove_writer", "add_signal_handler",
    "connect_accepted_socket", "connect_read_pipe", "connect_write_pipe", "create_connection",
    "create_datagram_endpoint", "create_server", "create_unix_connection", "create_unix_server",
    "getaddrinfo", "getnameinfo", "run_forever", "run_in_executor", "run_until_complete",
    "sendfile", "set_default_executor", "sock_accept", "sock_connect", "sock_recv",
    "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendfile",
    "sock_sendto", "start_tls", "subprocess_exec", "subprocess_shell",
):  # fmt: skip
    setattr(NodeLoop, _name, _refuse(_name))
