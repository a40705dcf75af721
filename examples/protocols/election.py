"""Two leaders: who hears nothing of the leader takes its place, though the leader still leads.

Three nodes; the leader sends a beat every second.  With `Eager` a node that hears none for two
seconds becomes the leader, which it also does when it alone is cut off.  `Voted` needs the votes of
a majority, each of them a promise not to vote for anybody else for a while, and the leader itself
counts as one only as long as a majority has promised that.

Nobody can look at three processes at the same moment, so every node keeps in mind when it led
(processes of one machine share a monotonic clock), and in the end the times are compared.

Found by a single fault: the beats from the leader to one other node are delayed, or the two are
cut off from each other.  Worlds until found: 43; length of the minimal schedule: 1.
`Voted` survives all 180 single faults, and those that are drawn of 14472 pairs of faults.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import combinations, product
from typing import TypeAlias

from actors import Actor, Request, message, receive
from actors.errors import NoSuchActor, NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

NAMES = ("ann", "ben", "cem")
BEAT = 1.0
PROMISE = 2.0
"""Seconds for which a vote is a promise."""

Span: TypeAlias = tuple[float, float]
"""From when to when somebody led."""


@message
class Beat:
    """I lead."""


@message
class Vote(Request[bool]):
    """May I lead for the next seconds?"""


@message
class Reigns(Request[tuple[Span, ...]]):
    """When have you led?"""


@message
class Memory:
    spans: tuple[Span, ...]


@message
class Step:
    """Time passes."""


class Eager(Actor):
    """Leads when it hears of no leader."""

    place: int
    leading = False
    spans: tuple[Span, ...] = ()

    def on_start(self) -> None:
        self.heard = time.monotonic()
        self.context.tell_every(BEAT, Step())

    def restore(self, memory: Memory) -> None:
        self.spans = memory.spans

    def reign(self, start: float, end: float) -> None:
        """Keep in mind that it leads, from when to when."""
        if self.spans and start <= self.spans[-1][1]:
            start = self.spans[-1][0]
            self.spans = self.spans[:-1]
        self.spans = (*self.spans, (start, end))
        self.context.save(Memory(self.spans))

    @receive
    def reigns(self, _msg: Reigns) -> tuple[Span, ...]:
        return self.spans

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
        now = time.monotonic()
        if not self.leading and now - self.heard > PROMISE * (1 + self.place):
            self.leading = True
            self.since = now
        if self.leading:
            self.reign(self.since, now)
            for name in self.others:
                with suppress(NoSuchActor):  # a slow machine has not spawned it yet
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
        if asked > self.until and asked - self.heard < PROMISE * (1 + self.place):
            return
        if not self.promise(self.context.name, asked + PROMISE):
            return
        asks = []
        for name in self.others:
            with suppress(NoSuchActor):
                asks.append(self.context.actor(name).ask(Vote(), timeout=BEAT))
        for ask in asks:
            try:
                promised = await ask
            except (OutcomeUnknown, NotDelivered):
                promised = False
            # It counts from the asking: the others count from later, so theirs ends later.
            if promised:
                self.until = max(self.until, asked + PROMISE)
                self.reign(time.monotonic(), self.until)


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """There were never two leaders, and in the end there is one."""
    nodes = [sim.spawn(cls, name=name, place=place) for place, name in enumerate(NAMES)]

    async def somebody_leads() -> bool:
        spans = [span for node in nodes for span in await node.ask(Reigns())]
        return any(end > time.monotonic() - 2 * BEAT for _, end in spans)

    await sim.sleep(7.0)
    await sim.settle()
    await sim.eventually(somebody_leads, "somebody leads", within=20.0)
    reigns = [await node.ask(Reigns()) for node in nodes]
    for one, other in combinations(reigns, 2):
        for (start, end), (begin, finish) in product(one, other):
            assert max(start, begin) >= min(end, finish), f"two leaders: {reigns}"


async def broken(sim: Simulation) -> None:
    await run(sim, Eager)


async def correct(sim: Simulation) -> None:
    await run(sim, Voted)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
