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
from typing import TYPE_CHECKING, Final, final

from actors.admission import Admission
from actors.control import Ending
from actors.cycles import Hold
from actors.dispatch import Dispatch
from actors.envelope import ASK, TELL, Envelope, Kind
from actors.errors import AccessDenied, MessageError, pack_error
from actors.failure import from_theirs, said_of
from actors.handler import FailurePolicy, Handler, HandlerKind
from actors.handling import HANDLING, Handling
from actors.lifeline import failed
from actors.link import Delivery, Inbound, Link, Signal
from actors.log import logger
from actors.mailbox import Mailbox, Timer
from actors.message import tag_of
from actors.notices import text_of
from actors.outcomes import UNRECORDED, Job, Outcomes
from actors.writers import Writers

if TYPE_CHECKING:
    from actors.actor import Actor
    from actors.driver import Owner, Pump
    from actors.portal import Portal
    from actors.recorder import Recorder

TURN: Final = 64
"""Messages handled before the connection is looked at again."""

FAST: Final = 50e-6
"""Seconds below which a handler may run before what is ready to go out has left."""

LONG: Final = 0.005
"""Seconds after which the connection is looked at before the next message is begun."""

# Looked up once: a member of an enumeration costs as much as a call.
_SYNC: Final = HandlerKind.SYNC
_OVER: Final = Hold.OVER

_TIMERS: Final = Link("@timer")
"""Stands in the recorder for the sender of an actor's own timers."""


