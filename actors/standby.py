"""A process that stands ready for somebody's next life: it has the class and no name yet.

    Prepare ─► import ─► Prepared ─► waits ── Check ─► Prepared(current) ── Boot ─► lives

What was edited after the import must not run, so before it is given a life it looks whether the
files of the modules it has imported are still those.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from actors.control import Boot, Check, ClassName, Prepared

if TYPE_CHECKING:
    from actors.lifeline import Lifeline

Stamp: TypeAlias = "tuple[int, int] | None"
"""Size and time of the last change; None for a file that is not there."""


def stand_by(words: Lifeline, files: Iterable[str]) -> Boot | None:
    """Say that all is imported; return who to be, None when the supervisor has ended."""
    stamps = {file: stamp(file) for file in files}
    words.say(Prepared())
    while True:
        word = words.first()
        if isinstance(word, Boot):
            return word
        if not isinstance(word, Check):
            return None
        words.say(Prepared(all(stamp(file) == then for file, then in stamps.items())))


def files_behind(actor: ClassName, known: Iterable[str]) -> set[str]:
    """Return the files of the modules that were imported besides `known`, and of the class."""
    new = sys.modules.keys() - set(known)
    found = {getattr(sys.modules[name], "__file__", None) for name in new}
    return {file for file in (*found, actor.script, actor.definition) if file}


def stamp(file: str) -> Stamp:
    """Return what changes with a file."""
    try:
        seen = Path(file).stat()
    except OSError:
        return None
    return seen.st_size, seen.st_mtime_ns
