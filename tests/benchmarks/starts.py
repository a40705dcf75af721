"""Systems: how fast they come, beside an interpreter."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds

SHORTEST = Path(__file__).with_name("shortest.py")
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
        command = [sys.executable, SHORTEST]
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
