"""What a process has imported, and whether the disk still says the same.

What was edited since must not run: whoever holds imported code for a life that is still to begin
looks before it lends it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias, final

Stamp: TypeAlias = "tuple[int, ...] | None"
"""What changes with a file; None for one that is not there."""

COARSE: Final = 50_000_000
"""Nanoseconds that the time on a file may be behind the clock: kernels look at it now and then."""


@final
class Imported:
    """Files that were read, as they were then."""

    def __init__(self, files: Iterable[str], began: int) -> None:
        """Look at the files now; reading them began at `began`, nanoseconds of `time.time_ns`."""
        self._stamps: Final = {file: stamp(file) for file in files}
        # What was written meanwhile may have been read before.
        early = began - COARSE
        late = (file for file, then in self._stamps.items() if then and then[-1] >= early)
        self._doubtful: Final = next(late, "")

    def changed(self) -> str:
        """Return a file that is not as it was read, or may not be; "" when all are."""
        if self._doubtful:
            return self._doubtful
        return next((file for file, then in self._stamps.items() if stamp(file) != then), "")


PRELOADED: Final[list[Imported]] = []
"""What the process that this one was forked from had imported for it."""


def files_since(known: Iterable[str]) -> set[str]:
    """Return the files of the modules that were imported besides `known`."""
    new = sys.modules.keys() - set(known)
    return {file for name in new if (file := _file_of(sys.modules.get(name)))}


def _file_of(module: object) -> str:
    """Return a module's file; "" for none."""
    if isinstance(module, ModuleType):  # a lazy one would be imported if it were asked as others
        file = object.__getattribute__(module, "__dict__").get("__file__")
    else:
        try:
            file = getattr(module, "__file__", None)
        except Exception:  # noqa: BLE001 - anything may stand for a module, and raise anything
            file = None
    return file if isinstance(file, str) else ""


def stamp(file: str) -> Stamp:
    """Return what changes with a file."""
    try:
        seen = Path(file).stat()
    except (OSError, ValueError):
        return None
    # An installer may give every file the same time; when its entry was changed nobody can set.
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
