"""What every test shares: Hypothesis profiles, a private runtime directory, and the leak check.

A test marked `process` must leave no process and no runtime directory behind. Every process that
descends from this session is recognised by one of two marks it cannot help inheriting:

    exec   the environment variable UNDERSTUDY_TEST_MARK
    fork   a shared mapping of an anonymous file with the same name (Linux)

so neither a new session id, nor a dead parent, nor another test run on this machine confuses it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path

import hypothesis
import psutil
import pytest

GONE_WITHIN = 2.0  # seconds: the promise G6
MARK = f"understudy-test-{secrets.token_hex(8)}"

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile(
    "ci",
    deadline=None,  # two busy cores: wall-clock time says nothing about the code
    max_examples=200,
    print_blob=True,
)
hypothesis.settings.register_profile("long", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.register_profile(
    "mutants",  # run once for each change of the code: few, and the same ones every time
    deadline=None,
    max_examples=30,
    derandomize=True,
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=tuple(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI_MARK") else "dev"),
)


def _map_mark() -> mmap.mmap | None:
    """Map a file that is only a name; a fork keeps the mapping whatever descriptors it closes."""
    if not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create(MARK)
    os.truncate(descriptor, mmap.PAGESIZE)
    mapping = mmap.mmap(descriptor, mmap.PAGESIZE)
    os.close(descriptor)
    return mapping


_MAPPING = _map_mark()
os.environ["UNDERSTUDY_TEST_MARK"] = MARK

# A directory of its own keeps this session apart from real systems and from other sessions.
# It is short because a socket's path may have 107 bytes only.
RUNTIME = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))
os.environ["XDG_RUNTIME_DIR"] = str(RUNTIME)
os.environ["UNDERSTUDY_KEYS"] = str(RUNTIME / "keys")


def _carries_mark(process: psutil.Process) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get("UNDERSTUDY_TEST_MARK") == MARK:
            return True
        maps = Path(f"/proc/{process.pid}/maps")
        return maps.exists() and MARK in maps.read_text(errors="replace")
    except (psutil.Error, OSError):
        return False  # it ended while we looked, or is another user's


def living() -> dict[int, str]:
    """Every living process that descends from this test session: pid and command."""
    found = {}
    for process in psutil.process_iter():
        if _carries_mark(process):
            try:
                found[process.pid] = " ".join(process.cmdline()) or process.name()
            except psutil.Error:
                continue
    return found


def runtime_directories() -> set[str]:
    """Directories of running, or badly ended, systems."""
    base = RUNTIME / "understudy"
    return {entry.name for entry in base.iterdir()} if base.is_dir() else set()


def left_behind(processes_before=(), directories_before=frozenset()):
    """Wait up to the promise for everything new to go; return what did not, and take it away."""
    deadline = time.monotonic() + GONE_WITHIN
    while True:
        processes = {pid: text for pid, text in living().items() if pid not in processes_before}
        directories = runtime_directories() - directories_before
        if not processes and not directories:
            return ""
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    # One leak is one failure, not one for every test that follows.
    for pid in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    for name in directories:
        shutil.rmtree(RUNTIME / "understudy" / name, ignore_errors=True)
    return f"left behind: processes {processes}, runtime directories {sorted(directories)}"


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request):
    """Fail a `process` test whose processes or runtime directories outlive it by two seconds."""
    if request.node.get_closest_marker("process") is None:
        yield
        return
    processes_before, directories_before = set(living()), runtime_directories()

    yield

    left = left_behind(processes_before, directories_before)
    if left:
        pytest.fail(left)


_left_by_workers: list[str] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Hear from a worker, when there are any, what outlived its tests."""
    _left_by_workers.append(getattr(node, "workeroutput", {}).get("left", ""))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Fail the session when something outlived it, whichever test it was."""
    left = left_behind()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = left
        return
    for text in filter(None, [left, *_left_by_workers]):
        session.config.pluginmanager.get_plugin("terminalreporter").write_line(f"\n{text}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure():
    """Take the private runtime directory away."""
    shutil.rmtree(RUNTIME, ignore_errors=True)
