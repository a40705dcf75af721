"""Streams that this actor is writing: generators, stepped between messages.

A generator gets its turn only while its reader has room (`credit.py`) and is not behind with its
acknowledgements, and one item at a time, so a stream never holds the mailbox.  An async generator
runs in a task of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, final

import msgspec

from actors.credit import WriterCredit
from actors.cycles import Hold
from actors.envelope import Envelope, Kind
from actors.errors import ActorError, InvalidMessage, MailboxFull, OutcomeUnknown, pack_error
from actors.letter import Letter
from actors.log import logger
from actors.verbs import answer_codec

if TYPE_CHECKING:
    from actors.link import Link
    from actors.outcomes import Job
    from actors.portal import Portal
    from actors.recorder import Recorder

MOST_STREAMS: Final = 10_000
"""Of one reader; whoever asks for more without end would fill the memory."""

ITEMS_PER_TURN: Final = 16

WRITERS_PER_TURN: Final = 64
"""Of one reader that is not behind any more."""

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
        pause: Callable[[Writer], None],
    ) -> None:
        self._portal = portal
        self.link = job.delivery.link
        self._correlation = job.delivery.envelope.correlation
        self.key: StreamKey = job.key
        self._codec = answer_codec(type(job.message))
        self._message = type(job.message).__name__
        self._waiter = job.waiter
        self._waiter.hold = Hold.NOTHING
        self._over = over
        self._alive = alive
        """Told the time after every step of a generator."""
        self._pause = pause
        """Told that it waits for its reader to acknowledge."""
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
            if items is None or items is not self._items or not self._may_write():
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
                while not self._may_write():
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

    def _may_write(self) -> bool:
        if self.link.behind:
            self._pause(self)
            return False
        return self._credit.open

    def _send(self, item: Any) -> bool:
        try:
            payload, carrier = self._portal.encode(self._codec, item, self.link)
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
        self.go_on()

    def go_on(self) -> None:
        """Write if there is something that may be written."""
        if self._may_write():
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
            self._portal.peer.answer(self.link, self.key[1], letter)
        self._portal.driver.wake()


@final
class Writers:
    """All open streams of an actor."""

    def __init__(self, portal: Portal, recorder: Recorder) -> None:
        self._portal = portal
        self._recorder = recorder
        self._open: dict[StreamKey, Writer] = {}
        self._paused: dict[Link, dict[Writer, None]] = {}
        """Those whose readers are behind: of one reader there may be thousands."""
        self._reading: Counter[str] = Counter()
        """Open streams of each reader."""

    def refusal(self, job: Job, message: str) -> ActorError | None:
        """Return what is wrong with a stream that its reader has open, or that is one too many."""
        reader, mine = job.delivery.link.name, self._portal.peer.name
        if job.key in self._open:
            reason = "a stream of this number is open already"
            return InvalidMessage(message=message, reason=reason)
        if self._reading[reader] >= MOST_STREAMS:
            text = f"{reader} has {MOST_STREAMS:,} streams of {mine} open; close some"
            return MailboxFull(text, target=mine, message=message)
        return None

    def open(self, job: Job) -> Writer:
        """Return the writer of a stream that begins."""
        writer = Writer(self._portal, job, self._forget, self._recorder.alive, self._pause)
        self._open[writer.key] = writer
        self._reading[job.delivery.link.name] += 1
        self._recorder.engage(1)
        return writer

    def granted(self, key: StreamKey, payload: bytes) -> None:
        """A reader says how many items it has read."""
        writer = self._open.get(key)
        if writer is not None:
            writer.granted(_count_in(payload))

    def go_on(self) -> bool:
        """Write what has waited for readers who have acknowledged something now.

        Few at a time: what they write may put the reader behind again.  Returns whether there are
        more.
        """
        if not self._paused:
            return False
        for link in [one for one in self._paused if not one.behind]:
            for writer in list(islice(self._paused[link], WRITERS_PER_TURN)):
                self._unpause(writer)
                writer.go_on()
        return not all(link.behind for link in self._paused)

    def close(self, key: StreamKey) -> None:
        """A reader has given its stream up, if it is open."""
        writer = self._open.get(key)
        if writer is not None:
            writer.close()

    def depart(self, name: str, incarnation: int) -> None:
        """A life has ended: nobody reads its streams any more."""
        for key in [k for k in self._open if k[0] == name and k[1] <= incarnation]:
            self._open[key].close()

    def stop(self) -> None:
        """The actor ends."""
        for writer in list(self._open.values()):
            writer.stop()

    def _pause(self, writer: Writer) -> None:
        self._paused.setdefault(writer.link, {})[writer] = None

    def _unpause(self, writer: Writer) -> None:
        waiting = self._paused.get(writer.link, {})
        waiting.pop(writer, None)
        if not waiting:
            self._paused.pop(writer.link, None)

    def _forget(self, key: StreamKey) -> None:
        writer = self._open.pop(key, None)
        if writer is not None:
            self._unpause(writer)
            self._recorder.engage(-1)
            self._reading[key[0]] -= 1
            if not self._reading[key[0]]:
                del self._reading[key[0]]


def _count_in(payload: bytes) -> int:
    """Return the number that a grant says; 0 when it says none."""
    try:
        return msgspec.msgpack.decode(payload, type=int)
    except msgspec.MsgspecError:
        return 0
