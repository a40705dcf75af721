"""What an actor can do besides handling: `self.context`."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import attrs

from actors.address import check_name
from actors.arrays.allowance import LIMIT
from actors.arrays.reader import RingReader, reader_of
from actors.arrays.ring import SLOTS, SharedRing
from actors.control import SUPERVISOR
from actors.definitions import home
from actors.errors import ConnectionLost
from actors.handling import HANDLING
from actors.log import announce, logger
from actors.mailbox import Timer
from actors.message import is_message
from actors.portal import Until
from actors.requests import FindRing, KeepRing, SubscribeActor, WatchActor
from actors.spawning import order_for
from actors.topics import Topics, event_codec

if TYPE_CHECKING:
    import numpy.typing as npt

    from actors.actor import Actor
    from actors.message import Request
    from actors.portal import Portal
    from actors.ref import ActorRef, Message

DEMAND_SECONDS: Final = 10.0
"""Seconds the supervisor has to answer."""


class Keeper(Protocol):
    """What the context needs of the process around it."""

    def tell_self(self, timer: Timer, /) -> None:
        """Put a message into the actor's own mailbox."""
        ...

    def save(self, state: object) -> None:
        """Give state to the supervisor for the next incarnation."""
        ...

    def progress(self) -> None:
        """The handler in progress is alive."""
        ...


