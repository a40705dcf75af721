"""What a program can ask of a system: plain calls, over any connection to it.

    spawn stop restart kill      actors come and go
    status watch subscribe       how things stand, and what happens
    begin_shut_down shut_down    the end

`System` is this with a connection of its own; the simulation has one in memory.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.actor import Actor
from actors.address import check_name
from actors.arrays.reader import RingReader, reader_of
from actors.control import SUPERVISOR
from actors.errors import ActorError, ConnectionLost, DeadlineExceeded, SpawnError
from actors.log import announce
from actors.notices import DeadLetter, Terminated
from actors.portal import Portal, Until
from actors.requests import (
    DeadLetters,
    FindRing,
    KillActor,
    RestartActor,
    Settle,
    Shutdown,
    StopActor,
    WatchStream,
)
from actors.seconds import check_seconds
from actors.spawning import order_for
from actors.topics import Topics
from supervisor.chronicle import many
from supervisor.farewell import patiently, still_up
from supervisor.limits import Limits
from supervisor.spec import Restart
from supervisor.status import Endings, StatusRequest, SystemStatus
from supervisor.waiters import START_SECONDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from actors.message import Request, StreamRequest
    from actors.ref import ActorRef, Message
    from actors.reply import Reply
    from actors.stream import Stream

E = TypeVar("E")
R = TypeVar("R")

STOP_TIMEOUT: Final = 3600.0

ANSWER_SECONDS: Final = 10.0
"""Seconds the supervisor has to answer what it can answer at once."""


class Calls:
    """A system of actors, as a program sees it."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._topics = Topics(portal)
        portal.arrived = self._topics.take_in
        self._supervisor = portal.ref(SUPERVISOR)
        self._serial = 0
        self._pid = 0
        self._called = ""
        """What it is called in its `repr`."""

    def __repr__(self) -> str:
        """Return what is known without asking anybody."""
        lost = self._portal.lost
        state = "connected" if lost is None else f"over: {lost.reason}"
        return f"<System {self._called or 'in memory'}, {state}>"

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
        wrong options or fields, and `SpawnError` with the remote traceback when the actor does not
        start; then no child is added.
        """
        self._portal.check()
        if name is None:
            self._serial += 1
            prefix = getattr(cls, "__name__", "actor").lower()
            name = f"{prefix}.{self._portal.peer.name[7:]}.{self._serial}"
        order = order_for(
            cls,
            name=check_name(name),
            fields=fields,
            definitions=self._definitions(),
            restart=_given("restart", restart, Restart).value,
            limits=None if limits is None else _limits(_given("limits", limits, Limits)),
        )
        reply = self._supervisor.ask(order, timeout=START_SECONDS)
        try:
            reply.result()
        except DeadlineExceeded:
            text = f"it was not ready after {START_SECONDS:g} s, and is not started any more"
            raise SpawnError(actor=name, reason=text) from None
        except KeyboardInterrupt:
            reply.cancel()  # no child is added
            raise
        return self._portal.ref(name)

    def ref(self, name: str) -> ActorRef:
        """Return a handle to an actor by name.  Never fails; using it raises `NoSuchActor`."""
        return self._portal.ref(_name_of(name))

    def stop(self, name: ActorRef | str) -> None:
        """End an actor for good, after the message in progress; returns when it is down.

        Queued messages come back as `ActorStopped` (asks) or dead letters (tells).
        """
        self._ask(StopActor(_name_of(name)), STOP_TIMEOUT)

    def restart(self, name: ActorRef | str) -> int:
        """End an incarnation in good order and start the next; returns its number once it is up.

        Raises `SpawnError` with the remote traceback when it does not start.  The supervisor then
        goes on trying, as after any death.
        """
        return self._ask(RestartActor(_name_of(name)), STOP_TIMEOUT)

    def kill(self, name: ActorRef | str) -> int | None:
        """Kill -9: returns the ended incarnation once it is reaped, None when none was alive."""
        return self._ask(KillActor(_name_of(name)), STOP_TIMEOUT)

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
        return self._supervisor.ask(StatusRequest(), timeout=ANSWER_SECONDS).result()

    def watch(self, ref: ActorRef | str) -> Stream[Terminated]:
        """Return a stream of one `Terminated` per ended incarnation of an actor, from now on."""
        return self._follow(WatchStream(_name_of(ref)))

    def subscribe(self, event: type[E]) -> Stream[E]:
        """Return a stream of the events of one class; none is missed once this has returned.

        The class is any message of yours that somebody publishes, or `DeadLetter`, or `Terminated`
        (every end of every actor).  A subclass is another event.  A stream that lets 10,000 events
        wait unread ends with `MailboxFull`.
        """
        requests: dict[object, Any] = {DeadLetter: DeadLetters(), Terminated: Endings()}
        if event in requests:
            return self._follow(requests[event])
        return self._topics.subscribe(event)

    def empty(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = "float64"
    ) -> npt.NDArray[Any]:
        """Return a new array that is sent to others on this host without being copied.

        What it holds at first is left over.  Sending makes it read-only, and a view that was made
        before must not be written to any more: whoever reads may see it.
        Raises `SharedMemoryFull`, and `ConnectionLost` when the system is over.
        """
        self._portal.check()
        return self._portal.memory.empty(shape, dtype)

    def frames(self, ref: ActorRef | str, name: str) -> RingReader:
        """Return a reader of a ring of an actor on this host, whether it is there yet or not.

        for frame in system.frames(compute, "density"):
            show(frame.array)

        In asyncio code iterate with `async for`; it never ends by itself.  After a second without
        a ring the log says why: nobody has that name, or the actor no such ring.
        """
        actor = _name_of(ref)
        check_name(name, "a ring")
        request = FindRing(actor, name)
        desk = self._supervisor
        return reader_of(lambda: desk.ask(request, timeout=ANSWER_SECONDS), actor, name, announce)

    def publish(self, event: Message) -> None:
        """Send an event, an ordinary message, to everybody who has subscribed to its class.

        Waits for no subscriber: one whose mailbox is full misses it, which makes a dead letter.
        """
        self._topics.publish(event)

    def _follow(self, request: StreamRequest[E]) -> Stream[E]:
        """Open a stream of notices; none is missed once this has returned."""
        stream = self._supervisor.stream(request)
        self._ask(Settle(), ANSWER_SECONDS)
        return stream

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until every actor of the tree is up; a built-in TimeoutError after `timeout` s."""
        end = math.inf if timeout is None else _until(timeout)
        for actor in self.status().actors:
            if actor.state not in ("stopped", "failed"):
                left = None if end == math.inf else max(0.0, end - time.monotonic())
                self._portal.wait_ready(actor.name, left, given=timeout)

    def wait_ended(self, timeout: float | None = None) -> str | None:
        """Wait until the system is over and return why; None when it still runs after `timeout`."""
        if timeout is not None:
            check_seconds(timeout)
        over = Until(self._portal, lambda: self._portal.lost is not None)
        self._portal.driver.block(over, timeout)
        return self._portal.lost.reason if self._portal.lost is not None else None

    def begin_shut_down(self) -> None:
        """Ask the whole system to end in good order, and do not wait for it."""
        self._supervisor.ask(Shutdown(wait=False), timeout=ANSWER_SECONDS).result()

    def shut_down(self) -> None:
        """End the whole system in good order, whoever started it.

        What it waits for is said after a second, and what stayed unhandled at the end.
        """
        try:
            reply = self._supervisor.ask(Shutdown(), timeout=STOP_TIMEOUT)
            patiently(partial(_ended, reply), self._ending, STOP_TIMEOUT)
            unhandled = reply.result()
        except ConnectionLost:
            return
        if unhandled:
            announce(f"unhandled at the end: {many(unhandled, 'message')}")

    def _ending(self) -> str:
        try:
            names = still_up(self._supervisor.ask(StatusRequest(), timeout=1.0).result())
        except ActorError:
            return ""
        return f"waiting for {names} to stop; Ctrl-C ends at once" if names else ""

    def _definitions(self) -> Path | None:
        """Return where classes that exist in no file are written; None where they cannot be."""
        return None


def _ended(reply: Reply[int], seconds: float) -> bool:
    with suppress(TimeoutError):
        reply.exception(seconds)
    return reply.done()


def _until(timeout: float) -> float:
    check_seconds(timeout)
    return time.monotonic() + timeout


def _name_of(actor: ActorRef | str) -> str:
    name: object = getattr(actor, "name", actor)
    if not isinstance(name, str) or isinstance(actor, type):
        raise TypeError(f"this takes an actor's name or its ref, not {actor!r:.80}")
    return name


def _given(option: str, value: E, kind: type[E]) -> E:
    if not isinstance(value, kind):
        name = f"supervisor.{kind.__name__}"
        raise TypeError(f"{option}={value!r:.80}: give a {name}, such as {EXAMPLES[kind]}")
    return value


EXAMPLES: Final[dict[type, str]] = {
    Limits: 'Limits(memory="200 MB")',
    Restart: "Restart.TEMPORARY",
}


def _limits(limits: Limits) -> dict[str, float | int | None]:
    return {
        "memory": limits.memory,
        "cpu": limits.cpu,
        "handler_seconds": limits.handler_seconds,
        "mailbox": limits.mailbox,
        "shared_memory": limits.shared_memory,
    }
