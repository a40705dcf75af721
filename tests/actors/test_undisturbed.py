"""Signals wait until work is done that may not stay half done."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from actors.undisturbed import PATIENCE, Shelter, undisturbed


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


@pytest.fixture
def shelter():
    made = Shelter()
    try:
        made.begin()
        yield made
    finally:
        made.end()


def test_what_came_has_its_turn_when_the_work_sleeps(handled, shelter):
    interrupt(signal.SIGUSR1)
    assert not handled

    shelter.lift()

    assert handled == [signal.SIGUSR1]
    interrupt(signal.SIGUSR1)
    assert handled == [signal.SIGUSR1] * 2, "and at once what comes while it sleeps"
    shelter.lower()
    interrupt(signal.SIGUSR1)
    assert handled == [signal.SIGUSR1] * 2
    shelter.end()
    assert handled == [signal.SIGUSR1] * 3


def test_a_handler_that_a_handler_has_chosen_stays():
    former = signal.signal(signal.SIGUSR1, lambda number, _: signal.signal(number, signal.SIG_IGN))
    try:
        undisturbed(lambda: interrupt(signal.SIGUSR1))
        shelter = Shelter()
        signal.signal(signal.SIGUSR1, lambda number, _: signal.signal(number, signal.SIG_IGN))
        shelter.begin()
        shelter.lift()
        interrupt(signal.SIGUSR1)
        shelter.end()

        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_a_handler_that_was_asked_for_meanwhile_still_works_afterwards(handled, shelter):
    stand_in = signal.getsignal(signal.SIGUSR1)
    shelter.end()
    signal.signal(signal.SIGUSR1, stand_in)
    interrupt(signal.SIGUSR1)

    assert handled == [signal.SIGUSR1]


def test_what_comes_right_after_a_handler_has_raised_waits_for_the_clean_up(handled, shelter):
    shelter.lift()
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    interrupt(signal.SIGUSR1)
    assert not handled, "it would have come before `lower`"

    shelter.end()

    assert handled == [signal.SIGUSR1]


def test_stand_ins_that_were_left_behind_do_not_stand_in_for_each_other(handled):
    true, left = signal.getsignal(signal.SIGUSR1), None
    for _ in range(3):
        shelter = Shelter()
        shelter.begin()
        left = signal.getsignal(signal.SIGUSR1)
        shelter.end()
        signal.signal(signal.SIGUSR1, left)  # as if a handler had raised in `end`

    undisturbed(lambda: None)

    assert signal.getsignal(signal.SIGUSR1) is true


def test_a_process_forked_by_another_thread_does_not_wait_for_who_took_shelter(handled, shelter):
    def fork():
        pid = os.fork()
        if pid == 0:
            interrupt(signal.SIGUSR1)
            time.sleep(0)  # where the interpreter has a look at signals
            os._exit(len(handled))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    codes = []
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()

    assert codes == [1]


def test_who_shelters_is_told_before_a_handler_runs(handled):
    told = []
    shelter = Shelter(lambda: told.append(len(handled)))
    try:
        shelter.begin()
        shelter.lift()
        interrupt(signal.SIGUSR1)
    finally:
        shelter.end()

    assert told == [0]
