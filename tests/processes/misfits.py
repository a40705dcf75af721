"""An actor that can misbehave in every way a supervisor should notice, or should not."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from actors import Actor, Request, StreamRequest, Terminated, message, receive


@message
class Who(Request[tuple[int, int]]):
    """Process id and incarnation."""


@message
class Hang(Request[None]):
    how: str


@message
class Hint:
    how: str


@message
class Watch(Request[None]):
    name: str


@message
class Nap(Request[float]):
    seconds: float


@message
class Work(Request[float]):
    """Compute for so long, and say so now and then."""

    seconds: float
    progress: bool


@message
class Steps(StreamRequest[int]):
    count: int
    seconds: float


class Misfit(Actor):
    @receive
    def who(self, _msg: Who) -> tuple[int, int]:
        return os.getpid(), self.context.incarnation

    @receive
    def hang(self, msg: Hang) -> None:
        misbehave(msg.how)

    @receive
    async def hint(self, msg: Hint) -> None:
        if msg.how == "loop":
            # Runs after this handler is over: nothing is in progress then.
            asyncio.get_running_loop().call_later(0.01, time.sleep, 1000.0)
        else:
            misbehave(msg.how)

    @receive(concurrent=True)
    async def nap(self, msg: Nap) -> float:
        await asyncio.sleep(msg.seconds)
        return msg.seconds

    @receive
    def work(self, msg: Work) -> float:
        end = time.monotonic() + msg.seconds
        while time.monotonic() < end:
            if msg.progress:
                self.context.progress()
        return msg.seconds

    @receive
    def steps(self, msg: Steps) -> Iterator[int]:
        for number in range(msg.count):
            time.sleep(msg.seconds)
            yield number


def misbehave(how: str) -> None:
    print("about to", how)  # noqa: T201 - it is looked for in the crash report
    WAYS[how]()


def spin() -> None:
    while True:
        pass


def grow() -> None:
    kept: list[bytearray] = []
    while True:
        kept.append(bytearray(4_000_000))
        time.sleep(0.005)


WAYS = {
    "spin": spin,
    "pow": lambda: 3 ** (10**9),  # in C, holding the interpreter's lock
    "match": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
    "grow": grow,
    "crash": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(7),
    "raise": [].pop,
}


class Watcher(Actor):
    """Writes every notice into a file, which outlives it."""

    path: str = ""

    @receive
    def watch(self, msg: Watch) -> None:
        self.context.watch(self.context.actor(msg.name))

    @receive
    def ended(self, msg: Terminated) -> None:
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(f"{msg.name}/{msg.incarnation}\n")

    @receive
    def who(self, _msg: Who) -> tuple[int, int]:
        return os.getpid(), self.context.incarnation
