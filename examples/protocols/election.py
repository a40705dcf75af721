"""Two leaders: who hears nothing of the leader takes its place, though the leader still leads.

Three nodes; the leader sends a beat every second.  With `Eager` a node that hears none for
two seconds becomes the leader, which it also does when it alone is cut off.  `Voted` needs the
votes of a majority, each of them a promise not to vote for anybody else for a while, and the
leader itself counts as one only as long as a majority has promised that.

Found by a single fault: the beats from the leader to one other node are delayed, or the two are
cut off from each other.  Worlds until found: 43; length of the minimal schedule: 1.
"""

from __future__ import annotations

import time

from actors import Actor, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation

NAMES = ("ann", "ben", "cem")
BEAT = 1.0
PROMISE = 2.0
"""Seconds for which a vote is a promise."""


@message
class Beat:
    """I lead."""


@message
class Vote(Request[bool]):
    """May I lead for the next seconds?"""


@message
class Step:
    """Time passes."""


class Eager(Actor):
    """Leads when it hears of no leader."""

    place: int
    leading = False

    def on_start(self) -> None:
        self.heard = time.monotonic()
        self.context.tell_every(BEAT, Step())

    @property
    def leads(self) -> bool:
        return self.leading

    @property
    def others(self) -> list[str]:
        return [name for name in NAMES if name != self.context.name]

    @receive
    def beat(self, _msg: Beat) -> None:
        self.heard = time.monotonic()
        if self.leading and self.context.sender is not None:
            # Two lead: the one with the lower place goes on.
            self.leading = NAMES.index(self.context.sender.name) > self.place

    @receive
    async def step(self, _msg: Step) -> None:
        if not self.leading and time.monotonic() - self.heard > PROMISE * (1 + self.place):
            self.leading = True
        if self.leading:
            for name in self.others:
                self.context.actor(name).tell(Beat())


class Voted(Eager):
    """Leads as long as a majority has promised to follow."""

    until = 0.0
    promised_to = ""
    promised_until = 0.0

    def on_start(self) -> None:
        super().on_start()
        # A former life may have promised something.
        self.promised_until = time.monotonic() + PROMISE

    @property
    def leads(self) -> bool:
        return time.monotonic() < self.until

    def promise(self, name: str, until: float) -> bool:
        now = time.monotonic()
        if name != self.promised_to and now < self.promised_until:
            return False
        self.promised_to, self.promised_until = name, max(until, self.promised_until)
        self.heard = now
        return True

    @receive
    def vote(self, _msg: Vote) -> bool:
        sender = self.context.sender
        return sender is not None and self.promise(sender.name, time.monotonic() + PROMISE)

    @receive(concurrent=True)
    async def step(self, _msg: Step) -> None:
        asked = time.monotonic()
        if not self.leads and asked - self.heard < PROMISE * (1 + self.place):
            return
        if not self.promise(self.context.name, asked + PROMISE):
            return
        asks = [self.context.actor(name).ask(Vote(), timeout=1.0) for name in self.others]
        for ask in asks:
            try:
                promised = await ask
            except (OutcomeUnknown, NotDelivered):
                promised = False
            # It counts from the asking: the others count from later, so theirs ends later.
            if promised:
                self.until = max(self.until, asked + PROMISE)


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """There are never two leaders, and in the end there is one."""
    for place, name in enumerate(NAMES):
        sim.spawn(cls, name=name, place=place)

    def leaders() -> list[str]:
        nodes = [(name, sim.peek(name)) for name in NAMES]
        return [name for name, node in nodes if node is not None and node.leads]

    sim.always(lambda: len(leaders()) < 2, "there is at most one leader")
    await sim.eventually(leaders, "there is a leader", within=60.0)
    await sim.sleep(4.0)
    await sim.eventually(leaders, "there is a leader again", within=60.0)


async def broken(sim: Simulation) -> None:
    await run(sim, Eager)


async def correct(sim: Simulation) -> None:
    await run(sim, Voted)
