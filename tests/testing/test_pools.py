"""Pools in the simulation: every single fault and drawn pairs, on the real deciders."""

from __future__ import annotations

import asyncio

import pytest

from actors.errors import AnswerLost, OutcomeUnknown
from actors.testing import BrokerRestart, Crash, check, simulate
from supervisor import Pool, Tree
from tests.testing.troupe import DONE, Job, Once, Told, Worker


def pool(size=3):
    DONE.clear()
    return Tree(children=[Pool(Worker, name="mover", size=size)])


async def every_job_is_answered(sim):
    """Redelivered work is done whatever dies; the answer may be lost, the work is not."""
    DONE.clear()
    mover, other = sim.ref("mover"), sim.client("other").ref("mover")
    replies = [ref.ask(Job(n)) for n, ref in enumerate([mover, other] * 3)]
    await sim.sleep(1.0)  # faults happen until `settle`
    await sim.settle()
    for number, reply in enumerate(replies):
        try:
            assert await reply == number
        except (AnswerLost, OutcomeUnknown):
            continue  # finished and never repeated, or in progress at the third death
        assert DONE[number], f"job {number} vanished"


async def nothing_is_done_twice(sim):
    """Work that may not be repeated is done once, or its sender knows that nobody knows."""
    DONE.clear()
    mover = sim.ref("mover")
    replies = [mover.ask(Once(n)) for n in range(6)]
    for number in range(6, 9):
        mover.tell(Told(number))
    await sim.sleep(1.0)  # faults happen until `settle`
    await sim.settle()
    for number, reply in enumerate(replies):
        try:
            assert await reply == number
        except OutcomeUnknown:
            continue
        assert len(DONE[number]) == 1
    assert all(len(names) == 1 for names in DONE.values())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", [every_job_is_answered, nothing_is_done_twice])
def test_no_single_fault_breaks_a_pool(scenario):
    report = check(scenario, max_faults=2, examples=20, tree=pool())

    assert report.exhaustive == 1


def test_work_goes_to_whoever_is_idle():
    async def scenario(sim):
        DONE.clear()
        mover = sim.ref("mover")
        await asyncio.gather(*(mover.ask(Job(n)) for n in range(30)))

    run = simulate(scenario, tree=pool())

    assert run.error is None
    shares = [sum(names == [f"mover#{i}"] for names in DONE.values()) for i in (1, 2, 3)]
    assert shares == [10, 10, 10]


@pytest.mark.parametrize("fault", [Crash("mover#2", at=Job, nth=1), BrokerRestart(at=Job, nth=2)])
def test_a_fault_in_the_middle_delays_work_and_loses_none(fault):
    run = simulate(every_job_is_answered, [fault], tree=pool())

    assert run.error is None
    assert run.hit
