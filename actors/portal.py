"""The way from a handle to the network: what `tell`, `ask` and `stream` do, from any thread.

    ref.ask(msg) ─► portal   find the link, wait for room, encode in the caller's frame,
                             put a letter into the outbox
                 ─► driver   make the connection's thread send it

The deciders are shared by all threads of the process, under one short lock.  How to wait is the
driver's business: a client's thread sleeps, a `def` handler pumps its connection in place, and
asyncio code never waits.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, final

import msgspec

from actors.attachments import ALONE, Alone, Incoming, Memory, Outgoing, encoded
from actors.calls import Call
from actors.codec import Codec, ValueCodec, codec_for
from actors.control import ENDED, SUPERVISOR, Standing
from actors.driver import Driver
from actors.envelope import ASK, STREAM, TELL, Envelope, Frames, Kind
from actors.errors import AccessDenied, ActorError, ConnectionLost, MailboxFull
from actors.fates import meant
from actors.handling import handling_now
from actors.hints import no_such_actor
from actors.letter import Letter
from actors.link import Link, Loss
from actors.message import MessageKind, Request, StreamRequest, class_of
from actors.notices import DeadLetter, Terminated, sendable, text_of
from actors.peer import Peer
from actors.ref import ActorRef
from actors.reply import Pending, Reply, wait_in_loop
from actors.stream import Stream
from actors.verbs import answer_codec, codec_of, expect

R = TypeVar("R")
T = TypeVar("T")

ROOM_TIMEOUT: Final = 5.0
"""Seconds that plain code waits at a full mailbox."""

RESOLVE_TIMEOUT: Final = 5.0
"""Seconds the broker has to say how a name stands."""

START_PATIENCE: Final = 60.0
"""The same while an actor starts: that there is no broker is not its fault."""


# Looked up once: a member of an enumeration costs as much as a call.
_ASK_KIND: Final = MessageKind.ASK
_STREAM_KIND: Final = MessageKind.STREAM
_DENIED: Final = Standing.DENIED


@final
class Until:
    """A condition on the deciders' state, looked at whenever that may have changed."""

    def __init__(self, portal: Portal, holds: Callable[[], bool]) -> None:
        self._portal = portal
        self.done = holds

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` once the condition holds."""
        with self._portal.lock:
            if not self.done():
                self._portal.conditions.append((self.done, wake))
                return
        wake()

    def off_change(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more."""
        with self._portal.lock:
            conditions = self._portal.conditions
            conditions[:] = [one for one in conditions if one[1] is not wake]


@final
class Portal:
    """What refs, replies and streams of one party use."""

    def __init__(self, peer: Peer, memory: Memory, *, ask_timeout: float) -> None:
        self.peer = peer
        self.memory = memory
        self.ask_timeout = ask_timeout
        self.patience = RESOLVE_TIMEOUT  # seconds to learn what is needed before sending
        self.lock = threading.RLock()
        """Guards the peer; held for microseconds."""
        self.driver: Driver
        self.arrived: Callable[[], None] = lambda: None
        """Takes in what the deciders have delivered; called with the lock held."""
        self.handles: Callable[[type], bool] = lambda _cls: False
        """Whether the actor here has a handler for a class."""
        self.lost: ConnectionLost | None = None
        """Why nothing can be sent any more."""
        self.conditions: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self.undelivered = 0
        """Tells to the supervisor itself that were lost."""

    # --- what refs use (`ref.Outlet`)

    def ref(self, name: str) -> ActorRef:
        """Return a handle to a name; never fails."""
        return ActorRef(name, self)

    def tell(self, name: str, msg: object) -> None:
        """Put a message into the outbox of `name`."""
        codec = codec_of(msg, "tell")
        if codec.kind is _STREAM_KIND:
            expect(msg, MessageKind.TELL)
        link = self._open(name, codec)
        letter, beside = self.letter(TELL, codec, msg, link)
        with self.lock:
            self._check_open(link, letter, codec.cls)
            beside.freeze()
            self.peer.post(link, letter)
        self.driver.wake()

    def notify(self, name: str, msg: object) -> None:
        """Tell without waiting for the broker or for room: for the system's own notices."""
        codec = codec_for(type(msg))
        payload = codec.encode(msg, Outgoing(None))
        letter = Letter(Envelope(Kind.TELL, 0, 0, codec.tag, payload))
        with self.lock:
            self.peer.post(self.peer.link(name), letter)
        self.driver.wake()

    def ask(self, name: str, msg: Request[R], timeout: float | None) -> Reply[R]:
        """Put a request into the outbox of `name`; return where its answer will be."""
        if codec_of(msg, "ask").kind is not _ASK_KIND:
            expect(msg, MessageKind.ASK)
        answer = answer_codec(type(msg))
        reply: Reply[R] = Reply(self, partial(self.decode, answer))
        now, given = self._time_for(timeout)
        call = Call(
            reply, target=name, message=type(msg).__name__, deadline=now + given, timeout=given
        )
        reply.attach(call)
        self.call(ASK, msg, call)
        return reply

    def stream(self, name: str, msg: StreamRequest[T]) -> Stream[T]:
        """Put a stream request into the outbox of `name`; return where its items will be."""
        codec_of(msg, "stream")
        expect(msg, MessageKind.STREAM)
        answer = answer_codec(type(msg))
        stream: Stream[T] = Stream(self, partial(self.decode, answer))
        call = Call(stream, target=name, message=type(msg).__name__, deadline=math.inf)
        stream.attach(call)
        self.call(STREAM, msg, call)
        return stream

    def wait_ready(self, name: str, timeout: float | None, given: float | None = None) -> None:
        """Wait until an incarnation of `name` takes messages; errors speak of the time `given`."""
        link = self._resolve(name, "wait_ready")
        up = Until(self, lambda: link.standing is not Standing.DOWN or self.lost is not None)
        self.driver.block(up, timeout)
        self.check()
        if link.standing is Standing.DOWN:
            limit = timeout if given is None else given
            why = link.reason or "it is starting"
            raise TimeoutError(f"{name} is not ready after {limit} s: {why}")
        if link.standing is not Standing.UP:
            raise no_such_actor(name, "")

    async def room(self, name: str) -> None:
        """Wait until the outbox of `name` takes another message."""
        link = self._resolve(name, "room")
        free = Until(self, lambda: not link.out.full or self.lost is not None)
        while not free.done():
            await wait_in_loop(free)
        self.check()

    # --- what replies and streams use (`reply.Door`)

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code."""
        if not pending.done():
            self.driver.block(pending, timeout)

    def cancel(self, call: Call) -> None:
        """Give up a call."""
        with self.lock:
            self.peer.cancel(call)
        self.driver.wake()

    def grant(self, call: Call, read: int) -> None:
        """Tell a stream's writer how much was read."""
        payload = msgspec.msgpack.encode(read)
        with self.lock:
            link = self.peer.links.get(call.target)
            if link is None:
                return
            self.peer.post(link, Letter(Envelope(Kind.GRANT, 0, call.correlation, "", payload)))
        self.driver.wake()

    # --- what the runtime and the client's thread use

    def decode(
        self, codec: Codec | ValueCodec, payload: bytes, frames: Frames, *, near: bool
    ) -> Any:
        """Return the value in a payload, with shared arrays of senders that are `near` only.

        Raises `MessageError`.
        """
        if not codec.beside:
            return codec.decode(payload, ALONE)
        return codec.decode(payload, Incoming(frames, self.memory if near else None, self))

    def encode(
        self, codec: Codec | ValueCodec, value: Any, link: Link
    ) -> tuple[bytes, Outgoing | Alone]:
        """Return a value, which will be sent, as a payload with its arrays, for `link`."""
        payload, beside = self._encode(codec, value, link)
        beside.freeze()
        return payload, beside

    def _encode(
        self, codec: Codec | ValueCodec, value: Any, link: Link
    ) -> tuple[bytes, Outgoing | Alone]:
        near = codec.beside and link.near(self.peer.host)
        return encoded(codec, value, self.memory, near=near)

    def after_pump(self) -> None:
        """Do what the deciders left to do: free memory, report losses, wake who waits.

        Called with the lock held, whenever the connection was pumped.
        """
        peer = self.peer
        self.arrived()
        while peer.settled:
            blocks = peer.settled.popleft().blocks
            if blocks:
                self.memory.free(blocks)
        while peer.losses:
            self.report(peer.losses.popleft())
        if self.conditions:
            due = [item for item in self.conditions if self.lost or item[0]()]
            for item in due:
                self.conditions.remove(item)
                item[1]()

    def lose(self, reason: str) -> None:
        """The connection is over for good: every open call ends, every new one is refused."""
        with self.lock:
            if self.lost is not None:
                return
            self.lost = ConnectionLost(reason=reason)
            for call in self.peer.calls.all():
                self.peer.calls.close(call.correlation)
                call.sink.fail(ConnectionLost(reason=reason))
            self.after_pump()

    # --- inside

    def call(self, kind: int, msg: object, call: Call) -> None:
        """Send a request; its answers go to the call's sink."""
        codec = codec_for(type(msg))
        handling = handling_now()
        if handling is not None:
            call.waiter = handling
        link = self._open(call.target, codec)
        letter, beside = self.letter(kind, codec, msg, link, deadline=call.deadline)
        with self.lock:
            self._check_open(link, letter, codec.cls)
            beside.freeze()
            self.peer.call(link, letter, call)
        self.driver.wake()

    def _check_open(self, link: Link, letter: Letter, cls: type) -> None:
        """Refuse a letter whose link was closed while it was written: nobody would look there."""
        if self.lost is None and self.peer.links.get(link.name) is link:
            return
        self.memory.free(letter.blocks)
        self.check()
        raise no_such_actor(link.name, cls.__name__)

    def letter(
        self, kind: int, codec: Codec, msg: object, link: Link, *, deadline: float = math.inf
    ) -> tuple[Letter, Outgoing | Alone]:
        """Return a message as it goes into the outbox of a link; raises `InvalidMessage`.

        With it comes what is to be frozen before it goes there.
        """
        payload, carrier = self._encode(codec, msg, link)
        handling = None if kind == TELL else handling_now()
        chain = () if handling is None else handling.chain
        envelope = Envelope(
            kind,
            0,
            0,
            codec.tag,
            payload,
            len(carrier.frames),
            0.0 if deadline == math.inf else deadline,
            chain,
            1,
            codec.fingerprint,
        )
        return carrier.letter(envelope, redeliver=codec.redeliver), carrier

    def _time_for(self, timeout: float | None) -> tuple[float, float]:
        """Return now, and how many seconds an ask has from now on."""
        now, handling = time.monotonic(), handling_now()
        if timeout == math.inf:
            return now, math.inf
        inherited = handling.deadline - now if handling is not None else math.inf
        if timeout is None:
            return now, inherited if inherited < math.inf else self.ask_timeout
        return now, min(timeout, inherited)

    def _open(self, name: str, codec: Codec) -> Link:
        """Return the link to `name` once a message may be put into it."""
        link = self.peer.links.get(name)
        if (
            link is None
            or link.standing is None
            or link.standing is _DENIED
            or self.lost is not None
        ):
            link = self._resolve(name, codec.cls.__name__)
        if link.out.full:
            self._wait_for_room(link, codec.cls.__name__)
        return link

    def _resolve(self, name: str, message: str) -> Link:
        self.check()
        with self.lock:
            link = self.peer.link(name)
        if link.standing is None:
            self.driver.wake()
            said = Until(self, lambda: link.standing is not None or self.lost is not None)
            self.driver.block_briefly(said, self.patience)
            self.check()
            if link.standing is None:
                raise ConnectionLost(reason=f"the broker has not answered for {self.patience:g} s")
        if link.standing is Standing.DENIED:
            raise AccessDenied(reason=link.reason)
        if link.standing in ENDED:
            raise no_such_actor(name, message, meant(link))
        return link

    def _wait_for_room(self, link: Link, message: str) -> None:
        if self.driver.may_block:
            self.driver.block(
                Until(self, lambda: not link.out.full or self.lost is not None), ROOM_TIMEOUT
            )
            self.check()
        if link.out.full:
            raise MailboxFull(target=link.name, message=message, limit=link.out.credit)

    def check(self) -> None:
        """Raise `ConnectionLost` when the connection is over."""
        if self.lost is not None:
            raise ConnectionLost(reason=self.lost.reason)

    def report(self, loss: Loss) -> None:
        """Make a dead letter of what nobody will handle."""
        target, tag = loss.target, loss.envelope.tag
        if target == SUPERVISOR or tag == _DEAD_LETTER.tag:
            self.undelivered += 1
            return
        if (
            tag == _TERMINATED.tag
            and self.peer.name == SUPERVISOR
            and target not in self.peer.links
        ):
            return  # a watch ends with its watcher: this notice was still on its way
        # Told to a program here, it is somebody else's, who may be on another host.
        text = self._text(loss.envelope, near=target != self.peer.name)
        self.dead_letter(DeadLetter(target, self.peer.name, tag, text, loss.reason))

    def dead_letter(self, letter: DeadLetter) -> None:
        """Tell the supervisor of a message that nobody will handle."""
        if self.peer.link(SUPERVISOR).out.full:
            self.undelivered += 1  # it cannot keep up with them; nothing grows without bound
        else:
            self.notify(SUPERVISOR, sendable(letter))

    def _text(self, envelope: Envelope, *, near: bool) -> str:
        if envelope.frames:
            return f"{envelope.tag} with {envelope.frames} arrays"
        try:
            codec = codec_for(class_of(envelope.tag))
            msg = self.decode(codec, envelope.payload, [], near=near)
        except ActorError:
            return f"{envelope.tag}, {len(envelope.payload)} bytes"
        return text_of(msg)


_DEAD_LETTER: Final = codec_for(DeadLetter)
_TERMINATED: Final = codec_for(Terminated)
