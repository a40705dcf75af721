"""Links: nothing lost, nothing twice, in order, from one party to one name.  A decider.

    sender                                             receiver (one life)
    Outbound ── letters, numbered when they leave ──►  Inbound ── in order, once ──► mailbox
       ▲                                                  │
       └───────── received, handled, credit ◄─────────────┘   in the head of every batch back

`Link` joins the two halves that one party holds towards one name: `out` to it (see `outbox.py`),
`inbound` from its present life.  A party that writes to itself has both halves of one lane in one
link, which needs nothing special: each counts its own direction.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, final

import msgspec

from actors.address import NET_PREFIX
from actors.control import Standing
from actors.envelope import Envelope, Frames, Kind
from actors.outbox import MOST_ANSWER_BYTES, MOST_ANSWERS, Outbound
from actors.pieces import Joint
from actors.runs import Runs

_NEVER: Final = 1 << 63

DRIFT: Final = 1e-4
"""Seconds that two clocks may drift apart in a second; quartz does a tenth of that."""


@final
class Inbound:
    """The receiver's half: one life of a sender."""

    __slots__ = (
        "_asked", "_early", "_gap", "_heard", "_heavy", "_news", "ahead", "bytes", "expected",
        "handled", "incarnation", "joint", "owed", "run", "sends", "wanted",
    )  # fmt: skip

    def __init__(self, base: int, incarnation: int = 0) -> None:
        self.incarnation = incarnation
        """The sender's life."""
        self.ahead = math.inf
        """By how much our clock is ahead of the sender's (s), as the quickest batch has shown."""
        self._heard = 0.0
        """When the clocks were compared last."""
        self.expected = base
        """The next number that is new."""
        self.handled = base - 1
        """Every number up to this one is finished."""
        self.owed = 0
        """Letters finished, or seen again, since the sender was last told."""
        self.wanted = _NEVER
        """The sender waits to hear that everything up to this number is finished."""
        self.sends = False
        """It has sent messages, not only answers: it has a share of the mailbox."""
        self._gap = False
        self._asked = 0
        """What was expected when the sender was last asked to send again; 0 for not yet."""
        self._early = Runs()
        """Finished, though one before them is not."""
        self._news: list[int] = []
        self._heavy: dict[int, int] = {}
        """Sizes of large messages that are not finished."""
        self.bytes = 0
        """Of those together."""
        self.run = (0, 0)
        """Of what is finished above `handled`, the run around the number that was finished last."""
        self.joint = Joint()
        """What went ahead of a large letter."""

    def compare_clocks(self, now: float, theirs: float) -> None:
        """A batch that left when the sender's clock said `theirs` is here."""
        # What has waited on its way must not count as a difference of the clocks; what they have
        # drifted apart since must, or deadlines are seconds too early after some days.
        drifted = self.ahead + DRIFT * (now - self._heard)
        self.ahead, self._heard = min(drifted, now - theirs), now

    def accept(self, seq: int) -> bool:
        """Whether this number is the next one; a repeated or an early one is refused."""
        if seq == self.expected:
            self.expected = seq + 1
            return True
        if seq > self.expected:
            self._gap = True
        else:
            # The sender repeats itself: it has not heard our acknowledgement.
            self.owed += 1
        return False

    def notice_last(self, last: int) -> None:
        """The sender has sent up to `last`: anything missing at the end was lost."""
        if last >= self.expected:
            self._gap = True

    def probed(self, last: int) -> None:
        """The sender waits for word of everything up to `last`."""
        self.wanted = last if last > self.handled else _NEVER
        # Batches keep their order, so what was sent again for our last demand is here or lost.
        self._asked = 0

    @property
    def gap(self) -> bool:
        """Whether something is missing that the sender has not yet been asked for."""
        return self._gap and self._asked != self.expected

    def demand(self) -> bool:
        """Whether to ask the sender now to send again; once for each gap.

        Whatever is under way arrives early too, and a demand for each of those would make the
        sender repeat all of it each time.
        """
        wanted, self._gap = self.gap, False
        if wanted:
            self._asked = self.expected
        return wanted

    def finish(self, seq: int) -> int:
        """Mark a number as finished; return the cumulative mark."""
        self.owed += 1
        if self._heavy:
            self.bytes -= self._heavy.pop(seq, 0)
        if seq != self.handled + 1:
            # An early one: a handler that overlaps others, or an answer, which waits for nobody.
            self.run = self._early.add(seq)
            self._news.append(seq)
        else:
            self.handled = self._early.take(seq + 1) if self._early.count else seq
        return self.handled

    def weigh(self, seq: int, size: int) -> None:
        """A large message was accepted, and is held until it is finished."""
        self._heavy[seq] = size
        self.bytes += size

    def news(self, *, everything: bool = False) -> list[int]:
        """Return the numbers finished out of order since the last call; clear what is owed.

        They come as the ends of runs (see `Runs`); `everything` repeats those of earlier calls, for
        a sender that may not have heard.
        """
        self.owed = 0
        if self.handled >= self.wanted:
            self.wanted = _NEVER
        if everything:
            self._news.clear()
            return self._early.pairs()
        if not self._news:
            return self._news
        news = Runs()
        for seq in self._news:
            if seq > self.handled:
                news.add(seq)
        self._news = []
        return news.pairs()

    @property
    def unfinished(self) -> int:
        """Letters that arrived and are not finished."""
        return self.expected - 1 - self.handled - self._early.count


