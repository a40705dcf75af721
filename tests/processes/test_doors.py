"""Doors for plain ZeroMQ programs: the scripts of the talk, as stock pyzmq code, in both roles.

A test's number is the row of the talk's promises that it checks.  Most share one system, whose
processes outlive a test; those with a system of their own are marked `process`.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading

import pytest
import zmq
from programs import eventually

import supervisor
from actors import Actor, Request, message, receive
from actors.errors import DeadlineExceeded, SpawnError
from actors.gateway import LARGEST, Bind, Connect, Phrasebook, Pub, Pull, Push, Rep, Req, Sub

PATIENCE = 20_000  # ms that a stock script waits; what it waits for comes at once


@message
class Hello(Request[str]):
    pass


@message
class Divide(Request[float]):
    x: float
    y: float


@message
class Number:
    value: int


@message
class Piece:
    digest: str
    data: bytes


@message
class Where(Request[str]):
    pass


@message
class Seen(Request[list[str]]):
    pass


@message
class Counts(Request[tuple[int, int, int, int]]):
    pass


@message
class Greet(Request[list[str]]):
    """Ask the plain server so often, and so patiently."""

    times: int
    timeout: float = 20.0


@message
class Say(Request[None]):
    """Send numbers, or pieces of so many bytes, from 1 to `last`."""

    last: int
    size: int = 0


HELLO = Phrasebook({"Hello": Hello, "Divide": Divide})


class Porter(Actor):
    """What all of these actors have: a door."""

    at: str
    bind: bool = True

    def on_start(self) -> None:
        self.seen: list[str] = []
        self.door = self.open(Bind(self.at) if self.bind else Connect(self.at))

    def open(self, place):
        raise NotImplementedError

    @receive
    def where(self, msg: Where) -> str:
        return self.door.endpoint

    @receive
    def show(self, msg: Seen) -> list[str]:
        return self.seen

    @receive
    def count(self, msg: Counts) -> tuple[int, int, int, int]:
        traffic = self.door.statistics()
        return (traffic.received, traffic.sent, traffic.refused, traffic.dropped)


class World(Porter):
    def open(self, place):
        return Rep(HELLO, self.context.ref, place)

    @receive
    def hello(self, msg: Hello) -> str:
        return "World"

    @receive
    def divide(self, msg: Divide) -> float:
        return msg.x / msg.y


class Guest(Porter):
    bind: bool = False

    def open(self, place):
        return Req(HELLO, place)

    @receive
    async def greet(self, msg: Greet) -> list[str]:
        return [await self.door.ask(Hello(), timeout=msg.timeout) for _ in range(msg.times)]


class Listener(Porter):
    def open(self, place):
        return Sub(Phrasebook.of(Number), self.context.ref, place)

    @receive
    def number(self, msg: Number) -> None:
        self.seen.append(str(msg.value))


class Counter(Listener):
    def open(self, place):
        return Pull(Phrasebook.of(Number), self.context.ref, place)


class Publisher(Porter):
    def open(self, place):
        return Pub(Phrasebook.of(Number), place)

    @receive
    def say(self, msg: Say) -> None:
        for value in range(1, msg.last + 1):
            self.door.publish(Number(value))


class Ventilator(Porter):
    def open(self, place):
        return Push(Phrasebook({"Number": Number, "Piece": Piece}), place)

    @receive
    async def say(self, msg: Say) -> None:
        for value in range(1, msg.last + 1):
            data = str(value).encode() * msg.size
            digest = hashlib.sha256(data).hexdigest()
            await self.door.send(Piece(digest, data) if msg.size else Number(value))


# --- stock scripts


@contextlib.contextmanager
def stock(kind, endpoint="", *, bind=False):
    """A socket as any pyzmq script has it."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, PATIENCE)
        socket.setsockopt(zmq.SNDTIMEO, PATIENCE)
        if kind == zmq.SUB:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        if endpoint:
            (socket.bind if bind else socket.connect)(endpoint)
        yield socket


