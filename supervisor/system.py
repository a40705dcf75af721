"""What programs hold: a running system, started or joined.

    with supervisor.start() as system:          a system of its own, ended with the block
    with supervisor.connect() as system:        a system that runs already (`understudy up`)

Every method is a plain call, safe from any thread; `async with` works on the same object.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, final

from actors.actor import Actor
from actors.address import check_name
from actors.arrays.segment import host_key
from actors.attachments import Memory
from actors.client import ClientThread
from actors.connection import Connection
from actors.control import SUPERVISOR, Goodbye
from actors.errors import ConnectionLost
from actors.log import logger
from actors.notices import DeadLetter, Terminated
from actors.peer import Peer
from actors.portal import Portal, Until
from actors.requests import (
    DeadLetters,
    KillActor,
    RestartActor,
    Settle,
    Shutdown,
    StopActor,
    WatchStream,
)
from actors.spawning import order_for
from supervisor.limits import Limits
from supervisor.spec import Restart
from supervisor.status import Endings, StatusRequest, SystemStatus

if TYPE_CHECKING:
    from actors.message import Request, StreamRequest
    from actors.ref import ActorRef
    from actors.stream import Stream

E = TypeVar("E")
R = TypeVar("R")

FLUSH_SECONDS: Final = 5.0
"""Seconds a joined program waits at its end for what it has told to be handled."""

START_TIMEOUT: Final = 120.0
"""Seconds an actor's class may take to be imported and its `on_start` to run."""

STOP_TIMEOUT: Final = 3600.0

WELCOME_SECONDS: Final = 10.0