@final
class Context:
    """An actor's own name, its family, its clock and its log."""

    def __init__(self, portal: Portal, keeper: Keeper) -> None:
        self._portal = portal
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._serial = 0
        self._topics = Topics(portal)

    # --- who I am

    @property
    def name(self) -> str:
        """This actor's name."""
        return self._portal.peer.name

    @property
    def incarnation(self) -> int:
        """Which of its lives this is, from 1."""
        return self._portal.peer.incarnation

    @property
    def ref(self) -> ActorRef:
        """A handle to this actor, to give to others."""
        return self._portal.ref(self.name)

    def actor(self, name: str) -> ActorRef:
        """Return a handle to another actor by name."""
        return self._portal.ref(name)

    # --- the message being handled

    @property
    def sender(self) -> ActorRef | None:
        """Who sent the message being handled; None for a timer's message and between messages."""
        handling = HANDLING.get()
        sender = "" if handling is None else handling.sender
        return self._portal.ref(sender) if sender else None

    @property
    def deadline(self) -> float | None:
        """Seconds (`time.monotonic`) until which the answer is waited for; None for ever."""
        handling = HANDLING.get()
        return None if handling is None or handling.deadline == math.inf else handling.deadline

    @property
    def attempt(self) -> int:
        """1 for a first delivery, more for a redelivered message."""
        handling = HANDLING.get()
        return 1 if handling is None else handling.attempt

    def progress(self) -> None:
        """Say that a long handler is getting on, so that it is not judged hung."""
        self._keeper.progress()

    # --- others

    def spawn(self, cls: type[Actor], /, *, name: str | None = None, **fields: Any) -> ActorRef:
        """Start an actor in this actor's own tree and return its ref at once.

        Raises as `System.spawn` does, but for a first start that fails: that arrives as
        `Terminated` at watchers and as an error on asks.
        """
        if name is None:
            self._serial += 1
            name = f"{self.name}.{cls.__name__.lower()}-{self.incarnation}.{self._serial}"
        order = order_for(cls, name=check_name(name), fields=fields, definitions=home(), wait=False)
        # The answer says only that the name is taken, so it comes in well under a millisecond.
        self._demand(order)
        return self._portal.ref(name)

    def _demand(self, request: Request[Any]) -> None:
        """Have the supervisor do what takes it no time, also in an `async` handler."""
        reply = self._portal.ref(SUPERVISOR).ask(request, timeout=DEMAND_SECONDS)
        self._portal.driver.block_briefly(Until(self._portal, reply.done), DEMAND_SECONDS)
        if not reply.done():
            raise ConnectionLost(reason="the supervisor does not answer")
        error = reply.exception()
        if error is not None:
            raise error

    def watch(self, ref: ActorRef) -> None:
        """Receive one `Terminated` per ended incarnation of `ref`, in a @receive method.

        The watch belongs to this actor's name, so it outlives its restart.  Watching twice is fine.
        """
        self._portal.ref(SUPERVISOR).tell(WatchActor(ref.name))

    # --- events

    def publish(self, event: Message) -> None:
        """Send an event, an ordinary message, to everybody who has subscribed to its class.

        Waits for no subscriber: one whose mailbox is full misses it, which makes a dead letter.
        Raises `InvalidMessage`, or a `TypeError` for a request.
        """
        self._topics.publish(event)

    def subscribe(self, event: type[Message]) -> None:
        """Receive the events of this very class from now on, in the @receive method for it.

        The subscription belongs to this actor's name: it outlives a restart, and ends when the
        actor is stopped.  Subscribing twice is fine.  Raises `TypeError` without such a method.
        """
        codec = event_codec(event, "subscribe")
        if not self._portal.handles(codec.cls):
            raise TypeError(
                f"{self.name} has no handler for {codec.cls.__name__}: mark a method for it with "
                "@receive, then subscribe."
            )
        self._demand(SubscribeActor(codec.tag))

    # --- arrays

    def empty(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = "float64"
    ) -> npt.NDArray[Any]:
        """Return a new array that is sent to others on this host without being copied.

        What it holds at first is left over.  Sending makes it read-only, and a view that was made
        before must not be written to any more: whoever reads may see it.
        Raises `SharedMemoryFull`.
        """
        return self._portal.memory.empty(shape, dtype)

    def ring(self, name: str, *, slots: int = SLOTS, limit: int = LIMIT) -> SharedRing:
        """Return a new ring of live frames, which others on this host find by `name`.

        It replaces one of that name that this actor had, and is closed when this life ends.  Raises
        `SharedMemoryFull`, or a `ValueError` for a name or a number that makes no sense.
        """
        check_name(name, "a ring")
        ring = SharedRing(slots, limit=limit, allowance=self._portal.memory.allowance)
        try:
            self._demand(KeepRing(name, attrs.astuple(ring.address)))
        except BaseException:
            ring.close()
            raise
        self._portal.memory.keep(name, ring)
        return ring

    def frames(self, ref: ActorRef | str, name: str) -> RingReader:
        """Return a reader of a ring of another actor on this host, whether it is there yet or not.

        In an `async` handler iterate with `async for`; it never ends by itself.  After a second
        without a ring the log says why: nobody has that name, or the actor no such ring.
        """
        actor = ref if isinstance(ref, str) else ref.name
        check_name(name, "a ring")
        desk, request = self._portal.ref(SUPERVISOR), FindRing(actor, name)
        return reader_of(lambda: desk.ask(request, timeout=DEMAND_SECONDS), actor, name, announce)

    # --- time

    def tell_after(self, seconds: float, msg: Any) -> asyncio.TimerHandle:
        """Put `msg` into the own mailbox after `seconds`; the handle can be cancelled."""
        return self._loop.call_later(seconds, self._keeper.tell_self, Timer(_checked(msg)))

    def tell_every(self, seconds: float, msg: Any) -> Every:
        """Put `msg` into the own mailbox every `seconds`, first after one period.

        Ticks that the actor was too busy to take are left out, not made up for.
        """
        return Every(self._loop, seconds, Timer(_checked(msg)), self._keeper)

    # --- state and words

    def save(self, state: Any) -> None:
        """Give a message to the next incarnation, which finds it in `restore`.

        Raises a `TypeError` in a class without `restore`, or whose `restore` takes another class,
        and a `ValueError` above 48 MiB or for a state that could not be read again.
        """
        self._keeper.save(state)

    @property
    def log(self) -> logging.Logger:
        """The standard library's logger; records reach the supervisor's log with this name."""
        return logger


def _checked(msg: object) -> object:
    if not is_message(type(msg)):
        raise TypeError(f"a timer sends a message, not {msg!r:.80}: make its class with @message")
    return msg


@final
class Every:
    """A repeating timer; `cancel` ends it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, timer: Timer, keeper: Keeper
    ) -> None:
        if not seconds > 0:
            raise ValueError(f"tell_every needs a period above 0 s, not {seconds!r}")
        self._loop = loop
        self._seconds = seconds
        self._timer = timer
        self._keeper = keeper
        self._due = loop.time() + seconds
        self._handle = loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        if not self._timer.waiting:
            self._keeper.tell_self(self._timer)
        missed = math.floor((self._loop.time() - self._due) / self._seconds)
        self._due += self._seconds * (max(0, missed) + 1)
        self._handle = self._loop.call_at(self._due, self._fire)

    def cancel(self) -> None:
        """Send no further message.  Twice is fine."""
        self._handle.cancel()
