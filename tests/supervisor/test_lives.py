"""One life of one child, as the supervisor holds it."""

from __future__ import annotations

import asyncio
import logging
import socket

from actors.control import ClassName, Logged, Prepare, Prepared
from actors.deframer import frame
from supervisor.launcher.order import Exit, Launched, Life
from supervisor.lives import ChildLife

PREPARE = Prepare(ClassName("somewhere", "Player"))


class Stage:
    """Launches a process that is none: its lifeline's other end is here."""

    def __init__(self):
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.life = Life(4_194_305)
        self.launched = Launched(self.life.pid, ours, self.life, signal=lambda _: True)

    async def launch(self, _order):
        return self.launched


def test_who_adopts_a_spare_hears_the_rest_of_what_it_was_just_saying():
    async def adopt():
        words, launcher = asyncio.Queue(), Stage()
        spare = ChildLife("calc", 0, on_word=lambda _, word: words.put_nowait(("spare", word)))
        await spare.prepare(launcher, None, PREPARE)
        logged = Logged("user", logging.INFO, "a thread of the module says something", 0.0)
        whole = frame(Prepared()) + frame(logged)
        launcher.theirs.sendall(whole[:-5])
        first = await asyncio.wait_for(words.get(), 5.0)

        child = ChildLife("calc", 2, on_word=lambda _, word: words.put_nowait(("calc", word)))
        child.adopt(spare)
        launcher.theirs.sendall(whole[-5:])
        second = await asyncio.wait_for(words.get(), 5.0)
        launcher.life.end(Exit(code=0))
        for life in (child, spare):
            assert (await life.ended).code == 0
            life.close()
        launcher.theirs.close()
        assert (first, second) == (("spare", Prepared()), ("calc", logged))

    asyncio.run(adopt())
