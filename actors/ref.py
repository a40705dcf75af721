"""Handles to actors: what users hold and send.

    tell     one way; returns when the message is accepted
    ask      one answer, as a `Reply`
    stream   many answers, as a `Stream`

A ref means a name, whichever incarnation holds it, so it outlives restarts.  Refs are values: they
compare and hash by name and travel as fields of messages.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeVar, final

from actors.address import Address
from actors.errors import ConnectionLost
from actors.message import Request, StreamRequest
from actors.reply import Reply
from actors.schema import register_reference
from actors.seconds import check_seconds
from actors.stream import Stream

R = TypeVar("R")
T = TypeVar("T")


class Outlet(Protocol):
    """What a ref needs of the process it lives in."""

    def ref(self, name: str) -> ActorRef:
        """Return a handle to a name."""
        ...

    def tell(self, name: str, msg: object) -> None:
        """See `ActorRef.tell`."""
        ...

    def ask(self, name: str, msg: Request[R], timeout: float | None) -> Reply[R]:
        """See `ActorRef.ask`."""
        ...

    def stream(self, name: str, msg: StreamRequest[T]) -> Stream[T]:
        """See `ActorRef.stream`."""
        ...

    def wait_ready(self, name: str, timeout: float | None) -> None:
        """See `ActorRef.wait_ready`."""
        ...

    async def room(self, name: str) -> None:
        """See `ActorRef.room`."""
        ...


class Message(Protocol):
    """An instance of a class made with `@message`, as type checkers see it.

    They take such a class for a dataclass, which is what this attribute says; at run time it is
    an attrs class, and `tell` looks for itself.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]


@final
class ActorRef:
    """A handle to an actor, by name.

    Never made by hand: `spawn`, `ref(name)` and messages give it.
    """

    __slots__ = ("_name", "_outlet")

    def __init__(self, name: str, outlet: Outlet | None) -> None:
        self._name = name
        self._outlet = outlet

    @property
    def name(self) -> str:
        """The actor's name."""
        return self._name

    def tell(self, msg: Message) -> None:
        """Send a message and do not wait for its handling.  A request's answer is discarded.

        Once this has returned, the message is handled or becomes a `DeadLetter`, as long as this
        process lives.  Raises `InvalidMessage`, `NoSuchActor`, or `MailboxFull` (plain code waits
        up to 5 s for room first).
        """
        self._out.tell(self._name, msg)

    def ask(self, msg: Request[R], *, timeout: float | None = None) -> Reply[R]:
        """Send a request; its answer arrives in the returned `Reply`.

        `timeout` (s) is the deadline.  Without it, the deadline of the message being handled, else
        the system's `ask_timeout`; `math.inf` waits for ever.
        """
        if timeout is not None:
            check_seconds(timeout)
        return self._out.ask(self._name, msg, timeout)

    def stream(self, msg: StreamRequest[T]) -> Stream[T]:
        """Send a stream request; its items arrive in the returned `Stream`."""
        return self._out.stream(self._name, msg)

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the actor takes messages.

        Raises a built-in `TimeoutError` after `timeout` seconds.
        """
        if timeout is not None:
            check_seconds(timeout)
        self._out.wait_ready(self._name, timeout)

    async def room(self) -> None:
        """Wait until the actor's mailbox has room for another message of ours."""
        await self._out.room(self._name)

    @property
    def _out(self) -> Outlet:
        if self._outlet is None:
            raise ConnectionLost(reason=f"the ref to {self._name} belongs to no running system")
        return self._outlet

    def __eq__(self, other: object) -> bool:
        return self._name == other._name if isinstance(other, ActorRef) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"<ActorRef {self._name}>"


def _address(ref: Any) -> Address:
    return Address(ref.name)


register_reference(ActorRef, _address)
