"""Direct connections of real processes: they outlive the broker, and nothing is left of them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from programs import eventually, gone
from scenes import Add, Count, Hand, Player, Recite, Reciter, Who, Write
from strangers import LocalStranger

import supervisor
from actors.control import BROKER, Closing, Meet, encode_word
from actors.envelope import MAGIC, Envelope, Kind, Route, encode_route
from actors.errors import AnswerLost, OutcomeUnknown
from tests.processes.test_strangers import RAW, Stranger, connect

pytestmark = pytest.mark.process

GROWTH = 40 << 20  # bytes


@pytest.fixture(autouse=True, params=["unix", "ipc"])
def scheme(request, monkeypatch):
    """How the endpoints of direct connections begin: local sockets, or ZeroMQ's."""
    monkeypatch.setenv("UNDERSTUDY_LOCAL_SOCKETS", "1" if request.param == "unix" else "0")
    return request.param


@contextlib.contextmanager
def stopped(pid):
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def road_to(system, name):
    return system._peer.links[name].way.road


def acquainted(system, name="player"):
    """An actor that has talked with us before."""
    player = system.spawn(Player, name=name)
    assert player.ask(Add(1, 2)).result() == 3.0
    eventually(lambda: road_to(system, name))
    return player


def test_those_who_have_talked_need_no_broker(scheme):
    with supervisor.start() as system:
        player = acquainted(system)
        assert road_to(system, "player").endpoint.startswith(f"{scheme}://")
        front = system.spawn(Reciter, name="front", other=player)
        assert front.ask(Hand(1)).result() == 1
        assert front.ask(Hand(1)).result() == 1
        with stopped(system.status().broker_pid):
            for number in range(50):
                assert player.ask(Add(number, 1), timeout=10.0).result() == number + 1
            assert front.ask(Hand(20), timeout=10.0).result() == 20
            assert system.status().name  # the supervisor is one of them


def test_one_ask_is_acquaintance_enough():
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        broker = system.status().broker_pid
        assert player.ask(Add(1, 2)).result() == 3.0
        with stopped(broker):
            assert player.ask(Add(3, 4), timeout=10.0).result() == 7.0


def test_a_conversation_does_not_notice_the_death_of_the_broker():
    with supervisor.start() as system:
        player = acquainted(system)
        for _ in range(3):
            broker = system.status().broker_pid
            os.kill(broker, signal.SIGKILL)
            assert gone([broker])
            for number in range(200):
                player.tell(Write(""))
                assert player.ask(Add(number, 1), timeout=10.0).result() == number + 1
            eventually(lambda: system.status().broker_pid not in (None, broker))  # noqa: B023
        assert road_to(system, "player") is not None
        assert player.ask(Count()).result() == 600


def test_with_relay_there_are_no_direct_connections():
    with supervisor.start(relay=True) as system:
        player = system.spawn(Player, name="player")
        for number in range(20):
            assert player.ask(Add(number, 1)).result() == number + 1

        assert road_to(system, "player") is None
        assert system.status().relay
        sockets = {path.name for path in Path(system._directory).iterdir() if path.is_socket()}
        assert sockets == {"broker"}


def test_a_program_that_came_over_tcp_is_relayed():
    with (
        supervisor.start(listen="tcp://127.0.0.1:*") as system,
        supervisor.connect(system.status().listening[0]) as other,
    ):
        system.spawn(Player, name="player")
        for number in range(20):
            assert other.ref("player").ask(Add(number, 1)).result() == number + 1

        assert road_to(other, "player") is None
        assert not system.status().relay


def test_a_program_without_local_sockets_is_relayed_to_those_who_have_them(monkeypatch, scheme):
    with supervisor.start() as system:
        player = acquainted(system)
        monkeypatch.setenv("UNDERSTUDY_LOCAL_SOCKETS", "0" if scheme == "unix" else "1")
        with supervisor.connect(system._connection.endpoint) as other:
            for number in range(20):
                assert other.ref("player").ask(Add(number, 1)).result() == number + 1
            # Whoever has them can do without, too.
            assert (road_to(other, "player") is None) == (scheme == "unix")
        assert player.ask(Add(1, 2)).result() == 3.0


def test_the_next_incarnation_gets_what_the_killed_one_had_not_begun():
    with supervisor.start() as system:
        reciter = system.spawn(Reciter, name="reciter")
        for _ in range(2):
            before = eventually(lambda: reciter.ask(Who()).result())
            eventually(lambda: road_to(system, "reciter"))
            replies = [reciter.ask(Recite(number)) for number in range(3000)]
            replies[20].result()
            os.kill(before, signal.SIGSTOP)  # it may be through with all of these by now
            replies += [reciter.ask(Recite(number)) for number in range(3000, 3100)]
            os.kill(before, signal.SIGKILL)
            found = [reply_of(reply) for reply in replies]

            # At most one was in progress; of some that were handled the answer died as well.
            assert sum(isinstance(one, OutcomeUnknown) for one in found) <= 1 + sum(
                isinstance(one, AnswerLost) for one in found
            )
            lives = sorted({one[0] for one in found if isinstance(one, list)})
            assert len(lives) == 2
            for life in lives:
                places = [one[1] for one in found if isinstance(one, list) and one[0] == life]
                assert places == sorted(set(places))


