"""One simulated process: an event loop of its own, and what can happen to it from outside.

running ──► parked    plain code waits (`.result()` in a `def` handler): nothing else of this
   │  ▲               process runs, but its connection is pumped
   │  └──── frozen    SIGSTOP: not even that
   └──────► dead      a power cut: nothing of it ever runs again
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from random import Random
from typing import TYPE_CHECKING, Any, cast, final

from actors.testing.loop import NodeLoop

if TYPE_CHECKING:
    from greenlet import greenlet

    from actors.testing.party import Pump
    from actors.testing.world import World


@final
class Node:
    """A process of the simulation."""

    def __init__(self, world: World, name: str, incarnation: int = 0) -> None:
        self.world = world
        self.name = name
        self.incarnation = incarnation
        self.label = f"{name}/{incarnation}" if incarnation else name
        self._random: Random | None = None
        self.loop = NodeLoop(self)
        self.pumps: list[Pump] = []
        self.context: Context = Context()
        """In which its code begins."""
        self.dead = False
        self.frozen = False
        self._frozen_until = 0.0
        self.parked: greenlet | None = None
        """The greenlet in which plain code of this process waits."""
        self.woken = False
        """What the parked code waits for may have happened."""
        self.queued = False
        self.plug: Callable[[], None] | None = None
        """Called when it has done all it can at the moment: a crash that was planned for then."""
        self.on_exit: Callable[[int | None, int | None], None] = lambda _code, _signal: None
        """Called with its exit code, or the signal that ended it."""

    @property
    def random(self) -> Random:
        """Its own chance, the same in every run with this seed."""
        if self._random is None:
            self._random = Random(f"{self.world.seed}/{self.label}")
        return self._random

    # --- running

    def wake(self) -> None:
        """It has something to do."""
        if not self.queued and not self.dead and not self.frozen and self.parked is None:
            self.queued = True
            self.world.runnable.append(self)

    def unpark(self) -> None:
        """What the parked code waits for may have happened."""
        if self.parked is None or self.dead:
            return
        self.woken = True
        if not self.queued and not self.frozen:
            self.queued = True
            self.world.runnable.append(self)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function as code of this process, now."""
        world = self.world
        former = world.current
        world.enter(self)
        try:
            if former is self or self.parked is not None:
                return function(*args)  # its context is entered already
            return self.context.run(function, *args)
        finally:
            world.enter(former)

    def adopt_context(self) -> None:
        """Let its code see the context variables of whoever runs the simulation."""
        self.context = copy_context()

    # --- what happens to it

    def freeze(self, seconds: float) -> None:
        """Stand still for a while."""
        if not self.dead:
            self.frozen = True
            end = self.world.now + seconds
            self._frozen_until = max(self._frozen_until, end)
            self.world.at(end, self._thaw)

    def _thaw(self) -> None:
        """Go on, unless another hang lasts longer."""
        if self.dead or not self.frozen or self.world.now < self._frozen_until:
            return
        self.frozen = False
        for pump in self.pumps:
            pump.look()
        if self.parked is not None:
            if self.woken:
                self.unpark()
        elif self.loop.ready:
            self.wake()

    def die(self, code: int | None, signal: int | None) -> None:
        """Run nothing any more; whoever supervises it hears of it."""
        if self.dead:
            return
        self.dead = True
        self.loop.close()
        for pump in self.pumps:
            pump.dead = True
        self.world.bury(self)
        self.on_exit(code, signal)

    def close(self) -> None:
        """Let go of everything, after the verdict: now what was cut off may run its `finally`."""
        self.loop.close()
        for task in self.loop.tasks:
            # Whatever it raises, nobody is there any more to be told.
            with suppress(BaseException):
                cast("Coroutine[Any, Any, Any]", task.get_coro()).close()
