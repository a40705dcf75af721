"""Actors for the tests of the simulation: ordinary ones, which would run as processes too."""

import asyncio
import inspect
import os
import queue
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

from actors import Actor, ActorRef, Request, StreamRequest, Terminated, message, receive


@message
class Add(Request[int]):
    x: int
    y: int = 1


@message
class Total(Request[int]):
    pass


@message
class Put:
    x: int


@message
class Books:
    total: int


class Adder(Actor):
    """Adds; what it was told is saved after every message."""

    total = 0

    def restore(self, state: Books) -> None:
        self.total = state.total

    @receive
    def add(self, msg: Add) -> int:
        return msg.x + msg.y

    @receive
    def put(self, msg: Put) -> None:
        self.total += msg.x
        self.context.save(Books(self.total))

    @receive
    def read(self, _msg: Total) -> int:
        return self.total


class Snapshooter(Adder):
    """Saves by `snapshot`, as often as the runtime asks."""

    snapshot_seconds = 0.5

    def snapshot(self) -> Books:
        return Books(self.total)

    @receive
    def put(self, msg: Put) -> None:
        self.total += msg.x


class Fitful(Snapshooter):
    """Its snapshots fail while its total is not 0, for a reason of this number."""

    @receive
    def put(self, msg: Put) -> None:
        self.total = msg.x

    def snapshot(self) -> Books:
        if self.total:
            raise OSError(f"no room {self.total}")
        return Books(self.total)


class Spendthrift(Snapshooter):
    """Takes snapshots, and nothing over."""

    restore = Actor.restore


@message
class Via(Request[int]):
    x: int
    pause: float = 0.0


class PlainCaller(Actor):
    """Asks in plain code."""

    target: ActorRef

    @receive
    def via(self, msg: Via) -> int:
        return self.target.ask(Add(msg.x)).result()


class AsyncCaller(Actor):
    """Asks in asyncio code, with much of asyncio around it."""

    target: ActorRef

    async def on_start(self) -> None:
        self.lock = asyncio.Lock()

    @receive(concurrent=True)
    async def via(self, msg: Via) -> int:
        async with asyncio.timeout(1000), self.lock, asyncio.TaskGroup() as group:
            pause = group.create_task(asyncio.sleep(msg.pause))
            answer = group.create_task(self.ask(msg.x))
        assert pause.done()
        return answer.result()

    async def ask(self, x: int) -> int:
        return await self.target.ask(Add(x))


@message
class Count(StreamRequest[int]):
    up_to: int


class Counter(Actor):
    @receive
    def count(self, msg: Count) -> Iterator[int]:
        yield from range(msg.up_to)


class SlowCounter(Actor):
    @receive
    async def count(self, msg: Count) -> AsyncIterator[int]:
        for number in range(msg.up_to):
            await asyncio.sleep(1)
            yield number


@message
class Tick:
    pass


@message
class Seen(Request[tuple[str, ...]]):
    pass


class Clock(Actor):
    """Ticks by its own timers, from an hour on."""

    ticks = 0

    def on_start(self) -> None:
        self.context.tell_every(60.0, Tick())
        self.context.tell_after(3600.0, Tick())

    @receive
    def tick(self, _msg: Tick) -> None:
        self.ticks += 1

    @receive
    def read(self, _msg: Total) -> int:
        return self.ticks


class Parent(Actor):
    """Has a child of its own, and watches it."""

    seen: tuple[str, ...] = ()

    def on_start(self) -> None:
        self.context.watch(self.context.spawn(Adder, name="child"))

    @receive
    def gone(self, msg: Terminated) -> None:
        self.seen = (*self.seen, f"{msg.name}/{msg.incarnation}")

    @receive
    def read(self, _msg: Seen) -> tuple[str, ...]:
        return self.seen


@message
class Dice(Request[str]):
    pass


