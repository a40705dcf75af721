"""One party's side of everything: its links and its open calls, joined.  A decider.

    in    post / call / answer   what this process wants to send
          receive                frames from the network
          tick                   time has passed
    out   outgoing()             wire messages to send now
          deliveries             messages for this party's actor, in order, once
          signals                grants and cancellations for its running streams and asks
          losses                 tells that nobody will handle: they become dead letters

Nothing here reads a clock, a socket or a payload, so the simulation runs exactly this code.

A life is fenced by its obituary: after it only answers to calls that were finished before are
taken from that life, and letters are never given to the next life before it, because the obituary
says which of them were handled.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, final

from actors.batches import Message, batches
from actors.calls import Call
from actors.control import (
    BROKER,
    Closing,
    Goodbye,
    Hello,
    LaneRecord,
    Obituary,
    Refused,
    Resolve,
    Standing,
    Stands,
    Welcome,
    Word,
    decode_word,
    encode_word,
)
from actors.envelope import (
    LAST_MAILBOX_KIND,
    MAGIC,
    Batch,
    Envelope,
    Flags,
    Kind,
    Route,
    decode_batch,
    decode_route,
    encode_route,
)
from actors.errors import MessageError, UnknownMessage, pack_error
from actors.fates import NO_RECORD, Fates
from actors.link import Delivery, Inbound, Link, Loss, Signal
from actors.outbox import OUTBOX_MESSAGES, Letter

ACK_DELAY: Final = 0.05
"""Seconds an acknowledgement may wait for something to travel with."""

ACK_EVERY: Final = 32
"""A one-way flood is acknowledged once in so many messages."""

PROBE_DELAY: Final = 1.0
"""Seconds without progress after which a sender asks whether its last messages arrived."""

GONE_NAMES: Final = 10_000
"""Names remembered after their end, so that no late message counts as a new sender's first."""

RETIRED_ROUTES: Final = 256
"""Former lives from which answers may still arrive."""

NO_HANDLERS: Final = "it is a program, which has no handlers"

_REFUSALS: Final = 64


