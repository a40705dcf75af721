"""Events: published by anybody, heard by those who have subscribed to their class.

    publish ─► who has subscribed? (asked once of the supervisor, which tells every change)
            ─► one told message for each, through the same links as any other message

    an actor's subscription      its name is on the supervisor's list; events come to `@receive`
    a program's subscription     the same, for as long as its stream is open; events come out of it

A class is a topic: a subclass is another one, as it has another handler.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from actors.attachments import Incoming, encoded
from actors.calls import Call
from actors.codec import Codec, codec_for
from actors.control import SUPERVISOR
from actors.envelope import Envelope, Frames, Kind
from actors.errors import ActorError, ConnectionLost, MailboxFull, unpack_error
from actors.link import Delivery, Loss
from actors.message import MessageKind, is_message, message_kind
from actors.notices import DeadLetter, Terminated
from actors.portal import RESOLVE_TIMEOUT, Portal, Until
from actors.requests import FollowTopic, SubscribeStream, TopicSeen
from actors.stream import Stream
from actors.verbs import answer_codec

if TYPE_CHECKING:
    from actors.reply import Pending

E = TypeVar("E")

BEHIND: Final = "an event waits for no subscriber that is too slow"

UNREAD: Final = 10_000
"""Events that one stream of a program keeps unread; then it ends with `MailboxFull`."""

UNREAD_BYTES: Final = 64 << 20

NOTICES: Final = (DeadLetter, Terminated)
"""Events of the system itself: nobody else publishes them."""


def event_codec(cls: object, verb: str) -> Codec:
    """Return the codec of an event class; raises `TypeError` for what is none."""
    if not isinstance(cls, type) or not is_message(cls):
        raise TypeError(
            f"{verb} takes {'an event' if verb == 'publish' else 'the class of an event'}, "
            f"not {cls!r:.80}. Make its class with @message."
        )
    if message_kind(cls) is not MessageKind.TELL:
        raise TypeError(f"{cls.__name__} expects an answer, and an event has none: tell it or ask.")
    return codec_for(cls)


@final
class Topics:
    """What one process publishes, and what its program has subscribed to."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._followed: dict[str, _Followed] = {}
        self._subscriptions: dict[str, list[_Subscription]] = {}

    # --- publishing

    def publish(self, event: object) -> None:
        """Send an event to everybody who has subscribed to its class."""
        codec = event_codec(type(event), "publish")
        if isinstance(event, NOTICES):
            raise TypeError(f"{codec.cls.__name__} is the system's own; publish a class of yours.")
        self._portal.check()
        followed = self._follow(codec.tag)
        if followed.names is None:
            known = Until(self._portal, lambda: followed.names is not None or followed.over)
            self._portal.driver.block_briefly(known, self._portal.patience)
            self._portal.check()
        if followed.names is None:
            if followed.refused is not None:
                raise followed.refused
            raise ConnectionLost(
                reason=f"the supervisor has not said within {self._portal.patience:g} s who has "
                f"subscribed to {codec.cls.__name__}"
            )
        self._spread(followed.names, codec, event)

    def _spread(self, names: list[str], codec: Codec, event: object) -> None:
        portal, peer = self._portal, self._portal.peer
        # What is wrong with it is said, and its arrays are frozen, even if nobody listens.
        encoded(codec, event, portal.memory, near=False)[1].freeze()
        for name in names:
            with portal.lock:
                link = peer.link(name)
            letter, _ = portal.letter(Kind.TELL, codec, event, link)
            with portal.lock:
                if link.out.full:
                    portal.memory.free(letter.blocks)
                    reason = f"{link.out.unfinished} messages wait for it already: {BEHIND}"
                    portal.report(Loss(name, letter.envelope, reason))
                else:
                    peer.post(link, letter)
        portal.driver.wake()

    def _follow(self, tag: str) -> _Followed:
        with self._portal.lock:
            followed = self._followed.get(tag)
            if followed is not None and not followed.over:
                return followed
            followed = self._followed[tag] = _Followed(self._portal, tag)
        try:
            # Without the lock: the first request of all waits for the broker's word.
            self._portal.call(Kind.STREAM, FollowTopic(tag), followed.call)
        except BaseException:
            followed.over = True
            raise
        return followed

    # --- a program's subscriptions

    def subscribe(self, cls: type[E]) -> Stream[E]:
        """Return a stream of the events of one class; none is missed once this has returned."""
        codec, portal = event_codec(cls, "subscribe"), self._portal
        portal.check()
        subscription = _Subscription(self, portal, codec)
        with portal.lock:
            self._subscriptions.setdefault(codec.tag, []).append(subscription)
            portal.peer.take_events(codec.tag)
        portal.call(Kind.STREAM, SubscribeStream(codec.tag), subscription.call)
        ready = Until(portal, lambda: subscription.ready)
        portal.driver.block(ready, RESOLVE_TIMEOUT)
        portal.check()
        return subscription.stream

    def drop(self, subscription: _Subscription) -> None:
        """A stream is closed: its events go nowhere."""
        with self._portal.lock:
            found = self._subscriptions.get(subscription.tag, [])
            if subscription in found:
                found.remove(subscription)

    def take_in(self) -> None:
        """Give the events that have arrived to their streams; called after every look."""
        peer = self._portal.peer
        while peer.deliveries:
            delivery = peer.deliveries.popleft()
            for subscription in list(self._subscriptions.get(delivery.envelope.tag, ())):
                subscription.deliver(delivery)
            now = time.monotonic()
            peer.finished(delivery.link, delivery.inbound, delivery.envelope.seq, now)
        # A program does nothing for others, so there is nothing to end for them.
        peer.departed.clear()
        peer.signals.clear()


