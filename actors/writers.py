"""Streams that this actor is writing: generators, stepped between messages.

A generator gets its turn only while its reader has room (`credit.py`), and one item at a time, so
a stream never holds the mailbox.  An async generator runs in a task of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, Final, final

import msgspec

from actors.credit import WriterCredit
from actors.cycles import Hold
from actors.envelope import Envelope, Kind
from actors.errors import OutcomeUnknown, pack_error
from actors.letter import Letter
from actors.log import logger
from actors.verbs import answer_codec

if TYPE_CHECKING:
    from actors.outcomes import Job
    from actors.portal import Portal

ITEMS_PER_TURN: Final = 16

TURN_SECONDS: Final = 0.005
"""Time after which other messages have their turn, however few items there were."""

StreamKey = tuple[str, int, int]
"""Reader's name and incarnation, and the correlation number."""


@final
class Writer:
    """One open stream."""

    def __init__(
        self,
        portal: Portal,
        job: Job,
        over: Callable[[StreamKey], None],
        alive: Callable[[float], None],
    ) -> None:
        self._portal = portal
        self._link = job.delivery.link
        self._correlation = job.delivery.envelope.correlation
        self.key: StreamKey = job.key
        self._codec = answer_codec(type(job.message))
        self._message = type(job.message).__name__
        self._waiter = job.waiter
        self._waiter.hold = Hold.NOTHING
        self._over = over
        self._alive = alive
        """Told the time after every step of a generator."""
        self._credit = WriterCredit()
        self._room = asyncio.Event()
        self._items: Generator[Any, None, None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._closed = False

    # --- a generator

    def run(self, items: Generator[Any, None, None]) -> None:
        """Begin to send what a generator yields."""
        self._items = items
        self._schedule()

    def _schedule(self) -> None:
        if self._items is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        items = self._items
        end = time.monotonic() + TURN_SECONDS
        for _ in range(ITEMS_PER_TURN):
            if items is None or items is not self._items or not self._credit.open:
                return
            self._waiter.hold = Hold.ALL
            try:
                item = self._context.run(next, items)
            except StopIteration:
                self._end(Kind.END)
                return
            except Exception as error:  # noqa: BLE001 - whatever user code raises goes to the reader
                self._end(Kind.FAILURE, pack_error(error))
                return
            self._waiter.hold = Hold.NOTHING
            if not self._send(item):
                return
            now = time.monotonic()
            self._alive(now)
            if now > end:
                break
        self._schedule()

    # --- an async generator

    def run_async(self, items: AsyncGenerator[Any, None]) -> None:
        """Begin to send what an async generator yields."""
        self._task = self._loop.create_task(self._drain(items), context=self._context)

    async def _drain(self, items: AsyncGenerator[Any, None]) -> None:
        try:
            async for item in items:
                if not self._send(item):
                    return
                while not self._credit.open:
                    self._room.clear()
                    await self._room.wait()
        except asyncio.CancelledError as error:
            if not self._closed:  # not by us: the generator awaited something that was cancelled
                self._end(Kind.FAILURE, pack_error(error))
        except Exception as error:  # noqa: BLE001 - whatever user code raises goes to the reader
            self._end(Kind.FAILURE, pack_error(error))
        else:
            self._end(Kind.END)
        finally:
            await self._aclose(items)

    async def _aclose(self, items: AsyncGenerator[Any, None]) -> None:
        try:
            await items.aclose()
        except Exception:  # noqa: BLE001 - user code; the stream is over either way
            logger.exception("a stream's generator raised while it was closed")

    # --- both

    def _send(self, item: Any) -> bool:
        try:
            payload, carrier = self._portal.encode(self._codec, item, self._link)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must not wait for it
            self.close(pack_error(error))
            return False
        envelope = Envelope(Kind.ITEM, 0, self._correlation, "", payload, len(carrier.frames))
        letter = carrier.letter(envelope)
        self._credit.sent(letter.size)
        self._post(letter)
        return True

    def granted(self, read: int) -> None:
        """The reader has read so many items in all."""
        self._credit.granted(read)
        if self._credit.open:
            self._room.set()
            self._schedule()

    def close(self, failure: bytes = b"") -> None:
        """End the stream from this side; the generator is closed."""
        self._closed = True
        if failure:
            self._end(Kind.FAILURE, failure)
        items, self._items = self._items, None
        if items is not None:
            try:
                self._context.run(items.close)
            except Exception:  # noqa: BLE001 - user code; the stream is over either way
                logger.exception("a stream's generator raised while it was closed")
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._waiter.hold = Hold.OVER
        self._over(self.key)

    def stop(self) -> None:
        """The actor ends: tell the reader, which has had a part of it."""
        name = self._portal.peer.name
        error = OutcomeUnknown(target=name, message=self._message, reason="it was stopped")
        self.close(pack_error(error, escaped=False))

    def _end(self, kind: Kind, payload: bytes = b"") -> None:
        self._items = None
        self._waiter.hold = Hold.OVER
        self._post(Letter(Envelope(kind, 0, self._correlation, "", payload)))
        self._over(self.key)

    def _post(self, letter: Letter) -> None:
        with self._portal.lock:
            self._portal.peer.answer(self._link, self.key[1], letter)
        self._portal.driver.wake()


def count_in(payload: bytes) -> int:
    """Return the number that a grant says; 0 when it says none."""
    try:
        return msgspec.msgpack.decode(payload, type=int)
    except msgspec.MsgspecError:
        return 0
