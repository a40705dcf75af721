"""`check` finds what can go wrong, says under which schedule, and shows how."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import strategies as st

from actors.testing import CounterExample, Crash, Delay, Drop, check, simulate

PROTOCOLS = Path(__file__).resolve().parents[2] / "examples" / "protocols"
GALLERY = sorted(path.stem for path in PROTOCOLS.glob("*.py"))


@pytest.fixture
def gallery(monkeypatch):
    """Import the examples as a reader would, who stands in their folder."""
    monkeypatch.syspath_prepend(str(PROTOCOLS))
    yield importlib.import_module
    for name in GALLERY:
        sys.modules.pop(name, None)


@pytest.fixture
def bank(gallery):
    return gallery("bank")


# --- the gallery ----------------------------------------------------------------------------------


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", GALLERY)
def test_one_fault_breaks_the_broken_protocol(gallery, name):
    with pytest.raises(CounterExample) as caught:
        check(gallery(name).broken, max_faults=1)

    assert len(caught.value.schedule) == 1
    assert simulate(gallery(name).broken, caught.value.schedule).error is not None


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", GALLERY)
def test_no_single_fault_breaks_the_correct_protocol(gallery, name):
    report = check(gallery(name).correct, max_faults=1)

    assert report.exhaustive == 1
    assert report.worlds == report.singles + 1


@pytest.mark.parametrize("name", ["bank", "replica", "commit"])
def test_drawn_pairs_of_faults_do_not_break_the_correct_protocol(gallery, name):
    report = check(gallery(name).correct, max_faults=2, examples=25)

    assert report.worlds > report.singles + 1


# --- what is found --------------------------------------------------------------------------------


def test_the_schedule_is_minimal_and_in_names(bank):
    with pytest.raises(CounterExample) as caught:
        check(bank.broken)

    assert caught.value.schedule == (Crash("bank", at=bank.Deposit, when="lost"),)
    assert isinstance(caught.value.__cause__, AssertionError)


def test_the_report_of_a_failure_shows_the_run_and_how_to_repeat_it(bank):
    with pytest.raises(CounterExample) as caught:
        check(bank.broken)
    text = str(caught.value)

    assert "crashes and loses what it has not sent" in caught.value.chart
    assert "check(broken, schedule=[Crash('bank', at=Deposit, when='lost')], seed=0)" in text
    assert max(map(len, caught.value.chart.splitlines())) <= 100


def test_one_schedule_is_run_when_it_is_given(bank):
    assert check(bank.broken, schedule=[]).worlds == 1
    with pytest.raises(CounterExample):
        check(bank.broken, schedule=[Crash("bank", at=bank.Deposit, when="lost")])


def test_kinds_narrow_the_search(bank):
    report = check(bank.broken, kinds=[Drop], max_faults=1)

    assert report.singles == report.messages


def test_no_faults_means_one_world(bank):
    report = check(bank.broken, max_faults=0)

    assert (report.worlds, report.exhaustive) == (1, 0)


def test_a_scenario_that_fails_by_itself_is_said_to():
    async def never_right(sim):
        assert sim.now() > 1000

    with pytest.raises(CounterExample, match="without any fault") as caught:
        check(never_right)

    assert caught.value.schedule == ()


def test_data_is_drawn_and_shrunk(bank):
    async def sums_are_small(sim, amounts):
        ref = sim.spawn(bank.Bank, name="bank")
        for number, amount in enumerate(amounts):
            await bank.pay(ref, f"a{number}", amount)
        await sim.settle()
        total = await ref.ask(bank.Balance())
        assert total == sum(amounts)
        assert total < 20

    amounts = st.lists(st.integers(0, 50), max_size=3)
    with pytest.raises(CounterExample) as caught:
        check(sums_are_small, data=amounts, max_faults=0)

    assert caught.value.data == [20]
    assert caught.value.schedule == ()


def test_two_faults_are_found_when_one_is_not_enough(bank):
    async def two_delays(sim):
        ref = sim.spawn(bank.Bank, name="bank")
        await bank.pay(ref, "a", 1)
        await bank.pay(ref, "b", 1)
        await sim.settle()
        assert sim.now() < 15

    with pytest.raises(CounterExample) as caught:
        check(two_delays, kinds=[Delay], max_faults=3, examples=200)

    assert len(caught.value.schedule) == 2


def test_the_same_search_finds_the_same_thing(bank):
    def found():
        with pytest.raises(CounterExample) as caught:
            check(bank.broken, seed=3)
        return str(caught.value)

    assert found() == found()
