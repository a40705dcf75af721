"""The newest wins: what a writer that waits for nobody does with its packets.

    write(7) ──► offer ──► transport takes it                   sent
                      └──► transport is full: 7 waits           waiting, at most one
    write(8) ──► offer ──► 7 gives way, 8 is tried              7 dropped

Where every packet is for all readers (`spread`), one reader that is stuck must not keep packets
from the others: what has waited for `grace` goes to those who can take it.

    strict attempt     to all readers, or to none: "full" means that one of them is
    lenient attempt    to those that have room; the transport then leaves the others out of
                       strict ones too, until they have room again

Pure: the carrier makes the attempts and says how they ended.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar, final

import attrs

T = TypeVar("T")

GRACE: Final = 0.1
"""Seconds that a packet for all readers waits for the slowest of them."""


@final
@attrs.frozen
class Attempt(Generic[T]):
    """Hand this packet to the transport now."""

    packet: T
    strict: bool


@final
@attrs.define
class Newest(Generic[T]):
    """The packets of one writer, of which at most one waits.

    Every packet written is sent, dropped, or the one that waits.
    """

    spread: bool
    """Every packet is for all readers; else each is for one of them."""
    grace: float = GRACE
    written: int = attrs.field(default=0, init=False)
    sent: int = attrs.field(default=0, init=False)
    dropped: int = attrs.field(default=0, init=False)
    waiting: T | None = attrs.field(default=None, init=False)
    _since: float = attrs.field(default=0.0, init=False)

    def offer(self, packet: T) -> Attempt[T]:
        """Take a new packet, in place of one that waits; return the attempt to make now."""
        self.written += 1
        if self.waiting is not None:
            self._drop_waiting()
        return Attempt(packet, strict=True)

    def ended(self, attempt: Attempt[T], now: float, *, taken: bool, readers: bool) -> None:
        """Take note of how a strict attempt ended: taken, refused, or nobody was there."""
        if not attempt.strict:
            return  # it was counted when it was given up
        if attempt.packet is self.waiting:
            if taken:
                self.sent += 1
                self.waiting = None
            elif not readers:
                self._drop_waiting()
        elif not readers:
            self.dropped += 1
        elif taken:
            self.sent += 1
        else:
            self.waiting, self._since = attempt.packet, now

    def again(self, now: float) -> Attempt[T] | None:
        """Return the attempt for the packet that waits, when there is one."""
        if self.waiting is None:
            return None
        packet = self.waiting
        if self.spread and now - self._since >= self.grace:
            self._drop_waiting()
            return Attempt(packet, strict=False)
        return Attempt(packet, strict=True)

    def _drop_waiting(self) -> None:
        self.dropped += 1
        self.waiting = None


@final
@attrs.define
class Latest(Generic[T]):
    """What a reader keeps of what arrives: the newest."""

    received: int = attrs.field(default=0, init=False)
    dropped: int = attrs.field(default=0, init=False)
    _held: T | None = attrs.field(default=None, init=False)

    def put(self, item: T) -> None:
        """Keep `item` in place of the one before."""
        self.received += 1
        self.dropped += self._held is not None
        self._held = item

    def take(self) -> T | None:
        """Return what is held, once."""
        item, self._held = self._held, None
        return item
