"""A probe remembers what it was sent, and a clock stands still until it is moved."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import ActorStopped, InvalidMessage
from actors.testing import Crash, Drop, ManualClock, Probe, check, simulate
from supervisor import start


@message
class Paid:
    amount: int


@message
class Price(Request[int]):
    of: str


def test_a_probe_gives_back_what_it_was_told_in_order():
    probe = Probe()
    probe.ref.tell(Paid(1))
    probe.ref.tell(Paid(2))

    assert [probe.expect(Paid).amount, probe.expect(Paid).amount] == [1, 2]
    probe.expect_nothing()
    assert probe.messages == [Paid(1), Paid(2)]


def test_a_probe_waits_for_other_threads():
    probe = Probe()
    thread = threading.Timer(0.05, lambda: probe.ref.tell(Paid(3)))
    thread.start()

    assert probe.expect(Paid, within=10.0).amount == 3
    thread.join()


def test_the_wrong_message_or_none_is_said():
    probe = Probe()
    with pytest.raises(AssertionError, match="no Paid within"):
        probe.expect(Paid, within=0.01)
    probe.ref.tell(Price("tea"))
    with pytest.raises(AssertionError, match="nothing, and got Price"):
        probe.expect_nothing()
    with pytest.raises(AssertionError, match="expected Paid, and got Price"):
        probe.expect(Paid)


def test_an_ask_is_answered_when_the_test_says_so():
    probe = Probe()
    tea, coffee = probe.ref.ask(Price("tea")), probe.ref.ask(Price("coffee"))

    assert (probe.expect(Price).of, probe.expect(Price).of) == ("tea", "coffee")
    probe.answer(3)
    probe.answer(ActorStopped(target="probe"))
    assert tea.result() == 3
    with pytest.raises(ActorStopped):
        coffee.result()
    with pytest.raises(AssertionError, match="nothing to answer"):
        probe.answer(1)


def test_an_ask_that_nobody_answers_times_out():
    with pytest.raises(TimeoutError):
        Probe().ref.ask(Price("tea")).result(timeout=0.01)


def test_what_cannot_travel_is_refused_here_too():
    with pytest.raises(InvalidMessage):
        Probe().ref.tell(Paid("much"))


def test_a_clock_stands_still_until_it_is_advanced():
    clock = ManualClock(100.0)

    assert (clock(), clock()) == (100.0, 100.0)
    assert clock.advance(2.5) == 102.5
    assert clock() == 102.5


@given(st.lists(st.floats(0, 1e6)))
def test_a_clock_never_goes_back(steps):
    clock = ManualClock()
    times = [clock(), *(clock.advance(step) for step in steps)]

    assert times == sorted(times)


@pytest.mark.parametrize("seconds", [-0.1, math.inf, -math.inf, math.nan])
def test_a_clock_refuses_to_go_back_and_to_go_nowhere(seconds):
    with pytest.raises(ValueError, match="forward"):
        ManualClock().advance(seconds)


def test_a_clock_begins_at_a_finite_time():
    with pytest.raises(ValueError, match="finite"):
        ManualClock(math.nan)


# --- in a system ----------------------------------------------------------------------------------


@message
class Buy(Request[int]):
    of: str
    bank: ActorRef


class Shop(Actor):
    """Asks somebody for the price, and tells that it was paid."""

    @receive
    async def buy(self, msg: Buy) -> int:
        price = await msg.bank.ask(Price(msg.of))
        msg.bank.tell(Paid(price))
        return price


def buy_tea(system):
    """What a test of a shop does, whatever the system."""
    shop = system.spawn(Shop, name="shop")
    probe = Probe(system)
    for price in (3, 4):
        bought = shop.ask(Buy("tea", probe.ref))
        assert probe.expect(Price, within=10.0) == Price("tea")
        probe.answer(price)
        assert bought.result() == price
        assert probe.expect(Paid, within=10.0) == Paid(price)
    probe.expect_nothing()
    refused = shop.ask(Buy("tea", probe.ref))
    probe.expect(Price, within=10.0)
    probe.answer(ActorStopped(target="the bank", reason="it is closed"))
    with pytest.raises(ActorStopped):
        refused.result()
    tea = Price("tea")
    assert probe.messages == [tea, Paid(3), tea, Paid(4), tea]
    with pytest.raises(AssertionError, match=r"no Paid within 0\.01 s"):
        probe.expect(Paid, within=0.01)
    probe.close()


@pytest.mark.process
def test_a_probe_is_a_party_of_a_real_system():
    with start() as system:
        buy_tea(system)


def test_a_probe_is_a_party_of_a_simulation():
    async def scenario(sim):
        buy_tea(sim)

    run = simulate(scenario)

    assert run.error is None
    assert "probe" in run.chart


def test_what_a_probe_is_sent_is_neither_lost_nor_doubled():
    async def scenario(sim):
        probe = Probe(sim)
        for number in range(3):
            sim.ref(probe.ref.name).tell(Paid(number))
            await sim.sleep(0.01)
        await sim.settle()
        assert [paid.amount for paid in probe.messages] == [0, 1, 2]

    check(scenario, kinds=[Drop], max_faults=2)


def test_a_probe_outlives_who_writes_to_it():
    async def scenario(sim):
        shop = sim.spawn(Shop, name="shop")
        probe = Probe(sim)
        shop.ask(Buy("tea", probe.ref))
        assert probe.expect(Price, within=60.0).of == "tea"
        probe.answer(3)
        again = shop.ask(Buy("milk", probe.ref))
        assert probe.expect(Price, within=60.0).of == "milk"
        probe.answer(4)
        assert await again == 4

    assert (
        check(scenario, schedule=[Crash("shop", at=Price, answer=True, when="before")]).missed == ()
    )
