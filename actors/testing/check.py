"""`check`: run a scenario under every single fault, then under combinations of faults.

What fails is raised as a `CounterExample`: the minimal schedule by the names of what it hits, the
chart of the run, and the lines that repeat it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable, UnsatisfiedAssumption

from actors.testing.escapes import staged
from actors.testing.missed import NothingHit, explain
from actors.testing.schedule import KINDS, Deviation, checked_kinds, checked_schedule
from actors.testing.search import Search, name_of, simplest
from actors.testing.simulation import NO_DATA, Scenario, Troupe, checked_scenario
from actors.testing.verdict import CounterExample, Report

__all__ = ["CounterExample", "Report", "check"]


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
    processes: int | None = None,
) -> Report:
    """Look for a schedule under which a scenario fails.

    Args:
        scenario: an async function of a `Simulation` (and of a drawn value, with `data`).
        max_faults: most faults in one run; 0 tries none, 1 only single ones.
        kinds: of faults: classes of deviations.
        examples: worlds of two and more faults (and data). Where there are no more pairs of
            faults than that, all are tried; else so many schedules are drawn.
        data: a strategy; every drawn world gets another value.
        schedule: run this one schedule instead of searching. What of it hits nothing is in
            `Report.missed`, and a warning, `NothingHit`, says why.
        seed: of everything random inside the worlds, and of the search.
        tree: actors that are there from the beginning.
        files: whether code inside may open files.
        processes: workers among which single faults and pairs of faults are divided; what is
            found does not depend on it. By default as many as pay, and processors allow; 1 where
            `files` are used, other threads run, or a debugger or a measurement of coverage looks
            on. What a scenario does to variables outside of it, a worker does to its own.

    Returns:
        What was tried, when nothing failed.

    Raises:
        CounterExample: the scenario fails; with the minimal schedule and a chart.
        hypothesis.errors.Unsatisfiable: the scenario has rejected every world (`assume`, `reject`).
        hypothesis.errors.UnsatisfiedAssumption: it has rejected the one `schedule`.
        TypeError: the scenario is no async function of what it is given.
        ValueError: the schedule names somebody who is not there.
        RuntimeError: a worker has died, or fails where this process does not.
    """
    began = time.perf_counter()
    checked_scenario(scenario, 1 if data is None else 2)
    if max_faults < 0 or examples < 1:
        raise ValueError(
            f"max_faults={max_faults} must be 0 or more, examples={examples} 1 or more"
        )
    if processes is not None and processes < 1:
        raise ValueError(f"processes={processes} must be 1 or more, or None")
    search = Search(scenario, {"tree": tree, "files": files}, seed)
    search.kinds = checked_kinds(kinds)
    search.value = NO_DATA if data is None else simplest(data)
    search.processes = 1 if files and processes is None else processes
    with staged():
        if schedule is not None:
            return _one(search, checked_schedule(schedule), began)
        return _all(search, max_faults, examples, data, began)


def _one(search: Search, schedule: tuple[Deviation, ...], began: float) -> Report:
    stage = search.must_pass(schedule, search.value)
    if stage.discarded:
        raise UnsatisfiedAssumption(f"{name_of(search.scenario)} has rejected this world")
    missed = stage.director.missed
    for one in missed:
        why = explain(one, stage.house.parties(), stage.director.seen)
        warnings.warn(NothingHit(why), stacklevel=3)
    seconds = time.perf_counter() - began
    return Report(search.worlds, 0, 0, 0, 0, len(stage.director.seen), seconds, missed)


def _all(
    search: Search,
    max_faults: int,
    examples: int,
    data: st.SearchStrategy[Any] | None,
    began: float,
) -> Report:
    if search.no_fault(data) and max_faults and not search.messages:
        raise ValueError(
            f"{name_of(search.scenario)} sends no message, so there is nothing for a fault to hit. "
            "Is an `await` missing before an ask? For a scenario without messages say max_faults=0."
        )
    singles = search.singles() if max_faults > 0 else 0
    pairs, exhaustive = 0, min(1, max_faults)
    if max_faults > 1 and search.count_pairs() <= examples:
        pairs, exhaustive = search.pairs(), 2
    drawn, fewest = 0, exhaustive + 1
    if data is not None:
        drawn = search.drawn(0, max_faults, examples, data)
    elif fewest <= max_faults:
        drawn = search.drawn(fewest, max_faults, examples, None)
    if search.discarded == search.worlds:
        raise Unsatisfiable(
            f"{name_of(search.scenario)} has rejected all {search.worlds} worlds, so nothing was "
            "tried: what it assumes is too seldom true. Let `data` draw what it needs, and reject "
            "less"
        )
    seconds = time.perf_counter() - began
    found = len(search.messages)
    return Report(
        search.worlds,
        exhaustive,
        singles,
        pairs,
        drawn,
        found,
        seconds,
        processes=search.workers,
        all_pairs=search.count_pairs() if max_faults > 1 else 0,
        discarded=search.discarded,
    )
