"""Direct connections without ZeroMQ, with real sockets at both ends."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from actors.framing import head
from actors.link import Road
from actors.localsocket import MOST_EVENTS, MOST_LINES, SCHEME, LocalSockets, available


@pytest.fixture
def path():
    place = Path(tempfile.mkdtemp(prefix="us-", dir="/tmp"))  # short: a socket's path is limited
    yield str(place / "door")
    shutil.rmtree(place)


@pytest.fixture
def pair(path):
    """Who listens, who has dialled, and the dialled road."""
    here, there = LocalSockets(path), LocalSockets()
    road = Road(b"road1", "here", 1, endpoint=here.endpoint)
    there.dial(road)
    yield here, there, road
    there.close()
    here.close()


def await_message(sockets, count=1):
    """Take messages until there are so many."""
    found = []
    while len(found) < count:
        assert select.select([sockets.descriptor], [], [], 10.0)[0], f"{len(found)} have come"
        found += sockets.receive()[0]
    return found


def await_end(sockets):
    while not sockets.ended:
        assert select.select([sockets.descriptor], [], [], 10.0)[0]
        sockets.receive()
    return sockets.ended.popleft()


def back(number):
    """The road of whoever has dialled, as the one who listens knows it."""
    return Road(number, "there", 1)


def test_messages_go_both_ways(pair):
    here, there, road = pair
    there.send(road, [b"one"])
    there.send(road, [b"two", memoryview(b"three")])
    (dialled, first), (_, second) = await_message(here, 2)
    assert (dialled, first[1:], second[1:]) == (False, [b"one"], [b"two", b"three"])

    here.send(back(first[0]), [b"four"])
    assert await_message(there) == [(True, [b"road1", b"four"])]


def test_nobody_listens_there(path):
    sockets = LocalSockets()
    road = Road(b"road1", "nobody", 1, endpoint=f"{SCHEME}{path}")
    sockets.dial(road)
    with pytest.raises(BrokenPipeError):
        sockets.send(road, [b"one"])
    sockets.hang_up(road)
    sockets.close()


def test_what_was_sent_before_the_end_arrives_and_then_the_end(pair):
    here, there, road = pair
    there.send(road, [b"last words"])
    there.hang_up(road)
    ((_, message),) = await_message(here)
    assert message[1:] == [b"last words"]
    assert await_end(here).id == message[0]
    with pytest.raises(BrokenPipeError):
        here.send(back(message[0]), [b"too late"])


def test_what_had_arrived_is_taken_although_the_next_message_finds_nobody(pair):
    here, there, road = pair
    there.send(road, [b"one"])
    number = await_message(here)[0][1][0]
    here.send(back(number), [b"last words"])
    here.close()
    there.send(road, [b"two"])  # the first to notice
    there.send(road, [b"three"])
    assert await_message(there) == [(True, [b"road1", b"last words"])]
    assert await_end(there).id == road.id


def test_the_end_arrives_although_a_forked_process_has_a_copy_of_the_socket(pair):
    here, there, road = pair
    there.send(road, [b"one"])
    number = await_message(here)[0][1][0]
    with there._dialled[road.id].socket.dup():
        there.hang_up(road)
        assert await_end(here).id == number


@contextlib.contextmanager
def no_descriptors():
    """No descriptor is left for this process meanwhile."""
    free = os.dup(0)
    os.close(free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_receiver_that_is_behind_is_given_up_where_no_descriptors_are_left(pair):
    # Recorded: the error ended the thread that sends, and half of a message had been sent.
    here, there, road = pair
    here.receive()
    with no_descriptors():
        for number in range(60):
            there.send(road, [bytes([number]) * 100_000])
    assert await_end(there).id == road.id
    received = [message[1:] for _, message in await_message(here)]
    assert received == [[bytes([number]) * 100_000] for number in range(len(received))]
    await_end(here)


def test_who_found_no_descriptor_is_let_in_when_there_is_one(pair, path):
    here, there, road = pair
    there.send(road, [b"one"])
    await_message(here)
    late = raw(path)
    late.sendall(head([b"it is me"]) + b"it is me")
    with no_descriptors():
        here.receive()
        assert not select.select([here.descriptor], [], [], 0)[0]  # it is not said for ever
    there.send(road, [b"two"])  # whatever comes next
    assert [message[1] for _, message in await_message(here, 2)] == [b"two", b"it is me"]
    late.close()


def test_one_look_says_that_more_have_sent(path):
    here = LocalSockets(path)
    doors = [raw(path) for _ in range(MOST_EVENTS + 1)]
    here.receive()
    for door in doors:
        door.sendall(head([b"me"]) + b"me")
    first, more = here.receive()
    assert (len(first), more) == (MOST_EVENTS, True)
    second, more = here.receive()
    assert (len({message[0] for _, message in first + second}), more) == (len(doors), False)
    for door in doors:
        door.close()
    here.close()


def test_a_receiver_that_does_not_read_delays_nobody(pair):
    # More than any kernel holds: the first messages go into its buffer, others wait for it.
    here, there, road = pair
    sent = [[os.urandom(1000), bytes([number % 256]) * 100_000] for number in range(60)]
    for message in sent:
        there.send(road, message)  # returns, although nobody reads
    there.send(road, [b"end"])
    received = [message[1:] for _, message in await_message(here, len(sent) + 1)]
    assert received == [*sent, [b"end"]]
    there.send(road, [b"more"])  # straight again, once nothing waits
    assert [message[1:] for _, message in await_message(here)] == [[b"more"]]


def test_a_message_of_very_many_frames(pair):
    here, there, road = pair
    message = [b"%d" % number for number in range(3000)]  # the kernel gathers 1,024 at the most
    there.send(road, message)
    assert await_message(here)[0][1][1:] == message


def test_what_waits_for_one_who_ends_is_forgotten(pair):
    here, there, road = pair
    for _ in range(60):
        there.send(road, [bytes(100_000)])
    here.close()
    assert await_end(there).id == road.id
    with pytest.raises(BrokenPipeError):
        there.send(road, [b"one"])


def test_closing_waits_for_what_is_on_its_way(path):
    here, there = LocalSockets(path), LocalSockets()
    road = Road(b"road1", "here", 1, endpoint=here.endpoint)
    there.dial(road)
    for _ in range(30):
        there.send(road, [bytes(100_000)])
    closing = threading.Thread(target=there.close, args=(30.0,))
    closing.start()
    assert len(await_message(here, 30)) == 30
    closing.join()
    here.close()
    assert not [one for one in threading.enumerate() if one.name == "understudy-outflow"]


def test_a_stranger_makes_room_for_who_comes_later(path):
    here = LocalSockets(path)
    first, *others = [raw(path) for _ in range(MOST_LINES)]
    here.receive()
    here.knows = lambda line_id: line_id != b"line1"
    late = raw(path)
    late.sendall(head([b"it is me"]) + b"it is me")
    assert await_message(here)[0][1][1:] == [b"it is me"]
    assert first.recv(1) == b""

    here.knows = lambda _line_id: True
    refused = raw(path)
    here.receive()
    assert refused.recv(1) == b""
    for door in (first, late, refused, *others):
        door.close()
    here.close()


def raw(path):
    door = socket.socket(socket.AF_UNIX)
    door.connect(path)
    return door


def test_who_speaks_something_else_is_cut_off(path):
    here = LocalSockets(path)
    with raw(path) as door:
        door.sendall(b"GET / HTTP/1.1\r\n\r\n")
        await_end(here)
        with contextlib.suppress(ConnectionResetError):  # some of it was not even read
            assert door.recv(1) == b""
    here.close()


def test_its_file_goes_with_it(path):
    here = LocalSockets(path)
    assert Path(path).is_socket()
    here.close()
    assert not Path(path).exists()


def test_a_path_that_is_too_long_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="too long"):
        LocalSockets(f"{tmp_path}/{'x' * 120}")


def test_they_can_be_forbidden(monkeypatch):
    assert available()
    monkeypatch.setenv("UNDERSTUDY_LOCAL_SOCKETS", "0")
    assert not available()
    monkeypatch.delenv("UNDERSTUDY_LOCAL_SOCKETS")
    monkeypatch.delattr(select, "epoll")
    assert not available()
