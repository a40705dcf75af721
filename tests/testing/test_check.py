"""`check` finds what can go wrong, says under which schedule, and shows how."""

from __future__ import annotations

import asyncio
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from _pytest.outcomes import Skipped, XFailed
from hypothesis import strategies as st

from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import (
    CounterExample,
    Crash,
    Delay,
    Drop,
    NoProgress,
    NothingHit,
    check,
    simulate,
)
from supervisor import Child, Tree

PROTOCOLS = Path(__file__).resolve().parents[2] / "examples" / "protocols"
BUDGET = 1_000
"""Worlds for all pairs of faults, where they are no more."""
DRAWN = 12
"""Pairs of faults that are drawn otherwise, in every test run."""
GALLERY = sorted(path.stem for path in PROTOCOLS.glob("*.py"))
SMALL = ("bank", "dedupe")
"""All their pairs are tried in every test run; the benchmark `pairs` does so for others."""


def stated_of(protocol):
    """How many single faults and pairs the docstring says there are."""
    text = " ".join(protocol.__doc__.split())
    return tuple(map(int, SURVIVES.search(text).groups()))


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


STATED = re.compile(r"Worlds until found: (\d+); length of the minimal schedule: (\d+)\.")

SURVIVES = re.compile(
    r"survives all (\d+) single faults(?: and all|, and those that are drawn of) (\d+) pairs"
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", GALLERY)
def test_one_fault_breaks_the_broken_protocol_as_its_docstring_says(gallery, name):
    with pytest.raises(CounterExample) as caught:
        check(gallery(name).broken, max_faults=1)

    found = caught.value
    stated = STATED.search(gallery(name).__doc__)
    assert (found.worlds, len(found.schedule)) == tuple(map(int, stated.groups()))
    assert simulate(gallery(name).broken, found.schedule).error is not None


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", GALLERY)
def test_no_single_fault_breaks_the_correct_protocol(gallery, name):
    report = check(gallery(name).correct, max_faults=1)

    assert report.exhaustive == 1
    assert report.worlds == report.singles + 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SMALL)
def test_no_pair_of_faults_breaks_a_small_correct_protocol(gallery, name):
    report = check(gallery(name).correct, max_faults=2, examples=BUDGET)

    assert report.exhaustive == 2
    assert report.worlds == report.pairs + report.singles + 1
    assert "every schedule of up to two faults (28 of one, " in str(report)
    assert stated_of(gallery(name)) == (report.singles, report.pairs)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted({*GALLERY} - {*SMALL}))
def test_no_drawn_pair_of_faults_breaks_the_correct_protocol(gallery, name):
    report = check(gallery(name).correct, max_faults=2, examples=DRAWN)

    assert stated_of(gallery(name)) == (report.singles, report.all_pairs)
    assert report.drawn >= DRAWN
    assert f"every single fault ({report.singles}), and {report.drawn} drawn worlds" in str(report)


