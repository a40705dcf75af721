"""The ring: live frames in shared memory, for which only the newest counts.

    writer ─► slot 0 │ slot 1 │ slot 2 │ slot 3          never waits, for nobody
                         ▲ newest                        reader ─► hold, copy, and look again

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

Which slot is next?  Memory that was written a moment ago is still in the processor's cache, if that
has room, and is written in less time.  So it is the slot of the last frame but the newest, and when
a reader holds that (a lock, as in `lease.py`), the one before.  The locks are a hint, the numbers
decide: when all are held, or nobody can tell, the oldest frame is written over.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from math import prod
from operator import index
from typing import Any, Final, final
from weakref import finalize

import attrs
import numpy as np
import numpy.typing as npt

from actors.arrays import segment
from actors.arrays.allowance import LIMIT, Allowance
from actors.arrays.fence import fence
from actors.arrays.segment import PAGE, Segment, check_shareable, host_key
from actors.arrays.sharing import NOTHING, Sharing
from actors.arrays.spec import MOST_DIMENSIONS, checked_lengths
from actors.errors import SharedMemoryFull

NO_LIMIT: Final = 1 << 62

SLOTS: Final = 4
"""The newest, one that is written, and two that readers of older frames may still hold."""

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
    host: bytes = b""
    """`segment.host_key` there: who has another one cannot attach."""


def slot_pages(capacity: int) -> int:
    """Return the pages of a slot for frames of `capacity` bytes."""
    return 1 + -(-capacity // PAGE)


@final
class SharedRing:
    """Live frames of one process for all others on the host: the newest wins.

    Frames are arrays of bool, integers, floats or complex numbers; each may have another shape and
    dtype than the one before.  Safe to use from several threads of the one process that made it.
    """

    def __init__(
        self, slots: int = SLOTS, *, limit: int = LIMIT, allowance: Allowance | None = None
    ) -> None:
        """Create a ring; it takes a page of memory before the first frame.

        Args:
            slots: Frames there is room for, 2 to 64.  More let more readers finish their copy of an
                older frame while newer ones are written.
            limit: Bytes of memory it may take, all slots together.  When a frame is larger than
                the slots, the former ones stay until it is written.
            allowance: Of its process, of which its memory is a part; None: nothing but `limit`.

        Raises:
            ValueError: a number of slots that makes no sense.
            SharedMemoryFull: the allowance, or the machine, has no room left.
        """
        try:
            slots, limit = index(slots), index(limit)
        except TypeError:
            text = f"slots={slots!r}, limit={limit!r}: give whole numbers; limit= is in bytes"
            raise TypeError(text) from None
        if not 2 <= slots <= MOST_SLOTS:  # noqa: PLR2004
            raise ValueError(f"slots={slots}: a ring has 2 to {MOST_SLOTS} slots")
        self.slots = slots
        self.limit = limit
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._filling = False
        self._closed = False
        self._number = 0
        self._version = 0
        self._since = time.monotonic()
        self._present: _Slots | None = None
        self._allowance = allowance or Allowance(NO_LIMIT)
        self._root = self._obtain(PAGE)
        self._open = [self._root]
        # Whoever only lets go of a ring gives back its memory too.
        self._finalizer = finalize(self, _let_go, self._pid, self._open, self._allowance)
        self._finalizer.atexit = False
        self._publish_root()

    @property
    def address(self) -> RingAddress:
        """Where readers find it, as long as this process lives."""
        return RingAddress(self._pid, self._root.where, self._root.cookie, host_key())

    @property
    def written(self) -> int:
        """Frames written so far; the number of the newest one."""
        return self._number

    @property
    def reserved(self) -> int:
        """Bytes of shared memory it holds."""
        return sum(part.data for part in self._open)

    @property
    def sharing(self) -> Sharing:
        """What of its process it is, for those who look at it from outside."""
        return Sharing(self.reserved, 1, self._since) if self._open else NOTHING

    def write(self, array: npt.ArrayLike, meta: bytes = b"") -> int:
        """Copy `array` into the ring as the newest frame; return its number, from 1.

        Waits for no reader.  Raises as `frame` does.
        """
        array = np.asarray(array)
        with self.frame(array.shape, array.dtype, meta) as memory:
            np.copyto(memory, array)
            return self._number + 1  # in the block: after it another thread may have written

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
            TypeError: no shape, elements that have no meaning in another process, or `meta` that is
                no bytes.
            ValueError: more than 8 dimensions, a negative one, or more than 3,840 bytes of meta.
            SharedMemoryFull: no room for it, in the ring or in the system; older frames stay.
            RuntimeError: the ring is closed, or another process's, or the block is inside another.
        """
        kind = np.dtype(dtype)
        check_shareable(kind)
        lengths = checked_lengths(shape)
        _check_meta(meta)
        nbytes = kind.itemsize * prod(lengths)
        if os.getpid() != self._pid:
            raise RuntimeError("this ring belongs to the process that forked this one")
        with self._lock, self._kept_open():
            slots = self._ready(nbytes)
            number = self._number + 1
            self._filling = True
            try:
                at = slots.begin()
                yield np.ndarray(lengths, kind, buffer=slots.part.memory, offset=at + PAGE)
            except BaseException:
                if slots is not self._present:
                    self._end(slots.part)
                raise
            finally:
                self._filling = False
            padded = (*lengths, *(0,) * (MOST_DIMENSIONS - len(lengths)))
            described = kind.str.encode("ascii"), len(lengths), *padded, len(meta)
            slots.finish(at, number, FRAME.pack(time.time(), nbytes, *described) + meta)
            self._number = number
            if slots is not self._present:
                self._move_to(slots)

    def close(self) -> None:
        """Let go: readers may still copy the newest frame.  Twice is fine.

        Inside the block of a frame the ring goes when that ends, and the frame is the last.
        """
        if os.getpid() == self._pid:  # a forked child must not end its parent's
            with self._lock:
                self._closed = True
                if not self._filling:
                    self._finalizer()

    @contextmanager
    def _kept_open(self) -> Generator[None]:
        """Keep the memory until the end of a frame's block in which the ring may be closed."""
        try:
            yield
        finally:
            if self._closed and not self._filling:
                self._finalizer()

    def _ready(self, nbytes: int) -> _Slots:
        """Return slots that hold a frame of `nbytes`: the present ones, or larger new ones."""
        if self._closed:
            raise RuntimeError("this ring is closed: make a new one")
        if self._filling:
            raise RuntimeError("finish the frame that is being filled before the next")
        present = self._present
        if present is not None and nbytes <= present.capacity:
            return present
        least = max(nbytes, PAGE)
        if self._size(least) > self.limit:
            raise SharedMemoryFull(
                f"{self.slots} slots for frames of {nbytes:,} bytes take {self._size(least):,} "
                f"bytes, and this ring may take {self.limit:,}: make the frames smaller or fewer, "
                "or raise limit="
            )
        # Frames that grow a little each time would otherwise need new slots each time.
        roomy = least if present is None else max(least, present.capacity * 5 // 4)
        return self._new_slots(roomy if self._size(roomy) <= self.limit else least)

    def _size(self, capacity: int) -> int:
        return self.slots * slot_pages(capacity) * PAGE

    def _new_slots(self, capacity: int) -> _Slots:
        size = self._size(capacity)
        part = self._obtain(size)
        self._open.append(part)
        try:
            part.reserve(0, size)  # now, because later the lack of memory would be a SIGBUS
            return _Slots(part, self.slots, capacity)
        except OSError as error:
            self._end(part)
            raise self._full(size, error) from None
        except BaseException:  # Ctrl-C: large slots take their time
            self._end(part)
            raise

    def _obtain(self, size: int) -> Segment:
        allowance = self._allowance
        # Memory of arrays that are gone waits for the next ones: it goes before a ring is refused.
        if not (allowance.take(size) or (allowance.idle() and allowance.take(size))):
            raise self._full(size)
        try:
            return Segment(size)
        except OSError as error:
            self._allowance.give_back(size)
            raise self._full(size, error) from None
        except BaseException:
            self._allowance.give_back(size)
            raise

    def _full(self, size: int, error: OSError | None = None) -> SharedMemoryFull:
        self._allowance.refuse()
        why = self._allowance.shortage(size)
        if error is not None:
            why = f"{error.strerror or error}. End what uses the memory (`df -h /dev/shm`, `free`)."
        return SharedMemoryFull(
            f"no room for {size:,} bytes of a ring, {self.slots} slots: {why} Smaller frames, or "
            "fewer slots=, take less."
        )

    def _move_to(self, slots: _Slots) -> None:
        """Let readers find the new slots, then give the old ones back."""
        old, self._present = self._present, slots
        self._publish_root()
        if old is not None:
            old.clear()  # whoever is copying from it finds that its number is gone
            self._end(old.part)

    def _end(self, part: Segment) -> None:
        self._open.remove(part)
        part.discard()
        part.close()
        self._allowance.give_back(part.data)

    def _publish_root(self) -> None:
        self._root.mark(0, 0)
        fence()
        slots = self._present
        where, cookie, capacity = (0, 0, 0) if slots is None else slots.place
        ROOT.pack_into(self._root.memory, 0, MARK, where, cookie, self.slots, capacity)
        fence()
        self._version += 1
        self._root.mark(0, self._version)


@final
class _Slots:
    """Room for so many frames of at most `capacity` bytes."""

    def __init__(self, part: Segment, count: int, capacity: int) -> None:
        self.part = part
        self.capacity = capacity
        self._starts = [slot * slot_pages(capacity) * PAGE for slot in range(count)]
        """Where slots begin; the one that was written last comes last."""

    @property
    def place(self) -> tuple[int, int, int]:
        """What the root says of it."""
        return self.part.where, self.part.cookie, self.capacity

    def begin(self) -> int:
        """Take a frame away; return where the page is that describes the next."""
        at = self._chosen()
        fence()
        return at

    def finish(self, at: int, number: int, description: bytes) -> None:
        """The frame is whole."""
        self.part.memory[at : at + len(description)] = description
        fence()
        self.part.mark(at, number)
        self._starts.remove(at)
        self._starts.append(at)

    def _chosen(self) -> int:
        """Take the mark off a slot that does not hold the newest frame, and return the slot."""
        if segment.HAS_LEASES:
            for at in reversed(self._starts[:-1]):
                if self.part.reclaim(at):
                    return at
        at = self._starts[0]  # readers of the oldest frame have had the longest time
        self.part.mark(at, 0)
        return at

    def clear(self) -> None:
        """Take all frames away."""
        for at in self._starts:
            self.part.mark(at, 0)
        fence()


def _let_go(pid: int, parts: list[Segment], allowance: Allowance) -> None:
    if os.getpid() == pid:
        while parts:
            part = parts.pop()
            part.close()
            allowance.give_back(part.data)


def _check_meta(meta: object) -> None:
    if not isinstance(meta, bytes):
        raise TypeError(f"meta of a frame is bytes, not {meta!r:.80}: encode it, as JSON perhaps")
    if len(meta) > MOST_META:
        raise ValueError(f"{len(meta)} bytes of meta go with a frame, {MOST_META} at most")
