"""Pools of real processes: work goes to whoever is idle, and survives whoever dies."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from scenes import Carry, Hold, Mover

import supervisor
from actors.errors import ActorStopped, AnswerLost, OutcomeUnknown
from supervisor import Pool, Tree

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

MEMBERS = [f"mover#{i}" for i in range(1, 5)]


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger"


@pytest.fixture
def system(ledger):
    tree = Tree(children=[Pool(Mover, name="mover", size=4, grace=0.2, ledger=str(ledger))])
    with supervisor.start(tree) as system:
        system.wait_ready(100.0)
        yield system


def entries(ledger):
    """(number, attempt, member) of every job that was begun."""
    lines = ledger.read_text(encoding="utf-8").splitlines()
    return [(int(n), int(attempt), name) for n, attempt, name in map(str.split, lines)]


def test_two_hundred_jobs_survive_the_death_of_two_of_four_workers(system, ledger):
    mover = system.ref("mover")
    replies = [mover.ask(Carry(number, 0.01), timeout=200.0) for number in range(200)]
    replies[20].result()
    for name in ("mover#2", "mover#3"):
        os.kill(system.status().actor(name).pid, signal.SIGKILL)

    answers = [reply.exception() or reply.result() for reply in replies]
    begun = entries(ledger)
    assert {number for number, _, _ in begun} == set(range(200))
    twice = [n for n, count in Counter(number for number, _, _ in begun).items() if count > 1]
    # A worker may die between the end of a job and the way of its answer: that is done all right.
    lost = [number for number, answer in enumerate(answers) if isinstance(answer, AnswerLost)]
    assert [n for n in range(200) if answers[n] != n] == lost
    # Or between the mark that it begins and the first line of its handler: that is done once.
    again = [number for number, attempt, _ in begun if attempt > 1]
    assert len({*twice, *again, *lost}) <= 2, "only what a dead worker had begun is in question"
    assert not {*twice, *again} & set(lost), "what was done to its end is not done again"
    assert set(twice) <= set(again)
    assert {name for _, _, name in begun} == set(MEMBERS)
    assert {actor.pool for actor in system.status().actors} == {"mover"}


def test_a_slow_worker_holds_nothing_that_others_could_do(system):
    mover = system.ref("mover")
    slow = [mover.ask(Hold()) for _ in range(3)]
    quick = [mover.ask(Carry(number)) for number in range(20)]

    assert [reply.result() for reply in quick] == list(range(20))
    busy = [actor.name for actor in system.status().actors if actor.current]
    assert len(busy) == 3
    system.kill("mover")
    for reply in slow:
        with pytest.raises(OutcomeUnknown) as caught:
            reply.result()
        assert caught.value.target in busy


def test_who_watches_a_pool_hears_of_every_member(system):
    with system.watch(system.ref("mover")) as ends:
        for member in ("mover#3", "mover#1"):
            system.kill(member)

        assert [next(ends).name, next(ends).name] == ["mover#3", "mover#1"]


def test_a_pool_is_stopped_restarted_and_killed_by_its_name(system):
    mover = system.ref("mover")
    assert mover.ask(Carry(1)).result() == 1
    assert system.restart("mover") == 2
    assert system.kill("mover") == 2
    assert mover.ask(Carry(2)).result() == 2

    holding = [mover.ask(Hold()) for _ in range(4)]
    waiting = mover.ask(Carry(3))
    while sum(bool(actor.current) for actor in system.status().actors) < 4:
        pass
    system.stop("mover")

    for reply in holding:
        with pytest.raises(OutcomeUnknown):
            reply.result()
    with pytest.raises(ActorStopped):
        waiting.result()
    assert {actor.state for actor in system.status().actors} == {"stopped"}
    assert system.restart("mover") == 4
    assert mover.ask(Carry(4)).result() == 4
