"""The key files: what is written, what is read back, what is refused."""

from __future__ import annotations

import os
import secrets
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import AccessDenied
from supervisor.keys import KeyPair, KeyRing, key_text, parse_key
from supervisor.roles import Role


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "keys")


def fresh():
    return secrets.token_bytes(32)


# --- keys as text ---------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32))
def test_a_key_survives_as_text_that_a_shell_leaves_alone(key):
    assert parse_key(key_text(key)) == key
    assert key_text(key).isalnum()


@pytest.mark.parametrize("text", ["", "abc", "A" * 52, "1" * 52, "a" * 51 + "!", "a" * 53])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="52 letters and digits"):
        parse_key(text)


# --- who we are -----------------------------------------------------------------------------------


def test_the_first_identity_stays(ring):
    assert ring.identity() is None
    first = KeyPair(fresh(), fresh())

    assert ring.keep_identity(first) == first
    assert ring.keep_identity(KeyPair(fresh(), fresh())) == first


def test_secrets_are_for_nobody_else_and_never_shown(ring):
    pair = ring.keep_identity(KeyPair(fresh(), fresh()))

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (ring.directory, *_files(ring))]

    assert modes == [0o700, 0o600]
    assert repr(pair.secret) not in repr(pair)


def _files(ring):
    return sorted(ring.directory.iterdir())


def test_a_secret_that_others_can_read_is_refused_with_the_command_that_mends_it(ring):
    ring.keep_identity(KeyPair(fresh(), fresh()))
    path = ring.directory / "identity"
    path.chmod(0o640)

    with pytest.raises(AccessDenied, match=f"chmod 600 {path}"):
        ring.identity()


def test_a_directory_that_others_can_enter_is_refused(ring):
    ring.directory.mkdir(mode=0o755)

    with pytest.raises(AccessDenied, match=f"chmod 700 {ring.directory}"):
        ring.keep_identity(KeyPair(fresh(), fresh()))


def test_a_link_in_the_place_of_a_file_is_not_followed(ring, tmp_path):
    ring.keep_identity(KeyPair(fresh(), fresh()))
    path = ring.directory / "identity"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(AccessDenied, match="cannot be read"):
        ring.identity()


@pytest.mark.parametrize("text", ["public x\nsecret y\n", "public\n", "hello there\n"])
def test_a_damaged_identity_is_an_error_not_a_new_identity(ring, text):
    ring.keep_identity(KeyPair(fresh(), fresh()))
    (ring.directory / "identity").write_text(text)

    with pytest.raises(AccessDenied, match=r"damaged|2 words"):
        ring.identity()


# --- whom we let in -------------------------------------------------------------------------------


def test_keys_are_let_in_changed_and_shown_out(ring):
    laptop, tablet = fresh(), fresh()
    ring.allow(laptop, name="laptop", role=Role.VIEWER)
    ring.allow(tablet, name="tablet", role=Role.ADMIN)
    ring.allow(laptop, name="laptop", role=Role.OPERATOR)

    assert {e.name: e.role for e in ring.allowed().values()} == {
        "laptop": Role.OPERATOR,
        "tablet": Role.ADMIN,
    }
    assert ring.revoke(key_text(tablet)).name == "tablet"
    assert ring.revoke("laptop").key == laptop
    assert ring.allowed() == {}
    with pytest.raises(ValueError, match="no key 'laptop' is allowed; there are: none"):
        ring.revoke("laptop")


def test_a_name_stands_for_one_key(ring):
    ring.allow(fresh(), name="laptop", role=Role.VIEWER)

    with pytest.raises(ValueError, match="the name of another key"):
        ring.allow(fresh(), name="laptop", role=Role.VIEWER)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a\nb", "-x", "#"])
def test_a_name_cannot_break_the_file(ring, name):
    with pytest.raises(ValueError, match="no name for a key"):
        ring.allow(fresh(), name=name, role=Role.VIEWER)


