"""A lease without fencing: a write that was on its way for long lands after the lease has ended.

Writers take a lease from `Leases`, read a number from the store, add one, write it back.  A write
that arrives after its lease ran out destroys what the next holder wrote meanwhile.  `Fenced` takes
the token of the lease with every write and refuses one that is older than the newest it has seen.

Found by a single fault: a write is delayed for 10 s.  Its writer gives up then, and what it wrote
may count or not; but the others must not lose theirs.
Worlds until found: 64; length of the minimal schedule: 1.
`Fenced` survives all 144 single faults, and those that are drawn of 23425 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

SECONDS = 3.0


@message
class Acquire(Request[int]):
    """Answers the lease's token; 0 when somebody else has it."""


@message
class Release:
    token: int


@message
class Expire:
    token: int


@message
class Read(Request[int]):
    token: int = 0


@message
class Write(Request[bool]):
    """Answers whether it was written."""

    value: int
    token: int


@message
class Last:
    """What must not be forgotten."""

    value: int
    token: int = 0


class Leases(Actor):
    """Gives one lease at a time, for a few seconds."""

    last = Last(0)
    held = 0

    async def on_start(self) -> None:
        if self.context.incarnation > 1:
            await asyncio.sleep(SECONDS)  # what a former life gave away has ended then

    def restore(self, last: Last) -> None:
        self.last = last

    @receive
    def acquire(self, _msg: Acquire) -> int:
        if self.held:
            return 0
        self.last = Last(self.last.value + 1)
        self.context.save(self.last)
        self.held = self.last.value
        self.context.tell_after(SECONDS, Expire(self.held))
        return self.held

    @receive
    def release(self, msg: Release) -> None:
        self.give_up(msg.token)

    @receive
    def expire(self, msg: Expire) -> None:
        self.give_up(msg.token)

    def give_up(self, token: int) -> None:
        if token == self.held:
            self.held = 0


class Unfenced(Actor):
    """Keeps a number, and takes any write."""

    last = Last(0)

    def restore(self, last: Last) -> None:
        self.last = last

    @receive
    def read(self, msg: Read) -> int:
        self.keep(self.last.value, msg.token)
        return self.last.value

    @receive
    def write(self, msg: Write) -> bool:
        if self.outdated(msg.token):
            return False
        self.keep(msg.value, msg.token)
        return True

    def outdated(self, _token: int) -> bool:
        return False

    def keep(self, value: int, token: int) -> None:
        self.last = Last(value, max(token, self.last.token))
        self.context.save(self.last)


class Fenced(Unfenced):
    """Keeps a number, and refuses writes under an older lease."""

    def outdated(self, token: int) -> bool:
        return token < self.last.token


async def increment(leases: ActorRef, store: ActorRef) -> int:
    """Add one under a lease; return how many increments are sure to be applied: 1 or 0."""
    while True:
        try:
            token = await leases.ask(Acquire(), timeout=1.0)
            if not token:
                await asyncio.sleep(0.2)
                continue
            value = await store.ask(Read(token), timeout=1.0)
        except (OutcomeUnknown, NotDelivered):
            await asyncio.sleep(0.2)
            continue
        reply = store.ask(Write(value + 1, token), timeout=30.0)
        await asyncio.sleep(0.5)
        if not reply.done() or reply.exception() is not None:
            return 0  # perhaps it is written, perhaps it is still on its way
        written = reply.result()
        leases.tell(Release(token))
        if written:
            return 1


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """No increment that was confirmed is lost."""
    sim.spawn(Leases, name="leases")
    sim.spawn(cls, name="store")
    writers = [sim.client(name) for name in ("alice", "bob", "carol")]
    sure = sum([await increment(one.ref("leases"), one.ref("store")) for one in writers])
    await sim.settle()
    assert await sim.ref("store").ask(Read()) >= sure


async def broken(sim: Simulation) -> None:
    await run(sim, Unfenced)


async def correct(sim: Simulation) -> None:
    await run(sim, Fenced)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
