"""Restart strategies and what is saved hold under the same faults."""

from __future__ import annotations

import pytest

from actors.errors import ConnectionLost, NotDelivered, OutcomeUnknown
from actors.testing import Crash, check
from supervisor import Child, Intensity, Strategy, Tree
from tests.guarantees.cast import LEDGER, Add, Ask, Clerk, Poison, Read, Saver, asked, prove

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


TWICE = Intensity(2, 1000.0)
INNER = Tree(intensity=TWICE, children=[Child(Clerk, name="first"), Child(Clerk, name="second")])


async def who_falls_too_often_takes_its_tree_along(sim):
    """Poison is given to three lives; the third fall is one too many for the tree around."""
    LEDGER.clear()
    sim.wait_ready()
    first, second, other = (sim.ref(name) for name in ("first", "second", "other"))
    first.tell(Poison("client", 1))
    await asked(first, Ask("client", 2))
    await sim.settle()
    lives = {actor.name: actor.incarnation for actor in sim.status().actors}
    assert lives["second"] > 1, "its tree was given up, and all of it started anew"
    for number, ref in enumerate((first, second, other), start=3):
        assert await ref.ask(Ask("client", number)) == number
    assert [line.attempt for line in LEDGER if line.number == 1] in ([1, 2, 3], [1, 2], [2, 3])


def test_a_tree_that_is_given_up_comes_back_whole():
    tree = Tree(children=[INNER, Child(Clerk, name="other")])

    report = check(who_falls_too_often_takes_its_tree_along, tree=tree, max_faults=1)

    assert report.exhaustive >= 1
    assert report.worlds > 20, str(report)


async def when_the_last_tree_gives_up_every_ask_ends(sim):
    LEDGER.clear()
    sim.wait_ready()
    first, second = sim.ref("first"), sim.ref("second")
    first.tell(Poison("client", 1))
    for number in range(2, 6):
        for ref in (first, second):
            try:
                await asked(ref, Ask("client", number))
            except ConnectionLost:
                return
        await sim.sleep(1.0)
    raise AssertionError("three falls, two allowed, and the system goes on")


def test_a_root_that_gives_up_ends_the_system_and_every_ask():
    report = check(when_the_last_tree_gives_up_every_ask_ends, tree=INNER, max_faults=1)

    assert report.exhaustive >= 1
    assert report.worlds > 20, str(report)
