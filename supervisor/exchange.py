"""The supervisor's word to the broker: which names there are, which lives began and ended.

The broker may die at any time; then everything it must know is said again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

from actors.control import Declare, Ended, LaneRecord, Standing, Synced, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.blackbox import Record
    from actors.peer import Peer

ENDINGS: Final = 32
"""Ended lives per name that are said again to a new broker."""


@final
class Exchange:
    """What the broker has been told."""

    def __init__(self, peer: Peer, wake: Callable[[], None]) -> None:
        self._peer = peer
        self._wake = wake
        self._names: dict[str, Declare] = {}
        self._endings: dict[str, deque[Ended]] = {}
        peer.introduce = self._everything

    def declare(self, word: Declare) -> None:
        """Say how a name stands."""
        if word.standing is Standing.GONE:
            self._names.pop(word.name, None)
            self._endings.pop(word.name, None)
        else:
            self._names[word.name] = word
        self._say(word)

    def ended(self, name: str, incarnation: int, reason: str, record: Record | None) -> None:
        """Say that a life is over, and what its flight recorder knows of each sender."""
        lanes = {} if record is None else lanes_of(record)
        word = Ended(name, incarnation, reason, lanes, record is not None)
        self._endings.setdefault(name, deque(maxlen=ENDINGS)).append(word)
        known = self._names.get(name)
        if known is not None and known.incarnation <= incarnation:
            self._names[name] = Declare(name, Standing.DOWN, incarnation, mailbox=known.mailbox, reason=reason)
        self._say(word)

    def _everything(self) -> list[Word]:
        words: list[Word] = [ended for endings in self._endings.values() for ended in endings]
        return [*words, *self._names.values(), Synced()]

    def _say(self, word: Word) -> None:
        if self._peer.online:
            self._peer.say(word)
            self._wake()


def lanes_of(record: Record) -> Mapping[bytes, LaneRecord]:
    """Return what a dead life had done, by sender."""
    lanes: dict[bytes, LaneRecord] = {}
    progress: dict[bytes, list[int]] = {}
    for item in record.in_progress:
        progress.setdefault(item.rid, []).append(item.seq)
    for key in {*record.links, *progress}:
        link = record.links.get(key)
        lanes[key] = LaneRecord(
            link.handled if link else 0,
            tuple(sorted(link.finished)) if link else (),
            tuple(progress.get(key, ())),
        )
    return lanes