@final
class Road:
    """A direct connection to one life."""

    __slots__ = ("dialled", "endpoint", "id", "incarnation", "name", "open", "route")

    def __init__(self, road_id: bytes, name: str, incarnation: int, *, endpoint: str = "") -> None:
        self.id = road_id
        """By which its socket knows it."""
        self.name = name
        self.incarnation = incarnation
        self.endpoint = endpoint
        """Where we have connected to; "" when the other side has connected to us."""
        self.dialled = bool(endpoint)
        self.open = False
        """Both ends know each other."""
        self.route = b""
        """The route that all that comes along stands for; it is said once."""


@final
class Way:
    """Which way the letters of a link go, and which other there is; `roads.py` decides it."""

    __slots__ = ("arrived", "better", "change_at", "dial_at", "dials", "endpoint", "road")

    def __init__(self) -> None:
        self.road: Road | None = None
        """The direct connection that letters travel on; None: the relay."""
        self.better: Road | None = None
        """The direct connection to change to."""
        self.change_at = math.inf
        """When to change to it even if the relay is silent."""
        self.arrived = 0
        """Every number up to this one has arrived at the other side, as far as we know."""
        self.endpoint = ""
        """Where the living incarnation takes direct connections; "" for nowhere."""
        self.dial_at, self.dials = 0.0, 0
        """When a connection may be tried again, and how often it was tried."""


@final
class Link:
    """Everything between this party and one name."""

    __slots__ = (
        "asked", "closed", "ended", "far", "held", "host", "inbound", "known", "mark", "name",
        "out", "prompt", "reason", "route", "standing", "way",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.far = name.startswith(NET_PREFIX)
        """The other side is a program on the network; its name it cannot choose."""
        self.asked = False
        """The broker was asked about it by us, and not only by what the other side has written."""
        self.standing: Standing | None = None
        """What the broker said last; None before its first answer."""
        self.reason = ""
        """Why it is down or gone, in the broker's words."""
        self.known = 0
        """The highest incarnation heard of."""
        self.ended = 0
        """The highest incarnation known to be over: its messages are refused."""
        self.closed = False
        """The name is gone and this link with it; a new holder gets a new link."""
        self.held = False
        """Nothing is sent: the broker is new and has not said how the name stands."""
        self.host = b""
        """Host key of the living incarnation, b"" until it is known."""
        self.out = Outbound()
        self.inbound: Inbound | None = None
        """The present, or last, life that has written to us."""
        self.prompt = False
        """The other side wants an acknowledgement now."""
        self.route = b""
        """The encoded route to the life `out` is bound to."""
        self.mark = 0
        """`out.base` when progress was last looked at; -1: ask for an acknowledgement."""
        self.way = Way()

    @property
    def writes(self) -> bool:
        """Whether the other side has written to us, in a life that is not over."""
        return self.inbound is not None and self.inbound.incarnation > self.ended

    @property
    def answers(self) -> bool:
        """Whether the other side may not have got an answer of ours yet."""
        if self.standing is not Standing.UP:
            return False
        out, arrived = self.out, self.way.arrived
        late = (letter for seq, letter in out.flying.items() if seq > arrived)
        return any(Kind.REPLY <= one.envelope.kind <= Kind.END for one in (*late, *out.unsent))

    @property
    def behind(self) -> bool:
        """Whether the other side has so much to acknowledge that we do nothing more for it before.

        Only a program on the network: of this host's, which may do anything, none is made to wait.
        """
        out = self.out
        return self.far and (out.answers > MOST_ANSWERS or out.answer_bytes > MOST_ANSWER_BYTES)

    def near(self, host: bytes) -> bool:
        """Whether memory can be shared with the other end, from the host with this key."""
        # A program on the network may know the key.
        return host != b"" and host == self.host and not self.far


@final
class Delivery(msgspec.Struct, eq=False):
    """A message for this party's actor."""

    # A Struct, as others that are made once for a message: it takes a third of what a NamedTuple,
    # or a class with an `__init__` of its own, takes.

    link: Link
    incarnation: int
    """The sender's life."""
    inbound: Inbound
    envelope: Envelope
    frames: Frames
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