def hwclient(endpoint, times=10):
    with stock(zmq.REQ, endpoint) as socket:
        for _ in range(times):
            socket.send(b"Hello")
            yield socket.recv()


def hwserver(socket, times):
    for _ in range(times):
        assert socket.recv() == b"Hello"
        socket.send(b"World")


def asked(socket, *frames):
    socket.send_multipart(frames)
    return socket.recv()


@pytest.fixture(params=["tcp", "ipc"])
def at(request, tmp_path):
    return "tcp://127.0.0.1:*" if request.param == "tcp" else f"ipc://{tmp_path}/door"


@pytest.fixture(scope="module")
def shared():
    with supervisor.start() as system:
        yield system


@pytest.fixture
def spawn(shared):
    """Start an actor that ends with its test, and return its ref and where its door is."""
    names = []

    def start(cls, at="tcp://127.0.0.1:*", **fields):
        ref = shared.spawn(cls, at=at, **fields)
        names.append(ref.name)
        return ref, ref.ask(Where()).result()

    yield start

    for name in names:
        shared.stop(name)


@pytest.fixture
def system():
    with supervisor.start() as system:
        yield system


def door_of(ref):
    return ref.ask(Where()).result()


# --- request and reply


def test_4_01_a_stock_client_says_hello_ten_times_and_each_time_hears_world(spawn, at):
    world, endpoint = spawn(World, at)

    assert list(hwclient(endpoint)) == [b"World"] * 10
    assert world.ask(Hello()).result() == "World"  # the same actor, for those who have a ref
    assert world.ask(Counts()).result() == (10, 10, 0, 0)


@pytest.mark.process
def test_4_03_hello_over_three_transports_that_differ_by_their_address_only(tmp_path):
    with supervisor.start(inproc=True) as system:  # inproc:// is for actors that are threads
        for at in ("tcp://127.0.0.1:*", f"ipc://{tmp_path}/world", "inproc://world"):
            endpoint = door_of(system.spawn(World, at=at))
            with zmq.Context.instance().socket(zmq.REQ) as socket:
                socket.setsockopt(zmq.LINGER, 0)
                socket.setsockopt(zmq.RCVTIMEO, PATIENCE)
                socket.connect(endpoint)

                assert [asked(socket, b"Hello") for _ in range(10)] == [b"World"] * 10


def test_4_05_a_client_that_comes_first_and_many_at_once_are_all_answered(spawn, tmp_path):
    endpoint = f"ipc://{tmp_path}/door"
    with stock(zmq.REQ) as first:
        monitor = first.get_monitor_socket(zmq.EVENT_CONNECT_RETRIED)
        first.connect(endpoint)
        first.send(b"Hello")
        assert monitor.poll(PATIENCE)  # it has tried, and nobody was there
        first.disable_monitor()
        monitor.close(0)
        spawn(World, endpoint)

        assert first.recv() == b"World"
        clients = [hwclient(endpoint) for _ in range(5)]
        for answers in zip(*clients, strict=True):  # each says its next hello in turn
            assert set(answers) == {b"World"}


def test_whatever_is_asked_is_answered_and_the_door_stays_open(spawn):
    world, endpoint = spawn(World)
    with stock(zmq.REQ, endpoint) as socket:
        assert asked(socket, b"Divide", b"1", b"4") == b"0.25"
        assert asked(socket, b"Bonjour").startswith(b"Error: no message begins with 'Bonjour'")
        assert asked(socket, b"Divide", b"1").startswith(b"Error: Divide has 2 fields")
        assert asked(socket, b"Divide", b"1", b"one").startswith(b"Error: Divide.y: JSON")
        assert b"ZeroDivisionError: float division by zero" in asked(socket, b"Divide", b"1", b"0")
        assert asked(socket, b"").startswith(b"Error: no message begins with ''")
        assert asked(socket, bytes(LARGEST + 1)).startswith(b"Error: 16777217 bytes")
        assert asked(socket, b"Hello") == b"World"
    with stock(zmq.DEALER, endpoint) as stranger:
        stranger.send_multipart([b"Hello"])  # without the empty frame: nobody can answer that
        stranger.send_multipart([b"", b"Hello"])

        assert stranger.recv_multipart() == [b"", b"World"]
    assert world.ask(Counts()).result() == (10, 9, 7, 0)


