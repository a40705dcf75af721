"""Packets on disk: NUMBER.data and NUMBER.json for each, whole or not there.

    1. write .data under another name, rename     2. the same with .json

So a packet is there when its .json is, and what has an ending is complete, whatever was killed.
A full disk is an error of that `write`; nothing of the packet stays.  After a restart numbers go
on above the highest that is there.

All this is about programs.  Nothing waits for the disk (fsync): that would cost more than writing,
for every packet.  So after a power cut the files of the last seconds may be missing, or be empty.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, cast, final

from actors.streams.carrier import Packed, Statistics
from actors.streams.configuration import Configuration

_LOOK: Final = "Look at the folder and its rights"

_NAME: Final = re.compile(r"((?:[^%]|%%)*)%0?\d*d((?:[^%]|%%)*)")
"""The last part of a pattern: before and after the number."""


@final
class FileWriter:
    """Writes every packet into two files, and waits until the system has taken the bytes."""

    def __init__(self, configuration: Configuration) -> None:
        self._pattern = configuration.pattern
        self._title = configuration.title
        self._lock = threading.Lock()
        self._next = 0
        self._sent = self._failed = 0
        self._open = False

    def open(self) -> None:
        """Find the next number.

        Raises:
            OSError: there is no such folder, or it cannot be read.  None is made: what is missing
                may be a mistake in the path, or a disk that is not mounted.
        """
        around = cast("re.Match[str]", _NAME.fullmatch(Path(self._pattern).name))
        before, after = (re.escape(part.replace("%%", "%")) for part in around.groups())
        found = re.compile(rf"{before}(\d+){after}\.(?:json|data)")
        numbers = [int(match[1]) for name in self._names() if (match := found.fullmatch(name))]
        self._next = max(numbers, default=-1) + 1
        self._open = True

    def _names(self) -> list[str]:
        """Return what the folder of the pattern has."""
        folder = Path(self._pattern % 0).parent
        try:
            return [path.name for path in folder.iterdir()]
        except OSError as error:
            remedy = "Make it, or correct the path" if error.errno == errno.ENOENT else _LOOK
            where = f"{self._title}: cannot use the folder {folder.absolute()}"
            raise OSError(error.errno, f"{where}: {error.strerror}. {remedy}.") from None

    def send(self, packed: Packed) -> None:
        """Write the two files.

        Raises:
            OSError: there is no room, or no right; no part of this packet is left.
        """
        with self._lock:
            if not self._open:
                raise RuntimeError(f"{self._title} is closed")
            stem = self._pattern % self._next
            made: list[Path] = []
            try:
                made.append(_write(Path(f"{stem}.data"), packed.data))
                text = json.dumps(json.loads(packed.meta), indent=4)
                made.append(_write(Path(f"{stem}.json"), text.encode()))
            except OSError as error:
                self._failed += 1
                for path in made:
                    path.unlink(missing_ok=True)
                raise _explained(error, stem) from None
            self._next += 1
            self._sent += 1

    def peers(self) -> int:
        """Return 1: the disk is there."""
        return 1

    def waiting(self) -> bool:
        """Return False: what was written is in the system's hands."""
        return False

    def statistics(self) -> Statistics:
        """Return the counts; `dropped` are those that raised."""
        with self._lock:
            written = self._sent + self._failed
            return Statistics(written=written, sent=self._sent, dropped=self._failed)

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            self._open = False


def _write(path: Path, data: bytes) -> Path:
    """Write a file that is whole from the moment it is there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return path


def _explained(error: OSError, stem: str) -> OSError:
    remedy = {
        errno.ENOSPC: "Make room, or write elsewhere",
        errno.EDQUOT: "Make room, or write elsewhere",
        errno.EFBIG: "Send smaller packets, or raise the limit of a file's size (ulimit -f)",
    }.get(error.errno or 0, _LOOK)
    text = f"packet {stem} was not written: {error.strerror or error}. {remedy}; then write again"
    return OSError(error.errno, text)
