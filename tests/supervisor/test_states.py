"""What incarnations leave to the next, in memory and on disk (supervisor/states.py)."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from actors.control import Saved
from supervisor.states import FILE, StateDirError, StateFile, States


def saved(text="x", number=1):
    return Saved("m:State", text.encode(), number)


def keep_all(states, *pairs):
    """Keep states, and wait until the disk has had its try at each."""

    async def run():
        done = asyncio.Event()
        left = len(pairs)

        def kept():
            nonlocal left
            left -= 1
            if not left:
                done.set()

        for name, state in pairs:
            states.keep(name, state, kept)
        await asyncio.wait_for(done.wait(), 10.0)

    asyncio.run(run())


def test_without_a_file_states_are_in_memory():
    states = States()
    states.keep("a", saved("1"), lambda: None)
    states.keep("a", saved("2"), lambda: None)

    assert states.get("a") == saved("2")
    assert states.get("b") is None
    states.forget("a")
    assert states.get("a") is None
    assert not states.durable
    states.close()


def test_what_was_kept_is_on_disk_when_the_word_comes(tmp_path):
    states = States(StateFile(tmp_path / "deep" / "er"))
    keep_all(states, ("a", saved("1")), ("b", saved("ü" * 1000)), ("a", saved("2")))

    with sqlite3.connect(f"file:{tmp_path}/deep/er/{FILE}?mode=ro", uri=True) as other:
        rows = dict(other.execute("SELECT name, payload FROM states"))
        (mode,) = other.execute("PRAGMA journal_mode").fetchone()
    other.close()
    assert rows == {"a": b"2", "b": ("ü" * 1000).encode()}
    assert mode == "wal"
    states.close()


def test_the_next_system_finds_what_the_last_one_kept(tmp_path):
    first = States(StateFile(tmp_path))
    keep_all(first, ("a", saved("1")), ("b", saved("2")), ("c", saved("3")))
    first.forget("b")
    keep_all(first, ("c", saved("4")))
    first.close()

    second = States(StateFile(tmp_path))
    assert second.get("a") == Saved("m:State", b"1")
    assert second.get("b") is None
    assert second.get("c") == Saved("m:State", b"4")
    second.close()


def test_closing_writes_what_nobody_waits_for(tmp_path):
    states = States(StateFile(tmp_path))

    async def run():
        for number in range(100):
            states.keep(f"a{number}", saved(number=0), lambda: None)

    asyncio.run(run())
    states.close()

    again = States(StateFile(tmp_path))
    assert all(again.get(f"a{number}") for number in range(100))
    again.close()
    assert "states" not in [thread.name for thread in threading.enumerate()]


def test_a_directory_serves_one_system_at_a_time(tmp_path):
    first = StateFile(tmp_path)
    with pytest.raises(StateDirError, match="is used by another system: give each its own"):
        StateFile(tmp_path)

    first.close()
    StateFile(tmp_path).close()


def foreign(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE addresses (street TEXT)")
    other.close()


def newer(path):
    StateFile(path.parent).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version=99")
    other.close()


def damaged(path):
    states = States(StateFile(path.parent))
    keep_all(states, *((f"a{number}", saved("x" * 5000)) for number in range(50)))
    states.close()
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 200] = b"\xff" * 200
    path.write_bytes(data)


def no_database(path):
    path.write_text("Dear diary, " * 500)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (foreign, "belongs to another program"),
        (newer, "another version of understudy"),
        (damaged, "damaged|malformed"),
        (no_database, "not a database"),
    ],
)
def test_a_file_that_is_not_ours_or_damaged_is_refused_and_left_as_it_is(tmp_path, spoil, reason):
    path = tmp_path / FILE
    spoil(path)
    before = path.read_bytes()

    with pytest.raises(StateDirError, match=f"{FILE}.*{reason}.*Nothing was changed") as caught:
        StateFile(tmp_path)
    assert "Move the file away" in str(caught.value)
    assert path.read_bytes() == before


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StateDirError, match="cannot be used"):
        StateFile(tmp_path / "file" / "below")


def test_a_full_disk_is_reported_and_memory_goes_on(tmp_path, caplog):
    file = StateFile(tmp_path)
    states = States(file)
    keep_all(states, ("a", saved("1")))
    file._connection.execute("PRAGMA max_page_count=8")

    keep_all(states, ("b", saved("x" * 100_000)))
    assert "the states of b could not be written" in caplog.text
    assert "full" in caplog.text
    assert states.get("b").payload == b"x" * 100_000
    file._connection.execute("PRAGMA max_page_count=100000")
    keep_all(states, ("a", saved("2")))

    assert "can be written" in caplog.text
    states.close()
    again = States(StateFile(tmp_path))
    assert (again.get("a").payload, again.get("b").payload) == (b"2", b"x" * 100_000)
    again.close()
