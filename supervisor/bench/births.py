"""Processes: how fast they come, beside a preloaded fork server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeAlias

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.forked import FORKED, MODULES, Forked
from supervisor.system import System

ACTORS = 20

ForEach: TypeAlias = Callable[[Callable[[str], float], list[str]], Iterable[float]]

in_turn: ForEach = map
_turns = count()


def spawn(repeats: int) -> list[Figure]:
    """Actors that are added to a running system, until each has answered.

    Half of the systems have imported the actor's module in advance, as the fork server has.
    """
    with supervisor.start() as plain, supervisor.start(preload=MODULES) as ready:
        first = spawned(plain, 1, in_turn)
        forked = Forked()
        with ThreadPoolExecutor(ACTORS) as pool:
            at_once = pool.map
            times = rounds(
                max(3, repeats // 2),
                {
                    "one": lambda: spawned(plain, 1, in_turn),
                    "one, preloaded": lambda: spawned(ready, 1, in_turn),
                    "in turn": lambda: spawned(plain, ACTORS, in_turn),
                    "at once": lambda: spawned(plain, ACTORS, at_once),
                    "at once, preloaded": lambda: spawned(ready, ACTORS, at_once),
                    FORKED: lambda: forked.spawn(1),
                    "their 20": lambda: forked.spawn(ACTORS),
                },
            )

    def row(label: str, which: str, theirs: str, beside: str) -> Figure:
        label = f"spawn to first answer, {label}"
        return compared(label, "ms", times[which], times[theirs], beside=beside)

    twenty = f"{ACTORS} of the same"
    return [
        Figure("spawn to first answer, the system's first", first, "ms"),
        row("a later one", "one", FORKED, FORKED),
        row("module preloaded", "one, preloaded", FORKED, FORKED),
        row(f"{ACTORS} in turn", "in turn", "their 20", twenty),
        row(f"{ACTORS} threads at once", "at once", "their 20", twenty),
        row("the same, module preloaded", "at once, preloaded", "their 20", twenty),
    ]


def spawned(system: System, wanted: int, for_each: ForEach) -> float:
    """Return the milliseconds until so many new actors have answered."""
    names = [f"player-{next(_turns)}" for _ in range(wanted)]

    def ask(name: str) -> float:
        return system.spawn(Player, name=name).ask(Add(1, 2)).result()

    begun = time.perf_counter()
    list(for_each(ask, names))
    took = (time.perf_counter() - begun) * 1e3
    for name in names:
        system.stop(name)
    return took