def reply_of(reply):
    try:
        return reply.result()
    except OutcomeUnknown as error:
        return error


def test_a_killed_actor_leaves_no_socket_behind():
    with supervisor.start() as system:
        player = acquainted(system)
        path = Path(urlsplit(road_to(system, "player").endpoint).path)
        assert path.is_socket()
        assert path.parent == Path(system._directory)

        os.kill(player.ask(Who()).result(), signal.SIGKILL)

        eventually(lambda: not path.exists())
        assert player.ask(Add(1, 2)).result() == 3.0
        eventually(lambda: road_to(system, "player"))
        eventually(lambda: len(sockets_of(system)) == 3)  # broker, supervisor, player
        system.stop("player")
        eventually(lambda: len(sockets_of(system)) == 2)
    assert not path.parent.exists()


def sockets_of(system):
    return [path for path in Path(system._directory).iterdir() if path.is_socket()]


def test_restarts_cost_no_descriptors():
    with supervisor.start() as system:
        player = acquainted(system)
        counts = []
        for _ in range(6):
            system.kill("player")
            assert player.ask(Add(1, 2)).result() == 3.0
            eventually(lambda: road_to(system, "player"))
            counts.append(psutil.Process().num_fds())
        eventually(lambda: psutil.Process().num_fds() <= counts[0])


def test_threads_talk_directly_too():
    with supervisor.start(inproc=True) as system:
        player = acquainted(system)
        front = system.spawn(Reciter, name="front", other=player)

        assert front.ask(Hand(10)).result() == 10
        assert road_to(system, "front") is not None


def test_many_threads_of_one_program_keep_their_order_while_roads_change():
    with supervisor.start() as system:
        reciter = system.spawn(Reciter, name="reciter")
        failures = []

        def recite(me):
            # From the very first message on: the road changes in the middle of it.
            replies = [reciter.ask(Recite(number)) for number in range(me, me + 500)]
            places = [reply.result()[1] for reply in replies]
            if places != sorted(places):
                failures.append(places)

        workers = [threading.Thread(target=recite, args=(n * 1000,)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(40.0)

        assert not failures
        assert road_to(system, "reciter") is not None


def test_what_does_not_belong_on_a_direct_socket_harms_nobody(scheme):
    strangers = {"ipc": Stranger, "unix": LocalStranger}
    dice = random.Random(2)
    with supervisor.start() as system:
        player = acquainted(system)
        endpoint = road_to(system, "player").endpoint
        pid = player.ask(Who()).result()
        before = psutil.Process(pid).memory_info().rss
        with contextlib.ExitStack() as stack:
            for data in RAW.values():
                door = stack.enter_context(connect(endpoint))
                with contextlib.suppress(ConnectionError):
                    door.sendall(data)
            forger = stack.enter_context(strangers[scheme](endpoint))
            mine = encode_route(Route(MAGIC, "player", 1, "client-x", 1))
            forger.send(mine, encode_word(Closing("over")))
            forger.send(encode_route(Route(MAGIC, "player", 1, BROKER, 0)), encode_word(Meet()))
            forger.write("player", Envelope(Kind.TELL, 1, 0, "no:Such", b""))
            forger.send(mine, encode_word(Meet()))
            forger.receive()  # Met: it may speak for itself, and says nonsense
            for _ in range(200):
                junk = [dice.randbytes(dice.choice([0, 1, 30, 3000])) for _ in range(3)]
                forger.send(*junk[: dice.randint(1, 3)])
            assert player.ask(Add(1, 2)).result() == 3.0

        assert psutil.Process(pid).memory_info().rss - before < GROWTH
        assert [actor.incarnation for actor in system.status().actors] == [1]
        assert player.ask(Add(1, 2)).result() == 3.0


def test_a_road_that_is_cut_makes_way_for_the_relay_and_comes_back():
    with supervisor.start() as system:
        player = acquainted(system)
        road = road_to(system, "player")
        replies = [player.ask(Add(number, 1)) for number in range(300)]
        with system._portal.lock:
            system._connection._carrier(road).hang_up(road)
        replies += [player.ask(Add(number, 1)) for number in range(300, 600)]

        assert [reply.result(timeout=20.0) for reply in replies] == list(range(1, 601))
        assert road_to(system, "player") is not road

        def back():
            player.ask(Add(1, 2)).result()
            return road_to(system, "player") not in (None, road)

        eventually(back)
