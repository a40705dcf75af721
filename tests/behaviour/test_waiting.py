"""Plain code that waits: one thread or several, interrupted, given up, and at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from latecomers import (
    GATE,
    Drop,
    Pass,
    Patient,
    Rest,
    RestInThread,
    RestOf,
    Seen,
    Slow,
    SlowAndBrittle,
)
from troupe import Add, Calculator, Collector, Open, WaitTogether, Who

import supervisor
from actors.errors import ConnectionLost, OutcomeUnknown
from actors.portal import Until
from actors.reply import Cancelled, sleep


def sleeps(frame):
    """Whether a thread is done with what it does before it sleeps: that takes the lock of all."""
    return frame.f_code is sleep.__code__ and frame.f_locals.get("woken") is False


@contextmanager
def once_it_waits(act, *arguments):
    """Have another thread do something as soon as this one sleeps for an answer."""
    ident = threading.get_ident()
    over = threading.Event()

    def watch():
        while not sleeps(sys._current_frames()[ident]):
            if over.wait(0.001):
                return
        act(*arguments)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class InterruptError(Exception):
    """What a signal's handler raises."""


class Pest:
    """Sends the main thread a signal every millisecond, whose handler raises while it is armed."""

    def __init__(self):
        self.interrupts = 0
        self._armed = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._pester)

    def __enter__(self):
        self._former = signal.signal(signal.SIGUSR1, self._handle)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._armed = False
        self._over.set()
        self._thread.join()
        signal.signal(signal.SIGUSR1, self._former)

    def _pester(self):
        while not self._over.wait(0.001):
            os.kill(os.getpid(), signal.SIGUSR1)

    def _handle(self, _number, _frame):
        if self._armed:
            self._armed = False
            raise InterruptError

    def result(self, reply):
        """Wait for it, however often that is interrupted."""
        while True:
            try:
                self._armed = True
                value = reply.result(10.0)
                self._armed = False
            except InterruptError:
                self.interrupts += 1
            else:
                return value


def test_an_interrupt_while_waiting_breaks_nothing(spawn):
    ref = spawn(Calculator)
    with Pest() as pest:
        for start in range(0, 500, 50):
            replies = [ref.ask(Add(start + number, 1)) for number in range(50)]
            for number, reply in enumerate(replies):
                assert pest.result(reply) == start + number + 1

    assert pest.interrupts > 0, "nothing was interrupted"
    assert ref.ask(Add(1, 2)).result(10.0) == 3


def test_several_threads_wait_while_one_waits_long(spawn):
    ref, slow = spawn(Calculator), spawn(Collector)
    last = slow.ask(WaitTogether("open"))

    def sums(thread):
        return [ref.ask(Add(thread, number)).result(10.0) for number in range(50)]

    with ThreadPoolExecutor(5) as pool:
        long = pool.submit(last.result)
        found = list(pool.map(sums, range(4)))
        assert not long.done()
        slow.tell(Open())
        long.result(10.0)

    assert found == [[thread + number for number in range(50)] for thread in range(4)]


def test_an_answer_comes_at_once_to_a_thread_that_begins_to_wait_later(spawn):
    ref, slow = spawn(Calculator), spawn(Collector)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(slow.ask(WaitTogether("open")).result)
        for number in range(20):
            assert ref.ask(Add(number, 1)).result(5.0) == number + 1
        slow.tell(Open())
        assert long.result(10.0)


def test_who_waits_hears_that_another_thread_has_given_up_the_ask(spawn):
    reply = spawn(Collector).ask(WaitTogether("never"))

    with once_it_waits(reply.cancel), pytest.raises(Cancelled):
        reply.result(10.0)


def test_waiting_ends_in_time_and_may_begin_again(spawn):
    slow = spawn(Collector)
    reply = slow.ask(WaitTogether("open"))

    with pytest.raises(TimeoutError, match="the ask goes on"):
        reply.result(0.1)

    assert not reply.done()
    slow.tell(Open())
    reply.result(10.0)


def test_who_waits_hears_that_another_thread_has_closed_the_system(start_system):
    system = start_system()
    reply = system.spawn(Collector, name="waiter").ask(WaitTogether("never"))
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(reply.exception) for _ in range(2)]
        system._end_at_once()
        errors = [one.result(10.0) for one in waits]

    # Of the actor's end, when that is heard first.
    assert all(isinstance(error, ConnectionLost | OutcomeUnknown) for error in errors)
    with pytest.raises(ConnectionLost):
        system.ref("waiter").tell(Open())


@pytest.fixture
def on_signal():
    """Have something done by a signal's handler, in the main thread."""
    former = []

    def handle(act):
        former.append(signal.signal(signal.SIGUSR1, lambda _number, _frame: act()))

    yield handle
    signal.signal(signal.SIGUSR1, former[0])


def test_a_signals_handler_may_ask_while_the_main_thread_waits(spawn, on_signal):
    ref = spawn(Calculator)
    found = []

    def ask():
        found.append(ref.ask(Add(len(found), 1)).result(5.0))
        slow.tell(Open())

    on_signal(ask)
    for _ in range(3):
        slow = spawn(Collector)  # that of the last turn is open
        reply = slow.ask(WaitTogether("open"))
        with once_it_waits(os.kill, os.getpid(), signal.SIGUSR1):
            assert reply.result(10.0)

    assert found == [1, 2, 3]
    assert ref.ask(Add(3, 4)).result(10.0) == 7


async def _three_sums(ref):
    async with asyncio.timeout(5.0):
        return [await ref.ask(Add(number, 1)) for number in range(3)]


