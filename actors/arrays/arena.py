"""The arena: memory of one process that others can read, handed out in blocks and used again.

    share(array) ─► block of the right size class ─► copy ─► mark in the table ─► descriptor
    free(block)  ─► unmark ─► back to the class's free list, still warm

    class  4 KiB, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, ...    four steps a doubling
    segment of one class: 16 MiB, or one block if that is larger

Why pooled: a fresh page costs a fault and a clearing, ten times the copying.  Where blocks lie says
`shelves.py`.  Where the allowance ends, segments without a living block make room for others.

    empty(shape) ─► an array in a block of its own; sharing it copies nothing, and freezes it

The ledger of blocks is here, at the owner: `share` counts one claim, `free` ends it.  An array that
was born in a block (`empty`) is a claim too, as long as it or a view of it lives.  When the last
claim has ended the block is used again, unless readers hold it (`lease.py`): then it is lent, and
looked at again when a block of its size is wanted.
"""

from __future__ import annotations

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

from actors.arrays.allowance import Allowance
from actors.arrays.birth import Birth, freeze
from actors.arrays.ledger import Ledger
from actors.arrays.segment import HAS_MEMFD, PAGE, Segment, check_shareable
from actors.arrays.sharing import Sharing
from actors.arrays.shelves import Place, Shelves, block_size
from actors.arrays.spec import checked_lengths
from actors.errors import SharedMemoryFull

SEGMENT: Final = 16 << 20

_serials: Final = count(1)
"""Numbers for the files of all arenas of this process."""


@attrs.frozen
class Statistics:
    """What an arena holds at one moment."""

    limit: int  # bytes its process may set aside
    reserved: int  # bytes set aside here, in blocks living and free; never more than `limit`
    living: int  # bytes of the blocks in use now, whole blocks counted, lent ones too
    blocks: int  # blocks in use now by messages on their way and by arrays here
    lent: int  # blocks that nothing but readers in other processes uses
    segments: int  # pieces of memory open, two file descriptors each
    shared: int  # arrays shared since the start
    copied: int  # how many of them had to be copied first
    copied_bytes: int
    oldest: float  # when the block was taken that is in use for longest, monotonic s; 0.0: none
    refused: int  # arrays, and frames of rings of its allowance, that found no room since the start

    @property
    def sharing(self) -> Sharing:
        """What of it others are told."""
        return Sharing(
            self.living,
            self.blocks + self.lent,
            self.oldest,
            self.copied,
            self.copied_bytes,
            self.refused,
        )


