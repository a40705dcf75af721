"""`replay`: the schedule that a check has found, on real processes, sockets and kill -9.

    with pytest.raises(CounterExample) as found:
        check(scenario)
    replay(scenario, schedule=found.value.schedule)      # raises what the scenario raises there

The scenario is the same function.  Its system is a real one, whose broker performs the schedule
(`faulty_broker.py`); time is real, too, so what takes ten seconds takes ten seconds.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import attrs

from actors.envelope import Kind
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing.director import Director
from actors.testing.schedule import Deviation, Passing, Schedule
from actors.testing.script import HEALED, HELD, JOURNAL, NAME, pack, read_journal
from actors.testing.simulation import NO_DATA, Scenario, describe
from supervisor.calls import Calls
from supervisor.entrance import connect, start
from supervisor.spec import Tree
from supervisor.system import System

SETTLE: Final = 60.0
LOOK: Final = 0.05
LOOKS: Final = 3
"""So many looks in a row must find everything quiet."""

_STILL: Final = ("running", "stopped", "failed")


@final
@attrs.frozen
class Replayed:
    """What a replay has done; the scenario passed."""

    schedule: Schedule
    missed: Schedule
    """Deviations that did not happen: the messages they were for did not come."""
    delivered: tuple[Passing, ...]
    """The users' messages, in the order of their arrival at the broker."""
    seconds: float
    """Real time."""


class RealClient(Calls):
    """A program connected to the real system of a replay."""

    def __init__(self, system: System, home: Path) -> None:
        super().__init__(system._portal)  # noqa: SLF001 - both are `Calls`
        self._home = home

    def waits_for(self) -> str:
        """Say what this program waits for; "" when for nothing."""
        peer = self._portal.peer
        with self._portal.lock:
            for call in peer.calls.all():
                if call.letter is not None and call.letter.envelope.kind == Kind.ASK:
                    return f"the program waits for {call.target} to answer {call.message}"
            for link in peer.links.values():
                if not link.out.idle and link.name[0] != "@":
                    return f"the program has messages for {link.name}"
        return ""

    def call_it(self, name: str) -> None:
        """Give this program its name in schedules."""
        (self._home / f"{NAME}{self._portal.peer.name}").write_text(name, encoding="utf-8")

    def _definitions(self) -> Path | None:
        path = self._home / "definitions"
        path.mkdir(mode=0o700, exist_ok=True)
        return path


@final
class RealSimulation(RealClient):
    """What a scenario holds in a replay: the methods of `Simulation`, over a real system."""

    def __init__(self, system: System, schedule: Schedule) -> None:
        self._endpoint = system.status().endpoint
        super().__init__(system, Path(self._endpoint.removeprefix("ipc://")).parent)
        self.schedule = schedule
        """What goes wrong in this run."""
        self.systems: list[System] = []
        """Of the other programs."""
        self._programs: list[RealClient] = [self]
        self._began = time.monotonic()

    def now(self) -> float:
        """Return the real seconds since the beginning."""
        return time.monotonic() - self._began

    async def sleep(self, seconds: float) -> None:
        """Let real time pass."""
        await asyncio.sleep(seconds)

    def client(self, name: str) -> RealClient:
        """Return another program that is connected to the system."""
        system = connect(self._endpoint)
        self.systems.append(system)
        client = RealClient(system, self._home)
        client.call_it(name)
        self._programs.append(client)
        return client

    def peek(self, name: str) -> Any:
        """Refuse: an actor of another process cannot be looked at."""
        raise ValueError(
            f"replay cannot peek at {name}: it lives in another process; ask it for what you "
            "want to know"
        )

    def always(self, holds: Callable[[], object], what: str = "") -> None:
        """Refuse: nobody sees every step of real processes."""
        raise ValueError(
            f"replay cannot check after every step that {what or describe(holds)}: real processes "
            "have no common steps; assert it where the scenario can see it"
        )

    async def settle(self, within: float = SETTLE) -> None:
        """Let nothing go wrong from now on, and wait until nothing is in flight.

        Raises `AssertionError`, saying what is still going on, after `within` seconds.
        """
        (self._home / HEALED).touch()
        end, quiet = self.now() + within, 0
        while quiet < LOOKS:
            going_on = self._unsettled()
            quiet = 0 if going_on else quiet + 1
            if going_on and self.now() >= end:
                raise AssertionError(f"not settled within {within:g} s: {going_on}")
            await asyncio.sleep(LOOK)

    def _unsettled(self) -> str:
        for program in self._programs:
            waits = program.waits_for()
            if waits:
                return waits
        if (self._home / HELD).exists():
            return "messages are on their way, or somebody hangs"
        for actor in self.status().actors:
            if actor.state not in _STILL or actor.mailbox or actor.current:
                return f"{actor.name} is {actor.state} {actor.current}".rstrip()
        return ""

    async def eventually(
        self, holds: Callable[[], object], what: str = "", *, within: float = 10.0
    ) -> None:
        """Wait until `holds()` is true; it may be an async function, and ask actors.

        Raises `AssertionError` when it is not within so many seconds.
        """
        end = self.now() + within
        while not await _true(holds):
            if self.now() >= end:
                text = what or describe(holds)
                raise AssertionError(f"eventually: {text} does not hold within {within:g} s")
            await asyncio.sleep(LOOK)


