"""Systems side by side, and programs that join them."""

from __future__ import annotations

import pytest
from scenes import Add, Player

import supervisor
from actors.errors import AccessDenied, ConnectionLost, SpawnError

pytestmark = pytest.mark.process


def test_two_systems_live_in_one_program():
    with supervisor.start() as one, supervisor.start() as other:
        first, second = (s.spawn(Player, name="player") for s in (one, other))

        assert one.pid != other.pid
        assert one.kill("player") == 1
        assert first.ask(Add(1, 2)).result() == second.ask(Add(1, 2)).result() == 3.0
        assert [s.status().actors[0].incarnation for s in (one, other)] == [2, 1]


def test_a_name_that_is_taken_is_refused_and_disturbs_nobody(capfd):
    with supervisor.start(name="stage") as system:
        player = system.spawn(Player, name="player")

        with pytest.raises(FileExistsError, match=rf"'stage' is already running, pid {system.pid}"):
            supervisor.start(name="stage")
        assert player.ask(Add(1, 2)).result() == 3.0
        assert supervisor.connect("stage").status().pid == system.pid
    assert capfd.readouterr().err == ""


def test_a_joined_program_hears_why_the_system_ended():
    system = supervisor.start(name="stage")
    joined = supervisor.connect("stage")
    system.spawn(Player, name="player")
    assert joined.ref("player").ask(Add(1, 2)).result() == 3.0
    system.close()

    with joined:
        assert joined.wait_ended(5.0) == "it was shut down"
        with pytest.raises(ConnectionLost, match="it was shut down"):
            joined.ref("player").ask(Add(1, 2))
    with pytest.raises(ConnectionLost, match="no system called 'stage' runs"):
        supervisor.connect("stage")


def test_without_keys_a_system_listens_on_loopback_only(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_KEYS", str(tmp_path / "keys"))
    for endpoint in ("tcp://0.0.0.0:7700", "tcp://*:7700", "tcp://192.0.2.1:7700"):
        with pytest.raises(AccessDenied, match=r"Run `understudy keys init`"):
            supervisor.start(listen=endpoint)

    with supervisor.start(listen="tcp://127.0.0.1:*") as system:
        (endpoint,) = system.status().listening
        assert endpoint.startswith("tcp://127.0.0.1:")
        system.spawn(Player, name="player")
        with supervisor.connect(endpoint) as joined:
            assert joined.ref("player").ask(Add(1, 2)).result() == 3.0
        with pytest.raises(SpawnError, match=r"nobody can listen on .*: Address already in use"):
            supervisor.start(listen=endpoint)
