"""A bounded buffer that overflows: looking for room and filling it are two messages.

A producer of `Polite` asks whether there is room, and puts its item when there is; another one's
item may take the room between the two.  `Strict` decides when the item is there, and says no.

Without a fault the producers take turns by chance, so it needs one: a message that is delayed.
Worlds until found: 54; length of the minimal schedule: 1.
`Strict` survives all 140 single faults, and those that are drawn of 9759 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

CAPACITY = 1


@message
class HasRoom(Request[bool]):
    pass


@message
class Put(Request[bool]):
    """Answers whether it was taken."""

    item: str


@message
class Get(Request[str]):
    """Answers the first item; "" when there is none."""


@message
class Items:
    waiting: tuple[str, ...]


class Polite(Actor):
    """Says whether there is room, and takes what comes."""

    items: tuple[str, ...] = ()

    def restore(self, items: Items) -> None:
        self.items = items.waiting

    def keep(self, items: tuple[str, ...]) -> None:
        assert len(items) <= CAPACITY, f"{items} do not fit"
        self.items = items
        self.context.save(Items(items))

    @receive
    def has_room(self, _msg: HasRoom) -> bool:
        return len(self.items) < CAPACITY

    @receive
    def put(self, msg: Put) -> bool:
        return self.take(msg.item)

    def take(self, item: str) -> bool:
        self.keep((*self.items, item))
        return True

    @receive
    def get(self, _msg: Get) -> str:
        first = self.items[:1]
        self.keep(self.items[1:])
        return first[0] if first else ""


class Strict(Polite):
    """Refuses what does not fit."""

    def take(self, item: str) -> bool:
        return len(self.items) < CAPACITY and super().take(item)


async def produce(buffer: ActorRef, name: str, start: float) -> None:
    """Put an item when there seems to be room."""
    await asyncio.sleep(start)
    try:
        while not await buffer.ask(HasRoom(), timeout=20.0):  # noqa: ASYNC110 - it is far away
            await asyncio.sleep(0.8)
        await buffer.ask(Put(name), timeout=20.0)
    except (OutcomeUnknown, NotDelivered):
        return


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """There is never more in the buffer than fits."""
    sim.spawn(cls, name="buffer")
    parties = [sim.client(name) for name in ("alice", "bob", "carol")]
    buffers = [party.ref("buffer") for party in parties]
    async with asyncio.TaskGroup() as group:
        group.create_task(produce(buffers[0], "a", 0.0))
        group.create_task(produce(buffers[1], "b", 0.05))
        await asyncio.sleep(1.0)
        for _ in range(4):
            try:
                await buffers[2].ask(Get(), timeout=20.0)
            except (OutcomeUnknown, NotDelivered):
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.5)


async def broken(sim: Simulation) -> None:
    await run(sim, Polite)


async def correct(sim: Simulation) -> None:
    await run(sim, Strict)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
