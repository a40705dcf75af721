"""Money that arrives twice: a deposit that is sent again when its answer was lost.

`NaiveBank` adds every deposit it gets.  The client cannot know whether a lost answer means a lost
deposit, so it sends it again, and the money counts twice.  `Bank` remembers which deposits it has
applied, together with the balance, so that one of them can be sent as often as it takes.

Found in the naive one by a single fault: the bank dies after it has saved the new balance, and its
answer with it.  Worlds until found: 2; length of the minimal schedule: 1.
`Bank` survives all 28 single faults and all 638 pairs of faults.
"""

from __future__ import annotations

import asyncio

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check


@message
class Deposit(Request[int]):
    """Add money; the answer is the new balance."""

    account: str
    amount: int


@message
class Balance(Request[int]):
    """How much is there?"""


@message
class Books:
    """What the bank keeps."""

    balance: int = 0
    applied: tuple[str, ...] = ()


class NaiveBank(Actor):
    """Adds what it gets."""

    books = Books()

    def restore(self, books: Books) -> None:
        self.books = books

    def keep(self, books: Books) -> int:
        self.books = books
        self.context.save(books)
        return books.balance

    @receive
    def deposit(self, msg: Deposit) -> int:
        return self.keep(Books(self.books.balance + msg.amount))

    @receive
    def balance(self, _msg: Balance) -> int:
        return self.books.balance


class Bank(NaiveBank):
    """Adds each deposit once."""

    @receive
    def deposit(self, msg: Deposit) -> int:
        books = self.books
        if msg.account in books.applied:
            return books.balance
        return self.keep(Books(books.balance + msg.amount, (*books.applied, msg.account)))


async def pay(bank: ActorRef, account: str, amount: int) -> None:
    """Deposit until the bank has said that it is done."""
    while True:
        try:
            await bank.ask(Deposit(account, amount), timeout=5.0)
        except (OutcomeUnknown, NotDelivered):
            await asyncio.sleep(0.1)
        else:
            return


async def broken(sim: Simulation) -> None:
    """Every deposit counts once; with the naive bank it does not."""
    await deposits_count_once(sim, NaiveBank)


async def correct(sim: Simulation) -> None:
    """Every deposit counts once."""
    await deposits_count_once(sim, Bank)


async def deposits_count_once(sim: Simulation, cls: type[Actor]) -> None:
    bank = sim.spawn(cls, name="bank")
    await pay(bank, "a1", 10)
    await pay(bank, "b1", 5)
    await sim.settle()
    assert await bank.ask(Balance()) == 15


if __name__ == "__main__":
    print(check(correct, max_faults=1))
    check(broken, max_faults=1)  # raises CounterExample, with the schedule and a chart
