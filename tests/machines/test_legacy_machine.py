"""N stock clients, interleaved at will: no protocol error, and each client's words are its own."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import numpy as np
import pytest
import zmq
from hypothesis import example, given, settings
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from actors.compute.legacy import Answers, Server
from actors.compute.wire import (
    MOST_HALVES,
    OK,
    Call,
    Conversations,
    Reply,
    Verb,
    answer,
    failure,
    pack_array,
    read_json,
    unpack_array,
    write_json,
)

CLIENTS = 4
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False).filter(lambda x: abs(x) != float("inf")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def service(store):
    """Values by name, one name a client, and an array."""
    answers = Answers()
    for client in range(CLIENTS):
        key = b"v%d" % client
        answers.on(Verb.SEND, key)(lambda value, key=key: store.__setitem__(key, value))
        answers.on(Verb.GET, key)(lambda key=key: store.get(key))
        answers.on(Verb.SEND_ARRAY, b"a" + key)(lambda a, key=key: store.__setitem__(b"a" + key, a))
        answers.on(Verb.GET_ARRAY, b"a" + key)(lambda key=key: store[b"a" + key])
    answers.on(Verb.REQUEST, b"pause")(lambda: None)
    answers.on(Verb.GET, b"Nx")(lambda: 64)
    return answers


class Interleaved(RuleBasedStateMachine):
    """Each client is as a REQ socket is: it says the next thing when it has an answer."""

    @initialize()
    def begin(self):
        self.store = {}
        self.service = service(self.store)
        self.conversations = Conversations(self.service.table)
        self.half = {}
        self.sent = {}

    def ask(self, client, *frames):
        todo = self.conversations.received(b"client%d" % client, frames)
        return todo.frames if isinstance(todo, Reply) else self.work(todo)

    def work(self, call):
        try:
            return answer(call, self.service.call(call))
        except Exception as error:  # noqa: BLE001 - as the door does
            return failure(error)

    @rule(client=st.integers(0, CLIENTS - 1), value=st.integers() | st.text(), array=st.booleans())
    def move(self, client, value, array):
        """Go on with a send, or begin one."""
        key = b"v%d" % client
        if client not in self.half:
            name = b"set_array:a" + key if array else key
            assert self.ask(client, name) == (OK,)
            self.half[client] = array
        elif self.half.pop(client):
            made = np.arange(client + 2) + 1j
            assert self.ask(client, *pack_array(made)) == (OK,)
            assert np.array_equal(self.store[b"a" + key], made)
        else:
            assert self.ask(client, write_json(value)) == (OK,)
            self.sent[key] = value

    @rule(client=st.integers(0, CLIENTS - 1), what=st.integers(0, 3))
    def say_something_short(self, client, what):
        if client in self.half:
            return
        key = b"v%d" % client
        if what == 0:
            assert self.ask(client, b"Nx") == (b"64",)
        elif what == 1:
            assert self.ask(client, b"pause") == (OK,)
        elif what == 2:
            assert read_json(self.ask(client, b"get:" + key)[0]) == self.sent.get(key)
        else:
            assert self.ask(client, b"nonsense")[0].startswith(b"Error: Unknown Message")

    @rule(client=st.integers(0, CLIENTS - 1), junk=st.lists(st.binary(max_size=20), max_size=3))
    def a_stranger_says_anything(self, client, junk):
        for _ in range(3):
            frames = self.ask(client + 100, *junk)
            assert all(isinstance(frame, bytes) for frame in frames)

    def teardown(self):
        if hasattr(self, "store"):
            values = {key: value for key, value in self.store.items() if key in self.sent}
            assert values == self.sent


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(stateful_step_count=20)


def test_whoever_begins_and_never_ends_is_forgotten_in_the_end():
    conversations = Conversations({b"x": Verb.SEND})
    for number in range(MOST_HALVES + 10):
        assert conversations.received(b"%d" % number, [b"x"]) == Reply((OK,))

    assert conversations.halves == MOST_HALVES
    assert conversations.received(b"0", [b"1"]).frames[0].startswith(b"Error: ")
    assert conversations.received(b"500", [b"1"]) == Call(Verb.SEND, b"x", 1)


@given(value=JSON)
@example(value=10**400)
@example(value=[1e308, -1e308, "\U0001f600", {}])
def test_0_04_and_0_08_any_json_value_comes_back_and_is_json_on_the_wire(value):
    (data,) = answer(Call(Verb.GET, b"x"), value)

    assert data == json.dumps(value).encode()
    assert read_json(data) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object], ids=repr)
def test_0_08_what_is_no_json_is_an_error_and_not_sent(value):
    (said,) = answer(Call(Verb.GET, b"x"), value)

    assert said.startswith(b"Error: ")
    with pytest.raises((TypeError, ValueError)):
        write_json(value)


@pytest.mark.parametrize(
    "data", [b"NaN", b"[Infinity]", b"{", b"\xff", b"[" * 100_000], ids="abcde"
)
def test_what_is_no_json_is_an_error_of_its_sender(data):
    conversations = Conversations({b"x": Verb.SEND})
    conversations.received(b"a", [b"x"])

    assert conversations.received(b"a", [data]).frames[0].startswith(b"Error: ")
    assert conversations.received(b"a", [b"x"]) == Reply((OK,))


NUMBERS = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes(endianness="?")
)


@given(data=st.data(), layout=st.sampled_from(["C", "F", "reversed", "strided"]))
def test_0_10_arrays_of_any_layout_come_back_equal(data, layout):
    kinds = NUMBERS | st.just(np.dtype([("a", "<i4"), ("b", ">f8")]))
    shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)
    array = data.draw(hnp.arrays(data.draw(kinds), data.draw(shapes)))
    if layout == "F":
        array = np.asfortranarray(array) if array.ndim else array
    elif layout == "reversed" and array.ndim:
        array = array[::-1]
    elif layout == "strided" and array.ndim:
        array = np.repeat(array, 2, axis=0)[::2]

    back = unpack_array(*pack_array(array))

    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert not back.flags.writeable


@pytest.mark.parametrize(
    ("description", "raw"),
    [
        ({"dtype": "O", "shape": [1]}, b"12345678"),
        ({"dtype": "V2147483648", "shape": [0]}, b""),
        ({"dtype": "float64", "shape": [-1]}, b""),
        ({"dtype": "float64", "shape": [0, 1 << 70]}, b""),
        ({"dtype": "float64", "shape": [0, (1 << 63) - 1, 2]}, b""),
        ({"dtype": "float64", "shape": [1] * 40}, b"12345678"),
        ({"dtype": "float64", "shape": [2]}, b"12345678"),
        ({"dtype": [["a", "O"]], "shape": [1]}, b"12345678"),
        ({"dtype": [["a"]], "shape": [1]}, b"12345678"),
        ({"dtype": 7, "shape": [1]}, b"1"),
        ({"dtype": "f8", "shape": 1}, b"12345678"),
        ({"dtype": "f8"}, b"12345678"),
        ([], b""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_description_that_lies_makes_no_array(description, raw):
    with pytest.raises((TypeError, ValueError)):
        unpack_array(write_json(description), raw)


@given(frames=st.lists(st.binary(max_size=40), max_size=3), first=st.sampled_from([b"x", b"a"]))
def test_arbitrary_bytes_are_answered_and_never_raise(frames, first):
    conversations = Conversations({b"x": Verb.SEND, b"a": Verb.SEND_ARRAY})
    assert conversations.received(b"client", [first]) == Reply((OK,))
    for _ in range(2):
        assert isinstance(conversations.received(b"client", frames), Call | Reply)


@pytest.fixture(scope="module")
def stage():
    store = {}
    with Server(service(store), port=0) as server, zmq.Context() as context:
        sockets = []
        for _ in range(CLIENTS):
            socket = context.socket(zmq.REQ)
            socket.linger, socket.rcvtimeo = 0, 10_000
            socket.connect(f"tcp://127.0.0.1:{server.port}")
            sockets.append(socket)
        yield store, sockets
        for socket in sockets:
            socket.close(0)


@settings(max_examples=25)
@given(turns=st.lists(st.integers(0, CLIENTS - 1), max_size=40), together=st.booleans())
def test_0_06_stock_clients_interleaved_at_will_see_no_error(stage, turns, together):
    store, sockets = stage
    half, last = dict.fromkeys(range(CLIENTS), False), {}
    for number, client in enumerate(turns + list(range(CLIENTS)) * 2):
        socket = sockets[client]
        if half[client]:
            socket.send(json.dumps({"n": number}).encode())
            last[client] = {"n": number}
        else:
            socket.send(b"v%d" % client)
        half[client] = not half[client]
        if together:  # another's message is on its way at the same time
            other = sockets[(client + 1) % CLIENTS]
            if not half[(client + 1) % CLIENTS]:
                other.send(b"Nx")
                assert other.recv() == b"64"
        assert socket.recv() == OK
    for client in (client for client, one in half.items() if one):
        sockets[client].send(b"0")
        assert sockets[client].recv() == OK
        last[client] = 0

    assert {client: store[b"v%d" % client] for client in last} == last
