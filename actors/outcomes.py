"""How the handling of a message begins in the flight recorder, and how it ends.

    begin ──► Job
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

import msgspec

from actors.calls import NOBODY
from actors.control import lane_key
from actors.cycles import Waiter
from actors.envelope import ASK, TELL, Envelope, Kind
from actors.errors import ActorError, Expired, MailboxFull, MessageError, pack_error
from actors.handling import Handling
from actors.letter import Letter
from actors.log import logger
from actors.message import class_name, is_message
from actors.notices import DeadLetter, text_of
from actors.verbs import answer_codec

if TYPE_CHECKING:
    from actors.handler import Handler
    from actors.link import Delivery
    from actors.portal import Portal
    from actors.recorder import Recorder

UNRECORDED: Final = -1

CROWDED: Final = "messages of 1,024 senders are recorded here already; send again when some left"


@final
class Job(msgspec.Struct, eq=False):
    """One message being handled."""

    delivery: Delivery
    slot: int
    """Place of the sender in the flight recorder."""
    index: int
    """Place of this message among those in progress; UNRECORDED when it has none."""
    waiter: Waiter
    """Its handler, for those it asks."""
    handler: Handler | None = None
    message: object = None
    task: asyncio.Task[None] | None = None
    cancelled: bool = False
    """Its asker has given up."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Sender, its incarnation, and the number of its request."""
        delivery = self.delivery
        return delivery.link.name, delivery.incarnation, delivery.envelope.correlation

    def handling(self) -> Handling:
        """Return what the messages sent meanwhile inherit."""
        envelope, sender = self.delivery.envelope, self.delivery.link.name
        # Whoever has told us something waits for nothing.
        chain = () if envelope.kind == TELL else (*envelope.chain, sender)
        return Handling(sender, self.delivery.deadline, chain, envelope.attempt)


@final
class Outcomes:
    """Begins and ends jobs."""

    def __init__(self, portal: Portal, recorder: Recorder) -> None:
        self._portal = portal
        self._peer = portal.peer
        self._recorder = recorder
        self._slots: dict[str, tuple[int, int]] = {}
        """Senders: present incarnation, and place in the recorder."""
        self.handled = 0
        """Messages of this life that are finished."""

    def begin(self, delivery: Delivery, now: float) -> Job:
        """Record that a message is begun; `UNRECORDED` when its sender has no place there."""
        envelope = delivery.envelope
        known = self._slots.get(delivery.link.name)
        if known is not None and known[0] == delivery.incarnation:
            slot = known[1]
        else:
            known = None
            try:
                slot = self._slot(delivery)
            except LookupError:
                return Job(delivery, UNRECORDED, UNRECORDED, NOBODY)
        try:
            index = self._recorder.begin(slot, envelope.seq, envelope.tag, now)
        except LookupError:
            return Job(delivery, UNRECORDED, UNRECORDED, NOBODY)
        if known is None and (delivery.incarnation, slot) != self._slots.get(delivery.link.name):
            # Its sender is gone and nobody will say so again: its place is free after this.
            self._recorder.unlink(slot)
        return Job(delivery, slot, index, NOBODY)

    def begin_early(self, delivery: Delivery, now: float) -> Job:
        """Begin a message that ends before its turn; `UNRECORDED` when there is no place to spare.

        Whoever got it refused, or has given it up, does not ask a dead life what became of it.
        """
        if self._recorder.spare:
            return self.begin(delivery, now)
        return Job(delivery, UNRECORDED, UNRECORDED, NOBODY)

    def _slot(self, delivery: Delivery) -> int:
        """Give a sender a place in the recorder; raises `LookupError` when none is free."""
        name, incarnation = delivery.link.name, delivery.incarnation
        known = self._slots.get(name)
        departed = 0 < incarnation <= delivery.link.ended
        if known is not None and not departed:
            self._recorder.unlink(self._slots.pop(name)[1])
        lane, handled = lane_key(name, incarnation), delivery.inbound.handled
        slot = self._recorder.link(lane, handled, f"{name}/{incarnation}" if incarnation else name)
        if not departed:
            self._slots[name] = (incarnation, slot)
        return slot

    def depart(self, name: str, incarnation: int) -> None:
        """A sender's life has ended: its place in the recorder is free for others."""
        known = self._slots.get(name)
        if known is not None and known[0] <= incarnation:
            del self._slots[name]
            self._recorder.unlink(known[1])

    def answer(self, job: Job, value: Any) -> None:
        """The handler returned: send its answer, if anybody asked for one."""
        envelope = job.delivery.envelope
        if envelope.kind == ASK:
            codec = answer_codec(type(job.message))
            try:
                payload, carrier = self._portal.encode(codec, value, job.delivery.link)
            except MessageError as error:
                self._wrong_answer(job, error)
                return
            except Exception as error:  # noqa: BLE001 - no memory for it, say: its asker hears of it
                self._recorder.failed()
                self.fail(job, pack_error(error))
                return
            reply = Envelope(Kind.REPLY, 0, envelope.correlation, "", payload, len(carrier.frames))
            self._post(job, carrier.letter(reply))
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

    def refuse(self, job: Job, error: ActorError) -> None:
        """The message is not handled: its sender is told why."""
        if job.delivery.envelope.kind == TELL:
            self.drop(job, str(error))
        else:
            self.fail(job, pack_error(error, escaped=False))

    def turn_away(self, delivery: Delivery, error: ActorError) -> None:
        """Refuse a message that has not been begun."""
        self.refuse(self.begin_early(delivery, time.monotonic()), error)

    def crowded(self, job: Job) -> None:
        """Refuse a message whose sender has no place in the recorder."""
        name = class_name(job.delivery.envelope.tag)
        self.refuse(job, MailboxFull(CROWDED, target=self._peer.name, message=name))

    def expire(self, job: Job, now: float) -> None:
        """Refuse a message whose deadline has passed."""
        self._recorder.expired()
        name, late = class_name(job.delivery.envelope.tag), now - job.delivery.deadline
        self.refuse(job, Expired(target=self._peer.name, message=name, late=late))

    def drop(self, job: Job, reason: str) -> None:
        """A told message will not be handled any further: it becomes a dead letter."""
        envelope = job.delivery.envelope
        text = text_of(job.message) if is_message(type(job.message)) else ""
        sender = job.delivery.link.name
        tag = envelope.tag or type(job.message).__name__
        letter = DeadLetter(self._peer.name, sender, tag, text, reason)
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
        if job.index != UNRECORDED:
            run = delivery.inbound.run if seq > handled else None
            self._recorder.finish(job.index, job.slot, seq, handled, run)
        self.handled += 1

    def _post(self, job: Job, letter: Letter) -> None:
        delivery = job.delivery
        with self._portal.lock:
            self._peer.answer(delivery.link, delivery.incarnation, letter)
