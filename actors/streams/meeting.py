"""Where the writer and the readers of a ring meet: one small file per name.

    $XDG_RUNTIME_DIR/understudy-streams/NAME     or /tmp/understudy-streams-<uid>/NAME     0600

    content   where the ring is (JSON), written by its writer
    byte 0    locked by the writer as long as it lives: there is one at a time
    byte 1    locked by every reader (shared): so the writer can see whether anybody reads

The kernel gives locks back when their holder dies, however it dies.  Who lets go last removes the
file.  One that stays after a kill says nothing wrong: its ring is gone, and the next one uses it.
Without the lock there would be two writers, so a kernel that has none to give is an error here.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Final, final

from actors.arrays import locks
from actors.arrays.ring import RingAddress
from actors.arrays.segment import HAS_MEMFD
from actors.errors import AccessDenied

LONGEST: Final = 4096
"""Bytes of the file that are read."""

_WRITER: Final = 0
_READERS: Final = 1
_BOTH: Final = 2


def meeting_folder() -> Path:
    """Return the folder of this user's meetings, made if need be.

    Raises:
        AccessDenied: somebody else could write there.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    shared = Path(tempfile.gettempdir()) / f"understudy-streams-{os.getuid()}"
    folder = Path(runtime) / "understudy-streams" if runtime else shared
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise AccessDenied(
            reason=f"{folder} is not a folder of yours alone: remove it, or set XDG_RUNTIME_DIR"
        )
    return folder


@final
class Meeting:
    """One end's hold on the file of a name.  Ends with `close`."""

    def __init__(self, name: str, *, writes: bool) -> None:
        """Come to the meeting.

        Raises:
            OSError: a second writer; or the file cannot be made; or this is not Linux.
        """
        if not (HAS_MEMFD and locks.HAS_LOCKS):
            raise OSError(errno.ENOTSUP, "shm:// needs Linux. Use a zmq carrier over ipc://.")
        self._path = meeting_folder() / name
        self._descriptor = self._enter(writes=writes)

    def _enter(self, *, writes: bool) -> int:
        while True:
            descriptor = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                self._claim(descriptor, writes=writes)
                if _same(descriptor, self._path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # it was removed between opening and locking: once more

    def _claim(self, descriptor: int, *, writes: bool) -> None:
        if not writes:
            locks.wait_to_share(descriptor, _READERS)
        elif not locks.exclude(descriptor, _WRITER):
            raise OSError(
                errno.EADDRINUSE,
                f"shm://{self._path.name} has a writer. End it, or choose another name.",
            )

    def publish(self, address: RingAddress) -> None:
        """Say where the ring is."""
        said = [address.pid, address.where, address.cookie, address.host.hex()]
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(said).encode(), 0)

    def find(self) -> RingAddress | None:
        """Return where the ring is, if somebody has said so."""
        try:
            pid, where, cookie, host = json.loads(os.pread(self._descriptor, LONGEST, 0))
            return RingAddress(int(pid), int(where), int(cookie), bytes.fromhex(host))
        except (ValueError, TypeError):
            return None  # empty, or being written

    def written(self) -> bool:
        """Return whether a living writer is there."""
        return locks.is_locked(self._descriptor, _WRITER)

    def read(self) -> bool:
        """Return whether a living reader is there."""
        return locks.is_locked(self._descriptor, _READERS)

    def close(self) -> None:
        """Leave; the last one removes the file.  Twice is fine."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            if locks.exclude(descriptor, _WRITER, _BOTH) and _same(descriptor, self._path):
                self._path.unlink()
        finally:
            os.close(descriptor)


def _same(descriptor: int, path: Path) -> bool:
    """Return whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
