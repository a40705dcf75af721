"""One party's side of everything: its links and its open calls, joined.  A decider.

    in    post / call            what this process wants to send
          receive                frames from the network
          tick                   time has passed
    out   outgoing()             wire messages to send now
          deliveries             messages for this party's actor, in order, once
          signals                grants and cancellations for its running streams and asks
          losses                 tells that nobody will handle: they become dead letters

Nothing here reads a clock, a socket or a payload, so the simulation runs exactly this code.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, final

from actors.calls import Call, Calls
from actors.control import (
    BROKER,
    Closing,
    Hello,
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
    encode_batch,
    encode_route,
)
from actors.errors import (
    ActorError,
    ActorStopped,
    AnswerLost,
    DeadlineExceeded,
    Expired,
    MessageError,
    NoSuchActor,
    OutcomeUnknown,
)
from actors.link import OUTBOX_MESSAGES, Inbound, Letter, Outbound, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ACK_DELAY: Final = 0.05
"""Seconds an acknowledgement may wait for something to travel with."""

ACK_EVERY: Final = 32
"""A one-way flood is acknowledged once in so many messages."""

PROBE_DELAY: Final = 1.0
"""Seconds without progress after which a sender asks whether its last messages arrived."""

ANSWER_GRACE: Final = 0.1
"""Seconds an answer that left a dying actor has to arrive before it counts as lost."""


class Delivery(NamedTuple):
    """A message for this party's actor."""

    link: Link
    incarnation: int
    """The sender's life."""
    inbound: Inbound
    envelope: Envelope
    frames: list[bytes]
    deadline: float
    """Seconds on our clock; infinity for none."""


class Signal(NamedTuple):
    """A grant or a cancellation for something this party's actor is running."""

    link: Link
    incarnation: int
    """The life that says so."""
    envelope: Envelope


class Loss(NamedTuple):
    """A tell that nobody will handle."""

    target: str
    envelope: Envelope
    reason: str


