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
    Kind,
    Route,
    encode_batch,
    encode_route,
)
from actors.fates import Fates
from actors.letter import Letter
from actors.link import Link
from actors.outbox import Outbound
from actors.pieces import Cutter, is_far, without_parts
from actors.roads import Roads

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

    def __init__(
        self, name: str, incarnation: int, host: bytes, fates: Fates, roads: Roads
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.host = host
        self._fates = fates
        self._roads = roads
        # A dictionary keeps its order, so two runs of the simulation send alike.
        self._dirty: dict[Link, None] = {}
        self.ack_at = math.inf
        """When acknowledgements leave that wait for something to travel with; infinity for none."""
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
        out = link.out
        new = out.incarnation != incarnation
        out.bind(incarnation, credit)
        if new:
            route = Route(MAGIC, link.name, incarnation, self.name, self.incarnation, self.host)
            link.route = encode_route(route)
            if out.cutter is None and is_far(self.name, link.name):
                out.cutter = Cutter()
            self._roads.attach(link)
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
        if self.ack_at == math.inf:
            self.ack_at = now + ACK_DELAY
            self._plan()

    def drop(self, link: Link) -> None:
        """A link is closed."""
        self._dirty.pop(link, None)

    def tick(self, links: Iterable[Link], now: float) -> None:
        """Let late acknowledgements and probes happen that are due."""
        if now >= self.ack_at:
            self.ack_at = math.inf
            owing = (link for link in links if link.inbound is not None and link.inbound.owed)
            self._dirty.update((link, None) for link in owing)
        if now >= self._roads.next_due:
            self._roads.next_due = math.inf
            self._dirty.update((link, None) for link in links if link.way.better is not None)
        if now >= self._probe_at:
            self._probe_at = math.inf
            for link in links:
                if link.out.flying:
                    self._probe_at = now + PROBE_DELAY
                    self._look(link)
        self._plan()

    def _plan(self) -> None:
        self.next_due = min(self.ack_at, self._probe_at, self._roads.next_due)

    def _look(self, link: Link) -> None:
        if link.mark == link.out.base:
            self.probe(link)
        else:
            link.mark = link.out.base

    def outgoing(self, now: float, credit: int, *, online: bool) -> list[Message]:
        """Return what to send over the relay now; what takes a direct road is in `roads.parcels`.

        `credit` is how many unfinished messages of each other side we will hold.
        """
        messages: list[Message] = []
        if not self._dirty:
            return messages
        dirty, self._dirty = self._dirty, {}
        flying = False
        for link in dirty:
            if not link.out.incarnation:
                continue
            relay = online and not link.held
            way = link.way
            free = way.better is None or self._roads.may_send(link, now, relay=relay)
            if way.road is None and not online:
                self._dirty[link] = None
            elif way.road is not None or relay:
                self._pack(link, now, credit, messages, free=free)
                flying = flying or bool(link.out.flying)
        if flying and self._probe_at == math.inf:
            self._probe_at = now + PROBE_DELAY
            self._plan()
        elif self._roads.next_due < self.next_due:
            self._plan()
        return messages

    def _pack(
        self, link: Link, now: float, credit: int, messages: list[Message], *, free: bool
    ) -> None:
        """Make wire messages of what a link has to say; without `free` no new letters leave."""
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
            if due or (free and out.ready):
                finished = inbound.news(everything=link.prompt)
                link.prompt = False
        letters = _take(out, now) if free else []
        while letters or due:
            due = False
            # A batch of repeated letters must not speak of later ones, or they would count as lost.
            last = letters[-1].envelope.seq if letters else out.last
            envelopes = [letter.envelope for letter in letters]
            if out.cutter is not None:
                envelopes = [without_parts(envelope) for envelope in envelopes]
            batch = Batch(
                now, out.base, last, received, handled, finished, credit, flags, envelopes
            )
            self._send(link, encode_batch(batch), letters, now, messages)
            flags &= _ACKNOWLEDGE
            finished = []
            letters = _take(out, now) if free else []

    def _send(
        self, link: Link, batch: bytes, letters: list[Letter], now: float, messages: list[Message]
    ) -> None:
        road = link.way.road
        message: Message = [batch] if road is not None else [link.route, batch]
        for letter in letters:
            if letter.frames and not letter.envelope.parts:
                message += letter.frames
        if road is not None:
            self._roads.parcels.append((road, message))
            return
        messages.append(message)
        if letters and link.way.endpoint:
            self._roads.wish(link, now)


def _wish(link: Link) -> int:
    """Return the flag that asks for an acknowledgement, when one is needed now."""
    out = link.out
    if link.mark < 0:
        link.mark = out.base
        return 0 if out.idle else _ACKNOWLEDGE
    return _ACKNOWLEDGE if (out.heavy or out.pinched) and out.ready else 0


def _take(out: Outbound, now: float) -> list[Letter]:
    """Take a batch; note when pieces leave, because the time they take says how many may."""
    letters = out.take()
    if out.cutter is not None:
        for letter in letters:
            if letter.envelope.kind == Kind.PIECE:
                out.cutter.sent(letter.envelope.seq, letter.size, now)
    return letters
