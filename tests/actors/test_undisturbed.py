"""Signals wait until work is done that may not stay half done."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from actors.undisturbed import PATIENCE, undisturbed


@pytest.fixture
def handled():
    seen = []
    former = signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGUSR1, former)


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_ctrl_c_comes_after_the_work():
    done = []

    def work():
        interrupt()
        done.append("all of it")

    former = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        undisturbed(work)

    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is former


def test_every_signal_is_handled_by_its_own_handler(handled):
    def work():
        interrupt(signal.SIGUSR1)
        assert not handled
        return "value"

    assert undisturbed(work) == "value"
    assert handled == [signal.SIGUSR1]


def test_handlers_are_back_when_one_of_them_raises(handled):
    def work():
        interrupt(signal.SIGINT)
        interrupt(signal.SIGUSR1)

    with pytest.raises(KeyboardInterrupt):
        undisturbed(work)
    interrupt(signal.SIGUSR1)

    assert handled == [signal.SIGUSR1, signal.SIGUSR1]
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_another_ctrl_c_ends_work_that_hangs():
    interrupts = 0

    def work():
        nonlocal interrupts
        while True:
            interrupt()
            interrupts += 1
            time.sleep(PATIENCE / 3)

    with pytest.raises(KeyboardInterrupt):
        undisturbed(work)

    assert interrupts > 1


def test_the_works_own_error_comes_out():
    with pytest.raises(ZeroDivisionError):
        undisturbed(lambda: 1 / 0)


def test_in_another_thread_there_is_nothing_to_do():
    found = []
    thread = threading.Thread(target=lambda: found.append(undisturbed(lambda: 5)))
    thread.start()
    thread.join()

    assert found == [5]
