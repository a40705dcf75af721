"""A work queue that loses a task: somebody dies between its being taken and its being done.

`Trusting` forgets a task as soon as somebody has taken it.  `Careful` keeps it until it is done,
and gives it to somebody else when that takes too long; so a task may be done twice, and its result
is kept under its name.

Found by a single fault: the answer with the task is lost, because the queue or the worker dies.
Worlds until found: 2; length of the minimal schedule: 1.
`Careful` survives all 198 single faults, and those that are drawn of 16407 pairs of faults.
"""

from __future__ import annotations

import asyncio
import time

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

PATIENCE = 2.0
TASKS = ("glue", "paint", "saw")


@message
class Take(Request[str]):
    """Answers a task; "" when there is none at the moment."""


@message
class Done(Request[None]):
    task: str


@message
class Finished(Request[tuple[str, ...]]):
    """Which tasks are done?"""


@message
class Work:
    pass


@message
class Tasks:
    waiting: tuple[str, ...]
    taken: tuple[str, ...]
    done: tuple[str, ...]


class Trusting(Actor):
    """Forgets what somebody has taken."""

    tasks = Tasks(TASKS, (), ())

    def on_start(self) -> None:
        self.since: dict[str, float] = {}

    def restore(self, tasks: Tasks) -> None:
        self.tasks = tasks

    def keep(self, waiting: tuple[str, ...], taken: tuple[str, ...], done: tuple[str, ...]) -> None:
        self.tasks = Tasks(waiting, taken, done)
        self.context.save(self.tasks)

    @receive
    def take(self, _msg: Take) -> str:
        self.remind()
        if not self.tasks.waiting:
            return ""
        first, *rest = self.tasks.waiting
        self.keep(tuple(rest), (*self.tasks.taken, first), self.tasks.done)
        self.since[first] = time.monotonic()
        return first

    def remind(self) -> None:
        """What was taken is in good hands."""

    @receive
    def done(self, msg: Done) -> None:
        tasks = self.tasks
        taken = tuple(task for task in tasks.taken if task != msg.task)
        if msg.task not in tasks.done:
            self.keep(tasks.waiting, taken, (*tasks.done, msg.task))

    @receive
    def finished(self, _msg: Finished) -> tuple[str, ...]:
        return self.tasks.done


class Careful(Trusting):
    """Gives a task to somebody else when it takes too long."""

    def remind(self) -> None:
        now = time.monotonic()
        tasks = self.tasks
        late = [one for one in tasks.taken if now - self.since.setdefault(one, now) > PATIENCE]
        late = [one for one in late if one not in tasks.done]
        if late:
            taken = tuple(one for one in tasks.taken if one not in late)
            self.keep((*tasks.waiting, *late), taken, tasks.done)


class Worker(Actor):
    """Takes a task, works on it for half a second, and takes the next."""

    tasks: ActorRef

    def on_start(self) -> None:
        self.context.tell_every(1.0, Work())

    @receive
    async def work(self, _msg: Work) -> None:
        try:
            task = await self.tasks.ask(Take(), timeout=1.0)
            if task:
                await asyncio.sleep(0.5)
                await self.tasks.ask(Done(task), timeout=1.0)
        except (OutcomeUnknown, NotDelivered):
            return  # the next one, then


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """Every task is done."""
    tasks = sim.spawn(cls, name="tasks")
    for name in ("ann", "ben"):
        sim.spawn(Worker, name=name, tasks=tasks)

    async def all_done() -> bool:
        return sorted(await tasks.ask(Finished())) == sorted(TASKS)

    await sim.sleep(4.0)
    await sim.settle()
    await sim.eventually(all_done, "every task is done", within=10.0)


async def broken(sim: Simulation) -> None:
    await run(sim, Trusting)


async def correct(sim: Simulation) -> None:
    await run(sim, Careful)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
