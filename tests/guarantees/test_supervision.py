"""Restart strategies and what is saved hold under the same faults."""

from __future__ import annotations

import pytest

from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Crash, check
from supervisor import Child, Strategy, Tree
from tests.guarantees.cast import LEDGER, Add, Ask, Clerk, Read, Saver, asked, prove

NAMES = ("one", "two", "three")
STRATEGIES = {
    Strategy.ONE_FOR_ONE: {"one": {"one"}, "two": {"two"}, "three": {"three"}},
    Strategy.ONE_FOR_ALL: {name: {*NAMES} for name in NAMES},
    Strategy.REST_FOR_ONE: {
        "one": {"one", "two", "three"},
        "two": {"two", "three"},
        "three": {"three"},
    },
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_falls_takes_along_whom_the_strategy_says(strategy):
    tree = Tree(strategy, children=[Child(Clerk, name=name) for name in NAMES])

    async def scenario(sim):
        LEDGER.clear()
        sim.wait_ready()
        for number, name in enumerate(NAMES):
            await asked(sim.ref(name), Ask("client", number))
        await sim.settle()
        lives = {actor.name: actor.incarnation for actor in sim.status().actors}
        fallen = [one.actor for one in sim.schedule]
        if fallen:
            expected = STRATEGIES[strategy][fallen[0]]
            assert {name for name, life in lives.items() if life > 1} == expected

    for name in NAMES:
        check(scenario, schedule=[Crash(name, at=Ask)], tree=tree)


async def what_was_saved_is_there_again(sim):
    """An answer says how much was saved before it: never less is there afterwards."""
    LEDGER.clear()
    saver = sim.spawn(Saver, name="saver")
    least = 0
    for _ in range(4):
        answer = await asked(saver, Add())
        if isinstance(answer, int):
            assert answer > least
            least = answer
    await sim.settle()
    while True:
        try:
            total = await saver.ask(Read())
        except (NotDelivered, OutcomeUnknown):
            continue
        break
    assert total == len(LEDGER)
    assert total >= least


def test_nothing_that_was_saved_is_forgotten():
    prove(what_was_saved_is_there_again)
