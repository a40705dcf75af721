"""What those who stop, restart and watch are told: the real supervisor, in the simulation."""

from __future__ import annotations

import asyncio

import pytest

from actors import Actor, Request, Terminated, message, receive
from actors.control import SUPERVISOR
from actors.requests import RestartActor, StopActor
from actors.testing.simulation import simulate
from supervisor import Child, Pool, Tree


@message
class Work(Request[None]):
    seconds: float


class Worker(Actor):
    @receive
    async def work(self, msg: Work) -> None:
        await asyncio.sleep(msg.seconds)


def proven(scenario, *, tree=None):
    """Run a scenario; fail with its own error, and the trace of what happened."""
    run = simulate(scenario, tree=tree)
    assert run.error is None, f"{run.error!r}\n{run.trace}"


def asked(sim, request):
    """The supervisor's answer to another program."""
    return sim.client("other").ref(SUPERVISOR).ask(request, timeout=60.0)


def test_a_stop_is_over_with_the_life_though_somebody_restarts_the_actor_meanwhile():
    async def scenario(sim):
        worker = sim.spawn(Worker, name="a")
        busy = worker.ask(Work(3.0))
        await sim.sleep(0.5)
        stopped = sim.ref(SUPERVISOR).ask(StopActor("a"), timeout=60.0)
        await sim.sleep(0.5)
        restarted = asked(sim, RestartActor("a"))
        await busy

        assert await restarted == 2
        await stopped
        assert sim.now() < 10.0

    proven(scenario)


def test_stops_of_what_is_down_already_leave_nothing_behind():
    async def scenario(sim):
        for _ in range(3):
            sim.stop("a")

        assert sim._house.supervisor._waiters._ends == {}

    proven(scenario, tree=Tree(children=[Child(Worker, name="a")]))


def trio():
    """A tree of two, and a pool, beside somebody else."""
    return Tree(
        children=[
            Tree(name="t", children=[Child(Worker, name="a"), Child(Worker, name="b")]),
            Pool(Worker, name="p", size=2),
            Child(Worker, name="other"),
        ]
    )


ENDINGS = {
    "a tree is stopped": (lambda sim: sim.stop("t"), {"a": False, "b": False}),
    "a pool is stopped": (lambda sim: sim.stop("p"), {"p#1": False, "p#2": False}),
    "a tree is restarted": (lambda sim: sim.restart("t"), {"a": True, "b": True}),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_notice_says_whether_the_actor_comes_back(ending):
    async def scenario(sim):
        end, expected = ENDINGS[ending]
        await sim.settle()
        ends = sim.subscribe(Terminated)
        end(sim)

        notices = [await anext(ends) for _ in expected]
        assert {one.name: one.restarting for one in notices} == expected

    proven(scenario, tree=trio())


class Held(Actor):
    """Stands still for a second when its `on_start` is over, before it can say so."""

    async def on_start(self):
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def end():
            over.set_result(None)
            if self.context.incarnation == 1:
                loop._node.freeze(1.0)

        loop.call_later(0.1, end)
        await over


def test_a_restart_returns_the_next_life_though_this_one_was_still_starting():
    async def scenario(sim):
        await sim.sleep(0.5)
        life = sim._house.children["a"]
        restarted = sim.ref(SUPERVISOR).ask(RestartActor("a"), timeout=60.0)

        assert await restarted == 2
        assert life.up, "it has said that it is up, after it was told to stop"

    proven(scenario, tree=Tree(children=[Child(Held, name="a")]))
