"""Arrays between processes of a machine that has no memfd: files in the system's own directory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, time
from pathlib import Path

import numpy as np

import supervisor
from actors.arrays.segment import HAS_MEMFD
from tests.processes.leaks import Hand, Look, Make, Pass


def files(system):
    return {path.name.split("-")[1] for path in Path(system._directory).glob("arena-*")}


if __name__ == "__main__":
    assert not HAS_MEMFD
    with supervisor.start() as system:
        two = system.spawn(Hand, name="two")
        one = system.spawn(Hand, name="one", next=two)
        array = one.ask(Pass(np.arange(100_000.0) * 0 + 3)).result()
        made = two.ask(Make(100_000, 7.0)).result()
        made = one.ask(Pass(made)).result()
        assert (array.min(), array.max(), made.min(), made.max()) == (3.0, 3.0, 7.0, 7.0)
        owner = str(system.status().actor("two").pid)
        assert {str(os.getpid()), owner} <= files(system)
        system.kill("two")
        while owner in files(system):
            time.sleep(0.01)
        assert made.min() == made.max() == 7.0
        directory = Path(system._directory)
    assert not directory.exists()
    with supervisor.start(inproc=True) as system:
        hand = system.spawn(Hand)
        array = system.empty(100_000)
        array[:] = 5.0
        assert hand.ask(Look(array)).result().max() == 5.0  # as a frame
        assert not array.flags.writeable
        for wrong in ({"shape": "x"}, {"shape": 3, "dtype": object}):
            try:
                system.empty(**wrong)
            except TypeError:
                continue
            raise AssertionError(wrong)
    print("well")
"""


@pytest.mark.process
def test_large_arrays_travel_in_files_that_go_with_their_owners(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import os\ndel os.memfd_create\n")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    search = os.pathsep.join([str(tmp_path), *sys.path])
    run = subprocess.run(
        [sys.executable, program],
        env=os.environ | {"PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert run.stdout.endswith("well\n"), run.stderr
    assert run.returncode == 0
