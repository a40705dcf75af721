"""What ours is measured at, at other libraries, in the same run: `make bench-peers`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count as counted
from pathlib import Path
from typing import Self

import attrs
import numpy as np

import supervisor
from actors import ActorRef
from supervisor.bench import arrays, births, crowd, lives
from supervisor.bench.cast import Add, First, Pid, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage
from supervisor.bench.talk import DIRECT, ROUND_TRIPS, ask_many, rate, tell_many, timed
from supervisor.system import System

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

TELLS = 1000

LAST = 2000
"""Characters that are shown of what a library said before it ended."""


class Rival:
    """A library in its own environment, measured by a word on its standard input."""

    def __init__(self, python: str, kind: str, program: str = "libraries/peer.py") -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [python, Path(__file__).parent / program, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        try:
            self.words = self._hear().split()[1:]
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
        with contextlib.suppress(BrokenPipeError):  # it has ended, and `_hear` says why
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


@attrs.frozen
class Duel:
    """Our player and another library's, to be measured in turn."""

    kind: str
    repeats: int
    name: str
    system: System
    player: ActorRef
    rival: Rival
    raw: Stage

    def beside(
        self, name: str, unit: str, found: dict[str, list[float]], *, scale: float = 1.0
    ) -> list[Figure]:
        """Make the figure of ours beside theirs; none if they do not do it in a bearable time."""
        if not all(found[self.kind]):
            return []
        ours, theirs = ([each * scale for each in found[one]] for one in ("ours", self.kind))
        return [compared(name, unit, ours, theirs, beside=self.kind)]

    def beside_raw(
        self, name: str, unit: str, found: dict[str, list[float]], *, scale: float = 1.0
    ) -> Figure:
        """Make the figure of theirs beside raw pyzmq."""
        theirs, raw = ([each * scale for each in found[one]] for one in (self.kind, DIRECT))
        return compared(f"{self.kind}, {name}", unit, theirs, raw, beside=DIRECT)


def peer(kind: str, repeats: int) -> list[Figure]:
    """Play ours and a library, if `UNDERSTUDY_PEERS`, a Python, can import it."""
    python = os.environ.get("UNDERSTUDY_PEERS", sys.executable)
    if not has(python, LIBRARIES[kind]):
        return []
    name = f"bench-{os.getpid()}"
    with supervisor.start(name=name) as system, Stage() as raw, Rival(python, kind) as rival:
        player = system.spawn(Player, name="player")
        duel = Duel(kind, repeats, name, system, player, rival, raw)
        scenes = {word: scene for word, scene in SCENES.items() if word in rival.words}
        return [figure for scene in scenes.values() for figure in scene(duel)]


def _memory(duel: Duel) -> list[Figure]:
    found = {
        "ours": [lives.unique(duel.player.ask(Pid()).result())],
        duel.kind: [duel.rival.measure("memory", 1)],
    }
    return duel.beside("memory of an idle actor, unique", "MiB", found)


def _trips(duel: Duel) -> list[Figure]:
    found = rounds(
        duel.repeats,
        {
            "ours": timed(ROUND_TRIPS, lambda: duel.player.ask(Add(1.5, 2.5)).result()),
            duel.kind: lambda: duel.rival.measure("trip", ROUND_TRIPS),
            DIRECT: timed(ROUND_TRIPS, duel.raw.ask),
        },
    )
    return [
        *duel.beside("ask round trip, plain code", "us", found, scale=1e6),
        duel.beside_raw("round trip", "us", found, scale=1e6),
    ]


def _rates(duel: Duel) -> list[Figure]:
    found = rounds(
        duel.repeats,
        {
            "ours": rate(MANY, lambda count: ask_many(duel.player, count)),
            duel.kind: lambda: duel.rival.measure("many", MANY),
            DIRECT: rate(MANY, duel.raw.ask_many),
        },
    )
    title = f"{MANY} in flight"
    return [*duel.beside(f"asks, {title}", "/s", found), duel.beside_raw(title, "/s", found)]


