"""Senders in the flight recorder: more of them than it has places for, and those that left."""

from __future__ import annotations

import math
import os

import pytest

from actors import Actor, Request, message, receive
from actors.attachments import Memory, Outgoing
from actors.blackbox import read
from actors.codec import codec_for
from actors.envelope import Envelope, Kind
from actors.errors import MailboxFull, unpack_error
from actors.link import Delivery, Inbound, Link
from actors.outcomes import UNRECORDED, Outcomes
from actors.peer import Peer
from actors.portal import Portal
from actors.recorder import LINKS, Recorder
from actors.runtime import Runtime


@message
class Ping(Request[int]):
    n: int


@message
class Hint:
    n: int


class Echo(Actor):
    @receive
    def ping(self, msg: Ping) -> int:
        return msg.n

    @receive
    def hint(self, msg: Hint) -> None:
        raise AssertionError


class Driver:
    def wake(self):
        pass

    def flush(self):
        pass

    def again(self):
        pass


@pytest.fixture
def page():
    return Recorder.blank()


@pytest.fixture
def recorder(page):
    return Recorder(page)


@pytest.fixture
def portal():
    portal = Portal(Peer("echo", 1), Memory(), ask_timeout=1.0)
    portal.driver = Driver()
    return portal


@pytest.fixture
def outcomes(portal, recorder):
    return Outcomes(portal, recorder)


def delivery(sender, msg, *, departed=False):
    link, inbound = Link(sender), Inbound(1, 1)
    link.inbound, link.known, link.ended = inbound, 1, int(departed)
    inbound.accept(1)
    kind = Kind.ASK if isinstance(msg, Ping) else Kind.TELL
    codec = codec_for(type(msg))
    payload = codec.encode(msg, Outgoing(None))
    return Delivery(link, 1, inbound, Envelope(kind, 1, 7, codec.tag, payload), [], math.inf)


def fill(recorder, places=LINKS):
    for _ in range(places):
        recorder.link(os.urandom(16))


def test_messages_of_senders_that_left_take_no_place_for_good(outcomes, page):
    for n in range(LINKS + 100):
        job = outcomes.begin(delivery(f"client-{n}", Hint(n), departed=True), 0.0)
        assert len(read(page).in_progress) == 1
        outcomes.finish(job)

    assert outcomes.handled == LINKS + 100
    assert not read(page).links


def test_a_sender_that_leaves_makes_room_for_another(outcomes, recorder):
    fill(recorder, LINKS - 1)
    outcomes.finish(outcomes.begin(delivery("first", Hint(1)), 0.0))
    assert outcomes.begin(delivery("second", Hint(1)), 0.0).index == UNRECORDED

    outcomes.depart("first", 1)

    assert outcomes.begin(delivery("second", Hint(1)), 0.0).index != UNRECORDED


def runtime(portal, recorder):
    actor = Runtime(Echo(), portal, recorder=recorder, owner=None)
    actor.pump = Driver()
    actor.open = True
    return actor


def test_an_ask_of_one_sender_too_many_fails_as_never_handled(portal, recorder):
    fill(recorder)
    actor = runtime(portal, recorder)
    refused = delivery("one-too-many", Ping(1))
    actor.mailbox.put(refused)

    actor.turn()

    (letter,) = refused.link.out.waiting
    assert letter.envelope.kind == Kind.FAILURE
    error = unpack_error(letter.envelope.payload)
    assert isinstance(error, MailboxFull)
    assert "1,024 senders" in str(error)
    assert refused.inbound.handled == 1


def test_a_tell_of_one_sender_too_many_is_a_dead_letter(portal, recorder):
    fill(recorder)
    actor = runtime(portal, recorder)
    actor.mailbox.put(delivery("one-too-many", Hint(1)))

    actor.turn()

    (letter,) = portal.peer.links["@supervisor"].out.waiting
    assert letter.envelope.tag == "understudy:DeadLetter"
    assert b"1,024 senders" in letter.envelope.payload
