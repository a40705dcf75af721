"""What the proofs of the guarantees share: actors, the ledger that tells on them, and `prove`.

Simulated processes share their memory with the test, so a handler writes into `LEDGER` at the very
moment it runs, and no crash takes it back: it holds what really happened.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import NamedTuple

from actors import Actor, ActorRef, Request, StreamRequest, Terminated, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import check
from actors.testing.simulation import Scenario


class Line(NamedTuple):
    """One handler that began."""

    actor: str
    life: int
    sender: str
    number: int
    attempt: int
    when: float


LEDGER: list[Line] = []


def note(actor: Actor, number: int, sender: str = "", attempt: int = 1) -> None:
    """Write a line."""
    context = actor.context
    LEDGER.append(Line(context.name, context.incarnation, sender, number, attempt, monotonic()))


@message
class Tell:
    sender: str
    number: int


@message(redeliver=True)
class Insist:
    """Given to the next life when one dies of it."""

    sender: str
    number: int


@message(redeliver=True)
class Poison:
    """Kills whoever handles it."""

    sender: str
    number: int


@message
class Ask(Request[int]):
    sender: str
    number: int


class Clerk(Actor):
    """Writes down what it handles."""

    def write(self, msg: Tell | Ask | Insist | Poison) -> None:
        note(self, msg.number, msg.sender, self.context.attempt)

    @receive
    def told(self, msg: Tell) -> None:
        self.write(msg)

    @receive
    def asked(self, msg: Ask) -> int:
        self.write(msg)
        return msg.number

    @receive
    async def insisted(self, msg: Insist) -> None:
        self.write(msg)
        await asyncio.sleep(0.05)

    @receive
    def poisoned(self, msg: Poison) -> None:
        self.write(msg)
        os._exit(1)


class SlowClerk(Clerk):
    """Writes at the end of its handling: who dies in the midst of it has written nothing."""

    @receive
    async def told(self, msg: Tell) -> None:
        await asyncio.sleep(0.05)
        self.write(msg)


class Relay(Actor):
    """Passes on what it is told, and asks while it handles an ask."""

    clerk: ActorRef

    @receive
    def told(self, msg: Tell) -> None:
        self.clerk.tell(msg)

    @receive
    async def asked(self, msg: Ask) -> int:
        return await self.clerk.ask(msg)


@message
class Count(StreamRequest[int]):
    up_to: int


class Counter(Actor):
    """Streams numbers, and writes down how far it got."""

    @receive
    async def count(self, msg: Count) -> AsyncIterator[int]:
        for number in range(msg.up_to):
            note(self, number)
            yield number


class QuickCounter(Actor):
    """The same without awaiting anything."""

    @receive
    def count(self, msg: Count) -> Iterator[int]:
        for number in range(msg.up_to):
            note(self, number)
            yield number


@message
class Watched(Request[tuple[int, ...]]):
    """The ended lives that were heard of."""


@message
class Heard:
    lives: tuple[int, ...]


class Watcher(Actor):
    """Watches another actor, from its first life on, and remembers every notice."""

    other: ActorRef
    lives: tuple[int, ...] = ()

    def on_start(self) -> None:
        self.context.watch(self.other)

    def restore(self, state: Heard) -> None:
        self.lives = state.lives

    @receive
    def ended(self, msg: Terminated) -> None:
        self.lives = (*self.lives, msg.incarnation)
        self.context.save(Heard(self.lives))

    @receive
    def look(self, _msg: Watched) -> tuple[int, ...]:
        return self.lives


@message
class Sum:
    total: int


@message
class Add(Request[int]):
    """Add one; the answer is how much it is then."""


@message
class Read(Request[int]):
    pass


class Saver(Actor):
    """Counts, and saves before it answers."""

    total = 0

    def restore(self, state: Sum) -> None:
        self.total = state.total

    @receive
    def add(self, _msg: Add) -> int:
        self.total += 1
        note(self, self.total)
        self.context.save(Sum(self.total))
        return self.total

    @receive
    def read(self, _msg: Read) -> int:
        return self.total


async def asked(ref: ActorRef, msg: Request[int], within: float = 3.0) -> object:
    """Return the answer of an ask, or the error it ended with; anything else is raised."""
    try:
        return await ref.ask(msg, timeout=within)
    except (NotDelivered, OutcomeUnknown) as error:
        return error


PAIRS = 150
"""Worlds with two faults, for each scenario."""

LEAST = 40
"""Single faults that a scenario has at least, or else it hardly proves anything."""


def prove(scenario: Scenario) -> None:
    """Try every single fault, and pairs of faults: for all proofs over 1,000 worlds together."""
    report = check(scenario, max_faults=2, examples=PAIRS)

    assert report.exhaustive >= 1
    assert report.singles >= LEAST, str(report)
    assert report.worlds > PAIRS + LEAST, str(report)
