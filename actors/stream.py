"""A stream of items from a handler: read with `for` or `async for`, closed with `with`.

The reader paces the writer: at most a window of items (`credit.py`) is under way, so memory stays
bounded however slow the reader is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, final

from actors.arrays.mapper import SenderGoneError
from actors.credit import ReaderCredit
from actors.envelope import Envelope, Frames, Kind
from actors.errors import ActorError, MessageError, OutcomeUnknown, unpack_error
from actors.reply import Decode, Door, wait_in_loop
from actors.seconds import check_seconds

if TYPE_CHECKING:
    from actors.calls import Call

T_co = TypeVar("T_co", covariant=True)


@final
class Stream(Generic[T_co]):
    """Items as a handler yields them, in order.

    Ends when the handler ends.  An error of the handler, or the death of its actor, is raised
    after the items that came before it.  Leaving the `with` block closes the generator there.
    """

    __slots__ = ("_call", "_credit", "_decode", "_door", "_error", "_items", "_over", "_wakers")

    def __init__(self, door: Door, decode: Decode) -> None:
        self._door = door
        self._decode = decode
        self._call: Call | None = None
        self._credit = ReaderCredit()
        self._items: deque[Any] = deque()
        self._over = False
        self._error: ActorError | None = None
        self._wakers: list[Callable[[], None]] = []

    # --- what users hold

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        return self.next()

    def next(self, timeout: float | None = None) -> T_co:
        """Return the next item; raises `StopIteration` at the end, as `next(stream)` does.

        Waits up to `timeout` seconds; then a built-in `TimeoutError`, and the stream goes on.
        """
        if not self.done():
            if timeout is not None:
                check_seconds(timeout)
            self._door.block(self, timeout)
        if not self.done():
            raise TimeoutError(f"no item within {timeout} s; the stream goes on")
        item = self._pop()
        if item is _END:
            raise StopIteration
        return cast("T_co", item)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        while not self.done():
            self._door.check()  # in a forked child nobody ends what its parent has asked
            await wait_in_loop(self)
        item = self._pop()
        if item is _END:
            raise StopAsyncIteration
        return cast("T_co", item)

    def close(self) -> None:
        """Stop the stream; its generator is closed.  Closing twice is fine."""
        if not self._over and self._call is not None:
            self._door.cancel(self._call)
        with self._door.lock:
            self._over = True
            self._items.clear()
            self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def done(self) -> bool:
        """Whether an item, or the end, is here."""
        return bool(self._items) or self._over

    @property
    def waiting(self) -> int:
        """How many items are here and unread."""
        return len(self._items)

    def _pop(self) -> Any:
        with self._door.lock:
            if not self._items:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                return _END
            item = self._items.popleft()
            grant = 0 if self._over else self._credit.read(drained=not self._items)
        if grant and self._call is not None:
            self._door.grant(self._call, grant)
        return item

    # --- what the door calls, with its lock held

    def attach(self, call: Call) -> None:
        """Note which call this stream belongs to."""
        self._call = call

    def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` at the next item or at the end."""
        with self._door.lock:
            if not self.done():
                self._wakers.append(wake)
                return
        wake()

    def off_change(self, wake: Callable[[], None]) -> None:
        """Do not call `wake` any more."""
        with self._door.lock:
            if wake in self._wakers:
                self._wakers.remove(wake)

    def take(self, envelope: Envelope, frames: Frames, *, near: bool) -> bool:
        """Accept an item, the end, or a failure."""
        if self._over:
            return True
        if envelope.kind == Kind.ITEM:
            try:
                self._items.append(self._decode(envelope.payload, frames, near=near))
            except SenderGoneError as error:
                call, reason = self._call, str(error)
                where = {} if call is None else {"target": call.target, "message": call.message}
                self._break_off(OutcomeUnknown(**where, reason=reason))
            except MessageError as error:
                self._break_off(error)
        else:
            self._over = True
            if envelope.kind == Kind.FAILURE:
                self._error = unpack_error(envelope.payload)
        self._wake()
        return self._over

    def _break_off(self, error: ActorError) -> None:
        """End the stream from this side, because of what has come: its writer would go on."""
        if self._call is not None:
            self._door.cancel(self._call)
        self._over, self._error = True, error

    def fail(self, error: ActorError) -> None:
        """End the stream with `error`, after the items that are here."""
        if not self._over:
            self._over, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._over and self._call is not None:
            self._call.over(self)
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def __repr__(self) -> str:
        return f"<Stream {'over' if self._over else 'open'}, {len(self._items)} items here>"


_END: Any = object()
