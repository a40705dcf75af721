"""What those who stop, restart and watch are told: the real supervisor, in the simulation."""

from __future__ import annotations

import asyncio

from actors import Actor, Request, message, receive
from actors.control import SUPERVISOR
from actors.requests import RestartActor, StopActor
from actors.testing.simulation import simulate
from supervisor import Child, Tree


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
