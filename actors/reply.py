"""The answer to an ask, now or later: for plain code, for asyncio code, for any thread.

reply = ref.ask(Add(1, 2))
reply.result()        plain code and `def` handlers
await reply           asyncio code and `async def` handlers
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar, cast, final

from actors.arrays.mapper import SenderGoneError
from actors.envelope import Envelope, Frames, Kind
from actors.errors import ActorError, AnswerLost, MessageError, OutcomeUnknown, unpack_error
from actors.notices import text_of
from actors.seconds import check_seconds

if TYPE_CHECKING:
    from actors.calls import Call

R_co = TypeVar("R_co", covariant=True)


class Decode(Protocol):
    """Makes the answer's value of its payload and array frames."""

    def __call__(self, payload: bytes, frames: Frames, *, near: bool) -> Any:
        """Return the value, with shared arrays of senders that are `near` only."""
        ...


class Pending(Protocol):
    """Something one can wait for."""

    def done(self) -> bool:
        """Whether waiting is over."""
        ...

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` once at the next change, from any thread; at once when already done."""
        ...

    def off_change(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more: whoever waited has given up."""
        ...


class Door(Protocol):
    """What replies and streams need of the process they live in."""

    lock: threading.RLock

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code until `pending` is done or the time is over."""
        ...

    def check(self) -> None:
        """Raise `ConnectionLost` when nothing can come any more."""
        ...

    def cancel(self, call: Call) -> None:
        """Give up a call."""
        ...

    def grant(self, call: Call, read: int) -> None:
        """Tell a stream's writer how many items were read."""
        ...


async def wait_in_loop(pending: Pending) -> None:
    """Wait in asyncio code until `pending` changes, whichever thread changes it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    home = threading.get_ident()

    def resolve() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits in it any more
            if threading.get_ident() == home:
                resolve()
            else:
                loop.call_soon_threadsafe(resolve)

    pending.on_change(wake)
    try:
        await future
    except asyncio.CancelledError:
        pending.off_change(wake)
        raise


def sleep(
    pending: Pending, timeout: float | None, release: Callable[[threading.Lock], None]
) -> None:
    """Sleep until `pending` is done or the time is over; `release` opens a gate, in any thread."""
    end = None if timeout is None else time.monotonic() + timeout
    while not pending.done():
        gate = threading.Lock()
        gate.acquire()
        wake = partial(release, gate)
        pending.on_change(wake)
        left = -1.0 if end is None else max(0.0, end - time.monotonic())
        woken = False
        try:
            woken = gate.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        finally:
            if not woken:
                pending.off_change(wake)
        if not woken:
            return


@final
class Reply(Generic[R_co]):
    """The answer to an ask.

    It ends in every case: with the answer, with the error that took its place, or at the ask's
    deadline.  It may be waited for from any thread and any event loop, any number of times.
    """

    __slots__ = ("_call", "_decode", "_done", "_door", "_error", "_value", "_wakers")

    def __init__(self, door: Door, decode: Decode) -> None:
        self._door = door
        self._decode = decode
        self._call: Call | None = None
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._wakers: list[Callable[[], None]] = []

    # --- what users hold

    def __bool__(self) -> NoReturn:
        """Refuse: whoever asks means the answer."""
        raise TypeError("a reply is not its answer: write `await` before it, or `.result()` after")

    def done(self) -> bool:
        """Whether the ask is over."""
        return self._done

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the answer and return it, or raise the error that took its place.

        `timeout` (s) limits only the waiting: after it a built-in `TimeoutError` is raised and the
        ask goes on.  Inside an `async def` handler this raises at once: `await` the reply there.
        """
        if not self._done:
            if timeout is not None:
                check_seconds(timeout)
            self._door.block(self, timeout)
        if not self._done:
            raise TimeoutError(f"no answer within {timeout} s; the ask goes on until its deadline")
        return self._outcome()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end of the ask and return its error, or None when it was answered."""
        try:
            self.result(timeout)
        except ActorError as error:
            return error
        return None

    def __await__(self) -> Generator[Any, None, R_co]:
        while not self._done:
            self._door.check()  # in a forked child nobody ends what its parent has asked
            try:
                yield from wait_in_loop(self).__await__()
            except asyncio.CancelledError:
                self.cancel()
                raise
        return self._outcome()

    def cancel(self) -> bool:
        """Give up the ask; return whether that changed anything.

        A request that has not left is taken back; a handler that is running is told.
        """
        if self._done or self._call is None:
            return False
        self._door.cancel(self._call)
        with self._door.lock:
            if self._done:
                return False
            self._finish(None, Cancelled(target=self._call.target, message=self._call.message))
        return True

    def _outcome(self) -> R_co:
        if self._error is not None:
            raise self._error
        return cast("R_co", self._value)

    # --- what the door calls, with its lock held

    def attach(self, call: Call) -> None:
        """Note which call this is the answer of."""
        self._call = call

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the ask is over."""
        with self._door.lock:
            if not self._done:
                self._wakers.append(wake)
                return
        wake()

    def off_change(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more."""
        with self._door.lock:
            if wake in self._wakers:
                self._wakers.remove(wake)

    def take(self, envelope: Envelope, frames: Frames, *, near: bool) -> bool:
        """Accept the answer."""
        if envelope.kind == Kind.FAILURE:
            self._finish(None, unpack_error(envelope.payload))
            return True
        try:
            value = self._decode(envelope.payload, frames, near=near)
        except SenderGoneError as error:
            call, reason = self._call, str(error)
            where = {} if call is None else {"target": call.target, "message": call.message}
            self._finish(None, AnswerLost(**where, reason=reason))
        except MessageError as error:
            self._finish(None, error)
        else:
            self._finish(value, None)
        return True

    def fail(self, error: ActorError) -> None:
        """End the ask with `error`."""
        self._finish(None, error)

    def _finish(self, value: object, error: BaseException | None) -> None:
        if self._done:
            return
        self._value, self._error, self._done = value, error, True
        if self._call is not None:
            self._call.over(self)
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def __repr__(self) -> str:
        call = self._call
        what = f" to {call.message} of {call.target}" if call is not None else ""
        if not self._done:
            return f"<Reply{what}: pending>"
        if self._error is not None:
            return f"<Reply{what}: {type(self._error).__name__}>"
        return f"<Reply{what}: {text_of(self._value):.80}>"


@final
class Cancelled(OutcomeUnknown):
    """The caller itself gave the ask up with `Reply.cancel()`; it may have been handled."""

    def __str__(self) -> str:
        return f"the ask of {self.message} to {self.target} was cancelled by its caller"
