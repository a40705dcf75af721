"""What does not belong on a socket is counted and refused; the system goes on."""

from __future__ import annotations

import contextlib
import math
import random
import secrets
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil
import pytest
from programs import SECONDS
from scenes import Add, Player, Write
from strangers import GREETING, Stranger, shake_hands

import supervisor
from actors.control import (
    BROKER,
    Declare,
    Ended,
    Hello,
    LaneRecord,
    Ping,
    Refused,
    Resolve,
    Standing,
    Synced,
    Welcome,
    encode_word,
    lane_key,
)
from actors.envelope import (
    MAGIC,
    Envelope,
    Kind,
    Route,
    decode_batch,
    encode_route,
)
from actors.errors import MessageError, unpack_error
from actors.message import tag_of
from actors.requests import WatchStream
from supervisor.broker import REFUSALS

pytestmark = pytest.mark.process

JUNK = random.Random(1).randbytes(1 << 20)
GROWTH = 40 << 20  # bytes; far less than what is thrown at the broker

RAW = {
    "nothing": b"",
    "one byte": b"\0",
    "random bytes": JUNK,
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + JUNK[:193],
    "an SSH banner": b"SSH-2.0-OpenSSH_9.7\r\n",
    "ZMTP 1.0": b"\x01\x00" + JUNK[:64],
    "a greeting and then junk": GREETING + JUNK[:4096],
    "a frame of 8 GiB": GREETING + b"\x02" + (8 << 30).to_bytes(8, "big") + JUNK[:100],
}


@pytest.fixture(scope="module")
def system():
    with supervisor.start(listen="tcp://127.0.0.1:*") as system:
        yield system


@pytest.fixture(scope="module")
def player(system):
    """The same life from the first test to the last: nothing here may end it."""
    player = system.spawn(Player, name="player")
    broker = system.status().broker_pid

    yield player

    (status,) = system.status().actors
    assert (status.incarnation, system.status().broker_pid) == (1, broker)


def endpoints(system):
    return [system._connection.endpoint, *system.status().listening]


def connect(endpoint):
    if not endpoint.startswith("tcp://"):
        door = socket.socket(socket.AF_UNIX)
        door.connect(urlsplit(endpoint).path)
        return door
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)))


def memory(pid):
    return psutil.Process(pid).memory_info().rss


def test_foreign_protocols_are_ignored(system, player):
    broker = system.status().broker_pid
    before = memory(broker)
    with contextlib.ExitStack() as stack:
        for endpoint in endpoints(system):
            for data in RAW.values():
                door = stack.enter_context(connect(endpoint))
                with contextlib.suppress(ConnectionError):
                    door.sendall(data)
        assert player.ask(Add(1, 2)).result() == 3.0

    assert memory(broker) - before < GROWTH
    assert system.status().broker_pid == broker
    assert player.ask(Add(1, 2)).result() == 3.0


def test_frames_that_make_no_sense_are_refused_with_a_word(system, player):
    broker = system.status().broker_pid
    hello = encode_word(Hello("client-x", 1))
    route = encode_route(Route(MAGIC, BROKER, 0, "client-x", 1))
    with Stranger(system._connection.endpoint) as stranger:
        stranger.settle()
        before = memory(broker)
        for frames in (
            [b""],
            [b"", b""],
            [b"x"] * 10_000,
            [JUNK],
            [JUNK, JUNK],
            [route],
            [route, b""],
            [route, JUNK],
            [route, hello[:-1]],
            [route[:-1], hello],
            [encode_route(Route("us0", BROKER, 0, "client-x", 1)), hello],
            [msgspec.msgpack.encode([MAGIC, "player", -1, "client-x", 2**63])],
            [b"\x80" * (1 << 20), hello],
            [b"\x91" * 200_000, hello],
        ):
            stranger.send(*frames)
        assert stranger.hear(Refused).code == "unsupported"
        for _ in range(50):
            stranger.send(JUNK, JUNK)
        stranger.settle()
        began = time.monotonic()
        for _ in range(2000):
            stranger.send(b"junk", b"junk")
        words = stranger.words_until_welcome()

        most = REFUSALS * (2 + math.ceil(time.monotonic() - began))
        assert 0 < words.count("unsupported") <= most < 2000
        assert memory(broker) - before < GROWTH
        assert player.ask(Add(1, 2)).result() == 3.0
        assert system.status().broker_pid == broker


def test_routing_ids_of_another_size_are_not_served(system, player):
    endpoint = system._connection.endpoint
    with contextlib.ExitStack() as stack:
        sizes = (1, 5, 15, 17, 255)
        strangers = [stack.enter_context(Stranger(endpoint, b"x" * size)) for size in sizes]
        for stranger in strangers:
            stranger.say(Hello(stranger.name, 1))
        stack.enter_context(Stranger(endpoint)).settle()

        assert not any(stranger.socket.poll(0) for stranger in strangers)
    assert player.ask(Add(1, 2)).result() == 3.0


def test_nobody_can_pass_for_somebody_else(system, player):
    with Stranger(system._connection.endpoint) as stranger:
        for name, incarnation in (("player", 1), ("@supervisor", 1), ("", 1)):
            stranger.say(Hello(name, incarnation))
            assert stranger.hear(Refused).code in ("stale", "impostor")
        stranger.say(Ping())
        assert stranger.hear(Refused).code == "unregistered"
        stranger.settle()
        stranger.send(encode_route(Route(MAGIC, "player", 1, "@supervisor", 1)), b"")
        assert stranger.hear(Refused).code == "impostor"
        lane = {lane_key(system._peer.name, 1): LaneRecord(10**6)}
        for word in (
            Declare("player", Standing.GONE, 1),
            Declare("player", Standing.UP, 7, secrets.token_bytes(16)),
            Ended("player", 1, "forged", lane),
            Synced(),
        ):
            stranger.say(word)
            assert stranger.hear(Refused).code == "denied"
        stranger.say(Welcome(""))
        assert stranger.hear(Refused).code == "unsupported"

    assert player.ask(Add(1, 2)).result() == 3.0
    assert [actor.incarnation for actor in system.status().actors] == [1]


