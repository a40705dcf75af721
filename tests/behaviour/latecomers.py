"""Actors that are slow, or down, for the behaviour suite."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import MailboxFull


@message
class Nap(Request[str]):
    """Block the whole actor."""

    seconds: float


@message
class Rest(Request[str]):
    """Wait, in a handler that can be cancelled."""

    seconds: float = 60.0


@message
class RestOf(Request[str]):
    """Have another actor rest."""

    other: ActorRef


@message
class RestInThread(Request[None]):
    """Have another actor rest, and wait for it in a thread; answered meanwhile."""

    other: ActorRef


@message
class Lateness(Request[float]):
    """Ask somebody who will not answer; how many seconds after the deadline is that over?"""

    other: ActorRef
    awaited: bool


@message
class AskLater(Request[str]):
    """Ask, look for the answer only after a while; answers how that ended."""

    other: ActorRef
    timeout: float
    after: float


@message
class Seen(Request[list[str]]):
    pass


class Slow(Actor):
    def on_start(self) -> None:
        self.seen: list[str] = []

    @receive
    def nap(self, msg: Nap) -> str:
        self.seen.append("nap")
        time.sleep(msg.seconds)
        return "slept"

    @receive(concurrent=True)
    async def rest(self, msg: Rest) -> str:
        self.seen.append("rest")
        try:
            await asyncio.sleep(msg.seconds)
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        return "rested"

    @receive(concurrent=True)
    async def rest_of(self, msg: RestOf) -> str:
        return await msg.other.ask(Rest())

    @receive
    async def rest_in_thread(self, msg: RestInThread) -> None:
        reply = msg.other.ask(Rest(), timeout=math.inf)
        self.waiting = asyncio.create_task(asyncio.to_thread(reply.result))

    @receive(concurrent=True)
    async def lateness(self, msg: Lateness) -> float:
        return await late_by(msg.other)

    @receive
    def tell_seen(self, msg: Seen) -> list[str]:
        return self.seen

    @receive
    def ask_later(self, msg: AskLater) -> str:
        reply = msg.other.ask(Rest(), timeout=msg.timeout)
        time.sleep(msg.after)
        error = reply.exception()
        return f"{type(error).__name__} late {getattr(error, 'late', 0.0):.3f}"


class SlowBlocking(Slow):
    @receive
    def lateness(self, msg: Lateness) -> float:
        return late_in_plain_code(msg.other)


TIMEOUT = 0.1


def late_in_plain_code(ref):
    begin = time.monotonic()
    error = ref.ask(Rest(), timeout=TIMEOUT).exception()
    assert isinstance(error, TimeoutError)
    return time.monotonic() - begin - TIMEOUT


async def late_by(ref):
    begin = time.monotonic()
    with contextlib.suppress(TimeoutError):
        await ref.ask(Rest(), timeout=TIMEOUT)
    return time.monotonic() - begin - TIMEOUT


class Once(Actor):
    """Starts once and never again."""

    def on_start(self) -> None:
        if self.context.incarnation > 1:
            raise RuntimeError("once was enough")

    @receive
    def nap(self, msg: Nap) -> str:
        return "slept"


@message
class Drop:
    n: int


class SlowAndBrittle(Slow):
    @receive
    def drop(self, msg: Drop) -> None:
        raise ValueError("the true reason")


@message
class Drops(Request[list[int]]):
    pass


@message
class Pour(Request[int]):
    """Tell so many drops; answers how many were taken."""

    to: ActorRef
    count: int
    wait: bool = False
    """For room, before each."""


class Bucket(Actor):
    def on_start(self) -> None:
        self.drops: list[int] = []

    @receive
    def drop(self, msg: Drop) -> None:
        time.sleep(0.005)
        self.drops.append(msg.n)

    @receive
    def tell_drops(self, msg: Drops) -> list[int]:
        return self.drops


class Can(Actor):
    @receive
    def pour(self, msg: Pour) -> int:
        for n in range(msg.count):
            msg.to.tell(Drop(n))
        return msg.count


class AsyncCan(Actor):
    @receive
    async def pour(self, msg: Pour) -> int:
        for n in range(msg.count):
            if msg.wait:
                await msg.to.room()
            try:
                msg.to.tell(Drop(n))
            except MailboxFull:
                return n
        return msg.count


GATE = threading.Event()
"""Of a system of threads: who starts waits here."""


@message
class Pass(Request[None]):
    """Hold everything until the gate is open."""


class Patient(Actor):
    """Asks the supervisor in its start, once it is let through the gate."""

    def on_start(self) -> None:
        GATE.wait(30.0)
        self.context.subscribe(Drop)

    @receive
    def drop(self, msg: Drop) -> None:
        pass

    @receive(concurrent=True)
    async def rest(self, msg: Rest) -> str:
        return "rested"

    @receive
    def hold(self, msg: Pass) -> None:
        GATE.wait(30.0)