@final
class Peer:
    """The deciders of one party, joined."""

    def __init__(
        self, name: str, incarnation: int, *, host: bytes = b"", mailbox: int = OUTBOX_MESSAGES
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.host = host
        self.mailbox = mailbox
        """Unfinished messages this party will hold, over all senders; 0: it handles none."""
        self.credit = max(1, mailbox)
        """Messages each sender may have unfinished here: equal shares for all who send."""
        self.links: dict[str, Link] = {}
        self.deliveries: deque[Delivery] = deque()
        self.signals: deque[Signal] = deque()
        self.departed: deque[tuple[str, int]] = deque()
        """Lives that have ended, for whoever was working for them."""
        self.online = False
        """Whether there is a connection to the broker at all; nothing goes out without one."""
        self.registered = False
        """Whether the broker has welcomed us on this connection."""
        self.introduce: Callable[[], list[Word]] | None = None
        """What else to say to a broker that may be a new one (the supervisor's knowledge)."""
        self.ended = ""
        """Why the whole system is over, once the broker has said so."""
        self.refusals: deque[Refused] = deque(maxlen=_REFUSALS)
        self.bad_frames = 0
        """Wire messages that were not ours to take."""
        self._fates = Fates()
        self.calls = self._fates.calls
        self.losses = self._fates.losses
        self.settled = self._fates.settled
        self._senders: dict[bytes, tuple[Link, Inbound]] = {}
        """By route frame: the lives that write to us."""
        self._retired: deque[bytes] = deque()
        self._gone: dict[str, int] = {}
        self._sharing = 0
        self._ack_every = self._acknowledge_every()
        # A dictionary keeps its order, so two runs of the simulation send alike.
        self._dirty: dict[Link, None] = {}
        self._words: list[Word] = []
        self._ack_at = math.inf
        self._probe_at = math.inf

    # --- what this process sends -----------------------------------------------------------------

    def link(self, name: str) -> Link:
        """Return the link to `name`; the first time, the broker is asked about it."""
        found = self.links.get(name)
        if found is None:
            found = self.links[name] = Link(name)
            self._words.append(Resolve(name))
        return found

    def post(self, link: Link, letter: Letter) -> None:
        """Put a message, or a word about a call of ours, into a link's outbox."""
        out = link.out
        if link.closed:
            self._fates.reject(link, letter)
            return
        if letter.envelope.kind > LAST_MAILBOX_KIND:
            letter.life = out.incarnation
            if not letter.life:
                self.settled.append(letter)
                return
        out.offer(letter)
        self._dirty[link] = None

    def answer(self, link: Link, incarnation: int, letter: Letter) -> None:
        """Put an answer into a link's outbox, for the life that asked and no other."""
        if link.closed or incarnation <= link.ended or incarnation != link.known:
            self.settled.append(letter)
            return
        letter.life = incarnation
        link.out.offer(letter)
        self._dirty[link] = None

    def call(self, link: Link, letter: Letter, call: Call) -> None:
        """Put a request into a link's outbox and wait for its answers."""
        call.letter = letter
        letter.envelope.correlation = self.calls.open(call)
        self.post(link, letter)

    def cancel(self, call: Call) -> None:
        """Give up an open call: its request is withdrawn, or its handler is told."""
        if self.calls.close(call.correlation) is not None:
            self._take_back(call)

    def _take_back(self, call: Call) -> bool:
        """Withdraw a request, or tell its handler; return whether it may have been begun."""
        link, letter = self.links.get(call.target), call.letter
        if link is None or letter is None:
            return True
        if link.out.withdraw(letter):
            self.settled.append(letter)
            return False
        self.post(link, Letter(Envelope(Kind.CANCEL, 0, call.correlation, "", b"")))
        return True

    def say(self, word: Word) -> None:
        """Send a word to the broker; without a connection there is none to hear it."""
        if self.online:
            self._words.append(word)

    def demand(self, names: Iterable[str] | None = None) -> None:
        """Ask the receivers of unfinished messages to acknowledge at once (before leaving)."""
        for link in self.links.values() if names is None else map(self.link, names):
            if not link.out.idle:
                self._probe(link)

    def _probe(self, link: Link) -> None:
        link.mark = -1
        self._dirty[link] = None

    # --- the connection --------------------------------------------------------------------------

    def connected(self) -> None:
        """The connection to the broker is made, perhaps to a new one: introduce ourselves again.

        Whatever was on its way may be lost, so every link is looked up, and probed once the
        broker has answered; before, it would not know where to send anything.
        """
        self.online = True
        self.registered = False
        if self.ended:
            return
        leaving = any(isinstance(word, Goodbye) for word in self._words)
        self._words = [Hello(self.name, self.incarnation)]
        if self.introduce is not None:
            self._words += self.introduce()
        for link in self.links.values():
            self._words.append(Resolve(link.name, link.out.incarnation or link.known))
            link.held = True
            link.prompt = True
            self._probe(link)
        if leaving:
            self._words.append(Goodbye())

    def disconnected(self) -> None:
        """The broker is gone; hold everything back until there is one again."""
        self.online = self.registered = False

    # --- what the network brings -----------------------------------------------------------------

    def receive(self, frames: list[bytes], now: float) -> None:
        """Take one wire message apart; one that is not ours is counted and dropped."""
        try:
            found = self._senders.get(frames[0])
            if found is None:
                route = decode_route(frames[0])
                if route.sender == BROKER:
                    self._hear(decode_word(frames[1]), now)
                    return
                batch = decode_batch(frames[1])
                found = self._meet(route, frames[0], batch.base)
            else:
                batch = decode_batch(frames[1])
            self._take(*found, batch, frames, now)
        except (MessageError, IndexError):
            self.bad_frames += 1

    def _take(
        self, link: Link, inbound: Inbound, batch: Batch, frames: list[bytes], now: float
    ) -> None:
        if link.inbound is not inbound or inbound.incarnation <= link.ended:
            self._late(link, inbound, batch, frames)
            return
        link.held = False
        out = link.out
        if out.incarnation == inbound.incarnation:
            if batch.flags & Flags.RESEND:
                out.rewind(batch.received)
                self._dirty[link] = None
            if out.flying:
                self.settled += out.acknowledge(batch.handled, batch.finished, batch.credit)
            elif batch.credit:
                out.acknowledge(0, [], batch.credit)
        if batch.flags & Flags.ACKNOWLEDGE:
            inbound.probed(batch.last)
            link.prompt = True
        try:
            self._accept(link, inbound, batch, frames, now)
        finally:
            inbound.notice_last(batch.last)
            if inbound.gap or link.prompt:
                self._dirty[link] = None
            elif inbound.owed and self._ack_at == math.inf:
                self._ack_at = now + ACK_DELAY

    def _meet(self, route: Route, frame: bytes, base: int) -> tuple[Link, Inbound]:
        """A life writes to us for the first time: it is there, so we can write to it."""
        name, incarnation = route.sender, route.sender_incarnation
        if route.target != self.name or route.target_incarnation != self.incarnation:
            raise MessageError(f"{route.target}/{route.target_incarnation} is not me")
        link = self.links.get(name)
        if incarnation <= (link.ended if link else self._gone.get(name, 0)):
            raise MessageError(f"{name}/{incarnation} is a former life")
        if link is None:
            link = self.links[name] = Link(name)
        if incarnation < link.known:
            raise MessageError(f"{name}/{incarnation} is a former life")
        if link.inbound is not None and link.inbound.incarnation == incarnation:
            return link, link.inbound  # the same route, spelled differently
        self._retire(link)
        inbound = link.inbound = Inbound(base, incarnation)
        link.known, link.host, link.standing = incarnation, route.host, Standing.UP
        if not link.out.incarnation:
            self._bind(link, incarnation, 0)
        found = self._senders[frame] = (link, inbound)
        return found

    def _retire(self, link: Link) -> None:
        """The life that wrote to us is over, or replaced; its last answers may still arrive."""
        inbound = link.inbound
        if inbound is None:
            return
        self._retired += [k for k, v in self._senders.items() if v[1] is inbound]
        while len(self._retired) > RETIRED_ROUTES:
            self._senders.pop(self._retired.popleft(), None)
        if inbound.sends:
            inbound.sends = False
            self._share(-1)

    def _share(self, more: int) -> None:
        self._sharing += more
        self.credit = max(1, self.mailbox // max(1, self._sharing))
        self._ack_every = self._acknowledge_every()

    def _acknowledge_every(self) -> int:
        # With little credit the sender waits for every one of our words.
        return min(ACK_EVERY, max(1, self.credit // 2))

    def _accept(
        self, link: Link, inbound: Inbound, batch: Batch, frames: list[bytes], now: float
    ) -> None:
        clocks = now - batch.now
        position, here = 2, len(frames)
        for envelope in batch.envelopes:
            end = position + envelope.frames
            if end > here:
                raise MessageError("an envelope names array frames that are not there")
            if inbound.accept(envelope.seq):
                own = frames[position:end] if envelope.frames else []
                if envelope.kind <= LAST_MAILBOX_KIND:
                    if not inbound.sends:
                        inbound.sends = True
                        self._share(1)
                    if not self.mailbox:
                        self._decline(link, inbound, envelope, now)
                    else:
                        deadline = envelope.deadline
                        deadline = deadline + clocks if deadline else math.inf
                        self.deliveries.append(
                            Delivery(link, inbound.incarnation, inbound, envelope, own, deadline)
                        )
                else:
                    self._answer(link, inbound, envelope, own)
                    self.finished(link, inbound, envelope.seq, now)
            position = end

    def _answer(
        self, link: Link, inbound: Inbound, envelope: Envelope, frames: list[bytes]
    ) -> None:
        if envelope.kind == Kind.GRANT or envelope.kind == Kind.CANCEL:
            self.signals.append(Signal(link, inbound.incarnation, envelope))
            return
        call = self.calls.find(envelope.correlation)
        if call is not None and call.target == link.name and call.sink.take(envelope, frames):
            self.calls.close(envelope.correlation)

    def _late(self, link: Link, inbound: Inbound, batch: Batch, frames: list[bytes]) -> None:
        """Of a life that is over only the answers count, for calls that wait for nothing else."""
        position = 2
        for envelope in batch.envelopes:
            end = position + envelope.frames
            call = self.calls.find(envelope.correlation)
            answers = Kind.REPLY <= envelope.kind <= Kind.END
            if inbound.accept(envelope.seq) and answers and call is not None:
                if call.lost and call.target == link.name and end <= len(frames):
                    self._answer(link, inbound, envelope, frames[position:end])
            position = end

    def _decline(self, link: Link, inbound: Inbound, envelope: Envelope, now: float) -> None:
        """A program has no handlers: whoever sends it a message is told so."""
        if envelope.kind == Kind.TELL:
            self.losses.append(Loss(self.name, envelope, NO_HANDLERS))
        else:
            error = UnknownMessage(tag=envelope.tag, target=self.name)
            payload = pack_error(error, escaped=False)
            failure = Letter(Envelope(Kind.FAILURE, 0, envelope.correlation, "", payload))
            self.answer(link, inbound.incarnation, failure)
        self.finished(link, inbound, envelope.seq, now)

    def finished(self, link: Link, inbound: Inbound, seq: int, now: float) -> int:
        """A received letter is done with; return the cumulative mark for the flight recorder."""
        handled = inbound.finish(seq)
        if link.inbound is inbound:
            if inbound.owed >= self._ack_every or handled >= inbound.wanted:
                self._dirty[link] = None
            elif self._ack_at == math.inf:
                self._ack_at = now + ACK_DELAY
        return handled

    # --- what the broker says --------------------------------------------------------------------

    def _hear(self, word: Word, now: float) -> None:
        match word:
            case Welcome():
                self.registered = True
            case Stands():
                self._stands(word, now)
            case Obituary():
                self._bury(word, now)
            case Refused(code="unregistered"):
                if self.registered:
                    self.connected()
            case Closing():
                self.ended = word.reason
            case Refused(code="expelled"):
                self.ended = f"the broker has given us up: {word.text}"
            case Refused():
                self.refusals.append(word)
            case _:
                raise MessageError(f"the broker does not say {type(word).__name__}")

    def _stands(self, word: Stands, now: float) -> None:
        link = self.links.get(word.name)
        if link is None:
            return
        up = word.standing is Standing.UP
        if up and (word.incarnation < link.known or word.incarnation <= link.ended):
            return
        link.standing, link.reason, link.held = word.standing, word.reason, False
        if word.standing in (Standing.GONE, Standing.UNKNOWN):
            self._close(link, now)
            return
        out = link.out
        if up:
            link.host = word.host
            if out.incarnation not in (0, word.incarnation):
                # The broker would have told how that life ended if it could.
                self._end_of_life(link, out.incarnation, None, NO_RECORD, now, known=False)
            link.known = word.incarnation
            self._bind(link, word.incarnation, word.mailbox)
        # It was not there to receive what we have sent, or we would not be told this now.
        if out.flying:
            link.mark = -1
        self._dirty[link] = None

    def _bind(self, link: Link, incarnation: int, credit: int) -> None:
        if link.out.incarnation != incarnation:
            route = Route(MAGIC, link.name, incarnation, self.name, self.incarnation, self.host)
            link.route = encode_route(route)
        link.out.bind(incarnation, credit)
        self._dirty[link] = None

    def _bury(self, word: Obituary, now: float) -> None:
        link = self.links.get(word.name)
        if link is not None and word.incarnation > link.ended:
            self._end_of_life(
                link, word.incarnation, word.lane, word.reason, now, known=word.known
            )

    def _end_of_life(
        self, link: Link, incarnation: int, lane: LaneRecord | None, reason: str, now: float, *, known: bool
    ) -> None:
        link.ended = incarnation
        link.known = max(link.known, incarnation)
        bound, inbound = link.out.incarnation, link.inbound
        if bound and bound <= incarnation:
            if bound < incarnation:
                lane, known, reason = None, False, NO_RECORD
            self._fates.bury(link, lane, known=known, reason=reason, now=now)
        if inbound is not None and inbound.incarnation > incarnation:
            # The next life has written to us already, and waits for what we may send it now.
            self._bind(link, inbound.incarnation, 0)
        else:
            self._retire(link)
            link.prompt = False
        self.departed.append((link.name, incarnation))

    def _close(self, link: Link, now: float) -> None:
        """The name is gone: what was never handled comes back."""
        last = max(link.known, link.out.incarnation)
        if last > link.ended:
            reason = link.reason or NO_RECORD
            self._end_of_life(link, last, None, reason, now, known=False)
        link.closed = True
        self._fates.close(link)
        self.links.pop(link.name, None)
        self._dirty.pop(link, None)
        if last:
            self._gone[link.name] = last
            if len(self._gone) > GONE_NAMES:
                del self._gone[next(iter(self._gone))]

    # --- time ------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """Return when `tick` has something to do; infinity for never."""
        return min(self._ack_at, self._probe_at, self.calls.next_deadline())

    def tick(self, now: float) -> None:
        """Let deadlines, late acknowledgements and probes happen that are due."""
        for call in self.calls.expire(now):
            sent = self._take_back(call) if not call.lost else True
            self._fates.expire(call, sent=sent)
        if now >= self._ack_at:
            self._ack_at = math.inf
            for link in self.links.values():
                if link.inbound is not None and link.inbound.owed:
                    self._dirty[link] = None
        if now >= self._probe_at:
            self._probe_at = math.inf
            for link in self.links.values():
                if link.out.flying:
                    self._probe_at = now + PROBE_DELAY
                    if link.mark == link.out.base:
                        self._probe(link)
                    else:
                        link.mark = link.out.base

    # --- what goes out ---------------------------------------------------------------------------

    def outgoing(self, now: float) -> list[Message]:
        """Return the wire messages to send now."""
        messages: list[Message] = []
        if not self.online:
            return messages
        if self._words:
            words, self._words = self._words, []
            route = encode_route(Route(MAGIC, BROKER, 0, self.name, self.incarnation, self.host))
            messages += [[route, encode_word(word)] for word in words]
        if not self._dirty:
            return messages
        dirty, self._dirty = self._dirty, {}
        flying = False
        for link in dirty:
            if link.out.incarnation and not link.held:
                messages += batches(link, now, self.credit)
                flying = flying or bool(link.out.flying)
        if flying and self._probe_at == math.inf:
            self._probe_at = now + PROBE_DELAY
        return messages
