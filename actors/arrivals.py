"""What comes in from other parties: each message once, in order; each answer to its call.

    wire message ─► which life wrote it? ─► what it has received ─► our outbox
                                        └─► its letters ─┬─► deliveries, signals
                                                         └─► the sinks of our calls

A decider.  A life is fenced by its obituary: after it only answers to calls that were finished
before are taken from it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, final

from actors.address import NET_PREFIX
from actors.control import Standing
from actors.departures import Departures
from actors.envelope import (
    LAST_MAILBOX_KIND,
    Batch,
    Envelope,
    Flags,
    Frames,
    Kind,
    Route,
    decode_batch,
)
from actors.errors import MessageError, UnknownMessage, pack_error
from actors.fates import Fates
from actors.letter import Letter
from actors.link import Delivery, Inbound, Link, Loss, Signal
from actors.outbox import FIRST_WINDOW, OUTBOX_BYTES, OUTBOX_MESSAGES
from actors.pool import Line, Pools

ACK_EVERY: Final = 128
"""A one-way flood is acknowledged once in so many messages."""

# Plain numbers: an operation on an IntFlag costs more than a microsecond.
_ACKNOWLEDGE: Final = int(Flags.ACKNOWLEDGE)
_RESEND: Final = int(Flags.RESEND)
_PIECE: Final = int(Kind.PIECE)

GONE_NAMES: Final = 10_000
"""Names remembered after their end, so that no late message counts as a new sender's first."""

_NEVER: Final = math.inf

RETIRED_ROUTES: Final = 256
"""Former lives from which answers may still arrive."""

LIGHT: Final = OUTBOX_BYTES // OUTBOX_MESSAGES
"""Bytes of a message up to which a mailbox is full by number before it is by size."""

NO_HANDLERS: Final = "it is a program, which has no handlers"


