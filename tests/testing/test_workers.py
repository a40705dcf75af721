"""With several processes `check` finds what it finds with one, and leaves none of them behind."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import Actor, Request, message, receive
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import CounterExample, Crash, Delay, Drop, Hang, check
from actors.testing.workers import WORTH, _Crew, sensible

PROTOCOLS = Path(__file__).resolve().parents[2] / "examples" / "protocols"
GALLERY = sorted(path.stem for path in PROTOCOLS.glob("*.py"))
WORKERS = 3
KINDS = (Crash, Drop, Delay, Hang)

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@message
class Say(Request[int]):
    number: int


class Parrot(Actor):
    @receive
    def say(self, msg: Say) -> int:
        return msg.number


async def talk(sim, words=4):
    parrot = sim.spawn(Parrot, name="parrot")
    for number in range(words):
        with contextlib.suppress(NotDelivered, OutcomeUnknown):
            assert await parrot.ask(Say(number), timeout=60.0) == number
    await sim.settle()


def outcome(scenario, **options):
    """All that a check says, but for the time it took."""
    try:
        report = check(scenario, **options)
    except CounterExample as found:
        return found.worlds, found.schedule, found.run.trace, str(found), repr(found.__cause__)
    return report.worlds, report.exhaustive, report.singles, report.pairs, report.messages


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(str(PROTOCOLS))
    yield importlib.import_module
    for name in GALLERY:
        sys.modules.pop(name, None)


# --- the same result ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GALLERY)
def test_what_breaks_a_protocol_is_the_same(gallery, name):
    broken = gallery(name).broken

    assert outcome(broken, max_faults=1, processes=WORKERS) == outcome(
        broken, max_faults=1, processes=1
    )


@pytest.mark.parametrize("name", ["bank", "dedupe", "replica", "commit"])
def test_what_is_said_of_a_correct_protocol_is_the_same(gallery, name):
    correct = gallery(name).correct

    assert outcome(correct, max_faults=1, processes=WORKERS) == outcome(
        correct, max_faults=1, processes=1
    )


def test_pairs_are_the_same(gallery):
    correct = gallery("bank").correct
    options = {"kinds": [Crash, Drop], "examples": 1000}

    report = check(correct, processes=WORKERS, **options)

    assert report.exhaustive == 2
    assert report.processes == WORKERS
    assert outcome(correct, processes=WORKERS, **options) == outcome(
        correct, processes=1, **options
    )


@settings(max_examples=10)
@given(
    st.sets(st.integers(0, 40), max_size=4),
    st.sampled_from([(1, 2), (2, 1), (4, 1)]),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True),
)
def test_any_scenario_that_fails_under_some_faults_fails_the_same(flaws, size, kinds):
    words, faults = size

    async def scenario(sim):
        await talk(sim, words)
        mark = sum(map(ord, repr(sim.schedule))) % 41
        assert not sim.schedule or mark not in flaws, f"flaw {mark}"

    # More pairs than there are, so none are drawn.
    options = {"kinds": kinds, "max_faults": faults, "examples": 10_000}

    assert outcome(scenario, processes=WORKERS, **options) == outcome(
        scenario, processes=1, **options
    )


def test_the_first_failure_in_order_counts_though_a_later_one_is_there_sooner():
    async def scenario(sim):
        await talk(sim)
        if sim.schedule == (Drop(at=1),):
            # A worker of its own has found the other one long before this one is through.
            sum(range(10_000_000))
        assert sim.schedule not in [(Drop(at=1),), (Drop(at=2),)]

    with pytest.raises(CounterExample) as caught:
        check(scenario, kinds=[Drop], max_faults=1, processes=WORKERS)

    assert caught.value.worlds == 2


class Interrupt(BaseException):
    """No failure of a scenario."""


def test_what_is_no_exception_comes_out_of_the_first_world_that_raises_it():
    async def scenario(sim):
        await talk(sim)
        if sim.schedule:
            raise Interrupt("not like this")

    with pytest.raises(Interrupt, match="not like this"):
        check(scenario, max_faults=1, processes=WORKERS)


# --- what goes wrong with workers -----------------------------------------------------------------


def test_a_worker_that_dies_is_an_error_that_names_the_schedule():
    parent = os.getpid()

    async def scenario(sim):
        await talk(sim)
        if sim.schedule == (Drop(at=3),) and os.getpid() != parent:
            signal.raise_signal(signal.SIGKILL)

    with pytest.raises(RuntimeError, match=r"tried \[Drop\(at=3\)\] has died by SIGKILL"):
        check(scenario, kinds=[Drop], max_faults=1, processes=WORKERS)

    assert not psutil.Process().children()


def test_a_failure_before_the_death_of_a_worker_is_what_counts():
    parent = os.getpid()

    async def scenario(sim):
        await talk(sim)
        if sim.schedule == (Drop(at=2),):
            sum(range(5_000_000))
            raise AssertionError
        if sim.schedule == (Drop(at=3),) and os.getpid() != parent:
            signal.raise_signal(signal.SIGKILL)

    with pytest.raises(CounterExample) as caught:
        check(scenario, kinds=[Drop], max_faults=1, processes=WORKERS)

    assert caught.value.worlds == 3


def test_a_failure_that_does_not_come_again_is_said_to():
    parent = os.getpid()

    async def scenario(sim):
        await talk(sim)
        assert not sim.schedule or os.getpid() == parent

    with pytest.raises(RuntimeError, match="depends on something outside of the run"):
        check(scenario, max_faults=1, processes=WORKERS)


def test_an_interruption_ends_all_workers_even_one_in_an_endless_world():
    parent = os.getpid()

    async def scenario(sim):
        await talk(sim)
        if os.getpid() != parent and sim.schedule == (Drop(at=1),):
            while True:
                pass
        if os.getpid() != parent and sim.schedule == (Drop(at=3),):
            os.kill(parent, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        check(scenario, kinds=[Drop], max_faults=1, processes=WORKERS)

    assert not psutil.Process().children()


def test_a_worker_that_somebody_else_has_reaped_keeps_no_other_one_alive():
    crew = _Crew(WORKERS, lambda _number: signal.pause() or [])
    for _ in range(WORKERS):
        crew.hire()
    first, *_ = children = psutil.Process().children()
    first.kill()
    os.waitpid(first.pid, 0)

    crew.dismiss()

    assert len(children) == WORKERS
    assert not psutil.Process().children()


ORPHANS = """
import os, pathlib, sys, time
sys.path[:0] = [{tests!r}]
from actors.testing import check
from test_workers import talk

