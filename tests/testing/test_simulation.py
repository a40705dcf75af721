"""The simulation runs ordinary actors, and the real supervisor, under virtual time."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import re
import sys
import time
from pathlib import Path

import pytest

from actors import DeadLetter
from actors.errors import (
    AnswerLost,
    ConnectionLost,
    DeadlineExceeded,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    OutcomeUnknown,
    SpawnError,
)
from actors.testing import (
    BrokerRestart,
    Crash,
    Deadlock,
    Delay,
    Drop,
    Hang,
    Partition,
    SimEscape,
    SupervisorCrash,
    simulate,
)
from supervisor import Child, Intensity, Pool, Strategy, Tree

ROOT = Path(__file__).resolve().parents[2]


def _load(name):
    """Import a neighbour under a name that actors' classes can be found by."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("troupe.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


troupe = _load("simulated_troupe")
Add, Put, Total, Via = troupe.Add, troupe.Put, troupe.Total, troupe.Via


def run(scenario, *schedule, **options):
    """Run one world and raise what failed in it."""
    done = simulate(scenario, schedule, **options)
    if done.error is not None:
        done.error.add_note(done.chart)
        raise done.error
    return done


# --- what runs ------------------------------------------------------------------------------------


def test_an_ask_is_answered_both_ways():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        assert adder.ask(Add(1, 2)).result() == 3
        assert await adder.ask(Add(3, 4)) == 7

    run(scenario)


def test_a_def_handler_may_ask_with_result():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        caller = sim.spawn(troupe.PlainCaller, name="caller", target=adder)
        assert await asyncio.gather(*(caller.ask(Via(n)) for n in range(5))) == [1, 2, 3, 4, 5]

    run(scenario)


def test_ordinary_asyncio_runs_under_virtual_time():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        caller = sim.spawn(troupe.AsyncCaller, name="caller", target=adder)
        asks = [caller.ask(Via(n, pause=100.0), timeout=1000) for n in range(3)]
        assert await asyncio.gather(*asks) == [1, 2, 3]
        assert sim.now() > 300

    began = time.perf_counter()
    run(scenario)

    assert time.perf_counter() - began < 10


def test_streams_pass_items_of_generators_of_both_kinds():
    async def scenario(sim):
        quick = sim.spawn(troupe.Counter, name="quick")
        slow = sim.spawn(troupe.SlowCounter, name="slow")
        assert [item async for item in quick.stream(troupe.Count(500))] == list(range(500))
        assert [item async for item in slow.stream(troupe.Count(3))] == [0, 1, 2]
        assert list(quick.stream(troupe.Count(3))) == [0, 1, 2]

    run(scenario)


def test_timers_fire_when_virtual_time_has_come():
    async def scenario(sim):
        clock = sim.spawn(troupe.Clock, name="clock")
        await sim.sleep(3601)
        assert await clock.ask(Total()) == 61

    run(scenario)


def test_a_tree_is_there_from_the_beginning():
    tree = Tree(
        Strategy.ONE_FOR_ALL,
        children=[Child(troupe.Adder, name="one"), Pool(troupe.Adder, name="many", size=2)],
    )

    async def scenario(sim):
        sim.wait_ready()
        assert await sim.ref("one").ask(Add(1)) == 2
        assert sim.kill("one") == 1
        await sim.settle()
        assert {actor.incarnation for actor in sim.status().actors} == {2}

    run(scenario, tree=tree)


def test_an_actor_spawns_and_watches_a_child():
    async def scenario(sim):
        parent = sim.spawn(troupe.Parent, name="parent")
        sim.ref("child").wait_ready()
        sim.kill("child")
        await sim.settle()
        assert await parent.ask(troupe.Seen()) == ("child/1",)

    run(scenario)


def test_a_program_watches_restarts_and_stops_actors():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        ends = sim.watch(adder)
        letters = sim.subscribe(DeadLetter)
        assert sim.kill("adder") == 1
        adder.wait_ready(10)
        assert sim.restart("adder") == 3
        sim.stop("adder")
        assert [next(ends).incarnation for _ in range(3)] == [1, 2, 3]
        with pytest.raises(NoSuchActor):
            await adder.ask(Add(1))
        assert not letters.done()

    run(scenario)


def test_saved_state_is_durable_from_the_moment_save_returns():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        for _ in range(3):
            adder.tell(Put(5))
        await sim.settle()
        assert await adder.ask(Total()) == 15

    run(scenario, Crash("adder", at=Put, nth=2, when="lost"))


def test_snapshots_are_taken_between_messages():
    async def scenario(sim):
        adder = sim.spawn(troupe.Snapshooter, name="adder")
        adder.tell(Put(5))
        await sim.sleep(1)
        sim.kill("adder")
        assert await adder.ask(Total()) == 5

    run(scenario)


