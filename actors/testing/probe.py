"""A ref that remembers what it was sent: for tests that look at what an actor sends.

    probe = Probe()                      without a system: an actor object, handlers called directly
    shop = Shop(bank=probe.ref)
    shop.sell(Sell("tea"))
    assert probe.expect(Deposit).amount == 3

    probe = Probe(system)                in a system, real or simulated: a party of its own
    shop = system.spawn(Shop, bank=probe.ref)
    shop.tell(Sell("tea"))
    assert probe.expect(Deposit, within=5.0).amount == 3

What is sent passes the codec, as on its way to another process: what cannot travel is refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar, final

import attrs

from actors.calls import Call
from actors.codec import codec_for
from actors.envelope import Envelope, Frames, Kind
from actors.errors import ActorError
from actors.message import Request, StreamRequest
from actors.outbox import OUTBOX_MESSAGES
from actors.ref import ActorRef
from actors.reply import Pending, Reply
from actors.stream import Stream
from actors.testing.ear import Ear, real_party
from actors.testing.simulation import Client
from actors.verbs import answer_codec
from actors.wire.carrier import FrameCarrier

if TYPE_CHECKING:
    from actors.driver import Driver
    from supervisor.calls import Calls

M = TypeVar("M")
R = TypeVar("R")
T = TypeVar("T")

WITHIN: Final = 1.0
"""Seconds that `expect` waits when nobody says otherwise."""


class _Answerable(Protocol):
    """What an answer goes through."""

    def answer(self, value: Any) -> None:
        """Send a value, or an error."""
        ...


@attrs.frozen
class _Sent:
    """One message, and what waits for its answer."""

    message: Any
    open: _Answerable | None


@final
class Probe:
    """Records what is sent to `probe.ref`.  For any thread."""

    def __init__(self, system: Calls | None = None, *, name: str = "probe") -> None:
        """Make a probe; with a system (or a simulation) its actors can send to it.

        It leaves a real system with it, or at the end of `with Probe(system) as probe`.
        """
        self.messages: list[Any] = []
        """Everything it was sent, in order."""
        self._unexpected: deque[_Sent] = deque()
        self._asked: deque[_Answerable] = deque()
        self._changed = threading.Condition()
        self._wakes: list[Callable[[], None]] = []
        self._driver: Driver | None = None
        self._ear: Ear | None = None
        self.ref: Final = (
            ActorRef(name, _Outlet(self)) if system is None else self._join(system, name)
        )
        """Give this to the code under test, or put it into a message."""

    def _join(self, system: Calls, name: str) -> ActorRef:
        if isinstance(system, Client):
            portal = system.party(name, mailbox=OUTBOX_MESSAGES)
            self._driver = portal.driver
        else:
            portal = real_party(system.status().endpoint, name)
        self._ear = Ear(portal, self._hear)
        return portal.ref(portal.peer.name)

    def close(self) -> None:
        """Leave the system.  Twice is fine."""
        if self._ear is not None:
            self._ear.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def expect(self, cls: type[M], *, within: float = WITHIN) -> M:
        """Return the next message, which must be a `cls`.

        Waits up to `within` seconds for it; raises `AssertionError` for another one, or for none.
        """
        if not self._waited(within):
            raise AssertionError(f"no {cls.__name__} within {within:g} s: nothing was sent")
        sent = self._unexpected.popleft()
        if type(sent.message) is not cls:
            raise AssertionError(f"expected {cls.__name__}, and got {sent.message!r}")
        if sent.open is not None:
            self._asked.append(sent.open)
        return sent.message

    def expect_nothing(self, *, within: float = 0.0) -> None:
        """Raise `AssertionError` when a message is there, or comes within so many seconds."""
        if self._waited(within):
            raise AssertionError(f"expected nothing, and got {self._unexpected[0].message!r}")

    def _waited(self, within: float) -> bool:
        """Wait until there is a message; virtual seconds in a simulation."""
        if self._driver is not None:
            self._driver.block(self, within)
            return self.done()
        with self._changed:
            return self._changed.wait_for(self.done, within)

    # --- `reply.Pending`

    def done(self) -> bool:
        """Whether there is a message that was not expected yet."""
        return bool(self._unexpected)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` when there is another message."""
        self._wakes.append(wake)

    def off_change(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more."""
        if wake in self._wakes:
            self._wakes.remove(wake)

    def answer(self, value: Any) -> None:
        """Answer the oldest ask that was expected and is open; an error is raised there."""
        if not self._asked:
            raise AssertionError("nothing to answer: expect() an ask first")
        self._asked.popleft().answer(value)

    def record(self, msg: object, reply: Reply[Any] | None = None) -> None:
        """Take a message."""
        codec = codec_for(type(msg))
        out = FrameCarrier()
        payload = codec.encode(msg, out)
        back = FrameCarrier(out.frames, bind=lambda address: ActorRef(address.name, None))
        received = codec.decode(payload, back)
        self._hear(received, None if reply is None else _Local(type(msg), reply))

    def _hear(self, msg: Any, answerable: _Answerable | None) -> None:
        with self._changed:
            self.messages.append(msg)
            self._unexpected.append(_Sent(msg, answerable))
            self._changed.notify_all()
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()


@final
@attrs.frozen
class _Local:
    """An ask that came from this very process."""

    cls: type
    reply: Reply[Any]

    def answer(self, value: Any) -> None:
        """Give a value, or an error."""
        if isinstance(value, ActorError):
            self.reply.fail(value)
            return
        carrier = FrameCarrier()
        payload = answer_codec(self.cls).encode(value, carrier)
        frames = [bytes(frame) for frame in carrier.frames]
        self.reply.take(Envelope(Kind.REPLY, 0, 0, "", payload, len(frames)), frames, near=False)


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

        def decode(payload: bytes, frames: Frames, *, near: bool) -> Any:  # noqa: ARG001
            return codec.decode(payload, FrameCarrier(frames))

        reply: Reply[R] = Reply(self, decode)
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

    def check(self) -> None:
        """Something can always come."""

    def cancel(self, call: Call) -> None:
        """Nobody else need know."""

    def grant(self, call: Call, read: int) -> None:
        """There are no streams."""
