"""The census: who reads what in place, as the kernel's list of locks says.

    /proc/locks         37: OFDLCK ADVISORY READ -1 00:01:1042 8192 8192     one line for each lease
    /proc/<pid>/fd      9 -> /memfd:understudy-arena-<pid> (deleted)         which memory is whose

Both cost a while where there is much of it, so a census is taken once for all who are looked at.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final, final

from actors.arrays.segment import ARENA

_LEASE: Final = ["OFDLCK", "ADVISORY", "READ"]


@final
class Census:
    """All leases of this host at one moment."""

    def __init__(self) -> None:
        """Read the kernel's list; without one nobody reads anything."""
        try:
            lines = Path("/proc/locks").read_text("ascii").splitlines()
        except OSError:
            lines = []
        words = map(str.split, lines)
        self._leases: Counter[str] = Counter(line[5] for line in words if line[1:4] == _LEASE)

    def readers_of(self, pid: int) -> int:
        """Return how many blocks of a process are read in place, each reader counted.

        0 when that cannot be known.
        """
        try:
            all_open = Path(f"/proc/{pid}/fd").iterdir()
            files = {_lock_name(fd) for fd in all_open if _is_its_own(fd, pid)}
        except OSError:
            return 0
        return sum(self._leases[file] for file in files)


def _is_its_own(fd: Path, pid: int) -> bool:
    """Tell whether it is memory that the process has made: it may have attached other's, too."""
    try:
        return fd.readlink().name.startswith(f"memfd:{ARENA}-{pid} ")
    except OSError:  # it was closed meanwhile
        return False


def _lock_name(fd: Path) -> str:
    """Return the name of an open file in /proc/locks; "" when it was closed meanwhile."""
    try:
        status = fd.stat()
    except OSError:
        return ""
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
