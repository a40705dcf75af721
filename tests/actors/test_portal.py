"""How long the broker has to say what is needed before a message can be sent, and who hears."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import supervisor
from actors import Actor, Request, message, receive
from actors.attachments import Memory
from actors.errors import ConnectionLost
from actors.peer import Peer
from actors.portal import RESOLVE_TIMEOUT, START_PATIENCE, Portal, Until
from actors.reply import wait_in_loop


@message
class Patience(Request[list[float]]):
    pass


class Newcomer(Actor):
    def on_start(self):
        self.patience = self.context._portal.patience

    @receive
    def tell(self, msg: Patience) -> list[float]:
        return [self.patience, self.context._portal.patience]


class Silence:
    """No broker: waits are over at once, and remembered."""

    def __init__(self):
        self.waited = []

    def wake(self):
        pass

    def block_briefly(self, pending, timeout):
        self.waited.append(timeout)


@pytest.mark.parametrize("patience", [RESOLVE_TIMEOUT, START_PATIENCE])
def test_who_hears_nothing_of_a_broker_says_for_how_long(patience):
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    portal.driver = Silence()
    portal.patience = patience

    with pytest.raises(ConnectionLost, match=rf"has not answered for {patience:g} s"):
        portal.ref("calc").tell(Patience())
    assert portal.driver.waited == [patience]


@pytest.mark.process
def test_an_actor_that_starts_is_more_patient_than_one_that_handles():
    with supervisor.start(inproc=True) as system:
        newcomer = system.spawn(Newcomer, name="newcomer")

        assert newcomer.ask(Patience()).result() == [START_PATIENCE, RESOLVE_TIMEOUT]


class LateLoop(asyncio.SelectorEventLoop):
    """One that is closed between the question whether it is and the call."""

    honest = False

    def is_closed(self):
        return self.honest and super().is_closed()


@pytest.mark.parametrize("loop_class", [asyncio.SelectorEventLoop, LateLoop])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_an_answer_for_a_loop_that_is_closed_disturbs_nobody(loop_class, elsewhere):
    portal = Portal(Peer("client-1", 1), Memory(), ask_timeout=1.0)
    here, woken = [], []
    until = Until(portal, lambda: bool(here))
    loop = loop_class()
    waiting = wait_in_loop(until)
    task = loop.create_task(waiting)
    loop.run_until_complete(asyncio.sleep(0))
    until.on_change(lambda: woken.append(True))
    loop.close()
    here.append(True)

    with ThreadPoolExecutor(1) as other:
        other.submit(portal.after_pump).result() if elsewhere else portal.after_pump()

    assert woken, "who comes after is forgotten"
    loop.honest = True
    task._log_destroy_pending = False
    waiting.close()
