"""What clients saw is recorded in a simulation and on a real system, and judged the same way."""

from __future__ import annotations

import asyncio

import pytest

from actors import Actor, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import CounterExample, Crash, History, Outcome, check, linearizable, simulate
from supervisor import start


@message
class Put(Request[None]):
    value: int


@message
class Get(Request[int]):
    pass


@message
class Kept:
    value: int


class Register(Actor):
    """Holds a number, for as long as it lives."""

    value = 0

    @receive
    def put(self, msg: Put) -> None:
        self.value = msg.value

    @receive
    def get(self, _msg: Get) -> int:
        return self.value


class SavedRegister(Register):
    """Holds a number, whatever happens."""

    def restore(self, state: Kept) -> None:
        self.value = state.value

    @receive
    def put(self, msg: Put) -> None:
        self.value = msg.value
        self.context.save(Kept(msg.value))


def use(cls):
    """Return a scenario in which two programs use a register at the same time."""

    async def scenario(sim):
        register = sim.spawn(cls, name="register")
        history = History(clock=sim.now)
        alice = history.client("alice", register)
        bob = history.client("bob", sim.client("bob").ref("register"))
        async with asyncio.TaskGroup() as group:
            group.create_task(ask_all(alice, [Put(1), Get(), Put(2)]))
            group.create_task(ask_all(bob, [Get(), Put(3), Get()]))
        histories.append(list(history))
        linearizable(history, Register).require()

    histories = []
    return scenario, histories


async def ask_all(client, messages):
    for msg in messages:
        try:
            await client.ask(msg, timeout=2.0)
        except (OutcomeUnknown, NotDelivered):
            await asyncio.sleep(0.05)


def test_a_register_that_saves_is_linearizable_under_every_single_fault():
    scenario, histories = use(SavedRegister)

    report = check(scenario, max_faults=1)

    lost = [one for history in histories for one in history if one.error is not None]
    assert report.exhaustive == 1
    assert lost  # some replies were lost, and may or may not have taken effect


def test_a_register_that_forgets_is_not():
    scenario, _ = use(Register)

    with pytest.raises(CounterExample) as found:
        check(scenario, kinds=[Crash], max_faults=1)

    assert "not linearizable" in str(found.value)
    assert "Timeline" in str(found.value)


def test_too_few_states_give_no_verdict():
    scenario, histories = use(SavedRegister)
    assert simulate(scenario).error is None

    verdict = linearizable(histories[0], Register, max_states=1)

    assert verdict.outcome is Outcome.UNKNOWN
    assert not verdict


@pytest.mark.process
@pytest.mark.parametrize(("cls", "legal"), [(SavedRegister, True), (Register, False)])
def test_a_real_system_is_judged_by_the_same_histories(cls, legal):
    history = History()
    with start() as system:
        register = system.spawn(cls, name="register")
        alice, bob = history.client("alice", register), history.client("bob", register)
        alice.ask(Put(1)).result()
        bob.ask(Get()).result()
        system.kill("register")
        bob.ask(Get()).result()
        asks = [alice.ask(Put(2)), bob.ask(Get())]
        for ask in asks:
            ask.result()

    verdict = linearizable(history, Register)

    assert bool(verdict) is legal
    assert len(history) == 5


@pytest.mark.process
def test_an_ask_that_a_real_kill_cut_off_may_have_taken_effect_or_not():
    history = History()
    with start() as system:
        register = system.spawn(SavedRegister, name="register")
        client = history.client("alice", register)
        for value in range(1, 20):
            ask = client.ask(Put(value))
            if value % 5 == 0:
                system.kill("register")
            try:
                ask.result()
            except OutcomeUnknown:
                client.ask(Get()).result()

    assert linearizable(history, Register)
