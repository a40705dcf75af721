"""Measure this machine: `make bench`, or `python -m tests.benchmarks --help`.

Figures, not verdicts: nothing here fails because something was slow.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable

import attrs

from tests.benchmarks import arrays, lives, steps, talk, worlds
from tests.benchmarks.figures import Figure

BENCHMARKS: dict[str, Callable[[int], list[Figure]]] = {
    "ask": talk.ask_plain,
    "asyncio": talk.ask_asyncio,
    "tell": talk.tell,
    "arrays": arrays.arrays,
    "start": lives.start,
    "spawn": lives.spawn,
    "kill": lives.kill,
    "broker": lives.broker,
    "steps": steps.steps,
    "memory": lives.memory,
    "flat": lives.flat,
    "worlds": worlds.worlds,
    "gallery": worlds.gallery,
    "pairs": worlds.pairs,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="benchmark", help=f"of {', '.join(BENCHMARKS)}; default: all"
    )
    parser.add_argument("--repeats", type=int, default=15, help="rounds of each comparison")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.repeats < 1:
        parser.error("--repeats is from 1 up")

    # What a wheel brings along: byte code.  Without it every start would measure the compiler.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    results = []
    if not options.json:
        _say(f"{_machine()}\n\n{_HEADER}")
    for name in options.names or BENCHMARKS:
        load, begun = os.getloadavg()[0], time.perf_counter()
        figures = BENCHMARKS[name](options.repeats)
        took = time.perf_counter() - begun
        results.append({"benchmark": name, "load": load, "seconds": took, "figures": figures})
        if not options.json:
            _say(*map(_line, figures), f"    ({name}: load {load:.1f}, {took:.0f} s)\n")
    if options.json:
        report = {"machine": _machine(), "results": results}
        _say(json.dumps(report, indent=1, default=attrs.asdict))


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def _machine() -> str:
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )


_HEADER = f"{'':50}{'median':>12} {'':9}{'quartiles':>21} {'beside':>12}  {'ratio':>6}"


def _line(figure: Figure) -> str:
    spread = other = ""
    if figure.low is not None and figure.high is not None:
        spread = f"{_number(figure.low)} .. {_number(figure.high)}"
    if figure.other is not None and figure.ratio is not None:
        other = f"{_number(figure.other):>12}  {figure.ratio:6.2f}  {figure.beside}"
    line = f"{figure.name:50}{_number(figure.value):>12} {figure.unit:9}{spread:>21} {other}"
    return f"{line} {figure.note}".rstrip()


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.3g}"


if __name__ == "__main__":
    main()
