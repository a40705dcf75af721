"""Properties of the simulation itself: what is drawn is replayed, in order, forwards in time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.testing import schedules, simulate

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
