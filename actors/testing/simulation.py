"""What a scenario holds: a system of actors under virtual time, in one process.

    async def scenario(sim):
        bank = sim.spawn(Bank, name="bank")
        await bank.ask(Deposit(10))
        sim.kill("bank")
        await sim.settle()

The actors, their supervisor and the deciders are the real ones; see `world.py` for what is not.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import attrs
from hypothesis.errors import UnsatisfiedAssumption

from actors.attachments import Memory
from actors.errors import NotDelivered, OutcomeUnknown
from actors.log import logger
from actors.peer import Peer
from actors.portal import Portal, Until
from actors.testing.chart import draw
from actors.testing.director import Director
from actors.testing.escapes import staged
from actors.testing.house import House
from actors.testing.node import Node
from actors.testing.outcome import is_discard, is_failure, may_assume
from actors.testing.party import Pump
from actors.testing.post import Post
from actors.testing.schedule import Deviation, Passing, Schedule, checked_schedule
from actors.testing.stage import STAGE
from actors.testing.trace import Event, lines_of
from actors.testing.world import World
from supervisor.calls import Calls
from supervisor.spec import Tree

if TYPE_CHECKING:
    from actors.actor import Actor
    from actors.ref import ActorRef

Scenario: TypeAlias = Callable[..., Awaitable[object]]
"""An async function of the simulation, and of the data when a strategy for it was given."""

CLIENT: Final = "client"
"""The scenario's own name in charts and schedules."""

SETTLE: Final = 120.0
FIRST_LOOK: Final = 0.002
LONGEST_LOOK: Final = 0.1

NO_DATA: Final[Any] = object()

Troupe: TypeAlias = Tree
"""Actors that are there from the beginning."""


class Client(Calls):
    """A program that is connected to the simulated system, under a name of its own."""

    def __init__(self, house: House, node: Node, name: str) -> None:
        self._house = house
        self._node = node
        super().__init__(self.party(name, mailbox=0))

    def party(self, name: str, *, mailbox: int) -> Portal:
        """Connect another party of this program, which takes so many messages."""
        house = self._house
        peer = Peer(f"client-{name}", 1, mailbox=mailbox)
        portal = Portal(peer, Memory(), ask_timeout=house.ask_timeout)
        pump = Pump(self._node, house.post, portal, self._node.random.randbytes(16))
        house.programs.append(pump)
        pump.block(Until(portal, lambda: peer.registered or portal.lost is not None), None)
        portal.check()
        return portal

    def spawn(self, cls: type[Actor], /, **options: Any) -> ActorRef:
        """Start an actor and return its ref once its `on_start` has succeeded."""
        self._house.known[cls.__module__, cls.__qualname__] = cls
        return super().spawn(cls, **options)


@final
class Simulation(Client):
    """A system of actors under virtual time.  Has the methods of `System`, and these."""

    @property
    def schedule(self) -> Schedule:
        """What goes wrong in this run."""
        return self._house.schedule

    def now(self) -> float:
        """Return the virtual seconds since the beginning."""
        return self._house.world.now

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    def client(self, name: str) -> Client:
        """Return another program that is connected to the system.

        Its messages have an order of their own, and a column in the chart.
        """
        return Client(self._house, self._node, name)

    def peek(self, name: str) -> Any:
        """Return the living actor object of this name, or None: for invariants, not to change."""
        child = self._house.children.get(name)
        alive = child is not None and child.up and child.node is not None and not child.node.dead
        return child.actor if child is not None and alive else None

    async def settle(self, within: float = SETTLE) -> None:
        """Let nothing go wrong from now on, and wait until nothing is in flight.

        Partitions heal, actors come back, every message is handled, every ask is over.  Timers of
        actors are not waited for.  Raises `AssertionError`, saying what is still going on, after
        `within` virtual seconds.
        """
        self._house.post.heal()
        end, step = self.now() + within, FIRST_LOOK
        while going_on := self._house.unsettled():
            if self.now() >= end:
                raise AssertionError(f"not settled within {within:g} s: {going_on}")
            await asyncio.sleep(step)
            step = min(LONGEST_LOOK, step * 1.3)

    def always(self, holds: Callable[[], object], what: str = "") -> None:
        """Check after every step, from now to the end, that `holds()` is true."""
        world = self._house.world
        former = world.after_turn

        def look() -> None:
            if former is not None:
                former()
            try:
                held = holds()
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends the run
                world.finish(error)
            else:
                if not held:
                    text = what or describe(holds)
                    world.finish(AssertionError(f"always: {text} does not hold"))

        world.after_turn = look

    async def eventually(
        self, holds: Callable[[], object], what: str = "", *, within: float = 10.0
    ) -> None:
        """Wait until `holds()` is true; it may be an async function, and ask actors.

        Raises `AssertionError` when it is not within so many virtual seconds.  Asks that fail
        because their actor is down count as "not yet".
        """
        end, step = self.now() + within, max(within / 200, 0.001)
        while True:
            if await _true(holds):
                return
            if self.now() >= end:
                text = what or describe(holds)
                raise AssertionError(f"eventually: {text} does not hold within {within:g} s")
            await asyncio.sleep(step)


