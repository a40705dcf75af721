"""The search of `check`: every single fault, every pair where they are few, then what is drawn.

no fault            must pass, and says which messages there are to hit
every single fault  each kind at each of these messages
every pair          a second fault at each message that comes after the first, in that run
2 and more, data    drawn by Hypothesis, which also shrinks what fails
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final, NoReturn, final

from hypothesis import HealthCheck, Phase, Verbosity, find, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample, Unsatisfiable

from actors.testing.schedule import (
    Deviation,
    Passing,
    Place,
    Schedule,
    named,
    schedules,
    single_faults,
)
from actors.testing.simulation import NO_DATA, Run, Scenario, Stage
from actors.testing.tally import Flaw
from actors.testing.verdict import CounterExample, call_of
from actors.testing.workers import CAN_FORK, Shown, sensible, spread

_UNHEEDED: Final = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
)

_QUIETLY: Final = settings(database=None, deadline=None, verbosity=Verbosity.quiet)

SLACK: Final = 6
"""Messages beyond the faultless run that drawn schedules also hit: faults make more of them."""


@final
class Search:
    """One check."""

    def __init__(self, scenario: Scenario, options: dict[str, Any], seed: int) -> None:
        self.scenario = scenario
        self.options = options
        self.seed = seed
        self.worlds = 0
        self.discarded = 0
        """Of these worlds: so many that the scenario itself has rejected."""
        self.kinds: Sequence[type[Deviation]] = ()
        self.value: Any = NO_DATA
        """The data of the exhaustive part."""
        self.processes: int | None = None
        """Most workers for the exhaustive part; None for as many as pay."""
        self.workers = 1
        """How many there were."""
        self.messages: list[Place] = []
        """What a fault can hit in the run without any."""
        self._turns = 0
        """Of the run without any."""
        self._after: list[tuple[Deviation, list[Deviation]]] = []
        """Every single fault, and all that can go wrong after it."""

    def stage(self, schedule: Iterable[Deviation], data: Any = NO_DATA) -> Stage:
        """Run one world."""
        self.worlds += 1
        stage = Stage(schedule, seed=self.seed, **self.options)
        stage.run(self.scenario, _fresh(data))
        self.discarded += stage.discarded
        return stage

    def must_pass(self, schedule: Iterable[Deviation], data: Any = NO_DATA) -> Stage:
        """Run one world; raise `CounterExample` when it fails."""
        stage = self.stage(schedule, data)
        if stage.error is not None:
            raise self._failure(stage, data) from stage.error
        return stage

    def _failure(self, stage: Stage, data: Any = NO_DATA) -> CounterExample:
        """Return the failure of a world, in the names of what was hit where that fails too."""
        found = self.worlds
        run = stage.report()
        if run.schedule:
            better = self.stage(_named(run), data)
            if better.error is not None:
                run = better.report()
        name = name_of(self.scenario)
        return CounterExample(name, run, worlds=found, data=data, options=self.options)

    # --- every schedule

    def no_fault(self, data: st.SearchStrategy[Any] | None) -> bool:
        """Run it as it is meant to be, with data that it does not reject, if there is any."""
        stage = self.must_pass((), self.value)
        if stage.discarded and data is not None:
            with suppress(NoSuchExample):
                self.value = find(data, self._accepted, settings=_QUIETLY, random=Random(self.seed))
            stage = self.must_pass((), self.value)
        self.messages, self._turns = _shown(stage).places, stage.world.turns
        return not stage.discarded

    def singles(self) -> int:
        """Try every single fault; return how many there are."""
        faults = single_faults(self.messages, self.kinds)
        for fault, shown in zip(faults, self._each([(one,) for one in faults]), strict=True):
            later = [place for place in shown.places if place.number > _place(fault)]
            self._after.append((fault, single_faults(later, self.kinds)))
        return len(faults)

    def _accepted(self, value: Any) -> bool:
        """Whether the scenario does not reject this data."""
        return not self.stage((), value).discarded

    def count_pairs(self) -> int:
        """Return how many schedules of two faults there are, after `singles`."""
        return sum(len(later) for _, later in self._after)

    def pairs(self) -> int:
        """Try every pair of faults; return how many there are."""
        pairs = [(first, second) for first, later in self._after for second in later]
        self._each(pairs)
        return len(pairs)

    def _each(self, schedules: Sequence[Schedule]) -> list[Shown]:
        """Try them in order; return what a fault could hit in each."""
        workers = self.processes or sensible(self._turns * len(schedules))
        if workers == 1 or not CAN_FORK:
            return [_shown(self.must_pass(schedule, self.value)) for schedule in schedules]
        self.workers = max(self.workers, min(workers, len(schedules)))
        shown, flaw = spread(len(schedules), lambda number: self._tried(schedules[number]), workers)
        if flaw is not None:
            self.worlds += flaw.number
            self._explain(schedules[flaw.number], flaw)
        self.worlds += len(schedules)
        self.discarded += sum(one.discarded for one in shown.values())
        return [shown[number] for number in range(len(schedules))]

    def _tried(self, schedule: Schedule) -> Shown | None:
        """Run one world in a worker."""
        try:
            stage = self.stage(schedule, self.value)
        except BaseException:  # noqa: BLE001 - it comes again where somebody can see it
            return None
        return None if stage.error is not None else _shown(stage)

    def _explain(self, schedule: Schedule, flaw: Flaw) -> NoReturn:
        """Raise what was wrong with the world of a worker."""
        name = name_of(self.scenario)
        shown = call_of(name, schedule, self.seed, self.value, self.options)
        if flaw.died:
            raise RuntimeError(
                f"the process that tried {list(schedule)} has died {flaw.died}, and with it what "
                f"it could say; `{shown}` tries that alone, in this process"
            )
        self.must_pass(schedule, self.value)
        raise RuntimeError(
            f"{list(schedule)} failed in a process of its own, and does not when it is tried again "
            "here: what happens depends on something outside of the run, such as a variable of a "
            "module; begin every run with new ones, or say processes=1"
        )

    # --- drawn schedules

    def drawn(
        self, fewest: int, most: int, examples: int, data: st.SearchStrategy[Any] | None
    ) -> int:
        """Let Hypothesis draw schedules and data, and shrink what fails; return how many."""
        former = self.worlds
        positions = len(self.messages) + SLACK
        faults = schedules(self.kinds, min_faults=fewest, max_faults=most, positions=positions)
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
        @given(schedule=faults, value=st.just(NO_DATA) if data is None else data)
        def run(schedule: Schedule, value: Any) -> None:
            stage = self.stage(schedule, value)
            if stage.discarded:
                reject()
            if stage.error is not None:
                failed[:] = [(stage, value)]
                raise _Failed

        discarded = self.discarded
        try:
            run()
        except Unsatisfiable:
            if self.discarded == discarded:
                raise  # the strategy of the data itself gives nothing
        except _Failed:
            stage, value = failed[0]
            # Fewer faults than Hypothesis was allowed to draw may do too.
            least = self._fewer(stage, value)
            raise self._failure(least, value) from least.error
        return self.worlds - former

    def _fewer(self, stage: Stage, data: Any) -> Stage:
        for index in range(len(stage.schedule)):
            less = stage.schedule[:index] + stage.schedule[index + 1 :]
            other = self.stage(less, data)
            if other.error is not None:
                return self._fewer(other, data)
        return stage


class _Failed(Exception):  # noqa: N818 - never seen by anybody
    """A drawn world failed."""


def _fresh(data: Any) -> Any:
    """Return data for one world: its scenario may use it up, and the next world needs it whole."""
    if data is NO_DATA:
        return data
    try:
        return copy.deepcopy(data)
    except Exception:  # noqa: BLE001 - a lock, a generator: no two worlds can have their own
        return data


def name_of(scenario: Scenario) -> str:
    """Return what a scenario is called."""
    return getattr(scenario, "__name__", repr(scenario))


def simplest(data: st.SearchStrategy[Any]) -> Any:
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


def _shown(stage: Stage) -> Shown:
    places = [Place(passing.number, passing.mortal) for passing in stage.director.seen]
    return Shown(places, stage.discarded)


def _place(fault: Deviation) -> int:
    assert isinstance(fault.at, int)
    return fault.at


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
