"""What `check` says: a `Report` of what was tried, or the `CounterExample` that was found."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import attrs

from actors.testing.schedule import Schedule
from actors.testing.simulation import NO_DATA, Run

_HOUSE: Final = Path(__file__).resolve().parents[1]
_ASYNCIO: Final = Path(asyncio.__file__).parent


@final
@attrs.frozen
class Report:
    """What a check has looked at; nothing failed."""

    worlds: int
    """Runs of the scenario."""
    exhaustive: int
    """Schedules of up to so many faults, at different messages, were all tried."""
    singles: int
    """Schedules of one fault; all of them."""
    pairs: int
    """Schedules of two faults when all were tried, else 0."""
    drawn: int
    """Schedules (and data) that Hypothesis has drawn."""
    messages: int
    """Messages of the run without faults that a fault can hit: those until `settle()`."""
    seconds: float
    """Real time."""
    missed: Schedule = ()
    """Of the `schedule` that was given: what hit nothing."""
    processes: int = 1
    """So many tried the exhaustive part at the same time."""
    all_pairs: int = 0
    """Schedules of two faults that there are, where `max_faults` allows two: with so many
    `examples` all of them are tried."""
    discarded: int = 0
    """Of the worlds: so many that the scenario itself has rejected (`assume`), which say nothing
    about it."""

    def __str__(self) -> str:
        tried = {0: "no fault", 1: f"every single fault ({self.singles})"}.get(
            self.exhaustive,
            f"every schedule of up to two faults ({self.singles} of one, {self.pairs} of two)",
        )
        drawn = f", and {self.drawn} drawn worlds" if self.drawn else ""
        hit = f"; hit nothing: {list(self.missed)}" if self.missed else ""
        worlds = "1 world" if self.worlds == 1 else f"{self.worlds} worlds"
        if self.discarded:
            hit = f", {self.discarded} of them discarded{hit}"
        return f"{worlds} in {self.seconds:.2f} s: {tried}{drawn}; none fails{hit}"


@final
class CounterExample(AssertionError):  # noqa: N818 - the contract's name
    """A scenario failed: the schedule under which it does, and the chart of that run."""

    def __init__(
        self,
        scenario: str,
        run: Run,
        *,
        worlds: int,
        data: Any = NO_DATA,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.scenario = scenario
        self.run = run
        self.schedule: Schedule = run.schedule
        """Minimal, by the names of what it hits where that is enough."""
        self.chart = run.chart
        self.worlds = worlds
        """Runs until it was found."""
        self.data = data
        """As it was drawn, whatever the scenario does to its own copy."""
        self._options = options or {}
        super().__init__(self._text())

    def _text(self) -> str:
        what = "it failed" if self.run.error is None else _said(self.run.error)
        shown = ", ".join(map(repr, self.schedule))
        remarks = "".join(f"\n    {remark}" for remark in self.run.remarks)
        under = f"under [{shown}]" if self.schedule else "without any fault"
        again = call_of(self.scenario, self.schedule, self.run.seed, self.data, self._options)
        strategies = "" if self.data is NO_DATA else "    from hypothesis import strategies as st\n"
        names = sorted({type(one).__name__ for one in self.schedule} | {"check"})
        return (
            f"{self.scenario} fails {under} (world {self.worlds}):\n\n"
            f"    {what}{remarks}\n\n{self.chart}\n\nto repeat it:\n\n"
            f"    from actors.testing import {', '.join(names)}\n{strategies}"
            f"    {again}"
        )


def call_of(
    scenario: str, schedule: Schedule, seed: int, data: Any, options: Mapping[str, Any]
) -> str:
    """Return the call that runs one world again; a tree goes by that name, as the scenario does."""
    said = f"{scenario}, schedule=[{', '.join(map(repr, schedule))}], seed={seed}"
    if data is not NO_DATA:
        said += f", data=st.just({data!r})"
    if options.get("tree") is not None:
        said += ", tree=tree"
    if options.get("files"):
        said += ", files=True"
    return f"check({said})"


def _said(error: BaseException) -> str:
    """Return what went wrong, and the line of code that says so."""
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if len(inner) == 1:
        return _said(inner[0])
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    own = [frame for frame in frames if not _is_ours(frame.filename)]
    last = (own or frames)[-1]
    return f"{text}\n    {Path(last.filename).name}:{last.lineno}: {last.line}"


def _is_ours(filename: str) -> bool:
    """Whether a line of code is none that the user has written: of asyncio or pytest, too."""
    path = Path(filename)
    return (
        path.is_relative_to(_HOUSE)
        or path.is_relative_to(_HOUSE.with_name("supervisor"))
        or path.parent == _ASYNCIO
        or "_pytest" in path.parts
    )