class Gambler(Actor):
    """Chance and the clock, in every form."""

    @receive
    def throw(self, _msg: Dice) -> str:
        parts = [random.random(), random.randint(0, 99), uuid.uuid4()]
        parts += [time.time(), time.monotonic()]
        names = {"b", "a", "c"}  # a set of strings: its order depends on PYTHONHASHSEED
        return f"{parts} {sorted(names)}"


@message
class Run(Request[None]):
    what: str


async def in_a_thread() -> None:
    await asyncio.to_thread(print)


async def connected() -> None:
    await asyncio.open_connection("localhost", 1)


WAYS_OUT: dict[str, Callable[[], object]] = {
    "time.sleep": lambda: time.sleep(1),
    "threading.Thread.start": lambda: threading.Thread(target=print).start(),
    "loop.run_in_executor": in_a_thread,
    "loop.create_connection": connected,
    "open('/etc/hostname')": lambda: open("/etc/hostname").close(),  # noqa: PTH123
    "os.mkdir('/nowhere')": lambda: os.mkdir("/nowhere"),  # noqa: PTH102
    "socket.socket": socket.socket,
    "subprocess.Popen": lambda: subprocess.run(["true"], check=True),
    "waiting for another thread": lambda: queue.Queue[int]().get(),
    "sqlite3.connect('/nowhere')": lambda: sqlite3.connect("/nowhere"),
}


class Fugitive(Actor):
    """Tries to leave the simulation."""

    @receive
    async def run(self, msg: Run) -> None:
        left = WAYS_OUT[msg.what]()
        if inspect.isawaitable(left):
            await left


@message
class Heard(Request[tuple[int, ...]]):
    pass


@message
class Numbers:
    numbers: tuple[int, ...]


class Listing(Actor):
    """Remembers what it was told, in every life."""

    numbers: tuple[int, ...] = ()

    def restore(self, state: Numbers) -> None:
        self.numbers = state.numbers

    @receive
    def put(self, msg: Put) -> None:
        self.numbers = (*self.numbers, msg.x)
        self.context.save(Numbers(self.numbers))

    @receive
    def heard(self, _msg: Heard) -> tuple[int, ...]:
        return self.numbers


@message
class Break:
    pass


class Tidy(Actor):
    """Cleans up after itself, when it can."""

    @receive
    async def work(self, _msg: Break) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            CLEANED.append(self.context.incarnation)


CLEANED: list[int] = []


@message
class Fail:
    pass


class Fragile(Adder):
    @receive
    def fail(self, _msg: Fail) -> None:
        raise ValueError("as it was told")


class Exiting(Adder):
    """Ends itself, and then does not find its end."""

    @receive
    def fail(self, _msg: Fail) -> None:
        sys.exit(3)

    async def on_stop(self, _reason: str) -> None:
        await asyncio.get_running_loop().create_future()


class Stillborn(Actor):
    def on_start(self) -> None:
        raise RuntimeError("not to be")


class Asserting(Actor):
    @receive
    def fail(self, _msg: Fail) -> None:
        assert 1 + 1 == 3, "arithmetic"


@message
class Start(Request[int]):
    other: ActorRef
    timeout: float


class Circular(Actor):
    """Asks somebody who asks it."""

    @receive
    async def start(self, msg: Start) -> int:
        return await msg.other.ask(Start(self.context.ref, msg.timeout), timeout=msg.timeout)


@message(redeliver=True)
class Job(Request[int]):
    number: int


@message
class Once(Request[int]):
    number: int


@message
class Told:
    number: int


DONE: dict[int, list[str]] = {}  # which member has finished which work, for whoever looks on


class Worker(Actor):
    """Works for a moment of virtual time."""

    @receive
    async def job(self, msg: Job) -> int:
        return await self._work(msg.number)

    @receive
    async def once(self, msg: Once) -> int:
        return await self._work(msg.number)

    @receive
    async def told(self, msg: Told) -> None:
        await self._work(msg.number)

    async def _work(self, number: int) -> int:
        await asyncio.sleep(0.01)
        DONE.setdefault(number, []).append(self.context.name)
        return number
