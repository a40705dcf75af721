"""Put what was measured into docs/explanation/performance.md: `make bench-page`.

    python -m tests.benchmarks.page .benchmarks .benchmarks/peers

takes the `figures.json` of each folder (of a benchmark that several have, the last one's), writes
the tables, of ours and beside other libraries, between the two marks of the page, and copies the
pictures.  What people have written around them stays as it is.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from supervisor.bench.figures import Figure
from supervisor.bench.program import Result
from supervisor.bench.table import number
from tests.benchmarks.peers import LIBRARIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "performance.md"
BEGIN = "<!-- written by make bench-page from here on -->\n"
END = "<!-- until here -->\n"

ELSEWHERE = {"batches", "far", "flat", "gallery", "packets", "pairs", "viewers", "worlds"}
"""What other tables and pages tell of, or nobody but us wants to know."""

BESIDE_OTHERS = "The same beside other libraries, each as its documentation recommends it:"

LEAST = 0.005
"""Of a ratio with two decimals."""

UNITS = {"us": "µs"}


@attrs.frozen
class Run:
    """What one `figures.json` says."""

    machine: str
    results: list[Result]


def load(text: str) -> Run:
    """Read a `figures.json`."""
    report = json.loads(text)
    results = [
        Result(**(one | {"figures": [Figure(**figure) for figure in one["figures"]]}))
        for one in report["results"]
    ]
    return Run(report["machine"], results)


def part(runs: Sequence[Run]) -> str:
    """Return what stands between the marks: how it was measured, and the tables."""
    merged = {one.benchmark: one for run in runs for one in run.results if one.figures}
    shown = [one for name, one in merged.items() if name not in ELSEWHERE]
    loads = [one.load for one in shown]
    machine = runs[0].machine.rpartition(", load")[0]
    minutes = sum(one.seconds for run in runs for one in run.results) / 60
    commands = "`make bench`" if len(runs) == 1 else "`make bench` and `make bench-peers`"
    how = (
        f"Medians of one run of {commands}, {minutes:.0f} minutes, on {machine}. "
        f"When its parts began the load was {min(loads):.1f} to {max(loads):.1f}."
    )
    others = [one for one in shown if one.benchmark in LIBRARIES]
    figures = [figure for one in shown if one not in others for figure in one.figures]
    written = [how, "", *_table(figures)]
    if others:
        written += [BESIDE_OTHERS, "", *_table(_by_what(others))]
    return "\n".join(written)


def _table(figures: Sequence[Figure]) -> list[str]:
    rows = [row(figure) for figure in figures]
    return ["| what | measured | beside it | ratio |", "|---|---|---|---|", *rows, ""]


def _by_what(others: Sequence[Result]) -> list[Figure]:
    """Return the figures of all libraries, those of the same thing one below the other."""
    named = [
        (figure.name.removeprefix(f"{one.benchmark}, "), figure)
        for one in sorted(others, key=lambda one: len(one.figures), reverse=True)
        for figure in one.figures
    ]
    order = list(dict.fromkeys(name for name, _ in named))  # of the library that does most
    return [figure for name in order for each, figure in named if each == name]


def row(figure: Figure) -> str:
    """Return one row of the table."""
    measured = _measured(figure.value, figure.unit)
    if figure.note:
        spread = ""
        if figure.low is not None and figure.high is not None:
            spread = f"{number(figure.low)} .. {number(figure.high)}, "
        measured += f" ({spread}{figure.note})"
    beside = ratio = ""
    if figure.other is not None and figure.ratio is not None:
        beside = f"{figure.beside}: {number(figure.other)}"
        ratio = f"{figure.ratio:.2f}" if figure.ratio >= LEAST else f"{figure.ratio:.1g}"
    return f"| {figure.name} | {measured} | {beside} | {ratio} |"


def _measured(value: float, unit: str) -> str:
    return f"{number(value)} {UNITS.get(unit, unit)}"


def pasted(page: str, written: str) -> str:
    """Return the page with another table.

    Raises:
        ValueError: it has not both marks, in their order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must have these two lines: {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{written}\n{END}{after}"


def main(folders: Sequence[Path]) -> None:
    """Write the page."""
    texts = [(one / "figures.json").read_text(encoding="utf-8") for one in folders]
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(pasted(page, part([load(text) for text in texts])), encoding="utf-8")
    for folder in folders:
        for picture in folder.glob("*.svg"):
            shutil.copy(picture, PAGE.parent)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
