"""Plain clients of a computation, and the classes `Client` and `Server`, over real sockets."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import zmq
from programs import eventually

import supervisor
from actors.compute.client import Computation
from actors.compute.legacy import Answers, Client, Server
from actors.compute.reception import Reception
from actors.compute.wire import Verb, WireError
from tests.ports import free_port

sys.path.append(str(Path(__file__).parent.parent / "behaviour"))

from models import Count


@pytest.fixture(scope="module")
def stage():
    """A paused computation, and the port where plain clients reach it."""
    with supervisor.start() as system:
        count = system.spawn(Count, name="count", start_paused=True, frames_per_second=200.0)
        port = free_port()
        system.spawn(Reception, name="reception", server=count, port=port)
        yield system, Computation(system, count), port


@pytest.fixture
def stock(stage):
    """A stock REQ socket, as the seed's clients use it; nothing of ours."""
    with zmq.Context() as context, context.socket(zmq.REQ) as plain:
        plain.linger, plain.rcvtimeo = 0, 10_000
        plain.connect(f"tcp://127.0.0.1:{stage[2]}")
        yield plain


def test_0_02_a_stock_client_gets_requests_sends_and_fetches_an_array(stage, stock):
    _, count, _ = stage
    stock.send(b"size")
    assert json.loads(stock.recv()) == 4
    stock.send(b"by")
    assert stock.recv() in (b"", b"ok")
    stock.send(json.dumps(3).encode())
    assert stock.recv() == b"ok"
    assert count.get("by") == {"by": 3}
    stock.send(b"start")
    assert stock.recv() == b"ok"
    stock.send(b"pause")
    assert stock.recv() == b"ok"
    stock.send(b"field")
    described, raw = stock.recv_multipart()
    described = json.loads(described)
    array = np.frombuffer(raw, described["dtype"]).reshape(described["shape"])
    assert array.tolist() == count.get_array("field").tolist()


def test_0_02_the_later_verbs_are_understood_too(stage, stock):
    for first, second, expected in (
        (b"get", ["by", "mood"], {"by": 2, "mood": "calm"}),
        (b"set", {"by": 4, "mood": "wild"}, None),
        (b"get", ["by", "mood"], {"by": 4, "mood": "wild"}),
        (b"do", "reset", None),
        (b"set", {"mood": "calm", "by": 2}, None),
    ):
        if first == b"get" and expected["by"] == 2:
            stage[1].set(by=2)
        stock.send(first)
        assert stock.recv() == b"ok"
        stock.send(json.dumps(second).encode())
        said = stock.recv()
        assert said == b"ok" if expected is None else json.loads(said) == expected


def test_0_23_a_plain_client_learns_what_there_is_and_all_of_it_is_callable(stage):
    with Client(port=stage[2]) as client:
        known = client.get(b"commands")
        assert known["set"]["by"] == "what a step adds"
        for name in known["do"]:
            assert client.request(name.encode()) == b"ok"
        for name in known["get"]:
            client.get(b"get:" + name.encode())
        for name in known["get_array"]:
            client.get_array(name.encode())
        assert client.get(b"heartbeat")["name"] == "count"
        client.request(b"pause")


@pytest.mark.parametrize("name", [b"nonsense", b"do:nonsense", b"get:nonsense", b"set:", b"\xff"])
def test_0_30_an_unknown_command_is_an_error_and_hurts_nobody(stage, name):
    with Client(port=stage[2]) as client:
        with pytest.raises(WireError, match=r"Unknown Message|there is no"):
            client.get(name)
        assert client.get(b"size") == 4


def test_a_refused_value_is_an_error_that_says_why(stage):
    with Client(port=stage[2]) as client:
        for value in (9, "nine", {"a": 1}):
            with pytest.raises(WireError, match=r"by|Expected"):
                client.send(b"by", value)
        assert client.send(b"by", 2) == b"ok"


