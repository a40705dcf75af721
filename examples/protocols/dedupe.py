"""Money that arrives twice: the table of what was applied is lost in a crash.

`Forgetful` knows which deposits it has applied, but keeps that in memory, while the balance is
saved.  Sent again after a crash, a deposit is new to it.  `bank.Bank` saves both in one step.

Found by a single fault: the bank dies when it has saved, and its answer with it.
Worlds until found: 2; length of the minimal schedule: 1.
"""

from __future__ import annotations

from bank import Bank, Books, Deposit, NaiveBank, deposits_count_once

from actors import receive
from actors.testing import Simulation


class Forgetful(NaiveBank):
    """Adds each deposit once, in each of its lives."""

    def on_start(self) -> None:
        self.applied: set[str] = set()

    @receive
    def deposit(self, msg: Deposit) -> int:
        if msg.account in self.applied:
            return self.books.balance
        self.applied.add(msg.account)
        return self.keep(Books(self.books.balance + msg.amount))


async def broken(sim: Simulation) -> None:
    """Every deposit counts once; with the forgetful bank it does not."""
    await deposits_count_once(sim, Forgetful)


async def correct(sim: Simulation) -> None:
    """Every deposit counts once."""
    await deposits_count_once(sim, Bank)
