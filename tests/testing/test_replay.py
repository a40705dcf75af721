"""A schedule that the simulation finds does the same to real processes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from actors import Actor, ActorRef, Request, message, receive
from actors.errors import AnswerLost, ConnectionLost, OutcomeUnknown
from actors.message import tag_of
from actors.testing import (
    BrokerRestart,
    CounterExample,
    Crash,
    Delay,
    Drop,
    Hang,
    Partition,
    SupervisorCrash,
    check,
)
from actors.testing.replay import replay
from actors.testing.schedule import Passing
from actors.testing.script import pack, unpack

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
RUNS = 2
"""Of each half of the goal; they must all agree."""


def _load(name, path):
    """Import a file under a name by which actors' processes find it, too."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


bank = _load("examples.protocols.bank", ROOT / "examples" / "protocols" / "bank.py")


@message
class Note(Request[int]):
    """Write a line; the answer is how many there are."""


@message
class Pass(Request[int]):
    """Have a line written by somebody else."""


@message
class Close(Request[int]):
    """Write no more; the answer is how many lines there are."""


class Book(Actor):
    lines = 0

    @receive
    def note(self, msg: Note) -> int:
        self.lines += 1
        return self.lines

    @receive
    def close(self, _msg: Close) -> int:
        return self.lines


class Courier(Actor):
    book: ActorRef

    @receive
    async def carry(self, msg: Pass) -> int:
        return await self.book.ask(Note())


# --- the goal -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found():
    with pytest.raises(CounterExample) as failure:
        check(bank.broken, max_faults=1)
    return failure.value.schedule


@pytest.mark.parametrize("run", range(RUNS))
def test_what_check_finds_fails_on_real_processes_too(found, run):
    with pytest.raises(AssertionError) as failure:
        replay(bank.broken, found)

    assert not isinstance(failure.value, CounterExample)
    assert not hasattr(failure.value, "__notes__")  # everything in the schedule has happened


@pytest.mark.parametrize("run", range(RUNS))
def test_the_correct_version_survives_the_same_schedule(found, run):
    done = replay(bank.correct, found)

    assert done.missed == ()
    assert done.seconds < 20


REPLAYED = ("buffer", "commit", "election", "lock", "replica")
"""Of the gallery. The bank is above; dedupe is one; lease and work fail too, and take 20 s each."""


@pytest.mark.parametrize("name", REPLAYED)
def test_what_check_finds_in_the_gallery_fails_on_real_processes_too(name):
    protocol = _load(f"examples.protocols.{name}", ROOT / "examples" / "protocols" / f"{name}.py")
    with pytest.raises(CounterExample) as failure:
        check(protocol.broken, max_faults=1)

    with pytest.raises((AssertionError, ExceptionGroup)) as real:
        replay(protocol.broken, failure.value.schedule)

    assert "not settled" not in str(real.value)
    assert not hasattr(real.value, "__notes__")  # everything in the schedule has happened


# --- each deviation -------------------------------------------------------------------------------


def lives(sim, name="book"):
    return sim.status().actor(name).incarnation


def test_without_a_schedule_nothing_goes_wrong():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        courier = sim.spawn(Courier, name="courier", book=book)
        assert [await courier.ask(Pass()) for _ in range(3)] == [1, 2, 3]
        assert await sim.client("alice").ref("book").ask(Note()) == 4
        await sim.settle()
        assert await book.ask(Note()) == 5

    done = replay(scenario)

    assert [one.source for one in done.delivered[-4:]] == ["alice", "book", "client", "book"]
    assert done.delivered[1].target == "book"


def test_a_crash_before_leaves_the_message_to_the_next_life():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        assert await book.ask(Note()) == 1
        assert await book.ask(Note()) == 1
        assert lives(sim) == 2

    assert replay(scenario, [Crash("book", at=Note, nth=2, when="before")]).missed == ()


def test_a_crash_after_lets_the_answer_leave():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        assert await book.ask(Note()) == 1
        await sim.settle()
        assert lives(sim) == 2

    assert replay(scenario, [Crash("book", at=Note)]).missed == ()


def test_a_crash_that_loses_the_answer_says_so():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        with pytest.raises(AnswerLost):
            await book.ask(Note())

    assert replay(scenario, [Crash("book", at=Note, when="lost")]).missed == ()


def test_a_crash_amid_a_handler_leaves_the_outcome_unknown():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        courier = sim.spawn(Courier, name="courier", book=book)
        with pytest.raises(OutcomeUnknown):
            await courier.ask(Pass())
        assert lives(sim, "courier") == 2

    assert replay(scenario, [Crash("courier", at=Pass)]).missed == ()


@pytest.mark.parametrize(
    ("deviation", "least"),
    [
        (Drop(at=Note), 0.5),
        (Drop(at=Note, answer=True), 0.5),
        (Delay(at=Note, seconds=0.7), 0.7),
        (Hang("book", at=Note, seconds=0.7), 0.7),
        (Partition("client", "book", at=Note, seconds=0.7), 0.7),
        (BrokerRestart(at=Note), 0.1),
        (Delay(at=1, seconds=0.7), 0.7),
    ],
)
def test_what_only_takes_time_loses_nothing(deviation, least):
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        began = sim.now()
        assert await book.ask(Note()) == 1
        assert sim.now() - began > least
        await sim.settle()
        assert await book.ask(Note()) == 2
        assert lives(sim) == 1

    assert replay(scenario, [deviation]).missed == ()


def test_settling_waits_for_what_is_held_back():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        reply = book.ask(Note())
        assert await sim.client("alice").ref("book").ask(Note()) == 1
        assert not reply.done()
        await sim.settle()
        assert reply.done()

    assert replay(scenario, [Delay(at=Note, seconds=2.0)]).missed == ()


def test_the_schedule_goes_on_with_the_next_broker():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        assert await book.ask(Note()) == 1
        with pytest.raises(AnswerLost):
            await book.ask(Close())

    lost = Crash("book", at=Close, when="lost")

    assert replay(scenario, [BrokerRestart(at=Note), lost]).missed == ()


def test_a_supervisor_that_crashes_takes_the_system_along():
    async def scenario(sim):
        book = sim.spawn(Book, name="book")
        with pytest.raises(ConnectionLost):
            await book.ask(Note())

    assert replay(scenario, [SupervisorCrash(at=Note)]).missed == ()


# --- what is said ---------------------------------------------------------------------------------


def test_what_did_not_happen_is_named():
    async def scenario(sim):
        sim.spawn(Book, name="book")

    async def failing(sim):
        raise KeyError(sim.schedule)

    late = Drop(at=Note, nth=9)

    assert replay(scenario, [late]).missed == (late,)
    with pytest.raises(KeyError) as failure:
        replay(failing, [late])
    assert "did not happen" in failure.value.__notes__[0]


def test_looking_into_a_process_is_refused():
    async def scenario(sim):
        with pytest.raises(ValueError, match="replay cannot peek at book"):
            sim.peek("book")
        with pytest.raises(ValueError, match="replay cannot check after every step that it holds"):
            sim.always(lambda: True, "it holds")

    replay(scenario)


def test_a_schedule_travels_with_the_tags_of_its_classes():
    schedule = (Crash("book", at=Note, nth=2, when="lost"), Partition("a", "b", at=3, seconds=2.0))
    note = Passing(1, "client", "book", True, ((tag_of(Note), False),))

    crash, partition = unpack(pack(schedule))

    assert crash.at is Note
    assert crash.matches(note)
    assert (crash.actor, crash.nth, crash.when) == ("book", 2, "lost")
    assert (partition.one, partition.at, partition.seconds) == ("a", 3, 2.0)
