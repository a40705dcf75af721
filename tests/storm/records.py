"""What a storm leaves on disk, and how it is read again.

    <actor>.ledger     one line for every handler that began, written by the actor itself
    <sender>.book      one line for every message, written by its sender when it knew how it ended
    letters, ends      what the system said of itself: dead letters, ended lives
    killed             senders whose program was killed; their books end before what they did

Each line is one `write` to a file opened for appending, so kill -9 neither tears nor loses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ANSWERED, TOLD = "answered", "told"
UNDELIVERED, UNKNOWN, OVERDUE, ANSWER_LOST = "undelivered", "unknown", "overdue", "answer-lost"
FAILED, REFUSED, CLOSED = "failed", "refused", "closed"
HUNG, WRONG = "hung", "wrong"


class Handled(NamedTuple):
    """A handler that began."""

    actor: str
    life: int
    attempt: int
    sender: str
    number: int


class Sent(NamedTuple):
    """A message, and how it ended for its sender."""

    sender: str
    number: int
    target: str
    how: str
    """tell, ask, event, stream; with `insist` in front for a class that is redelivered."""
    outcome: str
    late: float = 0.0
    """Seconds between its deadline and the end of an ask, where somebody was waiting."""


class Letter(NamedTuple):
    """A dead letter."""

    target: str
    sender: str
    """Who wrote the message, which is not always who sent it: some are passed on."""
    number: int
    begun: bool
    """Whether it may have been handled."""


class End(NamedTuple):
    """A life that ended, as a notice says."""

    name: str
    life: int


class Ledger:
    """A file that only grows; it outlives its writer."""

    def __init__(self, folder: str | Path, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(Path(folder) / name, flags, 0o600)

    def write(self, *words: object) -> None:
        """Append a line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())

    def close(self) -> None:
        """Write nothing more."""
        os.close(self._file)


def rows(folder: Path, pattern: str) -> Iterable[list[str]]:
    """Return the words of every line, file by file."""
    for path in sorted(folder.glob(pattern)):
        with path.open(encoding="utf-8") as lines:
            yield from map(str.split, lines)


def handled(folder: Path) -> list[Handled]:
    """Return every handler that began, in the order of its actor's ledger."""
    found = rows(folder, "*.ledger")
    return [Handled(a, int(life), int(n), s, int(number)) for a, life, n, s, number in found]


def sent(folder: Path) -> list[Sent]:
    """Return every message."""
    found = rows(folder, "*.book")
    return [Sent(s, int(n), t, how, out, float(late)) for s, n, t, how, out, late in found]


def letters(folder: Path) -> list[Letter]:
    """Return every dead letter of a numbered message."""
    found = rows(folder, "letters")
    return [Letter(t, s, int(number), begun == "True") for t, s, number, begun in found]


def ends(folder: Path, name: str) -> list[End]:
    """Return the ended lives in the order in which somebody heard of them."""
    return [End(actor, int(life)) for actor, life in rows(folder, name)]


def killed(folder: Path) -> frozenset[str]:
    """Return the senders that died."""
    return frozenset(name for names in rows(folder, "killed") for name in names)


_NUMBERED = re.compile(r"sender='([^']+)', number=(\d+)")
_NEVER_BEGUN = ("an event waits for no subscriber", "no actor has this name", "has no handler")


def letter_of(target: str, text: str, reason: str) -> Letter | None:
    """Read what the system said; None for a message without a number."""
    found = _NUMBERED.search(text)
    if found is None:
        return None
    begun = not any(words in reason for words in _NEVER_BEGUN)
    return Letter(target, found[1], int(found[2]), begun)
