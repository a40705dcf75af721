"""`check`: run a scenario under every single fault, then under drawn combinations of faults.

    no fault            must pass, and says which messages there are to hit
    every single fault  each kind at each of these messages: a proof, for one fault
    2 and more, data    drawn by Hypothesis, which also shrinks what fails

What fails is raised as a `CounterExample`: the minimal schedule by the names of what it hits, the
chart of the run, and the lines that repeat it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, final

import attrs
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from actors.testing.escapes import staged
from actors.testing.schedule import (
    KINDS,
    Deviation,
    Passing,
    Schedule,
    named,
    schedules,
    single_faults,
)
from actors.testing.simulation import NO_DATA, Run, Scenario, Stage, Troupe

_UNHEEDED: Final = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
)

SLACK: Final = 6
"""Messages beyond the faultless run that drawn schedules also hit: faults make more of them."""


@final
@attrs.frozen
class Report:
    """What a check has looked at; nothing failed."""

    worlds: int
    """Runs of the scenario."""
    exhaustive: int
    """Schedules of up to so many faults were all tried (of the given kinds)."""
    singles: int
    """Schedules of one fault."""
    messages: int
    """Messages of the run without faults."""
    seconds: float
    """Real time."""

    def __str__(self) -> str:
        proved = (
            f"every schedule of up to {self.exhaustive} fault" if self.exhaustive else "no fault"
        )
        return f"{self.worlds} worlds in {self.seconds:.2f} s: {proved} tried, none fails"


@final
class CounterExample(AssertionError):  # noqa: N818 - the contract's name
    """A scenario failed: the schedule under which it does, and the chart of that run."""

    def __init__(self, scenario: str, run: Run, *, worlds: int, data: Any = NO_DATA) -> None:
        self.scenario = scenario
        self.run = run
        self.schedule: Schedule = run.schedule
        """Minimal, by the names of what it hits where that is enough."""
        self.chart = run.chart
        self.worlds = worlds
        """Runs until it was found."""
        self.data = data
        super().__init__(self._text())

    def _text(self) -> str:
        what = "it failed" if self.run.error is None else _said(self.run.error)
        shown = ", ".join(map(repr, self.schedule))
        remarks = "".join(f"\n    {remark}" for remark in self.run.remarks)
        under = f"under [{shown}]" if self.schedule else "without any fault"
        given_data = "" if self.data is NO_DATA else f", data=st.just({self.data!r})"
        names = sorted({type(one).__name__ for one in self.schedule} | {"check"})
        return (
            f"{self.scenario} fails {under} (world {self.worlds}):\n\n"
            f"    {what}{remarks}\n\n{self.chart}\n\nto repeat it:\n\n"
            f"    from actors.testing import {', '.join(names)}\n"
            f"    check({self.scenario}, schedule=[{shown}], seed={self.run.seed}{given_data})"
        )


def _said(error: BaseException) -> str:
    """Return what went wrong, and the line of code that says so."""
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if len(inner) == 1:
        return _said(inner[0])
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    last = frames[-1]
    return f"{text}\n    {Path(last.filename).name}:{last.lineno}: {last.line}"


@final
class _Search:
    """One check."""

    def __init__(self, scenario: Scenario, options: dict[str, Any], seed: int) -> None:
        self.scenario = scenario
        self.options = options
        self.seed = seed
        self.worlds = 0

    def stage(self, schedule: Iterable[Deviation], data: Any = NO_DATA) -> Stage:
        """Run one world."""
        self.worlds += 1
        stage = Stage(schedule, seed=self.seed, **self.options)
        stage.run(self.scenario, data)
        return stage

    def fail(self, stage: Stage, data: Any = NO_DATA) -> CounterExample:
        """Return the failure of a world, in the names of what was hit where that fails too."""
        found = self.worlds
        run = stage.report()
        if run.schedule:
            better = self.stage(_named(run), data)
            if better.error is not None:
                run = better.report()
        name = getattr(self.scenario, "__name__", repr(self.scenario))
        return CounterExample(name, run, worlds=found, data=data)


def check(  # noqa: PLR0913 - each of them is one thing a user may want to say
    scenario: Scenario,
    *,
    max_faults: int = 2,
    kinds: Iterable[type[Deviation]] = KINDS,
    examples: int = 100,
    data: st.SearchStrategy[Any] | None = None,
    schedule: Iterable[Deviation] | None = None,
    seed: int = 0,
    tree: Troupe | None = None,
    files: bool = False,
) -> Report:
    """Look for a schedule under which a scenario fails.

    Args:
        scenario: an async function of a `Simulation` (and of a drawn value, with `data`).
        max_faults: most faults in one run; 0 tries none, 1 only single ones.
        kinds: of faults: classes of deviations.
        examples: schedules of two and more faults (and data) that are drawn.
        data: a strategy; every drawn world gets another value.
        schedule: run this one schedule instead of searching.
        seed: of everything random inside the worlds, and of the search.
        tree: actors that are there from the beginning.
        files: whether code inside may open files.

    Returns:
        What was tried, when nothing failed.

    Raises:
        CounterExample: the scenario fails; with the minimal schedule and a chart.
    """
    began = time.perf_counter()
    search = _Search(scenario, {"tree": tree, "files": files}, seed)
    with staged():
        if schedule is not None:
            _one(search, tuple(schedule), data)
            return Report(search.worlds, 0, 0, 0, time.perf_counter() - began)
        messages, singles = _all_singles(search, tuple(kinds), max_faults, data)
        if max_faults > 1 or data is not None:
            _drawn(search, tuple(kinds), max_faults, examples, len(messages), data)
    exhaustive = min(1, max_faults)
    seconds = time.perf_counter() - began
    return Report(search.worlds, exhaustive, singles, len(messages), seconds)


def _one(search: _Search, schedule: Schedule, data: st.SearchStrategy[Any] | None) -> None:
    value = NO_DATA if data is None else _simplest(data)
    stage = search.stage(schedule, value)
    if stage.error is not None:
        failure = search.fail(stage, value)
        raise failure from failure.run.error


def _all_singles(
    search: _Search,
    kinds: Sequence[type[Deviation]],
    max_faults: int,
    data: st.SearchStrategy[Any] | None,
) -> tuple[Sequence[Passing], int]:
    value = NO_DATA if data is None else _simplest(data)
    first = search.stage((), value)
    if first.error is not None:
        failure = search.fail(first, value)
        raise failure from failure.run.error
    messages = list(first.post.delivered)
    faults = single_faults(messages, kinds) if max_faults > 0 else []
    for fault in faults:
        stage = search.stage((fault,), value)
        if stage.error is not None:
            failure = search.fail(stage, value)
            raise failure from failure.run.error
    return messages, len(faults)


def _drawn(
    search: _Search,
    kinds: Sequence[type[Deviation]],
    max_faults: int,
    examples: int,
    positions: int,
    data: st.SearchStrategy[Any] | None,
) -> None:
    """Let Hypothesis draw schedules and data, and shrink what fails."""
    fewest = 2 if data is None else 0
    drawn = schedules(
        kinds,
        min_faults=min(fewest, max_faults),
        max_faults=max_faults,
        positions=positions + SLACK,
    )
    failed: list[tuple[Stage, Any]] = []

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=_UNHEEDED,
    )
    @given(schedule=drawn, value=st.just(NO_DATA) if data is None else data)
    def run(schedule: Schedule, value: Any) -> None:
        stage = search.stage(schedule, value)
        if stage.error is not None:
            failed[:] = [(stage, value)]
            raise _Failed

    try:
        run()
    except _Failed:
        stage, value = failed[0]
        # Fewer faults than Hypothesis was allowed to draw may do too.
        failure = search.fail(_fewer(search, stage, value), value)
        raise failure from failure.run.error


def _fewer(search: _Search, stage: Stage, data: Any) -> Stage:
    for index in range(len(stage.schedule)):
        less = stage.schedule[:index] + stage.schedule[index + 1 :]
        other = search.stage(less, data)
        if other.error is not None:
            return _fewer(search, other, data)
    return stage


class _Failed(Exception):  # noqa: N818 - never seen by anybody
    """A drawn world failed."""


def _simplest(data: st.SearchStrategy[Any]) -> Any:
    """Return the value a strategy shrinks towards."""
    drawn: list[Any] = []

    @settings(
        max_examples=1,
        database=None,
        deadline=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=_UNHEEDED,
    )
    @given(data)
    def draw(value: Any) -> None:
        drawn.append(value)

    draw()
    return drawn[0]


def _named(run: Run) -> Schedule:
    """Return the schedule of a run by the names of what it hit."""
    hit = dict(run.hit)
    return tuple(
        named(one, hit[one], _nth(run, hit[one])) if one in hit and isinstance(one.at, int) else one
        for one in run.schedule
    )


def _nth(run: Run, hit: Passing) -> int:
    """Return how many messages of this kind to this party there were up to this one."""
    if not hit.contents:
        return 1
    return sum(
        1
        for passing in run.delivered
        if passing.number <= hit.number
        and passing.target == hit.target
        and hit.contents[0] in passing.contents
    )
