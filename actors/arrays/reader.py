"""The reading end of a ring: the newest frame, from whichever life of the writer there is.

    find ─► attach ─► is there a newer number? ─► hold, copy ─► is it still there? ─► Frame
      ▲                        │ nothing new for a while, and the writer is gone
      └────────────────────────┘

A slot is held (locked, see `lease.py`) while it is copied: the writer then takes another.

What lies in the memory was written by another process, which may be mistaken: it is checked like
a descriptor from the wire before numpy sees it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, final

import attrs
import numpy as np
import numpy.typing as npt

from actors.arrays import segment
from actors.arrays.fence import fence
from actors.arrays.lease import Window
from actors.arrays.mapper import attach_window, checked_dtype, checked_shape, open_window
from actors.arrays.ring import (
    FRAME,
    MARK,
    MOST_META,
    MOST_SLOTS,
    ROOT,
    RingAddress,
    slot_pages,
)
from actors.errors import MessageError, NotDelivered, OutcomeUnknown
from actors.seconds import check_seconds

LOOK_AGAIN: Final = 0.1
"""Seconds without a new frame after which it is looked whether the writer still lives."""

SHORTEST: Final = 0.0002
"""Seconds between two looks at a ring whose frames come fast."""

LONGEST: Final = 0.01
"""Seconds between two looks at a ring that is still."""

PATIENCE: Final = 1.0
"""Seconds without a ring after which it is said what is waited for."""

TRIES: Final = 100
"""Copies of a frame that was overwritten meanwhile, before the reader gives up for now."""


class Answer(Protocol):
    """The answer to the question where a ring is, once it is there: a `Reply`."""

    def done(self) -> bool:
        """Whether it is there, or will never be."""
        ...

    def exception(self, timeout: float, /) -> BaseException | None:
        """Return why it will never be."""
        ...

    def result(self, timeout: float, /) -> tuple[int, int, int, bytes] | str:
        """Return the parts of a `RingAddress`, or why there is no ring yet."""
        ...


@final
@attrs.frozen(eq=False)
class Frame:
    """One whole frame, copied."""

    array: npt.NDArray[Any]
    """Read-only, unless it is the `out` that was given."""
    meta: bytes
    """What the writer gave along."""
    number: int
    """Of the writer's frames, from 1 in each of its lives."""
    skipped: int
    """Frames of this life between the last one read and this one."""
    written_at: float
    """Seconds since the epoch."""


