"""One behaviour suite over every transport: what runs here runs over each of them alike.

local          between processes of one host, direct connections without ZeroMQ, as is usual
ipc            the same with direct connections over ZeroMQ

system         a running system, shared by the tests of one module and transport
spawn          starts an actor there under a name of its own and stops it after the test
start_system   starts a system that belongs to one test alone
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from pathlib import Path

import pytest

import supervisor
from actors.errors import ActorError
from supervisor import Intensity, Tree

# Actor processes import the troupe by its name, so its directory goes with `sys.path`.
sys.path.insert(0, str(Path(__file__).parent))

TRANSPORTS = ("local", "ipc", "tcp", "inproc")
_serial = itertools.count(1)


@contextlib.contextmanager
def over_zeromq():
    """What is started meanwhile connects directly over ZeroMQ only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_LOCAL_SOCKETS", "0")
        yield


@contextlib.contextmanager
def running(transport, tree=None, **options):
    """A system that is used over one transport."""
    if transport == "inproc":
        with supervisor.start(tree, inproc=True, **options) as system:
            yield system
    elif transport == "local":
        with supervisor.start(tree, **options) as system:
            yield system
    elif transport == "ipc":
        with over_zeromq(), supervisor.start(tree, **options) as system:
            yield system
    else:
        with (
            supervisor.start(tree, listen="tcp://127.0.0.1:*", **options) as host,
            supervisor.connect(host.status().listening[0]) as system,
        ):
            yield system


@pytest.fixture(scope="module", params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture(scope="module")
def system(transport):
    # Many tests let actors fall, which is more than one system would otherwise bear.
    with running(transport, Tree(intensity=Intensity(100_000, 1.0))) as system:
        yield system


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"actor-{next(_serial)}"


@pytest.fixture
def spawn(system):
    names = []

    def start(cls, /, *, name=None, **fields):
        name = name or f"{cls.__name__.lower()}-{next(_serial)}"
        ref = system.spawn(cls, name=name, **fields)
        names.append(name)
        return ref

    yield start

    for each in reversed(names):
        with contextlib.suppress(ActorError):
            system.stop(each)


@pytest.fixture
def start_system(transport):
    with contextlib.ExitStack() as stack:

        def start(tree=None, **options):
            return stack.enter_context(running(transport, tree, **options))

        yield start
