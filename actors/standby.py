"""A process that stands ready for somebody's next life: it has the class and no name yet.

    Prepare ─► import ─► Prepared ─► waits ── Check ─► Prepared(current) ── Boot ─► lives

What was edited since must not run, so before it is given a life it looks whether the files of the
modules it has imported are still those, and were not changed while it imported them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeAlias

from actors.control import Boot, Check, ClassName, Prepared

if TYPE_CHECKING:
    from actors.lifeline import Lifeline

Stamp: TypeAlias = "tuple[int, ...] | None"
"""What changes with a file; None for one that is not there."""

COARSE: Final = 50_000_000
"""Nanoseconds that the time on a file may be behind the clock: kernels look at it now and then."""


def stand_by(words: Lifeline, files: Iterable[str], began: int) -> Boot | None:
    """Say that all is imported; return who to be, None when the supervisor has ended.

    `began` is when the import did, in nanoseconds of `time.time_ns`.
    """
    stamps = {file: stamp(file) for file in files}
    # What was written meanwhile may have been read before.
    whole = all(then is None or then[-1] < began - COARSE for then in stamps.values())
    words.say(Prepared())
    while True:
        word = words.first()
        if isinstance(word, Boot):
            return word
        if not isinstance(word, Check):
            return None
        current = whole and all(stamp(file) == then for file, then in stamps.items())
        words.say(Prepared(current))


def files_behind(actor: ClassName, known: Iterable[str]) -> set[str]:
    """Return the files of the modules that were imported besides `known`, and of the class."""
    new = sys.modules.keys() - set(known)
    found = {_file_of(sys.modules.get(name)) for name in new}
    return {file for file in (*found, actor.script, actor.definition) if file}


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
