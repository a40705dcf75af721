"""How a program ends: in order, interrupted, told to, told twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from programs import eventually, gone

import supervisor

pytestmark = pytest.mark.process

EVERYTHING = ["begun", "done", *map(str, range(100)), "stopped"]


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


def read(notes):
    return notes.read_text(encoding="utf-8").splitlines()


def test_tell_and_exit_loses_nothing(notes, scene):
    program = scene("tell_and_exit", notes)

    assert program.end() == 0, program.errors
    assert read(notes) == [*map(str, range(10_000)), "stopped"]


@pytest.mark.parametrize("program", ["work", "work_async"])
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_one_signal_ends_in_good_order(program, how, notes, scene):
    running = scene(program, notes)
    running.fact("pid")

    if how == "Ctrl-C":
        running.interrupt()
    else:
        running.process.send_signal(signal.SIGTERM)

    assert running.fact("unwound")
    code = running.end()
    assert code in ((1, 130, -signal.SIGINT) if how == "Ctrl-C" else (143,)), running.errors
    assert read(notes) == EVERYTHING


@pytest.mark.parametrize("during", ["stop_slowly", "unwind_slowly"])
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_a_second_signal_ends_at_once(how, during, notes, scene):
    """Both while the system ends, and while the program's own `finally` runs."""
    program = scene(during, notes)
    pid = program.fact("pid")
    number = signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM

    program.process.send_signal(number)
    assert program.fact("unwound")
    if during == "stop_slowly":
        eventually(lambda: "waiting for player to stop; Ctrl-C ends at once" in program.errors)
    program.process.send_signal(number)

    assert program.end(5.0) != 0
    assert gone([pid])
    assert not notes.exists()


@pytest.mark.parametrize(
    ("how", "code"), [("with", 143), ("async with", 143), ("with an error", 143), ("at exit", 0)]
)
def test_sigterm_to_a_program_that_leaves_already_lets_it_finish(how, code, notes, scene):
    program = scene("leave_slowly", notes, how)
    pid = program.fact("pid")
    eventually(lambda: "waiting for player to stop" in program.errors)

    program.process.send_signal(signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)  # as `killall` would: it is the first for the supervisor too

    assert program.end(20.0) == code, program.errors
    assert read(notes) == ["stopped"]
    assert ("ValueError: the reason" in program.errors) == (how == "with an error")
    assert "Exception ignored" not in program.errors


def test_sigterm_is_not_forgotten_when_leaving_is_cancelled(notes, scene):
    program = scene("leave_slowly", notes, "cancelled")
    eventually(lambda: "waiting for player to stop" in program.errors)

    program.process.send_signal(signal.SIGTERM)

    assert program.end(20.0) == 143, program.errors


@pytest.mark.parametrize("doing", ["start", "spawn", "ask", "leave"])
def test_ctrl_c_shows_the_line_that_was_interrupted_and_none_of_ours(doing, scene):
    program = scene("interrupted", doing)
    program.fact("doing")

    if doing != "leave":
        program.interrupt()
    if doing in ("ask", "leave"):
        eventually(lambda: "waiting for player (1 message) to finish" in program.errors)
        program.interrupt()

    assert program.end(10.0) == -signal.SIGINT
    shown = [line for line in program.errors.splitlines() if line.startswith("  File")]
    assert [Path(line.split('"')[1]).name for line in shown if "scenes.py" not in line] == (
        ["system.py"] if doing == "leave" else []
    )
    assert program.errors.count("KeyboardInterrupt") == (2 if doing == "leave" else 1)
    assert "During handling" not in program.errors
    assert ("understudy: ended at once" in program.errors) == (doing in ("ask", "leave"))


def test_a_forked_child_that_ends_ends_nothing_and_one_that_stays_keeps_nothing_alive(scene):
    program = scene("forked")
    facts = program.fact("code")
    assert facts["code"] == 3
    assert facts["same"]

    program.process.kill()
    try:
        assert gone(facts["system"])
    finally:
        os.kill(facts["child"], signal.SIGKILL)


def test_a_program_keeps_the_handler_that_it_has_set_meanwhile():
    def mine(_number, _frame):
        """Do what the program wants."""

    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # another test's system may have it
    try:
        with supervisor.start(inproc=True):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with supervisor.start(inproc=True):
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, former)
