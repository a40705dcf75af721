"""What an ask costs as things grow: bytes, actors, clients."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import attrs

import supervisor
from actors import ActorRef
from supervisor.bench.cast import Add, Blob, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage
from supervisor.bench.talk import DIRECT, timed

SIZES = (64, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20)
ACTORS = (1, 10, 100, 500)
CLIENTS = (1, 10, 100, 1000)
MOST = 100
"""Actors, and clients, unless `UNDERSTUDY_BENCH_MOST` says another number."""

ASKS = 200


def _most(steps: tuple[int, ...]) -> list[int]:
    most = int(os.environ.get("UNDERSTUDY_BENCH_MOST", MOST))
    return [step for step in steps if step <= most]


def sizes(repeats: int) -> list[Figure]:
    """An ask with so many bytes, and the same in raw pyzmq."""
    figures = []
    with supervisor.start() as system, Stage(large=True) as raw:
        player = system.spawn(Player, name="player")
        for size in SIZES:
            data = bytes(size)
            turns = max(2, min(ASKS, (16 << 20) // size))
            times = rounds(
                max(3, repeats // 2),
                {
                    "ours": timed(turns, lambda data=data: player.ask(Blob(data)).result()),
                    "raw": timed(turns, lambda data=data: raw.send_large(memoryview(data))),
                },
            )
            micro = {name: [one * 1e6 for one in found] for name, found in times.items()}
            name = f"ask with {_bytes(size)}"
            figures.append(
                _at(size, compared(name, "us", micro["ours"], micro["raw"], beside=DIRECT))
            )
    return figures


def actors(repeats: int) -> list[Figure]:
    """Round trips to actor after actor, of more and more."""
    figures: list[Figure] = []
    with supervisor.start() as system, ThreadPoolExecutor(8) as pool:
        refs = [system.spawn(Player, name="player")]
        one = timed(ASKS, lambda: refs[0].ask(Add(1, 2)).result())
        for count in _most(ACTORS):
            names = [f"player-{number}" for number in range(len(refs), count)]
            begun = time.perf_counter()
            refs += pool.map(lambda name: system.spawn(Player, name=name), names)
            took = (time.perf_counter() - begun) / max(1, len(names)) * 1e3
            for ref in refs:
                ref.ask(Add(1, 2)).result()  # acquainted, so that what follows is direct
            times = rounds(repeats, {"ours": _in_turn(refs), "one": one})
            micro = {name: [each * 1e6 for each in found] for name, found in times.items()}
            figures.append(
                _at(
                    count,
                    compared(
                        f"ask, {count} actors in turn",
                        "us",
                        micro["ours"],
                        micro["one"],
                        beside="always the same one",
                    ),
                )
            )
            if names:
                figures.append(Figure(f"spawn of each, up to {count}", took, "ms"))
    return figures


def _in_turn(refs: list[ActorRef]) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        for number in range(ASKS):
            refs[number % len(refs)].ask(Add(1, 2)).result()
        return (time.perf_counter() - begun) / ASKS

    return run


def clients(repeats: int) -> list[Figure]:
    """Asks a second to one actor from more and more connections of one program."""
    _many_files()
    figures: list[Figure] = []
    name = f"bench-{os.getpid()}"
    with supervisor.start(name=name) as system:
        system.spawn(Player, name="player")
        joined: list[supervisor.System] = []
        try:
            for count in _most(CLIENTS):
                joined += [supervisor.connect(name) for _ in range(count - len(joined))]
                refs = [one.ref("player") for one in joined]
                found = rounds(max(3, repeats // 3), {"ours": lambda refs=refs: _at_once(refs)})
                title = f"asks, {count} clients, one each in flight"
                figures.append(_at(count, compared(title, "/s", found["ours"])))
        finally:
            for one in joined:
                one.close()
    return figures


def _at_once(refs: list[ActorRef]) -> float:
    turns, begun = max(1, ASKS // len(refs)), time.perf_counter()
    for _ in range(turns):
        for reply in [ref.ask(Add(1, 2)) for ref in refs]:
            reply.result()
    return turns * len(refs) / (time.perf_counter() - begun)


def _at(amount: int, figure: Figure) -> Figure:
    return attrs.evolve(figure, at=float(amount))


def _many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _bytes(size: int) -> str:
    for unit, step in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size // step} {unit}"
    return f"{size} B"
