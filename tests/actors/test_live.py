"""How the demo's handler follows its server, and when it gives up."""

from __future__ import annotations

import asyncio
import logging

import pytest

from actors.compute.live import FluidHandler
from actors.errors import NoSuchActor, OutcomeUnknown, SpawnError

TURNS = 200


class Ending:
    """Stands in for a server whose stream ends at once."""

    def __init__(self, error):
        self.asked = 0
        self.error = error

    def stream(self, _msg):
        self.asked += 1
        return self

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise self.error


def followed(error):
    """Return how often it has asked in some turns of the loop, and whether it gave up."""

    async def follow():
        server = Ending(error)
        following = asyncio.create_task(FluidHandler(server=server).follow())
        for _ in range(TURNS):
            await asyncio.sleep(0)
        over = following.done()
        following.cancel()
        return server.asked, over

    return asyncio.run(follow())


@pytest.mark.parametrize("end", [StopAsyncIteration(), OutcomeUnknown(target="server")])
def test_a_stream_that_ends_is_asked_for_again_and_not_at_once(end):
    asked, over = followed(end)

    assert 1 <= asked < TURNS / 10
    assert not over


@pytest.mark.parametrize("end", [NoSuchActor(target="server"), SpawnError(reason="broken")])
def test_a_server_that_is_gone_for_good_is_asked_no_more_and_it_is_said(end, caplog):
    caplog.set_level(logging.INFO)

    assert followed(end) == (1, True)
    assert "a client is shown no further frames" in caplog.text
