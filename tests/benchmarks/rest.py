"""A system at rest: what it takes when it does nothing, and keeps when it has done much."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil

import supervisor
from actors import ActorRef
from supervisor import System
from supervisor.bench.cast import Add, Note, Noted, Pid, Player
from supervisor.bench.figures import Figure

MESSAGES = 100_000
CROWD = 100
THREADS = 20
QUIET = 10.0
"""Seconds in which nobody does anything."""


def idle(count: int = CROWD, seconds: float = QUIET) -> list[Figure]:
    """What a system with many actors that do nothing takes of a core."""
    with supervisor.start() as system, ThreadPoolExecutor(THREADS) as pool:
        names = [f"player-{number}" for number in range(count)]
        list(pool.map(partial(_spawn, system), names))
        time.sleep(2.0)  # what belongs to the start is over
        status = system.status()
        others = {status.pid, status.broker_pid or status.pid}
        everybody = [psutil.Process(status.pid)]
        everybody += everybody[0].children(recursive=True)
        before = {process: _worked(process) for process in everybody}
        begun = time.perf_counter()
        time.sleep(seconds)
        took = time.perf_counter() - begun
        share = {process: (_worked(process) - before[process]) / took for process in everybody}
    theirs = sum(one for process, one in share.items() if process.pid not in others)
    return [
        Figure(f"{count} idle actors", theirs * 100, "% of a core"),
        Figure("the same, supervisor and broker too", sum(share.values()) * 100, "% of a core"),
    ]


def _spawn(system: System, name: str) -> ActorRef:
    return system.spawn(Player, name=name)


def _worked(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def flat() -> list[Figure]:
    """What 100,000 asks and 100,000 tells leave behind in resident memory."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        status = system.status()
        processes = {"client": os.getpid(), "actor": player.ask(Pid()).result()}
        processes |= {"broker": status.broker_pid or 0, "supervisor": status.pid}

        def asks() -> None:
            for _ in range(MESSAGES // 1000):
                for reply in [player.ask(Add(1.5, 2.5)) for _ in range(1000)]:
                    reply.result()

        def tells() -> None:
            for _ in range(MESSAGES // 1000):
                for _ in range(1000):
                    player.tell(Note(1.5, 2.5))
                player.ask(Noted()).result()

        figures: list[Figure] = []
        for what, act in (("asks", asks), ("tells", tells)):
            act()  # fills what is kept once and for all: pools, caches, the allocator's arenas
            before = {name: _resident(pid) for name, pid in processes.items()}
            act()
            figures += [
                Figure(
                    f"{name} after {MESSAGES:,} {what}", _resident(pid) - before[name], "KiB more"
                )
                for name, pid in processes.items()
            ]
    return figures


def _resident(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1024