@pytest.mark.process
def test_a_protocol_runs_as_a_program_in_any_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, str(PROTOCOLS / "dedupe.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "every single fault (28); none fails" in done.stdout
    assert "broken fails under [Crash('bank', at=Deposit, when='lost')]" in done.stderr


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


def test_the_chart_of_a_long_run_shows_what_matters_and_leaves_out_the_rest(bank):
    async def long(sim):
        banks = [sim.spawn(bank.Bank, name=f"bank-with-a-long-name-{n}") for n in range(8)]
        for number in range(40):
            for ref in banks:
                await bank.pay(ref, f"account-number-{number}", 10**15)

    fault = Crash("bank-with-a-long-name-3", at=bank.Deposit, nth=20, when="lost")
    chart = simulate(long, [fault]).chart
    lines = chart.splitlines()

    assert max(map(len, lines)) <= 100
    assert len(lines) < 60
    assert "crashes and loses what it has not sent" in chart
    assert "more ..." in chart
    assert "saves Books" in chart


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


def test_an_error_is_shown_at_the_line_of_the_user():
    async def misspelt(sim):
        await sim.ref("bnak").wait_ready(1.0)

    with pytest.raises(CounterExample) as caught:
        check(misspelt)

    assert 'await sim.ref("bnak").wait_ready(1.0)' in str(caught.value)


def expects_an_error(bank):
    async def scenario(sim):
        ref = sim.spawn(bank.Bank, name="bank")
        try:
            await ref.ask(bank.Deposit("a", 1), timeout=5.0)
        except (OutcomeUnknown, NotDelivered):
            with pytest.raises(ZeroDivisionError):
                await ref.ask(bank.Balance())

    return scenario


def fails_in_a_group(bank):
    async def scenario(sim):
        ref = sim.spawn(bank.Bank, name="bank")

        async def pays():
            try:
                await ref.ask(bank.Deposit("a", 1), timeout=5.0)
            except (OutcomeUnknown, NotDelivered):
                pytest.fail("no money")

        async with asyncio.TaskGroup() as group:
            group.create_task(pays())

    return scenario


@pytest.mark.parametrize("made", [expects_an_error, fails_in_a_group])
def test_what_pytest_calls_a_failure_is_a_counter_example(bank, made):
    with pytest.raises(CounterExample) as caught:
        check(made(bank), kinds=[Crash], max_faults=1)

    assert caught.value.schedule == (Crash("bank", at=bank.Deposit, when="lost"),)
    assert "test_check.py" in str(caught.value)
    assert "Failed: " in str(caught.value)


@pytest.mark.parametrize("end", [Skipped, XFailed, KeyboardInterrupt])
def test_what_is_no_failure_ends_the_search(end):
    async def scenario(_sim):
        raise end("not here")

    with pytest.raises(BaseException, match="not here") as caught:
        check(scenario, max_faults=0)

    assert not isinstance(caught.value, Exception)


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


def test_every_world_has_the_data_for_itself(bank):
    async def empties(sim, amounts):
        seen.append(list(amounts))
        ref = sim.spawn(bank.Bank, name="bank")
        while amounts:
            await bank.pay(ref, f"a{len(amounts)}", amounts.pop())
        await sim.settle()

    seen = []
    check(empties, data=st.just([1, 2]), kinds=[Drop], max_faults=1, examples=3, processes=1)

    assert len(seen) > 4
    assert seen == [[1, 2]] * len(seen)


def test_a_scenario_that_uses_its_data_up_fails_with_the_data_as_it_was(bank):
    async def totals_are_small(sim, amounts):
        ref = sim.spawn(bank.Bank, name="bank")
        while amounts:
            await bank.pay(ref, f"a{len(amounts)}", amounts.pop())
        await sim.settle()
        assert await ref.ask(bank.Balance()) < 20

    amounts = st.lists(st.integers(0, 50), max_size=3)
    with pytest.raises(CounterExample) as caught:
        check(totals_are_small, data=amounts, max_faults=0)

    assert caught.value.data == [20]
    assert "data=st.just([20])" in str(caught.value)


def test_data_that_cannot_be_copied_is_handed_on_as_it_is():
    async def takes(_sim, data):
        seen.append(data)

    generator, seen = (number for number in range(3)), []
    check(takes, data=st.just(generator), max_faults=0, examples=1)

    assert seen
    assert all(data is generator for data in seen)


def test_the_lines_that_repeat_a_failure_do_so_with_data_tree_and_files(bank, tmp_path):
    async def overdrawn(sim, amounts):
        (tmp_path / "note").write_text("seen", encoding="utf-8")
        for amount in amounts:
            await bank.pay(sim.ref("bank"), "a", amount)
        assert not amounts

    tree = Tree(children=[Child(bank.Bank, name="bank")])
    amounts = st.lists(st.integers(1, 9), min_size=1)
    with pytest.raises(CounterExample) as caught:
        check(overdrawn, data=amounts, max_faults=0, tree=tree, files=True)
    lines = textwrap.dedent(str(caught.value).partition("to repeat it:\n")[2])

    with pytest.raises(CounterExample) as again:
        exec(lines, {"overdrawn": overdrawn, "tree": tree})
    assert again.value.chart == caught.value.chart
    assert again.value.data == caught.value.data


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


# --- where faults can be --------------------------------------------------------------------------


async def deposits(sim, bank):
    ref = sim.spawn(bank.Bank, name="bank")
    await bank.pay(ref, "a", 1)
    await sim.settle()
    assert await ref.ask(bank.Balance()) == 1


def test_what_happens_after_settling_is_no_place_for_a_fault(bank):
    async def scenario(sim):
        await deposits(sim, bank)

    report = check(scenario, kinds=[Drop], max_faults=1)

    assert (report.messages, report.singles) == (2, 2)


def test_a_second_fault_hits_what_comes_after_the_first_only(bank):
    pairs = []

    async def scenario(sim):
        pairs.append(sim.schedule)
        await deposits(sim, bank)

    report = check(scenario, kinds=[Drop], max_faults=2)

    assert report.exhaustive == 2
    assert pairs[3:] == [
        (Drop(at=1), Drop(at=2)),
        (Drop(at=1), Drop(at=3)),
        (Drop(at=2), Drop(at=3)),
    ]
    assert report.pairs == 3


def test_more_than_two_faults_are_drawn_when_all_pairs_were_tried(bank):
    async def scenario(sim):
        seen.append(len(sim.schedule))
        await deposits(sim, bank)

    seen = []
    report = check(scenario, kinds=[Drop], max_faults=3, examples=10)

    assert report.exhaustive == 2
    assert report.drawn == seen.count(3) > 0


# --- what is said of misuse -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda _bank: Drop(at=9), "2 messages came before settle"),
        (lambda bank: Crash("bank", at=bank.Balance), "0 Balance came to bank"),
        (lambda bank: Crash("bank", at=bank.Deposit, nth=2), "1 Deposit came to bank"),
        (lambda bank: Drop(at=bank.Deposit, answer=True, to="bank"), "came to client only"),
    ],
)
def test_a_deviation_that_hits_nothing_is_reported(bank, fault, said):
    async def scenario(sim):
        await deposits(sim, bank)

    fault = fault(bank)
    with pytest.warns(NothingHit, match=said):
        report = check(scenario, schedule=[fault])

    assert report.missed == (fault,)
    assert f"hit nothing: [{fault!r}]" in str(report)