async def _true(holds: Callable[[], object]) -> bool:
    try:
        value = holds()
        return bool(await value if inspect.isawaitable(value) else value)
    except (NotDelivered, OutcomeUnknown):
        return False


def replay(
    scenario: Scenario,
    schedule: Iterable[Deviation] = (),
    *,
    tree: Tree | None = None,
    data: Any = NO_DATA,
    ask_timeout: float = 30.0,
) -> Replayed:
    """Run a scenario once over real processes, with the faults of a schedule.

    Args:
        scenario: the same async function that `check` takes.
        schedule: what goes wrong; a deviation by name (`Crash("bank", at=Deposit)`) hits the same
            message here, one by number may hit another, because real processes race.
        tree: actors that are there from the beginning.
        data: a second argument for the scenario.
        ask_timeout: seconds an ask waits when nobody says otherwise.

    Returns:
        What happened, when the scenario passes.

    Raises:
        ValueError: the scenario or this platform needs what real processes cannot do.
        Exception: whatever the scenario raises; a note says which deviations did not happen.
    """
    if not sys.platform.startswith("linux"):
        raise ValueError(
            "replay cannot find the processes of actors on this platform: run it on Linux"
        )
    began, plan = time.monotonic(), tuple(schedule)
    with start(tree, ask_timeout=ask_timeout, _faults=pack(plan)) as system:
        sim = RealSimulation(system, plan)
        home = Path(system.status().endpoint.removeprefix("ipc://")).parent
        # Held open: the sweeper of a supervisor that crashed takes the directory away.
        with (home / JOURNAL).open("rb") as journal:
            try:
                asyncio.run(_perform(scenario, sim, data))
            except BaseException as error:
                _, missed = _read(journal.read(), plan)
                if missed:
                    error.add_note(f"did not happen in the replay: {list(missed)}")
                raise
            finally:
                with suppress(FileNotFoundError):  # swept already
                    (home / HEALED).touch()  # the end of the system is in good order
                for other in sim.systems:
                    other.close()
            delivered, missed = _read(journal.read(), plan)
    return Replayed(plan, missed, delivered, time.monotonic() - began)


async def _perform(scenario: Scenario, sim: RealSimulation, data: Any) -> None:
    running: Awaitable[object] = scenario(sim) if data is NO_DATA else scenario(sim, data)
    await running


def _read(journal: bytes, schedule: Schedule) -> tuple[tuple[Passing, ...], Schedule]:
    """Return the messages of a run, and which deviations did not happen."""
    director = Director(schedule)
    entries = read_journal(journal)
    for entry in entries:
        if not entry.healed:
            director.at(entry.passing)
    happened = [deviation for deviation, _ in director.hit]
    missed: list[Deviation] = []
    for deviation in schedule:
        if deviation in happened:
            happened.remove(deviation)
        else:
            missed.append(deviation)
    return tuple(entry.passing for entry in entries), tuple(missed)
