"""How the handling of a message ends: answered, failed, refused or lost, and marked as finished.

    answer ──► REPLY ──┐
    fail   ──► FAILURE ┼─► finish: the link acknowledges, the flight recorder clears its mark
    refuse ──► FAILURE,│   or a dead letter when the message was told
    drop   ────────────┘

The answer is put into the outbox before the message counts as finished, never after it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, final

from actors.envelope import Envelope, Kind
from actors.errors import MessageError, pack_error
from actors.log import logger
from actors.message import is_message
from actors.notices import DeadLetter
from actors.outbox import Letter
from actors.portal import answer_codec

if TYPE_CHECKING:
    from actors.handler import Handler
    from actors.link import Delivery
    from actors.portal import Portal
    from actors.recorder import Recorder

LONGEST_TEXT: Final = 200
"""Characters of a message that a dead letter shows."""


@final
class Job:
    """One message being handled."""

    __slots__ = ("cancelled", "delivery", "handler", "index", "message", "slot", "task")

    def __init__(self, delivery: Delivery, slot: int, index: int) -> None:
        self.delivery = delivery
        self.slot = slot
        """Place of the sender in the flight recorder."""
        self.index = index
        """Place of this message among those in progress."""
        self.handler: Handler | None = None
        self.message: object = None
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False
        """Its asker has given up."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Sender, its incarnation, and the number of its request."""
        delivery = self.delivery
        return delivery.link.name, delivery.incarnation, delivery.envelope.correlation


@final
class Outcomes:
    """Ends jobs."""

    def __init__(self, portal: Portal, recorder: Recorder) -> None:
        self._portal = portal
        self._peer = portal.peer
        self._recorder = recorder
        self.handled = 0
        """Messages of this life that are finished."""

    def answer(self, job: Job, value: Any) -> None:
        """The handler returned: send its answer, if anybody asked for one."""
        envelope = job.delivery.envelope
        if envelope.kind == Kind.ASK:
            codec = answer_codec(type(job.message))
            try:
                payload, carrier = self._portal.encode(codec, value, job.delivery.link)
            except MessageError as error:
                self._wrong_answer(job, error)
                return
            reply = Envelope(Kind.REPLY, 0, envelope.correlation, "", payload, len(carrier.frames))
            self._post(job, Letter(reply, tuple(carrier.frames), blocks=tuple(carrier.blocks)))
        self.finish(job)

    def _wrong_answer(self, job: Job, error: MessageError) -> None:
        where = job.handler.function.__qualname__ if job.handler is not None else "a handler"
        text = f"{where} returned what {type(job.message).__name__} does not promise: {error}"
        logger.error("%s", text)
        self._recorder.failed()
        self.fail(job, pack_error(TypeError(text)))

    def fail(self, job: Job, payload: bytes) -> None:
        """Send whoever asked a packed error."""
        correlation = job.delivery.envelope.correlation
        self._post(job, Letter(Envelope(Kind.FAILURE, 0, correlation, "", payload)))
        self.finish(job)

    def refuse(self, job: Job, error: MessageError) -> None:
        """The message cannot be handled: its sender is told why."""
        if job.delivery.envelope.kind == Kind.TELL:
            self.drop(job, str(error))
        else:
            self.fail(job, pack_error(error, escaped=False))

    def drop(self, job: Job, reason: str) -> None:
        """A told message will not be handled any further: it becomes a dead letter."""
        envelope = job.delivery.envelope
        text = repr(job.message) if is_message(type(job.message)) else ""
        sender = job.delivery.link.name
        tag = envelope.tag or type(job.message).__name__
        letter = DeadLetter(self._peer.name, sender, tag, text[:LONGEST_TEXT], reason)
        self._portal.dead_letter(letter)
        self.finish(job)

    def finish(self, job: Job) -> None:
        """Mark a message as handled, for its sender and in the flight recorder."""
        delivery = job.delivery
        seq = delivery.envelope.seq
        now = time.monotonic()
        with self._portal.lock:
            handled = self._peer.finished(delivery.link, delivery.inbound, seq, now)
        self._recorder.alive(now)
        self._recorder.finish(job.index, job.slot, seq, handled)
        self.handled += 1

    def _post(self, job: Job, letter: Letter) -> None:
        delivery = job.delivery
        with self._portal.lock:
            self._peer.answer(delivery.link, delivery.incarnation, letter)