@final
class Runtime:
    """Handles one actor's messages."""

    def __init__(
        self,
        actor: Actor,
        portal: Portal,
        *,
        recorder: Recorder,
        owner: Owner,
        own_errors: bool = False,
    ) -> None:
        self._actor = actor
        self._own_errors = own_errors
        """Errors of this library are this actor's plain answers, not handlers that raised."""
        self.dispatch = Dispatch(type(actor), portal)
        self._portal = portal
        self._peer = portal.peer
        self._recorder = recorder
        self._outcomes = Outcomes(portal, recorder)
        self._owner = owner
        self.pump: Pump
        self.mailbox = Mailbox()
        admission = Admission(portal, self.mailbox, self.dispatch, self._outcomes)
        portal.arrived = admission.take_in
        portal.handles = lambda cls: self.dispatch.for_class(cls) is not None
        self.open = False
        """Whether messages are handled: from after `on_start` until the end."""
        self.held = False
        """Whether the next message waits, for an `async` snapshot."""
        self._exclusive: Job | None = None
        self._jobs: dict[tuple[str, int, int], Job] = {}
        self._overlapping = 0
        self._begun: asyncio.Handle | None = None
        """A handler was begun whose code has not run yet: what was sent before begins before."""
        self._writers = Writers(portal, recorder)
        self._seconds: dict[Handler, float] = {}
        self._was_long = False
        """The last handler took long: what waits may have been given up meanwhile."""
        self._timers = Inbound(1)

    # --- the loop's turn -------------------------------------------------------------------------

    def turn(self) -> None:
        """Handle what has arrived; called after every pump."""
        peer = self._peer
        while peer.signals:
            self._signal(peer.signals.popleft())
        while peer.departed:
            self._depart(*peer.departed.popleft())
        if self._writers.go_on():
            self.pump.again()
        if len(self.mailbox):
            self._serve(self.mailbox)

    def _serve(self, mailbox: Mailbox) -> None:
        """Begin what can be begun of what waits."""
        while self._may_overlap and (admitted := mailbox.take_admitted()) is not None:
            self._handle(admitted)
        self._handle_waiting()
        self._recorder.mailbox(len(mailbox))

    def _handle_waiting(self) -> None:
        for _ in range(TURN):
            if self._exclusive is not None or not self._may_overlap:
                break
            item = self.mailbox.take()
            if item is None:
                break
            if isinstance(item, Timer):
                self._tell_self(item)
            else:
                self._handle(item)
            if self._was_long:
                self._was_long = False
                self.pump.again()
                break
        else:
            self.pump.again()

    @property
    def _may_overlap(self) -> bool:
        """Whether a message may be begun that overlaps with the others."""
        if not self.open or self.held or self._begun is not None:
            return False
        return self._overlapping < self._recorder.most_overlapping and self._recorder.room

    @property
    def busy(self) -> bool:
        """Whether a handler is running."""
        return bool(self._exclusive or self._overlapping)

    @property
    def handled(self) -> int:
        """Messages of this life that are finished."""
        return self._outcomes.handled

    def tell_self(self, timer: Timer) -> None:
        """Put a timer's message into the mailbox."""
        self.mailbox.put(timer)
        self.pump.again()

    def stop(self) -> None:
        """Take no further message; end the streams."""
        self.open = False
        self._recorder.stopping()
        self._writers.stop()

    def _signal(self, signal: Signal) -> None:
        correlation = signal.envelope.correlation
        key = (signal.link.name, signal.incarnation, correlation)
        if signal.envelope.kind == Kind.GRANT:
            self._writers.granted(key, signal.envelope.payload)
            return
        self._writers.close(key)
        job = self._jobs.get(key)
        if job is not None and job.task is not None:
            job.cancelled = True
            job.task.cancel()
        waiting = self.mailbox.withdraw(*key)
        if waiting is not None:
            self._recorder.mailbox(len(self.mailbox))
            now = time.monotonic()
            given_up = self._outcomes.begin_early(waiting, now)
            if waiting.deadline < now and not signal.link.behind:
                self._outcomes.expire(given_up, now)
            else:
                self._outcomes.finish(given_up)

    def _depart(self, name: str, incarnation: int) -> None:
        """A life has ended: nobody waits any more for what we do for it."""
        self._writers.depart(name, incarnation)
        self._outcomes.depart(name, incarnation)

    # --- one message -----------------------------------------------------------------------------

    def _handle(self, delivery: Delivery) -> None:
        now = time.monotonic()
        job = self._outcomes.begin(delivery, now)
        if job.index == UNRECORDED:
            self._outcomes.crowded(job)
            return
        if delivery.deadline < now:
            self._outcomes.expire(job, now)
            return
        try:
            handler = self.dispatch.read(job)
        except (MessageError, AccessDenied) as error:
            self._outcomes.refuse(job, error)
            return
        if self._seconds.get(handler, math.inf) > FAST:
            self.pump.flush()
            now = time.monotonic()
        self._start(job, handler, job.handling(), now)

    def _start(self, job: Job, handler: Handler, handling: Handling, now: float) -> None:
        job.waiter = handling
        token = HANDLING.set(handling)
        try:
            if handler.kind is _SYNC:
                self._call(job, handler, now)
            elif handler.kind is HandlerKind.ASYNC:
                self._launch(job, handler)
            else:
                self._open_stream(job, handler)
        finally:
            HANDLING.reset(token)

    def _call(self, job: Job, handler: Handler, begun: float) -> None:
        try:
            value = handler.function(self._actor, job.message)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            self._raised(job, error)
        except BaseException as error:  # noqa: BLE001 - sys.exit in a handler ends the actor
            self._exit(error)
        else:
            self._outcomes.answer(job, value)
        finally:
            job.waiter.hold = _OVER
        took = time.monotonic() - begun
        self._was_long = took > LONG
        self._seconds[handler] = 0.8 * self._seconds.get(handler, took) + 0.2 * took

    def _launch(self, job: Job, handler: Handler) -> None:
        job.task = asyncio.get_running_loop().create_task(self._await(job, handler))
        self._jobs[job.key] = job
        if handler.concurrent:
            job.waiter.hold = Hold.NOTHING
            self._overlapping += 1
            self._let_it_begin()
        else:
            job.waiter.hold = Hold.OTHERS
            self._exclusive = job
        job.task.add_done_callback(lambda _task: self._landed(job, handler))

    async def _await(self, job: Job, handler: Handler) -> None:
        try:
            value = await handler.function(self._actor, job.message)
        except asyncio.CancelledError as error:
            if job.cancelled:
                # Its asker has given up; nobody waits for an answer.
                self._outcomes.finish(job)
            elif self.open:
                self._raised(job, error)
            else:
                raise  # the actor ends: this message stays in progress
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            self._raised(job, error)
        except BaseException as error:  # noqa: BLE001 - sys.exit in a handler ends the actor
            self._exit(error)
        else:
            self._outcomes.answer(job, value)

    def _landed(self, job: Job, handler: Handler) -> None:
        job.waiter.hold = Hold.OVER
        if job.cancelled and job.task is not None and job.task.cancelled():
            self._outcomes.finish(job)  # given up before its first step, so `_await` never ran
        if handler.concurrent:
            self._overlapping -= 1
        else:
            self._exclusive = None
        self._jobs.pop(job.key, None)
        self.pump.again()

    def _open_stream(self, job: Job, handler: Handler) -> None:
        """A stream's request counts as handled when it has begun: it never holds its link back."""
        refusal = self._writers.refusal(job, handler.message.__name__)
        if refusal is not None:
            self._outcomes.refuse(job, refusal)
            return
        writer = self._writers.open(job)
        items = handler.function(self._actor, job.message)
        self._outcomes.finish(job)
        if handler.kind is HandlerKind.STREAM:
            writer.run(items)
        else:
            writer.run_async(items)
        self._let_it_begin()

    def _let_it_begin(self) -> None:
        """Handle the next message after the new task, or stream, has taken its first step."""
        self._begun = asyncio.get_running_loop().call_soon(self._has_begun)

    def _has_begun(self) -> None:
        self._begun = None
        if len(self.mailbox):
            self.pump.again()

    # --- how it ends -----------------------------------------------------------------------------

    def _raised(self, job: Job, error: BaseException) -> None:
        self._recorder.failed()
        if job.delivery.envelope.kind == ASK:
            self._outcomes.fail(job, pack_error(error, escaped=not self._own_errors))
            return
        handler = job.handler
        policy = (handler and handler.failure_policy) or self._actor.failure_policy
        trace = from_theirs(error.__traceback__)
        told = (type(error), error, trace)
        try:
            logger.error("a handler of %s raised", self._peer.name, exc_info=told)
        finally:  # whatever a handler of the user's logging does
            if policy is FailurePolicy.RESUME:
                self._outcomes.drop(job, said_of(error))
            else:
                self._give_up(error, policy)

    def _give_up(self, error: BaseException, policy: FailurePolicy) -> None:
        """End this incarnation; the message stays in progress, which tells its sender."""
        self.open = False
        word = failed(error, starting=False, final=policy is FailurePolicy.STOP)
        self._owner.say(word)
        self._owner.end(1, word.text)

    def _exit(self, error: BaseException) -> None:
        """A handler called `sys.exit`: the process ends with its code, as any program does."""
        self.open = False
        code: object = error.code if isinstance(error, SystemExit) else 1
        text = f"{type(error).__name__}({text_of(code)})"
        if isinstance(error, SystemExit):
            self._owner.say(Ending(text))  # for the rest it has as long as at a stop
        else:
            self._owner.say(failed(error, starting=False))
        if isinstance(code, str):
            logger.error("%s", code)
        self._owner.end(code if isinstance(code, int) else int(code is not None), text)

    # --- timers ----------------------------------------------------------------------------------

    def _tell_self(self, timer: Timer) -> None:
        message: object = timer.message
        cls = type(message)
        handler = self.dispatch.for_class(cls)
        if handler is None:
            logger.error("%s has no handler for its own %s", self._peer.name, cls.__name__)
            return
        envelope = Envelope(TELL, self._timers.expected, 0, tag_of(cls), b"")
        self._timers.accept(envelope.seq)
        now = time.monotonic()
        job = self._outcomes.begin(Delivery(_TIMERS, 0, self._timers, envelope, [], math.inf), now)
        job.message, job.handler = message, handler
        self._start(job, handler, Handling("", math.inf, (), 1), now)
