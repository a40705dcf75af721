"""Large arrays, beside the copy that nobody can avoid, and beside raw pyzmq."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

import supervisor
from actors import ActorRef
from supervisor.bench.cast import Add, Arrays, Echo, First, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage

MIB: Final = 1 << 20
SIZES: Final = (1, 8, 64)
TOGETHER: Final = 64
"""MiB that the arrays of one turn have together."""

ITEMS: Final = 20
TURNS: Final = 5
ASKS: Final = 30

COPY: Final = "one memcpy"
RAW: Final = "raw pyzmq, not copied"
EMPTY: Final = "an ask without array"


def arrays(repeats: int, sizes: tuple[int, ...] = SIZES) -> list[Figure]:
    """Arrays there, there and back, and without a copy; a stream of them."""
    with supervisor.start() as system, Stage(large=True) as raw:
        player = system.spawn(Player, name="player")
        figures = [one for size in sizes for one in _of_size(system, player, raw, size, repeats)]
        return [*figures, _streamed(player, repeats)]


def _of_size(
    system: supervisor.System, player: ActorRef, raw: Stage, size: int, repeats: int
) -> list[Figure]:
    count = max(2, TOGETHER // size // 4)
    array = np.ones(size * MIB // 8)
    target, data = np.empty_like(array), array.data.cast("B")

    def flight() -> None:
        for reply in [player.ask(First(array)) for _ in range(count)]:
            reply.result()

    without: list[float] = []
    times = rounds(
        repeats,
        {
            "sent": _each(count, lambda: player.ask(First(array)).result()),
            "flight": _each(1, flight, count),
            "echoed": _each(count, lambda: echo(player, array)),
            "born": lambda: ask_of_born(system, player, array.size, without),
            "made": lambda: _make_born(system, array.size),
            "raw": _each(count, lambda: raw.send_large(data)),
            "raw echo": _each(count, lambda: raw.echo_large(data)),
            "copy": _each(count, lambda: np.copyto(target, array)),
        },
    )
    speeds = {name: [size * MIB / one / 1e9 for one in found] for name, found in times.items()}
    times["empty"] = without[1:]
    micro = {name: [one * 1e6 for one in found] for name, found in times.items()}
    name, copies = f"{size} MiB array", speeds["copy"]
    return [
        compared(f"{name}, sent by value", "GB/s", speeds["sent"], copies, beside=COPY),
        compared(f"{name}, sent by value", "GB/s", speeds["sent"], speeds["raw"], beside=RAW),
        compared(f"{name}, {count} in flight", "GB/s", speeds["flight"], copies, beside=COPY),
        compared(
            f"{name}, there and back", "GB/s", speeds["echoed"], speeds["raw echo"], beside=RAW
        ),
        compared(f"{name}, born shared", "us", micro["born"], micro["empty"], beside=EMPTY),
        compared(f"{name}, made to be shared", "us", micro["made"], micro["copy"], beside=COPY),
    ]


def _streamed(player: ActorRef, repeats: int) -> Figure:
    count = 8 * MIB // 8
    array, target = np.ones(count), np.empty(count)

    def stream() -> None:
        assert sum(1 for _ in player.stream(Arrays(ITEMS, count))) == ITEMS

    times = rounds(
        repeats,
        {"stream": _each(1, stream, ITEMS), "copy": _each(5, lambda: np.copyto(target, array))},
    )
    speeds = {name: [8 * MIB / one / 1e9 for one in found] for name, found in times.items()}
    return compared("stream of 8 MiB arrays", "GB/s", speeds["stream"], speeds["copy"], beside=COPY)


def _each(turns: int, act: Callable[[], object], arrays: int = 1) -> Callable[[], float]:
    """Seconds per array of an act that moves so many."""

    def run() -> float:
        begun = time.perf_counter()
        for _ in range(turns):
            act()
        return (time.perf_counter() - begun) / turns / arrays

    return run


def ask_of_born(
    system: supervisor.System, player: ActorRef, count: int, without: list[float]
) -> float:
    """Seconds of an ask with an array that was born shared: the array itself is not copied.

    Those of an ask without array go to `without`.  They take turns, one by one, each after the same
    pause, and the median counts: of a few asks one may have waited for a processor.
    """
    times: dict[type[object], list[float]] = {First: [], Add: []}
    for turn in range(ASKS):
        fresh = system.empty(count)
        fresh[0] = 1.0  # whoever computes in place writes it all; here nobody does
        one = First(fresh) if turn % 2 else Add(1, 2)
        begun = time.perf_counter()
        player.ask(one).result()
        times[type(one)].append(time.perf_counter() - begun)
    without.append(statistics.median(times[Add]))
    return statistics.median(times[First])


def _make_born(system: supervisor.System, count: int) -> float:
    """Seconds until there is an array to compute in; it goes back at once."""
    total = 0.0
    for _ in range(TURNS):
        begun = time.perf_counter()
        fresh = system.empty(count)
        fresh[0] = 1.0
        total += time.perf_counter() - begun
        del fresh
    return total / TURNS


def echo(player: ActorRef, array: npt.NDArray[np.float64]) -> None:
    """Send an array there and back."""
    assert player.ask(Echo(array)).result()[-1] == array[-1]
