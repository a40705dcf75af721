"""The actors of a storm: each writes what it begins into a ledger of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from actors import (
    Actor,
    FailurePolicy,
    Request,
    Shape,
    StreamRequest,
    Terminated,
    message,
    receive,
)
from actors.control import SUPERVISOR
from actors.errors import ConnectionLost
from supervisor import Backoff, Child, Intensity, Pool, Tree
from supervisor.status import StatusRequest
from tests.storm.records import Ledger


@message
class Tell:
    sender: str
    number: int
    seconds: float = 0.0


@message
class Ask(Request[int]):
    sender: str
    number: int
    seconds: float = 0.0


@message(redeliver=True)
class Insist:
    """Given to the next life when one dies of it."""

    sender: str
    number: int
    seconds: float = 0.0


@message(redeliver=True)
class Urge(Request[int]):
    """The same with an answer."""

    sender: str
    number: int
    seconds: float = 0.0


@message
class Picture(Request[bool]):
    """An array through shared memory; is every number of it the message's own?"""

    sender: str
    number: int
    pixels: Annotated[NDArray[np.int64], Shape("n")]


@message
class Read(StreamRequest[int]):
    """A stream of so many numbers, from zero."""

    sender: str
    number: int
    length: int


@message
class Event:
    sender: str
    number: int


@message
class Quiet(Request[bool]):
    """Answered when everything before it has been."""


@message
class Last:
    """Its handler raises: whoever reads its dead letter has read all that were before it."""


@message
class Flush(Request[bool]):
    """Answered once everything that was passed on is handled, and what was lost is reported."""


class Writer(Actor):
    """One who writes down what it begins."""

    folder: str

    def on_start(self) -> None:
        self.ledger = Ledger(self.folder, f"{self.context.name}.ledger")

    def begin(self, msg: Tell | Ask | Insist | Urge | Picture | Read | Event) -> None:
        context = self.context
        life, attempt = context.incarnation, context.attempt
        self.ledger.write(context.name, life, attempt, msg.sender, msg.number)

    def work(self, msg: Tell | Ask | Insist | Urge) -> None:
        self.begin(msg)
        if msg.seconds:
            time.sleep(msg.seconds)


class Clerk(Writer):
    """Takes everything."""

    @receive
    def told(self, msg: Tell | Insist) -> None:
        self.work(msg)

    @receive
    def asked(self, msg: Ask) -> int:
        self.work(msg)
        return msg.number

    @receive
    def urged(self, msg: Urge) -> int:
        self.work(msg)
        return msg.number

    @receive
    def pictured(self, msg: Picture) -> bool:
        self.begin(msg)
        return bool((msg.pixels == msg.number).all())

    @receive
    def read(self, msg: Read) -> Iterator[int]:
        self.begin(msg)
        yield from range(msg.length)

    @receive(failure_policy=FailurePolicy.RESUME)
    def last(self, _msg: Last) -> None:
        raise RuntimeError("the last one")

    @receive
    def quiet(self, _msg: Quiet) -> bool:
        return True


class Relay(Writer):
    """Passes on what it is told, and asks while it is asked."""

    to: str

    @receive
    def told(self, msg: Tell) -> None:
        self.begin(msg)
        self.context.actor(self.to).tell(msg)

    @receive
    async def asked(self, msg: Ask) -> int:
        self.begin(msg)
        return await self.context.actor(self.to).ask(msg)

    @receive
    async def flush(self, _msg: Flush) -> bool:
        await self.context.actor(self.to).ask(Quiet())
        await self.context.actor(SUPERVISOR).ask(StatusRequest())
        return True


class Bell(Writer):
    """Handles many at once."""

    @receive(concurrent=True)
    async def rung(self, msg: Ask) -> int:
        self.begin(msg)
        await asyncio.sleep(msg.seconds)
        return msg.number


class Listener(Writer):
    """Hears events, across its restarts."""

    def on_start(self) -> None:
        super().on_start()
        self.context.subscribe(Event)

    @receive
    def heard(self, msg: Event) -> None:
        self.begin(msg)


class Watcher(Actor):
    """Watches the others, and writes every notice down."""

    folder: str
    others: list[str]

    def on_start(self) -> None:
        self.notices = Ledger(self.folder, "watched")
        while True:
            try:
                for name in self.others:
                    self.context.watch(self.context.actor(name))
            except ConnectionLost:
                continue  # a stopped broker was not replaced within 5 s on this machine
            return

    @receive
    def ended(self, msg: Terminated) -> None:
        self.notices.write(msg.name, msg.incarnation)


MEMBERS = ("mover#1", "mover#2", "mover#3")
WATCHED = ("clerk.1", "clerk.2", "relay", "behind", "bell", "listener")
NAMES = (*WATCHED, "watcher", *MEMBERS)

OVERLAP = {"bell": 60, "relay": 1}
PASSES_ON = {"relay": "behind"}


def tree(folder: str) -> Tree:
    """Return the system that stands in the storm; it never gives up, and hardly ever pauses."""
    quick = Backoff(initial=0.02, maximum=0.1)
    children: list[Child | Pool | Tree] = [
        Child(Watcher, name="watcher", backoff=quick, folder=folder, others=list(WATCHED)),
        Child(Clerk, name="clerk.1", backoff=quick, folder=folder),
        Child(Clerk, name="clerk.2", backoff=quick, folder=folder),
        Child(Clerk, name="behind", backoff=quick, folder=folder),
        Child(Relay, name="relay", backoff=quick, folder=folder, to="behind"),
        Child(Bell, name="bell", backoff=quick, folder=folder),
        Child(Listener, name="listener", backoff=quick, folder=folder),
        Pool(
            Clerk,
            name="mover",
            size=3,
            backoff=quick,
            intensity=Intensity(1000, 1.0),
            folder=folder,
        ),
    ]
    return Tree(intensity=Intensity(1000, 1.0), children=children)
