"""A process that stands ready for somebody's next life: it has the class and no name yet.

    Prepare ─► import ─► Prepared ─► waits ── Check ─► Prepared(current) ── Boot ─► lives

What was edited since must not run, so before it is given a life it looks whether the files of the
modules it has imported, or found imported, are still those, and were not changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from actors.control import Boot, Check, ClassName, Prepared
from actors.imported import PRELOADED, Imported, files_since

if TYPE_CHECKING:
    from actors.lifeline import Lifeline


def stand_by(words: Lifeline, files: Iterable[str], began: int) -> Boot | None:
    """Say that all is imported; return who to be, None when the supervisor has ended.

    `began` is when the import did, in nanoseconds of `time.time_ns`.
    """
    imported = [*PRELOADED, Imported(files, began)]
    words.say(Prepared())
    while True:
        word = words.first()
        if isinstance(word, Boot):
            return word
        if not isinstance(word, Check):
            return None
        words.say(Prepared(not any(each.changed() for each in imported)))


def files_behind(actor: ClassName, known: Iterable[str]) -> set[str]:
    """Return the files of the modules that were imported besides `known`, and of the class."""
    return {file for file in (*files_since(known), actor.script, actor.definition) if file}
