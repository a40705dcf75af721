"""The table of `understudy status`, at every width."""

from __future__ import annotations

import io

import attrs
import pytest
from rich.console import Console

from supervisor.cli.status import show
from supervisor.status import ActorStatus, SharedMemory, SharedPool, SystemStatus


def actor(name: str, state: str, **facts: object) -> ActorStatus:
    known: dict[str, object] = {
        "pid": 12345,
        "incarnation": 3,
        "restarts": 2,
        "uptime": 8040.0,
        "mailbox": 57,
        "handled": 123456,
        "failed": 0,
        "expired": 0,
        "current": "",
        "memory": 210_000_000,
        "cpu": 0.96,
        "heartbeat": 0.1,
        "restart": "permanent",
        "last_exit": "",
        "next_start": None,
        "metadata": {},
    }
    return ActorStatus(name=name, state=state, **(known | facts))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


ACTORS = [
    actor("compute-with-a-long-name", "busy", current="Advance"),
    actor("camera", "backoff", pid=None, last_exit="raised ValueError: bad gain", next_start=3.2),
]
SYSTEM = SystemStatus(
    name="lab",
    pid=12000,
    uptime=9000.0,
    endpoint="ipc:///run/lab",
    listening=[],
    broker_pid=12001,
    broker_restarts=0,
    actors=ACTORS,
    failures=["camera/2 raised ValueError: bad gain"],
    dead_letters=4,
)


def shown(width: int, actors: list[ActorStatus] = ACTORS) -> list[str]:
    out = io.StringIO()
    show(SYSTEM, actors, Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_status_of_nobody_is_an_error_that_names_those_there_are() -> None:
    assert SYSTEM.actor("camera") is ACTORS[1]
    with pytest.raises(KeyError, match=r"did you mean camera.* compute-with-a-long-name"):
        SYSTEM.actor("kamera")


@pytest.mark.parametrize("width", [60, 80, 120, 400])
def test_no_cell_is_cut_and_no_row_is_broken(width: int) -> None:
    lines = shown(width)

    assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
    assert any(line.startswith("compute-with-a-long-name/3  busy") for line in lines)
    assert any(line.startswith("camera/3                    backoff") for line in lines)
    assert "  compute-with-a-long-name/3: handles Advance" in lines
    assert "  camera/3: raised ValueError: bad gain (next start in 3.2 s)" in lines
    assert any(line.startswith("ACTOR") and "MAILBOX" in line for line in lines)


@pytest.mark.parametrize(("last_exit", "lines"), [("stopped", 1), ("ended by itself", 2)])
def test_of_one_that_is_stopped_it_is_said_once(last_exit: str, lines: int) -> None:
    lines_of_it = shown(400, [actor("camera", "stopped", pid=None, last_exit=last_exit)])

    assert len([line for line in lines_of_it if "camera/3" in line]) == lines


def test_who_shares_memory_is_shown() -> None:
    camera = actor("camera", "running", shared=SharedMemory(12 << 20, 3, 2, 5.0, 7, 50 << 20))
    program = SharedMemory(0, 0, 0, 0.0, 1, 1 << 20, 4)
    pool = SharedPool(1 << 30, 16 << 20, {"client-7-0a": program})
    seen = attrs.evolve(SYSTEM, actors=[camera], shared=pool)
    out = io.StringIO()
    show(seen, [camera], Console(file=out, width=80))

    assert (
        "Shared memory  17 MB of 1.1 GB\n"
        "  camera: 13 MB   arrays 3   readers 2   oldest 5.0 s   copied 7 (52 MB)\n"
        "  client-7-0a: 0 B   arrays 0   readers 0   oldest 0.0 s   copied 1 (1.0 MB)   "
        "found no room 4\n"
    ) in out.getvalue()


def test_a_narrow_terminal_shows_what_matters_most() -> None:
    assert shown(200)[1].split() == [
        *("ACTOR", "STATE", "PID", "UP", "CPU", "MEM", "MAILBOX", "HANDLED", "RESTARTS")
    ]
    assert shown(80)[1].split() == ["ACTOR", "STATE", "PID", "UP", "MEM", "MAILBOX", "RESTARTS"]
