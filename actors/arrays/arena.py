"""The arena: memory of one process that others can read, handed out in blocks and used again.

    share(array) ─► block of the right size class ─► copy ─► mark in the table ─► descriptor
    free(block)  ─► unmark ─► back to the class's free list, still warm

    class  4 KiB, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, ...    four steps a doubling
    segment of one class: 16 MiB, or one block if that is larger

Why pooled: a fresh page costs a fault and a clearing, ten times the copying.  Memory is set aside
block by block when it is first used, so a segment costs what was shared through it at most.
At the limit, segments without a living block are given back to make room for other classes.

    empty(shape) ─► an array in a block of its own; sharing it copies nothing, and freezes it

The ledger of blocks is here, at the owner: `share` counts one claim, `free` ends it.  An array that
was born in a block (`empty`) is a claim too, as long as it or a view of it lives.
"""

from __future__ import annotations

import errno
import os
import threading
from itertools import count
from math import prod
from pathlib import Path
from typing import Any, Final, final
from weakref import finalize

import attrs
import numpy as np
import numpy.typing as npt

from actors.arrays.birth import Birth, freeze
from actors.arrays.ledger import Ledger
from actors.arrays.segment import HAS_MEMFD, PAGE, Segment, check_shareable
from actors.errors import SharedMemoryFull

LIMIT: Final = 1 << 30
SEGMENT: Final = 16 << 20

_MOST_SEGMENTS: Final = 256
"""Two descriptors each; the usual limit of a process is 1,024."""


@attrs.frozen
class Statistics:
    """What an arena holds at one moment."""

    limit: int  # bytes it may set aside
    reserved: int  # bytes set aside, in blocks living and free; never more than `limit`
    living: int  # bytes of the blocks that are shared now, whole blocks counted
    blocks: int  # blocks that are shared now
    segments: int  # pieces of memory open, two file descriptors each
    shared: int  # arrays shared since the start
    refused: int  # arrays that found no room since the start


