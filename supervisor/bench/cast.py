"""The messages and actors that the benchmarks play with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt

from actors import Actor, Request, Shape, StreamRequest, message, receive

Numbers: TypeAlias = Annotated[npt.NDArray[np.float64], Shape(None)]


@message
class Add(Request[float]):
    x: float
    y: float


@message
class Note:
    x: float
    y: float


@message
class Noted(Request[int]):
    """How many notes have been handled since the last question?"""


@message
class Pid(Request[int]):
    pass


@message
class First(Request[float]):
    """The first number: nothing is computed, so only the way is measured."""

    array: Numbers


@message
class Echo(Request[Numbers]):
    """The same array back."""

    array: Numbers


@message
class Blob(Request[int]):
    """Bytes; their number comes back."""

    data: bytes


@message
class Arrays(StreamRequest[Numbers]):
    count: int
    size: int


class Player(Actor):
    notes = 0

    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y

    @receive
    def note(self, _msg: Note) -> None:
        self.notes += 1

    @receive
    def noted(self, _msg: Noted) -> int:
        notes, self.notes = self.notes, 0
        return notes

    @receive
    def pid(self, _msg: Pid) -> int:
        return os.getpid()

    @receive
    def first(self, msg: First) -> float:
        return float(msg.array[0])

    @receive
    def echo(self, msg: Echo) -> Numbers:
        return msg.array

    @receive
    def blob(self, msg: Blob) -> int:
        return len(msg.data)

    @receive
    def arrays(self, msg: Arrays) -> Iterator[Numbers]:
        array = np.ones(msg.size)
        for _ in range(msg.count):
            yield array


class AsyncPlayer(Actor):
    """The same as `Player.add` in an actor whose handler is a coroutine."""

    @receive
    async def add(self, msg: Add) -> float:
        return msg.x + msg.y
