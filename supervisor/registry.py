"""What the broker knows of one name: how it stands, who holds it, who is told of its fate.

declared by the supervisor ─┐
connected and said Hello   ─┴─► up
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar, final

from actors.control import Ended, Hello, Resolve, Standing, Stands
from actors.hints import similar

_K = TypeVar("_K")
_T = TypeVar("_T")

OBITUARIES: Final = 32
"""Ended lives remembered per name, for parties that were away."""


@final
class Entry:
    """What is known of one name."""

    __slots__ = (
        "client", "contacts", "ended", "endpoint", "expected", "host", "incarnation", "mailbox",
        "members", "party", "reason", "seen", "standing",
    )  # fmt: skip

    def __init__(self) -> None:
        self.standing = Standing.DOWN
        """As declared; `stands` says how it really is."""
        self.incarnation = 0
        self.expected = b""
        """Routing id that the supervisor gave to the present incarnation."""
        self.party: bytes | None = None
        """Routing id of the connected holder."""
        self.client = False
        """It is a program that named itself; nobody but itself declares it."""
        self.host = b""
        self.endpoint = ""
        """Where the holder takes direct connections."""
        self.mailbox = 0
        self.members: list[str] = []
        """Who serves it, when it is a pool."""
        self.reason = ""
        self.seen = 0.0
        self.contacts: set[str] = set()
        self.ended: deque[Ended] = deque(maxlen=OBITUARIES)

    def stands(self, name: str) -> Stands:
        """Say how it stands: a name that is up takes messages once it is connected here too."""
        if self.members and self.standing is Standing.UP:
            return Stands(name, self.standing, 0, self.mailbox, members=self.members)
        away = self.standing is Standing.UP and self.party is None
        standing = Standing.DOWN if away else self.standing
        up = standing is Standing.UP
        return Stands(
            name,
            standing,
            self.incarnation,
            self.mailbox,
            self.reason,
            self.host,
            endpoint=self.endpoint if up else "",
        )


def absent(name: str, gone: Mapping[str, str], names: Mapping[str, Entry]) -> Stands:
    """Say that nobody has this name: it is `gone`, or another of the `names` may be meant."""
    if name in gone:
        return Stands(name, Standing.GONE, 0, reason=gone[name])
    known = [one for one, entry in names.items() if not entry.client and one[0] != "@"]
    return Stands(name, Standing.UNKNOWN, 0, reason=" ".join(similar(name, known)))


def is_next(word: Hello, entry: Entry | None, last: Sequence[Ended]) -> bool:
    """Whether it may be a life of which the supervisor's word is still on its way.

    Of a name that is gone `last` are its lives.
    """
    if entry is not None:
        return not entry.client and word.incarnation > entry.incarnation
    return bool(last) and word.incarnation > last[-1].incarnation


def missed(word: Resolve, entry: Entry | None, last: Sequence[Ended]) -> list[Ended]:
    """Return the lives that have ended since whoever asks has heard of one, that one included.

    Of a name that is gone `last` are its lives.
    """
    if not word.known:
        return []
    ended, incarnation = (last, 0) if entry is None else (entry.ended, entry.incarnation)
    found = [one for one in ended if one.incarnation >= word.known]
    if word.known < incarnation and all(one.incarnation != word.known for one in found):
        found.insert(0, Ended(word.name, word.known, "it ended long ago", {}, known=False))
    return found


def remember(memory: dict[_K, _T], key: _K, value: _T, limit: int) -> None:
    """Keep a value, the longest untouched one going when there are more than `limit`."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > limit:
        del memory[next(iter(memory))]
