"""`understudy keys`: two users who let each other in, with commands only."""

from __future__ import annotations

import pytest

import supervisor
from actors.errors import AccessDenied
from supervisor.cli.app import main


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command as one of several users; return its exit code and what it printed."""

    def run(user, *arguments):
        monkeypatch.setenv("UNDERSTUDY_KEYS", str(tmp_path / user))
        code = main(["keys", *arguments])
        said = capsys.readouterr()
        return code, (said.out + said.err).strip()

    return run


def test_the_key_of_a_user_is_made_once(command):
    first = command("ann", "init")

    assert first == command("ann", "show") == command("ann", "init")
    assert first != command("bob", "init")
    assert (first[0], len(first[1])) == (0, 52)


@pytest.mark.process
def test_two_users_come_together(command, monkeypatch):
    _, ann = command("ann", "show")
    _, bob = command("bob", "show")
    assert command("ann", "allow", bob, "--name", "bob", "--role", "viewer")[0] == 0
    assert command("ann", "list") == (0, f"{bob}  viewer    bob")

    with supervisor.start(listen="tcp://127.0.0.1:*") as system:
        (endpoint,) = system.status().listening
        assert command("bob", "trust", endpoint, ann)[0] == 0
        with supervisor.connect(endpoint) as guest:
            assert guest.status().listening == [endpoint]
        assert command("ann", "revoke", "bob") == (0, "bob may not join any more")
        assert command("bob", "show")[0] == 0
        with pytest.raises(AccessDenied, match="is not allowed there"):
            supervisor.connect(endpoint)
        monkeypatch.setenv("UNDERSTUDY_ENDPOINT", endpoint)
        assert main(["status"]) == 77


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["allow", "nonsense", "--name", "x"], "is no key"),
        (["allow", "a" * 52, "--name", "../x"], "is no name for a key"),
        (["revoke", "carol"], "no key 'carol' is allowed; there are: none"),
        (["trust", "tcp://lab:1", "nonsense"], "is no key"),
        (["trust", "lab:7700", "a" * 52], "ENDPOINT='lab:7700': write it as tcp://"),
        (["allow", "a" * 52, "--name", "x", "--role", "king"], "king"),
    ],
)
def test_mistakes_are_named(command, arguments, text):
    code, said = command("ann", *arguments)

    assert (code, text in said) == (2, True), said


def test_files_that_others_can_write_are_refused(command, tmp_path):
    command("ann", "allow", "a" * 52, "--name", "x")
    (tmp_path / "ann" / "allowed").chmod(0o666)

    code, said = command("ann", "list")

    assert (code, "chmod 600" in said) == (77, True)
