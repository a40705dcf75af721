"""`start` and `connect`: what cannot be meant is refused in the call, before any process starts."""

from __future__ import annotations

import math
import socket

import pytest

import supervisor
from actors import ActorRef, Request, message
from actors.errors import ConnectionLost
from supervisor import Child, Tree
from supervisor.gate import unreachable


@message
class Ping(Request[None]):
    pass


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"tree": [Child(int, name="a")]}, TypeError, "start takes a Tree, not [Child("),
        ({"name": 5}, TypeError, "a system's name is a str, not int: 5"),
        ({"name": "a/b"}, ValueError, "'a/b' cannot name a system"),
        ({"listen": 7700}, TypeError, "listen=7700: give a text such as 'tcp://127.0.0.1:7700'"),
        ({"listen": ["tcp://lab"]}, ValueError, "listen='tcp://lab': write it as tcp://"),
        ({"listen": "tcp://127.0.0.1:77000"}, ValueError, "with a port up to 65535"),
        ({"ask_timeout": "5"}, TypeError, "ask_timeout='5': give seconds, as an int or a float"),
        ({"ask_timeout": 0}, ValueError, "ask_timeout=0: give seconds above 0"),
        ({"launcher": "ssh"}, ValueError, "launcher='ssh': there are 'fork' (Linux) and 'spawn'"),
    ],
)
def test_a_system_that_cannot_be_meant_is_refused(options, error, text):
    with pytest.raises(error) as refused:
        supervisor.start(**options)

    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("endpoint", "error", "text"),
    [
        (5, TypeError, "endpoint=5: give a text"),
        ("tcp://lab", ValueError, "endpoint='tcp://lab': write it as tcp://127.0.0.1:7700"),
        ("127.0.0.1:7700", ValueError, "write tcp://127.0.0.1:7700, or the name of a system"),
        ("http://lab", ValueError, "or the name of a system"),
    ],
)
def test_an_endpoint_that_is_none_is_refused(endpoint, error, text):
    with pytest.raises(error) as refused:
        supervisor.connect(endpoint)

    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (None, "^no system runs; start one with `understudy up`$"),
        ("nobody", "^no system called 'nobody' runs; start one with `understudy up`$"),
    ],
)
def test_who_joins_what_is_not_there_hears_that_not_of_a_lost_connection(endpoint, text):
    with pytest.raises(ConnectionLost, match=text) as lost:
        supervisor.connect(endpoint)

    assert "gone" not in str(lost.value)


def test_a_port_where_nobody_listens_is_said_to_be_one(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_KEYS", str(tmp_path / "keys"))
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ConnectionLost, match=r"nobody listens on that port \(tried for 3 s\)"):
            supervisor.connect(endpoint)


def test_why_a_place_on_the_network_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        assert unreachable(f"tcp://127.0.0.1:{port}") == ""
    assert unreachable(f"tcp://127.0.0.1:{port}") == "nobody listens on that port"
    assert unreachable("tcp://lab..lan:7700") == "lab..lan cannot be a host's name"
    assert unreachable("ipc:///nowhere/broker") == "there is no such socket"


def test_a_wrong_endpoint_in_the_environment_is_named_as_such(monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_ENDPOINT", "lab:7700")

    with pytest.raises(ValueError, match="UNDERSTUDY_ENDPOINT='lab:7700'"):
        supervisor.connect()


@pytest.mark.parametrize("timeout", ["5", True, [1]])
def test_a_timeout_is_a_number(timeout):
    ref = ActorRef("calc", None)

    with pytest.raises(TypeError, match="give seconds, as an int or a float"):
        ref.ask(Ping(), timeout=timeout)
    with pytest.raises(TypeError, match="give seconds"):
        ref.wait_ready(timeout)


def test_no_number_is_no_timeout_and_no_end_is_one():
    ref = ActorRef("calc", None)

    with pytest.raises(ValueError, match="timeout=nan"):
        ref.ask(Ping(), timeout=math.nan)
    with pytest.raises(ConnectionLost):
        ref.ask(Ping(), timeout=math.inf)


def test_specs_show_what_they_were_given_in_a_line():
    children = [Child(int, name=f"child-{number}") for number in range(9)]

    with pytest.raises(TypeError, match=r"intensity of a tree is .{1,90}: give an Intensity\.$"):
        Tree(supervisor.Strategy.ONE_FOR_ONE, children)
    with pytest.raises(TypeError, match="give a list of them"):
        Tree(children=children[0])
    with pytest.raises(TypeError, match=r"metadata of child 'a' is \[1\]: give a dict"):
        Child(int, name="a", metadata=[1])
