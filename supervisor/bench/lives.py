"""Processes: how fast they come back, and what they weigh."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import Final

import psutil

import supervisor
from actors import ActorRef
from supervisor import Child, Intensity, Tree
from supervisor.bench.cast import Pid, Player
from supervisor.bench.figures import Figure, compared, quantile
from supervisor.bench.forked import FORKED, MODULES, Forked
from supervisor.system import System

ACTORS = 20
REST = 0.3
"""Seconds between two falls."""


KINDS: Final = {"": 0, ", with a spare": 1, ", module preloaded": 0, ", with both": 1}
"""How an actor may be made to come back sooner, and how many spares it has then."""

PRELOADED: Final = (", module preloaded", ", with both")


def kill(repeats: int) -> list[Figure]:
    """Kill -9 from outside, until a restarted actor has answered; each one falls once, in turn.

    Between two falls the machine gets a rest, or the making of the next spare would be measured
    with those that have none.
    """
    kills = 2 * repeats
    times: dict[str, list[float]] = {kind: [] for kind in (*KINDS, FORKED)}
    forked = Forked()
    with ExitStack() as stack:
        systems = {
            kind: stack.enter_context(
                supervisor.start(troupe(kills, spare), preload=MODULES if kind in PRELOADED else ())
            )
            for kind, spare in KINDS.items()
        }
        for kind, spare in KINDS.items():
            await_troupe(systems[kind], kills, spare)
        for number in range(kills):
            for kind, system in systems.items():
                time.sleep(REST)
                times[kind].append(fall(system.ref(f"player-{number}")))
            times[FORKED].append(forked.fall())
    return [
        *(recovery(f"kill -9 to next answer{kind}", times[kind]) for kind in KINDS),
        recovery(f"the same, by hand with {FORKED}", times[FORKED]),
    ]


def troupe(kills: int, spare: int) -> Tree:
    """Return a tree of actors, `player-0` and so on, each of which is to fall once."""
    children = [Child(Player, name=f"player-{number}", spare=spare) for number in range(kills)]
    return Tree(intensity=Intensity(10 * kills, 5.0), children=children)


def await_troupe(system: System, kills: int, spare: int) -> None:
    """Return when all of them are there, and their spares."""
    for number in range(kills):
        system.ref(f"player-{number}").wait_ready(60.0)
        while spare and system.status().actor(f"player-{number}").spare is None:
            time.sleep(REST)


def fall(player: ActorRef) -> float:
    """Return the milliseconds from a kill -9 to the next answer."""
    pid = player.ask(Pid()).result()
    begun = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    now = player.ask(Pid(), timeout=10.0).result()
    took = (time.perf_counter() - begun) * 1e3
    assert now != pid
    return took


def recovery(label: str, times: list[float], circumstances: str = "") -> Figure:
    """Make a figure of the times, in ms, until all was well again."""
    return Figure(
        label,
        quantile(times, 0.5),
        "ms",
        low=quantile(times, 0.5),
        high=quantile(times, 0.99),
        note=f"p50 .. p99 of {len(times)} kills{circumstances}",
    )


def memory() -> list[Figure]:
    """Memory that ends with an idle actor, and what the rest of a system weighs."""
    with supervisor.start() as system, supervisor.start(preload=MODULES) as ready:
        sizes, shared = _weigh(system), _weigh(ready)
        theirs = Forked().weigh(ACTORS, unique)
        status = system.status()
        figures = [
            compared("memory of an idle actor, unique", "MiB", sizes, theirs, beside=FORKED),
            compared("the same, module preloaded", "MiB", shared, theirs, beside=FORKED),
            Figure("memory of the supervisor, unique", unique(status.pid), "MiB"),
        ]
        if status.broker_pid is not None:
            figures.append(Figure("memory of the broker, unique", unique(status.broker_pid), "MiB"))
    return figures


def _weigh(system: System) -> list[float]:
    players = [system.spawn(Player, name=f"player-{number}") for number in range(ACTORS)]
    return [unique(pid) for pid in [player.ask(Pid()).result() for player in players]]


def unique(pid: int) -> float:
    """Return the MiB that would end with a process."""
    return float(psutil.Process(pid).memory_full_info().uss) / (1 << 20)