async def _true(holds: Callable[[], object]) -> bool:
    try:
        value = holds()
        return bool(await value if inspect.isawaitable(value) else value)
    except (NotDelivered, OutcomeUnknown):
        return False


def describe(function: Callable[..., object]) -> str:
    """Return a name for a condition."""
    return getattr(function, "__name__", repr(function)).replace("<lambda>", "the condition")


class NotAScenario(TypeError):  # noqa: N818 - it says what happened
    """What shall be run is no async function of a simulation."""


def _not_async(scenario: Callable[..., object]) -> str:
    name = describe(scenario)
    return f"{name} is not async: write `async def {name}(sim): ...`, and await what it asks"


def checked_scenario(scenario: Scenario, arguments: int) -> None:
    """Raise `NotAScenario` when this cannot be a scenario of so many arguments."""
    if not callable(scenario):
        shown = "a coroutine" if inspect.isawaitable(scenario) else repr(scenario)
        raise NotAScenario(f"give the async function itself, not {shown}: check(scenario)")
    if inspect.isasyncgenfunction(scenario) or inspect.isgeneratorfunction(scenario):
        raise NotAScenario(f"{describe(scenario)} yields: a scenario is an async function without")
    try:
        inspect.signature(scenario).bind(*range(arguments))
    except TypeError as error:
        wanted = "(sim)" if arguments == 1 else "(sim, data)"
        raise NotAScenario(
            f"{describe(scenario)} is called with {wanted}, and cannot take that: {error}"
        ) from None


# --- one run --------------------------------------------------------------------------------------


@final
@attrs.frozen
class Run:
    """One run of a scenario."""

    schedule: Schedule
    seed: int
    error: BaseException | None
    """What the scenario, or an invariant, raised; None when all went well."""
    seconds: float
    """Virtual."""
    delivered: tuple[Passing, ...]
    """The users' messages, in the order of their arrival."""
    hit: tuple[tuple[Deviation, Passing], ...]
    """Which deviations happened, and where."""
    missed: Schedule
    """Which did not: the messages they were for did not come before `settle()` or the end."""
    remarks: tuple[str, ...]
    """What may explain the error: ask cycles, the end of the system."""
    events: tuple[Event, ...] = attrs.field(repr=False)
    """Everything that happened, in order."""

    @cached_property
    def trace(self) -> str:
        """Everything that happened, one event in each line."""
        return lines_of(self.events)

    @cached_property
    def chart(self) -> str:
        """The same as a sequence chart; of a run that failed before anything was sent, why."""
        drawn = draw(self.events, first=CLIENT)
        if self.error is None or "\n" in drawn.rstrip():
            return drawn
        return f"{drawn}\nnothing was sent: {type(self.error).__name__}: {self.error}"


