"""Processes: how fast they come, beside an interpreter and a preloaded fork server."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
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

BARE = "python -c pass"
FORKED = "multiprocessing's fork server, preloaded"
IMPORTS = "python -c 'import numpy, zmq, psutil, attrs, msgspec'"


def _interpreter(code: str) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.perf_counter() - begun) * 1e3

    return run


def start(repeats: int) -> list[Figure]:
    """From nothing to the first answer."""

    def first_answer() -> float:
        begun = time.perf_counter()
        with supervisor.start() as system:
            system.spawn(Player, name="player").ask(Add(1, 2)).result()
            return (time.perf_counter() - begun) * 1e3

    def only_start() -> float:
        begun = time.perf_counter()
        with supervisor.start():
            return (time.perf_counter() - begun) * 1e3

    def script() -> float:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "supervisor.bench.cast"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            return (time.perf_counter() - begun) * 1e3

    times = rounds(
        max(3, repeats // 4),
        {
            "answer": first_answer,
            "start": only_start,
            "script": script,
            BARE: _interpreter("pass"),
            IMPORTS: _interpreter("import numpy, zmq, psutil, attrs, msgspec"),
        },
    )
    return [
        compared("start() returns", "ms", times["start"], times[IMPORTS], beside=IMPORTS),
        compared("start() to first answer", "ms", times["answer"], times[IMPORTS], beside=IMPORTS),
        compared(
            "a script, to first answer", "ms", times["script"], times[IMPORTS], beside=IMPORTS
        ),
        compared("the same", "ms", times["script"], times[BARE], beside=BARE),
    ]


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
