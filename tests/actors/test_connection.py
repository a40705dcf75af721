"""The doors themselves, with a plain ZeroMQ socket at the other end."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path

import pytest
import zmq

from actors.connection import Connection
from actors.link import Road
from actors.peer import Peer
from actors.routers import Door


@pytest.fixture
def place():
    path = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))  # short: a socket's path is limited
    yield path
    shutil.rmtree(path)


def test_a_connection_on_which_something_waits_is_hung_up_only_when_it_was_taken(place):
    # Recorded: libzmq ended a program ("Assertion failed: !_more (src/fq.cpp:80)") whose
    # connection was closed while the first frame of a message had been taken for its EVENTS.
    context = zmq.Context()
    other = context.socket(zmq.ROUTER)
    other.bind(f"ipc://{place}/other")
    peer = Peer("me", 1)
    connection = Connection(f"ipc://{place}/broker", secrets.token_bytes(16))
    connection.introduce(peer)
    road = Road(b"road1", "other", 1, endpoint=f"ipc://{place}/other")
    peer.roads.dials.append(road)
    peer.roads.parcels.append((road, [b"hello", b"there"]))
    connection.flush(peer, 0.0)
    assert other.poll(5000)
    me, *_ = other.recv_multipart()
    other.send_multipart([me, b"one", b"two"])
    assert connection._routers._outbound.socket.poll(5000)

    assert connection.readable
    peer.roads.hangups.append(road)
    connection.flush(peer, 0.0)
    assert list(peer.roads.hangups) == [road]

    connection.pump(peer, 0.0)
    assert (list(peer.roads.hangups), peer.bad_frames) == ([], 1)
    connection.close()
    other.close(0)
    context.term()


class Mistaken:
    """A socket that speaks of a message and has none."""

    def get(self, _option):
        return zmq.POLLIN

    def recv(self, *_flags, **_options):
        raise zmq.Again


def test_a_message_that_is_not_there_after_all_ends_nobody():
    # Recorded: EVENTS spoke of a message as its sender was ending, and the error that came instead
    # of it ended a program's connection.
    context = zmq.Context()
    door = Door(context, zmq.ROUTER)
    door.socket.close(0)
    context.term()
    door.socket = Mistaken()

    assert door.take() == []
    assert not door.unsure  # the descriptor speaks of the next one
