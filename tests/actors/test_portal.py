"""How long the broker has to say what is needed before a message can be sent, and who hears."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

import supervisor
from actors import Actor, Request, message, receive
from actors.attachments import Memory
from actors.control import BROKER, Standing, Stands, encode_word
from actors.envelope import MAGIC, Route, encode_route
from actors.errors import ConnectionLost, NoSuchActor
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


@message
class Exposure:
    pixels: NDArray[np.float64]


@message
class Ask(Request[int]):
    pixels: NDArray[np.float64]


class Ending:
    """An actor ends while somebody waits for room in its outbox."""

    may_block = True

    def __init__(self, peer):
        self.peer = peer

    def hear(self, standing):
        route = encode_route(Route(MAGIC, "", 0, BROKER, 0))
        word = Stands("calc", standing, 1, 1, reason="it was stopped")
        self.peer.receive([route, encode_word(word)], 0.0)

    def wake(self):
        pass

    def block(self, _pending, _timeout):
        self.hear(Standing.GONE)


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("kind", [Exposure, Ask])
def test_a_message_that_is_turned_away_after_it_was_written_leaves_its_arrays_writeable(kind, size):
    # Recorded: they were read-only for ever, though nothing was sent.
    memory, peer = Memory(), Peer("client-1", 1)
    portal, driver = Portal(peer, memory, ask_timeout=1.0), Ending(peer)
    portal.driver, calc = driver, portal.ref("calc")
    peer.link("calc")
    driver.hear(Standing.UP)
    calc.tell(Exposure(np.zeros(3)))  # it takes one, so the next waits
    sent = kind(memory.empty(size))

    with pytest.raises(NoSuchActor):
        calc.ask(sent) if kind is Ask else calc.tell(sent)

    sent.pixels[:] = 2.0
    del sent
    assert memory.arena.statistics().blocks == 0


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