def test_a_slow_answer_holds_up_no_other_client(spawn):
    _, server = spawn(World)
    with stock(zmq.REQ, server) as one, stock(zmq.REQ, server) as other:
        one.send(b"Hello")

        assert asked(other, b"Hello") == b"World"  # a REP socket would wait until `one` has read
        assert one.recv() == b"World"


def test_no_word_is_lost_between_many_impatient_clients(spawn):
    _, endpoint = spawn(World)
    heard = []

    def client():
        heard.extend(hwclient(endpoint, 100))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert heard == [b"World"] * 800


@pytest.mark.process
def test_a_killed_actor_opens_its_door_again(system, tmp_path):
    endpoint = f"ipc://{tmp_path}/door"
    system.spawn(World, name="world", at=endpoint)
    assert list(hwclient(endpoint, 1)) == [b"World"]

    system.kill("world")

    assert list(hwclient(endpoint, 3)) == [b"World"] * 3


def test_4_01_an_actor_says_hello_to_a_stock_server_and_may_come_first(spawn, tmp_path):
    endpoint = f"ipc://{tmp_path}/server"
    guest, _ = spawn(Guest, endpoint)
    answers = guest.ask(Greet(10))
    with stock(zmq.REP, endpoint, bind=True) as socket:
        hwserver(socket, 10)

        assert answers.result() == ["World"] * 10


def test_a_late_answer_is_not_taken_for_that_to_the_next_question(spawn, tmp_path):
    endpoint = f"ipc://{tmp_path}/server"
    guest, _ = spawn(Guest, endpoint)
    with stock(zmq.REP, endpoint, bind=True) as socket:
        slow = guest.ask(Greet(1, timeout=0.2))
        assert socket.recv() == b"Hello"
        with pytest.raises(DeadlineExceeded, match=r"did not answer Hello within 0\.2 s"):
            slow.result()
        second = guest.ask(Greet(1))
        socket.send(b"late")

        hwserver(socket, 1)
        assert second.result() == ["World"]


# --- publish and subscribe


def test_4_06_a_stock_fizz_and_a_stock_buzz_hear_33_and_20_of_a_hundred(spawn):
    publisher, endpoint = spawn(Publisher)

    def values_after_a_hundred(socket):
        heard = False
        while not heard:
            publisher.ask(Say(100)).result()  # for ever, as far as it knows
            while not heard and socket.poll(100):
                heard = socket.recv() == b"100"
        publisher.ask(Say(100)).result()
        return [int(socket.recv()) for _ in range(100)]

    with stock(zmq.SUB, endpoint) as fizz, stock(zmq.SUB, endpoint) as buzz:
        fizzed = ["Fizz" if n % 3 == 0 else n for n in values_after_a_hundred(fizz)]
        buzzed = ["Buzz" if n % 5 == 0 else n for n in values_after_a_hundred(buzz)]

    assert fizzed.count("Fizz") == 33
    assert buzzed.count("Buzz") == 20
    assert [value for value in fizzed if value != "Fizz"] == [n for n in range(1, 101) if n % 3]


def test_4_06_an_actor_hears_a_stock_publisher(spawn, tmp_path):
    endpoint = f"ipc://{tmp_path}/numbers"
    listener, _ = spawn(Listener, endpoint, bind=False)  # it comes first
    with stock(zmq.XPUB, endpoint, bind=True) as socket:
        assert socket.recv() == b"\x01"  # somebody listens
        for value in range(1, 101):
            socket.send(str(value).encode())
        socket.send(b"one hundred and one")

        expected = [str(value) for value in range(1, 101)]
        eventually(lambda: listener.ask(Seen()).result() == expected)
        eventually(lambda: listener.ask(Counts()).result() == (101, 0, 1, 0))


