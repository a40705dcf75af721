"""Whoever watches gets one notice for every life that ended, in order, whatever dies meanwhile."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest
from misfits import Hint, Misfit, Watch, Watcher, Who
from programs import eventually

import supervisor
from supervisor import Intensity, Tree

pytestmark = pytest.mark.process

PATIENT = Tree(intensity=Intensity(1000, 1.0))


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "ledger"
    path.touch()
    return path


def lines(ledger):
    return Path(ledger).read_text(encoding="utf-8").split()


def kill(system, name, times):
    """End so many lives of an actor, and return the labels of those that ended."""
    ended = []
    for _ in range(times):
        system.ref(name).ask(Who(), timeout=20.0).result()
        ended.append(f"{name}/{system.kill(name)}")
    return ended


def test_a_notice_says_how_a_life_ended_and_what_it_needed():
    with supervisor.start(PATIENT) as system:
        misfit = system.spawn(Misfit, name="misfit")
        with system.watch(misfit) as ends:
            found = []
            for how in ("exit", "crash", "raise"):
                misfit.tell(Hint(how))
                found.append(next(ends))
            kill(system, "misfit", 1)
            found.append(next(ends))
            misfit.ask(Who(), timeout=20.0).result()
            system.stop("misfit")
            found.append(next(ends))

    assert [end.incarnation for end in found] == [1, 2, 3, 4, 5]
    assert [end.exit_code for end in found[:3]] == [7, None, 1]
    assert [end.signal for end in found] == [None, signal.SIGSEGV, None, signal.SIGKILL, None]
    assert [end.restarting for end in found] == [True, True, True, True, False]
    assert all(10_000_000 < end.peak_memory < 1_000_000_000 for end in found)
    for end, text in zip(
        found, ("code 7", "SIGSEGV", "IndexError", "SIGKILL", "stop"), strict=True
    ):
        assert text in end.reason


def test_notices_survive_the_broker(ledger):
    with supervisor.start(PATIENT) as system:
        system.spawn(Misfit, name="misfit")
        watcher = system.spawn(Watcher, name="watcher", path=str(ledger))
        watcher.ask(Watch("misfit")).result()
        with system.watch(system.ref("misfit")) as ends:
            wanted = kill(system, "misfit", 2)
            for _ in range(2):
                broker = system.status().broker_pid
                os.kill(broker, signal.SIGKILL)
                wanted += kill(system, "misfit", 2)
                os.kill(eventually(lambda: system.status().broker_pid), signal.SIGKILL)
                wanted += kill(system, "misfit", 1)

            seen = itertools.islice(ends, len(wanted))
            assert [f"{end.name}/{end.incarnation}" for end in seen] == wanted
        eventually(lambda: len(lines(ledger)) >= len(wanted))
        assert lines(ledger) == wanted


def test_notices_wait_for_a_watcher_that_is_restarting_itself(ledger):
    with supervisor.start(PATIENT) as system:
        system.spawn(Misfit, name="misfit")
        watcher = system.spawn(Watcher, name="watcher", path=str(ledger))
        watcher.ask(Watch("misfit")).result()
        wanted = []
        for _ in range(3):
            eventually(lambda: len(lines(ledger)) == len(wanted))  # noqa: B023
            pid, _ = watcher.ask(Who()).result()
            os.kill(pid, signal.SIGKILL)
            wanted += kill(system, "misfit", 2)

        eventually(lambda: len(lines(ledger)) >= len(wanted))
        assert lines(ledger) == wanted
        assert watcher.ask(Who()).result()[1] == 4


def test_a_program_is_watched_like_an_actor(ledger):
    with supervisor.start(PATIENT) as system:
        watcher = system.spawn(Watcher, name="watcher", path=str(ledger))
        guest = supervisor.connect(system._connection.endpoint)
        name = guest._peer.name
        with system.watch(name) as ends:
            for watched in (name, name, "ghost"):
                watcher.ask(Watch(watched)).result()
            eventually(lambda: lines(ledger) == ["ghost/0"])
            guest.close()
            notice = next(ends)

        assert (notice.name, notice.incarnation, notice.reason) == (name, 1, "it left")
        eventually(lambda: lines(ledger) == ["ghost/0", f"{name}/1"])
        watcher.ask(Watch(name)).result()
        eventually(lambda: lines(ledger) == ["ghost/0", f"{name}/1", f"{name}/0"])


def test_anyone_may_watch_anyone_and_oneself_and_nobody(ledger):
    with supervisor.start(PATIENT) as system:
        watcher = system.spawn(Watcher, name="watcher", path=str(ledger))
        for name in ("watcher", "ghost", "watcher", "ghost"):
            watcher.ask(Watch(name)).result()
        eventually(lambda: lines(ledger) == ["ghost/0"])
        kill(system, "watcher", 1)
        eventually(lambda: lines(ledger) == ["ghost/0", "watcher/1"])
        system.spawn(Misfit, name="ghost")
        kill(system, "ghost", 1)

        eventually(lambda: lines(ledger) == ["ghost/0", "watcher/1", "ghost/1"])
