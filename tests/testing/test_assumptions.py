"""A scenario that rejects a world, by Hypothesis's `assume` or `reject`, has not failed there."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable, UnsatisfiedAssumption

from actors import Actor, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import CounterExample, Drop, check, simulate


@message
class Double(Request[int]):
    number: int


class Doubler(Actor):
    @receive
    def double(self, msg: Double) -> int:
        assert msg.number != 13
        return 2 * msg.number


async def doubled(sim, number=1):
    doubler = sim.spawn(Doubler, name="doubler")
    answer = None
    while answer is None:
        try:
            answer = await doubler.ask(Double(number), timeout=5.0)
        except (NotDelivered, OutcomeUnknown):
            await sim.sleep(0.1)
    return answer


@pytest.mark.parametrize("processes", [1, 3])
def test_data_that_is_rejected_is_no_counter_example(processes):
    async def doubles(sim, number):
        assume(number > 3)
        assert await doubled(sim, number) > 6

    report = check(doubles, data=st.integers(0, 12), max_faults=1, examples=20, processes=processes)

    assert 0 < report.discarded < report.worlds
    assert report.messages > 0
    assert f"{report.discarded} of them discarded" in str(report)


def test_what_fails_is_the_simplest_that_is_not_rejected():
    async def doubles(sim, number):
        assume(number > 5)
        assert await doubled(sim, number) < 10

    with pytest.raises(CounterExample) as caught:
        check(doubles, data=st.integers(0, 12), max_faults=1)

    assert caught.value.data == 6
    assert caught.value.schedule == ()


@pytest.mark.parametrize("processes", [1, 3])
def test_a_world_that_is_rejected_for_its_faults_counts_as_discarded(processes):
    async def hit(sim):
        if len(sim.schedule) == 1:
            reject()
        await doubled(sim)

    report = check(hit, kinds=[Drop], max_faults=2, processes=processes)

    assert report.discarded == report.singles > 0
    assert report.worlds == 1 + report.singles + report.pairs


def test_the_world_without_faults_may_be_rejected_once_it_has_shown_its_messages():
    async def slow(sim):
        await doubled(sim)
        took = sim.now()
        assume(took > 1)
        assert took < 3

    with pytest.raises(CounterExample) as caught:
        check(slow, max_faults=1)

    assert len(caught.value.schedule) == 1


async def in_a_group(_sim):
    async def rejects():
        reject()

    async with asyncio.TaskGroup() as group:
        group.create_task(rejects())


async def by_always(sim):
    sim.always(lambda: assume(condition=False))
    await sim.sleep(1)


async def by_eventually(sim):
    await sim.eventually(reject)


@pytest.mark.parametrize("rejecting", [in_a_group, by_always, by_eventually])
def test_it_does_not_matter_where_a_scenario_rejects(rejecting):
    async def scenario(sim):
        await doubled(sim)
        if sim.schedule:
            await rejecting(sim)

    report = check(scenario, kinds=[Drop], max_faults=1)

    assert report.discarded == report.singles > 0


def test_nothing_but_rejected_worlds_proves_nothing():
    async def picky(sim, number):
        await doubled(sim, number)
        assume(number > 1000)

    with pytest.raises(Unsatisfiable, match=r"picky has rejected all \d+ worlds"):
        check(picky, data=st.integers(0, 12), max_faults=1, examples=10)


def test_one_world_that_is_rejected_says_so_to_whoever_drew_it():
    async def even(_sim, number):
        assume(number % 2 == 0)
        seen.append(number)

    @settings(max_examples=20, database=None, derandomize=True)
    @given(st.integers(0, 100))
    def some(number):
        assert simulate(even, data=number).error is None

    seen = []
    some()

    assert seen
    with pytest.raises(UnsatisfiedAssumption):
        check(even, schedule=[], data=st.just(1))


def test_data_that_cannot_be_drawn_is_no_success():
    # Recorded: what the strategy itself rejects was taken for what the scenario rejects.
    drawn = []

    async def doubles(sim, number):
        assert await doubled(sim, number) == 2 * number

    once = st.integers(0, 9).filter(lambda number: not drawn.append(number) and len(drawn) == 1)
    with pytest.raises(Unsatisfiable):
        check(doubles, data=once, max_faults=0, examples=20)
