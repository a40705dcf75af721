"""The network side of a real system: who comes in, who does not, and what they may do."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import time

import pytest
import zmq
from halfway import Halfway

import supervisor
from actors import Actor, DeadLetter, Request, message, receive
from actors.control import BROKER, Hello, Refused, decode_word, encode_word
from actors.envelope import MAGIC, Route, encode_route
from actors.errors import AccessDenied, ConnectionLost
from supervisor.access import identity_of
from supervisor.gate import curve_for
from supervisor.keys import KeyRing, key_text
from supervisor.roles import Role

pytestmark = pytest.mark.process

GONE_WITHIN = 5.0


@message
class Double(Request[int]):
    n: int


@message
class News:
    text: str


@message
class Shout:
    text: str


class Player(Actor):
    @receive
    def double(self, msg: Double) -> int:
        return 2 * msg.n

    @receive
    def shout(self, msg: Shout) -> None:
        self.context.publish(News(msg.text))


@message
class Shut:
    pass


class Gate(Actor):
    """Ends in the midst of a message."""

    @receive
    def shut(self, _msg: Shut) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A system on a port, and the keys of its owner."""
    ring = KeyRing(tmp_path_factory.mktemp("host") / "keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_KEYS", str(ring.directory))
        system = supervisor.start(listen="tcp://127.0.0.1:*")
    with system:
        system.spawn(Player, name="player")
        system.spawn(Gate, name="gate", restart=supervisor.Restart.TEMPORARY)
        system.keys = ring
        yield system


@pytest.fixture
def endpoint(host):
    return host.status().listening[0]


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """Another user, or another machine: its own keys."""
    ring = KeyRing(tmp_path / "keys")
    monkeypatch.setenv("UNDERSTUDY_KEYS", str(ring.directory))
    return identity_of(ring)


@pytest.fixture
def join(host, endpoint, stranger):
    """Join as somebody with a role."""
    key = key_text(host.keys.identity().public)
    with contextlib.ExitStack() as stack:

        def join(role):
            host.keys.allow(stranger.public, name="guest", role=role)
            return stack.enter_context(supervisor.connect(endpoint, key=key))

        yield join
        with contextlib.suppress(ValueError):
            host.keys.revoke("guest")


# --- coming in ------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_with_what_to_do(host, endpoint, stranger):
    key = key_text(host.keys.identity().public)

    with pytest.raises(AccessDenied, match=f"keys allow {key_text(stranger.public)}"):
        supervisor.connect(endpoint, key=key)


def test_a_system_with_another_key_than_expected_is_not_joined(endpoint, stranger):
    with pytest.raises(AccessDenied, match=f"keys trust {endpoint}"):
        supervisor.connect(endpoint, key=key_text(secrets.token_bytes(32)))
    with pytest.raises(AccessDenied, match="another key"):
        supervisor.connect(endpoint)  # without a word about it, it would have to be our own


def test_what_is_no_key_is_said_at_once(endpoint, stranger):
    with pytest.raises(ValueError, match="is no key"):
        supervisor.connect(endpoint, key="abc")


def test_a_trusted_system_is_joined_without_saying_its_key(host, endpoint, stranger, join):
    KeyRing().trust(endpoint, host.keys.identity().public)
    host.keys.allow(stranger.public, name="guest", role=Role.OPERATOR)

    with supervisor.connect(endpoint) as system:
        assert system.ref("player").ask(Double(4)).result() == 8


def test_without_curve_nobody_is_heard(host, endpoint):
    with raw(endpoint) as dealer:
        dealer.send_multipart(hello("client-net-1"))
        assert not dealer.poll(500)


def test_connections_that_never_speak_are_cut_off_and_keep_nobody_out(host, endpoint, join):
    address = endpoint.removeprefix("tcp://").split(":")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(200)]
        assert join(Role.OPERATOR).ref("player").ask(Double(1)).result() == 2
        for one in silent:
            one.settimeout(10.0)
            while one.recv(1024):  # ends when the other side closes
                pass


