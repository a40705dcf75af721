"""How a program leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import traceback
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.farewell import FirstSignal, interruptible, messages_to, patiently, terminate


class Clock:
    def __init__(self, over_at):
        self.now, self.over_at = 0.0, over_at
        self.said = []

    def wait(self, seconds):
        self.now = min(self.now + seconds, max(self.now, self.over_at))
        return self.now >= self.over_at

    def say(self):
        self.said.append(self.now)
        return ""


def test_a_short_wait_is_silent():
    clock = Clock(over_at=0.9)

    assert patiently(clock.wait, clock.say)
    assert clock.said == []


def test_a_long_one_is_said_after_a_second_and_then_rarely():
    clock = Clock(over_at=200.0)

    assert patiently(clock.wait, clock.say)
    assert clock.said == [1.0, 10.0, 30.0, 90.0, 150.0]


@given(st.floats(0.0, 500.0), st.floats(0.0, 500.0))
def test_nobody_waits_longer_than_allowed(over_at, most):
    clock = Clock(over_at)

    over = patiently(clock.wait, clock.say, most)

    assert over == (over_at <= most) or abs(over_at - most) < 1e-6
    assert clock.now <= most + 1e-6


@pytest.fixture
def ctrl_c():
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, former)


def test_a_first_ctrl_c_while_leaving_ends_nothing_and_a_second_does(ctrl_c):
    with FirstSignal() as first:
        ctrl_c()
        assert first.came
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_once_it_is_said_that_ctrl_c_ends_at_once_it_does(ctrl_c):
    with FirstSignal() as first:
        patiently(Clock(over_at=2.0).wait, lambda: "waiting")
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
    assert not first.came


@pytest.fixture
def sigterm():
    former = signal.signal(signal.SIGTERM, terminate)
    yield lambda: signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, former)


def test_a_first_sigterm_while_leaving_waits_until_the_program_has_left(sigterm):
    with FirstSignal() as first:
        patiently(Clock(over_at=2.0).wait, lambda: "waiting; Ctrl-C ends at once")
        sigterm()
    with pytest.raises(SystemExit) as ended:
        first.catch_up()
    assert ended.value.code == 143


def test_a_second_sigterm_ends_the_program_and_a_third_kills(sigterm):
    with FirstSignal():
        sigterm()
        with pytest.raises(SystemExit):
            sigterm()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_ctrl_c_after_sigterm_ends_the_program_at_once(sigterm, ctrl_c):
    with FirstSignal():
        sigterm()
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()


def leave(signalled, raised):
    with FirstSignal(), pytest.raises(raised):
        signalled()


@pytest.mark.parametrize("why", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_who_leaves_because_of_a_signal_has_had_the_first(ctrl_c, sigterm, why):
    block = ExitStack()
    block.callback(leave, ctrl_c, KeyboardInterrupt)
    block.callback(leave, sigterm, SystemExit)
    with pytest.raises(type(why)), block:
        raise why


WITHOUT_WITH = """
import atexit, signal, sys
from supervisor.farewell import FirstSignal

@atexit.register
def leave():
    with FirstSignal() as first:
        signal.raise_signal(signal.SIGINT)
    print("goes on")

{}
"""


@pytest.mark.parametrize(
    ("ended_by", "goes_on"),
    [
        ("raise KeyboardInterrupt", False),
        ("raise ValueError", True),
        ("sys.ps1, sys.last_value = '>>> ', KeyboardInterrupt()", True),  # of an earlier line
    ],
)
def test_a_program_without_with_that_ctrl_c_has_ended_has_had_the_first(ended_by, goes_on):
    program = [sys.executable, "-c", WITHOUT_WITH.format(ended_by)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.stdout == "goes on\n") is goes_on, ended.stderr


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"calc": 3}, "calc (3 messages)"),
        ({"b": 1, "a": 2}, "a (2 messages), b (1 message)"),
        (dict.fromkeys("abcde", 1), "a (1 message), b (1 message), c (1 message) and 2 more"),
    ],
)
def test_who_is_waited_for_is_named(counts, text):
    assert messages_to(counts) == text


def test_what_a_ctrl_c_stopped_below_us_is_not_shown():
    """It came while pathlib handled an AttributeError of its own, and showed both."""

    @interruptible
    def ours():
        try:
            object().of_a_library  # noqa: B018
        except AttributeError:
            raise KeyboardInterrupt  # noqa: B904 - as a signal does

    with pytest.raises(KeyboardInterrupt) as hidden:
        ours()
    text = "".join(traceback.format_exception(hidden.value))
    assert "of_a_library" not in text
