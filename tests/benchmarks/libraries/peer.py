"""One other library doing what `cast.Player` does.  Run by an environment that has it, not ours.

    python peer.py pyro5        says `ready` and the words it knows, then reads, a line each:
    trip 200                    ─► seconds of one call, as the mean of 200 in turn
    many 500                    ─► calls a second with 500 in flight
    tell 500                    ─► messages a second that nobody answers, until all are handled
    fan-in 200                  ─► calls a second of four processes together, each 200 in turn
    sent 8388608                ─► seconds until a number has answered so many bytes
    echo 8388608                ─► seconds until they are back
                                   (both: 0 where that takes too long)
    spawn 20                    ─► seconds until 20 new processes have answered
    kill 1                      ─► seconds for its pid, a kill -9 and the next answer
    memory 1                    ─► MiB that would end with the player's process

Who asks and who answers are processes of one host, as ours are.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from play import CLIENTS, Play

AT_ONCE = 16 << 20
"""Bytes that are sent for one figure, at least twice: as many as ours."""


def words(play: Play) -> dict[str, Callable[[int], float]]:
    """Return what can be measured of a library."""
    found: dict[str, Callable[[int], float]] = {
        "trip": lambda count: _seconds(play.trip, count) / count,
        "memory": lambda _count: _unique(play.pid()),
    }
    for word, act, clients in (
        ("many", play.many, 1),
        ("tell", play.tell, 1),
        ("fan-in", play.fan_in, CLIENTS),
    ):
        if act is not None:
            found[word] = _rate(act, clients)
    for word, move in (("sent", play.sent), ("echo", play.echo)):
        if move is not None:
            found[word] = _moved(play, move)
    if (spawn := play.spawn) is not None:
        found["spawn"] = lambda count: _spawned(spawn, count)
    if (fall := play.fall) is not None:
        found["kill"] = lambda _count: _seconds(fall)
    return found


def _seconds(act: Callable[..., object], *arguments: Any) -> float:
    begun = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - begun


def _rate(act: Callable[[int], object], clients: int) -> Callable[[int], float]:
    return lambda count: clients * count / _seconds(act, count)


def _moved(play: Play, move: Callable[[Any], object]) -> Callable[[int], float]:
    def measure(size: int) -> float:
        if size > play.most_data:
            return 0.0
        what, turns = play.data(size), max(2, AT_ONCE // size)
        return sum(_seconds(move, what) for _ in range(turns)) / turns

    return measure


def _spawned(spawn: Callable[[int], Callable[[], object]], count: int) -> float:
    begun = time.perf_counter()
    end = spawn(count)
    took = time.perf_counter() - begun
    end()
    return took


def _unique(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kibibytes = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return kibibytes / 1024


def measure(library: Any, answers: TextIO) -> None:
    """Answer each word on standard input with a figure."""
    with library.play() as play:
        play.trip(1)
        known = words(play)
        print("ready", *known, file=answers, flush=True)
        for line in sys.stdin:
            what, count = line.split()
            print(known[what](int(count)), file=answers, flush=True)


def call(library: Any, where: str, answers: TextIO) -> None:
    """Be one client of a fan-in."""
    with library.calls(where) as trip:
        trip(1)
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            trip(int(line))
            print("done", file=answers, flush=True)


def serve(library: Any, where: str, answers: TextIO) -> None:
    """Be the server, until standard input ends."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    library.serve(where, lambda: print("ready", file=answers, flush=True))


ROLES = {"call": call, "serve": serve}


def main(kind: str, role: str = "measure", *where: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    library = import_module(f"with_{kind}")
    ROLES.get(role, measure)(library, *where, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
