"""The scheduler: one thread, virtual time, every process of the simulation.

    something can run        ─► the next process in line runs the callbacks that are due
    nothing can              ─► time jumps to the next entry of the agenda (a packet, a timer)
    nothing is left to do    ─► deadlock: who waits for whom

Plain code that waits (`Reply.result()`) must not hold up the others, so all of it runs in
greenlets: one is at work, going round as above; when the code it runs has to wait, it parks and
another goes on; when that finds the parked one's process in line, it hands the work back.
"""
# ruff: noqa: SLF001 - a scheduler that stands in for asyncio's own needs what that keeps to itself

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from greenlet import GreenletExit, getcurrent, greenlet

from actors.testing.escapes import SimEscape
from actors.testing.senses import begin as begin_chance
from actors.testing.stage import STAGE
from actors.testing.sweeping import sweep
from actors.testing.trace import Trace

if TYPE_CHECKING:
    from actors.testing.node import Node

_set_running_loop: Final = asyncio._set_running_loop

MOST_SECONDS: Final = 24 * 3600.0
"""Virtual time after which a run is over."""

MOST_TURNS: Final = 1_000_000
"""Turns after which a run is over."""

STILL: Final = 30.0
"""Virtual seconds without anything but reminders of the network after which nothing will come."""

MOST_AT_ONCE: Final = 20_000
"""Turns without any virtual time passing after which a run is over."""


@final
class Deadlock(AssertionError):  # noqa: N818 - it says what happened
    """Nothing can happen any more, and the scenario is not over."""


@final
class NoProgress(AssertionError):  # noqa: N818 - it says what happened
    """A run that does not end."""


_Entry: TypeAlias = tuple[float, int, Callable[..., None], tuple[Any, ...], int]
"""When, which in order, what to do; 1 for a reminder."""


