"""A primary that acknowledges too early: its backup has not got the value when it dies.

Nothing is on disk: the value lives in two processes, and a primary that comes back takes it from
its backup.  `Hasty` answers first and replicates a moment later; `Careful` answers when the backup
has the value.

Found by a single fault: the primary dies after its answer has left.
Worlds until found: 9; length of the minimal schedule: 1.
`Careful` survives all 50 single faults and all 2261 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown, SpawnError
from actors.testing import Simulation, check


@message
class Put(Request[None]):
    """Answered when the value is safe."""

    value: int


@message
class Get(Request[int]):
    pass


@message
class Replicate(Request[None]):
    value: int


@message
class Flush:
    value: int


class Backup(Actor):
    """Has a copy.  It takes it from the primary when it comes back itself."""

    value = 0

    @receive
    def replicate(self, msg: Replicate) -> None:
        self.value = msg.value
        self.context.save(Replicate(self.value))

    def restore(self, state: Replicate) -> None:
        self.value = state.value

    @receive
    def get(self, _msg: Get) -> int:
        return self.value


class Hasty(Actor):
    """Answers, and replicates a moment later."""

    backup: ActorRef
    value = 0

    async def on_start(self) -> None:
        self.value = await reach(self.backup, Get())

    @receive
    async def put(self, msg: Put) -> None:
        self.value = msg.value
        await self.make_safe()

    async def make_safe(self) -> None:
        self.context.tell_after(0.1, Flush(self.value))

    @receive
    async def flush(self, msg: Flush) -> None:
        await reach(self.backup, Replicate(msg.value))

    @receive
    def get(self, _msg: Get) -> int:
        return self.value


class Careful(Hasty):
    """Answers when its backup has the value."""

    async def make_safe(self) -> None:
        await reach(self.backup, Replicate(self.value))


async def reach(ref: ActorRef, msg: Request[int] | Request[None]) -> int:
    """Ask until there is an answer."""
    while True:
        try:
            return await ref.ask(msg, timeout=3.0)
        except (OutcomeUnknown, NotDelivered):
            await asyncio.sleep(0.1)


def start(sim: Simulation, cls: type[Actor], backup: ActorRef) -> ActorRef:
    """Start a primary, as often as it takes: who dies while it starts is no part of the system."""
    while True:
        try:
            return sim.spawn(cls, name="primary", backup=backup)
        except SpawnError:
            continue


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """A value that was acknowledged is there ever after."""
    primary = start(sim, cls, sim.spawn(Backup, name="backup"))
    await reach(primary, Put(7))
    await sim.settle()
    assert await primary.ask(Get()) == 7


async def broken(sim: Simulation) -> None:
    await run(sim, Hasty)


async def correct(sim: Simulation) -> None:
    await run(sim, Careful)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
