"""G8: every ask ends: an answer, an error, the callee's death, or its deadline."""

from __future__ import annotations

from tests.guarantees.cast import LEDGER, Ask, Clerk, Relay, asked, prove

SLACK = 0.01
"""Seconds after its deadline by which an ask has ended."""


async def every_ask_ends_by_its_deadline(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    relay = sim.spawn(Relay, name="relay", clerk=clerk)
    for number, ref in enumerate((clerk, relay, relay)):
        began = sim.now()
        await asked(ref, Ask("client", number), within=2.0)
        assert sim.now() - began <= 2.0 + SLACK


async def what_has_expired_is_never_handled(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    deadlines = {}
    for number in range(3):
        deadlines[number] = sim.now() + 0.5
        await asked(clerk, Ask("client", number), within=0.5)
    await sim.settle()
    late = [line for line in LEDGER if line.when > deadlines[line.number] + SLACK]
    assert late == []


def test_every_ask_ends_by_its_deadline():
    prove(every_ask_ends_by_its_deadline)


def test_what_has_expired_is_never_handled():
    prove(what_has_expired_is_never_handled)
