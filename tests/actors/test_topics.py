"""What one program keeps of the events it has subscribed to."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest

from actors import message
from actors.attachments import Memory, encoded
from actors.codec import codec_for
from actors.control import SUPERVISOR, Standing
from actors.envelope import Envelope, Kind
from actors.errors import InvalidMessage, MailboxFull
from actors.link import Delivery, Inbound, Link, Signal
from actors.peer import Peer
from actors.portal import Portal
from actors.topics import Topics

HERE = b"this host"


@message
class Frame:
    pixels: np.ndarray


@message
class Page:
    lines: list[int] = attrs.field(factory=list, validator=attrs.validators.max_len(3))


class Driver:
    """A network on which the supervisor is there, and says nothing."""

    may_block = False

    def __init__(self, portal):
        self.portal = portal

    def block_briefly(self, _pending, _timeout):
        self.portal.peer.link(SUPERVISOR).standing = Standing.UP

    def block(self, _pending, _timeout):
        pass

    def wake(self):
        pass


@pytest.fixture
def portal():
    memory = Memory()
    portal = Portal(Peer("client-1", 1, host=HERE, mailbox=0), memory, ask_timeout=1.0)
    portal.driver = Driver(portal)
    yield portal
    memory.close()


@pytest.fixture
def topics(portal):
    return Topics(portal)


@pytest.fixture
def publish(portal, topics):
    """Let an event arrive, with its arrays in shared memory."""
    memory, link, inbound = Memory(), Link("reporter"), Inbound(1, 1)
    link.host = HERE

    def arrive(event):
        codec = codec_for(type(event))
        payload, carrier = encoded(codec, event, memory, near=True)
        assert not carrier.frames
        envelope = Envelope(Kind.TELL, inbound.expected, 0, codec.tag, payload)
        inbound.accept(envelope.seq)
        portal.peer.deliveries.append(Delivery(link, 1, inbound, envelope, [], math.inf))
        topics.take_in()

    yield arrive
    memory.close()


def test_a_stream_that_ends_because_an_event_cannot_be_read_is_no_subscription_any_more(
    portal, topics, publish
):
    stream = topics.subscribe(Page)
    torn = Page()
    torn.lines.extend(range(9))

    publish(torn)

    with pytest.raises(InvalidMessage, match="lines"):
        next(stream)
    assert not len(portal.peer.calls)


def test_what_unread_events_hold_in_shared_memory_counts_as_what_came_with_them(topics, publish):
    stream = topics.subscribe(Frame)
    frame = Frame(np.zeros(15 << 20, np.uint8))  # four of them are less than what may wait
    for _ in range(2):
        for _ in range(4):
            publish(frame)
        for _ in range(4):  # what was read makes room
            next(stream)
    for _ in range(4):
        publish(frame)

    publish(frame)
    publish(frame)

    for _ in range(5):
        next(stream)
    with pytest.raises(MailboxFull, match="5 events of Frame wait unread"):
        next(stream)


@pytest.mark.parametrize(("mebibytes", "behind"), [(24, 0), (3, 1), (24, 1)])
def test_a_program_that_reads_each_event_hears_them_all(topics, publish, mebibytes, behind):
    stream = topics.subscribe(Frame)
    frame = Frame(np.zeros(mebibytes << 20, np.uint8))
    for _ in range(behind):
        publish(frame)

    for _ in range(480 // mebibytes):
        publish(frame)
        assert next(stream).pixels.nbytes == frame.pixels.nbytes


def test_a_program_keeps_no_list_of_those_who_have_left_or_of_what_they_gave_up(portal, topics):
    word = Envelope(Kind.CANCEL, 1, 0, "", b"")
    portal.peer.departed.append(("reporter", 1))
    portal.peer.signals.append(Signal(Link("stranger"), 1, word))

    topics.take_in()

    assert not portal.peer.departed
    assert not portal.peer.signals
