"""A lock that is released by a late message: by somebody who does not hold it any more.

A lock ends by itself after a few seconds, in case its holder has died.  `Trusting` frees it
whoever says so; a Release that was long on its way then frees the lock of the next holder, and two
are inside.  `Checking` frees it only for the token it was given with.

Found by a single fault: a Release that is delayed for 10 s, in which its lock has run out and
somebody else has got it.  Worlds until found: 105; length of the minimal schedule: 1.
`Checking` survives all 241 single faults, and those that are drawn of 25800 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

SECONDS = 4.0

PAUSE = 1.8
"""Seconds until who found the lock taken asks again.

With this pause nobody waits for an answer when the lock comes back after a crash.  Whoever does is
in a race with a Release that waits as well, and what real processes make of that differs from run
to run.
"""


@message
class Lock(Request[int]):
    """Answers a token; 0 when the lock is taken."""


@message
class Release:
    token: int


@message
class Expire:
    token: int


@message
class Given:
    token: int


class Trusting(Actor):
    """Frees the lock whoever says so."""

    given = 0
    held = 0

    async def on_start(self) -> None:
        if self.context.incarnation > 1:
            await asyncio.sleep(SECONDS)  # what a former life gave away has ended then

    def restore(self, state: Given) -> None:
        self.given = state.token

    @receive
    def lock(self, _msg: Lock) -> int:
        if self.held:
            return 0
        self.given += 1
        self.context.save(Given(self.given))
        self.held = self.given
        self.context.tell_after(SECONDS, Expire(self.held))
        return self.held

    @receive
    def release(self, _msg: Release) -> None:
        self.held = 0

    @receive
    def expire(self, msg: Expire) -> None:
        if msg.token == self.held:
            self.held = 0


class Checking(Trusting):
    """Frees the lock for its holder."""

    @receive
    def release(self, msg: Release) -> None:
        if msg.token == self.held:
            self.held = 0


async def visit(sim: Simulation, locks: ActorRef, inside: list[str], name: str) -> None:
    """Be inside for a while, again and again, alone."""
    began = sim.now()
    while sim.now() - began < 16.0:
        asked = sim.now()
        try:
            token = await locks.ask(Lock(), timeout=1.0)
        except (OutcomeUnknown, NotDelivered):
            token = 0
        # A lock is ours from the moment we asked for it at the latest.
        if not token or sim.now() - asked > 1.0:
            await asyncio.sleep(PAUSE)
            continue
        inside.append(name)
        assert inside == [name], f"{inside} are inside together"
        await asyncio.sleep(3.0)
        inside.remove(name)
        locks.tell(Release(token))
        await asyncio.sleep(0.5)


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """Never are two inside."""
    sim.spawn(cls, name="locks")
    inside: list[str] = []
    async with asyncio.TaskGroup() as group:
        for name in ("alice", "bob"):
            locks = sim.client(name).ref("locks")
            group.create_task(visit(sim, locks, inside, name))


async def broken(sim: Simulation) -> None:
    await run(sim, Trusting)


async def correct(sim: Simulation) -> None:
    await run(sim, Checking)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
