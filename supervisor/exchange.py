"""The supervisor's word to the broker: which names there are, which lives began and ended.

The broker may die at any time; then everything it must know is said again, the ends of names that
are gone included: whoever was away meanwhile learns from them what became of its messages.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

from actors.control import ENDED, Declare, Ended, LaneRecord, Standing, Synced, Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.blackbox import Record
    from actors.peer import Peer

ENDINGS: Final = 32
"""Ended lives per name that are said again to a new broker."""

GONE: Final = 256
"""Names that are gone and said again."""


@final
class Exchange:
    """What the broker has been told."""

    def __init__(self, peer: Peer, wake: Callable[[], None]) -> None:
        self._peer = peer
        self._wake = wake
        self._names: dict[str, Declare] = {}
        self._gone: dict[str, Declare] = {}
        self._endings: dict[str, deque[Ended]] = {}
        self._said = 0
        peer.introduce = self._everything

    def follow(self, name: str, told: Callable[[int, str], None]) -> None:
        """Have somebody told when a program is gone: its life, 0 when it is not here, and why."""
        self._peer.follow(name, told)
        self._wake()

    def declare(self, word: Declare) -> None:
        """Say how a name stands."""
        self._gone.pop(word.name, None)
        if word.standing in ENDED:
            self._names.pop(word.name, None)
            self._gone[word.name] = word
            if len(self._gone) > GONE:
                oldest = next(iter(self._gone))
                del self._gone[oldest]
                self._endings.pop(oldest, None)
        else:
            self._names[word.name] = word
        self._say(word)

    def serve(self, pool: str, members: list[str], mailbox: int) -> None:
        """Say who serves a pool; nobody any more: its name is gone."""
        if members:
            self.declare(Declare(pool, Standing.UP, 0, mailbox=mailbox, members=members))
        else:
            reason = "all its members have ended"
            self.declare(Declare(pool, Standing.GONE, 0, reason=reason))

    def ended(self, name: str, incarnation: int, reason: str, record: Record | None) -> None:
        """Say that a life is over, and what its flight recorder knows of each sender."""
        known = record is not None and record.intact
        lanes = lanes_of(record) if record is not None and known else {}
        word = Ended(name, incarnation, reason, lanes, known)
        self._endings.setdefault(name, deque(maxlen=ENDINGS)).append(word)
        last = self._names.get(name)
        if last is not None and last.incarnation <= incarnation:
            self._names[name] = Declare(
                name, Standing.DOWN, incarnation, mailbox=last.mailbox, reason=reason
            )
        self._say(word)

    def heard(self) -> Callable[[], bool]:
        """Return what tells whether nobody hears less of the broker than what was said so far.

        Our answers overtake our words to the broker, for they take another connection.
        """
        self._said = mine = self._said + 1
        self._say(Synced(mine))
        # Without a connection there is nothing to wait for: the next broker hears all of it before
        # it answers anybody.
        peer = self._peer
        return lambda: peer.asides.heard >= mine or not peer.online

    def _everything(self) -> list[Word]:
        words: list[Word] = [ended for endings in self._endings.values() for ended in endings]
        return [*words, *self._gone.values(), *self._names.values(), Synced(self._said)]

    def _say(self, word: Word) -> None:
        # What is said without a connection is said with everything else once there is one.
        if self._peer.online:
            self._peer.say(word)
            self._wake()


def lanes_of(record: Record) -> dict[bytes, LaneRecord]:
    """Return what a dead life had done, by sender."""
    progress: dict[bytes, list[int]] = {}
    for item in record.in_progress:
        progress.setdefault(item.rid, []).append(item.seq)
    lanes = {rid: LaneRecord(in_progress=tuple(found)) for rid, found in progress.items()}
    for rid, link in record.links.items():
        lanes[rid] = LaneRecord(link.handled, link.finished, tuple(progress.get(rid, ())))
    return lanes