@final
class RingReader:
    """Reads the newest frame of a ring.  For one thread at a time.

    It may be made before the ring, and outlives the writer: when the writer's next incarnation
    has a ring, its frames are read.  Iterating, in plain code or asyncio, gives every frame that
    is new when the one before has been dealt with, and never ends by itself.
    """

    def __init__(
        self,
        find: Callable[[], RingAddress | str | None],
        title: str = "the ring",
        say: Callable[[str], object] = str,
    ) -> None:
        """Read the ring that `find` finds; None, or a text that says why, while there is none.

        `title` is how errors call it.  Whoever waits long for a ring is told the reason by `say`.
        """
        if not callable(find):
            raise TypeError(
                f"a reader asks a function where its ring is, got {type(find).__name__}: write "
                "RingReader(lambda: ring.address), or system.frames(ref, name) for an actor's ring"
            )
        self._find = find
        self._title = title
        self._say = say
        self._why = ""
        """Why there is no ring; "" when there is one, or nobody knows."""
        self._say_at = math.inf
        """When whoever waits is told; inf while there is nothing to tell, or nothing new."""
        self._address: RingAddress | None = None
        self._root: Window | None = None
        self._slots: _Slots | None = None
        self._version = 0
        self._last = 0
        self._fresh_at = -math.inf
        self._every = LONGEST
        self.seen = 0
        """Frames read."""
        self.skipped = 0
        """Frames that were replaced by newer ones before they were read, where it is known."""
        self.lives = 0
        """Rings read so far: one more with each restart of the writer."""

    def newest(self, out: npt.NDArray[Any] | None = None) -> Frame | None:
        """Return the newest frame; None when there is none that was not read yet.

        Never waits for anybody.  Copies into `out` when that has the frame's shape and dtype,
        which saves the system making fresh memory for each large frame; else into a new array.
        After None `out` may hold anything.

        Raises:
            MessageError: what is there is no ring, or not readable for this process.
            TypeError, ValueError: `out` is no array, or cannot be written to.
        """
        if out is not None:
            _check_out(out)
        now = time.monotonic()
        if self._slots is None or now - self._fresh_at > LOOK_AGAIN:
            self._attend()
        self._follow_root()
        if self._slots is None:
            return None
        found = self._slots.newest(self._last, out)
        if found is None:
            return None
        array, meta, number, written_at = found
        skipped = number - self._last - 1 if self._last else 0
        self._every = _pace(self._every, now - self._fresh_at)
        self._last, self._fresh_at = number, now
        self.seen += 1
        self.skipped += skipped
        return Frame(array, meta, number, skipped, written_at)

    def wait(self, timeout: float | None = None, out: npt.NDArray[Any] | None = None) -> Frame:
        """Return the newest frame as soon as there is one that was not read yet.

        Raises a built-in TimeoutError after `timeout` seconds; else as `newest` does.
        """
        if timeout is not None:
            check_seconds(timeout)
        end = math.inf if timeout is None else time.monotonic() + timeout
        while (frame := self.newest(out)) is None:
            left = end - time.monotonic()
            if left <= 0:
                why = f": {self._why}" if self._why else ""
                raise TimeoutError(f"no new frame of {self._title} within {timeout:g} s{why}")
            time.sleep(min(self.pause(), left))
        return frame

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames as they come; in plain code."""
        while True:
            yield self.wait()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Return the frames as they come; in asyncio code."""
        while True:
            frame = self.newest()
            if frame is None:
                await asyncio.sleep(self.pause())
            else:
                yield frame

    def pause(self) -> float:
        """Return how long to wait before the next look: an eighth of the time between frames."""
        now = time.monotonic()
        if now >= self._say_at:
            self._say_at = math.inf
            self._say(f"waiting for {self._title}: {self._why}")
        still = now - self._fresh_at
        return min(LONGEST, max(SHORTEST, min(self._every, still) / 8))

    def close(self) -> None:
        """Let go of the memory.  Twice is fine; the next look attaches anew."""
        self._root = self._slots = self._address = None

    # --- inside

    def _attend(self) -> None:
        """Find the ring, or the next one when its writer has let go of it."""
        if self._root is not None and self._address is not None and _lives(self._address):
            return
        address = self._find()
        if isinstance(address, str):
            if address != self._why:
                self._why, self._say_at = address, time.monotonic() + PATIENCE
            return
        if address is None or address == self._address:
            return
        self._why, self._say_at = "", math.inf
        if address.host not in (b"", segment.host_key()):
            raise MessageError(
                f"{self._title} lies in the memory of another host, container or user, where this "
                "process cannot look. Send its frames in messages, or as a stream."
            )
        try:
            self._root = open_window(address.pid, address.where, address.cookie)
        except MessageError:
            if _lives(address):
                raise  # it is there, and not for us
            return
        self._address, self._slots = address, None
        self._version = self._last = 0
        self.lives += 1

    def _follow_root(self) -> None:
        """Attach to the slots that the root names."""
        root = self._root
        if root is None or self._address is None or root.table[0] == self._version:
            return
        before = root.table[0]
        fence()
        mark, where, cookie, slots, capacity = ROOT.unpack_from(root.memory, 0)
        fence()
        if not before or root.table[0] != before:
            return  # it is being written; the next look finds it
        if mark != MARK:
            raise MessageError(f"{self._title}: what is there is no ring of frames")
        if cookie:
            try:
                window = attach_window(self._address.pid, where, cookie)
            except MessageError:
                if root.table[0] == before and _lives(self._address):
                    raise
                return  # it has moved on, or ended, meanwhile
            self._slots = _Slots(window, slots, capacity, self._title)
        self._version = before


