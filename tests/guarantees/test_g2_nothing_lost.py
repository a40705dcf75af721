"""G2: every accepted message is handled, or comes back as an error or a dead letter."""

from __future__ import annotations

from actors import DeadLetter
from actors.testing import check
from tests.guarantees.cast import LEDGER, Ask, Clerk, SlowClerk, Tell, asked, prove


def told(sender, number):
    return repr(Tell(sender, number))


async def every_tell_is_accounted_for(sim):
    LEDGER.clear()
    clerk = sim.spawn(SlowClerk, name="clerk")
    letters = sim.subscribe(DeadLetter)
    other = sim.client("alice").ref("clerk")
    for number in range(1, 4):
        clerk.tell(Tell("client", number))
        other.tell(Tell("alice", number))
        await sim.sleep(0.002)
    await sim.settle()
    back = set()
    while letters.done():
        back.add(next(letters).text)
    handled = {told(line.sender, line.number) for line in LEDGER}
    sent = {told(sender, number) for sender in ("client", "alice") for number in range(1, 4)}
    assert sent - handled - back == set(), f"lost; came back: {back}"


async def every_ask_ends(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    for number in range(1, 4):
        answer = await asked(clerk, Ask("client", number), within=30.0)
        handled = any(line.number == number for line in LEDGER)
        if answer == number:
            assert handled
        else:
            assert isinstance(answer, Exception)
    await sim.settle()


async def what_waits_for_a_dead_actor_reaches_its_next_life(sim):
    LEDGER.clear()
    clerk = sim.spawn(Clerk, name="clerk")
    sim.kill("clerk")
    for number in range(1, 4):
        clerk.tell(Tell("client", number))
    await sim.settle()
    assert [line.number for line in LEDGER] == [1, 2, 3]


def test_no_tell_is_lost_whatever_goes_wrong():
    prove(every_tell_is_accounted_for)


def test_every_ask_ends_with_an_answer_or_an_error():
    prove(every_ask_ends)


def test_what_was_told_to_a_dead_actor_is_handled_by_the_next_life():
    check(what_waits_for_a_dead_actor_reaches_its_next_life, max_faults=0)
