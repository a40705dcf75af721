"""Properties of the simulation itself: what is drawn is replayed, in order, forwards in time."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.testing import (
    BrokerRestart,
    CounterExample,
    Crash,
    Delay,
    Drop,
    check,
    schedules,
    simulate,
)

SOURCE = Path(__file__).with_name("troupe.py")


def _load(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SOURCE)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


troupe = _load("simulated_troupe")


async def talk(sim):
    """Tells and asks between a few parties, in which everything may be lost but nothing twice."""
    log = sim.spawn(troupe.Listing, name="log")
    caller = sim.spawn(
        troupe.PlainCaller, name="caller", target=sim.spawn(troupe.Adder, name="adder")
    )
    other = sim.client("bob").ref("log")
    for number in range(4):
        log.tell(troupe.Put(number))
        other.tell(troupe.Put(100 + number))
        reply = caller.ask(troupe.Via(number), timeout=60)
        await sim.sleep(0.01)
        reply.cancel() if number == 2 else reply.exception()
    await sim.settle()
    heard = await log.ask(troupe.Heard())
    for mine in ([n for n in heard if n < 100], [n for n in heard if n >= 100]):
        assert mine == sorted(set(mine)), heard


@settings(max_examples=25)
@given(schedules(max_faults=3, positions=25), st.integers(0, 3))
def test_a_schedule_replays_identically_and_keeps_the_order(schedule, seed):
    first = simulate(talk, schedule, seed=seed)
    again = simulate(talk, schedule, seed=seed)

    assert first.error is None, first.chart
    assert first.trace == again.trace


@settings(max_examples=15)
@given(schedules(max_faults=3, positions=25))
def test_time_never_goes_back_and_messages_are_numbered_in_order(schedule):
    done = simulate(talk, schedule)
    times = [float(line.split()[0]) for line in done.trace.splitlines()]

    assert times == sorted(times)
    assert [passing.number for passing in done.delivered] == list(range(1, len(done.delivered) + 1))


@settings(max_examples=15)
@given(schedules([Delay], max_faults=3, positions=25))
def test_what_one_party_sends_to_another_arrives_in_order(schedule):
    done = simulate(talk, schedule)
    arrived = [line for line in done.trace.splitlines() if "bob -> log" in line and "[" not in line]
    numbers = [int(found) for line in arrived for found in re.findall(r"Put\(\D*(\d+)\)", line)]

    # A resend repeats; what comes for the first time keeps its place.
    assert list(dict.fromkeys(numbers)) == [100, 101, 102, 103]


@pytest.mark.parametrize("kinds", [{Drop}, {Delay, Crash}, {Drop, BrokerRestart}])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_shrunk_still_fails_and_needs_every_fault(kinds, seed):
    async def scenario(sim):
        """Fails as soon as each of these kinds is there, whatever else is."""
        log = sim.spawn(troupe.Listing, name="log")
        for number in range(3):
            log.tell(troupe.Put(number))
            await sim.sleep(1)
        assert not kinds <= {type(one) for one in sim.schedule}

    with pytest.raises(CounterExample) as caught:
        check(scenario, seed=seed, max_faults=3, examples=200)
    found = caught.value.schedule

    assert {type(one) for one in found} == kinds
    assert simulate(scenario, found, seed=seed).error is not None
    for left_out in range(len(found)):
        fewer = found[:left_out] + found[left_out + 1 :]
        assert simulate(scenario, fewer, seed=seed).error is None


async def fails_at_once(sim):
    raise ValueError("no money")


def test_the_chart_of_a_run_that_failed_before_anything_was_sent_says_why():
    run = simulate(fails_at_once)

    assert run.chart.splitlines()[1:] == ["nothing was sent: ValueError: no money"]


def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "actors.testing.basis")

    with pytest.raises(ModuleNotFoundError, match=r"needs hypothesis: pip .*understudy\[testing\]"):
        importlib.import_module("actors.testing.basis")
