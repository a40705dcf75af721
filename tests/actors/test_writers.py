"""Streams that an actor writes, and readers that say they have read what they never acknowledge."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors import StreamRequest, message
from actors.attachments import Memory
from actors.cycles import Waiter
from actors.envelope import MAGIC, Batch, Envelope, Kind, Route, encode_batch, encode_route
from actors.message import tag_of
from actors.outbox import MOST_ANSWERS
from actors.outcomes import UNRECORDED, Job
from actors.peer import Peer
from actors.portal import Portal
from actors.recorder import Recorder
from actors.writers import Writers

TURNS = 4 * MOST_ANSWERS
"""Of the loop: more than a writer needs for all that is tried here."""


@message
class Count(StreamRequest[int]):
    pass


class Driver:
    def wake(self):
        pass


class Stage:
    """An actor's streams, and somebody who reads one."""

    def __init__(self, reader):
        self.peer = Peer("actor", 1)
        portal = Portal(self.peer, Memory(), ask_timeout=1.0)
        portal.driver = Driver()
        self.writers = Writers(portal, Recorder(Recorder.blank()))
        envelope = Envelope(Kind.STREAM, 1, 7, tag_of(Count), b"")
        route = encode_route(Route(MAGIC, "actor", 1, reader, 1))
        batch = Batch(0.0, 1, 1, 0, 0, [], 100, 0, [envelope])
        self.peer.receive([route, encode_batch(batch)], 0.0)
        self.job = Job(self.peer.deliveries.popleft(), UNRECORDED, UNRECORDED, Waiter())
        self.job.message = Count()
        self.yielded = 0

    def open(self, *, alone):
        """Begin the stream, by a task of its own or not."""
        writer = self.writers.open(self.job)
        if alone:
            writer.run_async(self._async_items())
        else:
            writer.run(self._items())

    def _items(self):
        while self.yielded < 3 * MOST_ANSWERS:
            self.yielded += 1
            yield self.yielded

    async def _async_items(self):
        for item in self._items():
            yield item

    async def read(self, *, acknowledges=False):
        """Let it write, and say of all that has come that it was read."""
        out = self.job.delivery.link.out
        for _ in range(TURNS):
            if acknowledges:
                while out.take():
                    pass
                out.acknowledge(out.last, [], 0)
                self.writers.go_on()
            self.writers.granted(self.job.key, msgspec.msgpack.encode(self.yielded))
            await asyncio.sleep(0)


@pytest.mark.parametrize("alone", [False, True], ids=["generator", "async generator"])
def test_a_reader_on_the_network_that_acknowledges_no_item_gets_no_more_until_it_does(alone):
    async def scene():
        stage = Stage("client-net-1")
        stage.open(alone=alone)
        await stage.read()
        assert stage.yielded == MOST_ANSWERS + 1

        await stage.read(acknowledges=True)
        assert stage.yielded == 3 * MOST_ANSWERS

    asyncio.run(scene())


def test_a_stream_that_waits_for_its_reader_can_be_closed():
    async def scene():
        stage = Stage("client-net-1")
        stage.open(alone=False)
        await stage.read()

        stage.writers.close(stage.job.key)
        await stage.read(acknowledges=True)
        assert stage.yielded == MOST_ANSWERS + 1

    asyncio.run(scene())


def test_no_reader_of_this_host_is_made_to_wait():
    async def scene():
        stage = Stage("viewer")
        stage.open(alone=False)
        await stage.read()
        assert stage.yielded == 3 * MOST_ANSWERS

    asyncio.run(scene())