def test_a_second_connection_with_a_living_routing_id_gets_nothing(system, player):
    endpoint = system._connection.endpoint
    shared = secrets.token_bytes(16)
    with Stranger(endpoint, shared) as first:
        first.settle()
        with Stranger(endpoint, shared) as second, Stranger(endpoint) as third:
            second.name = first.name
            second.say(Resolve("player"))
            third.settle()
            first.settle()

            assert not second.socket.poll(0)
    assert player.ask(Add(1, 2)).result() == 3.0


@pytest.mark.parametrize("target", ["player", "@supervisor"])
def test_bytes_that_are_no_message_reach_no_handler(system, player, target):
    tag = tag_of(Write)
    with Stranger(system._connection.endpoint) as stranger:
        stranger.settle()
        stranger.say(Resolve(target))
        for junk in (b"", b"\xc0", JUNK, b"\x91" * 200_000, b"\x99" + b"\xc0" * 8):
            stranger.send(encode_route(Route(MAGIC, target, 1, stranger.name, 1)), junk)
        stranger.write(target, Envelope(99, 1, 0, tag, b""))
        stranger.write(
            target,
            Envelope(Kind.TELL, 1, 0, tag, JUNK),
            Envelope(Kind.TELL, 2, 0, "os:system", b"\x91\xa2ls"),
            Envelope(Kind.ASK, 3, 77, tag, b"\x91"),
            Envelope(Kind.ASK, 4, 78, "nowhere:Nothing", b"\x90"),
            Envelope(Kind.GRANT, 5, 12, "", JUNK),
            Envelope(Kind.REPLY, 6, 1, "", JUNK),
        )
        failures = {}
        while len(failures) < 2:
            data = stranger.receive()
            with contextlib.suppress(MessageError):  # a word of the broker
                for envelope in decode_batch(data).envelopes:
                    if envelope.kind == Kind.FAILURE:
                        failures[envelope.correlation] = unpack_error(envelope.payload)

    assert set(failures) == {77, 78}
    assert player.ask(Add(1, 2)).result() == 3.0
    assert [actor.incarnation for actor in system.status().actors] == [1]
    assert not system.status().failures


def test_a_stream_that_is_open_is_not_opened_again(system, player):
    """The second would take the place of the first, which then nobody could close."""
    with Stranger(system._connection.endpoint) as stranger:
        stranger.settle()
        stranger.say(Resolve("@supervisor"))
        payload, tag = msgspec.msgpack.encode(["player"]), tag_of(WatchStream)
        twice = [Envelope(Kind.STREAM, seq, 9, tag, payload) for seq in (1, 2)]
        stranger.write("@supervisor", *twice)
        error = None
        while error is None:
            data = stranger.receive()
            with contextlib.suppress(MessageError):  # a word of the broker
                for envelope in decode_batch(data).envelopes:
                    if envelope.kind == Kind.FAILURE:
                        error = unpack_error(envelope.payload)

    assert "open already" in str(error)
    assert player.ask(Add(1, 2)).result() == 3.0


def test_the_runtime_directory_is_private(system, player):
    directory = Path(system._directory)

    assert directory.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.glob("*.json"))


# --- what has no end ------------------------------------------------------------------------------


@pytest.fixture
def cramped(monkeypatch):
    """A system whose broker may take little memory."""
    monkeypatch.setenv("UNDERSTUDY_BROKER_MEMORY", "150 MB")
    with supervisor.start(relay=True) as system:  # so that whatever there is depends on the broker
        yield system


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.01)


def flood(door, data, most):
    """Send until the other side hangs up, at the latest after `most` bytes."""
    with contextlib.suppress(ConnectionError):
        for _ in range(most // len(data)):
            door.sendall(data)


def test_a_message_without_end_costs_the_broker_and_nobody_else(cramped):
    player = cramped.spawn(Player, name="player")
    door = shake_hands(cramped._connection.endpoint, secrets.token_bytes(16))
    sums = [player.ask(Add(number, 1)) for number in range(100)]

    with contextlib.closing(door):
        flood(
            door, b"\x01\x00" * 10_000, 40 << 20
        )  # empty frames; each says that another one follows
        sums += [player.ask(Add(number, 1)) for number in range(100)]
        until(lambda: cramped.status().broker_restarts == 1)

    assert [one.result() for one in sums] == [number + 1.0 for number in range(100)] * 2
    assert [actor.incarnation for actor in cramped.status().actors] == [1]


def test_whoever_does_not_read_what_he_asked_for_costs_the_broker_and_nobody_else(cramped):
    player = cramped.spawn(Player, name="player")
    me = secrets.token_bytes(16)
    door = shake_hands(cramped._connection.endpoint, me)
    route = encode_route(Route(MAGIC, BROKER, 0, "client-deaf", 1))
    hello = encode_word(Hello("client-deaf", 1))
    words = bytes([1, len(route)]) + route + bytes([0, len(hello)]) + hello

    with contextlib.closing(door):
        flood(door, words * 1000, 200 << 20)
        until(lambda: cramped.status().broker_restarts == 1)

    assert player.ask(Add(1, 2)).result() == 3.0
    assert [actor.incarnation for actor in cramped.status().actors] == [1]