@final
class Arena:
    """Shares copies of arrays with other processes of this user.  Safe to use from any thread.

    An arena belongs to the process that made it: a forked child makes its own.
    """

    def __init__(
        self,
        allowance: Allowance | None = None,
        directory: Path | None = None,
        *,
        named: bool = not HAS_MEMFD,
        segment: int = SEGMENT,
    ) -> None:
        """Create an arena; it takes no memory before the first `share`.

        Args:
            allowance: Of its process, of which its blocks are a part; None: one of its own.
            directory: The session directory (0700), needed only for named files.
            named: Use named files though the system has memfd.
            segment: Smallest size of a segment in bytes, a multiple of 4,096.

        Raises:
            ValueError: an argument makes no sense; the text says which.
        """
        if segment < PAGE or segment % PAGE:
            raise ValueError(f"segment={segment} is not a positive multiple of {PAGE}")
        if named and directory is None:
            raise ValueError("without memfd an arena needs a session directory: give directory=")
        self._directory = directory if named else None
        self._pid = os.getpid()
        self._lock = threading.Lock()  # held for bookkeeping only, never while copying
        self._closed = False
        self._shelves = Shelves(allowance or Allowance(), segment, self._segment)
        self._ledger: Ledger[Place] = Ledger()
        self._beacon: Segment | None = None  # what `probe` shows: it stays as long as the arena
        self._shared = self._copied = self._copied_bytes = 0

    def share(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        """Copy `array` into a block and return its descriptor for `Mapper.read`.

        The copy is C-contiguous; the array stays the caller's to change, unless it was born here:
        then nothing is copied, and it is read-only from now on.  Returns None when there is no room
        (the limit, or the system's memory) or the arena is closed: use frames then.  Every
        descriptor must be ended by one `free` of its last number.

        Raises:
            TypeError: the array holds Python objects, which have no meaning elsewhere.
            RuntimeError: the arena was made by the parent of this process.
        """
        self._check(array)
        born = self._lend_born(array)
        if born is None:
            return self._share_copy(array)
        freeze(array)
        return born

    def lend(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        """Do as `share`, but leave an array that was born here writeable.

        It must be frozen before anybody hears of the descriptor.
        """
        self._check(array)
        return self._lend_born(array) or self._share_copy(array)

    def _share_copy(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        with self._lock:
            place = self._take(array.nbytes)
            if place is None:
                self._shelves.allowance.refuse()
                return None
            block = self._ledger.add(place)
            self._shared += 1
            self._copied += 1
            self._copied_bytes += array.nbytes
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
            TypeError: no shape, or elements that have no meaning in another process.
            ValueError: more than 8 dimensions, or a negative one.
            SharedMemoryFull: no room, in the arena or in the system.
        """
        kind = np.dtype(dtype)
        check_shareable(kind)
        self._check_owner()
        lengths = checked_lengths(shape)
        nbytes = kind.itemsize * prod(lengths)
        with self._lock:
            place = self._take(nbytes)
            if place is None:
                self._shelves.allowance.refuse()
                why = self._shelves.allowance.shortage(block_size(nbytes))
                raise SharedMemoryFull(f"no room for an array of {nbytes:,} bytes: {why}")
            block = self._ledger.add(place)
        shelf, offset = place
        start = np.frombuffer(shelf.segment.memory, np.uint8, 1, offset)
        birth = Birth(block, place, start, lengths, kind)
        # The ledger is put right later: a finalizer may run in the midst of anything.
        finalize(birth, self._ledger.drop, block).atexit = False
        return np.asarray(birth)

    def _lend_born(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        """Lend an array that lies at the start of a block of ours; None for any other."""
        birth = Birth.of(array)
        if birth is None or not birth.holds(array):
            return None
        with self._lock:
            place = self._ledger.claim(birth.block, birth.place)
            if place is None:  # born in another arena, or in this one before it was closed
                return None
            self._shared += 1
        return self._described(place, array.nbytes, birth.block)

    def _described(self, place: Place, nbytes: int, block: int) -> tuple[int, ...]:
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
                self._shelves.put_back(place)
            return known

    def _check(self, array: npt.NDArray[Any]) -> None:
        check_shareable(array.dtype)
        self._check_owner()

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
                    self._beacon = self._segment(PAGE)
                except OSError:
                    return None
            return self._pid, self._beacon.where, self._beacon.cookie

    def trim(self) -> int:
        """Give memory without a living block back to the system; return how many bytes."""
        with self._lock:
            self._settle()
            self._shelves.reclaim()
            before = self._shelves.reserved
            self._shelves.retire_idle()
            return before - self._shelves.reserved

    def tidy(self) -> None:
        """Give back what was not used during the last `IDLE_LOOKS` calls.  Call it now and then."""
        if os.getpid() != self._pid or not len(self._shelves):
            return
        with self._lock:
            self._settle()
            self._shelves.tidy()

    def statistics(self) -> Statistics:
        """Return a snapshot of what the arena holds."""
        with self._lock:
            self._settle()
            shelves = self._shelves
            shelves.reclaim()
            return Statistics(
                limit=shelves.allowance.limit,
                reserved=shelves.reserved,
                living=shelves.living,
                blocks=len(self._ledger),
                lent=shelves.lent,
                segments=len(shelves),
                shared=self._shared,
                copied=self._copied,
                copied_bytes=self._copied_bytes,
                oldest=shelves.oldest,
                refused=shelves.allowance.refused,
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
            self._shelves.close()
            if self._beacon is not None:
                self._beacon.close()
            self._beacon = None  # a map holds a descriptor of its own, as long as it lives
            self._ledger.clear()

    # --- with the lock held

    def _settle(self) -> None:
        """Take back the blocks of arrays that have gone."""
        for place in self._ledger.settle():
            self._shelves.put_back(place)

    def _take(self, nbytes: int) -> Place | None:
        if self._closed:
            return None
        self._settle()
        return self._shelves.take(block_size(nbytes))

    def _segment(self, size: int) -> Segment:
        return Segment(size, directory=self._directory, serial=next(_serials))