@final
class Arrivals:
    """The lives that write to one party."""

    def __init__(
        self, departures: Departures, fates: Fates, links: dict[str, Link], *, mailbox: int
    ) -> None:
        self.pools, self.line = Pools(departures, fates), Line(departures)
        self._departures = departures
        self._fates = fates
        self._calls = fates.calls
        self._links = links
        self._mailbox = mailbox
        """Unfinished messages this party will hold, over all senders; 0: it handles none."""
        self.credit: int
        """Messages each sender may have unfinished here: equal shares for all who send."""
        self.deliveries: deque[Delivery] = deque()
        self.signals: deque[Signal] = deque()
        self._senders: dict[bytes, tuple[Link, Inbound]] = {}
        """By route frame."""
        self._retired: deque[bytes] = deque()
        self._events: set[str] = set()
        """Tags of what is told to a party without handlers, and taken."""
        self._gone: dict[str, int] = {}
        self._sharing = 0
        self._most: int
        """Unfinished messages of one sender that are kept, whatever it thinks its credit is."""
        self._weight = 0
        """Bytes of the largest message of late, fading."""
        self._ack_every: int
        """Finished messages of one sender after which it is told."""
        self._share(0)

    def from_known(self, frames: list[bytes], now: float) -> bool:
        """Take a wire message of a life that has written before; False when it has not."""
        found = self._senders.get(frames[0])
        if found is None:
            return False
        self._take(*found, decode_batch(frames[1]), frames, now)
        return True

    def from_new(self, route: Route, frames: list[bytes], now: float) -> Link:
        """Take the first wire message of a life; return the link to its name."""
        batch = decode_batch(frames[1])
        link, inbound = self._meet(route, frames[0], batch.base)
        self._take(link, inbound, batch, frames, now)
        return link

    def take_events(self, tag: str) -> None:
        """A party without handlers takes told messages of this class, and as many as an actor."""
        self._events.add(tag)
        self._mailbox = self._mailbox or OUTBOX_MESSAGES
        self._share(0)

    def _take(
        self, link: Link, inbound: Inbound, batch: Batch, frames: list[bytes], now: float
    ) -> None:
        if link.inbound is not inbound or inbound.incarnation <= link.ended:
            self._late(link, inbound, batch, frames)
            return
        link.held = False
        if link.out.incarnation == inbound.incarnation:
            if batch.flags & _RESEND:
                link.out.rewind(batch.received)
            self._settle(link, batch, now)
            link.way.arrived = batch.received
            if link.way.better is not None or link.out.ready:
                self._departures.mark(link)  # what has waited for credit may go now
        if batch.flags & _ACKNOWLEDGE:
            inbound.probed(batch.last)
            link.prompt = True
        self._cut(inbound, batch)
        try:
            self._accept(link, inbound, batch, frames, now)
        finally:
            inbound.notice_last(batch.last)
            if inbound.gap or link.prompt:
                self._departures.mark(link)
            elif inbound.owed:
                self._departures.owe(now)

    def _settle(self, link: Link, batch: Batch, now: float) -> None:
        """Take the news of what the other side has finished."""
        settled = link.out.acknowledge(batch.handled, batch.finished, batch.credit)
        self._fates.settled += settled
        if link.out.cutter is not None:
            for letter in settled:
                link.out.cutter.arrived(letter.envelope.seq, now)

    def _cut(self, inbound: Inbound, batch: Batch) -> None:
        """Leave away what no honest sender would have sent; it can be sent again later.

        None has more under way than its outbox takes, by number and, all but the last, by size.
        """
        room, expected = self._most - inbound.unfinished, inbound.expected
        if inbound.bytes >= OUTBOX_BYTES:
            room = 0
        elif len(batch.envelopes) <= room:
            return
        for place, envelope in enumerate(batch.envelopes):
            if envelope.seq == expected:
                expected += 1
                room -= envelope.kind <= LAST_MAILBOX_KIND
            if room < 0:
                del batch.envelopes[place:]
                return

    def _meet(self, route: Route, frame: bytes, base: int) -> tuple[Link, Inbound]:
        """A life writes to us for the first time: it is there, so we can write to it."""
        name, incarnation, me = route.sender, route.sender_incarnation, self._departures
        if (route.target, route.target_incarnation) != (me.name, me.incarnation):
            raise MessageError(f"{route.target}/{route.target_incarnation} is not me")
        link = self._links.get(name)
        if incarnation <= (link.ended if link else self._gone.get(name, 0)):
            raise MessageError(f"{name}/{incarnation} is a former life")
        if link is None:
            link = self._links[name] = Link(name)
        if incarnation < link.known:
            raise MessageError(f"{name}/{incarnation} is a former life")
        if link.inbound is not None and link.inbound.incarnation == incarnation:
            return link, link.inbound  # the same route, spelled differently
        self.retire(link)
        inbound = link.inbound = Inbound(base, incarnation)
        link.known, link.host = incarnation, route.host
        # Over the network it depends on our key whether we may write to it: the broker knows.
        if not me.name.startswith(NET_PREFIX) or link.standing in (Standing.DOWN, Standing.UP):
            link.standing = Standing.UP
        if not link.out.incarnation:
            self._departures.bind(link, incarnation)
        self.pools.changed(link)
        found = self._senders[frame] = (link, inbound)
        return found

    def retire(self, link: Link) -> None:
        """The life that wrote to us is over, or replaced; its last answers may still arrive."""
        inbound = link.inbound
        if inbound is None:
            return
        inbound.joint.clear()
        self._retired += [k for k, v in self._senders.items() if v[1] is inbound]
        while len(self._retired) > RETIRED_ROUTES:
            self._senders.pop(self._retired.popleft(), None)
        if inbound.sends:
            inbound.sends = False
            self._share(-1)

    def _share(self, more: int) -> None:
        self._sharing += more
        self._most = max(self._mailbox or OUTBOX_MESSAGES, FIRST_WINDOW)
        senders = max(1, self._sharing)
        # Without handlers everything is declined at once, so nothing piles up.
        held = (self._mailbox or OUTBOX_MESSAGES) // senders
        self.credit = max(1, min(held, OUTBOX_BYTES // senders // max(1, self._weight)))
        # With little credit the sender waits for every one of our words; answers need none.
        self._ack_every = min(ACK_EVERY, max(1, self.credit // 2)) if self._mailbox else ACK_EVERY

    def _weigh(self, inbound: Inbound, envelope: Envelope, frames: Frames) -> None:
        """With large messages fewer fill the mailbox: so many less may each sender send."""
        size = len(envelope.payload) + sum(map(len, frames)) + sum(map(len, envelope.chain))
        if size > LIGHT:
            inbound.weigh(envelope.seq, size)
        self._weight = max(size, self._weight * 9 // 10)
        self._share(0)

    def _accept(
        self, link: Link, inbound: Inbound, batch: Batch, frames: list[bytes], now: float
    ) -> None:
        inbound.compare_clocks(now, batch.now)
        near = link.host != b"" and link.host == self._departures.host
        clocks = 0.0 if near else inbound.ahead
        position, here = 2, len(frames)
        heavy = here > position or len(frames[1]) > LIGHT or self._weight > LIGHT
        plain = not heavy and self._mailbox > 0 and not self._events
        for envelope in batch.envelopes:
            end = position + envelope.frames
            if end > here or envelope.parts or envelope.kind == _PIECE:
                _check(inbound, envelope, frames[position:end])
            if inbound.accept(envelope.seq):
                own: Frames = frames[position:end] if end > position else ()
                if envelope.parts:
                    own = inbound.joint.join(envelope)
                if envelope.kind > LAST_MAILBOX_KIND:
                    self._answer(link, inbound, envelope, own)
                    self.finished(link, inbound, envelope.seq, now)
                elif (plain and inbound.sends and not envelope.parts) or self._welcome(
                    link, inbound, envelope, own, now
                ):
                    self._deliver(link, inbound, envelope, own, clocks)
            position = end

    def _welcome(
        self, link: Link, inbound: Inbound, envelope: Envelope, own: Frames, now: float
    ) -> bool:
        """Look closer at a message that is not as most are; whether a handler may have it."""
        if own or envelope.chain or len(envelope.payload) > LIGHT or self._weight > LIGHT:
            self._weigh(inbound, envelope, own)
        if not inbound.sends:
            inbound.sends = True
            self._share(1)
        if self._mailbox and (not self._events or envelope.tag in self._events):
            return True
        self._decline(link, inbound, envelope, now)
        return False

    def _deliver(
        self, link: Link, inbound: Inbound, envelope: Envelope, own: Frames, clocks: float
    ) -> None:
        line, deadline = self.line, envelope.deadline
        deadline = deadline + clocks if deadline else _NEVER
        line.unfinished += 1
        if line.promised is link:
            line.passed(link)
        delivery = Delivery(link, inbound.incarnation, inbound, envelope, own, deadline)
        self.deliveries.append(delivery)

    def _answer(self, link: Link, inbound: Inbound, envelope: Envelope, frames: Frames) -> None:
        if envelope.kind == _PIECE:
            inbound.joint.add(envelope, frames)
            self._departures.mark(link)  # the sender waits for our word
            return
        if envelope.kind >= Kind.WANT:
            self._pull(link, inbound.incarnation, envelope.kind)
            return
        if envelope.kind >= Kind.GRANT:
            self.signals.append(Signal(link, inbound.incarnation, envelope))
            return
        call = self._calls.find(envelope.correlation)
        if call is None or call.target != link.name:
            return
        if call.sink.take(envelope, frames, near=link.near(self._departures.host)):
            self._calls.close(envelope.correlation)

    def _pull(self, link: Link, incarnation: int, kind: int) -> None:
        """A word about work: from a sender of ours, or from a member of a pool."""
        if kind == Kind.WANT:
            self.line.wanted(link, incarnation)
        elif kind == Kind.PASS:
            self.line.passed(link)
        else:
            self.pools.offered(link)

    def _late(self, link: Link, inbound: Inbound, batch: Batch, frames: list[bytes]) -> None:
        """Of a life that is over only the answers count, for calls that wait for nothing else."""
        position = 2
        for envelope in batch.envelopes:
            end = position + envelope.frames
            call = self._calls.find(envelope.correlation)
            answers = Kind.REPLY <= envelope.kind <= Kind.END
            waits = call is not None and call.lost and answers and end <= len(frames)
            if inbound.accept(envelope.seq) and waits and not envelope.parts:
                self._answer(link, inbound, envelope, frames[position:end])
            position = end

    def _decline(self, link: Link, inbound: Inbound, envelope: Envelope, now: float) -> None:
        """A program has no handlers: whoever sends it a message is told so."""
        if envelope.kind == Kind.TELL:
            self._fates.losses.append(Loss(self._departures.name, envelope, NO_HANDLERS))
        elif not link.behind:  # whoever takes no answers gets none
            error = UnknownMessage(tag=envelope.tag, target=self._departures.name)
            payload = pack_error(error, escaped=False)
            failure = Letter(Envelope(Kind.FAILURE, 0, envelope.correlation, "", payload))
            self._departures.answer(link, inbound.incarnation, failure)
        self.finished(link, inbound, envelope.seq, now)

    def finished(self, link: Link, inbound: Inbound, seq: int, now: float) -> int:
        """A received letter is done with; return the cumulative mark for the flight recorder."""
        handled = inbound.finish(seq)
        if link.inbound is inbound:
            if inbound.owed >= self._ack_every or handled >= inbound.wanted:
                self._departures.mark(link)
            elif self._departures.ack_at == _NEVER:
                self._departures.owe(now)
        return handled

    def forget(self, link: Link) -> None:
        """A name is gone: nothing of the lives it had is taken any more."""
        if not link.known:
            return
        self._gone[link.name] = link.known
        if len(self._gone) > GONE_NAMES:
            del self._gone[next(iter(self._gone))]


def _check(inbound: Inbound, envelope: Envelope, frames: Frames) -> None:
    """Refuse an envelope without its array frames, and a piece that does not fit the others."""
    if len(frames) < envelope.frames:
        raise MessageError("an envelope names array frames that are not there")
    if envelope.seq == inbound.expected:
        inbound.joint.check(envelope, frames)
