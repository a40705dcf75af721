"""What ends a run is a failure of the scenario, or comes from outside of it and ends the search.

pytest.fail, and pytest.raises when nothing is raised   a failure, though no `Exception`
pytest-timeout, which calls pytest.fail, and Ctrl-C     from outside
pytest.skip, pytest.xfail                               not failures
Hypothesis's assume and reject                          not failures; the search goes on
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from hypothesis.errors import HypothesisDeprecationWarning, UnsatisfiedAssumption

_TIME_LIMIT = "pytest_timeout"
"""The module of pytest's plugin that ends what lasts too long."""


def is_failure(error: BaseException) -> bool:
    """Tell whether an error, or all of a group of errors, is a failure of a scenario."""
    if isinstance(error, Exception):
        return not is_discard(error)
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(map(is_failure, group.exceptions))
    # Whoever raises it has loaded pytest; nobody else needs it.
    outcomes: Any = sys.modules.get("_pytest.outcomes")
    if outcomes is None or type(error) is not outcomes.Failed:
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return not any(frame.f_globals.get("__name__") == _TIME_LIMIT for frame in frames)


def is_discard(error: BaseException | None) -> bool:
    """Tell whether a scenario has rejected its world, in all of its tasks that have failed."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(map(is_discard, group.exceptions))
    return isinstance(error, UnsatisfiedAssumption)


@contextmanager
def may_assume() -> Generator[None]:
    """Let scenarios reject a world that Hypothesis has not drawn, about which it warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Using `(assume|reject)` outside", HypothesisDeprecationWarning
        )
        yield
