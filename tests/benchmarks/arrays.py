"""Large arrays, beside the copy that nobody can avoid."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import supervisor
from actors import ActorRef
from tests.benchmarks.cast import Arrays, First, Player
from tests.benchmarks.figures import Figure, compared, rounds

SIZE = (8 << 20) // 8  # float64: 8 MiB
ASKS = 10
ITEMS = 20

COPY = "one memcpy"


def _speed(count: int, act: Callable[[], object]) -> Callable[[], float]:
    """GB/s of an act that moves `count` arrays."""

    def run() -> float:
        begun = time.perf_counter()
        act()
        return count * SIZE * 8 / (time.perf_counter() - begun) / 1e9

    return run


def _born(system: supervisor.System, player: ActorRef) -> None:
    for _ in range(ASKS):
        fresh = system.empty(SIZE)
        fresh[0] = 1.0  # whoever computes in place writes it all; here nobody does
        player.ask(First(fresh)).result()


def arrays(repeats: int) -> list[Figure]:
    """An array in and a float out; a stream of arrays."""
    array, target = np.ones(SIZE), np.empty(SIZE)
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")

        def in_turn() -> None:
            for _ in range(ASKS):
                player.ask(First(array)).result()

        def in_flight() -> None:
            for reply in [player.ask(First(array)) for _ in range(ASKS)]:
                reply.result()

        def stream() -> None:
            assert sum(1 for _ in player.stream(Arrays(ITEMS, SIZE))) == ITEMS

        def copy() -> None:
            for _ in range(ASKS):
                np.copyto(target, array)

        speeds = rounds(
            repeats,
            {
                "in turn": _speed(ASKS, in_turn),
                "in flight": _speed(ASKS, in_flight),
                "born": _speed(ASKS, lambda: _born(system, player)),
                "stream": _speed(ITEMS, stream),
                COPY: _speed(ASKS, copy),
            },
        )
    copies = speeds[COPY]
    return [
        compared("8 MiB array in, float out", "GB/s", speeds["in turn"], copies, beside=COPY),
        compared(f"the same, {ASKS} in flight", "GB/s", speeds["in flight"], copies, beside=COPY),
        compared("born shared, in turn", "GB/s", speeds["born"], copies, beside=COPY),
        compared("stream of 8 MiB arrays", "GB/s", speeds["stream"], copies, beside=COPY),
    ]
