"""What incarnations leave to the next: in memory always, on disk with `state_dir`.

    Saved ──► memory ──► [ a thread: one transaction for all that waits ] ──► Kept
                          sqlite, WAL, synchronous=FULL

The disk may be slow, full or gone: the loop never waits for it, and what is in memory serves the
next incarnation as ever.  What could not be written is tried again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from actors.control import Saved
from actors.log import logger

FILE: Final = "states.sqlite3"
LOCK: Final = "lock"

APPLICATION: Final = 0x75736474
"""Marks a file of ours ("usdt")."""

VERSION: Final = 1

RETRY_SECONDS: Final = 5.0
"""Until what could not be written is tried again, unless something new comes before."""

CLOSE_SECONDS: Final = 10.0

OnKept = Callable[[], object]


class StateDirError(OSError):
    """The state directory cannot be used; nothing in it was changed."""


@final
class StateFile:
    """The states on disk.  Opened in one thread, then used by one other."""

    def __init__(self, directory: Path) -> None:
        """Open, or make, the file in a directory.

        Raises:
            StateDirError: it is in use, or damaged, or somebody else's; or the disk refuses.
        """
        self.path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirError(
                f"the state directory {directory} cannot be used: {error}"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._connection = self._open()
        except BlockingIOError:
            os.close(self._lock)
            text = f"the state directory {directory} is used by another system: give each its own"
            raise StateDirError(text) from None
        except sqlite3.Error as error:
            os.close(self._lock)
            raise StateDirError(self._refusal(str(error))) from None
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> sqlite3.Connection:
        fresh = not self.path.exists() or not self.path.stat().st_size
        # Transactions are begun and ended by hand.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            if fresh:
                self.path.chmod(0o600)
                connection.execute(f"PRAGMA application_id={APPLICATION}")
                connection.execute(f"PRAGMA user_version={VERSION}")
            else:
                self._check(connection)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS states "
                "(name TEXT PRIMARY KEY, tag TEXT NOT NULL, payload BLOB NOT NULL, at REAL)"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION:
            raise StateDirError(self._refusal("it belongs to another program"))
        if version != VERSION:
            text = f"it was written by another version of understudy (format {version})"
            raise StateDirError(self._refusal(text))
        (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise StateDirError(self._refusal(f"it is damaged: {health}"))

    def _refusal(self, why: str) -> str:
        return (
            f"{self.path} is no state file that can be used: {why}. Nothing was changed. "
            "Move the file away, or give another directory."
        )

    def read(self) -> dict[str, Saved]:
        """Return every state, by name."""
        rows = self._connection.execute("SELECT name, tag, payload FROM states")
        return {name: Saved(tag, payload) for name, tag, payload in rows}

    def write(self, changes: dict[str, Saved | None]) -> None:
        """Write states, and remove those that are None, all or none; raises `sqlite3.Error`."""
        connection = self._connection
        now = time.time()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for name, saved in changes.items():
                if saved is None:
                    connection.execute("DELETE FROM states WHERE name=?", (name,))
                else:
                    row = (name, saved.tag, saved.payload, now)
                    connection.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?)", row)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled it back already
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file and let others have the directory."""
        self._connection.close()
        os.close(self._lock)


@final
class States:
    """The latest state of every name."""

    def __init__(self, file: StateFile | None = None) -> None:
        self._file = file
        self._states: dict[str, Saved] = {} if file is None else file.read()
        self._changes: dict[str, Saved | None] = {}
        """What is not on disk yet."""
        self._waiting: list[OnKept] = []
        self._news = threading.Condition()
        self._closing = False
        self._failing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def durable(self) -> bool:
        """Whether states are kept on disk."""
        return self._file is not None

    def get(self, name: str) -> Saved | None:
        """Return what was saved last under a name."""
        return self._states.get(name)

    def keep(self, name: str, saved: Saved, kept: OnKept) -> None:
        """Keep a state; the running loop calls `kept` when the disk has had its try."""
        self._states[name] = saved
        self._change(name, saved, kept if saved.number else None)

    def forget(self, name: str) -> None:
        """Drop a name's state: it was stopped for good."""
        if self._states.pop(name, None) is not None:
            self._change(name, None, None)

    def close(self) -> None:
        """Write what waits, and close the file; the calling thread waits for it."""
        if self._file is None:
            return
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                logger.error("the disk does not take the states of %d names", len(self._changes))
                return  # it still has the file
        self._file.close()

    def _change(self, name: str, saved: Saved | None, kept: OnKept | None) -> None:
        if self._file is None:
            return
        with self._news:
            self._changes[name] = saved
            if kept is not None:
                self._loop = asyncio.get_running_loop()
                self._waiting.append(kept)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="states", daemon=True)
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                retry = RETRY_SECONDS if self._failing else None
                if not self._closing and (self._failing or not self._changes):
                    self._news.wait(retry)
                changes, self._changes = self._changes, {}
                waiting, self._waiting = self._waiting, []
                closing = self._closing
            if changes:
                self._write(changes)
            for kept in waiting:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(kept)
            if closing and (not self._changes or self._failing):
                return

    def _write(self, changes: dict[str, Saved | None]) -> None:
        assert self._file is not None
        try:
            self._file.write(changes)
        except sqlite3.Error as error:
            names = ", ".join(sorted(changes)[:5])
            logger.error(
                "the states of %s could not be written to %s: %s. They are kept in memory, and "
                "writing is tried again", names, self._file.path, error,
            )  # fmt: skip
            self._failing = True
            with self._news:
                self._changes = {**changes, **self._changes}
        else:
            if self._failing:
                logger.warning("states can be written to %s again", self._file.path)
            self._failing = False
