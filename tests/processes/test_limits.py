"""Limits of a system's own processes, and what is said of one that is reached or makes no sense."""

from __future__ import annotations

import resource
import textwrap
from pathlib import Path

import pytest
from programs import Program
from scenes import Player

import supervisor
from actors.errors import SpawnError

pytestmark = pytest.mark.process


def test_a_system_of_threads_leaves_the_limits_of_its_program_alone():
    """More descriptors than 1,024 would break whoever uses select() in this program."""
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA)
    found = [resource.getrlimit(kind) for kind in kinds]
    _, hard = found[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with supervisor.start(inproc=True):
            during = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, found[0])

    assert during == (512, hard)
    assert [resource.getrlimit(kind) for kind in kinds] == found


def test_every_process_of_a_system_may_have_more_descriptors_than_its_program():
    found = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 10_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with supervisor.start() as system:
            system.spawn(Player, name="player")
            status = system.status()
            pids = [status.pid, status.broker_pid, status.actor("player").pid]
            allowed = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids]
            ours = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, found)

    assert allowed == [(min(most, 10_000), hard)] * 3
    assert ours == (min(512, soft), hard)


def test_one_actor_too_many_is_told_what_to_raise_and_the_others_go_on():
    script = textwrap.dedent("""
        import resource, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        sys.path.insert(0, sys.argv[1])
        import supervisor
        from actors.errors import SpawnError
        from scenes import Add, Player

        if __name__ == "__main__":
            with supervisor.start() as system:
                players = []
                try:
                    for number in range(128):
                        players.append(system.spawn(Player, name=f"player-{number}"))
                except SpawnError as error:
                    print(error, file=sys.stderr)
                assert len(players) > 3
                assert all(player.ask(Add(1, 2)).result() == 3 for player in players)
                system.stop("player-0")  # there is room for another now
                system.spawn(Player, name="another")
    """)
    with Program("-c", script, Path(__file__).parent) as program:
        code = program.end(60)

    assert code == 0, program.errors
    assert "Too many open files" in program.errors
    assert "ulimit -n" in program.errors


@pytest.mark.parametrize("inproc", [True, False])
def test_a_limit_that_is_no_size_is_refused_with_the_name_of_its_variable(monkeypatch, inproc):
    monkeypatch.setenv("UNDERSTUDY_BROKER_MEMORY", "foo")

    with pytest.raises(SpawnError, match="UNDERSTUDY_BROKER_MEMORY: 'foo' is not a size"):
        supervisor.start(inproc=inproc)
