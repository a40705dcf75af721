"""The ring: live frames in shared memory, for which only the newest counts.

    writer ─► slot 0 │ slot 1 │ slot 2 │ slot 3          never waits, for nobody
                         ▲ newest                        reader ─► copy, and look again

One process writes, any number read.  A reader gets the newest whole frame, never a torn one, and
counts what it skipped.  The memory belongs to nobody by name: the kernel frees it when the last
process lets go, so nothing stays behind whoever is killed.

    root    one page: where the slots are now
    slots   per slot a page that describes the frame, then its bytes

Both are `segment.Segment`s, whose table says which frame starts at a page.  The number of a frame
is written there last and taken away first (a seqlock, as in Linux: Lameter, "Effective
Synchronization on Linux/NUMA Systems", 2005).  A reader that finds the same number before and
after copying has copied that frame.  A frame larger than the slots gets new slots; the root says
where they are.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, final

import attrs
import numpy as np
import numpy.typing as npt

from actors.arrays.segment import PAGE, Segment, check_shareable
from actors.arrays.spec import MOST_DIMENSIONS
from actors.errors import SharedMemoryFull

LIMIT: Final = 1 << 30

SLOTS: Final = 4
"""One is written, one is read, and two are there for readers that were not fast enough."""

MOST_SLOTS: Final = 64

MOST_META: Final = 3840
"""Bytes that may go with a frame: they share a page with its description."""

ROOT: Final = struct.Struct("<8sqQQQ")
"""Mark, where the slots are, their cookie, how many, bytes each holds."""

MARK: Final = b"usring01"

FRAME: Final = struct.Struct("<dQ8sQ8QQ")
"""When it was written, bytes, dtype, dimensions, their lengths (8), bytes of meta."""


@final
@attrs.frozen
class RingAddress:
    """Where another process of this host finds a ring."""

    pid: int
    where: int
    cookie: int


def slot_pages(capacity: int) -> int:
    """Return the pages of a slot for frames of `capacity` bytes."""
    return 1 + -(-capacity // PAGE)


_fence = threading.Lock()


def fence() -> None:
    """Let nothing that was written before this be seen after what is written later.

    Processors but x86 reorder; taking a lock and giving it back is the one barrier Python has.
    """
    _fence.acquire()
    _fence.release()


@final
class SharedRing:
    """Live frames of one process for all others on the host: the newest wins.

    Frames are arrays of bool, integers, floats or complex numbers; each may have another shape and
    dtype than the one before.  Safe to use from several threads of the one process that made it.
    """

    def __init__(self, slots: int = SLOTS, *, limit: int = LIMIT) -> None:
        """Create a ring; it takes a page of memory before the first frame.

        Args:
            slots: Frames kept, 2 to 64.  More give slow readers more time to copy one.
            limit: Bytes of memory it may take, all slots together.

        Raises:
            ValueError: a number of slots that makes no sense.
            SharedMemoryFull: the system has no memory, or no descriptors left.
        """
        if not 2 <= slots <= MOST_SLOTS:  # noqa: PLR2004
            raise ValueError(f"slots={slots}: a ring has 2 to {MOST_SLOTS} slots")
        self.slots = slots
        self.limit = limit
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._filling = False
        self._number = 0
        self._capacity = 0
        self._version = 0
        self._part: Segment | None = None
        self._closed = False
        self._root = _segment(PAGE)
        self._publish_root()

    @property
    def address(self) -> RingAddress:
        """Where readers find it, as long as this process lives."""
        return RingAddress(self._pid, self._root.where, self._root.cookie)

    @property
    def written(self) -> int:
        """Frames written so far; the number of the newest one."""
        return self._number

    @property
    def reserved(self) -> int:
        """Bytes of shared memory it holds."""
        return PAGE + (0 if self._part is None else self._part.data)

    def write(self, array: npt.ArrayLike, meta: bytes = b"") -> int:
        """Copy `array` into the ring as the newest frame; return its number, from 1.

        Waits for no reader.  Raises as `frame` does.
        """
        array = np.asarray(array)
        with self.frame(array.shape, array.dtype, meta) as memory:
            np.copyto(memory, array)
        return self._number

    @contextmanager
    def frame(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = "float64", meta: bytes = b""
    ) -> Generator[npt.NDArray[Any]]:
        """Fill the next frame in place; it is the newest when the block ends without an error.

            with ring.frame((512, 512), "float32") as image:
                np.abs(psi, out=image)

        What the array holds at first is left over from an older frame.  It must not be used after
        the block: readers see its memory.

        Raises:
            TypeError: elements that have no meaning in another process.
            ValueError: more than 8 dimensions, or more than 3,840 bytes of meta.
            SharedMemoryFull: no room for it, in the ring or in the system; older frames stay.
            RuntimeError: the ring is closed, or another process's, or the block is inside another.
        """
        kind = np.dtype(dtype)
        check_shareable(kind)
        lengths = _checked_shape(shape)
        if len(meta) > MOST_META:
            raise ValueError(f"{len(meta)} bytes of meta go with a frame, {MOST_META} at most")
        nbytes = kind.itemsize * int(np.prod(lengths, dtype=object))
        with self._lock:
            part = self._ready(nbytes)
            number = self._number + 1
            at = number % self.slots * slot_pages(self._capacity) * PAGE
            part.mark(at, 0)
            fence()
            self._filling = True
            try:
                yield np.ndarray(lengths, kind, buffer=part.memory, offset=at + PAGE)
            finally:
                self._filling = False
            padded = (*lengths, *(0,) * (MOST_DIMENSIONS - len(lengths)))
            described = kind.str.encode("ascii"), len(lengths), *padded, len(meta)
            FRAME.pack_into(part.memory, at, time.time(), nbytes, *described)
            part.memory[at + FRAME.size : at + FRAME.size + len(meta)] = meta
            fence()
            part.mark(at, number)
            self._number = number

    def close(self) -> None:
        """Let go: readers may still copy the newest frame.  Twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if os.getpid() != self._pid:
                return  # a forked child must not end its parent's
            self._root.close()
            if self._part is not None:
                self._part.close()

    def _ready(self, nbytes: int) -> Segment:
        """Return slots that hold a frame of `nbytes`."""
        if self._closed:
            raise RuntimeError("this ring is closed: make a new one")
        if os.getpid() != self._pid:
            raise RuntimeError("this ring belongs to the process that forked this one")
        if self._filling:
            raise RuntimeError("finish the frame that is being filled before the next")
        if self._part is not None and nbytes <= self._capacity:
            return self._part
        capacity = max(nbytes, PAGE)
        size = self.slots * slot_pages(capacity) * PAGE
        if size > self.limit:
            raise SharedMemoryFull(
                f"{self.slots} slots for frames of {nbytes:,} bytes take {size:,} bytes, and this "
                f"ring may take {self.limit:,}: make the frames smaller or fewer, or raise limit="
            )
        part = _segment(size)
        try:
            # Now, because later the lack of memory would be a SIGBUS.
            part.reserve(0, part.data)
        except OSError as error:
            part.close()
            raise _full(part.data, error) from None
        old, self._part, self._capacity = self._part, part, capacity
        self._publish_root()
        if old is not None:
            old.discard()  # whoever is copying from it finds that its number is gone
            old.close()
        return part

    def _publish_root(self) -> None:
        self._root.mark(0, 0)
        fence()
        where, cookie = (0, 0) if self._part is None else (self._part.where, self._part.cookie)
        ROOT.pack_into(self._root.memory, 0, MARK, where, cookie, self.slots, self._capacity)
        fence()
        self._version += 1
        self._root.mark(0, self._version)


def _segment(data: int) -> Segment:
    try:
        return Segment(data)
    except OSError as error:
        raise _full(data, error) from None


def _full(size: int, error: OSError) -> SharedMemoryFull:
    return SharedMemoryFull(
        f"no room for {size} bytes of shared memory: {error.strerror or error}. Make the frames or "
        "the number of slots smaller, or end what uses the memory (`df -h /dev/shm`, `free`)."
    )


def _checked_shape(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    lengths = (shape,) if isinstance(shape, int) else tuple(int(length) for length in shape)
    if len(lengths) > MOST_DIMENSIONS or any(length < 0 for length in lengths):
        raise ValueError(f"shape {shape}: a frame has at most {MOST_DIMENSIONS} dimensions, from 0")
    return lengths
