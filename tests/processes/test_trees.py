"""Supervision with real processes: who falls with whom, in which order, and what is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from programs import eventually, gone
from scenes import Leave, Parent, Player, SpawnOne, Who, Write

import supervisor
from actors.errors import ActorStopped, ConnectionLost, NoSuchActor
from supervisor import AutoShutdown, Backoff, Child, Intensity, Restart, Strategy, Tree

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


@pytest.fixture
def book(tmp_path):
    """Where actors write down how they start and stop, in the order in which they do."""
    return tmp_path / "book"


@pytest.fixture
def start(book):
    """Start a system with this tree; `start.lines()` is what its actors have written since."""
    systems = []

    class Started:
        def __call__(self, *children, **options):
            system = supervisor.start(Tree(children=children, **options))
            systems.append(system)
            system.wait_ready(100)
            book.write_text("")
            return system

        def lines(self):
            return book.read_text(encoding="utf-8").split("\n")[:-1]

    yield Started()
    for system in systems:
        system.close()


def kill(system, name):
    """As the kernel does it: nobody asked for it, so it counts."""
    life = system.status().actor(name)
    os.kill(life.pid, signal.SIGKILL)
    eventually(lambda: system.status().actor(name).incarnation > life.incarnation)


def lives(system):
    return {actor.name: actor.incarnation for actor in system.status().actors}


def settled(system, expected):
    """Whether all are up, in these incarnations."""
    running = all(actor.state == "running" for actor in system.status().actors)
    return running and list(lives(system).values()) == expected


@pytest.mark.parametrize(
    ("strategy", "expected", "lines"),
    [
        (Strategy.ONE_FOR_ONE, [1, 2, 1], ["+b/2"]),
        (Strategy.ONE_FOR_ALL, [2, 2, 2], ["-c/1", "-a/1", "+a/2", "+b/2", "+c/2"]),
        (Strategy.REST_FOR_ONE, [1, 2, 2], ["-c/1", "+b/2", "+c/2"]),
    ],
)
def test_a_strategy_says_who_falls_with_whom_and_in_which_order(
    start, book, strategy, expected, lines
):
    children = [Child(Player, name=name, path=str(book), marks=True) for name in "abc"]
    system = start(*children, strategy=strategy)

    kill(system, "b")

    eventually(lambda: settled(system, expected))
    assert start.lines() == lines
    book.write_text("")
    system.close()
    last = dict(zip("abc", expected, strict=True))
    assert start.lines() == [f"-{name}/{last[name]}" for name in "cba"], "reverse order at the end"


def test_a_tree_that_gives_up_restarts_as_a_whole_and_the_outermost_ends_the_system(start, book):
    inner = [Child(Player, name=name, path=str(book), marks=True) for name in "ab"]
    system = start(
        Tree(name="inner", intensity=Intensity(1, 60.0), children=inner),
        Child(Player, name="c", path=str(book), marks=True),
        intensity=Intensity(1, 60.0),
    )

    kill(system, "a")  # allowed
    eventually(lambda: settled(system, [2, 1, 1]))
    kill(system, "a")  # one too many: "inner" falls, and the tree around it restarts it
    eventually(lambda: settled(system, [3, 2, 1]))
    assert start.lines() == ["+a/2", "-b/1", "+a/3", "+b/2"]

    kill(system, "a")  # its count began anew
    eventually(lambda: settled(system, [4, 2, 1]))
    eventually(lambda: system.ref("a").ask(Who()).result())  # directly from now on
    pid = system.status().actor("a").pid
    os.kill(pid, signal.SIGSTOP)
    waiting = system.ref("a").ask(Who())
    os.kill(pid, signal.SIGKILL)
    assert "more than the 1 restarts" in system.wait_ended(30)
    with pytest.raises(ActorStopped, match=r"the system is ending: .*more than the 1 restarts"):
        waiting.result()
    with pytest.raises(ConnectionLost, match="more than the 1 restarts"):
        system.ref("c").ask(Who())


def test_a_significant_child_takes_its_tree_along_and_leaves_the_others(start):
    system = start(
        Tree(
            name="job",
            restart=Restart.TEMPORARY,
            auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
            children=[
                Child(Player, name="helper"),
                Child(Player, name="main", restart=Restart.TEMPORARY, significant=True),
            ],
        ),
        Child(Player, name="other"),
    )

    os.kill(system.status().actor("main").pid, signal.SIGKILL)

    eventually(lambda: system.status().actor("helper").state == "stopped")
    assert system.status().actor("main").state == "failed"
    assert system.ref("other").ask(Who()).result() == system.status().actor("other").pid


def test_grace_then_sigkill_for_the_whole_group_grandchildren_included(start, book):
    system = start(Child(Player, name="slow", grace=0.3, slow_stop=60.0, path=str(book)))
    slow = system.ref("slow")
    pids = [slow.ask(Who()).result(), slow.ask(Leave()).result()]

    system.stop("slow")

    assert gone(pids)
    assert start.lines() == [], "it was killed before its `on_stop` was done"


def test_an_actor_that_dies_takes_its_grandchildren_along_before_its_next_life(start):
    system = start(Child(Player, name="a"))
    grandchild = system.ref("a").ask(Leave()).result()

    kill(system, "a")

    assert gone([grandchild])


def test_what_an_actor_spawns_belongs_to_its_tree(start):
    system = start(
        Tree(
            Strategy.ONE_FOR_ALL,
            name="inner",
            children=[Child(Parent, name="parent"), Child(Player, name="sibling")],
        ),
        Child(Player, name="outside"),
    )
    assert system.ref("parent").ask(SpawnOne("kid")).result() == "kid"
    system.ref("kid").wait_ready(100)

    kill(system, "sibling")
    eventually(lambda: settled(system, [2, 2, 2, 1]))
    assert list(lives(system)) == ["parent", "sibling", "kid", "outside"]

    system.restart("inner")  # the tree starts afresh: what was added is forgotten
    eventually(lambda: settled(system, [3, 3, 1]))
    with pytest.raises(NoSuchActor):
        system.ref("kid").ask(Who())


def test_backoff_holds_a_child_back_and_a_stable_period_forgets_its_failures(start, tmp_path):
    broken = tmp_path / "broken"
    backoff = Backoff(initial=60.0, maximum=60.0, reset_after=0.2)
    system = start(Child(Player, name="a", fails_if=str(broken), backoff=backoff))
    broken.touch()

    os.kill(system.status().actor("a").pid, signal.SIGKILL)
    eventually(lambda: system.status().actor("a").state == "backoff")
    assert 0 < system.status().actor("a").next_start <= 60.0

    broken.unlink()
    system.restart("a")
    for _ in range(3):  # each after a time of health, so each restart is immediate
        eventually(lambda: system.status().actor("a").state == "running")
        up = system.status().actor("a").uptime  # its start, which may take long, included
        eventually(lambda: system.status().actor("a").uptime > up + 0.5)  # noqa: B023 - used now
        kill(system, "a")
        eventually(lambda: system.status().actor("a").state == "running")


def test_a_child_stopped_while_its_siblings_fall_stays_down(start, book):
    children = [Child(Player, name=name, path=str(book), marks=True) for name in "abc"]
    system = start(*children, strategy=Strategy.ONE_FOR_ALL)
    system.stop("b")

    kill(system, "a")

    eventually(lambda: lives(system) == {"a": 2, "b": 1, "c": 2})
    assert system.status().actor("b").state == "stopped"
    assert not psutil.pid_exists(system.status().actor("b").pid or -1)
    system.ref("a").tell(Write("on"))
    assert Path(book).exists()
