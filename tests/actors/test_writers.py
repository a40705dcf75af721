"""Streams that an actor writes, and readers that say they have read what they never acknowledge."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors import StreamRequest, message
from actors.attachments import Memory
from actors.cycles import Waiter
from actors.envelope import MAGIC, Batch, Envelope, Kind, Route, encode_batch, encode_route
from actors.link import Link
from actors.message import tag_of
from actors.outbox import MOST_ANSWERS
from actors.outcomes import UNRECORDED, Job
from actors.peer import Peer
from actors.portal import Portal
from actors.recorder import Recorder
from actors.writers import WRITERS_PER_TURN, Writers

TURNS = 4 * MOST_ANSWERS
"""Of the loop: more than a writer needs for all that is tried here."""


@message
class Count(StreamRequest[int]):
    pass


class Driver:
    def wake(self):
        pass


class Stage:
    """An actor's streams, and somebody who reads one, or many."""

    def __init__(self, reader, streams=1):
        self.peer = Peer("actor", 1)
        portal = Portal(self.peer, Memory(), ask_timeout=1.0)
        portal.driver = Driver()
        self.writers = Writers(portal, Recorder(Recorder.blank()))
        asked = [Envelope(Kind.STREAM, n, n, tag_of(Count), b"") for n in range(1, streams + 1)]
        route = encode_route(Route(MAGIC, "actor", 1, reader, 1))
        batch = Batch(0.0, 1, 1, 0, 0, [], 100, 0, asked)
        self.peer.receive([route, encode_batch(batch)], 0.0)
        self.jobs = [
            Job(delivery, UNRECORDED, UNRECORDED, Waiter()) for delivery in self.peer.deliveries
        ]
        self.job = self.jobs[0]
        self.yielded = 0

    def open(self, *, alone):
        """Begin the streams, by tasks of their own or not."""
        for job in self.jobs:
            job.message = Count()
            writer = self.writers.open(job)
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


@pytest.mark.parametrize("alone", [False, True], ids=["generator", "async generator"])
def test_of_many_streams_that_wait_for_one_reader_few_are_woken_at_a_time(monkeypatch, alone):
    # Recorded: each turn of the actor looked at all of them, and the others had to wait for it.
    async def scene():
        stage = Stage("client-net-1", streams=200)
        out = stage.job.delivery.link.out
        out.answers = MOST_ANSWERS + 1  # from before
        stage.open(alone=alone)
        for _ in range(10):
            await asyncio.sleep(0)
        first = stage.yielded

        looks = []
        real = Link.behind.fget
        monkeypatch.setattr(Link, "behind", property(lambda one: looks.append(one) or real(one)))
        assert not any(stage.writers.go_on() for _ in range(100))
        assert len(looks) == 200

        out.answers = 0
        turns = 1
        while stage.writers.go_on():
            turns += 1
        assert turns == -(-200 // WRITERS_PER_TURN)
        for _ in range(10):
            await asyncio.sleep(0)
        assert stage.yielded >= first + 200
        stage.writers.stop()

    asyncio.run(scene())


def test_no_reader_of_this_host_is_made_to_wait():
    async def scene():
        stage = Stage("viewer")
        stage.open(alone=False)
        await stage.read()
        assert stage.yielded == 3 * MOST_ANSWERS

    asyncio.run(scene())