@final
class System:
    """A running system of actors."""

    def __init__(
        self,
        endpoint: str,
        *,
        directory: str = "",
        ask_timeout: float = 30.0,
        end: Callable[[System], None] | None = None,
        abandon: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._end = end
        """How the system itself is ended by whoever started it; None for a joined one."""
        self._abandon = abandon
        """How it is ended at once."""
        self._closed = False
        self._serial = 0
        self._pid = 0
        name = f"client-{os.getpid()}-{os.urandom(4).hex()}"
        near = not endpoint.startswith("tcp:")
        self._peer = Peer(name, 1, host=host_key() if near else b"", mailbox=0)
        self._memory = Memory()
        self._portal = Portal(self._peer, self._memory, ask_timeout=ask_timeout)
        self._connection = Connection(endpoint, os.urandom(16))
        self._thread = ClientThread(self._portal, self._connection)
        self._thread.start()
        self._supervisor = self._portal.ref(SUPERVISOR)
        self._await_welcome(endpoint)

    def _await_welcome(self, endpoint: str) -> None:
        welcomed = Until(
            self._portal, lambda: self._peer.registered or self._portal.lost is not None
        )
        self._thread.block(welcomed, WELCOME_SECONDS)
        if not self._peer.registered:
            self._release()
            raise ConnectionLost(reason=f"no broker answers at {endpoint}; is the system running?")

    # --- actors

    def spawn(
        self,
        cls: type[Actor],
        /,
        *,
        name: str | None = None,
        restart: Restart = Restart.PERMANENT,
        limits: Limits | None = None,
        **fields: object,
    ) -> ActorRef:
        """Start an actor and return its ref once its `on_start` has succeeded.

        `fields` are the annotated fields of the class.  Raises `TypeError` or `InvalidMessage` for
        wrong fields, and `SpawnError` with the remote traceback when the actor does not start; then
        no child is added.
        """
        self._portal.check()
        if name is None:
            self._serial += 1
            prefix = getattr(cls, "__name__", "actor").lower()
            name = f"{prefix}.{self._peer.name[7:]}.{self._serial}"
        order = order_for(
            cls,
            name=check_name(name),
            fields=fields,
            definitions=self._definitions(),
            restart=restart.value,
            limits=None if limits is None else _limits(limits),
        )
        self._supervisor.ask(order, timeout=START_TIMEOUT).result()
        return self._portal.ref(name)

    def ref(self, name: str) -> ActorRef:
        """Return a handle to an actor by name.  Never fails; using it raises `NoSuchActor`."""
        return self._portal.ref(name)

    def stop(self, name: str) -> None:
        """End an actor for good, after the message in progress; returns when it is down.

        Queued messages come back as `ActorStopped` (asks) or dead letters (tells).
        """
        self._ask(StopActor(name), STOP_TIMEOUT)

    def restart(self, name: str) -> int:
        """End an incarnation in good order and start the next; returns its number."""
        return self._ask(RestartActor(name), STOP_TIMEOUT)

    def kill(self, name: str) -> int | None:
        """Kill -9: returns the ended incarnation once it is reaped, None when none was alive."""
        return self._ask(KillActor(name), STOP_TIMEOUT)

    def _ask(self, request: Request[R], timeout: float) -> R:
        return self._supervisor.ask(request, timeout=timeout).result()

    # --- the system

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        if not self._pid:
            self._pid = self.status().pid
        return self._pid

    def status(self) -> SystemStatus:
        """Say how the system and every actor stand."""
        return self._supervisor.ask(StatusRequest(), timeout=10.0).result()

    def watch(self, ref: ActorRef) -> Stream[Terminated]:
        """Return a stream of one `Terminated` per ended incarnation of `ref`, from now on."""
        return self._follow(WatchStream(ref.name))

    def subscribe(self, event: type[E]) -> Stream[E]:
        """Return a stream of events of one type, from now on: `DeadLetter` or `Terminated`."""
        requests: dict[type, Any] = {DeadLetter: DeadLetters(), Terminated: Endings()}
        request = requests.get(event)
        if request is None:
            raise TypeError(
                f"{event.__name__} is not an event of the system: "
                "subscribe to DeadLetter or Terminated"
            )
        return self._follow(request)

    def _follow(self, request: StreamRequest[E]) -> Stream[E]:
        """Open a stream of notices; none is missed once this has returned."""
        stream = self._supervisor.stream(request)
        self._ask(Settle(), WELCOME_SECONDS)
        return stream

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until every actor of the tree is up; a built-in TimeoutError after `timeout` s."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        for actor in self.status().actors:
            if actor.state not in ("stopped", "failed"):
                left = None if end == math.inf else max(0.0, end - time.monotonic())
                self.ref(actor.name).wait_ready(left)

    def wait_ended(self, timeout: float | None = None) -> str | None:
        """Wait until the system is over and return why; None when it still runs after `timeout`."""
        over = Until(self._portal, lambda: self._portal.lost is not None)
        self._thread.block(over, timeout)
        return self._portal.lost.reason if self._portal.lost is not None else None

    def begin_shut_down(self) -> None:
        """Ask the whole system to end in good order, and do not wait for it."""
        self._supervisor.ask(Shutdown(wait=False), timeout=WELCOME_SECONDS).result()

    def shut_down(self) -> None:
        """End the whole system in good order, whoever started it."""
        try:
            self._supervisor.ask(Shutdown(), timeout=STOP_TIMEOUT).result()
        except ConnectionLost:
            return

    # --- the end

    def close(self) -> None:
        """Wait until what this program has told is handled, then end (or leave) the system.

        Twice is fine.  A joined program waits 5 s at the most and warns of what is unfinished.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._flush()
            if self._end is not None:
                self._end(self)
        except BaseException:
            self._abandon()  # a second Ctrl-C: nobody wants to wait any longer
            raise
        finally:
            self._leave()

    def _flush(self) -> None:
        if self._portal.lost is not None:
            return
        with self._portal.lock:
            self._peer.demand()
        self._thread.wake()
        timeout = None if self._end is not None else FLUSH_SECONDS
        flushed = Until(
            self._portal, lambda: self._portal.lost is not None or not self._unfinished()
        )
        self._thread.block(flushed, timeout)
        unfinished = self._unfinished()
        if unfinished:
            logger.warning(
                "left with unfinished messages: %s",
                ", ".join(f"{count} to {name}" for name, count in sorted(unfinished.items())),
            )

    def _unfinished(self) -> dict[str, int]:
        return {
            link.name: link.out.unfinished
            for link in self._peer.links.values()
            if link.out.unfinished and link.name != SUPERVISOR
        }

    def _leave(self) -> None:
        with self._portal.lock:
            self._peer.say(Goodbye())
        self._release()

    def _release(self) -> None:
        self._thread.stop()
        self._portal.lose("the system was closed by this program")
        self._memory.close()

    def lose(self, reason: str) -> None:
        """Every call from now on raises `ConnectionLost` with this reason."""
        self._portal.lose(reason)

    def _definitions(self) -> Path | None:
        if not self._directory:
            return None
        path = Path(self._directory) / "definitions"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await asyncio.to_thread(self.close)
        except asyncio.CancelledError:
            self._abandon()
            raise


def _limits(limits: Limits) -> dict[str, float | int | None]:
    return {
        "memory": limits.memory,
        "cpu": limits.cpu,
        "handler_seconds": limits.handler_seconds,
        "mailbox": limits.mailbox,
    }