def test_people_may_edit_the_file(ring):
    key = fresh()
    ring.allow(fresh(), name="other", role=Role.VIEWER)
    ring.allowed_path.write_text(f"# the lab\n\n{key_text(key)}  admin  boss # since May\n")

    assert [(e.key, e.role, e.name) for e in ring.allowed().values()] == [(key, "admin", "boss")]


@pytest.mark.parametrize("line", ["x y z", "a b", f"{'a' * 52} king me", f"{'a' * 52} admin"])
def test_a_line_that_makes_no_sense_lets_nobody_in(ring, line):
    ring.allow(fresh(), name="one", role=Role.VIEWER)
    ring.allowed_path.write_text(f"{ring.allowed_path.read_text()}{line}\n")

    with pytest.raises(AccessDenied, match=str(ring.allowed_path)):
        ring.allowed()


def test_a_file_that_others_can_write_lets_nobody_in(ring):
    ring.allow(fresh(), name="one", role=Role.VIEWER)
    ring.allowed_path.chmod(0o622)

    with pytest.raises(AccessDenied, match="chmod 600"):
        ring.allowed()


# --- whom we trust --------------------------------------------------------------------------------


def test_the_last_word_about_a_server_holds(ring):
    one, two, other = fresh(), fresh(), fresh()
    ring.trust("tcp://lab:7700", one)
    ring.trust("tcp://hall:7700", other)
    ring.trust("tcp://lab:7700", two)

    assert ring.server("tcp://lab:7700") == two
    assert ring.server("tcp://hall:7700") == other
    assert ring.server("tcp://nowhere:1") is None


def test_keys_that_are_let_in_at_the_same_time_are_all_let_in(ring):
    names = [f"laptop-{n}" for n in range(16)]
    together = threading.Barrier(len(names))

    def allow(name):
        together.wait()
        ring.allow(fresh(), name=name, role=Role.VIEWER)

    threads = [threading.Thread(target=allow, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(entry.name for entry in ring.allowed().values()) == sorted(names)


@pytest.mark.parametrize("name", ["identity", "allowed", "servers"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(ring, name):
    ring.directory.mkdir(mode=0o700)
    os.mkfifo(ring.directory / name, 0o600)

    with pytest.raises(AccessDenied, match=f"{name} is no file"):
        {"identity": ring.identity, "allowed": ring.allowed}.get(name, lambda: ring.server("x"))()


def test_files_in_a_directory_that_others_may_write_to_are_not_trusted(ring):
    ring.allow(fresh(), name="laptop", role=Role.VIEWER)
    ring.directory.chmod(0o777)

    with pytest.raises(AccessDenied, match=f"chmod 700 {ring.directory}"):
        ring.allowed()


def test_a_list_that_is_too_long_is_not_cut_off_in_the_middle(ring):
    ring.allow(fresh(), name="laptop", role=Role.VIEWER)
    with ring.allowed_path.open("a") as file:
        file.write("#" * (1 << 20))

    with pytest.raises(AccessDenied, match="it is no list"):
        ring.allowed()


def test_what_is_no_file_is_named_not_trusted(ring):
    ring.keep_identity(KeyPair(fresh(), fresh()))
    ring.allowed_path.mkdir(mode=0o700)

    with pytest.raises(AccessDenied, match="allowed cannot be read"):
        ring.allowed()


# --- whom we trust --------------------------------------------------------------------------------


def test_the_newest_key_of_a_system_holds(ring):
    old, new = fresh(), fresh()
    assert ring.server("tcp://lab:5555") is None
    ring.trust("tcp://lab:5555", old)
    ring.trust("tcp://other:5555", old)
    ring.trust("tcp://lab:5555", new)

    assert ring.server("tcp://lab:5555") == new
    assert ring.server("tcp://other:5555") == old


def test_a_damaged_list_of_systems_is_named_not_trusted(ring):
    ring.trust("tcp://lab:5555", fresh())
    (ring.directory / "servers").write_text("tcp://lab:5555 nonsense\n")

    with pytest.raises(AccessDenied, match="servers: 'nonsense' is no key"):
        ring.server("tcp://lab:5555")
