"""State outlives its actor, and with `state_dir` the whole system."""

from __future__ import annotations

import os
import signal
import sqlite3

import pytest
from keepers import Add, Keeper, SaveLater, Snapper, Total
from programs import eventually

import supervisor
from actors.errors import SpawnError
from supervisor import Child, Tree

pytestmark = pytest.mark.process


def test_the_last_saved_state_outlives_a_killed_supervisor(tmp_path):
    tree = Tree(children=[Child(Keeper, name="declared")])
    totals = {}
    for _ in range(3):
        with supervisor.start(tree, state_dir=tmp_path) as system:
            declared = system.ref("declared")
            spawned = system.spawn(Keeper, name="spawned")
            for ref in (declared, spawned):
                assert ref.ask(Total()).result() == totals.get(ref.name, 0)
                for _ in range(20):
                    totals[ref.name] = ref.ask(Add(1)).result()
            # Nothing was flushed, closed or waited for: what was answered is on disk.
            os.kill(system.pid, signal.SIGKILL)
            assert system.wait_ended(20.0)

    assert totals == {"declared": 60, "spawned": 60}


def test_a_snapshot_is_on_disk_after_a_good_end(tmp_path):
    for total in (0, 5, 10):
        with supervisor.start(state_dir=tmp_path) as system:
            snapper = system.spawn(Snapper, name="snapper")
            assert snapper.ask(Total()).result() == total
            for _ in range(5):
                snapper.tell(Add(1))


def test_state_may_be_saved_in_a_thread_and_in_async_code(tmp_path):
    with supervisor.start(state_dir=tmp_path) as system:
        keeper = system.spawn(Keeper, name="keeper")
        assert keeper.ask(SaveLater(7)).result() == 7
        system.kill("keeper")

        assert keeper.ask(Total()).result() == 7


def test_who_is_stopped_for_good_leaves_no_state(tmp_path):
    with supervisor.start(state_dir=tmp_path) as system:
        keeper = system.spawn(Keeper, name="keeper")
        keeper.ask(Add(3)).result()
        system.stop("keeper")

        assert system.spawn(Keeper, name="keeper").ask(Total()).result() == 0


def test_a_first_start_that_fails_loses_no_state(tmp_path):
    with supervisor.start(state_dir=tmp_path) as system:
        system.spawn(Keeper, name="keeper").ask(Add(3)).result()
    with supervisor.start(state_dir=tmp_path) as system:
        with pytest.raises(SpawnError, match="not today"):
            system.spawn(Keeper, name="keeper", broken=True)

        assert system.spawn(Keeper, name="keeper").ask(Total()).result() == 3


def test_a_file_of_somebody_else_is_an_error_at_the_start(tmp_path):
    with sqlite3.connect(tmp_path / "states.sqlite3") as other:
        other.execute("CREATE TABLE addresses (street TEXT)")
    other.close()

    with pytest.raises(SpawnError, match="belongs to another program"):
        supervisor.start(state_dir=tmp_path)


def test_a_state_directory_serves_one_system(tmp_path):
    with supervisor.start(state_dir=tmp_path) as system:
        system.spawn(Keeper, name="keeper").ask(Add(3)).result()
        with pytest.raises(SpawnError, match="used by another system"):
            supervisor.start(state_dir=tmp_path)

        assert system.ref("keeper").ask(Total()).result() == 3


def test_threads_keep_their_state_on_disk_too(tmp_path):
    for total in (0, 2):
        with supervisor.start(inproc=True, state_dir=tmp_path) as system:
            keeper = system.spawn(Keeper, name="keeper")
            assert keeper.ask(Total()).result() == total
            keeper.ask(Add(2)).result()


def test_an_actor_killed_right_after_it_saved_comes_back_with_it():
    with supervisor.start() as system:
        keeper = system.spawn(Keeper, name="keeper")
        for total in range(1, 6):
            keeper.ask(Add(1)).result()
            system.kill("keeper")
            eventually(lambda: system.status().actor("keeper").state == "running")

            assert keeper.ask(Total()).result() == total
