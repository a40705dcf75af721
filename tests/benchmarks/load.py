"""What an ask costs as things grow: bytes, actors, clients."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle

import attrs
import psutil

import supervisor
from actors import ActorRef
from supervisor.bench.cast import Add, Blob, Player
from supervisor.bench.crowd import Crowd
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage
from supervisor.bench.talk import DIRECT, timed

SIZES = (64, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20)
ACTORS = (1, 10, 100, 500)
CLIENTS = (1, 10, 100, 1000)
ACTOR_BYTES = 15 << 20
"""Memory there shall be for each."""

ASKS = 200


def _most(steps: tuple[int, ...]) -> list[int]:
    """Return what `UNDERSTUDY_BENCH_MOST` leaves of some numbers of actors or clients."""
    most = int(os.environ.get("UNDERSTUDY_BENCH_MOST", max(steps)))
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
    with supervisor.start() as system, ThreadPoolExecutor(8) as pool, Stage() as raw:
        refs = [system.spawn(Player, name="player")]
        one = timed(ASKS, lambda: refs[0].ask(Add(1, 2)).result())
        for count in _most(ACTORS):
            names = [f"player-{number}" for number in range(len(refs), count)]
            if ACTOR_BYTES * len(names) > psutil.virtual_memory().available:
                _say(f"{count} actors: left out, this machine has too little memory for them")
                break
            begun = time.perf_counter()
            refs += pool.map(lambda name: system.spawn(Player, name=name), names)
            took = (time.perf_counter() - begun) / max(1, len(names)) * 1e3
            for ref in refs:
                ref.ask(Add(1, 2)).result()  # acquainted, so that what follows is direct
            times = rounds(
                max(3, repeats // 2),
                {"ours": _in_turn(refs), "one": one, "raw": timed(ASKS, raw.ask)},
            )
            micro = {name: [each * 1e6 for each in found] for name, found in times.items()}
            ours, title = micro["ours"], f"ask, {count} actor{'s' * (count > 1)} in turn"
            figures += [
                _at(count, compared(title, "us", ours, micro["raw"], beside=DIRECT)),
                compared(title, "us", ours, micro["one"], beside="always the same one"),
            ]
            if names:
                figures.append(Figure(f"spawn of each, up to {count}", took, "ms"))
        begun = time.perf_counter()
    took = (time.perf_counter() - begun) * 1e3
    return [*figures, Figure(f"end of a system of {len(refs)}", took, "ms")]


def _in_turn(refs: list[ActorRef]) -> Callable[[], float]:
    turn = cycle(refs)
    return timed(ASKS, lambda: next(turn).ask(Add(1, 2)).result())


def clients(repeats: int) -> list[Figure]:
    """Asks a second to one actor from more and more connections, of four programs at the most."""
    figures: list[Figure] = []
    name = f"bench-{os.getpid()}"
    with supervisor.start(name=name) as system, Stage() as stage:
        system.spawn(Player, name="player")
        for count in _most(CLIENTS):
            programs = next(each for each in (4, 2, 1) if count % each == 0)
            with ExitStack() as stack:
                crowds = {
                    kind: Crowd(kind, where, programs, count // programs)
                    for kind, where in (("ours", name), ("raw", stage.endpoint))
                }
                for one in crowds.values():
                    stack.callback(one.close)
                found = rounds(
                    max(3, repeats // 3), {kind: one.rate for kind, one in crowds.items()}
                )
            title = f"asks, {count} client{'s' * (count > 1)}, one each in flight"
            figures.append(
                _at(count, compared(title, "/s", found["ours"], found["raw"], beside=DIRECT))
            )
    return figures


def _at(amount: int, figure: Figure) -> Figure:
    return attrs.evolve(figure, at=float(amount))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _bytes(size: int) -> str:
    for unit, step in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size // step} {unit}"
    return f"{size} B"
