"""A ref that remembers what it was sent: for plain tests of one actor, without a system.

    probe = Probe()
    shop = Shop(bank=probe.ref)          an actor object, its handlers called directly
    shop.sell(Sell("tea"))
    assert probe.expect(Deposit).amount == 3

What is sent passes the codec, as on its way to another process: what cannot travel is refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Final, TypeVar, final

import attrs

from actors.calls import Call
from actors.codec import codec_for
from actors.envelope import Envelope, Kind
from actors.errors import ActorError
from actors.message import Request, StreamRequest
from actors.ref import ActorRef
from actors.reply import Pending, Reply
from actors.stream import Stream
from actors.verbs import answer_codec
from actors.wire.carrier import FrameCarrier

M = TypeVar("M")
R = TypeVar("R")
T = TypeVar("T")

WITHIN: Final = 1.0
"""Seconds that `expect` waits when nobody says otherwise."""


@attrs.frozen
class _Sent:
    """One message, and what waits for its answer."""

    message: Any
    reply: Reply[Any] | None


@final
class Probe:
    """Records what is sent to `probe.ref`.  For any thread."""

    def __init__(self, name: str = "probe") -> None:
        self.ref: Final = ActorRef(name, _Outlet(self))
        """Give this to the code under test."""
        self.messages: list[Any] = []
        """Everything it was sent, in order."""
        self._unexpected: deque[_Sent] = deque()
        self._asked: deque[tuple[type, Reply[Any]]] = deque()
        self._changed = threading.Condition()

    def expect(self, cls: type[M], *, within: float = WITHIN) -> M:
        """Return the next message, which must be a `cls`.

        Waits up to `within` seconds for it; raises `AssertionError` for another one, or for none.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._unexpected), within):
                raise AssertionError(f"no {cls.__name__} within {within:g} s: nothing was sent")
            sent = self._unexpected.popleft()
        if type(sent.message) is not cls:
            raise AssertionError(f"expected {cls.__name__}, and got {sent.message!r}")
        if sent.reply is not None:
            self._asked.append((cls, sent.reply))
        return sent.message

    def expect_nothing(self, *, within: float = 0.0) -> None:
        """Raise `AssertionError` when a message is there, or comes within so many seconds."""
        with self._changed:
            if self._changed.wait_for(lambda: bool(self._unexpected), within):
                raise AssertionError(f"expected nothing, and got {self._unexpected[0].message!r}")

    def answer(self, value: Any) -> None:
        """Answer the oldest ask that was expected and is open; an error is raised there."""
        if not self._asked:
            raise AssertionError("nothing to answer: expect() an ask first")
        cls, reply = self._asked.popleft()
        if isinstance(value, ActorError):
            reply.fail(value)
            return
        carrier = FrameCarrier()
        payload = answer_codec(cls).encode(value, carrier)
        frames = [bytes(frame) for frame in carrier.frames]
        reply.take(Envelope(Kind.REPLY, 0, 0, "", payload, len(frames)), frames)

    def record(self, msg: object, reply: Reply[Any] | None = None) -> None:
        """Take a message."""
        codec = codec_for(type(msg))
        out = FrameCarrier()
        payload = codec.encode(msg, out)
        back = FrameCarrier(out.frames, bind=lambda address: ActorRef(address.name, None))
        with self._changed:
            received = codec.decode(payload, back)
            self.messages.append(received)
            self._unexpected.append(_Sent(received, reply))
            self._changed.notify_all()


@final
class _Outlet:
    """What the probe's ref, and the replies it gives, need of a process."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.lock = threading.RLock()

    # --- `ref.Outlet`

    def ref(self, name: str) -> ActorRef:
        """Return a handle that leads nowhere."""
        return ActorRef(name, None)

    def tell(self, name: str, msg: object) -> None:  # noqa: ARG002
        """Record it."""
        self._probe.record(msg)

    def ask(self, name: str, msg: Request[R], timeout: float | None) -> Reply[R]:  # noqa: ARG002
        """Record it, and wait for `Probe.answer`."""
        codec = answer_codec(type(msg))
        reply: Reply[R] = Reply(
            self, lambda payload, frames: codec.decode(payload, FrameCarrier(frames))
        )
        reply.attach(Call(reply, target=name, message=type(msg).__name__, deadline=0.0))
        self._probe.record(msg, reply)
        return reply

    def stream(self, name: str, msg: StreamRequest[T]) -> Stream[T]:
        """A probe has no items to send."""
        raise NotImplementedError(f"a Probe answers asks, not streams ({type(msg).__name__})")

    def wait_ready(self, name: str, timeout: float | None) -> None:
        """It always is."""

    async def room(self, name: str) -> None:
        """There always is."""

    # --- `reply.Door`

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code; another thread of the test must answer."""
        end = time.monotonic() + (WITHIN if timeout is None else timeout)
        gate = threading.Event()
        pending.on_change(gate.set)
        gate.wait(max(0.0, end - time.monotonic()))

    def cancel(self, call: Call) -> None:
        """Nobody else need know."""

    def grant(self, call: Call, read: int) -> None:
        """There are no streams."""