def test_snapshots_that_nobody_would_restore_are_said_once_and_then_not_taken():
    async def scenario(sim):
        adder = sim.spawn(troupe.Spendthrift, name="adder")
        for _ in range(5):
            adder.tell(Put(5))
            await sim.sleep(1)

    done = simulate(scenario)
    assert done.error is None
    assert done.trace.count("Spendthrift has no restore") == 1
    assert "No more snapshots are taken" in done.trace


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (100 * [1], ["no room 1"]),
        ([1, 1, 0, 0], ["no room 1", "works again"]),
        (20 * [1, 0], ["no room 1", "works again"]),
        (20 * [1] + 80 * [2], ["no room 1", "no room 2"]),
        ([1, 0] + 80 * [1], ["no room 1", "works again", "no room 1"]),
        (range(1, 101), ["no room 1", "no room 62"]),
    ],
    ids=["it goes on", "it ends", "by turns", "another reason", "anew", "ever another"],
)
def test_a_snapshot_that_fails_is_said_when_it_begins_changes_and_ends(fails, said):
    # Recorded: the same traceback was logged every second.
    async def scenario(sim):
        adder = sim.spawn(troupe.Fitful, name="adder")
        for number in fails:
            adder.tell(Put(number))
            await sim.sleep(1)

    trace = run(scenario).trace
    assert re.findall("no room [0-9]+|works again", trace) == said


def test_the_last_snapshot_of_a_life_says_what_is_wrong_with_it_in_any_case():
    async def scenario(sim):
        adder = sim.spawn(troupe.Fitful, name="adder")
        for number in (1, 0, 2):
            adder.tell(Put(number))
            await sim.sleep(0.6)
        adder.tell(Put(3))
        await adder.ask(Add(1))
        sim.stop("adder")

    trace = run(scenario).trace
    assert re.findall("no room [0-9]+|works again", trace) == [
        "no room 1",
        "works again",
        "no room 3",
    ]


def test_a_spawn_that_fails_says_why():
    async def scenario(sim):
        with pytest.raises(TypeError, match="needs target"):
            sim.spawn(troupe.PlainCaller, name="caller")
        with pytest.raises(SpawnError, match="not to be"):
            sim.spawn(troupe.Stillborn, name="nobody")
        assert sim.status().actors == []

    run(scenario)


def test_a_tell_that_raises_restarts_the_actor():
    async def scenario(sim):
        letters = sim.subscribe(DeadLetter)
        actor = sim.spawn(troupe.Fragile, name="actor")
        actor.tell(troupe.Fail())
        assert await actor.ask(Add(1)) == 2
        assert sim.status().actors[0].incarnation == 2
        assert "ValueError" in next(letters).reason

    run(scenario)


def test_an_actor_that_exits_has_its_grace_for_the_rest_and_is_then_replaced():
    async def scenario(sim):
        ref = sim.ref("leaver")
        ref.wait_ready()
        ends = sim.watch(ref)
        ref.tell(troupe.Fail())
        begun = asyncio.get_running_loop().time()
        assert await ref.ask(Add(1)) == 2
        assert asyncio.get_running_loop().time() - begun >= 7.0
        end = next(ends)
        assert (end.signal, end.restarting) == (9, True)
        assert "killed by SIGKILL on its way out after SystemExit(3)" in end.reason

    run(scenario, tree=Tree(children=[Child(troupe.Exiting, name="leaver", grace=7.0)]))


def test_every_client_is_a_party_of_its_own():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        alice, bob = sim.client("alice"), sim.client("bob")
        assert await alice.ref("adder").ask(Add(1)) == 2
        assert await bob.ref(adder.name).ask(Add(2)) == 3

    done = run(scenario)

    assert [passing.source for passing in done.delivered] == ["alice", "adder", "bob", "adder"]


def test_leaving_the_block_of_a_stream_ends_its_generator():
    async def scenario(sim):
        slow = sim.spawn(troupe.SlowCounter, name="slow")
        with slow.stream(troupe.Count(1000)) as numbers:
            assert await anext(numbers) == 0
        await sim.settle()
        assert sim.now() < 10

    run(scenario)


def test_one_reader_does_not_open_streams_without_end(monkeypatch):
    monkeypatch.setattr("actors.writers.MOST_STREAMS", 3)

    async def scenario(sim):
        slow = sim.spawn(troupe.SlowCounter, name="slow")
        streams = [slow.stream(troupe.Count(1000)) for _ in range(3)]
        assert [await anext(stream) for stream in streams] == [0, 0, 0]
        with pytest.raises(MailboxFull, match="has 3 streams of slow open; close some"):
            await anext(slow.stream(troupe.Count(3)))
        streams.pop().close()
        await sim.settle()
        assert [item async for item in slow.stream(troupe.Count(3))] == [0, 1, 2]

    run(scenario)


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_dropped_message_is_sent_again():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        assert await adder.ask(Add(1)) == 2
        assert sim.now() > 1

    done = run(scenario, Drop(at=Add))

    assert "dropped" in done.trace


