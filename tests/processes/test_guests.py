"""Somebody whose key was let in and who means harm: he gets no more than his role allows."""

from __future__ import annotations

import contextlib
import os
import secrets

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from programs import eventually
from scenes import Add, Player
from strangers import Stranger

import supervisor
from actors import DeadLetter, Request, StreamRequest, message
from actors.attachments import Outgoing
from actors.codec import codec_for
from actors.connection import Curve
from actors.control import BROKER, Hello, Refused, encode_word
from actors.cycles import LONGEST_CHAIN
from actors.envelope import MAGIC, Envelope, Kind, Route, encode_route
from actors.errors import MessageError
from actors.message import tag_of
from actors.outbox import MOST_ANSWERS
from actors.requests import KillActor
from supervisor.access import new_key_pair
from supervisor.keys import KeyRing
from supervisor.roles import Role

pytestmark = pytest.mark.process


@message
class Picture:
    data: NDArray[np.float64]


@message
class Portrait:
    """No program here takes it."""

    data: NDArray[np.float64]


@message
class Show(Request[NDArray[np.float64]]):
    pass


@message
class ShowAll(StreamRequest[NDArray[np.float64]]):
    pass


@contextlib.contextmanager
def listening(directory):
    """A system on a port; its owner's keys."""
    ring = KeyRing(directory / "keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_KEYS", str(ring.directory))
        system = supervisor.start(listen="tcp://127.0.0.1:*")
    with system:
        system.keys = ring
        yield system


@contextlib.contextmanager
def entering(system, role, routing_id=None):
    """Somebody comes in with a key that is allowed."""
    pair, owner = new_key_pair(), f"guest-{secrets.token_hex(4)}"
    system.keys.allow(pair.public, name=owner, role=role)
    curve = Curve(system.keys.identity().public, pair.public, pair.secret)
    (endpoint,) = system.status().listening
    with Stranger(endpoint, routing_id, curve) as guest:
        guest.demote = lambda less: system.keys.allow(pair.public, name=owner, role=less)
        yield guest


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("host")) as system:
        yield system


@pytest.fixture(scope="module")
def player(host):
    """The same life, and the same broker, from the first test to the last."""
    player = host.spawn(Player, name="player")
    broker = host.status().broker_pid

    yield player

    (status,) = host.status().actors
    assert (status.incarnation, host.status().broker_pid) == (1, broker)


@pytest.fixture
def guest(host):
    """Come in with a key that is allowed."""
    with contextlib.ExitStack() as stack:
        yield lambda *role_and_id: stack.enter_context(entering(host, *role_and_id))


def test_a_routing_id_of_another_length_does_not_pass_for_a_local_party(host, player, guest):
    payload = msgspec.msgpack.encode(["player"])
    for size in (1, 14, 15, 17, 32):
        viewer = guest(Role.VIEWER, secrets.token_bytes(size))
        for name in ("client-1", viewer.name):
            viewer.send(encode_route(Route(MAGIC, BROKER, 0, name, 1)), encode_word(Hello(name, 1)))
            viewer.name = name
            viewer.write("@supervisor", Envelope(Kind.TELL, 1, 0, tag_of(KillActor), payload))
    guest(Role.VIEWER).settle()

    assert player.ask(Add(1, 2)).result() == 3.0
    assert [actor.incarnation for actor in host.status().actors] == [1]


def test_nothing_that_a_viewer_addresses_to_an_actor_arrives(host, player, guest):
    viewer = guest(Role.VIEWER)
    viewer.settle()
    handled = host.status().actors[0].handled
    payload = codec_for(Add).encode(Add(1, 2), Outgoing(None))

    for kind in Kind:  # questions, answers to what somebody else was asked, and words about calls
        viewer.write("player", Envelope(kind, 1, 1, tag_of(Add), payload))
        refused = viewer.hear(Refused)
        assert (refused.code, "may look" in refused.text) == ("denied", True)

    assert player.ask(Add(1, 2)).result() == 3.0
    assert host.status().actors[0].handled == handled + 1


def test_of_an_event_of_a_guest_no_word_about_shared_memory_is_taken(host, player, guest):
    operator = guest(Role.OPERATOR)
    operator.settle()
    somewhere = [os.getpid(), 3, 1, 0, 800, 1]  # process, descriptor, inode, offset, bytes, block
    payload = msgspec.msgpack.encode([[-1, "<f8", [100], somewhere]])
    with host.subscribe(Picture) as pictures:
        operator.write(host._peer.name, Envelope(Kind.TELL, 1, 0, tag_of(Picture), payload))

        with pytest.raises(MessageError, match="named by a program on another"):
            pictures.next(timeout=20.0)


