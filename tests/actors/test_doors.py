"""What a door does when its actor does not take what comes, or is not there."""

from __future__ import annotations

import asyncio
import logging

import pytest
import zmq

from actors import message
from actors.errors import InvalidMessage, MailboxFull, NoSuchActor
from actors.gateway.doors import AT_ONCE, Door, Pub, Pull, Push, Rep, Req, Sub, Traffic
from actors.gateway.phrasebook import Phrasebook
from actors.gateway.place import Bind
from actors.gateway.sockets import Kind
from actors.message import Request

HERE = Bind("tcp://127.0.0.1:*")


@message
class Number:
    value: int


@message
class Double(Request[int]):
    value: int


NUMBERS = Phrasebook.of(Number)
DOUBLES = Phrasebook.of(Double)


class Somebody:
    """Stands in for a ref."""

    def __init__(self, error=None):
        self.error = error
        self.told = []
        self.asked = 0
        self.open = asyncio.Event()

    async def room(self):
        await self.open.wait()

    def tell(self, msg):
        if self.error is not None:
            raise self.error
        self.told.append(msg.value)

    async def ask(self, msg):
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return msg.value * 2


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in a thread of ZeroMQ
            await asyncio.sleep(0.001)


@pytest.fixture
def play():
    """Run a scene that is given a way to make stock sockets."""

    def run(scene):
        with zmq.Context() as context:
            sockets = []

            def stock(kind, door):
                socket = context.socket(kind)
                sockets.append(socket)
                socket.setsockopt(zmq.LINGER, 0)
                socket.connect(door.endpoint)
                return socket

            async def live():
                async with asyncio.timeout(30):
                    await scene(stock)

            try:
                asyncio.run(live())
            finally:
                for socket in sockets:
                    socket.close()

    return run


def test_a_pull_takes_nothing_more_while_its_actor_has_no_room(play):
    async def scene(stock):
        somebody = Somebody()
        door = Pull(NUMBERS, somebody, HERE)
        peer = stock(zmq.PUSH, door)
        for value in range(10):
            peer.send(str(value).encode())
        await until(lambda: door.statistics().received)
        await asyncio.sleep(0)
        assert door.statistics() == Traffic(received=1)

        somebody.open.set()
        await until(lambda: somebody.told == list(range(10)))

    play(scene)


def test_a_sub_drops_what_its_actor_has_no_room_for(play):
    async def scene(stock):
        door = Sub(NUMBERS, Somebody(MailboxFull()), HERE)
        peer = stock(zmq.XPUB, door)
        await until(lambda: peer.poll(0))
        for value in range(3):
            peer.send(str(value).encode())

        await until(lambda: door.statistics() == Traffic(received=3, dropped=3))

    play(scene)


def test_what_nobody_takes_is_counted_and_said_once(play, caplog):
    caplog.set_level(logging.WARNING)

    async def scene(stock):
        somebody = Somebody(NoSuchActor(target="world"))
        somebody.open.set()
        door = Pull(NUMBERS, somebody, HERE)
        peer = stock(zmq.PUSH, door)
        for value in range(3):
            peer.send(str(value).encode())

        await until(lambda: door.statistics() == Traffic(received=3, refused=3))

    play(scene)
    (line,) = caplog.messages
    assert "refused a message: no actor is called world" in line
    assert "further ones are counted" in line


def test_a_rep_asks_so_many_questions_at_once_and_answers_every_one(play):
    async def scene(stock):
        somebody = Somebody()
        door = Rep(DOUBLES, somebody, HERE)
        peers = [stock(zmq.REQ, door) for _ in range(AT_ONCE + 1)]
        for value, peer in enumerate(peers):
            peer.send(str(value).encode())
        await until(lambda: somebody.asked == AT_ONCE)
        await asyncio.sleep(0.01)  # one more would be asked by now
        assert somebody.asked == AT_ONCE

        somebody.open.set()
        await until(lambda: door.statistics().sent == AT_ONCE + 1)
        answers = [int(peer.recv()) for peer in peers]
        assert answers == [value * 2 for value in range(AT_ONCE + 1)]

    play(scene)


def test_an_error_is_an_answer_of_one_line(play):
    async def scene(stock):
        somebody = Somebody(RuntimeError("two\nlines" + "x" * 2000))
        somebody.open.set()
        door = Rep(DOUBLES, somebody, HERE)
        peer = stock(zmq.REQ, door)
        peer.send(b"1")
        await until(lambda: peer.poll(0))

        answer = peer.recv()
        assert answer.startswith(b"Error: two linesxxx")
        assert len(answer) == 1007

    play(scene)


def test_a_door_says_what_happened_to_it(play, caplog):
    class Broken(Door):
        async def _live(self):
            raise RuntimeError("hinge")

    async def scene(stock):
        door = Broken(Kind.PULL, HERE)
        await until(door._living.done)

    play(scene)

    assert "is closed by a fault" in caplog.text
    assert "hinge" in caplog.text


def test_a_message_that_does_not_fit_is_refused_where_it_is_sent(play):
    async def scene(stock):
        with pytest.raises(TypeError, match="Double is not in the phrasebook"):
            Pub(NUMBERS, HERE).publish(Double(1))
        with pytest.raises(TypeError, match="Double is not in the phrasebook"):
            await Push(NUMBERS, HERE).send(Double(1))
        with pytest.raises(TypeError, match="Number is not in the phrasebook"):
            await Req(DOUBLES, HERE).ask(Number(1))

    play(scene)


def test_an_answer_that_is_none_is_refused_and_the_next_question_asked(play):
    async def scene(stock):
        door = Req(DOUBLES, HERE)
        peer = stock(zmq.REP, door)

        async def answer(text):
            await until(lambda: peer.poll(0))
            peer.recv()
            peer.send(text)

        answering = asyncio.create_task(answer(b"two"))
        with pytest.raises(InvalidMessage, match=r"Double\.answer is not valid"):
            await door.ask(Double(1))
        await answering
        answering = asyncio.create_task(answer(b"2"))
        assert await door.ask(Double(1)) == 2
        assert door.statistics() == Traffic(received=2, sent=2, refused=1)

    play(scene)


def test_a_question_that_is_answered_when_the_door_is_shut_harms_nobody(play, caplog):
    async def scene(stock):
        somebody = Somebody()
        door = Rep(DOUBLES, somebody, HERE)
        stock(zmq.REQ, door).send(b"1")
        await until(lambda: somebody.asked)
        somebody.open.set()  # the answer is there, and its sender has its turn after the end
        door.close()
        await until(door._living.done)

    play(scene)

    assert caplog.text == ""


def test_whoever_waits_at_a_door_that_is_shut_is_told(play):
    async def scene(stock):
        door = Push(NUMBERS, HERE)  # nobody pulls
        sending = asyncio.create_task(door.send(Number(1)))
        await asyncio.sleep(0)
        door.close()

        for late in (sending, door.send(Number(2))):
            with pytest.raises(RuntimeError, match=r"127.0.0.1:\d+ is closed: make a new one"):
                await late

    play(scene)