def test_a_deviation_that_names_nobody_is_refused(bank):
    async def scenario(sim):
        await deposits(sim, bank)

    with pytest.raises(ValueError, match=r"nobody is called 'bnak'.*Did you mean 'bank'\?"):
        check(scenario, schedule=[Crash("bnak", at=bank.Deposit)])


def plain(sim):
    sim.now()


async def items(sim):
    yield sim


async def nothing():
    pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scenario": plain}, "plain is not async: write `async def plain"),
        ({"scenario": items}, "items yields"),
        ({"scenario": nothing}, "nothing is called with"),
        ({"scenario": None}, "give the async function itself"),
        ({"schedule": Drop(at=1)}, r"write \[Drop\(at=1\)\]"),
        ({"schedule": [1]}, "1 is no deviation"),
        ({"kinds": Drop}, r"write \[Drop\]"),
        ({"kinds": [int]}, "is no kind of deviation"),
    ],
)
def test_what_cannot_be_checked_is_refused(options, said):
    async def scenario(sim):
        pass

    with pytest.raises(TypeError, match=said):
        check(**{"scenario": scenario} | options)


def test_a_number_that_makes_no_sense_is_refused(bank):
    for options in ({"max_faults": -1}, {"examples": 0}):
        with pytest.raises(ValueError, match="or more"):
            check(bank.correct, **options)


def test_a_run_that_does_not_end_says_what_it_may_take():
    async def endless(sim):
        while True:
            await sim.sleep(3600)

    run = simulate(endless)

    assert isinstance(run.error, NoProgress)
    assert "at most 86400 virtual s and 1000000 turns" in str(run.error)


def test_a_scenario_that_sends_nothing_proves_nothing(bank):
    async def forgets_to_await(sim):
        sim.spawn(bank.Bank, name="bank").ask(bank.Balance())

    with pytest.raises(ValueError, match=r"sends no message.*Is an `await` missing"):
        check(forgets_to_await)
    assert check(forgets_to_await, max_faults=0).worlds == 1
