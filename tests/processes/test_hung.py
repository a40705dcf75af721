"""Hung and greedy actors are replaced in time and reported; nobody else is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from misfits import Hang, Hint, Misfit, Nap, Steps, Who, Work
from programs import eventually

import supervisor
from actors import DeadLetter
from actors.errors import OutcomeUnknown
from supervisor import Limits

pytestmark = pytest.mark.process

LIMIT = 3.0


@pytest.fixture
def system():
    with supervisor.start() as system:
        yield system


@pytest.fixture
def spawn(system, request):
    names = []

    def start(**limits):
        name = re.sub(r"\W", "-", request.node.name)
        names.append(name)
        return system.spawn(Misfit, name=name, limits=Limits(**limits))

    return start


@contextlib.contextmanager
def burners(count):
    """Processes that want every processor there is, as politely as possible."""
    code = "import os\nos.nice(19)\nwhile True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def crash_of(system, name):
    return [crash for crash in system.status().crashes if crash.name == name][-1]


def children(system):
    """The processes of the system that are no actors, by what they run."""
    status = system.status()
    known = {actor.pid for actor in status.actors}
    return [c for c in psutil.Process(system.pid).children() if c.pid not in known]


def monitor_of(system):
    broker = system.status().broker_pid
    found = [c.pid for c in children(system) if c.pid != broker and c.num_threads() > 1]
    return found[0] if len(found) == 1 else None


def test_a_stopped_actor_is_replaced_within_five_seconds(system, spawn):
    ref = spawn()
    pid, _ = ref.ask(Who()).result()
    with system.watch(ref) as ends:
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        waiting = ref.ask(Who())
        end = next(ends)

        assert waiting.result()[1] == 2
        assert time.monotonic() - began < 5.0
    assert end.signal == signal.SIGKILL
    assert end.restarting
    assert "hung: stopped by a signal" in end.reason
    assert end.peak_memory > 10_000_000
    crash = crash_of(system, ref.name)
    assert (crash.incarnation, crash.signal, crash.message) == (1, signal.SIGKILL, "")


def test_the_broker_and_the_monitor_are_replaced_when_they_are_stopped(system, spawn):
    ref = spawn()
    monitor = eventually(lambda: monitor_of(system))
    began = time.monotonic()
    os.kill(monitor, signal.SIGSTOP)
    os.kill(system.status().broker_pid, signal.SIGSTOP)
    pid, _ = ref.ask(Who(), timeout=20.0).result()
    os.kill(pid, signal.SIGSTOP)

    assert ref.ask(Who(), timeout=20.0).result()[1] == 2
    assert time.monotonic() - began < 10.0
    eventually(lambda: monitor_of(system) not in (None, monitor))


def test_an_actor_whose_loop_is_dead_though_it_is_idle_is_replaced(system, spawn):
    ref = spawn()
    with system.watch(ref) as ends:
        began = time.monotonic()
        ref.tell(Hint("loop"))
        end = next(ends)

        assert ref.ask(Who()).result()[1] == 2
        assert time.monotonic() - began < 5.0
    assert "its loop had not turned" in end.reason


@pytest.mark.parametrize("how", ["spin", "pow", "match"])
def test_a_handler_that_does_not_come_back_is_replaced_within_twice_its_limit(system, spawn, how):
    ref = spawn(handler_seconds=LIMIT)
    with system.watch(ref) as ends:
        began = time.monotonic()
        asked = ref.ask(Hang(how))
        end = next(ends)
        assert ref.ask(Who()).result()[1] == 2

        assert LIMIT <= time.monotonic() - began < 2 * LIMIT
    with pytest.raises(
        OutcomeUnknown, match=r"did not come back to its loop for .* s in Hang from"
    ):
        asked.result()
    assert "handler_seconds=3" in end.reason
    crash = crash_of(system, ref.name)
    assert crash.message == "misfits:Hang"
    assert crash.sender.startswith("client-")
    assert LIMIT <= crash.seconds < 2 * LIMIT
    assert crash.last_lines == [f"about to {how}"]
    assert "in misbehave" in crash.stack
    assert "runtime.py" not in crash.stack


def test_the_message_that_hung_is_a_dead_letter_when_it_was_told(system, spawn):
    ref = spawn(handler_seconds=0.5)
    with system.subscribe(DeadLetter) as letters:
        ref.tell(Hint("spin"))
        letter = next(each for each in letters if each.target == ref.name)

    assert "s in Hint from client-" in letter.reason


def test_who_reports_progress_is_left_alone(system, spawn):
    ref = spawn(handler_seconds=0.5)

    assert ref.ask(Work(2.5, progress=True)).result() == 2.5
    assert ref.ask(Who()).result()[1] == 1


def test_a_handler_that_awaits_longer_than_a_short_limit_is_left_alone(spawn):
    ref = spawn(handler_seconds=0.2)

    assert ref.ask(Nap(1.5)).result() == 1.5
    assert ref.ask(Who()).result()[1] == 1


def test_memory_over_its_limit_is_noticed_within_two_seconds(system, spawn):
    ref = spawn(memory="150 MB")
    with system.watch(ref) as ends:
        ref.ask(Hang("grow"))
        end = next(ends)
        assert ref.ask(Who()).result()[1] == 2

    assert "because of its memory" in end.reason
    assert "the limit is 150 MB" in end.reason
    assert end.peak_memory > 150_000_000
    assert crash_of(system, ref.name).peak_memory == end.peak_memory


def test_a_processor_runaway_is_replaced_within_twenty_seconds(system, spawn):
    ref = spawn(cpu=0.02)  # little, for a machine that has much to do
    with system.watch(ref) as ends:
        began = time.monotonic()
        ref.ask(Hang("spin"))
        end = next(ends)

        assert time.monotonic() - began < 20.0
    assert "because of its processor time" in end.reason
    assert ref.ask(Who()).result()[1] == 2


def test_a_crash_in_c_says_where(system, spawn):
    ref = spawn()
    with pytest.raises(OutcomeUnknown, match=r"SIGSEGV, after 0\.\d s in Hang from client-"):
        ref.ask(Hang("crash")).result()
    crash = crash_of(system, ref.name)

    assert crash.signal == signal.SIGSEGV
    assert crash.stack.startswith("Fatal Python error: Segmentation fault")
    assert "in misbehave" in crash.stack
    assert crash.last_lines == ["about to crash"]
    assert crash.peak_memory > 10_000_000
    assert ref.ask(Who()).result()[1] == 2


def test_nobody_else_is_judged_while_the_machine_has_too_much_to_do(system):
    limits = Limits(handler_seconds=1.0)
    names = ("idle", "napping", "streaming", "working")
    refs = {name: system.spawn(Misfit, name=name, limits=limits) for name in names}
    failures = len(system.status().failures)
    with burners(4):
        nap = refs["napping"].ask(Nap(6.0))
        steps = refs["streaming"].stream(Steps(count=40, seconds=0.15))
        end = time.monotonic() + 6.0
        works = 0
        while time.monotonic() < end:
            works += refs["working"].ask(Work(0.1, progress=False)).result()
        assert list(steps) == list(range(40))
        assert nap.result() == 6.0

    assert works > 1.0
    assert [ref.ask(Who()).result()[1] for ref in refs.values()] == [1, 1, 1, 1]
    assert len(system.status().failures) == failures


def test_a_system_that_stood_still_as_a_whole_goes_on_as_it_was(system, spawn):
    ref = spawn(handler_seconds=1.0)
    nap = ref.ask(Nap(1.0))
    pids = [system.pid, system.status().broker_pid, ref.ask(Who()).result()[0]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6.0)  # longer than anybody may stand still
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)

    assert nap.result() == 1.0
    assert ref.ask(Who()).result()[1] == 1
    assert system.status().broker_restarts == 0


def test_an_actor_that_is_a_thread_is_never_judged():
    with supervisor.start(inproc=True) as system:
        ref = system.spawn(Misfit, name="thread", limits=Limits(handler_seconds=0.1))

        assert ref.ask(Work(1.0, progress=False)).result() == 1.0
        assert ref.ask(Who()).result()[1] == 1
