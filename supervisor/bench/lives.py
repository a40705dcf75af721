"""Processes: how fast they come back, and what they weigh."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

import psutil

import supervisor
from actors import ActorRef
from supervisor import Child, Intensity, Tree
from supervisor.bench.cast import Pid, Player
from supervisor.bench.figures import Figure, compared, quantile

ACTORS = 20
FORKED = "a process of multiprocessing's fork server"
REST = 0.3
"""Seconds between two falls."""


def kill(repeats: int) -> list[Figure]:
    """Kill -9 from outside, until a restarted actor has answered; each one falls once, in turn.

    Half of them have a spare. Between two falls the machine gets a rest, or the making of the next
    spare would be measured with the other half.
    """
    kills = 2 * repeats
    names = {spare: [f"player-{spare}-{number}" for number in range(kills)] for spare in (0, 1)}
    children = [
        Child(Player, name=name, spare=spare) for spare, each in names.items() for name in each
    ]
    times: dict[int, list[float]] = {0: [], 1: []}
    with supervisor.start(Tree(intensity=Intensity(10 * kills, 5.0), children=children)) as system:
        for name in names[0]:
            system.ref(name).wait_ready(60.0)
        while any(system.status().actor(name).spare is None for name in names[1]):
            time.sleep(REST)
        for number in range(kills):
            for spare, each in names.items():
                time.sleep(REST)
                times[spare].append(_fall(system.ref(each[number])))
    return [
        recovery("kill -9 to next answer", times[0]),
        recovery("kill -9 to next answer, with a spare", times[1]),
    ]


def _fall(player: ActorRef) -> float:
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
    with supervisor.start() as system:
        players = [system.spawn(Player, name=f"player-{number}") for number in range(ACTORS)]
        pids = [player.ask(Pid()).result() for player in players]
        status = system.status()
        sizes = [_unique(pid) for pid in pids]
        figures = [
            compared("memory of an idle actor, unique", "MiB", sizes, _forked(), beside=FORKED),
            Figure("memory of the supervisor, unique", _unique(status.pid), "MiB"),
        ]
        if status.broker_pid is not None:
            figures.append(
                Figure("memory of the broker, unique", _unique(status.broker_pid), "MiB")
            )
    return figures


def _forked() -> list[float]:
    """Return what as many processes weigh that have nothing to do but to answer once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "supervisor.bench.births"])
    pipes = [context.Pipe() for _ in range(ACTORS)]
    processes = [context.Process(target=_wait, args=(theirs,)) for _, theirs in pipes]
    for process in processes:
        process.start()
    for ours, _ in pipes:
        ours.recv_bytes()
    sizes = [_unique(process.pid) for process in processes if process.pid is not None]
    for (ours, _), process in zip(pipes, processes, strict=True):
        ours.send_bytes(b"end")
        process.join()
    return sizes


def _wait(pipe: Connection[bytes, bytes]) -> None:
    pipe.send_bytes(b"here")
    pipe.recv_bytes()


def _unique(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / (1 << 20)
