"""The life of one actor: one message at a time from the mailbox to its handler and back.

    deliveries ─► mailbox ─► begin in the flight recorder ─► decode ─► handler
                                                                         │
          answer or failure into the outbox ◄── finish in the recorder ◄─┘

`def` handlers are called directly on the loop, `async def` ones in a task; the next message waits
until it is over, unless the handler is `concurrent`.  A tell that raises ends the incarnation: its
mark stays "in progress", which is how its sender learns of it.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import msgspec

from actors.codec import codec_for
from actors.control import Failed, Word, lane_key
from actors.envelope import Envelope, Kind
from actors.errors import HandlerError, InvalidMessage, MessageError, UnknownMessage, pack_error
from actors.failure import trace_of
from actors.handler import FailurePolicy, Handler, HandlerKind, handlers_of
from actors.link import Inbound, Letter
from actors.log import logger
from actors.mailbox import Mailbox, Timer
from actors.message import class_of, is_message
from actors.notices import DeadLetter
from actors.peer import Delivery, Link, Signal
from actors.portal import HANDLING, Handling, answer_codec
from actors.writers import Writer

if TYPE_CHECKING:
    from actors.actor import Actor
    from actors.portal import Portal
    from actors.pump import LoopPump
    from actors.recorder import Recorder

TURN: Final = 64
"""Messages handled before the connection is looked at again."""

FAST: Final = 50e-6
"""Seconds below which a handler may run before what is ready to go out has left."""

CONCURRENT: Final = 60
"""Overlapping handlers at the most; the recorder has 64 places."""


_TIMERS: Final = Link("@timer")
"""Stands in the recorder for the sender of an actor's own timers."""


class Owner(Protocol):
    """What the runtime needs of the process around it."""

    def say(self, word: Word) -> None:
        """Tell the supervisor something."""
        ...

    def end(self, code: int, reason: str) -> None:
        """The incarnation is over, in disorder."""
        ...


class Job:
    """One message being handled."""

    __slots__ = ("delivery", "handler", "index", "message", "slot", "task")

    def __init__(self, delivery: Delivery, slot: int, index: int) -> None:
        self.delivery = delivery
        self.slot = slot
        self.index = index
        self.handler: Handler | None = None
        self.message: Any = None
        self.task: asyncio.Task[None] | None = None


