"""Ray: actors in processes of its workers; arrays go through its object store."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import ray
from play import CLIENTS, Play


@ray.remote
class Player:
    notes = 0

    def add(self, x: float, y: float) -> float:
        return x + y

    def note(self, x: float, y: float) -> None:
        self.notes += 1

    def noted(self) -> int:
        notes, self.notes = self.notes, 0
        return notes

    def pid(self) -> int:
        return os.getpid()

    def first(self, array: npt.NDArray[Any]) -> float:
        return float(array[0])

    def echo(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array


@ray.remote
class Asker:
    """One client of a fan-in."""

    def __init__(self, player: Any) -> None:
        self.player = player

    def trip(self, count: int) -> None:
        for _ in range(count):
            ray.get(self.player.add.remote(1.5, 2.5))


class Crowd:
    """Actors that ask another one, all at once; they start with the first question."""

    def __init__(self, player: Any) -> None:
        self._player = player
        self._clients: list[Any] = []

    def __call__(self, count: int) -> None:
        if not self._clients:
            self._clients = [Asker.remote(self._player) for _ in range(CLIENTS)]
        ray.get([one.trip.remote(count) for one in self._clients])


def spawn(count: int) -> Callable[[], object]:
    found = [Player.remote() for _ in range(count)]
    ray.get([one.add.remote(1.5, 2.5) for one in found])

    def end() -> None:
        for one in found:
            ray.kill(one)

    return end


@contextmanager
def play() -> Iterator[Play]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield _played(
            Player.remote(), Player.options(max_restarts=-1, max_task_retries=-1).remote()
        )
    finally:
        ray.shutdown()


def _played(player: Any, mortal: Any) -> Play:
    ray.get(mortal.pid.remote())  # both are there

    def trip(count: int) -> None:
        for _ in range(count):
            ray.get(player.add.remote(1.5, 2.5))

    def tell(count: int) -> None:
        for _ in range(count):
            player.note.remote(1.5, 2.5)
        assert ray.get(player.noted.remote()) == count

    def fall() -> None:
        pid = ray.get(mortal.pid.remote())
        os.kill(pid, signal.SIGKILL)
        assert ray.get(mortal.pid.remote()) != pid

    return Play(
        trip=trip,
        pid=lambda: ray.get(player.pid.remote()),
        many=lambda count: ray.get([player.add.remote(1.5, 2.5) for _ in range(count)]),
        tell=tell,
        fan_in=Crowd(player),
        spawn=spawn,
        fall=fall,
        sent=lambda array: ray.get(player.first.remote(array)),
        echo=lambda array: ray.get(player.echo.remote(array)),
    )