@final
class Stage:
    """Runs one scenario with one schedule."""

    def __init__(
        self,
        schedule: Iterable[Deviation] = (),
        *,
        seed: int = 0,
        tree: Tree | None = None,
        files: bool = False,
        ask_timeout: float = 30.0,
    ) -> None:
        self.schedule = tuple(schedule)
        self.director = Director(self.schedule)
        self.world = World(seed, files=files)
        self.house = House(self.world, tree, ask_timeout=ask_timeout, schedule=self.schedule)
        self.post = Post(self.world, self.house.routing, self.director)
        self.post.theatre = self.house
        self.node = Node(self.world, CLIENT)
        self.world.waiting, self.world.hope = self.house.waiting, self.house.hope
        self.error: BaseException | None = None
        self.discarded = False
        """Whether the scenario has rejected this world, which says nothing about it then."""

    def run(self, scenario: Scenario, data: Any = NO_DATA) -> None:
        """Run to the end; the verdict is in `error`."""
        world = self.world
        self.node.adopt_context()
        world.nodes += [self.house.node, self.node]

        def begin() -> None:
            self.house.open(self.post)
            self.node.call(self._begin, scenario, data)

        with staged(), _logging(), may_assume():
            world.run(begin)
            self.error = world.failure
            world.close()
        if is_discard(self.error):
            self.error, self.discarded = None, True
        wrong = isinstance(self.error, NotAScenario)
        if self.error is not None and (wrong or not is_failure(self.error)):
            raise self.error  # nothing to look for; Ctrl-C, or a time limit of the test

    def _begin(self, scenario: Scenario, data: Any) -> None:
        task = self.node.loop.create_task(self._perform(scenario, data), name="scenario")
        task.add_done_callback(self._performed)

    async def _perform(self, scenario: Scenario, data: Any) -> None:
        sim = Simulation(self.house, self.node, CLIENT)
        running: Any = scenario(sim) if data is NO_DATA else scenario(sim, data)
        if not inspect.isawaitable(running):
            raise NotAScenario(_not_async(scenario))
        await running

    def _performed(self, task: asyncio.Task[None]) -> None:
        error: BaseException | None = None
        try:
            error = task.exception()
        except asyncio.CancelledError:
            error = AssertionError("the scenario was cancelled")
        self.world.finish(error)

    def report(self) -> Run:
        """Return the run as data."""
        over = self.house.over
        return Run(
            self.schedule,
            self.world.seed,
            self.error,
            self.world.now,
            tuple(self.post.delivered),
            tuple(self.director.hit),
            self.director.missed,
            (*self.house.remarks, *((f"the system ended: {over}",) if over else ())),
            tuple(self.world.trace.events),
        )


def simulate(
    scenario: Scenario,
    schedule: Iterable[Deviation] = (),
    *,
    seed: int = 0,
    tree: Tree | None = None,
    files: bool = False,
    data: Any = NO_DATA,
) -> Run:
    """Run a scenario once, with one schedule, and return what happened; raises nothing of it.

    But `assume` and `reject` of Hypothesis go on to the test that has drawn the data.

    Args:
        scenario: an async function of a `Simulation` (and of `data`, when given).
        schedule: what goes wrong.
        seed: of everything random inside; the same seed and schedule give the same run.
        tree: actors that are there from the beginning.
        files: whether code inside may open files.
        data: a second argument for the scenario.
    """
    checked_scenario(scenario, 1 if data is NO_DATA else 2)
    stage = Stage(checked_schedule(schedule), seed=seed, tree=tree, files=files)
    stage.run(scenario, data)
    if stage.discarded:
        raise UnsatisfiedAssumption(f"{describe(scenario)} has rejected this world")
    return stage.report()


# --- what the actors log --------------------------------------------------------------------------


@final
class _Notes(logging.Handler):
    """Writes what actors and the system log into the trace of the run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        world = STAGE.world
        if world is not None and world.current is not None:
            world.note(world.current.name, record.getMessage())


_NOTES: Final = _Notes()


@contextmanager
def _logging() -> Generator[None]:
    propagate, level = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(_NOTES)
    try:
        yield
    finally:
        logger.removeHandler(_NOTES)
        logger.propagate = propagate
        logger.setLevel(level)
