"""`understudy bench`: what this machine does, beside what raw pyzmq does on it."""

from __future__ import annotations

import sys
from typing import Literal, TypeAlias

import attrs
import msgspec

from supervisor.bench.program import QUICK, Result, perform, told
from supervisor.bench.table import HEADER, line, machine
from supervisor.cli.text import ExitCode

Benchmark: TypeAlias = Literal[
    "ask", "asyncio", "tell", "relay", "crowd", "arrays", "rings", "spawn", "kill", "memory"
]


def bench(*names: Benchmark, json: bool = False) -> int:
    """Measure this machine: asks, tells, arrays, live frames, starts, kills, memory.

    Each figure stands beside what it can be compared with, in the same run: raw pyzmq with the
    same bytes, a copy in memory, multiprocessing.  Nothing fails because something is slow.
    Takes about a minute.  Example: `understudy bench ask tell`

    Parameters
    ----------
    names:
        Which measurements; all of them without any.
    json:
        Print the figures as one JSON object, and nothing else.
    """
    programme = {name: QUICK[name] for name in (names or QUICK)}
    results: list[Result] = []
    here = machine()
    if not json:
        _say(here, "", HEADER)
    for result in perform(programme):
        results.append(result)
        if not json:
            _say(*map(line, result.figures), told(result), "")
        if result.failure:
            sys.stderr.write(result.failure)
    if json:
        report = {"machine": here, "results": [attrs.asdict(result) for result in results]}
        _say(msgspec.json.encode(report).decode())
    return ExitCode.FAILED if any(result.failure for result in results) else ExitCode.OK


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()