async def scenario(sim):
    await talk(sim)
    if sim.schedule:
        (pathlib.Path({place!r}) / str(os.getpid())).touch()
        while True:
            pass

check(scenario, max_faults=1, processes=2, files=True)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    program = ORPHANS.format(tests=str(Path(__file__).parent), place=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", program])
    while len(pids := list(tmp_path.iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
    workers = [psutil.Process(int(path.name)) for path in pids]

    parent.kill()
    parent.wait()

    assert not psutil.wait_procs(workers, timeout=10)[1]


# --- nobody notices -------------------------------------------------------------------------------


def test_what_a_world_prints_in_a_worker_is_not_seen_and_nothing_is_printed_twice(capfd):
    async def scenario(sim):
        sys.stdout.write("a world\n")
        await talk(sim)

    sys.stdout.write("before\n")
    report = check(scenario, kinds=[Drop], max_faults=1, processes=WORKERS)
    sys.stdout.write("after\n")

    assert report.worlds == 9
    assert capfd.readouterr().out.split("\n") == ["before", "a world", "after", ""]


def test_a_worker_changes_nothing_here():
    seen = []

    async def scenario(sim):
        seen.append(sim.schedule)
        await talk(sim)

    check(scenario, kinds=[Drop], max_faults=1, processes=WORKERS)

    assert seen == [()]


# --- how many -------------------------------------------------------------------------------------


def test_a_few_worlds_are_not_worth_a_worker():
    assert sensible(2 * WORTH - 1) == 1
    assert check(talk, max_faults=1, kinds=[Drop]).processes == 1


def test_a_debugger_sees_every_world(monkeypatch):
    monkeypatch.setattr(sys, "gettrace", lambda: print)

    assert sensible(1_000 * WORTH) == 1


def test_files_are_used_by_one_at_a_time(gallery):
    assert check(gallery("commit").correct, max_faults=1, files=True).processes == 1


def test_a_program_of_its_own_uses_all_processors():
    program = (
        "import commit, os; from actors.testing import check;"
        "print(check(commit.correct, max_faults=1).processes, len(os.sched_getaffinity(0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROTOCOLS,
        capture_output=True,
        text=True,
        check=True,
    )
    used, there = map(int, done.stdout.split())

    assert (used > 1) == (there > 1)


THREADS = """
import ctypes, numpy, os, sys, threading
from supervisor.launcher.kernel import has_other_threads
libc = ctypes.CDLL(None)

def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)

def work():
    numpy.ones((500, 500)) @ numpy.ones((500, 500))

found = []
work()
found.append(has_other_threads())
fork()
found.append(has_other_threads())
work()
found.append(has_other_threads())
fork()
over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()
found.append(has_other_threads())
over.set()
thread.join()
number = ctypes.c_ulong()
for _ in range(5):
    start = ctypes.cast(libc.pause, ctypes.c_void_p)
    libc.pthread_create(ctypes.byref(number), None, start, None)
found.append(has_other_threads())
print(*found)
"""


def test_threads_are_found_though_a_fork_has_ended_those_of_linear_algebra():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", THREADS],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["False", "False", "False", "True", "True"]


def test_no_number_of_workers_but_a_positive_one():
    with pytest.raises(ValueError, match="processes=0 must be 1 or more, or None"):
        check(talk, processes=0)
