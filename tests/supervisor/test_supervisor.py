"""The supervisor's doer, with nobody behind it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actors.actor import Actor
from actors.errors import SpawnError
from supervisor import Backoff, Child, Tree, start
from supervisor import supervisor as room
from supervisor.keeper import Keeper
from supervisor.plan import Launch
from supervisor.supervisor import Supervisor


class Idle(Actor):
    pass


class Poor:
    """A machine without memory or descriptors, at first."""

    def __init__(self, failures):
        self.failures = failures
        self.asked = 0
        self.had_one = asyncio.Event()

    def __call__(self, name, incarnation, *, on_word):
        self.asked += 1
        if self.asked <= self.failures:
            raise OSError("too many open files")
        self.had_one.set()
        return Life(name, incarnation)


class Life:
    routing_id = b"r" * 16
    page_fd = -1

    def __init__(self, name, incarnation):
        self.name, self.incarnation, self.label = name, incarnation, f"{name}/{incarnation}"
        self.ended = asyncio.get_running_loop().create_future()

    async def launch(self, launcher, order, first):
        pass


def supervisor(*names, backoff=None):
    """A supervisor of such children, which cannot reach anybody."""
    boot = SimpleNamespace(
        env={}, cwd="/", sys_path=[], argv=[], ask_timeout=1.0, name="test", relay=True
    )
    children = [Child(Idle, name=name, backoff=backoff or Backoff()) for name in names]
    doer = Supervisor(boot, Tree(children=children), {name: Launch(None, {}) for name in names})
    doer.exchange = SimpleNamespace(declare=lambda word: None)
    doer.launcher = None
    return doer


def test_a_child_for_which_there_is_no_memory_is_tried_again():
    async def run():
        doer = supervisor("idle", backoff=Backoff(initial=0.01, maximum=0.01))
        doer.child_life = poor = Poor(failures=3)
        doer.begin()
        await asyncio.wait_for(poor.had_one.wait(), 10.0)
        await asyncio.sleep(0)
        return poor.asked

    assert asyncio.run(run()) == 4


def test_a_failure_of_its_own_ends_the_system_though_a_start_was_decided_and_never_done(
    monkeypatch, caplog
):
    monkeypatch.setattr(room, "LAST_SECONDS", 0.01)

    def broken(name, incarnation, *, on_word):
        raise ZeroDivisionError("a mistake of ours")

    async def run():
        doer = supervisor("first", "second")
        doer.child_life = broken
        with pytest.raises(ZeroDivisionError):
            doer.begin()
        return await asyncio.wait_for(doer.done, 10.0)

    assert asyncio.run(run()) == "the supervisor itself failed: a mistake of ours"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "the supervisor itself failed"
    ]


def test_a_failure_of_the_tree_itself_ends_the_system_where_nobody_waits_for_the_event(
    monkeypatch,
):
    monkeypatch.setattr(room, "LAST_SECONDS", 0.01)

    def broken(keeper, token):
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(Keeper, "timer_fired", broken)

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        doer = supervisor("idle", backoff=Backoff(initial=0.01, maximum=0.01))
        doer.child_life = Poor(failures=1_000_000)
        doer.begin()
        return await asyncio.wait_for(doer.done, 10.0)

    assert asyncio.run(run()) == "the supervisor itself failed: a mistake of ours"


def test_a_failure_at_its_very_beginning_is_raised_by_start(monkeypatch):
    def broken(doer):
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(Supervisor, "begin", broken)

    with pytest.raises(SpawnError, match="could not be started: a mistake of ours"):
        start(inproc=True)
