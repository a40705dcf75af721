"""What the operating system says of a process (supervisor/sampling.py)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from supervisor.liveness import Condition
from supervisor.sampling import portable_sample, sample

WAYS = pytest.mark.parametrize("look", [sample, portable_sample])


@pytest.fixture
def child():
    # It works first: processor time may be counted in steps of 10 ms.
    work = "import sys, time\nwhile time.process_time() < 0.05: pass\n"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{work}print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        yield process
        process.kill()


def wait_for(look, pid, condition):
    end = time.monotonic() + 20.0
    while (seen := look(pid)).condition is not condition:
        assert time.monotonic() < end, seen
    return seen


@WAYS
def test_a_process_that_waits_sleeps_and_one_that_was_stopped_is_stopped(child, look):
    seen = wait_for(look, child.pid, Condition.SLEEPING)
    assert 1_000_000 < seen.memory < 1_000_000_000
    assert seen.ran > 0.0

    os.kill(child.pid, signal.SIGSTOP)
    wait_for(look, child.pid, Condition.STOPPED)
    os.kill(child.pid, signal.SIGCONT)
    wait_for(look, child.pid, Condition.SLEEPING)


@WAYS
def test_a_process_that_computes_runs_and_uses_time(look):
    before = look(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    after = look(os.getpid())

    assert after.condition is Condition.RUNNING
    assert after.cpu - before.cpu >= 0.08
    assert after.ran > before.ran


@WAYS
def test_a_process_that_has_ended_is_nothing_or_excused(child, look):
    child.kill()
    child.wait()

    assert look(child.pid) is None
