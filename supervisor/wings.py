"""In the wings: processes that have imported a child's class and wait for its next life.

    the child is up ─► launch ─► Prepare(class) ─► Prepared       it imports, and waits
    a life is to begin ─► Check ─► Prepared(current) ─► the life takes the process over ─► Boot

A spare has no name, incarnation, routing id or socket, so it can be taken for nobody: all that
makes it somebody comes with its `Boot`. Before that it is asked. One that does not answer at once
(stopped, dead), or has imported what was changed on disk since, is killed, and the life begins as
every other does. What `spares.py` decides is done here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, final

from actors.control import Check, Failed, Logged, Prepare, Prepared, Word
from actors.log import logger
from supervisor.birth import order_for
from supervisor.lives import ChildLife
from supervisor.output import log_for
from supervisor.spares import Command, End, GiveUp, Make, Spares

if TYPE_CHECKING:
    from supervisor.boot import SupervisorBoot
    from supervisor.launcher import Launcher
    from supervisor.plan import Launch
    from supervisor.spec import Child

ANSWER_SECONDS: Final = 0.1
"""A spare that has not answered by then is not worth waiting for: an import takes about as long."""

GIVEN_UP: Final = (
    "%s has no spare until it starts again: %d in a row have ended by themselves, or were killed. "
    "Until then its next life is as slow as without one; see what ends a process that only imports "
    "its module."
)


@final
class Wings:
    """The spares of one system."""

    def __init__(
        self, boot: SupervisorBoot, launcher: Launcher | None, launches: Mapping[str, Launch]
    ) -> None:
        """Begin without any.

        Args:
            boot: the surroundings of every process of the system.
            launcher: starts them; None: actors are no processes, and there are no spares.
            launches: each child's class.
        """
        self._boot = boot
        self._launcher = launcher
        self._launches = launches
        self._spares = Spares()
        self._specs: dict[str, Child] = {}
        self._standing: dict[int, ChildLife] = {}
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def started(self, spec: Child) -> None:
        """A child is up."""
        if spec.spare and self._launcher is not None:
            self._specs[spec.name] = spec
            self._perform(self._spares.started(spec.name, time.monotonic()))

    async def lend(self, child: ChildLife) -> None:
        """Give a life that is to begin the process of a spare, if there is a good one."""
        number = self._spares.take(child.name)
        spare = None if number is None else self._standing.pop(number, None)
        if number is None or spare is None:
            return
        if await self._is_good(number, spare):
            child.adopt(spare)
        else:
            spare.kill()

    async def _is_good(self, number: int, spare: ChildLife) -> bool:
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        spare.say(Check())
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({answer, spare.ended}, timeout=ANSWER_SECONDS, return_when=first)
        del self._answers[number]
        return answer.done() and answer.result() and spare.exit is None

    def dismiss(self, name: str) -> None:
        """A child stays down."""
        self._perform(self._spares.dismiss(name))
        self._specs.pop(name, None)

    def close(self) -> None:
        """The system ends."""
        self._perform(self._spares.close())

    def pid(self, name: str) -> int | None:
        """Return the process id of a child's spare, once that is ready."""
        number = self._spares.number(name)
        if number is None or not self._spares.is_ready(name, number):
            return None
        spare = self._standing.get(number)
        return None if spare is None else spare.pid

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Make():
                    delay = max(0.0, command.at - time.monotonic())
                    loop = asyncio.get_running_loop()
                    loop.call_later(delay, self._due, command.name, command.number)
                case End():
                    spare = self._standing.pop(command.number, None)
                    if spare is not None:
                        spare.killed = True  # holds also while it is still being launched
                        spare.kill()
                case GiveUp():
                    logger.warning(GIVEN_UP, command.name, command.ends)

    def _due(self, name: str, number: int) -> None:
        if self._spares.due(name, number):
            work = self._stand(self._specs[name], self._launches[name], number)
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _stand(self, spec: Child, launch: Launch, number: int) -> None:
        """Make a spare and see it to its end, or to that of the life that took it over."""
        assert self._launcher is not None
        spare: ChildLife | None = None
        try:
            spare = ChildLife(spec.name, 0, on_word=partial(self._hear, number))
            self._standing[number] = spare
            order = order_for(spare, self._boot, spec)
            await spare.prepare(self._launcher, order, Prepare(launch.actor))
            await spare.ended
        except (OSError, ImportError) as error:
            if number in self._standing:
                logger.warning("no spare of %s could be launched: %s", spec.name, error)
        self._standing.pop(number, None)
        self._perform(self._spares.ended(spec.name, number, time.monotonic()))
        if spare is not None:
            spare.close()

    def _hear(self, number: int, spare: ChildLife, word: Word) -> None:
        match word:
            case Prepared():
                self._spares.ready(spare.name, number, time.monotonic())
                answer = self._answers.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(word.current)
            case Logged():
                log_for(spare.name, 0, word)
            case Failed():
                logger.warning("the spare of %s cannot be prepared: %s", spare.name, word.text)
            case _:
                return