def test_a_delayed_message_holds_up_those_behind_it():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        for number in range(4):
            adder.tell(Put(number))
            await sim.sleep(0.1)
        await sim.settle()
        assert sim.now() > 7
        assert await adder.ask(Total()) == 6

    run(scenario, Delay(at=2, seconds=7.0))


@pytest.mark.parametrize("fault", [Delay, Partition])
def test_waiting_long_for_what_is_on_its_way_is_no_deadlock(fault):
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        assert await adder.ask(Add(1), timeout=math.inf) == 2
        assert sim.now() > 100

    run(scenario, fault(at=Add, seconds=100.0))


def test_a_crash_before_leaves_the_message_to_the_next_life():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        assert await adder.ask(Add(1)) == 2
        assert sim.status().actors[0].incarnation == 2

    run(scenario, Crash("adder", at=Add, when="before"))


def test_a_crash_after_lets_the_answer_leave():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        assert await adder.ask(Add(1)) == 2
        await sim.settle()
        assert sim.status().actors[0].incarnation == 2

    run(scenario, Crash("adder", at=Add))


def test_a_crash_that_loses_the_answer_says_so():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        with pytest.raises(AnswerLost):
            await adder.ask(Add(1))

    run(scenario, Crash("adder", at=Add, when="lost"))


def test_a_crash_amid_a_handler_leaves_the_outcome_unknown():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        for cls in (troupe.PlainCaller, troupe.AsyncCaller):
            caller = sim.spawn(cls, name=cls.__name__, target=adder)
            with pytest.raises(OutcomeUnknown) as caught:
                await caller.ask(Via(1))
            assert type(caught.value) is OutcomeUnknown

    run(
        scenario,
        Crash("PlainCaller", at=Add, answer=True, when="before"),
        Crash("AsyncCaller", at=Via, when="after"),
    )


def test_a_power_cut_runs_no_finally():
    async def scenario(sim):
        troupe.CLEANED.clear()
        tidy = sim.spawn(troupe.Tidy, name="tidy")
        tidy.tell(troupe.Break())
        await sim.sleep(1)
        sim.kill("tidy")
        await sim.settle()
        assert troupe.CLEANED == []
        tidy.tell(troupe.Break())
        await sim.sleep(1)
        assert sim.status().actors[0].incarnation == 2

    run(scenario)


def test_a_hanging_actor_goes_on_where_it_was():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        adder.tell(Put(1))
        assert await adder.ask(Total()) == 1
        assert 5 < sim.now() < 10

    run(scenario, Hang("adder", at=Put, seconds=5.0))


@pytest.mark.parametrize("seconds", [(1.0, 20.0), (20.0, 1.0)])
def test_who_hangs_twice_goes_on_after_the_later_end(seconds):
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        adder.tell(Put(1))
        await sim.sleep(0.5)
        adder.tell(Put(2))
        assert await adder.ask(Total(), timeout=60) == 3
        assert 20 < sim.now() < 25

    run(scenario, *(Hang("adder", at=n, seconds=took) for n, took in enumerate(seconds, 1)))


def test_a_partition_heals():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        with pytest.raises(DeadlineExceeded):
            await adder.ask(Add(1), timeout=3.0)
        assert await adder.ask(Add(1), timeout=60) == 2
        assert sim.now() > 5

    run(scenario, Partition("client", "adder", at=Add, seconds=5.0))


def test_settling_ends_a_partition():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        adder.tell(Put(1))
        await sim.sleep(0.5)
        await sim.settle()
        assert await adder.ask(Total()) == 1
        assert sim.now() < 100

    run(scenario, Partition(at=1, seconds=1000.0))


def test_a_broker_that_restarts_loses_nothing():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        for _ in range(5):
            adder.tell(Put(1))
        assert await adder.ask(Total()) == 5

    for number in range(1, 4):
        run(scenario, BrokerRestart(at=number))


def test_a_supervisor_that_crashes_takes_the_system_along():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        with pytest.raises(ConnectionLost):
            await adder.ask(Add(1))
        with pytest.raises(ConnectionLost):
            sim.status()

    run(scenario, SupervisorCrash(at=Add))


def test_a_root_that_gives_up_ends_the_system():
    tree = Tree(intensity=Intensity(1, 60.0), children=[Child(troupe.Fragile, name="actor")])

    async def scenario(sim):
        sim.wait_ready()
        for _ in range(2):
            sim.ref("actor").tell(troupe.Fail())
        await sim.sleep(1)
        with pytest.raises(ConnectionLost, match="more than"):
            await sim.ref("actor").ask(Add(1))

    run(scenario, tree=tree)