@final
class Arena:
    """Shares copies of arrays with other processes of this user.  Safe to use from any thread.

    An arena belongs to the process that made it: a forked child makes its own.
    """

    def __init__(
        self,
        limit: int = LIMIT,
        directory: Path | None = None,
        *,
        named: bool = not HAS_MEMFD,
        segment: int = SEGMENT,
    ) -> None:
        """Create an arena; it takes no memory before the first `share`.

        Args:
            limit: Bytes of blocks it may set aside.
            directory: The session directory (0700), needed only for named files.
            named: Use named files though the system has memfd.
            segment: Smallest size of a segment in bytes, a multiple of 4,096.

        Raises:
            ValueError: an argument makes no sense; the text says which.
        """
        if limit < PAGE:
            raise ValueError(f"limit={limit} holds no block; use at least {PAGE} bytes")
        if segment < PAGE or segment % PAGE:
            raise ValueError(f"segment={segment} is not a positive multiple of {PAGE}")
        if named and directory is None:
            raise ValueError("without memfd an arena needs a session directory: give directory=")
        self._limit = limit
        self._segment = segment
        self._directory = directory if named else None
        self._pid = os.getpid()
        self._lock = threading.Lock()  # held for bookkeeping only, never while copying
        self._closed = False
        self._shelves: list[_Shelf] = []  # oldest first
        self._free: dict[int, list[tuple[_Shelf, int]]] = {}  # block size -> places used before
        self._ledger: Ledger[tuple[_Shelf, int]] = Ledger()
        self._beacon: Segment | None = None  # what `probe` shows: it stays as long as the arena
        self._serials = count(1)
        self._reserved = 0
        self._living = 0
        self._shared = 0
        self._refused = 0

    def share(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        """Copy `array` into a block and return its descriptor for `Mapper.copy_out`.

        The copy is C-contiguous; the array stays the caller's to change.  Returns None when there
        is no room (the limit, or the system's memory) or the arena is closed: use frames then.
        Every descriptor must be ended by one `free` of its last number.

        Raises:
            TypeError: the array holds Python objects, which have no meaning elsewhere.
            RuntimeError: the arena was made by the parent of this process.
        """
        check_shareable(array.dtype)
        self._check_owner()
        born = self._share_born(array)
        if born is not None:
            return born
        with self._lock:
            place = None if self._closed else self._take(block_size(array.nbytes))
            if place is None:
                self._refused += 1
                return None
            block = self._ledger.add(place)
            self._shared += 1
        shelf, offset = place
        memory = shelf.segment.memory
        try:
            np.copyto(np.ndarray(array.shape, array.dtype, buffer=memory, offset=offset), array)
        except BaseException:
            self.free(block)
            raise
        return self._described(place, array.nbytes, block)

    def empty(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array that lies in a block: `share` copies nothing, and makes it read-only.

        What it holds at first is left over.  Its block is free when the array, its views and all
        its readers are done with it.

        Raises:
            TypeError: elements that have no meaning in another process.
            SharedMemoryFull: no room, in the arena or in the system.
        """
        kind = np.dtype(dtype)
        check_shareable(kind)
        self._check_owner()
        lengths = (shape,) if isinstance(shape, int) else tuple(shape)
        nbytes = kind.itemsize * prod(lengths)
        with self._lock:
            place = None if self._closed else self._take(block_size(nbytes))
            if place is None:
                self._refused += 1
                raise SharedMemoryFull(
                    f"no room for an array of {nbytes:,} bytes: {self._living:,} of the "
                    f"{self._limit:,} bytes that this process may share are in use. Let go of "
                    "arrays, or send smaller ones."
                )
            block = self._ledger.add(place)
        shelf, offset = place
        start = np.frombuffer(shelf.segment.memory, np.uint8, 1, offset)
        birth = Birth(block, place, start, lengths, kind)
        # The ledger is put right later: a finalizer may run in the midst of anything.
        finalize(birth, self._ledger.drop, block).atexit = False
        return np.asarray(birth)

    def _share_born(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        """Share an array that lies at the start of a block of ours; None for any other."""
        birth = Birth.of(array)
        if birth is None or not birth.holds(array):
            return None
        with self._lock:
            place = self._ledger.claim(birth.block, birth.place)
            if place is None:  # born in another arena, or in this one before it was closed
                return None
            self._shared += 1
        freeze(array)
        return self._described(place, array.nbytes, birth.block)

    def _described(self, place: tuple[_Shelf, int], nbytes: int, block: int) -> tuple[int, ...]:
        shelf, offset = place
        part = shelf.segment
        # The mark comes last: it is the promise that the block is complete.
        part.mark(offset, block)
        return self._pid, part.where, part.cookie, offset, nbytes, block

    def free(self, block: int) -> bool:
        """End a claim on a block, and with the last one its memory is used again.

        Returns False when there is no such block (freed before).
        """
        if os.getpid() != self._pid:
            return False
        with self._lock:
            if self._closed:
                return False
            known, place = self._ledger.end(block)
            if place is not None:
                self._put_back(place)
            return known

    def _check_owner(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this arena belongs to the process that forked this one; make a new Arena here"
            )

    def probe(self) -> tuple[int, int, int] | None:
        """Return (pid, where, cookie) for a peer's `can_attach`; None when there is no memory."""
        if os.getpid() != self._pid:
            return None
        with self._lock:
            if self._closed:
                return None
            if self._beacon is None:
                try:
                    self._beacon = Segment(
                        PAGE, directory=self._directory, serial=next(self._serials)
                    )
                except OSError:
                    return None
            return self._pid, self._beacon.where, self._beacon.cookie

    def trim(self) -> int:
        """Give memory without a living block back to the system; return how many bytes."""
        with self._lock:
            self._settle()
            before = self._reserved
            self._retire_idle()
            return before - self._reserved

    def statistics(self) -> Statistics:
        """Return a snapshot of what the arena holds."""
        with self._lock:
            self._settle()
            return Statistics(
                limit=self._limit,
                reserved=self._reserved,
                living=self._living,
                blocks=len(self._ledger),
                segments=len(self._shelves),
                shared=self._shared,
                refused=self._refused,
            )

    def close(self) -> None:
        """Let go of everything; twice is fine.

        Readers that have attached keep what they see; nobody can attach any more.  In a forked
        child it does nothing: memory and lock are the parent's.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            for shelf in self._shelves:
                shelf.segment.close()
            if self._beacon is not None:
                self._beacon.close()
            self._beacon = None  # a map holds a descriptor of its own, as long as it lives
            self._shelves.clear()
            self._free.clear()
            self._ledger.clear()
            self._reserved = self._living = 0

    # --- places; all of these are called with the lock held --------------------------------------

    def _settle(self) -> None:
        """Take back the blocks of arrays that have gone."""
        for place in self._ledger.settle():
            self._put_back(place)

    def _take(self, size: int) -> tuple[_Shelf, int] | None:
        """Return a place whose memory is set aside, or None when there is no room."""
        self._settle()
        spare = self._free.get(size)
        # Last in, first out: the block that is still in the processor's cache goes out next.
        place = spare.pop() if spare else self._fresh_place(size)
        if place is not None:
            place[0].living += 1
            self._living += size
        return place

    def _put_back(self, place: tuple[_Shelf, int]) -> None:
        shelf, offset = place
        shelf.segment.mark(offset, 0)
        shelf.living -= 1
        self._living -= shelf.size
        self._free.setdefault(shelf.size, []).append((shelf, offset))

    def _fresh_place(self, size: int) -> tuple[_Shelf, int] | None:
        if not self._make_room(size):
            return None
        place = self._set_aside(size)
        if place is None and self._retire_idle():
            # The system was full before our limit was reached, and we gave something back.
            place = self._set_aside(size)
        return place

    def _set_aside(self, size: int) -> tuple[_Shelf, int] | None:
        shelf = next((one for one in self._shelves if one.size == size and one.fresh), None)
        try:
            if shelf is None:
                shelf = self._open_shelf(size)
            offset = shelf.fresh[-1]
            shelf.segment.reserve(offset, size)
        except OSError:
            # Whatever the system lacks, the caller has another way: frames.  `refused` counts it.
            return None
        shelf.fresh.pop()
        self._reserved += size
        return shelf, offset

    def _open_shelf(self, size: int) -> _Shelf:
        if len(self._shelves) >= _MOST_SEGMENTS:
            raise OSError(errno.EMFILE, "too many segments")
        blocks = max(1, self._segment // size)
        part = Segment(size * blocks, directory=self._directory, serial=next(self._serials))
        shelf = _Shelf(segment=part, size=size, fresh=[size * i for i in reversed(range(blocks))])
        self._shelves.append(shelf)
        return shelf

    def _make_room(self, size: int) -> bool:
        """Keep within the limit if `size` is added, at the cost of as few idle segments as can be.

        Gives nothing back when that would not be enough: idle blocks are worth keeping.
        """
        if self._reserved + size <= self._limit:
            return True
        idle = [shelf for shelf in self._shelves if not shelf.living]
        if self._reserved + size - sum(shelf.reserved for shelf in idle) > self._limit:
            return False
        while self._reserved + size > self._limit:
            self._retire(idle.pop(0))
        return True

    def _retire_idle(self) -> bool:
        idle = [shelf for shelf in self._shelves if not shelf.living]
        for shelf in idle:
            self._retire(shelf)
        return bool(idle)

    def _retire(self, shelf: _Shelf) -> None:
        self._shelves.remove(shelf)
        spare = self._free.pop(shelf.size, [])
        others = [place for place in spare if place[0] is not shelf]
        if others:
            self._free[shelf.size] = others
        self._reserved -= shelf.reserved
        # A reader keeps segments attached for a while; without this it would keep the memory too.
        shelf.segment.discard()
        shelf.segment.close()


@attrs.define(eq=False)
class _Shelf:
    """A segment cut into blocks of one size."""

    segment: Segment
    size: int  # bytes of each block
    fresh: list[int]  # offsets never used, lowest last; no memory is set aside for them yet
    living: int = 0  # blocks that are shared now
    capacity: int = attrs.field(init=False)  # blocks

    def __attrs_post_init__(self) -> None:
        self.capacity = len(self.fresh)

    @property
    def reserved(self) -> int:
        """Bytes set aside for blocks that were used at least once."""
        return (self.capacity - len(self.fresh)) * self.size


def block_size(nbytes: int) -> int:
    """Bytes of the smallest block class that holds `nbytes`: at most a quarter is wasted.

    Below 16 KiB every multiple of 4 KiB is a class; above, four classes a doubling.
    """
    step = max(PAGE, 1 << max(0, (nbytes - 1).bit_length() - 3))
    return max(PAGE, -(-nbytes // step) * step)