@pytest.fixture
def pixels(host):
    """An array of the host's program in shared memory, as a message names it."""
    memory = host._portal.memory
    place, block = memory.lend(np.ones(100_000))
    yield [-1, "<f8", [100_000], place]
    memory.free((block,))


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda ref: ref.ask(Show()).result, Kind.REPLY),
        (lambda ref: ref.stream(ShowAll()).next, Kind.ITEM),
    ],
    ids=["ask", "stream"],
)
def test_of_what_a_guest_answers_no_word_about_shared_memory_is_taken(
    host, player, guest, pixels, ask, kind
):
    operator = guest(Role.OPERATOR)
    operator.settle()
    wait_for_answer = ask(host.ref(operator.name))
    (asked,) = operator.asked()
    named = Envelope(kind, 1, asked.correlation, "", msgspec.msgpack.encode(pixels))
    operator.write(host._peer.name, named)

    with pytest.raises(MessageError, match="named by a program on another"):
        wait_for_answer(timeout=20.0)


def test_the_text_of_what_a_guest_told_a_program_shows_no_shared_memory(
    host, player, guest, pixels
):
    operator = guest(Role.OPERATOR)
    operator.settle()
    payload = msgspec.msgpack.encode([pixels])
    with host.subscribe(DeadLetter) as letters:
        operator.write(host._peer.name, Envelope(Kind.TELL, 1, 0, tag_of(Portrait), payload))
        letter = letters.next(timeout=20.0)

    assert letter.text == f"{tag_of(Portrait)}, {len(payload)} bytes"


class Questions:
    """What somebody asks a player."""

    payload = codec_for(Add).encode(Add(1, 2), Outgoing(None))

    def __init__(self, operator):
        self.operator = operator
        self.last = 0

    def ask(self, count, **fields):
        first, self.last = self.last + 1, self.last + count
        numbers = range(first, self.last + 1)
        asks = (Envelope(Kind.ASK, n, n, tag_of(Add), self.payload, **fields) for n in numbers)
        self.operator.write("player", *asks)

    def take_back(self):
        asked, self.last = self.last, self.last + 1
        self.operator.write("player", Envelope(Kind.CANCEL, self.last, asked, "", b""))


def test_who_acknowledges_no_answer_gets_no_more_until_it_does(host, player, guest):
    operator = guest(Role.OPERATOR)
    operator.settle()
    questions, before = Questions(operator), host.status().actors[0].handled

    def stands_at(handled, waiting):
        actor = host.status().actors[0]
        return (actor.handled - before, actor.mailbox) == (handled, waiting)

    questions.ask(MOST_ANSWERS)
    eventually(lambda: stands_at(MOST_ANSWERS, 0))
    questions.ask(100)
    eventually(lambda: stands_at(MOST_ANSWERS + 1, 99))
    # What is refused at once waits as well: one that too many wait for, one that is late.
    questions.ask(1, chain=("somebody",) * LONGEST_CHAIN)
    eventually(lambda: stands_at(MOST_ANSWERS + 1, 100))
    questions.ask(1, deadline=1e-9)
    questions.take_back()
    eventually(lambda: stands_at(MOST_ANSWERS + 2, 100))
    assert player.ask(Add(1, 2)).result() == 3.0  # the others do not wait

    operator.write("player", handled=50)
    eventually(lambda: stands_at(MOST_ANSWERS + 53, 50))
    operator.write("player", handled=MOST_ANSWERS)
    eventually(lambda: stands_at(MOST_ANSWERS + 103, 0))


def test_who_acknowledges_nothing_does_not_hold_up_the_end_of_an_actor(tmp_path, caplog, capfd):
    diary = tmp_path / "diary"
    with contextlib.ExitStack() as after, listening(tmp_path) as system:
        system.spawn(Player, name="player", path=str(diary))
        operator = after.enter_context(entering(system, Role.OPERATOR))
        operator.settle()
        questions = Questions(operator)

        questions.ask(MOST_ANSWERS)
        eventually(lambda: system.status().actors[0].handled == MOST_ANSWERS)
        questions.ask(100)
        eventually(lambda: system.status().actors[0].mailbox == 99)

    assert diary.read_text() == "stopped\n"
    said = caplog.text + capfd.readouterr().err  # to the log where it is set up
    assert "unhandled at the end: 99 messages" in said


def test_a_demoted_key_talks_to_actors_no_more_by_saying_hello_again(host, player, guest):
    operator = guest(Role.OPERATOR)
    operator.settle()
    operator.write("player")  # nothing yet, but the way is known
    operator.settle()
    payload = codec_for(Add).encode(Add(1, 2), Outgoing(None))

    operator.demote(Role.VIEWER)
    operator.say(Hello(operator.name, 1))

    assert "its key" in operator.hear(Refused).text
    operator.write("player", Envelope(Kind.ASK, 1, 1, tag_of(Add), payload))
    assert operator.hear(Refused).code == "unregistered"


def test_a_routing_id_of_the_network_is_not_served_on_this_machine(host, player):
    for listening in (True, False):
        with contextlib.ExitStack() as stack:
            system = host if listening else stack.enter_context(supervisor.start())
            endpoint = system._connection.endpoint
            stranger = stack.enter_context(Stranger(endpoint, b"~" + secrets.token_bytes(16)))
            stranger.say(Hello("client-net-1", 1))
            stack.enter_context(Stranger(endpoint)).settle()

            assert not stranger.socket.poll(0)
            assert system.status().broker_restarts == 0