def test_what_never_ends_is_null_both_ways(stage):
    _, count, port = stage
    with Client(port=port) as client:
        assert client.get(b"get:shutdown") is None
        assert client.get(b"heartbeat")["ends_in"] is None
        client.send(b"shutdown", 500)
        assert count.get("shutdown") == {"shutdown": 500.0}
        client.send(b"shutdown", None)
        assert count.get("shutdown") == {"shutdown": math.inf}
        assert client.get(b"get:shutdown") is None
        with pytest.raises(WireError):
            client.send(b"by", None)  # a count is never without end


def test_getting_what_is_to_be_sent_names_the_remedy(stage):
    with Client(port=stage[2]) as client:
        with pytest.raises(WireError, match="get:by"):
            client.get(b"by")
        assert client.get(b"get:by") == 2


def test_0_07_text_is_refused_before_anything_is_sent(stage):
    with Client(port=stage[2]) as client:
        for act, how in (
            (lambda: client.get("Window.size"), r"get\(b'Window.size'\)"),
            (lambda: client.request("pause"), r"request\(b'pause'\)"),
            (lambda: client.send("by", 1), r"send\(b'by', ...\)"),
            (lambda: client.get_array("field"), r"get_array\(b'field'\)"),
            (lambda: client.send_array("field", np.ones(2)), r"send_array\(b'field'"),
        ):
            with pytest.raises(TypeError, match=how):
                act()
        with pytest.raises(TypeError, match="JSON"):
            client.send(b"by", object())
        assert client.get(b"size") == 4


def answered(client, name, expected):
    """Whether it is answered, by now."""
    try:
        return client.get(name) == expected
    except TimeoutError:
        return False


def test_the_port_comes_back_with_its_actor(stage):
    system, _, port = stage
    with Client(port=port, timeout=0.5) as client:
        eventually(lambda: answered(client, b"size", 4))
        system.kill("reception")
        eventually(lambda: answered(client, b"size", 4))


def echo():
    answers = Answers()
    kept = {}
    answers.on(Verb.GET, b"Nx")(lambda: 64)
    answers.on(Verb.SEND, b"obj")(lambda value: kept.update(obj=value))
    answers.on(Verb.GET, b"obj")(lambda: kept["obj"])
    answers.on(Verb.SEND_ARRAY, b"array")(lambda value: kept.update(array=value))
    answers.on(Verb.GET_ARRAY, b"array")(lambda: kept["array"])
    answers.on(Verb.REQUEST, b"do")(lambda: b"done")
    answers.on(Verb.GET, b"nan")(lambda: float("nan"))
    return answers


def test_0_03_client_and_server_are_context_managers_and_close_twice():
    with Server(echo(), port=0) as server:
        with Client(port=server.port) as client:
            assert client.get(b"Nx") == 64
            assert client.request(b"do:do") == b"done"
            assert client.send(b"obj", {"a": [1, None]}) == b"ok"
            assert client.get(b"get:obj") == {"a": [1, None]}
            made = np.asfortranarray(np.arange(6.0).reshape(2, 3) + 1j)
            client.send_array(b"array", made)
            assert np.array_equal(client.get_array(b"get_array:array"), made)
            with pytest.raises(WireError, match=r"JSON compliant|Out of range"):
                client.get(b"nan")
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.get(b"Nx")
    server.close()


def test_0_09_a_client_uses_several_servers_and_a_server_several_clients():
    with (
        Server(echo(), port=0) as one,
        Server(echo(), port=0) as two,
        Client(port=one.port) as a,
        Client(port=two.port) as b,
        Client(port=one.port) as c,
    ):
        a.send(b"obj", "one")
        b.send(b"obj", "two")
        assert [client.get(b"get:obj") for client in (a, b, c)] == ["one", "two", "one"]


def test_0_32_after_a_time_out_the_same_client_works_once_there_is_a_server():
    port = free_port()
    with Client(port=port, timeout=1.0) as client:
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="within 1 s"):
            client.get(b"Nx")
        assert 0.8 <= time.monotonic() - begun < 5.0
        with Server(echo(), port=port):
            eventually(lambda: answered(client, b"Nx", 64))


