"""G1: messages from one sender to one actor are handled in the order they were sent."""

from __future__ import annotations

from itertools import pairwise

from tests.guarantees.cast import LEDGER, Ask, Clerk, Relay, Tell, asked, prove


def assert_in_order():
    """Every sender's messages, in the order of their numbers, across all lives."""
    for sender in {line.sender for line in LEDGER}:
        numbers = [line.number for line in LEDGER if line.sender == sender]
        assert all(first < second for first, second in pairwise(numbers)), (sender, numbers)


async def two_programs_tell_and_ask(sim):
    LEDGER.clear()
    sim.spawn(Clerk, name="clerk")
    refs = {name: sim.client(name).ref("clerk") for name in ("alice", "bob")}
    for number in range(1, 4):
        for sender, ref in refs.items():
            ref.tell(Tell(sender, 2 * number))
            await asked(ref, Ask(sender, 2 * number + 1))
    await sim.settle()
    assert_in_order()


async def an_actor_passes_on(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    relay = sim.spawn(Relay, name="relay", clerk=clerk)
    for number in range(1, 5):
        relay.tell(Tell("relayed", number))
        await sim.sleep(0.002)
    await sim.settle()
    assert_in_order()


def test_order_holds_whatever_goes_wrong():
    prove(two_programs_tell_and_ask)


def test_order_holds_from_actor_to_actor():
    prove(an_actor_passes_on)
