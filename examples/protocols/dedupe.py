"""Money that arrives twice: the table of what was applied is lost in a crash.

`Forgetful` knows which deposits it has applied, but keeps that in memory, while the balance is
saved.  Sent again after a crash, a deposit is new to it.  `Mindful` saves both in one step.

Found by a single fault: the bank dies when it has saved, and its answer with it.
Worlds until found: 2; length of the minimal schedule: 1.
`Mindful` survives all 28 single faults and all 638 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check


@message
class Deposit(Request[int]):
    """Add money; the answer is the new balance."""

    number: str
    amount: int


@message
class Balance(Request[int]):
    """How much is there?"""


@message
class Books:
    """What the bank keeps."""

    balance: int = 0
    applied: tuple[str, ...] = ()


class Forgetful(Actor):
    """Adds each deposit once, in each of its lives."""

    books = Books()

    def on_start(self) -> None:
        self.applied: set[str] = set()

    def restore(self, books: Books) -> None:
        self.books = books

    @receive
    def deposit(self, msg: Deposit) -> int:
        if msg.number not in self.applied:
            self.applied.add(msg.number)
            self.keep(Books(self.books.balance + msg.amount))
        return self.books.balance

    def keep(self, books: Books) -> None:
        self.books = books
        self.context.save(books)

    @receive
    def balance(self, _msg: Balance) -> int:
        return self.books.balance


class Mindful(Forgetful):
    """Adds each deposit once."""

    @receive
    def deposit(self, msg: Deposit) -> int:
        books = self.books
        if msg.number not in books.applied:
            self.keep(Books(books.balance + msg.amount, (*books.applied, msg.number)))
        return self.books.balance


async def pay(bank: ActorRef, number: str, amount: int) -> None:
    """Deposit until the bank has said that it is done."""
    while True:
        try:
            await bank.ask(Deposit(number, amount), timeout=5.0)
        except (OutcomeUnknown, NotDelivered):
            await asyncio.sleep(0.1)
        else:
            return


async def run(sim: Simulation, cls: type[Actor]) -> None:
    """Every deposit counts once."""
    bank = sim.spawn(cls, name="bank")
    await pay(bank, "a1", 10)
    await pay(bank, "b1", 5)
    await sim.settle()
    assert await bank.ask(Balance()) == 15


async def broken(sim: Simulation) -> None:
    await run(sim, Forgetful)


async def correct(sim: Simulation) -> None:
    await run(sim, Mindful)


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
