"""The same asks to other libraries, in the same run: `make bench-peers`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
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

LAST = 2000
"""Characters that are shown of what a library said before it ended."""


class Rival:
    """A library in its own environment, measured by a word on its standard input."""

    def __init__(self, python: str, kind: str, program: str = "peer.py") -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name(program), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        try:
            self._hear()
        except BaseException:
            self.__exit__()
            raise

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            raise RuntimeError(f"it ended with exit code {code}:\n{self._said.read()[-LAST:]}")
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
        self._said.close()


def has(python: str, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def peer(kind: str, repeats: int) -> list[Figure]:
    """Asks of ours and of a library, if `UNDERSTUDY_PEERS`, a Python, can import it."""
    python = os.environ.get("UNDERSTUDY_PEERS", sys.executable)
    if not has(python, LIBRARIES[kind]):
        return []
    with supervisor.start() as system, Stage() as raw, Rival(python, kind) as rival:
        player = system.spawn(Player, name="player")
        trips = rounds(
            repeats,
            {
                "ours": timed(ROUND_TRIPS, lambda: player.ask(Add(1.5, 2.5)).result()),
                kind: lambda: rival.measure("trip", ROUND_TRIPS),
                DIRECT: timed(ROUND_TRIPS, raw.ask),
            },
        )
        rates = rounds(
            repeats,
            {
                "ours": rate(MANY, lambda count: ask_many(player, count)),
                kind: lambda: rival.measure("many", MANY),
                DIRECT: rate(MANY, raw.ask_many),
            },
        )
        births = rounds(
            max(3, repeats // 3),
            {"ours": lambda: _spawn(system), kind: lambda: rival.measure("spawn", 1)},
        )
    return [*_trips(kind, trips), *_rates(kind, rates), *_births(kind, births)]


def _spawn(system: supervisor.System) -> float:
    """Seconds until one more actor has answered."""
    begun = time.perf_counter()
    system.spawn(Player, name="another").ask(Add(1.5, 2.5)).result()
    took = time.perf_counter() - begun
    system.stop("another")
    return took


def _trips(kind: str, trips: dict[str, list[float]]) -> list[Figure]:
    micro = {name: [one * 1e6 for one in found] for name, found in trips.items()}
    title = "ask round trip, plain code"
    return [
        compared(title, "us", micro["ours"], micro[kind], beside=kind),
        compared(f"{kind}, round trip", "us", micro[kind], micro[DIRECT], beside=DIRECT),
    ]


def _rates(kind: str, rates: dict[str, list[float]]) -> list[Figure]:
    if not all(rates[kind]):
        return []
    title = f"{MANY} in flight"
    return [
        compared(f"asks, {title}", "/s", rates["ours"], rates[kind], beside=kind),
        compared(f"{kind}, {title}", "/s", rates[kind], rates[DIRECT], beside=DIRECT),
    ]


def _births(kind: str, births: dict[str, list[float]]) -> list[Figure]:
    if not all(births[kind]):
        return []
    ours, theirs = ([each * 1e3 for each in births[name]] for name in ("ours", kind))
    return [compared("spawn to first answer", "ms", ours, theirs, beside=kind)]