@final
class _Search:
    """Asks where a ring is, again and again, and never waits for the answer."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._asked_at = -math.inf
        self._answer: Answer | None = None

    def __call__(self) -> RingAddress | str | None:
        """Return where it is, or why it is nowhere, if that is known by now."""
        now = time.monotonic()
        if self._answer is None and now - self._asked_at >= LOOK_AGAIN:
            self._asked_at = now
            self._answer = self._ask()
        if self._answer is None or not self._answer.done():
            return None
        answer, self._answer = self._answer, None
        if isinstance(answer.exception(0), NotDelivered | OutcomeUnknown):
            return None  # whoever was to answer was too busy: it is asked again
        found = answer.result(0)
        return found if isinstance(found, str) else RingAddress(*found)


def reader_of(
    ask: Callable[[], Answer], actor: str, name: str, say: Callable[[str], object]
) -> RingReader:
    """Return a reader of an actor's ring; `ask` asks where it is."""
    return RingReader(_Search(ask), f"{name} of {actor}", say)


@final
class _Slots:
    """The frames of one life, as long as none is larger than the slots."""

    def __init__(self, window: Window, slots: int, capacity: int, title: str) -> None:
        self._window = window
        pages = slot_pages(capacity)
        if not 1 < slots <= MOST_SLOTS or slots * pages * segment.PAGE != window.data:
            raise MessageError(f"{title}: {slots} slots of {capacity} bytes do not fit its memory")
        self._capacity = capacity
        self._starts = [slot * pages for slot in range(slots)]

    def __del__(self) -> None:
        self._window.close()

    def newest(
        self, last: int, out: npt.NDArray[Any] | None
    ) -> tuple[npt.NDArray[Any], bytes, int, float] | None:
        """Return array, meta, number and time of the newest frame after `last`."""
        table = self._window.table
        for _ in range(TRIES):
            number, page = max((table[page], page) for page in self._starts)
            if number <= last:
                return None
            try:
                with self._held(page, number):
                    array, meta, written_at = self._copy(page, out)
                    fence()
                    whole = table[page] == number
            except MessageError:
                if table[page] == number:
                    raise  # nobody has changed it: it was written so
                continue
            if whole:
                return array, meta, number, written_at
        return None

    @contextmanager
    def _held(self, page: int, number: int) -> Generator[None]:
        """Have the writer take other slots, if it can be told; MessageError: it has this one."""
        at = page * segment.PAGE
        held = self._window.hold(at, number)
        fence()
        try:
            yield
        finally:
            if held:
                self._window.release(at)

    def _copy(
        self, page: int, out: npt.NDArray[Any] | None
    ) -> tuple[npt.NDArray[Any], bytes, float]:
        at = page * segment.PAGE
        memory = self._window.memory
        written_at, nbytes, kind, rank, *lengths, length = FRAME.unpack_from(memory, at)
        if nbytes > self._capacity or rank > len(lengths) or length > MOST_META:
            raise MessageError("a frame is described as larger than the slots of its ring")
        dtype = checked_dtype(kind.rstrip(b"\0").decode("ascii", "replace"))
        shape = tuple(lengths[:rank])
        checked_shape(shape, dtype.itemsize, nbytes)
        try:
            view = np.ndarray(shape, dtype, buffer=memory, offset=at + segment.PAGE)
            if out is not None and out.shape == shape and out.dtype == dtype:
                array = out
            else:
                array = np.empty(shape, dtype)
        except (ValueError, MemoryError) as error:
            # numpy refuses some shapes that hold nothing, such as (0, 2**62).
            raise MessageError(f"no array of shape {shape} can be made here: {error}.") from error
        np.copyto(array, view)
        if array is not out:
            array.flags.writeable = False
        begin = at + FRAME.size
        return array, bytes(memory[begin : begin + length]), written_at


def _check_out(out: object) -> None:
    """Refuse what no frame can be copied into, such as the read-only array of another frame."""
    advice = "make one with np.empty(shape, dtype), or leave out= out"
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out= is a numpy array for frames, got {type(out).__name__}: {advice}")
    if not out.flags.writeable:
        raise ValueError(f"out= is read-only, as the arrays of frames are: {advice}")


def _pace(every: float, since: float) -> float:
    """Return the smoothed time between frames."""
    return LONGEST if since == math.inf else 0.7 * every + 0.3 * min(since, 1.0)


def _lives(address: RingAddress) -> bool:
    """Whether the writer still has the ring open."""
    return segment.is_open(address.pid, address.where, address.cookie)
