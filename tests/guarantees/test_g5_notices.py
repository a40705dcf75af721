"""G5: a watcher gets exactly one `Terminated` per ended incarnation, in order."""

from __future__ import annotations

import pytest

from tests.guarantees.cast import LEDGER, Ask, Clerk, Watched, Watcher, asked, prove


async def every_end_is_heard_of_once(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    watcher = sim.spawn(Watcher, name="watcher", other=clerk)
    ends = sim.watch(clerk)
    for number in range(3):
        await asked(clerk, Ask("client", number))
        sim.kill("clerk")
        await asked(watcher, Watched())
    await sim.settle()
    last = sim.status().actor("clerk").incarnation
    seen = []
    while ends.done():
        seen.append(next(ends).incarnation)
    assert seen == list(range(1, last)), f"the program saw {seen} of {last - 1}"
    lives = await watcher.ask(Watched())
    assert lives == tuple(range(1, last)), f"the actor saw {lives} of {last - 1}"


@pytest.mark.timeout(180)  # the longest worlds of all, on a machine that may be busy
def test_every_end_is_heard_of_once_and_in_order():
    prove(every_end_is_heard_of_once)
