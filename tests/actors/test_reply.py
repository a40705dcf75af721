"""Waiting for an answer, and giving up waiting."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from actors.arrays.mapper import SenderGoneError
from actors.calls import Call
from actors.envelope import Envelope, Kind
from actors.errors import AnswerLost, MessageError, OutcomeUnknown
from actors.reply import Reply, sleep, wait_in_loop
from actors.stream import Stream


class Door:
    """Nobody ever answers behind it."""

    def __init__(self):
        self.lock = threading.RLock()
        self.given_up = []

    def check(self):
        pass

    def cancel(self, call):
        self.given_up.append(call)

    def block(self, pending, timeout):
        sleep(pending, timeout, lambda gate: gate.release())


def waiting(reply):
    return len(reply._wakers)


@pytest.fixture
def reply():
    return Reply(Door(), lambda payload, frames: payload)


def test_whoever_gives_up_waiting_leaves_nothing_behind(reply):
    for _ in range(10):
        with pytest.raises(TimeoutError):
            reply.result(0.001)

    assert waiting(reply) == 0


def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing_behind(reply):
    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait_in_loop(reply), 0.001)

    asyncio.run(give_up())

    assert waiting(reply) == 0
    assert not reply.done()


def test_whoever_waits_is_woken_by_the_end():
    reply = Reply(Door(), lambda payload, frames: payload)
    thread = threading.Thread(target=lambda: reply._finish("answer", None))
    thread.start()

    assert reply.result(10.0) == "answer"
    thread.join()


def test_a_reply_is_not_taken_for_its_answer():
    with pytest.raises(TypeError, match=r"write `await` before it, or `.result"):
        bool(Reply(None, None))


def test_an_answer_whose_arrays_went_with_their_sender_is_lost():
    def decode(payload, frames, *, near):
        raise SenderGoneError("the shared array of process 7 cannot be attached")

    reply = Reply(Door(), decode)
    reply.attach(Call(reply, target="camera", message="Image", deadline=1.0))
    reply.take(Envelope(Kind.REPLY, 0, 1, "", b""), [], near=True)

    with pytest.raises(AnswerLost, match="camera handled Image"):
        reply.result()


def test_an_item_whose_arrays_went_with_their_sender_ends_the_stream_as_its_end_does():
    def decode(payload, frames, *, near):
        if payload == b"gone":
            raise SenderGoneError("the shared array of process 7 cannot be attached")
        return payload

    door = Door()
    stream = Stream(door, decode)
    call = Call(stream, target="camera", message="Images", deadline=1.0)
    stream.attach(call)
    stream.take(Envelope(Kind.ITEM, 0, 1, "", b"first"), [], near=True)

    assert stream.take(Envelope(Kind.ITEM, 0, 1, "", b"gone"), [], near=True)
    assert next(stream) == b"first"
    with pytest.raises(OutcomeUnknown, match=r"camera.*process 7") as caught:
        next(stream)
    assert not isinstance(caught.value, MessageError)
    assert door.given_up == [call]


@pytest.fixture
def no_search_for_cycles():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_search_for_cycles")
@pytest.mark.parametrize("kind", [Reply, Stream])
def test_what_has_ended_goes_with_the_last_who_holds_it(kind):
    sink = kind(Door(), lambda payload, frames: payload)
    sink.attach(Call(sink, target="camera", message="Image", deadline=1.0))
    error = AnswerLost()  # for an array, which could be memory of somebody else
    sink.fail(error)
    gone = weakref.ref(error)

    del error, sink

    assert gone() is None
