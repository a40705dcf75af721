"""Actors that keep a number from one life to the next."""

from __future__ import annotations

import asyncio

from actors import Actor, Request, message, receive


@message
class Add(Request[int]):
    amount: int


@message
class SaveLater(Request[int]):
    total: int


@message
class Total(Request[int]):
    pass


@message
class State:
    total: int


class Keeper(Actor):
    """Saves at every change."""

    broken: bool = False

    def on_start(self) -> None:
        if self.broken:
            raise RuntimeError("not today")
        self.total = 0

    def restore(self, state: State) -> None:
        self.total = state.total

    @receive
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        self.context.save(State(self.total))
        return self.total

    @receive
    async def save_later(self, msg: SaveLater) -> int:
        self.context.save(State(msg.total - 1))
        await asyncio.to_thread(self.context.save, State(msg.total))
        return msg.total

    @receive
    def get(self, _msg: Total) -> int:
        return self.total


class Snapper(Actor):
    """Is asked for its state now and then."""

    snapshot_seconds = 1000.0

    def on_start(self) -> None:
        self.total = 0

    def snapshot(self) -> State:
        return State(self.total)

    def restore(self, state: State) -> None:
        self.total = state.total

    @receive
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @receive
    def get(self, _msg: Total) -> int:
        return self.total
