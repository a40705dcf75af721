"""What goes out of a party: which links have something to say, and when.  A decider.

    post, answer ──────────┐
    owed acknowledgements ─┼─► outgoing: as few wire messages as possible
    probe, resend demand ──┘

An acknowledgement travels with letters when there are any; else alone, after a moment, once for
many messages, or at once when the other side waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, TypeAlias, final

from actors.envelope import (
    LAST_MAILBOX_KIND,
    MAGIC,
    Batch,
    Flags,
    Route,
    encode_batch,
    encode_route,
)
from actors.fates import Fates
from actors.link import Link
from actors.outbox import Letter

ACK_DELAY: Final = 0.05
"""Seconds an acknowledgement may wait for something to travel with."""

PROBE_DELAY: Final = 1.0
"""Seconds without progress after which a sender asks whether its last messages arrived."""

Message: TypeAlias = list[bytes | memoryview]
"""The frames of one wire message."""

_ACKNOWLEDGE: Final = int(Flags.ACKNOWLEDGE)
_RESEND: Final = int(Flags.RESEND)


@final
class Departures:
    """The links of one party that have something to send, and when others will."""

    def __init__(self, name: str, incarnation: int, host: bytes, fates: Fates) -> None:
        self.name = name
        self.incarnation = incarnation
        self.host = host
        self._fates = fates
        # A dictionary keeps its order, so two runs of the simulation send alike.
        self._dirty: dict[Link, None] = {}
        self._ack_at = math.inf
        self._probe_at = math.inf
        self.next_due = math.inf
        """When `tick` has something to do; infinity for never."""

    def post(self, link: Link, letter: Letter) -> None:
        """Put a message, or a word about a call of ours, into a link's outbox."""
        out = link.out
        if link.closed:
            self._fates.reject(link, letter)
            return
        if letter.envelope.kind > LAST_MAILBOX_KIND:
            letter.life = out.incarnation
            if not letter.life:
                self._fates.settled.append(letter)
                return
        out.offer(letter)
        self._dirty[link] = None

    def answer(self, link: Link, incarnation: int, letter: Letter) -> None:
        """Put an answer into a link's outbox, for the life that asked and no other."""
        if link.closed or incarnation <= link.ended or incarnation != link.known:
            self._fates.settled.append(letter)
            return
        letter.life = incarnation
        link.out.offer(letter)
        self._dirty[link] = None

    def bind(self, link: Link, incarnation: int, credit: int = 0) -> None:
        """A life takes messages: what waits for the name goes to it."""
        if link.out.incarnation != incarnation:
            route = Route(MAGIC, link.name, incarnation, self.name, self.incarnation, self.host)
            link.route = encode_route(route)
        link.out.bind(incarnation, credit)
        self._dirty[link] = None

    def mark(self, link: Link) -> None:
        """A link has something to say now."""
        self._dirty[link] = None

    def probe(self, link: Link) -> None:
        """Ask the receiver to acknowledge at once."""
        link.mark = -1
        self._dirty[link] = None

    def owe(self, now: float) -> None:
        """An acknowledgement is owed that may wait a moment."""
        if self._ack_at == math.inf:
            self._ack_at = now + ACK_DELAY
            self.next_due = min(self._ack_at, self._probe_at)

    def drop(self, link: Link) -> None:
        """A link is closed."""
        self._dirty.pop(link, None)

    def tick(self, links: Iterable[Link], now: float) -> None:
        """Let late acknowledgements and probes happen that are due."""
        if now >= self._ack_at:
            self._ack_at = math.inf
            for link in links:
                if link.inbound is not None and link.inbound.owed:
                    self._dirty[link] = None
        if now >= self._probe_at:
            self._probe_at = math.inf
            for link in links:
                if link.out.flying:
                    self._probe_at = now + PROBE_DELAY
                    self._look(link)
        self.next_due = min(self._ack_at, self._probe_at)

    def _look(self, link: Link) -> None:
        if link.mark == link.out.base:
            self.probe(link)
        else:
            link.mark = link.out.base

    def outgoing(self, now: float, credit: int) -> list[Message]:
        """Return the wire messages to send now.

        `credit` is how many unfinished messages of each other side we will hold.
        """
        messages: list[Message] = []
        if not self._dirty:
            return messages
        dirty, self._dirty = self._dirty, {}
        flying = False
        for link in dirty:
            if link.out.incarnation and not link.held:
                _pack(link, now, credit, messages)
                flying = flying or bool(link.out.flying)
        if flying and self._probe_at == math.inf:
            self._probe_at = now + PROBE_DELAY
            self.next_due = min(self._ack_at, self._probe_at)
        return messages


def _pack(link: Link, now: float, credit: int, messages: list[Message]) -> None:
    out, inbound = link.out, link.inbound
    flags = _wish(link)
    due = flags != 0
    received = handled = 0
    finished: list[int] = []
    # What we have received concerns the life it came from and no other.
    if inbound is not None and inbound.incarnation == out.incarnation:
        received, handled = inbound.expected - 1, inbound.handled
        if inbound.gap and inbound.demand():
            flags |= _RESEND
            due = True
        due = due or link.prompt or inbound.owed > 0
        if due or out.ready:
            finished = inbound.news(everything=link.prompt)
            link.prompt = False
    letters = out.take()
    while letters or due:
        due = False
        # A batch of repeated letters must not speak of later ones, or they would count as lost.
        last = letters[-1].envelope.seq if letters else out.last
        envelopes = [letter.envelope for letter in letters]
        batch = Batch(now, out.base, last, received, handled, finished, credit, flags, envelopes)
        message: Message = [link.route, encode_batch(batch)]
        for letter in letters:
            if letter.frames:
                message += letter.frames
        messages.append(message)
        flags &= _ACKNOWLEDGE
        finished = []
        letters = out.take()


def _wish(link: Link) -> int:
    """Return the flag that asks for an acknowledgement, when one is needed now."""
    out = link.out
    if link.mark < 0:
        link.mark = out.base
        return 0 if out.idle else _ACKNOWLEDGE
    return _ACKNOWLEDGE if out.heavy and out.ready else 0
