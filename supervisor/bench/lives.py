"""Processes: how fast they come back, what they weigh, what they cost when they do nothing."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil

import supervisor
from actors import ActorRef
from supervisor import Intensity, System, Tree
from supervisor.bench.cast import Add, Note, Noted, Pid, Player
from supervisor.bench.figures import Figure, compared, quantile

ACTORS = 20
KILLS = 30
MESSAGES = 100_000
CROWD = 100
QUIET = 10.0
"""Seconds in which nobody does anything."""


def kill(_repeats: int, kills: int = KILLS) -> list[Figure]:
    """Kill -9 from outside, until a restarted actor has answered; each one falls once."""
    times: list[float] = []
    enduring = Tree(intensity=Intensity(10 * kills, 5.0))
    with supervisor.start(enduring) as system:
        players = [system.spawn(Player, name=f"player-{number}") for number in range(kills)]
        for player in players:
            pid = player.ask(Pid()).result()
            begun = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            now = player.ask(Pid(), timeout=10.0).result()
            times.append((time.perf_counter() - begun) * 1e3)
            assert now != pid
    return [_recovery("kill -9 to next answer", times)]


def broker(repeats: int) -> list[Figure]:
    """Kill -9 of the broker, until an ask that cannot do without it is answered."""
    with supervisor.start() as system, supervisor.start(relay=True) as relayed:
        known, relay = (one.spawn(Player, name="player") for one in (system, relayed))
        times = [_without_broker(relayed, relay) for _ in range(max(5, repeats))]
        apart = [_without_broker(system, known) for _ in range(max(5, repeats))]
    return [
        _recovery("broker kill to traffic restored", times, ", everything relayed"),
        _recovery("the same between parties that are acquainted", apart),
    ]


def _recovery(label: str, times: list[float], circumstances: str = "") -> Figure:
    return Figure(
        label,
        quantile(times, 0.5),
        "ms",
        low=quantile(times, 0.5),
        high=quantile(times, 0.99),
        note=f"p50 .. p99 of {len(times)} kills{circumstances}",
    )


def _without_broker(system: System, player: ActorRef) -> float:
    player.ask(Pid()).result()
    before = None
    while before is None:
        before = system.status().broker_pid
    begun = time.perf_counter()
    os.kill(before, signal.SIGKILL)
    player.ask(Pid(), timeout=30.0).result()
    took = (time.perf_counter() - begun) * 1e3
    while system.status().broker_pid in (None, before):
        pass
    return took


def memory(_repeats: int) -> list[Figure]:
    """Memory that ends with an idle actor, and what the rest of a system weighs."""
    with supervisor.start() as system:
        players = [system.spawn(Player, name=f"player-{number}") for number in range(ACTORS)]
        pids = [player.ask(Pid()).result() for player in players]
        status = system.status()
        sizes = [_unique(pid) for pid in pids]
        figures = [
            compared("memory of an idle actor, unique", "MiB", sizes),
            Figure("memory of the supervisor, unique", _unique(status.pid), "MiB"),
        ]
        if status.broker_pid is not None:
            figures.append(
                Figure("memory of the broker, unique", _unique(status.broker_pid), "MiB")
            )
    return figures


def idle(_repeats: int, count: int = CROWD, seconds: float = QUIET) -> list[Figure]:
    """What a system with many actors that do nothing takes of a core."""
    with supervisor.start() as system, ThreadPoolExecutor(ACTORS) as pool:
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


def flat(_repeats: int) -> list[Figure]:
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


def _unique(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / (1 << 20)


def _resident(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1024