@pytest.mark.parametrize(
    "ask",
    [
        lambda ref: [ref.ask(Add(number, 1)).result(5.0) for number in range(3)],
        lambda ref: asyncio.run(_three_sums(ref)),
    ],
    ids=["plain", "asyncio"],
)
def test_others_are_served_while_a_signals_handler_holds_the_main_thread(spawn, on_signal, ask):
    ref, slow = spawn(Calculator), spawn(Collector)
    assert ref.ask(Add(1, 2)).result(5.0) == 3  # who looks for a name the first time, waits
    inside, served = threading.Event(), threading.Event()

    def hold():
        inside.set()
        served.wait(10.0)

    def serve():
        inside.wait(10.0)
        try:
            return ask(ref)
        finally:
            served.set()
            slow.tell(Open())

    on_signal(hold)
    reply = slow.ask(WaitTogether("open"))
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(serve)
        with once_it_waits(os.kill, os.getpid(), signal.SIGUSR1):
            assert reply.result(10.0)

    assert found.result(0.0) == [1, 2, 3]


def test_a_signals_handler_that_interrupts_a_sending_is_told_not_to_wait(spawn):
    ref = spawn(Calculator)
    asked = ref.ask(Add(1, 2))
    door = asked._door
    with door.lock, pytest.raises(RuntimeError, match="let the handler set a flag"):
        door.block(ref.ask(Add(3, 4)), 5.0)

    assert asked.result(10.0) == 3


def test_a_wait_that_a_signals_handler_ends_is_over(spawn, on_signal):
    reply = spawn(Collector).ask(WaitTogether("never"))
    on_signal(reply.cancel)
    with once_it_waits(os.kill, os.getpid(), signal.SIGUSR1), pytest.raises(Cancelled):
        reply.result(10.0)


def test_who_gives_up_waiting_for_a_start_leaves_nothing_behind(spawn):
    door = spawn(Calculator).ask(Add(1, 2))._door
    before = len(door.conditions)
    for _ in range(3):
        door.block(Until(door, lambda: False), 0.01)

    assert len(door.conditions) == before


def test_who_was_interrupted_in_the_midst_of_a_sending_leaves_all_the_same(start_system):
    system = start_system()
    ref = system.spawn(Calculator)
    assert ref.ask(Add(1, 2)).result(10.0) == 3
    out = system._peer.links[ref.name].out
    with system._portal.lock:
        out._count += 1  # counted, and then Ctrl-C came

    system.close()

    assert out.unfinished


def test_a_signals_handler_that_asks_at_any_moment_is_answered_or_told(spawn, on_signal):
    ref = spawn(Calculator)
    said = []
    over = threading.Event()

    def ask():
        try:
            said.append(ref.ask(Add(1, 2)).result(10.0))
        except RuntimeError as error:
            said.append(str(error))

    def pester():
        while len(said) < 50 and not over.is_set():
            seen = len(said)
            os.kill(os.getpid(), signal.SIGUSR1)
            while len(said) == seen and not over.wait(0.002):
                pass

    on_signal(ask)
    thread = threading.Thread(target=pester)
    thread.start()
    try:
        while thread.is_alive():
            assert ref.ask(Add(3, 4)).result(10.0) == 7
    finally:
        over.set()
        thread.join()

    assert all(one == 3 or "set a flag" in one for one in said)


def test_a_handler_that_waits_may_overlap_any_number_of_others(spawn):
    ref = spawn(Collector)
    waits = ref.ask(WaitTogether("for all the others"))
    others = [ref.ask(Who()) for _ in range(600)]

    assert len({other.result(30.0) for other in others}) == 1
    ref.tell(Open())
    assert waits.result(30.0) == "for all the others"


def test_a_handler_that_waits_may_overlap_what_is_given_up_and_answered_between(spawn):
    ref = spawn(Collector)
    waits = ref.ask(WaitTogether("for all the others"))
    for _ in range(300):  # the word that one is given up has a number of the link, too
        given_up = ref.ask(WaitTogether("not for long"))
        ref.ask(Who()).result(30.0)
        given_up.cancel()

    ref.ask(Who()).result(30.0)
    ref.tell(Open())
    assert waits.result(30.0) == "for all the others"


def test_asks_that_are_given_up_while_nothing_is_in_progress_hold_nobody_up():
    GATE.set()
    with supervisor.start(inproc=True) as system:
        ref = system.spawn(Patient)
        for warm in [ref.ask(Rest()) for _ in range(1000)]:  # so many may be on their way now
            warm.result(30.0)
        GATE.clear()
        first = ref.ask(Pass())
        others = [ref.ask(Rest()) for _ in range(900)]
        system.status()  # what was sent before has left
        for other in others[::2]:
            other.cancel()
        system.status()
        GATE.set()

        first.result(30.0)
        assert {other.result(30.0) for other in others[1::2]} == {"rested"}


def test_a_thread_of_an_actor_that_waits_for_an_answer_does_not_hold_up_its_end(system, spawn):
    other, ref = spawn(Slow), spawn(Slow)
    ref.ask(RestInThread(other)).result()
    while "rest" not in other.ask(Seen()).result():
        pass

    with system.watch(ref) as ends:
        system.stop(ref)
        notice = next(ends)

    assert (notice.reason, notice.signal) == ("stopped", None)
    system.kill(other)  # it rests for longer than its end may take


def test_a_handler_that_waits_for_an_answer_has_not_failed_when_its_actor_ends(system, spawn):
    other, ref = spawn(Slow), spawn(SlowAndBrittle)
    asked = ref.ask(RestOf(other))
    while "rest" not in other.ask(Seen()).result():
        pass

    ref.tell(Drop(1))

    with pytest.raises(OutcomeUnknown, match="the true reason") as caught:
        asked.result(20.0)
    assert type(caught.value) is OutcomeUnknown  # it was half done: no answer was lost
    system.kill(other)  # it rests for longer than its end may take
