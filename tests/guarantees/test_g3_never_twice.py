"""G3: a message is handled at most once, but for those that say `redeliver`."""

from __future__ import annotations

from collections import Counter

from actors import DeadLetter
from actors.errors import AnswerLost, OutcomeUnknown
from actors.testing import Crash, check
from tests.guarantees.cast import LEDGER, PAIRS, Ask, Clerk, Insist, Poison, Tell, asked, prove


async def nothing_is_handled_twice(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    other = sim.client("alice").ref("clerk")
    for number in range(1, 4):
        clerk.tell(Tell("client", 2 * number))
        await asked(other, Ask("alice", number))
        await asked(clerk, Ask("client", 2 * number + 1))
    await sim.settle()
    often = Counter((line.sender, line.number) for line in LEDGER)
    assert set(often.values()) <= {1}, often


async def an_answer_that_was_lost_is_said_to_be(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    for number in range(1, 4):
        answer = await asked(clerk, Ask("client", number), within=30.0)
        lines = [line for line in LEDGER if line.number == number]
        if isinstance(answer, AnswerLost):
            assert len(lines) == 1
        elif isinstance(answer, OutcomeUnknown):
            assert len(lines) <= 1
        else:
            assert answer == number


async def what_insists_is_handled_in_the_end(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    for number in range(1, 4):
        clerk.tell(Insist("client", number))
        await sim.sleep(0.1)
    await sim.settle()
    assert {line.number for line in LEDGER} == {1, 2, 3}
    for number in range(1, 4):
        attempts = [line.attempt for line in LEDGER if line.number == number]
        assert attempts == list(range(1, len(attempts) + 1)), attempts


async def poison_does_not_kill_for_ever(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    letters = sim.subscribe(DeadLetter)
    clerk.tell(Poison("client", 1))
    clerk.tell(Tell("client", 2))
    await sim.settle()
    deaths = [line for line in LEDGER if line.number == 1]
    assert 1 < len(deaths) < 10
    assert [line.number for line in LEDGER][-1] == 2
    assert next(letters).text == repr(Poison("client", 1))


def test_nothing_is_handled_twice_whatever_goes_wrong():
    prove(nothing_is_handled_twice)


def test_a_lost_answer_and_an_unknown_outcome_say_how_often_it_was_handled():
    check(an_answer_that_was_lost_is_said_to_be, max_faults=1, kinds=[Crash])


def test_what_is_marked_redeliver_is_handled_in_the_end():
    report = check(what_insists_is_handled_in_the_end, kinds=[Crash], examples=PAIRS)

    assert report.exhaustive == 2


def test_poison_becomes_a_dead_letter_and_what_is_behind_it_is_handled():
    check(poison_does_not_kill_for_ever, max_faults=0)
