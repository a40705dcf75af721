"""For pytest: a system and a simulation as fixtures, and failures that can be read.

    def test_a_bank(system):                  a fresh system, ended with the test
        bank = system.spawn(Bank)

    @pytest.mark.simulation(max_faults=1)     options of every `check` of this test
    def test_a_payment(simulation):           `actors.testing.check`
        simulation(every_deposit_counts_once)

A test fails when its system leaves a process behind.  Whatever it fails of, its report has the
unwanted ends of its actors, its dead letters, and the chart of a counter-example as it is.

pytest imports this room in every run, wherever understudy is installed, with or without the
libraries that the testing kit needs.  So it stands outside `actors.testing`, and imports late.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import pytest

if TYPE_CHECKING:
    import psutil

    from actors.testing import Report
    from supervisor import System

GONE_WITHIN: Final = 2.0
"""Seconds that processes may outlive their system."""

_HERE: Final = str(Path(__file__).parent)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "simulation(**options): options of every `check` of the fixture `simulation`"
    )


@pytest.fixture
def system(request: pytest.FixtureRequest) -> Generator[System]:
    """Return a fresh system that ends with the test, which fails if it leaves a process behind."""
    from supervisor import start  # noqa: PLC0415

    running = start()
    try:
        watch = _Watch(running)
        node: pytest.Item = request.node
        node.stash[_WATCH] = watch
        yield running
        watch.look()
    finally:
        running.close()
    left = watch.left_behind()
    if left:
        pytest.fail(f"the system left processes behind: {', '.join(left)}", pytrace=False)


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Return `actors.testing.check` with the options of the test's marker `simulation`."""
    try:
        from actors.testing import check  # noqa: PLC0415
    except ModuleNotFoundError as error:
        pytest.fail(
            f"{error}: install the extra `testing` (hypothesis and greenlet)", pytrace=False
        )
    node: pytest.Item = request.node
    marker = node.get_closest_marker("simulation")
    return partial(check, **(marker.kwargs if marker is not None else {}))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what explains it."""
    report = yield
    if report.failed:
        check = sys.modules.get("actors.testing.check")
        error = call.excinfo.value if call.excinfo is not None else None
        if check is not None and isinstance(error, check.CounterExample):
            _unwrap(report.longrepr, str(error))
        watch = item.stash.get(_WATCH, None)
        if watch is not None and call.when == "call":
            report.sections += watch.sections()
    return report


@final
class _Watch:
    """What is noted of a system, for the end of its test."""

    def __init__(self, system: System) -> None:
        from actors.notices import DeadLetter  # noqa: PLC0415

        self._system = system
        self._letters = system.subscribe(DeadLetter)
        self._pid = system.pid
        self._processes: set[psutil.Process] = set()
        self.look()

    def look(self) -> None:
        """Note which processes there are."""
        import psutil  # noqa: PLC0415

        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._pid)
            self._processes |= {process, *process.children(recursive=True)}

    def sections(self) -> list[tuple[str, str]]:
        """Return titles and texts for the report of a failure; the system runs still, or not."""
        from actors.errors import ActorError  # noqa: PLC0415

        failures: list[str] = []
        letters: list[str] = []
        with contextlib.suppress(ActorError, StopIteration):
            failures = self._system.status().failures
            while self._letters.done():
                one = next(self._letters)
                text = one.text or one.message
                letters.append(f"{one.sender} to {one.target}: {text} ({one.reason})")
        found = (("understudy: unwanted ends", failures), ("understudy: dead letters", letters))
        return [(title, "\n".join(lines)) for title, lines in found if lines]

    def left_behind(self) -> list[str]:
        """Return the processes that outlive the system, after ending them."""
        import psutil  # noqa: PLC0415

        left: list[str] = []
        for process in psutil.wait_procs(self._processes, timeout=GONE_WITHIN)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    left.append(f"{process.pid} ({process.name()})")
                    process.kill()
        return left


_WATCH: Final = pytest.StashKey[_Watch]()


def _unwrap(shown: Any, text: str) -> None:
    """Show a counter-example as it is: pytest would indent every line and show the kit's code."""
    chain = getattr(shown, "chain", None)
    if not chain:
        return
    trace = chain[-1][0]
    lines: list[str] = []
    for entry in trace.reprentries:
        lines += [line for line in getattr(entry, "lines", ()) if line.startswith("E ")]
    theirs = [entry for entry in trace.reprentries if not _is_ours(entry)]
    if not lines or not theirs:
        return
    theirs[-1].lines += lines[:1]
    trace.reprentries[:] = theirs
    shown.addsection("counter-example", text)


def _is_ours(entry: Any) -> bool:
    place = getattr(entry, "reprfileloc", None)
    return place is not None and str(Path(place.path).absolute()).startswith(_HERE)
