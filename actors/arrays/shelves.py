"""Shelves: where the blocks of an arena lie, and which of them are free.

    take ─► used before and free? ─► lent, and read no more? ─► fresh, if it is allowed ─► place
    put_back(place) ─► free, or lent as long as readers hold it (`lease.py`)

A shelf is a segment cut into blocks of one size.  Memory is set aside block by block when it is
first used, so a shelf costs what was shared through it at most.  Not safe for threads: the arena
has the lock.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias, final

import attrs

from actors.arrays.allowance import Allowance
from actors.arrays.segment import PAGE, Segment

IDLE_LOOKS: Final = 10
"""Looks of `tidy` after which memory that was not used meanwhile is given back."""

_AT_A_TIME: Final = 8
"""Lent blocks that are looked at before a fresh one is taken."""

_MOST_SEGMENTS: Final = 256
"""Two descriptors each; the usual limit of a process is 1,024."""


@final
@attrs.define(eq=False)
class Shelf:
    """A segment cut into blocks of one size."""

    segment: Segment
    size: int  # bytes of each block
    fresh: list[int]  # offsets never used, lowest last; no memory is set aside for them yet
    taken: dict[int, float] = attrs.field(factory=dict[int, float])
    """When (monotonic seconds) the blocks in use now were taken, lent ones too, by their offset."""
    used: int = 0  # at which look a block was last taken or put back
    capacity: int = attrs.field(init=False)  # blocks

    def __attrs_post_init__(self) -> None:
        self.capacity = len(self.fresh)

    @property
    def reserved(self) -> int:
        """Bytes set aside for blocks that were used at least once."""
        return (self.capacity - len(self.fresh)) * self.size


Place: TypeAlias = tuple[Shelf, int]
"""A block: its shelf, and where it begins there."""


@final
class Shelves:
    """All shelves of one arena."""

    def __init__(
        self, allowance: Allowance, segment: int, create: Callable[[int], Segment]
    ) -> None:
        """Begin with nothing.

        Args:
            allowance: Asked before memory for a block is set aside.
            segment: Smallest size of a segment in bytes.
            create: Makes a segment for so many bytes of blocks; OSError when it cannot.
        """
        self.allowance: Final = allowance
        self.reserved = 0
        """Bytes set aside, in blocks living and free; all of them are of the allowance."""
        self.living = 0
        """Bytes of the blocks in use, lent ones too."""
        self._segment = segment
        self._create = create
        self._all: list[Shelf] = []  # oldest first
        self._free: dict[int, list[Place]] = {}  # block size -> places used before
        self._lent: dict[int, deque[Place]] = {}  # block size -> places that only readers hold
        self._looks = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def oldest(self) -> float:
        """When the block was taken that is in use for longest, monotonic seconds; 0.0 for none."""
        return min((next(iter(one.taken.values())) for one in self._all if one.taken), default=0.0)

    @property
    def lent(self) -> int:
        """Blocks that nothing but readers in other processes uses, as far as known."""
        return sum(map(len, self._lent.values()))

    def take(self, size: int) -> Place | None:
        """Return a place whose memory is set aside, or None when there is no room."""
        if not self._free.get(size):
            self._reclaim(size, _AT_A_TIME)
        # Last in, first out: the block that is still in the processor's cache goes out next.
        place = self._free_place(size) or self._fresh_place(size)
        if place is not None:
            shelf, offset = place
            shelf.taken[offset] = time.monotonic()  # a dictionary keeps its order: oldest first
            shelf.used = self._looks
            self.living += size
        return place

    def put_back(self, place: Place) -> None:
        """The last claim on a block has ended."""
        shelf, offset = place
        if not shelf.segment.reclaim(offset):
            self._lent.setdefault(shelf.size, deque()).append(place)
            return
        del shelf.taken[offset]
        shelf.used = self._looks
        self.living -= shelf.size
        self._free.setdefault(shelf.size, []).append(place)

    def reclaim(self) -> None:
        """Take back every lent block that nobody reads any more."""
        for size in list(self._lent):
            self._reclaim(size, len(self._lent[size]))

    def retire_idle(self) -> bool:
        """Give back every segment without a living block; return whether there was one."""
        return self._retire_all([shelf for shelf in self._all if not shelf.taken])

    def tidy(self) -> None:
        """Give back what was not used during the last `IDLE_LOOKS` calls."""
        self._looks += 1
        self.reclaim()
        since = self._looks - IDLE_LOOKS
        self._retire_all([one for one in self._all if not one.taken and one.used <= since])

    def close(self) -> None:
        """Let go of everything."""
        for shelf in self._all:
            shelf.segment.close()
        self._all.clear()
        self._free.clear()
        self._lent.clear()
        self.allowance.give_back(self.reserved)
        self.reserved = self.living = 0

    def _free_place(self, size: int) -> Place | None:
        spare = self._free.get(size)
        return spare.pop() if spare else None

    def _reclaim(self, size: int, most: int) -> None:
        """Take back lent blocks that nobody reads any more; look at so many at the most."""
        lent = self._lent.get(size)
        if lent is None:
            return
        for _ in range(min(most, len(lent))):
            self.put_back(lent.popleft())  # or to the end of the queue again
        if not lent:
            del self._lent[size]

    def _fresh_place(self, size: int) -> Place | None:
        if not self._make_room(size):
            self.reclaim()
            place = self._free_place(size)
            if place is not None or not self._make_room(size):
                return place
        place = self._set_aside(size)
        if place is None and self.retire_idle():
            # The machine was full before the allowance was, and we gave something back.
            place = self._set_aside(size)
        return place

    def _set_aside(self, size: int) -> Place | None:
        if not self.allowance.take(size):
            return None
        shelf = next((one for one in self._all if one.size == size and one.fresh), None)
        try:
            if shelf is None:
                shelf = self._open(size)
            offset = shelf.fresh[-1]
            shelf.segment.reserve(offset, size)
        except OSError:
            # Whatever the system lacks, the caller has another way: frames.  `refused` counts it.
            self.allowance.give_back(size)
            return None
        except BaseException:  # Ctrl-C: a large block takes its time
            self.allowance.give_back(size)
            raise
        del shelf.fresh[-1]  # not by a call: no Ctrl-C comes between this line and the next
        self.reserved += size
        return shelf, offset

    def _open(self, size: int) -> Shelf:
        if len(self._all) >= _MOST_SEGMENTS:
            raise OSError(errno.EMFILE, "too many segments")
        blocks = max(1, self._segment // size)
        fresh = [size * i for i in reversed(range(blocks))]
        shelf = Shelf(segment=self._create(size * blocks), size=size, fresh=fresh)
        self._all.append(shelf)
        return shelf

    def _make_room(self, size: int) -> bool:
        """Have `size` bytes of the allowance left, at the cost of as few idle segments as can be.

        Gives nothing back when that would not be enough: idle blocks are worth keeping.
        """
        missing = self.allowance.missing(size)
        if not missing:
            return True
        idle = [shelf for shelf in self._all if not shelf.taken]
        if sum(shelf.reserved for shelf in idle) < missing:
            return False
        while idle and self.allowance.missing(size):
            self._retire(idle.pop(0))
        return True

    def _retire_all(self, shelves: list[Shelf]) -> bool:
        for shelf in shelves:
            self._retire(shelf)
        return bool(shelves)

    def _retire(self, shelf: Shelf) -> None:
        self._all.remove(shelf)
        spare = self._free.pop(shelf.size, [])
        others = [place for place in spare if place[0] is not shelf]
        if others:
            self._free[shelf.size] = others
        self.reserved -= shelf.reserved
        self.allowance.give_back(shelf.reserved)
        # A reader keeps segments attached for a while; without this it would keep the memory too.
        shelf.segment.discard()
        shelf.segment.close()


def block_size(nbytes: int) -> int:
    """Bytes of the smallest block class that holds `nbytes`: at most a quarter is wasted.

    Below 16 KiB every multiple of 4 KiB is a class; above, four classes a doubling.
    """
    step = max(PAGE, 1 << max(0, (nbytes - 1).bit_length() - 3))
    return max(PAGE, -(-nbytes // step) * step)
