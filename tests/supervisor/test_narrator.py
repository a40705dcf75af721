"""What the supervisor's log says of its children."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace

import pytest

from actors.blackbox import read
from actors.notices import DeadLetter
from actors.recorder import PAGE_SIZE
from supervisor.lifecycle import (
    Exited,
    ExitKind,
    ExitReason,
    RestartAsked,
    Started,
    StartupAsked,
    StopAsked,
)
from supervisor.muffler import THINGS
from supervisor.narrator import DeadLetterLog, Narrator
from supervisor.spec import Child, Tree
from supervisor.tree import TreeDecider


def narrator(*, awaited=False):
    tree = TreeDecider(Tree(children=[Child(object, name="a")]), random.Random(1))
    return Narrator(tree, lambda _name: awaited)


def life(**facts):
    return SimpleNamespace(name="a", label="a/1", **facts)


@pytest.mark.parametrize(("killed", "lines"), [(False, 1), (True, 0)])
@pytest.mark.parametrize(("mailbox", "many"), [(1, "1 message"), (3, "3 messages")])
def test_who_is_killed_on_request_is_not_blamed_for_being_slow_to_stop(
    killed, lines, mailbox, many, caplog
):
    record = SimpleNamespace(mailbox=mailbox)
    narrator().killing(life(expected=True, killed=killed, record=lambda: record))

    text = f"a/1 has not stopped within 5 s; it is killed with {many} left"
    assert caplog.text.count(text) == lines


def test_a_start_that_fails_is_told_to_its_spawner_and_the_log_has_one_line(caplog):
    caplog.set_level("INFO", "understudy.supervisor")
    reason = ExitReason(ExitKind.START_FAILED, text="no device")

    narrator(awaited=True).ended(
        SimpleNamespace(name="b", label="b/1"), reason, record=None, report=None
    )

    assert caplog.messages == ["b/1 did not start; whoever spawned it is told why"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [(StopAsked, "a/1 was killed by SIGKILL"), (RestartAsked, "; it restarts in its turn")],
)
def test_who_dies_while_a_tree_further_out_is_taken_down_is_not_said_to_return(asked, text, caplog):
    # Recorded: its own tree had not been told to stop yet, and it was said to restart.
    deep = Tree(name="deep", children=[Child(object, name="a")])
    inner = Tree(name="inner", children=[deep, Child(object, name="b")])
    tree = TreeDecider(Tree(children=[inner]), random.Random(1))
    reason = ExitReason(ExitKind.SIGNALLED, signal=9, text="killed by SIGKILL")
    for event in (
        StartupAsked(),
        Started("a", 1),
        Started("b", 1),
        asked("inner"),
        Exited("a", 1, reason),
    ):
        tree.handle(event, 0.0)

    it = life(killed=False, expected=False)
    Narrator(tree, lambda _name: False).ended(it, reason, read(bytes(PAGE_SIZE)), None)

    assert caplog.messages[0].endswith(text)


def test_of_too_many_kinds_of_dead_letters_only_the_number_is_kept(caplog):
    async def run():
        letters = DeadLetterLog()
        for number in [0, 0, *range(10 * THINGS)]:
            letters.note(DeadLetter(f"a{number}", "b/1", "Add", "Add(x=1)", f"reason {number}"))
        kept = dict(letters._reasons)
        letters.close()
        return kept, letters._reasons

    kept, left = asyncio.run(run())

    assert kept == {("a0", "Add"): "reason 0"}
    assert left == {}
    assert caplog.messages[THINGS:] == [
        "dead letters: 2 more Add to a0; the last: reason 0",
        f"dead letters: {9 * THINGS} more, of many kinds",
    ]
