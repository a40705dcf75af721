"""The thread that answers whether a key may come in, asked as libzmq asks it."""

from __future__ import annotations

import contextlib
import secrets

import pytest
import zmq

from actors.connection import Curve
from supervisor.access import (
    DOMAIN,
    ZAP,
    Allowances,
    Doorkeeper,
    Gate,
    identity_of,
    new_key_pair,
)
from supervisor.keys import KeyRing, key_text
from supervisor.roles import Role


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys")


@pytest.fixture
def knock(ring):
    """Ask for a key as libzmq does; return the status of the answer."""
    doorkeeper = Doorkeeper(Allowances(ring, identity_of(ring)))
    with doorkeeper.context.socket(zmq.REQ) as asking:
        asking.linger = 0
        asking.connect(ZAP)

        def knock(key):
            asking.send_multipart([b"1.0", b"1", DOMAIN, b"10.0.0.7", b"", b"CURVE", key])
            return asking.recv_multipart()[2]

        yield knock
    doorkeeper.context.term()


def test_an_allowed_key_comes_in_as_soon_as_the_file_says_so(ring, knock):
    key = secrets.token_bytes(32)
    before = knock(key)
    ring.allow(key, name="laptop", role=Role.VIEWER)

    assert (before, knock(key)) == (b"400", b"200")


@pytest.mark.parametrize("length", [0, 31, 33, 1000])
def test_what_is_no_key_does_not_come_in(knock, length):
    assert knock(b"k" * length) == b"400"


def test_a_file_that_cannot_be_read_lets_nobody_in_and_the_door_is_kept(ring, knock, capfd):
    key = secrets.token_bytes(32)
    ring.allow(key, name="laptop", role=Role.VIEWER)
    assert knock(key) == b"200"
    ring.allowed_path.unlink()
    ring.allowed_path.mkdir(mode=0o700)

    assert knock(key) == b"400"
    assert "allowed cannot be read" in capfd.readouterr().err
    ring.allowed_path.rmdir()
    ring.allow(key, name="laptop", role=Role.VIEWER)
    assert knock(key) == b"200"


def test_a_key_that_comes_again_and_again_is_named_once(knock, capfd):
    key = secrets.token_bytes(32)
    for _ in range(50):
        assert knock(key) == b"400"

    assert capfd.readouterr().err.count(key_text(key)) == 1


def test_a_scanner_with_ever_new_keys_does_not_fill_the_log(knock, capfd):
    for _ in range(1000):
        assert knock(secrets.token_bytes(32)) == b"400"

    assert capfd.readouterr().err.count("refused a key") <= 100


# --- without a doorkeeper -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_doorkeeper_has_died_nobody_comes_in_and_the_broker_is_told_to_end(ring):
    keys = new_key_pair()
    ring.allow(keys.public, name="laptop", role=Role.ADMIN)
    gate = Gate(ring.directory, 1 << 20)
    endpoint = gate.bind("tcp://127.0.0.1:*")
    with contextlib.ExitStack() as stack:
        stack.callback(gate._doorkeeper.context.destroy, 0)
        assert hello(stack, endpoint, gate, keys)
        gate.check()

        gate._allowances._ring = None  # whatever it is that ends the thread

        assert not hello(stack, endpoint, gate, keys)
        with pytest.raises(RuntimeError, match="thread that checks keys has ended"):
            gate.check()


def hello(stack, endpoint, gate, keys):
    """Whether somebody with these keys is heard."""
    dealer = stack.enter_context(zmq.Context.instance().socket(zmq.DEALER))
    dealer.linger = 0
    dealer.curve_serverkey = gate._allowances._own.key
    dealer.curve_publickey, dealer.curve_secretkey = keys.public, keys.secret
    dealer.connect(endpoint)
    dealer.send(b"hello")
    return gate.socket.poll(2000) != 0 and gate.socket.recv_multipart()[1] == b"hello"


def test_no_secret_is_shown(ring):
    keys = identity_of(ring)
    secret = (keys.secret, key_text(keys.secret), repr(keys.secret))
    curve = Curve(keys.public, keys.public, keys.secret)

    shown = f"{keys} {keys!r} {curve} {curve!r}"

    assert not any(str(one) in shown for one in secret)
