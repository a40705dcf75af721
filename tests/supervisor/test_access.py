"""The thread that answers whether a key may come in, asked as libzmq asks it."""

from __future__ import annotations

import secrets

import pytest
import zmq

from supervisor.access import DOMAIN, ZAP, Allowances, Doorkeeper, identity_of
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