def test_a_port_that_is_taken_is_named():
    with Server(echo(), port=0) as server, pytest.raises(OSError, match=f":{server.port} cannot"):
        Server(echo(), port=server.port)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_number_that_is_no_port_is_refused_and_not_taken_for_another(port):
    with pytest.raises(ValueError, match=f"{port} is no port: give one up to 65535"):
        Server(echo(), port=port)


def test_a_message_that_is_too_large_ends_its_sender_and_no_other(monkeypatch):
    monkeypatch.setattr("actors.compute.legacy.LARGEST", 1 << 16)
    with Server(echo(), port=0) as server:
        monkeypatch.undo()
        with Client(port=server.port, timeout=0.5) as large, Client(port=server.port) as other:
            with pytest.raises(TimeoutError):
                large.send_array(b"array", np.zeros(1 << 16))
            assert other.get(b"Nx") == 64
            eventually(lambda: answered(large, b"Nx", 64))


class Patience:
    """A service that answers nothing until it is told to."""

    table: ClassVar = {b"wait": Verb.REQUEST, b"value": Verb.SEND, b"Nx": Verb.GET}

    def __init__(self):
        self.asked, self.release = threading.Event(), None

    async def call(self, call):
        if call.verb is Verb.GET:
            return 64
        self.loop, self.release = asyncio.get_running_loop(), asyncio.Event()
        self.asked.set()
        await self.release.wait()
        return None


def test_a_client_has_one_call_at_work_and_a_send_that_is_refused_for_it_is_over():
    service = Patience()
    with (
        Server(service, port=0) as server,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as hasty,
    ):
        hasty.linger, hasty.rcvtimeo = 0, 10_000
        hasty.connect(f"tcp://127.0.0.1:{server.port}")
        for said in (b"wait", b"value", b"1"):  # a REQ socket would wait for an answer to each
            hasty.send_multipart([b"", said])
        assert hasty.recv_multipart() == [b"", b"ok"]
        assert b"busy" in hasty.recv_multipart()[1]
        service.loop.call_soon_threadsafe(service.release.set)
        assert hasty.recv_multipart() == [b"", b"ok"]
        hasty.send_multipart([b"", b"Nx"])
        assert hasty.recv_multipart() == [b"", b"64"]


@contextmanager
def the_only_call(monkeypatch):
    """A server that takes one call, which waits: its service, answer and client, and another."""
    monkeypatch.setattr("actors.compute.legacy.MOST_CALLS", 1)
    service = Patience()
    with (
        Server(service, port=0) as server,
        Client(port=server.port) as one,
        Client(port=server.port) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        waits = threads.submit(one.request, b"wait")
        assert service.asked.wait(10)
        yield service, waits, one, other


def test_a_call_beyond_the_most_waits_until_another_is_over(monkeypatch):
    with (
        the_only_call(monkeypatch) as (service, waits, _, other),
        ThreadPoolExecutor(1) as threads,
    ):
        late = threads.submit(other.get, b"Nx")
        service.loop.call_soon_threadsafe(service.release.set)
        assert (waits.result(10), late.result(10)) == (b"ok", 64)


def test_calls_that_never_return_give_way_to_others_and_are_told(monkeypatch):
    monkeypatch.setattr("actors.gateway.doors.GIVES_WAY", 0.1)
    with the_only_call(monkeypatch) as (_, never, one, other):
        assert other.get(b"Nx") == 64
        with pytest.raises(WireError, match=r"no answer within 0\.1 s, and others wait"):
            never.result(10)
        assert one.get(b"Nx") == 64


def test_a_server_whose_service_is_none_is_refused_where_it_is_made():
    with pytest.raises(AttributeError, match="table"):
        Server(object(), port=0)


def test_json_that_would_fill_the_memory_is_not_read():
    with Server(echo(), port=0) as server, Client(port=server.port) as client:
        with pytest.raises(WireError, match="send an array"):
            client.send(b"obj", [[]] * 300_000)
        assert client.get(b"Nx") == 64
