"""The pytest plugin, in sessions of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CAST = """
    import os
    import subprocess

    import pytest

    from actors import Actor, Request, message, receive
    from actors.testing import Crash

    @message
    class Add(Request[int]):
        n: int

    @message
    class Put:
        n: int

    class Adder(Actor):
        total = 0

        @receive
        def add(self, msg: Add) -> int:
            self.total += msg.n
            return self.total

        @receive
        def put(self, msg: Put) -> None:
            if msg.n < 0:
                raise ValueError("less than nothing")
            self.total += msg.n

    async def forgets(sim):
        adder = sim.spawn(Adder, name="adder")
        assert await adder.ask(Add(1)) == 1

    async def adds(sim):
        assert await sim.spawn(Adder, name="adder").ask(Add(2)) == 2
"""


@pytest.fixture
def session(tmp_path):
    """Run pytest with the plugin on a file of tests; return its exit code and output."""

    def run(tests, *options):
        path = tmp_path / "test_cast.py"
        path.write_text(textwrap.dedent(CAST) + textwrap.dedent(tests), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *options, str(path)]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", "--strict-markers"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.process
def test_every_test_gets_a_fresh_system_that_ends(session):
    code, output = session("""
        seen = []

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(system, turn):
            adder = system.spawn(Adder, name="adder")
            assert adder.ask(Add(1)).result() == 1
            assert system.pid not in seen
            seen.append(system.pid)

        def test_the_end():
            for pid in seen:
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)
    """)

    assert (code, "3 passed" in output) == (0, True), output


@pytest.mark.process
def test_a_failure_shows_dead_letters_and_unwanted_ends(session):
    code, output = session("""
        def test_it(system):
            adder = system.spawn(Adder, name="adder")
            adder.tell(Put(-1))
            ends = system.watch(adder)
            while adder.ask(Add(0)).exception() is not None or not system.status().dead_letters:
                pass
            assert False, "on purpose"

        def test_that_passes(system):
            system.spawn(Adder).tell(Put(1))
    """)

    assert code == 1, output
    assert "1 failed, 1 passed" in output
    assert re.search(r"understudy: unwanted ends.*\n.*adder.*less than nothing", output), output
    assert re.search(r"understudy: dead letters.*\n.*to adder: Put\(n=-1\)", output), output
    assert output.count("understudy: dead letters") == 1


@pytest.mark.process
def test_a_process_that_outlives_the_system_fails_the_test(session):
    code, output = session("""
        import psutil

        from actors.plugin import _WATCH

        children = []

        def test_it(system, request):
            # Stands for a descendant of the system that has got away.
            child = subprocess.Popen(["sleep", "20"], stdout=subprocess.DEVNULL)
            children.append(child)
            request.node.stash[_WATCH]._processes.add(psutil.Process(child.pid))

        def test_that_it_was_ended():
            assert children[0].wait(5) == -9
    """)

    assert code == 1, output
    assert re.search(r"left processes behind: \d+ \(sleep\)", output), output


def test_a_counter_example_is_shown_as_it_is(session):
    code, output = session("""
        @pytest.mark.simulation(max_faults=1, kinds=[Crash])
        def test_it(simulation):
            assert simulation(adds, max_faults=0).worlds == 1
            simulation(forgets)
    """)
    chart = output.partition("counter-example")[2]

    assert code == 1, output
    assert "simulation(forgets)" in output
    assert re.search(
        r"^forgets fails under \[Crash\('adder'.*\)\] \(world \d+\):$", chart, re.MULTILINE
    )
    assert re.search(r"^    check\(forgets, schedule=\[Crash\(", chart, re.MULTILINE), output
    assert "stage.error is not None" not in output, "the kit's own code is shown"
    assert "E       to repeat it" not in output


def test_the_time_limit_of_a_test_is_no_counter_example(session):
    code, output = session("""
        async def busy(sim):
            assert await sim.spawn(Adder, name="adder").ask(Add(1)) == 1
            while True:
                pass

        @pytest.mark.timeout(1, method="signal")
        def test_it(simulation):
            simulation(busy)
    """)

    assert code == 1, output
    assert "Timeout" in output
    assert "counter-example" not in output


def test_it_brings_nothing_optional_into_every_run():
    heavy = ["greenlet", "hypothesis", "psutil", "supervisor", "zmq", "actors.testing"]
    script = f"import sys, actors.plugin; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_conftest_may_have_a_system_of_its_own(session, tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef system():\n    return 'mine'\n", encoding="utf-8"
    )
    code, output = session("""
        def test_it(system):
            assert system == "mine"
    """)

    assert code == 0, output


def test_the_package_registers_it():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]

    assert project["entry-points"]["pytest11"] == {"understudy": "actors.plugin"}
