"""`start` and `connect`: what cannot be meant is refused in the call, before any process starts."""

from __future__ import annotations

import inspect
import math
import signal
import socket
import threading

import attrs
import pytest
import zmq

import supervisor
from actors import Actor, ActorRef, Request, message
from actors.errors import ConnectionLost
from actors.spawning import CHILD_OPTIONS, SPAWN_OPTIONS, encode_fields
from supervisor import Backoff, Child, Intensity, Limits, Pool, Tree, entrance
from supervisor.boot import SupervisorEnded, SupervisorReady, frame
from supervisor.gate import unreachable
from supervisor.plan import POOL_OPTIONS


@message
class Ping(Request[None]):
    pass


class Camera(Actor):
    gain: float = 1.0
    grace: float = attrs.field()  # called like an option of `Child`


def trees(**options):
    return Tree(children=[Child(Camera, name="camera", **options)])


def pools(**options):
    return Tree(children=[Pool(Camera, name="camera", size=2, **options)])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"tree": [Child(int, name="a")]},
            TypeError,
            "start takes a Tree, not list: write start(Tree(children=[...])).",
        ),
        ({"name": 5}, TypeError, "a system's name is a str, not int: 5"),
        ({"name": "a/b"}, ValueError, "'a/b' cannot name a system"),
        ({"listen": 7700}, TypeError, "listen=7700: give a text such as 'tcp://127.0.0.1:7700'"),
        ({"listen": ["tcp://lab"]}, ValueError, "listen='tcp://lab': write it as tcp://"),
        ({"listen": "tcp://127.0.0.1:77000"}, ValueError, "with a port up to 65535"),
        ({"ask_timeout": "5"}, TypeError, "ask_timeout='5': give seconds, as an int or a float"),
        ({"ask_timeout": 0}, ValueError, "ask_timeout=0: give seconds above 0"),
        ({"launcher": "ssh"}, ValueError, "launcher='ssh': there are 'fork' (Linux) and 'spawn'"),
        ({"state_dir": 5}, TypeError, "state_dir=5: give the path of a directory"),
        ({"state_dir": b"kept"}, TypeError, "state_dir=b'kept': give the path of a directory"),
        ({"state_dir": ""}, ValueError, "state_dir='': no directory has that path"),
        ({"state_dir": "a\0b"}, ValueError, "no directory has that path"),
        ({"relay": "no"}, TypeError, "relay='no': give True or False"),
        ({"inproc": 1}, TypeError, "inproc=1: give True or False"),
        ({"tree": trees(gan=2.0)}, TypeError, "fields are: gain, grace. Did you mean gain?"),
        ({"tree": trees(meta={})}, TypeError, "Camera has no field 'meta'; its fields are: gain"),
        ({"tree": trees(meta={})}, TypeError, "Did you mean metadata?"),
        ({"tree": trees()}, TypeError, "Camera needs grace. grace= is an option of the child"),
        ({"tree": trees(grace=3)}, TypeError, "itself: write .with_fields({'grace': ...})"),
        ({"tree": pools(sise=3)}, TypeError, "Did you mean size?"),
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
        (0, TypeError, "endpoint=0: give a text"),
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


WRONG = [
    (lambda: Tree(children=Child(int, name="a")), "give a list of them"),
    (lambda: Tree(children=[int]), "a child of a tree is <class 'int'>: give a Child"),
    (lambda: Tree([]), r"write Tree(children=[...])"),
    (lambda: Tree("one_for_one"), "strategy of a tree is 'one_for_one': give a Strategy"),
    (lambda: Tree(restart="never"), "restart of a tree is 'never': give a Restart"),
    (lambda: Tree(name=5), "is a str, not int: 5"),
    (lambda: Child("Camera", name="a"), "the actor class is 'Camera': give a type"),
    (lambda: Child(int, name=5), "the name of an actor is a str, not int: 5"),
    (lambda: Child(int, name="a", metadata=[1]), "metadata of child 'a' is [1]: give a dict"),
    (lambda: Child(int, name="a", metadata={1: 2}), "metadata key of child 'a' is 1: give a str"),
    (lambda: Child(int, name="a", backoff=1.0), "backoff of child 'a' is 1.0: give a Backoff"),
    (lambda: Child(int, name="a", limits=5), "limits of child 'a' is 5: give a Limits"),
    (lambda: Child(int, name="a", grace="5"), "grace of child 'a' is '5': give seconds"),
    (lambda: Child(int, name="a", threads="2"), "threads of child 'a' is '2': give an int"),
    (lambda: Child(int, name="a", significant=1), "significant of child 'a' is 1: give a bool"),
    (lambda: Child(int, name="a").with_fields(5), "takes a dict of fields, not 5"),
    (lambda: Pool(int, name="a", size="4"), "Pool.size of 'a' is '4': give an int"),
    (lambda: Pool(int, name="a", size=2, intensity=3), "Pool.intensity is 3: give an Intensity"),
    (lambda: Limits(memory=[1]), "[1] is not a size: give bytes or a text"),
    (lambda: Limits(cpu="2"), "Limits.cpu is '2': give cores"),
    (lambda: Limits(handler_seconds="x"), "Limits.handler_seconds is 'x': give seconds"),
    (lambda: Limits(mailbox=math.inf), "Limits.mailbox is inf: give an int"),
    (lambda: Backoff("1"), "Backoff.initial is '1': give a finite number"),
    (lambda: Intensity("1"), "Intensity.restarts is '1': give an int"),
    (lambda: Intensity(period=None), "Intensity.period is None: give seconds"),
]


@pytest.mark.parametrize(("make", "text"), WRONG, ids=[text for _, text in WRONG])
def test_a_spec_of_a_wrong_kind_is_refused_with_what_to_give(make, text):
    with pytest.raises((TypeError, ValueError)) as refused:
        make()

    assert text in str(refused.value)


def test_an_option_of_a_child_that_spawn_has_not_is_said_to_be_one():
    with pytest.raises(TypeError, match=r"backoff is an option of supervisor\.Child, in a Tree$"):
        encode_fields(Camera, {"backoff": Backoff()}, SPAWN_OPTIONS)


@pytest.mark.parametrize(
    ("call", "options"),
    [
        (Child, CHILD_OPTIONS),
        (Pool, POOL_OPTIONS),
        (supervisor.System.spawn, SPAWN_OPTIONS),
    ],
)
def test_the_options_that_are_hinted_at_are_those_there_are(call, options):
    parameters = inspect.signature(call).parameters.values()

    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} == set(options)


def test_ctrl_c_while_joining_shows_the_callers_line_and_none_of_ours(tmp_path):
    endpoint, caller = f"ipc://{tmp_path}/silent", threading.get_ident()

    def hear_and_interrupt():
        router.recv()
        signal.pthread_kill(caller, signal.SIGINT)

    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(endpoint)
        listener = threading.Thread(target=hear_and_interrupt)
        listener.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            supervisor.connect(endpoint)
        listener.join()

    files = {
        entry.path.name for entry in caught.traceback if "site-packages" not in str(entry.path)
    }
    assert files == {"test_entrance.py"}


def test_words_that_come_together_are_heard_one_after_the_other():
    host = entrance._Host(None)
    ready = SupervisorReady("ipc:///nowhere", "/nowhere", [], 1)
    host._theirs.sendall(frame(ready) + frame(SupervisorEnded("its work is done: soon")))

    assert host._next() == ready
    assert host.last_word() == "its work is done: soon"
    host._theirs.close()
    assert host.last_word() == ""
    host.abandon()
