"""One party's side of everything: its links and its open calls, joined.  A decider.

    in    post / call / answer   what this process wants to send
          receive                frames from the network
          tick                   time has passed
    out   outgoing()             wire messages to send now
          deliveries             messages for this party's actor, in order, once
          signals                grants and cancellations for its running streams and asks
          losses                 tells that nobody will handle: they become dead letters

Nothing here reads a clock, a socket or a payload, so the simulation runs exactly this code.

Letters are never given to the next life before the obituary of the one before it, because that
says which of them were handled.  What comes in is `arrivals.py`, what goes out `departures.py`, and
what becomes of letters and calls at an end `fates.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, final

from actors.arrivals import Arrivals
from actors.asides import Asides
from actors.calls import Call
from actors.control import (
    BROKER,
    ENDED,
    Closing,
    Goodbye,
    Heard,
    Hello,
    Obituary,
    Refused,
    Resolve,
    Standing,
    Stands,
    Vouched,
    Welcome,
    Word,
    decode_word,
    encode_word,
)
from actors.departures import Departures, Message
from actors.envelope import MAGIC, Envelope, Kind, Route, decode_route, encode_route
from actors.errors import MessageError
from actors.fates import NO_RECORD, Fates
from actors.letter import Letter
from actors.link import Inbound, Link, Road
from actors.outbox import OUTBOX_MESSAGES
from actors.roads import Roads

REFUSALS: Final = 64
"""Refusals of the broker that are kept for whoever looks."""


@final
class Peer:
    """The deciders of one party, joined."""

    def __init__(
        self, name: str, incarnation: int, *, host: bytes = b"", mailbox: int = OUTBOX_MESSAGES
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.host = host
        self.links: dict[str, Link] = {}
        self.online = False
        """Whether there is a connection to the broker at all; nothing goes out without one."""
        self.registered = False
        """Whether the broker has welcomed us on this connection."""
        self.introduce: Callable[[], list[Word]] | None = None
        """What else to say to a broker that may be a new one (the supervisor's knowledge)."""
        self.ended = ""
        """Why the whole system is over, once the broker has said so."""
        self.departed: deque[tuple[str, int]] = deque()
        """Lives that have ended, for whoever was working for them."""
        self.asides = Asides()
        self.refusals: deque[Refused] = deque(maxlen=REFUSALS)
        self._followed: dict[str, Callable[[int, str], None]] = {}
        self.bad_frames = 0
        """Wire messages that were not ours to take."""
        self._words: list[Word] = []
        self._fates = fates = Fates()
        self.calls, self.losses, self.settled = fates.calls, fates.losses, fates.settled
        self.endpoint = ""
        """Where we take direct connections; said to the broker."""
        self.roads = Roads(name, incarnation, host)
        self._departures = Departures(name, incarnation, host, fates, self.roads)
        self._arrivals = Arrivals(self._departures, fates, self.links, mailbox=mailbox)
        self.deliveries, self.signals = self._arrivals.deliveries, self._arrivals.signals
        self._pools, self._line = self._arrivals.pools, self._arrivals.line

    @property
    def credit(self) -> int:
        """Messages each sender may have unfinished here."""
        return self._arrivals.credit

    # --- what this process sends -----------------------------------------------------------------

    def link(self, name: str) -> Link:
        """Return the link to `name`; the first time, the broker is asked about it."""
        found = self.links.get(name)
        if found is None:
            found = self.links[name] = Link(name)
        if not found.asked and found.standing is None:  # it may have written to us before
            found.asked = True
            self._words.append(Resolve(name))
        return found

    def follow(self, name: str, told: Callable[[int, str], None]) -> None:
        """Have somebody told when `name` is gone: its last life, 0 for none, and the reason."""
        self.link(name)
        self._followed[name] = told

    def take_events(self, tag: str) -> None:
        """A program, which has no handlers, takes told messages of this class."""
        self._arrivals.take_events(tag)

    def post(self, link: Link, letter: Letter) -> None:
        """Put a message, or a word about a call of ours, into a link's outbox."""
        self._departures.post(link, letter)

    def answer(self, link: Link, incarnation: int, letter: Letter) -> None:
        """Put an answer into a link's outbox, for the life that asked and no other."""
        self._departures.answer(link, incarnation, letter)

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
            self._departures.mark(link)  # pieces of it may have gone ahead
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
                self._departures.probe(link)

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
        self._words = [Hello(self.name, self.incarnation, endpoint=self.endpoint)]
        if self.introduce is not None:
            self._words += self.introduce()
        for link in self.links.values():
            self._words.append(Resolve(link.name, link.out.incarnation or link.known))
            if link.way.road is None:
                link.held = True
                link.prompt = True
                self._departures.probe(link)
        if leaving:
            self._words.append(Goodbye())

    def disconnected(self) -> None:
        """The broker is gone; hold back what needs it until there is one again."""
        self.online = self.registered = False
        for link in self.links.values():
            if link.way.better is not None:
                self._departures.mark(link)

    @property
    def answering(self) -> list[Link]:
        """Links to those who may not have got an answer of ours yet."""
        return [link for link in self.links.values() if link.answers]

    def ask_for_news(self) -> None:
        """Have whoever is to get an answer of ours say at once whether it is there."""
        for link in self.answering:
            self._departures.probe(link)

    def leaving(self) -> None:
        """This party is about to go: what waits leaves now, on the road that is in use."""
        for link in self.links.values():
            if self.roads.stay(link):
                self._departures.mark(link)

    def broken(self, road: Road) -> None:
        """A direct connection is gone: what was on it may be lost, and the relay takes over."""
        link = self.links.get(road.name)
        if link is None:
            self.roads.close(road)
        elif self.roads.break_off(link, road):
            link.prompt = True
            self._departures.probe(link)

    # --- what the network brings -----------------------------------------------------------------

    def receive(self, frames: list[bytes], now: float) -> None:
        """Take one wire message apart; one that is not ours is counted and dropped."""
        try:
            if self._arrivals.from_known(frames, now):
                return
            route = decode_route(frames[0])
            if route.sender == BROKER:
                self._hear(decode_word(frames[1]), now)
            else:
                link = self._arrivals.from_new(route, frames, now)
                if 0 < link.out.incarnation < link.known:  # who may not write hears of no new life
                    self._words.append(Resolve(link.name, link.out.incarnation))
        except (MessageError, IndexError):
            self.bad_frames += 1

    def receive_direct(self, frames: list[bytes], now: float, *, dialled: bool) -> None:
        """Take a wire message of a direct connection, made by us or not; its number comes first."""
        road = (self.roads.dialled if dialled else self.roads.met).get(frames[0])
        if road is not None and road.open:
            frames[0] = road.route
            self.receive(frames, now)
            return
        try:
            road = self.roads.introduce(road, frames, dialled=dialled)
        except MessageError:
            self.bad_frames += 1
            return
        link = self.links.get(road.name)
        if link is not None and self.roads.offer(link, road):
            self._departures.mark(link)

    def finished(self, link: Link, inbound: Inbound, seq: int, now: float) -> int:
        """A received letter is done with; return the cumulative mark for the flight recorder."""
        if not inbound.incarnation:  # a timer's message came from nobody, who need not hear of it
            handled = inbound.finish(seq)
            inbound.news()
            return handled
        self._line.unfinished -= 1
        return self._arrivals.finished(link, inbound, seq, now)

    # --- what the broker says --------------------------------------------------------------------

    def _hear(self, word: Word, now: float) -> None:
        match word:
            case Stands():
                self._stands(word, now)
            case Obituary():
                self._bury(word, now)
            case Welcome():
                self.registered = True
            case Closing():
                self.ended = word.reason
            case Refused():
                self._refused(word)
            case Heard() | Vouched():
                self.asides.take(word)
            case _:
                raise MessageError(f"the broker does not say {type(word).__name__}")

    def _refused(self, word: Refused) -> None:
        if word.code == "expelled":
            self.ended = f"the broker has given us up: {word.text}"
        elif word.code != "unregistered":
            self.refusals.append(word)
        elif self.registered:
            self.connected()

    def _stands(self, word: Stands, now: float) -> None:
        link = self.links.get(word.name)
        if link is None:
            return
        if word.members:
            self._pools.learn(link, [self.link(name) for name in word.members], word.mailbox)
            return
        up = word.standing is Standing.UP
        if up and (word.incarnation < link.known or word.incarnation <= link.ended):
            return
        if up and link.out.incarnation not in (0, word.incarnation):
            # The news of that life's end went down with a connection: only the broker knows
            # whether there is a record of it, and its answer begins with an obituary.
            self._words.append(Resolve(link.name, link.out.incarnation))
            return
        link.held = False
        if word.standing is Standing.DENIED and link.writes and link.out.idle:
            link.standing, link.reason = word.standing, word.reason
            self._departures.mark(link)  # its events come to us, who may only acknowledge them
        else:
            self._change(link, word, now)

    def _change(self, link: Link, word: Stands, now: float) -> None:
        link.standing, link.reason = word.standing, word.reason
        if word.standing in ENDED:
            self._close(link, now)
            return
        if word.standing is Standing.UP:
            link.host, link.way.endpoint = word.host, word.endpoint
            link.known = word.incarnation
            self._departures.bind(link, word.incarnation, word.mailbox)
        # It was not there to receive what we have sent, or we would not be told this now.
        if link.out.flying:
            self._departures.probe(link)
        self._departures.mark(link)
        self._pools.changed(link)

    def _bury(self, word: Obituary, now: float) -> None:
        link = self.links.get(word.name)
        if link is not None and word.incarnation > link.ended:
            self._end_of_life(link, word, now)

    def _end_of_life(self, link: Link, word: Obituary, now: float) -> None:
        incarnation = link.ended = word.incarnation
        link.known = max(link.known, incarnation)
        bound, inbound = link.out.incarnation, link.inbound
        if link.standing is Standing.UP:
            link.standing = Standing.DOWN
        if 0 < bound <= incarnation:
            last = word if bound == incarnation else _unrecorded(link, bound)
            self._fates.bury(link, last, now)
        self.roads.leave(link)
        self._line.departed(link, incarnation)
        self._pools.bury(link)
        if inbound is not None and inbound.incarnation > incarnation:
            # The next life has written to us already, and waits for what we may send it now.
            self._departures.bind(link, inbound.incarnation)
        else:
            self._arrivals.retire(link)
            link.prompt = False
        self.departed.append((link.name, incarnation))

    def _close(self, link: Link, now: float) -> None:
        """The name is gone: what was never handled comes back."""
        last = max(link.known, link.out.incarnation)
        if last > link.ended:
            self._end_of_life(link, _unrecorded(link, last), now)
        link.closed = True
        self._pools.forget(link)
        self._fates.close(link)
        self._departures.drop(link)
        self._arrivals.forget(link)
        del self.links[link.name]
        if self._followed:
            told = self._followed.pop(link.name, None)
            if told is not None:
                told(last, link.reason)

    # --- time, and what goes out -----------------------------------------------------------------

    def next_due(self) -> float:
        """Return when `tick` has something to do; infinity for never."""
        due, deadline = self._departures.next_due, self.calls.next_deadline()
        due = min(due, deadline)
        # Few parties are members of a pool, and this is asked twice for every look at the network.
        return min(due, self._line.next_due) if self._line.waiting else due

    def tick(self, now: float) -> None:
        """Let deadlines, late acknowledgements and probes happen that are due."""
        for call in self.calls.expire(now):
            sent = call.lost or self._take_back(call)
            self._fates.expire(call, self.links.get(call.target), sent=sent, now=now)
        self._departures.tick(self.links.values(), now)

    def outgoing(self, now: float) -> list[Message]:
        """Return the wire messages to send to the broker now (others are in `roads.parcels`)."""
        if self._pools.all:
            self._pools.deal()
        if self._line.waiting:
            self._line.offer(now)
        messages: list[Message] = []
        if self._words and self.online:
            words, self._words = self._words, []
            route = encode_route(Route(MAGIC, BROKER, 0, self.name, self.incarnation, self.host))
            messages.extend([route, encode_word(word)] for word in words)
        messages += self._departures.outgoing(now, self._arrivals.credit, online=self.online)
        return messages


def _unrecorded(link: Link, incarnation: int) -> Obituary:
    """Return the obituary of a life of which nobody can say what it had begun."""
    return Obituary(link.name, incarnation, link.reason or NO_RECORD, None, known=False)