@final
class Link:
    """Everything between this party and one name."""

    __slots__ = (
        "host", "inbound", "inbound_incarnation", "known", "mark", "name", "out",
        "prompt", "reason", "routes", "standing",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.standing: Standing | None = None
        """What the broker said last; None before its first answer."""
        self.reason = ""
        self.known = 0
        """The highest incarnation heard of."""
        self.host = b""
        """Host key of the living incarnation, b"" until it has written to us."""
        self.out = Outbound()
        self.inbound: Inbound | None = None
        self.inbound_incarnation = 0
        self.prompt = False
        """The other side wants to hear of every finished message at once."""
        self.routes: tuple[int, bytes] = (0, b"")
        """The encoded route to a life: (incarnation, frame)."""
        self.mark = 0
        """`out.base` when progress was last looked at."""


@final
class Peer:
    """The deciders of one party, joined."""

    def __init__(self, name: str, incarnation: int, *, host: bytes = b"", mailbox: int = OUTBOX_MESSAGES) -> None:
        self.name = name
        self.incarnation = incarnation
        self.host = host
        self.mailbox = mailbox
        """Unfinished messages this party will hold, over all senders."""
        self.links: dict[str, Link] = {}
        self.calls = Calls()
        self.deliveries: deque[Delivery] = deque()
        self.signals: deque[Signal] = deque()
        self.departed: deque[tuple[str, int]] = deque()
        """Lives that have ended, for whoever was working for them."""
        self.losses: deque[Loss] = deque()
        self.settled: deque[Letter] = deque()
        """Letters whose shared memory may be freed."""
        self.online = False
        """Whether there is a connection to the broker at all; nothing goes out without one."""
        self.registered = False
        """Whether the broker has welcomed us on this connection."""
        self.introduce: Callable[[], list[Word]] | None = None
        """What else to say to a broker that may be a new one (the supervisor's knowledge)."""
        self.ended = ""
        """Why the whole system is over, once the broker has said so."""
        self.refusals: deque[Refused] = deque()
        self.bad_frames = 0
        self._senders: dict[bytes, tuple[Link, int]] = {}
        self._dirty: set[Link] = set()
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
        """Put a letter into a link's outbox."""
        link.out.offer(letter)
        self._dirty.add(link)

    def call(self, link: Link, letter: Letter, call: Call) -> None:
        """Put a request into a link's outbox and wait for its answers."""
        call.letter = letter
        letter.envelope.correlation = self.calls.open(call)
        self.post(link, letter)

    def cancel(self, call: Call) -> None:
        """Give up an open call: its request is withdrawn, or its handler is told."""
        if self.calls.close(call.correlation) is None:
            return
        link = self.links.get(call.target)
        if link is None or call.letter is None:
            return
        if link.out.withdraw(call.letter):
            self.settled.append(call.letter)
        else:
            self.post(link, Letter(Envelope(Kind.CANCEL, 0, call.correlation, "", b"")))

    def say(self, word: Word) -> None:
        """Send a word to the broker."""
        self._words.append(word)

    def connected(self) -> None:
        """The connection to the broker is made, perhaps to a new one: introduce ourselves again.

        Whatever was on its way may be lost, so every link is looked up and probed.
        """
        self.online = True
        self.registered = False
        hello: list[Word] = [Hello(self.name, self.incarnation)]
        if self.introduce is not None:
            hello += self.introduce()
        hello += [Resolve(link.name, link.known) for link in self.links.values()]
        self._words = hello + [word for word in self._words if not isinstance(word, Resolve)]
        for link in self.links.values():
            link.prompt = True
            link.mark = -1
            self._dirty.add(link)

    def disconnected(self) -> None:
        """The broker is gone; hold everything back until there is one again."""
        self.online = self.registered = False

    # --- what the network brings -----------------------------------------------------------------

    def receive(self, frames: list[bytes], now: float) -> None:
        """Take one wire message apart; one that is not ours is counted and dropped."""
        try:
            self._receive(frames, now)
        except (MessageError, IndexError):
            self.bad_frames += 1

    def _receive(self, frames: list[bytes], now: float) -> None:
        found = self._senders.get(frames[0])
        if found is None:
            route = decode_route(frames[0])
            if route.sender == BROKER:
                self._hear(decode_word(frames[1]), now)
                return
            if route.target != self.name or route.target_incarnation != self.incarnation:
                raise MessageError(f"{route.target}/{route.target_incarnation} is not me")
            found = self._meet(route, frames[0])
        link, incarnation = found
        if incarnation != link.known:
            raise MessageError(f"{link.name}/{incarnation} is a former life")
        batch = decode_batch(frames[1])
        if link.out.incarnation == incarnation:
            if batch.flags & Flags.RESEND:
                link.out.rewind(batch.received)
                self._dirty.add(link)
            self.settled += link.out.acknowledge(batch.handled, batch.finished, batch.credit)
        self._accept(link, batch, frames, now)

    def _meet(self, route: Route, frame: bytes) -> tuple[Link, int]:
        """A life writes to us for the first time: it is there, so we can write to it."""
        link = self.links.get(route.sender)
        if link is None:
            link = self.links[route.sender] = Link(route.sender)
            link.standing = Standing.UP
        if route.sender_incarnation < link.known:
            raise MessageError(f"{route.sender}/{route.sender_incarnation} is a former life")
        for former in [k for k, v in self._senders.items() if v[0] is link]:
            del self._senders[former]
        link.host = route.host
        link.inbound = None
        self._bind(link, route.sender_incarnation, 0)
        found = self._senders[frame] = (link, route.sender_incarnation)
        return found

    def _accept(self, link: Link, batch: Batch, frames: list[bytes], now: float) -> None:
        inbound = link.inbound
        if inbound is None or link.inbound_incarnation != link.known:
            inbound = link.inbound = Inbound(batch.base)
            link.inbound_incarnation = link.known
        position = 2
        for envelope in batch.envelopes:
            end = position + envelope.frames
            if envelope.frames and not position <= end <= len(frames):
                raise MessageError("an envelope names array frames that are not there")
            if inbound.accept(envelope.seq):
                own = frames[position:end] if envelope.frames else []
                if envelope.kind <= LAST_MAILBOX_KIND:
                    deadline = envelope.deadline - batch.now + now if envelope.deadline else math.inf
                    self.deliveries.append(Delivery(link, link.known, inbound, envelope, own, deadline))
                else:
                    self._answer(link, envelope, own)
                    self.finished(link, inbound, envelope.seq, now)
            position = end
        inbound.notice_last(batch.last)
        if batch.flags & Flags.ACKNOWLEDGE:
            link.prompt = True
        if inbound.gap or link.prompt:
            self._dirty.add(link)

    def _answer(self, link: Link, envelope: Envelope, frames: list[bytes]) -> None:
        if envelope.kind in (Kind.GRANT, Kind.CANCEL):
            self.signals.append(Signal(link, link.known, envelope))
            return
        call = self.calls.find(envelope.correlation)
        if call is not None and call.target == link.name and call.sink.take(envelope, frames):
            self.calls.close(envelope.correlation)

    def finished(self, link: Link, inbound: Inbound, seq: int, now: float) -> int:
        """A received letter is done with; return the cumulative mark for the flight recorder."""
        handled = inbound.finish(seq)
        if link.inbound is inbound:
            if link.prompt or inbound.owed >= min(ACK_EVERY, max(1, self.credit // 2)):
                self._dirty.add(link)
            elif self._ack_at == math.inf:
                self._ack_at = now + ACK_DELAY
        return handled

    # --- what the broker says --------------------------------------------------------------------

    def _hear(self, word: Word, now: float) -> None:
        match word:
            case Welcome():
                self.registered = True
            case Stands():
                self._stands(word)
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

    def _stands(self, word: Stands) -> None:
        link = self.links.get(word.name)
        if link is None:
            return
        if word.incarnation < link.known and word.standing is Standing.UP:
            return
        link.standing = word.standing
        link.reason = word.reason
        link.host = word.host
        if word.standing is Standing.UP:
            self._bind(link, word.incarnation, word.mailbox)
        elif word.standing in (Standing.GONE, Standing.UNKNOWN):
            self._close(link)

    def _bind(self, link: Link, incarnation: int, credit: int) -> None:
        out = link.out
        if out.incarnation not in (0, incarnation):
            # A life ended and nobody can say what it had begun.
            self._settle(link, out.bury(None, known=False), "the record of its end is lost", math.inf)
        link.known = incarnation
        out.bind(incarnation, credit)
        self._dirty.add(link)

    def _bury(self, word: Obituary, now: float) -> None:
        link = self.links.get(word.name)
        if link is None or link.known > word.incarnation:
            return
        link.known = word.incarnation
        if link.out.incarnation == word.incarnation:
            verdicts = link.out.bury(word.lane, known=word.known)
            self._settle(link, verdicts, word.reason, now + ANSWER_GRACE)
        link.inbound = None
        link.prompt = False
        self.departed.append((word.name, word.incarnation))
        # Streams it was sending end with it; requests it had not begun wait for the next life.
        waiting = set(link.out.waiting)
        for call in self.calls.to(word.name):
            if call.letter not in waiting and not call.lost:
                self._fail(call, _unknown(call, word.reason))

    def _settle(self, link: Link, verdicts: Iterable[tuple[Letter, Verdict]], reason: str, lost_at: float) -> None:
        for letter, verdict in verdicts:
            self.settled.append(letter)
            envelope = letter.envelope
            call = self.calls.find(envelope.correlation) if envelope.correlation else None
            if verdict is Verdict.VOID:
                continue
            if call is not None and call.letter is letter:
                if verdict is Verdict.FINISHED and lost_at < math.inf and envelope.kind == Kind.ASK:
                    call.lost = True
                    self.calls.hurry(call, lost_at)
                else:
                    self._fail(call, _unknown(call, reason))
            elif verdict is not Verdict.FINISHED and envelope.kind == Kind.TELL:
                self.losses.append(Loss(link.name, envelope, reason))

    def _close(self, link: Link) -> None:
        """The name is gone: what was never handled comes back."""
        reason = link.reason or "no actor has this name"
        for letter in link.out.close():
            self.settled.append(letter)
            if letter.envelope.kind == Kind.TELL:
                self.losses.append(Loss(link.name, letter.envelope, reason))
        for call in self.calls.to(link.name):
            if not call.lost:
                self._fail(call, _gone(call, link))
        self.departed.append((link.name, link.known))
        self.links.pop(link.name, None)
        self._dirty.discard(link)
        self._senders = {k: v for k, v in self._senders.items() if v[0] is not link}

    def _fail(self, call: Call, error: ActorError) -> None:
        if self.calls.close(call.correlation) is not None:
            call.sink.fail(error)

    # --- time ------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """Return when `tick` has something to do; infinity for never."""
        return min(self._ack_at, self._probe_at, self.calls.next_deadline())

    def tick(self, now: float) -> None:
        """Let deadlines, late acknowledgements and probes happen that are due."""
        for call in self.calls.expire(now):
            self._expire(call)
        if now >= self._ack_at:
            self._ack_at = math.inf
            self._dirty.update(x for x in self.links.values() if x.inbound and x.inbound.owed)
        if now >= self._probe_at:
            self._probe_at = math.inf
            for link in self.links.values():
                if link.out.flying:
                    self._probe_at = now + PROBE_DELAY
                    if link.mark == link.out.base:
                        link.mark = -1
                        self._dirty.add(link)
                    else:
                        link.mark = link.out.base

    def _expire(self, call: Call) -> None:
        if call.lost:
            call.sink.fail(AnswerLost(target=call.target, message=call.message))
            return
        link = self.links.get(call.target)
        letter = call.letter
        if link is not None and letter is not None:
            if link.out.withdraw(letter):
                self.settled.append(letter)
                call.sink.fail(Expired(target=call.target, message=call.message))
                return
            self.post(link, Letter(Envelope(Kind.CANCEL, 0, call.correlation, "", b"")))
        call.sink.fail(DeadlineExceeded(target=call.target, message=call.message))

    # --- what goes out ---------------------------------------------------------------------------

    @property
    def credit(self) -> int:
        """Messages each sender may have unfinished here."""
        return max(1, self.mailbox // max(1, len(self._senders)))

    def demand(self, names: Iterable[str] | None = None) -> None:
        """Ask the receivers of unfinished messages to acknowledge at once (before leaving)."""
        for link in self.links.values() if names is None else map(self.link, names):
            if not link.out.idle:
                link.mark = -1
                self._dirty.add(link)

    def outgoing(self, now: float) -> list[list[bytes | memoryview]]:
        """Return the wire messages to send now."""
        messages: list[list[bytes | memoryview]] = []
        if not self.online:
            return messages
        if self._words:
            words, self._words = self._words, []
            route = encode_route(Route(MAGIC, BROKER, 0, self.name, self.incarnation, self.host))
            messages += [[route, encode_word(word)] for word in words]
        if not self._dirty:
            return messages
        dirty, self._dirty = self._dirty, set()
        for link in dirty:
            if link.out.incarnation:
                self._batches(link, now, messages)
        if self._probe_at == math.inf and any(x.out.flying for x in dirty):
            self._probe_at = now + PROBE_DELAY
        return messages

    def _batches(self, link: Link, now: float, messages: list[list[bytes | memoryview]]) -> None:
        out, inbound = link.out, link.inbound
        flags = 0
        if link.mark < 0:
            link.mark = out.base
            flags = int(Flags.ACKNOWLEDGE)
        received = handled = 0
        finished: list[int] = []
        if inbound is not None:
            received, handled = inbound.expected - 1, inbound.handled
            if inbound.gap:
                flags |= Flags.RESEND
                inbound.gap = False
            due = inbound.owed > 0 or flags != 0
            finished = inbound.news()
            if link.prompt and not inbound.unfinished:
                link.prompt = False
                due = True
        else:
            due = flags != 0
            link.prompt = False
        letters = out.take()
        while letters or due:
            due = False
            envelopes = [letter.envelope for letter in letters]
            batch = Batch(
                now, out.base, out.last, received, handled, finished, self.credit, flags, envelopes
            )
            message: list[bytes | memoryview] = [self._route(link), encode_batch(batch)]
            for letter in letters:
                if letter.frames:
                    message += letter.frames
            messages.append(message)
            flags, finished = 0, []
            letters = out.take()

    def _route(self, link: Link) -> bytes:
        incarnation, frame = link.routes
        if incarnation != link.out.incarnation:
            incarnation = link.out.incarnation
            frame = encode_route(
                Route(MAGIC, link.name, incarnation, self.name, self.incarnation, self.host)
            )
            link.routes = (incarnation, frame)
        return frame


def _unknown(call: Call, reason: str) -> OutcomeUnknown:
    return OutcomeUnknown(target=call.target, message=call.message, reason=reason)


def _gone(call: Call, link: Link) -> ActorError:
    if link.standing is Standing.UNKNOWN:
        return NoSuchActor(target=call.target, message=call.message)
    return ActorStopped(target=call.target, message=call.message, reason=link.reason)
