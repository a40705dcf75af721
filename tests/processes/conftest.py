"""Programs that end with their test, whatever becomes of it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from programs import SCENES, Program


@pytest.fixture
def run():
    """Start `python COMMAND...`."""
    with contextlib.ExitStack() as stack:
        yield lambda *command, **options: stack.enter_context(Program(*command, **options))


@pytest.fixture
def scene(run):
    """Start one of the programs in `scenes.py`."""
    return lambda name, *arguments, **options: run(SCENES, name, *arguments, **options)