@final
class _Followed:
    """Who has subscribed to one class, as the supervisor said last; the sink of that stream."""

    def __init__(self, portal: Portal, tag: str) -> None:
        self._portal = portal
        self._tag = tag
        self.call = Call(self, target=SUPERVISOR, message="FollowTopic", deadline=math.inf)
        self.names: list[str] | None = None
        """None before the supervisor's first word."""
        self.over = False
        self.refused: ActorError | None = None
        """Why the supervisor does not say."""
        self._read = 0

    def take(self, envelope: Envelope, frames: Frames, *, near: bool) -> bool:
        """Note a new list, and say that it was seen."""
        if envelope.kind != Kind.ITEM:
            if envelope.kind == Kind.FAILURE:
                self.refused = unpack_error(envelope.payload)
            self.over = True
            return True
        codec = answer_codec(FollowTopic)
        news = self._portal.decode(codec, envelope.payload, frames, near=near)
        self.names = news.names
        self._read += 1
        self._portal.grant(self.call, self._read)
        self._portal.notify(SUPERVISOR, TopicSeen(self._tag, news.version))
        return False

    def fail(self, error: ActorError) -> None:  # noqa: ARG002 - `publish` looks for itself
        """The supervisor is gone."""
        self.over = True


@final
class _Subscription:
    """One stream of events in a program: what its stream needs, and the sink of its request."""

    def __init__(self, topics: Topics, portal: Portal, codec: Codec) -> None:
        self._topics = topics
        self._portal = portal
        self._name = codec.cls.__name__
        self.lock: threading.RLock = portal.lock
        self.tag = codec.tag
        self.ready = False
        """Whether every publisher knows of it, or it is over."""
        self._codec = codec
        self.stream: Stream[Any] = Stream(self, self._decode)
        self.call = Call(self, target=SUPERVISOR, message="SubscribeStream", deadline=math.inf)
        self.stream.attach(self.call)
        self._sizes: deque[int] = deque()
        """Bytes of the events that waited unread when the last one came."""
        self._bytes = 0

    def deliver(self, delivery: Delivery) -> None:
        """An event has come."""
        envelope, frames = delivery.envelope, delivery.frames
        while len(self._sizes) > self.stream.waiting:  # the others were read meanwhile
            self._bytes -= self._sizes.popleft()
        self._sizes.append(0)
        self._weigh(len(envelope.payload) + sum(len(frame) for frame in frames))
        fits = not self._full
        if fits:  # what it holds in shared memory is known when it has been read
            near = delivery.link.near(self._portal.peer.host)
            self.stream.take(Envelope(Kind.ITEM, 0, 0, "", envelope.payload), frames, near=near)
        if self._full:
            text = (
                f"{len(self._sizes) - (not fits)} events of {self._name} wait unread in this "
                "program: the stream has ended. Read faster, or subscribe again."
            )
            self.stream.fail(MailboxFull(text, message=self._name, limit=UNREAD))
            self.cancel(self.call)

    def _decode(self, payload: bytes, frames: Frames, *, near: bool) -> Any:
        if not self._codec.beside:
            return self._portal.decode(self._codec, payload, frames, near=near)
        carrier = Incoming(frames, self._portal.memory if near else None, self._portal)
        event = self._codec.decode(payload, carrier)
        self._weigh(carrier.shared)
        return event

    def _weigh(self, size: int) -> None:
        """The event that has come last holds so many bytes more."""
        self._sizes[-1] += size
        self._bytes += size

    @property
    def _full(self) -> bool:
        """Whether more waits unread than may; one event may be as large as it likes."""
        return len(self._sizes) > UNREAD or self._bytes > max(UNREAD_BYTES, self._sizes[-1])

    # --- the sink of the request

    def take(self, envelope: Envelope, frames: Frames, *, near: bool) -> bool:
        """Every publisher knows of us, or the supervisor ends it."""
        self.ready = True
        return envelope.kind != Kind.ITEM and self.stream.take(envelope, frames, near=near)

    def fail(self, error: ActorError) -> None:
        """The system is over."""
        self.ready = True
        self._topics.drop(self)
        self.stream.fail(error)

    # --- `reply.Door`

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code."""
        self._portal.block(pending, timeout)

    def check(self) -> None:
        """Raise `ConnectionLost` when nothing can come any more."""
        self._portal.check()

    def cancel(self, call: Call) -> None:
        """The stream is closed."""
        self._topics.drop(self)
        self._portal.cancel(call)

    def grant(self, call: Call, read: int) -> None:
        """So many events were read: what that makes room for is counted when the next one comes."""