@pytest.mark.parametrize("topics", [(), [], "", "news"])
def test_4_07_a_subscriber_without_topics_is_refused(topics):
    with pytest.raises(ValueError, match="hears nothing"):
        Sub(Phrasebook.of(Number), None, Connect("inproc://nobody"), topics=topics)


# --- push and pull


def test_4_09_an_actor_gives_work_to_stock_workers_and_takes_their_results(spawn):
    ventilator, work = spawn(Ventilator)
    sink, results = spawn(Counter)
    said = ventilator.ask(Say(200))  # waits for somebody to take it

    def farm():
        with stock(zmq.PULL, work) as receiver, stock(zmq.PUSH, results) as sender:
            receiver.setsockopt(zmq.RCVTIMEO, 2000)
            with contextlib.suppress(zmq.Again):
                while True:
                    word, value = receiver.recv_multipart()
                    assert word == b"Number"
                    sender.send(value)
            sender.close(linger=PATIENCE)

    threads = [threading.Thread(target=farm) for _ in range(2)]
    for thread in threads:
        thread.start()
    said.result()
    eventually(lambda: len(sink.ask(Seen()).result()) == 200)
    for thread in threads:
        thread.join()

    assert sorted(map(int, sink.ask(Seen()).result())) == list(range(1, 201))


@pytest.mark.process
def test_4_04_a_message_of_several_frames_arrives_whole_or_not_at_all(system):
    ventilator = system.spawn(Ventilator, name="ventilator", at="tcp://127.0.0.1:*")
    whole = 0
    with stock(zmq.PULL, door_of(ventilator)) as socket:
        socket.setsockopt(zmq.RCVHWM, 2)
        ventilator.ask(Say(1_000, size=100_000))  # a million bytes and more
        for _ in range(20):
            word, digest, data = socket.recv_multipart()
            assert (word, digest.decode()) == (b"Piece", hashlib.sha256(data).hexdigest())
        system.kill("ventilator")  # in the midst of one
        socket.setsockopt(zmq.RCVTIMEO, 500)
        with contextlib.suppress(zmq.Again):
            while True:
                word, digest, data = socket.recv_multipart()
                assert digest.decode() == hashlib.sha256(data).hexdigest()
                whole += 1

    assert whole < 980


# --- processes


@pytest.mark.process
def test_4_02_no_socket_of_a_program_survives_in_its_actors():
    with zmq.Context() as context:
        own = context.socket(zmq.REP)
        own.bind("tcp://127.0.0.1:*")
        endpoint = own.getsockopt(zmq.LAST_ENDPOINT)
        with supervisor.start() as system:
            world = system.spawn(World, name="world", at="tcp://127.0.0.1:*")
            own.close(0)
            with context.socket(zmq.REP) as again:
                eventually(lambda: _binds(again, endpoint))  # nobody has inherited it

            assert list(hwclient(door_of(world), 1)) == [b"World"]


def _binds(socket, endpoint):
    try:
        socket.bind(endpoint)
    except zmq.ZMQError:
        return False
    return True


@pytest.mark.process
def test_a_door_that_nobody_closes_is_closed_with_its_actor():
    with supervisor.start(inproc=True) as system:
        endpoint = door_of(system.spawn(World, name="world", at="tcp://127.0.0.1:*"))
        system.stop("world")

        with stock(zmq.REP) as socket:
            assert _binds(socket, endpoint)


def test_an_endpoint_that_is_taken_is_said_when_the_actor_starts(spawn):
    _, endpoint = spawn(World)

    with pytest.raises(SpawnError, match="Address already in use"):
        spawn(World, endpoint)


def test_4_08_the_monitor_hears_from_an_actor_to_whom_nobody_speaks(shared, spawn):
    idle, _ = spawn(World)

    eventually(lambda: shared.status().actor(idle.name).memory)