def test_a_program_that_is_back_before_its_end_was_noticed_is_heard(host, endpoint, stranger):
    host.keys.allow(stranger.public, name="laptop", role=Role.OPERATOR)
    key = key_text(host.keys.identity().public)
    with (
        Halfway(int(endpoint.rpartition(":")[2])) as way,
        supervisor.connect(way.endpoint, key=key) as system,
    ):
        player = system.ref("player")
        assert player.ask(Double(1)).result() == 2

        way.lose()

        assert player.ask(Double(2), timeout=20.0).result() == 4
    host.keys.revoke("laptop")


# --- who is who -----------------------------------------------------------------------------------


@contextlib.contextmanager
def raw(endpoint, curve=None):
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.routing_id = secrets.token_bytes(16)
    if curve is not None:
        dealer.curve_serverkey = curve.server
        dealer.curve_publickey, dealer.curve_secretkey = curve.public, curve.secret
    dealer.connect(endpoint)
    try:
        yield dealer
    finally:
        dealer.close()
        context.term()


def hello(name):
    return [encode_route(Route(MAGIC, BROKER, 0, name, 1)), encode_word(Hello(name, 1))]


@pytest.mark.parametrize("name", ["@supervisor", "player", "client-1-00", "@monitor"])
def test_an_allowed_key_does_not_become_somebody_else(host, endpoint, join, name):
    join(Role.ADMIN)
    curve = curve_for(endpoint, key_text(host.keys.identity().public))

    with raw(endpoint, curve) as dealer:
        dealer.send_multipart(hello(name))
        assert dealer.poll(5000)
        word = decode_word(dealer.recv_multipart()[1])

    assert isinstance(word, Refused)
    assert word.code == "impostor"
    assert host.ref("player").ask(Double(2)).result() == 4


# --- what they may do -----------------------------------------------------------------------------


def test_a_viewer_looks(join):
    system = join(Role.VIEWER)

    assert "player" in [actor.name for actor in system.status().actors]
    with pytest.raises(AccessDenied, match="it may look, not talk to actors"):
        system.ref("player").ask(Double(1)).result()
    with pytest.raises(AccessDenied, match="needs a key with the role operator"):
        system.kill("player")


def test_a_viewer_hears_events_and_publishes_none(host, join):
    system = join(Role.VIEWER)
    with host.subscribe(News) as here, system.subscribe(News) as there:
        with pytest.raises(AccessDenied, match="FollowTopic needs a key with the role operator"):
            system.publish(News("forged"))
        host.publish(News("true"))

        assert [next(iter(news)).text for news in (here, there)] == ["true", "true"]


def test_a_viewer_may_not_talk_to_an_actor_whose_events_it_hears_either(host, join):
    # Recorded: whoever had written to it was taken for somebody to talk to, and the ask expired.
    system = join(Role.VIEWER)
    player = system.ref("player")
    with system.subscribe(News) as news:
        for text in ("one", "two"):
            host.ref("player").tell(Shout(text))
            assert news.next(timeout=20.0).text == text
            with pytest.raises(AccessDenied, match="it may look, not talk to actors"):
                player.ask(Double(1), timeout=5.0).result()
            with pytest.raises(AccessDenied, match="it may look, not talk to actors"):
                player.tell(Shout("forged"))


def test_a_viewer_may_not_talk_to_the_next_life_of_whom_it_hears_either(tmp_path, monkeypatch):
    # Recorded: it was told that this life is up, and believed that it may write to it.
    ours, theirs = KeyRing(tmp_path / "ours"), KeyRing(tmp_path / "theirs")
    monkeypatch.setenv("UNDERSTUDY_KEYS", str(ours.directory))
    with supervisor.start(listen="tcp://127.0.0.1:*") as host:
        player = host.spawn(Player, name="player")
        monkeypatch.setenv("UNDERSTUDY_KEYS", str(theirs.directory))
        ours.allow(identity_of(theirs).public, name="guest", role=Role.VIEWER)
        key = key_text(ours.identity().public)
        with (
            supervisor.connect(host.status().listening[0], key=key) as system,
            system.subscribe(News) as news,
        ):
            for text in ("one", "two"):
                player.tell(Shout(text))
                assert news.next(timeout=20.0).text == text
                with pytest.raises(AccessDenied, match="it may look, not talk to actors"):
                    system.ref("player").ask(Double(1), timeout=5.0).result()
                host.restart("player")


