"""The same asks to other libraries, in the same run: `make bench-peers`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage
from supervisor.bench.talk import DIRECT, ROUND_TRIPS, ask_many, rate, timed

LIBRARIES = {
    "pyro5": "Pyro5",
    "rpyc": "rpyc",
    "thespian": "thespian",
    "xoscar": "xoscar",
    "ray": "ray",
    "dask": "distributed",
}
"""Each, and what it is imported as."""

MANY = 500
"""In flight: with 2,000, some take seconds."""


class Rival:
    """A library in its own environment, measured by a word on its standard input."""

    def __init__(self, python: str, kind: str, program: str = "peer.py") -> None:
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name(program), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._hear()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with exit code {self._process.wait()}")
        return line

    def measure(self, what: str, count: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {count}\n")
        self._process.stdin.flush()
        return float(self._hear())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def has(python: str, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def peers(repeats: int) -> list[Figure]:
    """Asks of ours and of every library that `UNDERSTUDY_PEERS`, a Python, can import."""
    python = os.environ.get("UNDERSTUDY_PEERS", sys.executable)
    figures: list[Figure] = []
    with supervisor.start() as system, Stage() as raw:
        player = system.spawn(Player, name="player")
        trip = timed(ROUND_TRIPS, lambda: player.ask(Add(1.5, 2.5)).result())
        many = rate(MANY, lambda count: ask_many(player, count))
        for kind, module in LIBRARIES.items():
            if not has(python, module):
                continue
            with Rival(python, kind) as rival:
                trips = rounds(
                    repeats,
                    {
                        "ours": trip,
                        kind: lambda rival=rival: rival.measure("trip", ROUND_TRIPS),
                        DIRECT: timed(ROUND_TRIPS, raw.ask),
                    },
                )
                rates = rounds(
                    repeats,
                    {"ours": many, kind: lambda rival=rival: rival.measure("many", MANY)},
                )
            micro = {name: [one * 1e6 for one in found] for name, found in trips.items()}
            title = "ask round trip, plain code"
            figures.append(compared(title, "us", micro["ours"], micro[kind], beside=kind))
            figures.append(
                compared(f"{kind}, round trip", "us", micro[kind], micro[DIRECT], beside=DIRECT)
            )
            if all(rates[kind]):
                title = f"asks, {MANY} in flight"
                figures.append(compared(title, "/s", rates["ours"], rates[kind], beside=kind))
    return figures
