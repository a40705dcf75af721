"""The same seed and schedule give the same run: on every Python, every machine, every time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib.util
import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from actors import Actor, Request, message, receive
from actors.testing import simulate

HERE = Path(__file__).parent
PROGRAM = HERE / "chance.py"
RECORDED = HERE / "chance.txt"


def _load():
    """Import the scenario under a name by which its actors can be found."""
    name = "simulated_chance"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PROGRAM)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


chance = _load()


def test_a_seed_gives_one_trace_and_another_seed_another():
    first = chance.trace(seed=7)

    assert chance.trace(seed=7) == first
    assert chance.trace(seed=8) != first


def test_what_is_said_is_what_was_recorded_on_another_python():
    recorded = RECORDED.read_text(encoding="utf-8").splitlines()

    assert chance.said(chance.trace()).splitlines() == recorded


@pytest.mark.process
def test_neither_hash_seed_nor_time_zone_nor_process_changes_the_trace():
    traces = {
        subprocess.run(
            [sys.executable, str(PROGRAM)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed, zone in [("1", "Asia/Tokyo"), ("2", "America/New_York")]
    }

    assert traces == {chance.trace() + "\n"}


# --- where asyncio uses sets ----------------------------------------------------------------------


@message
class Note(Request[int]):
    n: int


class Clerk(Actor):
    """Answers what it was asked."""

    @receive
    def note(self, msg: Note) -> int:
        return msg.n


async def as_completed(sim):
    clerk = sim.spawn(Clerk, name="clerk")

    async def ask(n):
        return await clerk.ask(Note(n))

    for first in asyncio.as_completed([ask(n) for n in range(6)]):
        await first


async def wait(sim):
    clerk = sim.spawn(Clerk, name="clerk")

    async def ask(n):
        return await clerk.ask(Note(n))

    done, _ = await asyncio.wait([asyncio.create_task(ask(n)) for n in range(6)])
    for task in done:
        await clerk.ask(Note(task.result()))


async def wait_for_futures(sim):
    clerk = sim.spawn(Clerk, name="clerk")
    futures = [asyncio.get_running_loop().create_future() for _ in range(6)]
    for n, future in enumerate(futures):
        future.set_result(n)

    done, _ = await asyncio.wait(futures)
    for future in done:
        await clerk.ask(Note(future.result()))


async def task_group(sim):
    clerk = sim.spawn(Clerk, name="clerk")

    async def tell_at_the_end(n):
        try:
            await sim.sleep(10)
        finally:
            clerk.tell(Note(n))

    async def fail():
        await sim.sleep(1)
        raise ValueError("enough")

    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(tell_at_the_end(n))
            group.create_task(fail())
    await sim.settle()


async def wait_for_futures_of_their_own(sim):
    clerk = sim.spawn(Clerk, name="clerk")
    futures = [asyncio.Future() for _ in range(6)]
    for n, future in enumerate(futures):
        future.set_result(n)

    for future in set(futures):
        await clerk.ask(Note(await future))


async def wait_for_gathered(sim):
    clerk = sim.spawn(Clerk, name="clerk")
    done, _ = await asyncio.wait([asyncio.gather(clerk.ask(Note(n))) for n in range(6)])
    for gathered in done:
        await clerk.ask(Note(*gathered.result()))


async def wait_for_tasks_of_their_own(sim):
    clerk = sim.spawn(Clerk, name="clerk")

    async def ask(n):
        return await clerk.ask(Note(n))

    for task in {asyncio.Task(ask(n)) for n in range(6)}:
        await clerk.ask(Note(await task))


@pytest.mark.parametrize(
    "scenario",
    [
        as_completed,
        wait,
        wait_for_futures,
        wait_for_futures_of_their_own,
        wait_for_gathered,
        wait_for_tasks_of_their_own,
        task_group,
    ],
)
def test_where_the_objects_of_a_run_lie_in_memory_makes_no_difference(scenario):
    traces, ballast = set(), []
    with contextlib.closing(asyncio.new_event_loop()) as nowhere:
        for size in range(0, 600, 40):
            run = simulate(scenario)
            assert run.error is None
            traces.add(run.trace)
            ballast.append([asyncio.Future(loop=nowhere) for _ in range(size)])

    assert len(traces) == 1


async def completes_one(sim):
    clerk = sim.spawn(Clerk, name="clerk")
    one = asyncio.ensure_future(clerk.ask(Note(1)))
    with pytest.raises(TypeError):
        list(asyncio.as_completed(one))

    # The same one twice is one; a limit counts as ever.
    (same,) = asyncio.as_completed([one, one])
    assert await same == 1
    (late,) = asyncio.as_completed([sim.sleep(10)], timeout=1)
    with pytest.raises(TimeoutError):
        await late
    assert sim.now() < 2


def test_as_completed_is_otherwise_as_ever():
    assert simulate(completes_one).error is None


async def keeps_what_asyncio_says_of_them(_sim):
    loop = asyncio.get_running_loop()
    future, other = asyncio.Future(loop=loop), loop.create_future()
    task = asyncio.create_task(asyncio.sleep(1, "slept"))
    gathered = asyncio.gather(task, other)
    other.set_result("set")

    assert await asyncio.wait_for(gathered, 2) == ["slept", "set"]
    assert all(isinstance(each, asyncio.Future) for each in (future, other, task, gathered))
    assert isinstance(task, asyncio.Task)
    assert not isinstance(future, asyncio.Task)
    assert issubclass(type(task), asyncio.Future)
    assert future != other
    assert not gathered.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        cancelled = asyncio.gather(asyncio.sleep(1))
        assert cancelled.cancel()
        await cancelled
    assert Own().mine is None


class Own(asyncio.Future):
    mine = None


def test_futures_and_tasks_are_otherwise_as_ever():
    real = asyncio.Future

    assert simulate(keeps_what_asyncio_says_of_them).error is None
    assert asyncio.Future is asyncio.futures.Future is real


# --- what is around a run -------------------------------------------------------------------------


def test_after_a_run_time_and_chance_are_the_real_ones():
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002 - the one that is shared
    zone, before = time.tzname, time.time()

    chance.trace()

    numbers = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    assert numbers == (random.random(), np.random.rand())  # noqa: NPY002
    assert time.tzname == zone
    assert before - 1 <= dt.datetime.now(dt.UTC).timestamp() <= before + 100


@message
class Import(Request[tuple[float, float]]):
    name: str


class Importer(Actor):
    """Imports when it is asked to, and draws."""

    @receive
    def load(self, msg: Import) -> tuple[float, float]:
        module = importlib.import_module(msg.name)
        return module.SALT, random.random()


def test_it_does_not_matter_which_run_imports_a_module_first(tmp_path, monkeypatch):
    text = """
        import pathlib, random, threading
        SALT = random.random()
        TEXT = pathlib.Path(__file__).read_bytes()
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    """
    (tmp_path / "salted_module.py").write_text(textwrap.dedent(text), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def scenario(sim):
        importer = sim.spawn(Importer, name="importer")
        answers.append(await importer.ask(Import("salted_module")))

    answers = []
    errors = []
    for forget in (False, False, True):
        if forget:
            monkeypatch.delitem(sys.modules, "salted_module")
        errors.append(simulate(scenario).error)
    sys.modules.pop("salted_module")

    assert errors == [None, None, None]
    assert len(set(answers)) == 1
