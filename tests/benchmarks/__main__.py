"""Measure this machine: `make bench`, or `python -m tests.benchmarks --help`.

Prints a table and writes the figures (`figures.json`, after each benchmark) and curves of what
grows (`*.svg`) to the folder `--out`.  Figures, not verdicts: nothing here fails because something
was slow.  A benchmark that breaks is said, the others are played, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from supervisor.bench import arrays, births, crowd, lives, relayed, talk
from supervisor.bench.figures import Figure
from supervisor.bench.program import Result, perform, told
from supervisor.bench.table import HEADER, line, machine
from tests.benchmarks import (
    batches,
    carriers,
    downtime,
    far,
    frames,
    load,
    loops,
    packets,
    peers,
    plot,
    rest,
    starts,
    steps,
    viewers,
    worlds,
)


def _once(measure: Callable[[], list[Figure]]) -> Callable[[int], list[Figure]]:
    """Play what is compared with nothing, and so has no rounds."""
    return lambda _repeats: measure()


BENCHMARKS: dict[str, Callable[[int], list[Figure]]] = {
    "ask": talk.ask_plain,
    "asyncio": loops.ask_asyncio,
    "clients": talk.clients,
    "tell": talk.tell,
    "relay": relayed.relay,
    "batches": batches.batches,
    "carriers": carriers.carriers,
    "crowd": crowd.crowd,
    "arrays": arrays.arrays,
    "far": far.far,
    "rings": frames.frames,
    "viewers": viewers.viewers,
    "start": starts.start,
    "spawn": births.spawn,
    "kill": lives.kill,
    "broker": downtime.broker,
    "steps": steps.steps,
    "memory": _once(lives.memory),
    "idle": _once(rest.idle),
    "flat": _once(rest.flat),
    "load-sizes": load.sizes,
    "load-actors": load.actors,
    "load-clients": load.clients,
    "packets": packets.packets,
    "worlds": worlds.worlds,
    "gallery": worlds.gallery,
    "pairs": _once(worlds.pairs),
} | {kind: partial(peers.peer, kind) for kind in peers.LIBRARIES}

PEERS = "peers"
"""The name of all the other libraries together."""

CURVES = {
    "load-sizes": ("An ask with more and more bytes", "bytes", "us"),
    "load-actors": ("An ask to one of more and more actors", "actors", "us"),
    "load-clients": ("Asks to one actor from more and more clients", "clients", "asks a second"),
}
"""Title, and what the axes are, of what becomes a picture."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="benchmark",
        help=f"of {', '.join(BENCHMARKS)}; {PEERS}: the other libraries; default: all",
    )
    parser.add_argument("--repeats", type=int, default=15, help="rounds of each comparison")
    parser.add_argument("--out", type=Path, default=Path(".benchmarks"), help="folder to write to")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS) - {PEERS}
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.repeats < 1:
        parser.error("--repeats is from 1 up")

    here = machine()
    _say(f"{here}\n\n{HEADER}")
    results: list[Result] = []
    names = _wanted(options.names)
    for result in perform({name: _announced(names, name, options.repeats) for name in names}):
        results.append(result)
        _say(*map(line, result.figures), f"{told(result)}\n")
        _progress(result.failure)
        _write(options.out, here, results)
    failed = [result.benchmark for result in results if result.failure]
    minutes = sum(result.seconds for result in results) / 60
    _say(f"written to {options.out}/ after {minutes:.0f} min")
    if failed:
        _progress(f"failed: {', '.join(failed)}; why is above\n")
    return 1 if failed else 0


def _wanted(names: list[str]) -> list[str]:
    """Return what is to be played, each once."""
    found = [one for name in names for one in (peers.LIBRARIES if name == PEERS else [name])]
    return list(dict.fromkeys(found or BENCHMARKS))


def _announced(names: list[str], name: str, repeats: int) -> Callable[[], list[Figure]]:
    """Return a benchmark that says when it begins."""

    def play() -> list[Figure]:
        _progress(f"[{names.index(name) + 1} of {len(names)}] {name} ...\n")
        return BENCHMARKS[name](repeats)

    return play


def _write(folder: Path, here: str, results: list[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = {"machine": here, "results": results}
    (folder / "figures.json").write_text(json.dumps(report, indent=1, default=attrs.asdict))
    for result in results:
        if result.benchmark in CURVES and result.figures:
            picture = plot.svg(*CURVES[result.benchmark], plot.curves(result.figures))
            (folder / f"{result.benchmark}.svg").write_text(picture)


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def _progress(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
