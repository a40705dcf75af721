"""Processes: how fast they come, beside a preloaded fork server."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds

ACTORS = 20

FORKED = "multiprocessing's fork server, preloaded"


def spawn(repeats: int) -> list[Figure]:
    """Actors that are added to a running system, until each has answered."""
    turn = 0

    def names(count: int) -> list[str]:
        nonlocal turn
        turn += 1
        return [f"player-{turn}-{number}" for number in range(count)]

    with supervisor.start() as system:

        def one(name: str) -> float:
            return system.spawn(Player, name=name).ask(Add(1, 2)).result()

        def measure(spawn_all: Callable[[list[str]], object], count: int) -> float:
            wanted = names(count)
            begun = time.perf_counter()
            spawn_all(wanted)
            took = (time.perf_counter() - begun) * 1e3
            for name in wanted:
                system.stop(name)
            return took

        first = measure(lambda wanted: one(wanted[0]), 1)
        forked = _Forked()
        with ThreadPoolExecutor(ACTORS) as pool:
            times = rounds(
                max(3, repeats // 2),
                {
                    "one": lambda: measure(lambda wanted: one(wanted[0]), 1),
                    "in turn": lambda: measure(
                        lambda wanted: [one(name) for name in wanted], ACTORS
                    ),
                    "at once": lambda: measure(lambda wanted: list(pool.map(one, wanted)), ACTORS),
                    FORKED: lambda: forked.spawn(1),
                    "their 20": lambda: forked.spawn(ACTORS),
                },
            )
    theirs, twenty = times[FORKED], times["their 20"]
    return [
        Figure("spawn to first answer, the system's first", first, "ms"),
        compared("spawn to first answer, a later one", "ms", times["one"], theirs, beside=FORKED),
        compared(
            f"spawn to first answer, {ACTORS} in turn",
            "ms",
            times["in turn"],
            twenty,
            beside=f"{ACTORS} of the same",
        ),
        compared(
            f"spawn to first answer, {ACTORS} threads at once",
            "ms",
            times["at once"],
            twenty,
            beside=f"{ACTORS} of the same",
        ),
    ]


class _Forked:
    """Processes of multiprocessing's fork server, which has imported what ours has."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", "supervisor.bench.births"])
        self.spawn(1)  # the server itself

    def spawn(self, count: int) -> float:
        """Return the milliseconds until each of so many has answered."""
        begun = time.perf_counter()
        started = [self._begin() for _ in range(count)]
        for _, ours in started:
            ours.send_bytes(b"ask")
        for _, ours in started:
            ours.recv_bytes()
        took = (time.perf_counter() - begun) * 1e3
        for process, ours in started:
            ours.close()
            process.join()
        return took

    def _begin(self) -> tuple[BaseProcess, Any]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_answer, args=(theirs,))
        process.start()
        theirs.close()
        return process, ours


def _answer(pipe: Connection[bytes, bytes]) -> None:
    pipe.send_bytes(pipe.recv_bytes())