@final
class World:
    """Time, and whose turn it is."""

    def __init__(self, seed: int = 0, *, files: bool = False) -> None:  # noqa: PLR0915 - one each
        self.seed = seed
        self.files = files
        """Whether code inside may open files."""
        self.now = 0.0
        self.trace = Trace(self)
        self.current: Node | None = None
        """The process whose code runs at the moment."""
        self.runnable: deque[Node] = deque()
        self.nodes: list[Node] = []
        self.over = False
        self.failure: BaseException | None = None
        """What ended the run, if it was not the scenario."""
        self.before_jump: Callable[[], None] = lambda: None
        """Called before time passes, once it is `alarm` or later."""
        self.alarm = math.inf
        self.after_turn: Callable[[], None] | None = None
        """Called after every turn: invariants."""
        self.waiting: Callable[[], str] = lambda: "nobody"
        """Says who waits for whom."""
        self.hope: Callable[[], bool] = lambda: False
        """Whether some ask has a deadline."""
        self.numbers = itertools.count()
        """Of tasks and futures, which decide on their order in sets."""
        self._agenda: list[_Entry] = []
        self._serial = 0
        self._reminders = 0
        """Entries of the agenda that alone bring nothing new."""
        self._lively_at = 0.0
        """When something last happened that may have consequences."""
        self._idle: list[greenlet] = []
        self._main = getcurrent()
        self._lost: list[greenlet] = []
        self._random = Random(f"{seed}")
        self._turns = 0
        self._turns_now = 0

    @property
    def random(self) -> Random:
        """The chance of the process that runs at the moment."""
        return self.current.random if self.current is not None else self._random

    @property
    def turns(self) -> int:
        """How often a process has had its turn."""
        return self._turns + self._turns_now

    # --- time

    def at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        """Do something at a virtual time; entries for the same time keep their order."""
        self._serial += 1
        when = max(when, self.now)
        heapq.heappush(self._agenda, (when, self._serial, action, args, 0))

    def remind(self, when: float, action: Callable[..., None], *args: Any) -> None:
        """Do something at a virtual time that alone brings nothing new (a probe of a link)."""
        self._serial += 1
        self._reminders += 1
        when = max(when, self.now)
        heapq.heappush(self._agenda, (when, self._serial, action, args, 1))

    def lively(self) -> None:
        """Something happened that may have consequences."""
        self._lively_at = self.now

    def note(self, who: str, text: str) -> None:
        """Write a remark into the trace."""
        self.trace.note(who, text)

    # --- the end

    def finish(self, failure: BaseException | None = None) -> None:
        """The run is over."""
        if self.failure is None:
            self.failure = failure
        self.over = True

    def escaped(self, escape: SimEscape) -> None:
        """Code tried to leave the simulation."""
        self.finish(escape)

    def exit_current(self, code: int) -> None:
        """The code that runs ends its own process at once (`os._exit`)."""
        node = self.current
        assert node is not None
        node.die(code, None)
        self._lost.append(getcurrent())
        self._hand_over()

    def bury(self, node: Node) -> None:
        """A process is dead: what of it waits is never resumed."""
        if node.parked is not None:
            self._lost.append(node.parked)
            node.parked = None

    def close(self) -> None:
        """Let go of everything; errors of code that is cut off have no meaning."""
        self.over = self.trace.closed = True
        self.runnable.clear()
        self._agenda.clear()
        for node in self.nodes:
            if node.parked is not None:
                self._lost.append(node.parked)
                node.parked = None
        for node in self.nodes:
            node.close()
        for each in (*self._lost, *self._idle):
            if not each.dead:
                # Whatever it raises, nobody is there any more to be told.
                with suppress(BaseException):
                    each.throw(GreenletExit)
        self._lost.clear()
        self._idle.clear()
        for node in self.nodes:
            node.loop.closed = True
            node.pumps.clear()
        sweep(self.turns)

    # --- going round

    def run(self, begin: Callable[[], None]) -> None:
        """Begin, and go round until the run is over; called by whoever made this world."""
        former = asyncio._get_running_loop()
        begin_chance(self.seed)
        STAGE.world = self
        self._main = getcurrent()
        try:
            begin()
            greenlet(self._work, parent=self._main).switch()
        finally:
            STAGE.world = None
            self.current = None
            asyncio._set_running_loop(former)

    def enter(self, node: Node | None) -> None:
        """From now on code of this process runs."""
        self.current = node
        _set_running_loop(None if node is None else node.loop)

    def park(self, node: Node) -> None:
        """Let the others go on until `node.unpark()`."""
        # Python 3.14 keeps the present task per thread, not per loop.
        task = asyncio.current_task(node.loop)
        if task is not None:
            asyncio.tasks._leave_task(node.loop, task)
        node.parked = getcurrent()
        node.woken = False
        if node.plug is not None:
            self.at(self.now, self._pull_plug, node)
        self._hand_over()
        # Here again: another greenlet found us in line and handed over.
        node.parked = None
        self.enter(node)
        if task is not None:
            asyncio.tasks._enter_task(node.loop, task)

    def _pull_plug(self, node: Node) -> None:
        if node.plug is not None and not node.dead:
            node.plug()

    def _hand_over(self) -> None:
        self.enter(None)
        other = self._idle.pop() if self._idle else greenlet(self._work, parent=self._main)
        other.switch()

    def _work(self) -> None:
        try:
            self._go_round()
        except GreenletExit:
            return
        except BaseException as error:  # noqa: BLE001 - goes to whoever runs the world
            self.finish(error)
        # What is at work when the run is over lets the main greenlet go on.
        self._main.switch()

    def _go_round(self) -> None:
        runnable = self.runnable
        while not self.over:
            if not runnable:
                self._jump()
                continue
            node = runnable.popleft()
            node.queued = False
            if node.dead or node.frozen:
                continue
            if node.parked is not None:
                if node.woken:
                    self._idle.append(getcurrent())
                    node.parked.switch()
                continue
            self._turn(node)

    def _turn(self, node: Node) -> None:
        self._turns_now += 1
        if self._turns_now > MOST_AT_ONCE:
            raise NoProgress(f"{node.label} is busy for ever, and no time passes")
        ready = node.loop.ready
        if self.current is not node:
            self.current = node
            _set_running_loop(node.loop)
        try:
            self._run_due(node, ready)
        except SystemExit as error:
            node.die(error.code if isinstance(error.code, int) else 1, None)
        if ready:
            node.wake()
        elif node.plug is not None and node.parked is None:
            node.plug()
        if self.after_turn is not None and not self.over:
            self.after_turn()

    def _run_due(self, node: Node, ready: deque[Any]) -> None:
        """Run the callbacks that are in line now."""
        for _ in range(len(ready)):
            if not ready or self.over or node.frozen:
                return
            each = ready.popleft()
            if each._cancelled:
                continue
            try:
                each._context.run(each._callback, *each._args)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code
                node.loop.call_exception_handler({"message": "a callback", "exception": error})

    def _jump(self) -> None:
        """Do what is next on the agenda, and let time pass until then."""
        agenda = self._agenda
        if not agenda:
            raise Deadlock(f"nothing can happen any more; waiting: {self.waiting()}")
        when = agenda[0][0]
        if when > self.now:
            if self.now >= self.alarm:
                self.before_jump()
            self._turns += self._turns_now
            self._turns_now = 0
            if when > MOST_SECONDS or self._turns > MOST_TURNS:
                took = f"{self.now:g} virtual s and {self._turns} turns"
                most = f"{MOST_SECONDS:g} virtual s and {MOST_TURNS} turns"
                raise NoProgress(
                    f"not over after {took} (at most {most}); waiting: {self.waiting()}"
                )
            if len(agenda) > self._reminders:
                self._lively_at = self.now
            elif when > self._lively_at + STILL and not self.hope():
                raise Deadlock(f"nothing can happen any more; waiting: {self.waiting()}")
            # The looking around may have put something earlier on the agenda.
            self.now = max(self.now, agenda[0][0])
        if self.current is not None:
            self.current = None
            _set_running_loop(None)
        _, _, action, args, reminder = heapq.heappop(agenda)
        self._reminders -= reminder
        action(*args)
