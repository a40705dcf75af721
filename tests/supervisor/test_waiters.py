"""Whoever waits for a start hears of it, or of what has become of it."""

from __future__ import annotations

import asyncio
import math
import signal
from types import SimpleNamespace

import pytest

from actors.control import Failed
from actors.errors import SpawnError
from supervisor import waiters as room
from supervisor.lifecycle import ExitKind, ExitReason
from supervisor.waiters import Waiters

RAISED = ExitReason(ExitKind.START_FAILED, text="ValueError: no file")


def life(name="calc", incarnation=1, **facts):
    known = {"up": False, "expected": False, "killed": False, **facts}
    return SimpleNamespace(name=name, incarnation=incarnation, **known)


FAILED = Failed(text=RAISED.text, traceback="the line", starting=True)


def restarted(graces, *events):
    """What a restart returns when so much happens one after the other."""

    async def run():
        waiters = Waiters()
        waiting = asyncio.ensure_future(waiters.restart(graces))
        for event in events:
            await asyncio.sleep(0)
            event(waiters)
        return await asyncio.wait_for(waiting, 10.0)

    return asyncio.run(run())


def test_a_restart_waits_for_every_life():
    first, second = (lambda w: w.started(life("a", 3))), (lambda w: w.started(life("b", 2)))

    assert restarted({"a": 5.0, "b": math.inf}, second, first) == 3
    assert restarted({}) == 0


def test_a_restart_ends_with_the_first_life_that_does_not_start():
    with pytest.raises(SpawnError, match=r"^calc could not be .*: ValueError: no file\. The") as e:
        restarted(
            {"calc": 5.0}, lambda w: w.note("calc", FAILED), lambda w: w.failed(life(), RAISED)
        )

    assert e.value.remote_traceback == "the line"
    assert "system.stop('calc')" in str(e.value)


def test_a_life_that_said_nothing_is_not_given_the_words_of_the_one_before():
    def fall(waiters):
        waiters.note("calc", FAILED)
        waiters.note("calc", None)
        waiters.failed(life(), ExitReason(ExitKind.START_FAILED, signal=signal.SIGSEGV))

    with pytest.raises(SpawnError) as e:
        restarted({"calc": 5.0}, fall)

    assert e.value.remote_traceback == ""


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (life(up=True), RAISED),
        (life(expected=True), RAISED),
        (life(), ExitReason(ExitKind.SIGNALLED, signal=signal.SIGKILL)),
    ],
)
def test_an_end_that_says_nothing_of_the_next_start_ends_no_restart(ended, reason):
    fell, came = (lambda w: w.failed(ended, reason)), (lambda w: w.started(life("calc", 4)))

    assert restarted({"calc": 5.0}, fell, came) == 4


@pytest.mark.parametrize("leaving", ["expected", "killed"])
def test_a_life_that_comes_up_when_it_has_to_go_already_ends_no_restart(leaving):
    old = life(incarnation=1, **{leaving: True})

    came = [lambda w: w.started(old), lambda w: w.started(life(incarnation=2))]
    assert restarted({"calc": 5.0}, *came) == 2


def test_a_life_that_starts_for_ever_is_waited_for_as_long_as_a_spawn(monkeypatch):
    monkeypatch.setattr(room, "START_SECONDS", 0.05)

    with pytest.raises(SpawnError, match=r"^b could not be .* not up 0.1 s after its restart"):
        restarted({"a": 0.0, "b": 0.0}, lambda w: w.started(life("a", 2)))
