"""A spare takes over for the next life of its child, whoever is killed (supervisor/wings.py)."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import pytest
from infrastructure import zygote_of
from programs import eventually, gone

import supervisor
from supervisor import Child, Intensity, Tree

pytestmark = pytest.mark.process

MODULE = """
import os
from actors import Actor, Request, message, receive

@message
class Who(Request[tuple[int, int, str]]):
    pass

@message
class Note:
    text: str

class Player(Actor):
    text = "{text}"

    def restore(self, state: Note):
        self.text = state.text

    @receive
    def note(self, msg: Note) -> None:
        self.text = msg.text
        self.context.save(msg)

    @receive
    def who(self, msg: Who) -> tuple[int, int, str]:
        return os.getpid(), self.context.incarnation, self.text
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("stage")
    (path / "spared_players.py").write_text(MODULE.format(text="as written"))
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


@pytest.fixture(scope="module")
def players(folder):
    return importlib.import_module("spared_players")


@pytest.fixture
def tree(players):
    child = Child(players.Player, name="player", spare=1)
    return Tree(intensity=Intensity(100, 5.0), children=[child])


@pytest.fixture
def system(tree):
    with supervisor.start(tree) as system:
        yield system


@pytest.fixture
def who(system, players):
    return lambda: system.ref("player").ask(players.Who(), timeout=20.0).result()


def spare_of(system, besides=None):
    """The process that stands ready, once there is one."""

    def ready():
        spare = system.status().actor("player").spare
        return spare if spare != besides else None

    return eventually(ready)


def test_the_spare_takes_over_with_the_state_and_one_that_is_killed_is_replaced(
    system, players, who
):
    pid, first = who()[0], spare_of(system)
    system.ref("player").tell(players.Note("kept"))
    assert who() == (pid, 1, "kept")

    os.kill(pid, signal.SIGKILL)
    assert who() == (first, 2, "kept")

    second = spare_of(system)
    os.kill(second, signal.SIGKILL)
    third = spare_of(system, besides=second)
    assert who() == (first, 2, "kept")

    os.kill(first, signal.SIGKILL)
    assert who() == (third, 3, "kept")


def test_a_spare_that_is_dead_or_stands_still_is_given_no_life(system, who):
    pid, spare = who()[0], spare_of(system)

    os.kill(spare, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)

    pid, incarnation, _ = who()
    assert pid != spare
    assert incarnation in (2, 3)  # 3: it fell after it had been given the second life
    assert system.status().actor("player").restarts == incarnation - 1

    spare = spare_of(system)
    os.kill(spare, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)

    assert who()[0] != spare
    assert who()[1] == incarnation + 1
    assert gone([spare])


def test_a_planned_restart_is_the_spares_unless_its_module_was_edited(system, who, folder):
    spare = spare_of(system)
    assert system.restart("player") == 2
    assert who() == (spare, 2, "as written")

    spare = spare_of(system)
    (folder / "spared_players.py").write_text(MODULE.format(text="edited"))
    assert system.restart("player") == 3
    assert who()[0] != spare
    assert who()[2] == "edited"
    assert gone([spare])

    spare = spare_of(system)
    system.stop("player")
    assert gone([spare])
    assert system.status().actor("player").spare is None


@pytest.mark.parametrize("also", ["nobody", "zygote"])
def test_nothing_is_left_when_the_supervisor_is_killed(tree, also):
    with supervisor.start(tree) as system:
        spare = spare_of(system)
        zygote = eventually(lambda: zygote_of(system))
        actor, directory = system.status().actor("player").pid, Path(system._directory)
        for victim in (zygote, system.pid) if also == "zygote" else (system.pid,):
            os.kill(victim, signal.SIGKILL)
        assert gone([spare, actor, zygote, system.pid])
    if also == "zygote":  # it is the sweeper too, so the files go at the next start
        with supervisor.start():
            eventually(lambda: not directory.exists())