def _tells(duel: Duel) -> list[Figure]:
    found = rounds(
        duel.repeats,
        {
            "ours": rate(TELLS, lambda count: tell_many(duel.player, count)),
            duel.kind: lambda: duel.rival.measure("tell", TELLS),
        },
    )
    return duel.beside("tells one way", "/s", found)


def _arrays(duel: Duel) -> list[Figure]:
    return [figure for size in arrays.SIZES for figure in _of_size(duel, size)]


def _of_size(duel: Duel, size: int) -> list[Figure]:
    """Arrays of so many MiB."""
    player, rival = duel.player, duel.rival
    bytes_, count = size * arrays.MIB, max(2, arrays.TOGETHER // size // 4)
    array = np.ones(bytes_ // 8)
    if not rival.measure("sent", bytes_):
        return []
    times = rounds(
        duel.repeats,
        {
            "sent": timed(count, lambda: player.ask(First(array)).result()),
            "echoed": timed(count, lambda: arrays.echo(player, array)),
            "born": lambda: arrays.ask_of_born(duel.system, player, array.size, []),
            "their sent": lambda: rival.measure("sent", bytes_),
            "their echoed": lambda: rival.measure("echo", bytes_),
        },
    )
    speeds = {name: [bytes_ / one / 1e9 for one in found] for name, found in times.items()}

    def paired(found: dict[str, list[float]], ours: str, theirs: str) -> dict[str, list[float]]:
        return {"ours": found[ours], duel.kind: found[theirs]}

    sent, echoed = paired(speeds, "sent", "their sent"), paired(speeds, "echoed", "their echoed")
    born = paired(times, "born", "their sent")
    name = f"{size} MiB array"
    return [
        *duel.beside(f"{name}, sent by value", "GB/s", sent),
        *duel.beside(f"{name}, there and back", "GB/s", echoed),
        *duel.beside(f"{name}, born shared; theirs by value", "us", born, scale=1e6),
    ]


def _births(duel: Duel) -> list[Figure]:
    with ThreadPoolExecutor(births.ACTORS) as pool:
        one = rounds(max(3, duel.repeats // 3), _born(duel, 1, births.in_turn))
        # Once: some take ten seconds for it, and have just warmed up.
        twenty = {who: [born()] for who, born in _born(duel, births.ACTORS, pool.map).items()}
    name = "spawn to first answer"
    return [
        *duel.beside(name, "ms", one),
        *duel.beside(f"{name}, {births.ACTORS} at once", "ms", twenty),
    ]


def _born(duel: Duel, count: int, for_each: births.ForEach) -> dict[str, Callable[[], float]]:
    """Milliseconds until so many have answered."""
    return {
        "ours": lambda: births.spawned(duel.system, count, for_each),
        duel.kind: lambda: duel.rival.measure("spawn", count) * 1e3,
    }


def _falls(duel: Duel) -> list[Figure]:
    kills = 1 + max(3, duel.repeats // 3)
    numbers = counted()
    with supervisor.start(lives.troupe(kills, 0)) as system:
        lives.await_troupe(system, kills, 0)

        def fall() -> float:
            time.sleep(lives.REST)
            return lives.fall(system.ref(f"player-{next(numbers)}"))

        found = rounds(
            kills - 1, {"ours": fall, duel.kind: lambda: duel.rival.measure("kill", 1) * 1e3}
        )
    return duel.beside("kill -9 to next answer", "ms", found)


def _fan_in(duel: Duel) -> list[Figure]:
    """Let four programs ask one player; theirs start in the round that warms up."""
    ours = crowd.Crowd("ours", duel.name)
    try:
        found = rounds(
            duel.repeats,
            {
                "ours": ours.rate,
                duel.kind: lambda: duel.rival.measure("fan-in", crowd.ASKS),
            },
        )
    finally:
        ours.close()
    return duel.beside(f"{crowd.CLIENTS} programs ask one actor in turn", "/s", found)


SCENES: dict[str, Callable[[Duel], list[Figure]]] = {
    "memory": _memory,  # while nobody has large arrays behind him
    "trip": _trips,
    "many": _rates,
    "tell": _tells,
    "sent": _arrays,
    "spawn": _births,
    "kill": _falls,
    "fan-in": _fan_in,  # its programs stay until the end
}
"""What is measured of a library that knows the word."""
