"""What the supervisor's log says."""

from __future__ import annotations

import logging

import attrs
import pytest

from actors.blackbox import InProgress, read
from actors.recorder import PAGE_SIZE
from supervisor.chronicle import Ended, Outlook, how_it_ended, in_the_middle_of, of_a_tree
from supervisor.lifecycle import (
    ChildStatus,
    Context,
    ExitKind,
    ExitReason,
    Origin,
    Report,
    State,
    TreeStatus,
)
from supervisor.spec import Child, Restart, Strategy

KILLED = ExitReason(ExitKind.SIGNALLED, signal=9, text="killed by SIGKILL")
RAISED = ExitReason(ExitKind.RAISED, code=1, text="ValueError: negative")
IDLE = read(bytes(PAGE_SIZE))
ADD = InProgress(b"v" * 16, 7, "play.py~51a2e0b5:Add", 96.8, "viewer/2")
BUSY = attrs.evolve(IDLE, in_progress=(ADD,))


def child(state, incarnation=2, next_start=None):
    return ChildStatus(
        name="calc",
        path=("root", "calc"),
        state=state,
        since=100.0,
        incarnation=incarnation,
        restarts=1,
        restart=Restart.PERMANENT,
        origin=Origin.SPAWNED,
        pool=None,
        last_exit=None,
        next_start=next_start,
        spec=Child(object, name="calc"),
    )


def tree(state=State.RUNNING):
    return TreeStatus(("root",), state, Strategy.ONE_FOR_ONE, 3, 10, 5.0, None)


def line(reason, status, *, record=IDLE, on_request=False, ending=False, around=None, coming=True):
    ended = Ended("calc/1", reason, record, on_request, counted=not on_request)
    outlook = Outlook(status, around or tree(), coming, ending, now=100.0)
    return how_it_ended(ended, outlook)


def test_a_death_in_the_middle_of_a_message_is_told_whole():
    level, text = line(KILLED, child(State.STARTING), record=BUSY)

    assert level == logging.WARNING
    assert text == (
        "calc/1 was killed by SIGKILL while handling Add from viewer/2, for 3.2 s; "
        "restarting as calc/2 (restart 3 of at most 10 in 5 s)"
    )


def test_the_delay_of_a_restart_is_told():
    level, text = line(RAISED, child(State.BACKOFF, incarnation=1, next_start=100.4))

    assert level == logging.WARNING
    assert text == (
        "calc/1 raised ValueError: negative; "
        "restarting as calc/2 in 0.4 s (restart 3 of at most 10 in 5 s)"
    )


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (KILLED, "calc/1 was killed on request; restarting as calc/2"),
        (
            ExitReason(ExitKind.STOPPED),
            "calc/1 stopped; restarting as calc/2 (told to stop, so it does not count)",
        ),
    ],
)
def test_what_was_asked_for_is_no_warning_and_counts_nothing(reason, text):
    assert line(reason, child(State.STARTING), on_request=True) == (logging.INFO, text)


@pytest.mark.parametrize(
    ("status", "options", "text"),
    [
        (None, {}, "calc/1 was killed by SIGKILL; it is not restarted"),
        (child(State.FAILED), {}, "calc/1 was killed by SIGKILL; it is not restarted"),
        (child(State.WAITING), {}, "calc/1 was killed by SIGKILL; it restarts in its turn"),
        (child(State.WAITING), {"coming": False}, "calc/1 was killed by SIGKILL"),
        (child(State.WAITING), {"ending": True}, "calc/1 was killed by SIGKILL"),
        (child(State.WAITING), {"around": tree(State.STOPPING)}, "calc/1 was killed by SIGKILL"),
    ],
)
def test_what_comes_next_is_told(status, options, text):
    assert line(KILLED, status, **options) == (logging.WARNING, text)


def test_a_tree_that_gives_up_says_why_and_the_system_says_it_once():
    why = ExitReason(ExitKind.STOPPED, text="b needs more than the 0 restarts in 5 s of its tree")
    inner = Report(("root", "t"), Context.SHUTDOWN, why, "b", 3)
    outer = Report(("root",), Context.SHUTDOWN, why, "t", 0)
    life = Report(("root", "t"), Context.CHILD_TERMINATED, KILLED, "b", 3)
    branch = Report(("root",), Context.CHILD_TERMINATED, why, "t", 0)

    assert of_a_tree(inner) == (logging.ERROR, f"the tree t ends: {why.text}")
    assert of_a_tree(branch) == (logging.WARNING, "the tree t is down; root decides about it")
    assert of_a_tree(outer) is None
    assert of_a_tree(life) is None


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        ("client-41-9f86d081/1", "Add from client-41-9f86d081"),
        ("@timer", "Add from a timer"),
        ("viewer/2", "Add from viewer/2"),
        ("", "Add"),
    ],
)
def test_a_sender_is_named_for_people(sender, text):
    item = attrs.evolve(BUSY.in_progress[0], sender=sender)

    assert in_the_middle_of(attrs.evolve(BUSY, in_progress=(item,))) == text
