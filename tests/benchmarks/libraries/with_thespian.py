"""Thespian: an actor in a process of its own, over TCP; messages are pickled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from play import Play
from thespian.actors import ActorExitRequest, ActorSystem, ActorTypeDispatcher

SECONDS = 60


@dataclass
class Add:
    x: float
    y: float


@dataclass
class Note:
    x: float
    y: float


class Noted:
    pass


class Pid:
    pass


@dataclass
class First:
    array: Any


@dataclass
class Echo:
    array: Any


class Player(ActorTypeDispatcher):
    notes = 0

    def receiveMsg_Add(self, message: Add, sender: Any) -> None:  # noqa: N802 - found by its name
        self.send(sender, message.x + message.y)

    def receiveMsg_Note(self, message: Note, sender: Any) -> None:  # noqa: N802
        self.notes += 1

    def receiveMsg_Noted(self, message: Noted, sender: Any) -> None:  # noqa: N802
        notes, self.notes = self.notes, 0
        self.send(sender, notes)

    def receiveMsg_Pid(self, message: Pid, sender: Any) -> None:  # noqa: N802
        self.send(sender, os.getpid())

    def receiveMsg_First(self, message: First, sender: Any) -> None:  # noqa: N802
        self.send(sender, float(message.array[0]))

    def receiveMsg_Echo(self, message: Echo, sender: Any) -> None:  # noqa: N802
        self.send(sender, message)  # an array alone cannot be an answer


class Stage:
    """A system with a player, and further ones as they are asked for."""

    def __init__(self) -> None:
        self._system = ActorSystem("multiprocTCPBase")
        self._player = self._system.createActor(Player)

    def close(self) -> None:
        self._system.shutdown()

    def ask(self, message: object) -> Any:
        return _some(self._system.ask(self._player, message, SECONDS))

    def trip(self, count: int) -> None:
        for _ in range(count):
            self.ask(Add(1.5, 2.5))

    def many(self, count: int) -> None:
        for _ in range(count):
            self._system.tell(self._player, Add(1.5, 2.5))
        for _ in range(count):
            _some(self._system.listen(SECONDS))

    def tell(self, count: int) -> None:
        for _ in range(count):
            self._system.tell(self._player, Note(1.5, 2.5))
        assert self.ask(Noted()) == count

    def spawn(self, count: int) -> Callable[[], object]:
        found = [self._system.createActor(Player) for _ in range(count)]
        for one in found:
            self._system.tell(one, Add(1.5, 2.5))
        for _ in found:
            _some(self._system.listen(SECONDS))

        def end() -> None:
            for one in found:
                self._system.tell(one, ActorExitRequest())

        return end


def _some(answer: Any) -> Any:
    assert answer is not None, f"no answer within {SECONDS} s"
    return answer


@contextmanager
def play() -> Iterator[Play]:
    stage = Stage()
    try:
        yield Play(
            trip=stage.trip,
            pid=lambda: stage.ask(Pid()),
            many=stage.many,
            tell=stage.tell,
            spawn=stage.spawn,
            most_data=8 << 20,  # 64 MiB take four seconds, there and back
            sent=lambda array: stage.ask(First(array)),
            echo=lambda array: stage.ask(Echo(array)),
        )
    finally:
        stage.close()