@final
class Runtime:
    """Handles one actor's messages."""

    def __init__(self, actor: Actor, portal: Portal, recorder: Recorder, owner: Owner) -> None:
        self._actor = actor
        self._handlers = handlers_of(type(actor))
        self._portal = portal
        self._peer = portal.peer
        self._recorder = recorder
        self._owner = owner
        self.pump: LoopPump
        self.mailbox = Mailbox()
        self.open = False
        """Whether messages are handled: from after `on_start` until the end."""
        self.handled = 0
        self._exclusive: Job | None = None
        self._jobs: dict[tuple[str, int, int], Job] = {}
        self._overlapping = 0
        self._writers: dict[tuple[str, int, int], Writer] = {}
        self._slots: dict[str, tuple[int, int]] = {}
        self._seconds: dict[Handler, float] = {}
        self._timers = Inbound(1)

    # --- the loop's turn -------------------------------------------------------------------------

    def turn(self) -> None:
        """Handle what has arrived; called after every pump."""
        peer, mailbox = self._peer, self.mailbox
        while peer.deliveries:
            mailbox.put(peer.deliveries.popleft())
        while peer.signals:
            self._signal(peer.signals.popleft())
        while peer.departed:
            self._depart(*peer.departed.popleft())
        for _ in range(TURN):
            if not self.open or self._exclusive is not None or self._overlapping >= CONCURRENT:
                break
            item = mailbox.take()
            if item is None:
                break
            if isinstance(item, Timer):
                self._tell_self(item)
            else:
                self._handle(item)
        else:
            self.pump.again()
        self._recorder.mailbox(len(mailbox))

    @property
    def busy(self) -> bool:
        """Whether a handler is running."""
        return bool(self._exclusive or self._overlapping)

    def tell_self(self, msg: Any) -> None:
        """Put a timer's message into the mailbox."""
        self.mailbox.put(Timer(msg))
        self.pump.again()

    def stop(self) -> None:
        """Take no further message; end the streams."""
        self.open = False
        self._recorder.stopping()
        for writer in list(self._writers.values()):
            writer.stop()

    def _signal(self, signal: Signal) -> None:
        correlation = signal.envelope.correlation
        key = (signal.link.name, signal.incarnation, correlation)
        writer = self._writers.get(key)
        if signal.envelope.kind == Kind.GRANT:
            if writer is not None:
                writer.granted(_count(signal.envelope.payload))
            return
        if writer is not None:
            writer.close()
        job = self._jobs.get(key)
        if job is not None and job.task is not None:
            job.task.cancel()
        waiting = self.mailbox.withdraw(*key)
        if waiting is not None:
            self._finish(self._begin(waiting))

    def _depart(self, name: str, incarnation: int) -> None:
        """A life has ended: nobody waits any more for what we do for it."""
        for key in [k for k in self._writers if k[0] == name and k[1] <= incarnation]:
            self._writers[key].close()
        slot = self._slots.get(name)
        if slot is not None and slot[0] <= incarnation:
            del self._slots[name]
            self._recorder.unlink(slot[1])

    # --- one message -----------------------------------------------------------------------------

    def _begin(self, delivery: Delivery) -> Job:
        now = time.monotonic()
        envelope = delivery.envelope
        slot = self._slot(delivery)
        return Job(delivery, slot, self._recorder.begin(slot, envelope.seq, envelope.tag, now))

    def _slot(self, delivery: Delivery) -> int:
        name, incarnation = delivery.link.name, delivery.incarnation
        known = self._slots.get(name)
        if known is not None:
            if known[0] == incarnation:
                return known[1]
            self._recorder.unlink(known[1])
        slot = self._recorder.link(lane_key(name, incarnation), delivery.inbound.handled)
        self._slots[name] = (incarnation, slot)
        return slot

    def _handle(self, delivery: Delivery) -> None:
        job = self._begin(delivery)
        if time.monotonic() > delivery.deadline:
            self._finish(job)
            return
        try:
            handler = self._decode(job)
        except MessageError as error:
            self._refuse(job, error)
            return
        if self._seconds.get(handler, math.inf) > FAST:
            self.pump.flush()
        token = HANDLING.set(self._handling(delivery))
        try:
            self._start(job, handler)
        finally:
            HANDLING.reset(token)

    def _decode(self, job: Job) -> Handler:
        envelope = job.delivery.envelope
        cls = class_of(envelope.tag)
        handler = self._handlers.get(cls)
        if handler is None:
            raise UnknownMessage(tag=envelope.tag, target=self._peer.name)
        stream = handler.kind in (HandlerKind.STREAM, HandlerKind.ASYNC_STREAM)
        if stream != (envelope.kind == Kind.STREAM):
            raise InvalidMessage(message=cls.__name__, reason="sent as the wrong kind of message")
        job.message = self._portal.decode(codec_for(cls), envelope.payload, job.delivery.frames)
        job.handler = handler
        return handler

    def _handling(self, delivery: Delivery) -> Handling:
        envelope = delivery.envelope
        sender = delivery.link.name
        return Handling(sender, delivery.deadline, (*envelope.chain, sender), envelope.attempt)

    def _start(self, job: Job, handler: Handler) -> None:
        match handler.kind:
            case HandlerKind.SYNC:
                self._call(job, handler)
            case HandlerKind.ASYNC:
                self._launch(job, handler)
            case HandlerKind.STREAM | HandlerKind.ASYNC_STREAM:
                self._open_stream(job, handler)

    def _call(self, job: Job, handler: Handler) -> None:
        begun = time.perf_counter()
        try:
            value = handler.function(self._actor, job.message)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            self._raised(job, error)
        except BaseException as error:  # noqa: BLE001 - sys.exit in a handler ends the actor
            self._exit(error)
        else:
            self._answer(job, value)
        took = time.perf_counter() - begun
        self._seconds[handler] = 0.8 * self._seconds.get(handler, took) + 0.2 * took

    def _launch(self, job: Job, handler: Handler) -> None:
        job.task = asyncio.get_running_loop().create_task(self._await(job, handler))
        envelope = job.delivery.envelope
        self._jobs[job.delivery.link.name, job.delivery.incarnation, envelope.correlation] = job
        if handler.concurrent:
            self._overlapping += 1
        else:
            self._exclusive = job
        job.task.add_done_callback(lambda _task: self._landed(job, handler))

    async def _await(self, job: Job, handler: Handler) -> None:
        try:
            value = await handler.function(self._actor, job.message)
        except asyncio.CancelledError:
            # Its asker has given up; nobody waits for an answer.
            self._finish(job)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            self._raised(job, error)
        except BaseException as error:  # noqa: BLE001 - sys.exit in a handler ends the actor
            self._exit(error)
        else:
            self._answer(job, value)

    def _landed(self, job: Job, handler: Handler) -> None:
        if handler.concurrent:
            self._overlapping -= 1
        else:
            self._exclusive = None
        delivery = job.delivery
        self._jobs.pop((delivery.link.name, delivery.incarnation, delivery.envelope.correlation), None)
        self.pump.again()

    def _open_stream(self, job: Job, handler: Handler) -> None:
        """A stream's request counts as handled when it has begun: it never holds its link back."""
        writer = Writer(self._portal, job.delivery, type(job.message), self._forget_writer)
        self._writers[writer.key] = writer
        items = handler.function(self._actor, job.message)
        self._finish(job)
        if handler.kind is HandlerKind.STREAM:
            writer.run(items)
        else:
            writer.run_async(items)

    def _forget_writer(self, key: tuple[str, int, int]) -> None:
        self._writers.pop(key, None)

    # --- how it ends -----------------------------------------------------------------------------

    def _answer(self, job: Job, value: Any) -> None:
        envelope = job.delivery.envelope
        if envelope.kind == Kind.ASK:
            codec = answer_codec(type(job.message))
            link = job.delivery.link
            try:
                payload, carrier = self._portal.encode(codec, value, link)
            except MessageError as error:
                self._wrong_answer(job, error)
                return
            reply = Envelope(Kind.REPLY, 0, envelope.correlation, "", payload, len(carrier.frames))
            self._post(job, Letter(reply, tuple(carrier.frames), blocks=tuple(carrier.blocks)))
        self._finish(job)

    def _wrong_answer(self, job: Job, error: MessageError) -> None:
        handler = job.handler
        where = f"{type(self._actor).__name__}.{handler.name if handler else '?'}"
        text = f"{where} returned what {type(job.message).__name__} does not promise: {error}"
        logger.error(text)
        self._fail(job, pack_error(HandlerError(text, type_name="TypeError"), escaped=False))

    def _raised(self, job: Job, error: Exception) -> None:
        self._recorder.failed()
        if job.delivery.envelope.kind == Kind.ASK:
            self._fail(job, pack_error(error))
            return
        handler = job.handler
        policy = handler.failure_policy if handler is not None else None
        self._give_up(error, policy or self._actor.failure_policy)
        if self.open:
            self._dead_letter(job, f"{type(error).__name__}: {error}")
            self._finish(job)

    def _give_up(self, error: Exception, policy: FailurePolicy) -> None:
        logger.error("a handler of %s raised", self._peer.name, exc_info=error)
        if policy is FailurePolicy.RESUME:
            return
        self.open = False
        text = f"{type(error).__name__}: {error}"
        final = policy is FailurePolicy.STOP
        self._owner.say(Failed(text, trace_of(error), starting=False, final=final))
        self._owner.end(1, text)

    def _exit(self, error: BaseException) -> None:
        code = error.code if isinstance(error, SystemExit) else 1
        self.open = False
        text = f"{type(error).__name__}({code})"
        self._owner.say(Failed(text, "", starting=False))
        self._owner.end(code if isinstance(code, int) else 1 if code else 0, text)

    def _refuse(self, job: Job, error: MessageError) -> None:
        """The message cannot be handled: its sender is told why."""
        if job.delivery.envelope.kind == Kind.TELL:
            self._dead_letter(job, str(error))
            self._finish(job)
        else:
            self._fail(job, pack_error(error, escaped=False))

    def _dead_letter(self, job: Job, reason: str) -> None:
        envelope = job.delivery.envelope
        text = repr(job.message) if is_message(type(job.message)) else ""
        sender = job.delivery.link.name
        self._portal.dead_letter(
            DeadLetter(self._peer.name, sender, envelope.tag, text[:200], reason)
        )

    def _fail(self, job: Job, payload: bytes) -> None:
        correlation = job.delivery.envelope.correlation
        self._post(job, Letter(Envelope(Kind.FAILURE, 0, correlation, "", payload)))
        self._finish(job)

    def _post(self, job: Job, letter: Letter) -> None:
        delivery = job.delivery
        # A sender that has died meanwhile, or come back as another life, waits for nothing.
        if delivery.link.known == delivery.incarnation:
            with self._portal.lock:
                self._peer.post(delivery.link, letter)

    def _finish(self, job: Job) -> None:
        delivery = job.delivery
        seq = delivery.envelope.seq
        now = time.monotonic()
        with self._portal.lock:
            handled = self._peer.finished(delivery.link, delivery.inbound, seq, now)
        self._recorder.alive(now)
        self._recorder.finish(job.index, job.slot, seq, handled)
        self.handled += 1

    # --- timers ----------------------------------------------------------------------------------

    def _tell_self(self, timer: Timer) -> None:
        handler = self._handlers.get(type(timer.message))
        if handler is None:
            logger.error("%s has no handler for its own %s", self._peer.name, type(timer.message).__name__)
            return
        envelope = Envelope(Kind.TELL, self._timers.expected, 0, "", b"")
        self._timers.accept(envelope.seq)
        job = self._begin(Delivery(_TIMERS, 0, self._timers, envelope, [], math.inf))
        job.message, job.handler = timer.message, handler
        token = HANDLING.set(None)
        try:
            self._start(job, handler)
        finally:
            HANDLING.reset(token)


def _count(payload: bytes) -> int:
    try:
        return msgspec.msgpack.decode(payload, type=int)
    except msgspec.MsgspecError:
        return 0
