"""One plain socket on a loop: no word of its descriptor is lost."""

from __future__ import annotations

import asyncio
import select
import time

import pytest
import zmq

from actors.gateway.place import Bind, Connect
from actors.gateway.sockets import QUEUE, RECEIVE_CAP, Kind, PlainSocket


@pytest.fixture
def stock():
    with zmq.Context() as context:
        sockets = []

        def connect(kind, endpoint):
            socket = context.socket(kind)
            socket.setsockopt(zmq.LINGER, 0)
            sockets.append(socket)
            socket.connect(endpoint)
            return socket

        yield connect

        for socket in sockets:
            socket.close()


def running(plain):
    """Run with a door bound to a free port, and close it."""

    async def run():
        door = PlainSocket(Kind.ROUTER, Bind("tcp://127.0.0.1:*"))
        try:
            async with asyncio.timeout(20):
                await plain(door)
        finally:
            door.close()
            door.close()

    asyncio.run(run())


def speaks(door):
    """Wait, without touching the socket, until its descriptor speaks."""
    poller = select.poll()
    poller.register(door._descriptor, select.POLLIN)
    assert poller.poll(10_000)
    time.sleep(0.01)  # ZeroMQ looks for news when it sends, but not a thousand times a second


def test_a_message_that_arrives_while_another_is_sent_is_not_overlooked(stock):
    async def plain(door):
        peer = stock(zmq.DEALER, door.endpoint)
        peer.send(b"one")
        back, said = await door.receive()
        waiting = asyncio.create_task(door.receive())
        await asyncio.sleep(0)  # it waits now, and the descriptor is silent
        peer.send(b"two")
        speaks(door)
        door.send_now([back, said])  # takes the word away

        assert (await waiting)[1] == b"two"

    running(plain)


def test_a_message_that_arrives_while_another_waits_to_be_sent_is_not_overlooked():
    async def run():
        one = PlainSocket(Kind.REQ, Bind("tcp://127.0.0.1:*"))  # nobody is there to be asked
        sending = asyncio.create_task(one.send([b"question"]))
        await asyncio.sleep(0)
        with zmq.Context() as context, context.socket(zmq.REP) as peer:
            peer.setsockopt(zmq.LINGER, 0)
            peer.connect(one.endpoint)
            async with asyncio.timeout(20):
                await sending
                peer.send_multipart(peer.recv_multipart())
                assert await one.receive() == [b"question"]
        one.close()

    asyncio.run(run())


def test_a_late_answer_that_arrives_after_the_next_question_is_passed_over(stock):
    async def run():
        door = PlainSocket(Kind.REQ, Bind("tcp://127.0.0.1:*"))
        peer = stock(zmq.ROUTER, door.endpoint)
        async with asyncio.timeout(20):
            await door.send([b"first"])
            first = peer.recv_multipart()
            await door.send([b"second"])
            second = peer.recv_multipart()
            waiting = asyncio.create_task(door.receive())
            await asyncio.sleep(0)
            peer.send_multipart([*first[:-1], b"late"])
            speaks(door)
            await asyncio.sleep(0.01)  # it has looked, and found nothing for it
            peer.send_multipart([*second[:-1], b"answer"])

            assert await waiting == [b"answer"]
        door.close()

    asyncio.run(run())


def test_a_flood_leaves_others_their_turn(stock):
    async def plain(door):
        peer = stock(zmq.DEALER, door.endpoint)
        since = [0]

        async def other():
            while True:
                since.append(0)
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(20):
            for _ in range(QUEUE):
                peer.send(b"")
            for _ in range(QUEUE):
                await door.receive()
                since[-1] += 1
        task.cancel()

        assert max(since) <= RECEIVE_CAP

    running(plain)


def test_an_endpoint_that_cannot_be_had_is_named(tmp_path):
    async def run():
        PlainSocket(Kind.PULL, Bind(f"ipc://{tmp_path}/no/such/folder"))

    with pytest.raises(OSError, match=r"no/such/folder cannot be bound: No such .* its folder"):
        asyncio.run(run())


def test_an_endpoint_that_somebody_has_is_refused_with_what_to_do():
    async def run():
        one = PlainSocket(Kind.PULL, Bind("tcp://127.0.0.1:*"))
        with pytest.raises(OSError, match=r"cannot be bound: Address .* in use.* choose another"):
            PlainSocket(Kind.PULL, Bind(one.endpoint))
        one.close()

    asyncio.run(run())


def test_a_socket_outside_of_a_loop_is_refused():
    with pytest.raises(RuntimeError, match="no loop runs here: make it in on_start"):
        PlainSocket(Kind.PULL, Connect("tcp://127.0.0.1:1"))