def test_an_operator_talks_to_an_actor_whose_events_it_hears(host, join):
    system = join(Role.OPERATOR)
    with system.subscribe(News) as news:
        host.ref("player").tell(Shout("one"))
        assert news.next(timeout=20.0).text == "one"

        assert system.ref("player").ask(Double(2)).result() == 4


def test_a_viewer_hears_as_many_events_as_there_are(host, join):
    system = join(Role.VIEWER)
    with system.subscribe(News) as news:
        for _ in range(4):  # no more at once than may wait for a subscriber
            for number in range(500):
                host.publish(News(str(number)))
            heard = [news.next(timeout=20.0).text for _ in range(500)]

            assert heard == [str(number) for number in range(500)]


def test_a_viewer_that_was_away_for_a_moment_hears_the_events_of_meanwhile(
    host, endpoint, stranger
):
    host.keys.allow(stranger.public, name="laptop", role=Role.VIEWER)
    key = key_text(host.keys.identity().public)
    with (
        Halfway(int(endpoint.rpartition(":")[2])) as way,
        supervisor.connect(way.endpoint, key=key) as system,
        system.subscribe(News) as news,
    ):
        host.publish(News("before"))
        heard = [news.next(timeout=20.0).text]

        way.lose()
        for _ in range(300):
            host.publish(News("after"))

        heard += [news.next(timeout=20.0).text for _ in range(300)]
        assert heard == ["before", *300 * ["after"]]
    host.keys.revoke("laptop")


def test_what_an_operator_told_in_vain_is_a_dead_letter_like_anybodys(host, join):
    system = join(Role.OPERATOR)
    with host.subscribe(DeadLetter) as letters:
        system.ref("gate").tell(Shut())

        lost = next(letter for letter in letters if letter.target == "gate")
    assert (lost.text, lost.sender) == ("Shut()", system._peer.name)


def test_an_operator_works(join):
    system = join(Role.OPERATOR)

    assert system.ref("player").ask(Double(5)).result() == 10
    with pytest.raises(AccessDenied, match="SpawnActor needs a key with the role admin"):
        system.spawn(Player, name="another")


def test_an_admin_does_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_KEYS", str(tmp_path / "keys"))
    with (
        supervisor.start(listen="tcp://127.0.0.1:*") as host,
        # Whoever has the owner's own keys is an admin, and needs nothing but the endpoint.
        supervisor.connect(host.status().listening[0]) as system,
    ):
        assert system.spawn(Player, name="third").ask(Double(1)).result() == 2
        system.stop("third")


@pytest.mark.parametrize("change", ["revoked", "demoted"])
def test_a_key_that_lost_its_rights_is_shown_out(host, stranger, join, change):
    system = join(Role.ADMIN)
    player = system.ref("player")
    assert player.ask(Double(1)).result() == 2

    if change == "revoked":
        host.keys.revoke("guest")
    else:
        host.keys.allow(stranger.public, name="guest", role=Role.VIEWER)

    with pytest.raises(ConnectionLost, match="its key"):
        use(player, GONE_WITHIN)


def test_whoever_lost_its_rights_is_shown_out_in_his_sleep_and_does_not_come_back(
    host, endpoint, stranger, join
):
    system = join(Role.OPERATOR)

    host.keys.revoke("guest")

    deadline = time.monotonic() + GONE_WITHIN
    while not system._peer.ended:  # it says nothing meanwhile
        assert time.monotonic() < deadline, "it is still in"
        time.sleep(0.01)
    with pytest.raises(AccessDenied):
        supervisor.connect(endpoint, key=key_text(host.keys.identity().public))


def use(player, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        player.ask(Double(1)).result()
