"""Processes: how fast they come, how fast they come back, what they weigh."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

import supervisor
from actors import ActorRef
from supervisor import Intensity, System, Tree
from tests.benchmarks.cast import Add, Note, Noted, Pid, Player
from tests.benchmarks.figures import Figure, compared, quantile, rounds

ACTORS = 20
KILLS = 30
MESSAGES = 100_000

BARE = "python -c pass"
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
        command = [sys.executable, "-m", "tests.benchmarks.cast"]
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

        def one(name: str) -> None:
            system.spawn(Player, name=name).ask(Add(1, 2)).result()

        def measure(spawn_all: Callable[[list[str]], object], count: int) -> float:
            wanted = names(count)
            begun = time.perf_counter()
            spawn_all(wanted)
            took = (time.perf_counter() - begun) * 1e3
            for name in wanted:
                system.stop(name)
            return took

        first = measure(lambda wanted: one(wanted[0]), 1)
        with ThreadPoolExecutor(ACTORS) as pool:
            times = rounds(
                max(3, repeats // 2),
                {
                    "one": lambda: measure(lambda wanted: one(wanted[0]), 1),
                    "in turn": lambda: measure(
                        lambda wanted: [one(name) for name in wanted], ACTORS
                    ),
                    "at once": lambda: measure(lambda wanted: list(pool.map(one, wanted)), ACTORS),
                    BARE: _interpreter("pass"),
                },
            )
    return [
        Figure("spawn to first answer, the system's first", first, "ms"),
        compared(
            "spawn to first answer, a later one", "ms", times["one"], times[BARE], beside=BARE
        ),
        compared(f"spawn to first answer, {ACTORS} in turn", "ms", times["in turn"]),
        compared(f"spawn to first answer, {ACTORS} threads at once", "ms", times["at once"]),
    ]


def kill(_repeats: int) -> list[Figure]:
    """Kill -9 from outside, until a restarted actor has answered; each one falls once."""
    times: list[float] = []
    enduring = Tree(intensity=Intensity(10 * KILLS, 5.0))
    with _silent(), supervisor.start(enduring) as system:
        players = [system.spawn(Player, name=f"player-{number}") for number in range(KILLS)]
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
    with _silent(), supervisor.start() as system, supervisor.start(relay=True) as relayed:
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

        figures = []
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


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Start processes whose warnings nobody sees: the supervisor reports every kill."""
    usual = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(usual, 2)
        os.close(usual)


def _unique(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / (1 << 20)


def _resident(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1024
