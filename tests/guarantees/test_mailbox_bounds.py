"""G4 for mailboxes: a full one is said to be full at once, and `room()` ends when there is some."""

from __future__ import annotations

from actors.errors import MailboxFull
from actors.testing import check
from supervisor import Limits
from tests.guarantees.cast import LEDGER, SlowClerk, Tell, prove

MOST = 3


async def nobody_has_more_waiting_than_the_limit(sim):
    LEDGER.clear()
    clerk = sim.spawn(SlowClerk, name="clerk", limits=Limits(mailbox=MOST))
    full = 0
    for number in range(1, 3 * MOST):
        try:
            clerk.tell(Tell("client", number))
        except MailboxFull:
            full += 1
            await clerk.room()
            clerk.tell(Tell("client", number))
    assert full, "more was taken than fits"
    await sim.settle()
    numbers = [line.number for line in LEDGER]
    assert numbers == sorted(set(numbers))


async def large_messages_fill_it_by_their_bytes(sim):
    LEDGER.clear()
    clerk = sim.spawn(SlowClerk, name="clerk")
    large = "x" * (24 << 20)
    clerk.tell(Tell(large, 1))
    clerk.tell(Tell(large, 2))
    clerk.tell(Tell(large, 3))
    try:
        clerk.tell(Tell("", 4))
    except MailboxFull:
        await clerk.room()
    else:
        raise AssertionError("72 MiB wait, and there is room for more")
    clerk.tell(Tell("", 4))
    await sim.settle()


def test_a_full_mailbox_says_so_and_has_room_again():
    prove(nobody_has_more_waiting_than_the_limit)


def test_a_mailbox_is_full_by_its_bytes_too():
    assert check(large_messages_fill_it_by_their_bytes, max_faults=0).worlds >= 1
