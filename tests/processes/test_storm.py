"""A short storm: everything is killed, stopped and cut under load; `tests/storm/` says how."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 30.0  # and up to 20 until a killed program is given up
SEED = 7  # other ones: python -m tests.storm

# Twice as long as the storm is usual where many others want to run.
pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]


def test_a_storm_loses_nothing_repeats_nothing_and_leaves_nothing():
    storm = subprocess.run(
        [sys.executable, "-m", "tests.storm", "--minutes", f"{SECONDS / 60}", "--seed", f"{SEED}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=800.0,
        check=False,
    )

    assert storm.returncode == 0, f"{storm.stderr}\n{storm.stdout}"
    found = json.loads(storm.stdout)
    assert found["wrong"] == []
    assert "unhandled at the end" not in storm.stderr, "all was handled before the end"
    assert found["outcomes"]["answered"] > 100
    assert found["ended_lives"] > 5, "it was no storm"
    assert found["harm"]["kill program"] > 0
    assert found["outcomes"]["closed"] > 0, "no stream was read"