# --- what is refused, and what is reported --------------------------------------------------------


@pytest.mark.parametrize("call", list(troupe.WAYS_OUT))
def test_leaving_the_simulation_is_refused_by_name(call):
    async def scenario(sim):
        actor = sim.spawn(troupe.Fugitive, name="actor")
        try:
            await actor.ask(troupe.Run(call))
        except HandlerError:
            await sim.sleep(1)  # whoever hides it does not hide it from us

    done = simulate(scenario)

    assert isinstance(done.error, SimEscape)
    assert done.error.call == call
    assert f"{call} leaves the simulation" in str(done.error)


def test_leaving_the_simulation_is_refused_with_the_way_that_stays_inside():
    async def sleeping(sim):
        time.sleep(1)  # noqa: ASYNC251 - that is what shall not be

    async def reading(sim):
        open("/etc/hostname").close()  # noqa: ASYNC230, PTH123 - the plain way out

    assert "await asyncio.sleep(seconds)" in str(simulate(sleeping).error)
    assert "say files=True" in str(simulate(reading).error)
    assert simulate(reading, files=True).error is None


@pytest.mark.parametrize("timeout", [math.inf, 5.0])
def test_who_waits_for_whom_in_a_circle_is_said_by_name(timeout):
    async def scenario(sim):
        one, two = sim.spawn(troupe.Circular, name="one"), sim.spawn(troupe.Circular, name="two")
        two.tell(troupe.Start(one, timeout))  # a chain of its own
        await one.ask(troupe.Start(two, timeout), timeout=timeout)

    done = simulate(scenario)

    if timeout == math.inf:
        assert isinstance(done.error, Deadlock)
        assert "one for two to answer Start; two for one to answer Start" in str(done.error)
        assert "that is a circle: one -> two -> one" in str(done.error)
    else:
        assert done.remarks == ("ask cycle: one -> two -> one",)


def test_an_assertion_inside_an_actor_fails_the_run():
    async def scenario(sim):
        sim.spawn(troupe.Asserting, name="actor").tell(troupe.Fail())
        await sim.settle()

    done = simulate(scenario)

    assert isinstance(done.error, AssertionError)
    assert "arithmetic" in str(done.error)


def test_an_invariant_is_looked_at_after_every_step():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        sim.always(lambda: sim.peek("adder") is None or sim.peek("adder").total < 3, "below three")
        for _ in range(5):
            adder.tell(Put(1))
        await sim.settle()

    done = simulate(scenario)

    assert "below three" in str(done.error)


def test_eventually_waits_and_gives_up():
    async def scenario(sim):
        adder = sim.spawn(troupe.Adder, name="adder")
        adder.tell(Put(1))

        async def one():
            return await adder.ask(Total()) == 1

        await sim.eventually(one, within=5.0)
        await sim.eventually(lambda: sim.peek("adder").total == 2, "it is two", within=5.0)

    done = simulate(scenario)

    assert "it is two does not hold within 5 s" in str(done.error)
    assert 5 < done.seconds < 6


def test_settling_says_what_goes_on_for_ever():
    async def scenario(sim):
        sim.spawn(troupe.Tidy, name="tidy").tell(troupe.Break())
        await sim.settle(within=20)

    assert "tidy is handling Break" in str(simulate(scenario).error)


# --- the same every time --------------------------------------------------------------------------


async def everything(sim):
    """A scenario with chance, restarts, streams and timers."""
    gambler = sim.spawn(troupe.Gambler, name="gambler")
    adder = sim.spawn(troupe.Adder, name="adder")
    callers = [sim.spawn(troupe.PlainCaller, name=f"c{n}", target=adder) for n in range(3)]
    letters = [sim.subscribe(DeadLetter), sim.client("bob").subscribe(DeadLetter)]
    for _ in range(3):
        await gambler.ask(troupe.Dice())
        sim.kill("gambler")
    await asyncio.gather(*(caller.ask(Via(n), timeout=50) for n, caller in enumerate(callers)))
    sim.kill("adder")
    await sim.settle()
    assert not any(letter.done() for letter in letters)


FAULTS = (Delay(at=2, seconds=0.1), Drop(at=5), Crash("c1", at=Via), BrokerRestart(at=9))


def test_the_same_seed_and_schedule_give_the_same_trace():
    first, second = simulate(everything, FAULTS, seed=7), simulate(everything, FAULTS, seed=7)

    assert first.error is None
    assert first.trace == second.trace
    assert simulate(everything, FAULTS, seed=8).trace != first.trace


def test_time_is_real_again_after_a_run():
    async def scenario(sim):
        await sim.sleep(1000)

    began = time.monotonic()
    run(scenario)

    assert time.monotonic() - began < 30
    time.sleep(0)
