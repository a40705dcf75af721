"""Two-phase commit with a coordinator that forgets what it has decided.

Two shops promise (Prepare) and then act (Decide).  A shop that has promised and hears nothing asks
the coordinator for the outcome; for a transaction it does not know that is "aborted".  `Forgetful`
tells its decision without having saved it, so after a crash it aborts what one of the shops has
committed.  `Mindful` saves first.

Found by a single fault: the coordinator dies after it has told the first shop to commit.
Worlds until found: 15; length of the minimal schedule: 1.
`Mindful` survives all 86 single faults and all 3453 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check


@message
class Book(Request[bool]):
    """Commit in both shops or in none; answers which."""


@message
class Prepare(Request[bool]):
    pass


@message
class Decide(Request[None]):
    commit: bool


@message
class Outcome(Request[bool]):
    """What was decided?"""


@message
class Look(Request[str]):
    pass


@message
class Doubt:
    """A promise was made a while ago."""


@message
class State:
    name: str


class Shop(Actor):
    """Promises, then does as it is told."""

    coordinator: ActorRef
    state = "new"

    def restore(self, state: State) -> None:
        self.state = state.name
        self.worry()

    def become(self, state: str) -> None:
        self.state = state
        self.context.save(State(state))

    def worry(self) -> None:
        if self.state == "promised":
            self.context.tell_after(2.0, Doubt())

    @receive
    def prepare(self, _msg: Prepare) -> bool:
        if self.state == "new":
            self.become("promised")
            self.worry()
        return self.state == "promised"

    @receive
    def decide(self, msg: Decide) -> None:
        if self.state == "promised":
            self.become("committed" if msg.commit else "aborted")
        elif self.state == "new" and not msg.commit:
            self.become("aborted")

    @receive
    async def doubt(self, _msg: Doubt) -> None:
        if self.state == "promised":
            try:
                commit = await self.coordinator.ask(Outcome(), timeout=2.0)
            except (OutcomeUnknown, NotDelivered):
                self.worry()
            else:
                self.decide(Decide(commit))

    @receive
    def look(self, _msg: Look) -> str:
        return self.state


class Forgetful(Actor):
    """Decides, and tells the shops."""

    decision = ""

    def restore(self, state: State) -> None:
        self.decision = state.name

    def remember(self, decision: str) -> None:
        self.decision = decision

    @receive(concurrent=True)
    async def book(self, _msg: Book) -> bool:
        shops = [self.context.actor(name) for name in ("left", "right")]
        promised = True
        for shop in shops:
            try:
                promised = await shop.ask(Prepare(), timeout=2.0) and promised
            except (OutcomeUnknown, NotDelivered):
                promised = False
        if self.decision:
            promised = self.decision == "commit"  # somebody has asked meanwhile
        self.remember("commit" if promised else "abort")
        for shop in shops:
            try:
                await shop.ask(Decide(promised), timeout=2.0)
            except (OutcomeUnknown, NotDelivered):
                continue  # it will ask us
        return promised

    @receive(concurrent=True)
    async def outcome(self, _msg: Outcome) -> bool:
        if not self.decision:
            self.remember("abort")
        return self.decision == "commit"


class Mindful(Forgetful):
    """Saves its decision before anybody hears of it."""

    def remember(self, decision: str) -> None:
        self.decision = decision
        self.context.save(State(decision))


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """Both shops have committed, or none has."""
    coordinator = sim.spawn(cls, name="coordinator")
    shops = [sim.spawn(Shop, name=name, coordinator=coordinator) for name in ("left", "right")]
    try:
        await coordinator.ask(Book(), timeout=10.0)
    except (OutcomeUnknown, NotDelivered):
        await asyncio.sleep(1.0)
    await sim.settle()
    await sim.sleep(8.0)  # whoever is in doubt asks
    await sim.settle()
    states = {await shop.ask(Look()) for shop in shops}
    assert "committed" not in states or states == {"committed"}, states


async def broken(sim: Simulation) -> None:
    await run(sim, Forgetful)


async def correct(sim: Simulation) -> None:
    await run(sim, Mindful)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
