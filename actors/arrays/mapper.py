"""Reading other processes' arrays: a descriptor from the wire becomes an array of our own.

    descriptor = (pid, where, cookie, offset, nbytes, block)
                  └── which segment ──┘  └─ which piece ─┘

    check numbers ─► check dtype and shape ─► map (cached) ─┬─► hold the block ─► array in its place
                                                            └─► block there? ─► copy ─► still there?

Whoever sends a descriptor may be mistaken or malicious: everything odd is a `MessageError`.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict, deque
from contextlib import suppress
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from actors.arrays import segment
from actors.arrays.lease import Lease, Window
from actors.arrays.shelves import IDLE_LOOKS
from actors.arrays.turn import take_turn
from actors.errors import MessageError

MOST_MAPS: Final = 32
"""Segments a mapper keeps attached; one more takes the place of the one not used longest."""

MOST_LEASED: Final = 512 << 20
"""Bytes of one process that are read in place at a time: half of what it may share.  What comes
beyond is copied, so that nobody who keeps everything takes all room from the others."""

MOST_DIMENSIONS: Final = 8

_FIELDS: Final = 6
_LARGEST_INT: Final = 2**63 - 1
_DTYPE: Final = re.compile(r"[<>=|]?(\?|[biufc][0-9]{1,2})")
_known: Final[dict[str, np.dtype[Any]]] = {}
"""What these words stand for; there are not many."""


@final
class SenderGoneError(MessageError):
    """A shared array cannot be attached: most likely its sender has ended meanwhile."""


@final
class Mapper:
    """Reads shared arrays in other processes' segments.  Safe to use from any thread.

    A forked child must not use its parent's: leases are the parent's to end.
    """

    def __init__(
        self, directory: Path | None = None, *, most: int = MOST_MAPS, leased: int = MOST_LEASED
    ) -> None:
        """Create a mapper that has nothing attached yet.

        Args:
            directory: The session directory, for senders on systems without memfd.
            most: Segments kept attached.  An attached segment keeps the memory of a dead owner
                alive, so this also bounds what a crash can pin.
            leased: Bytes of each other process that are read in place at a time.
        """
        self._directory = directory
        self._most = most
        self._leased = leased
        self._pid = os.getpid()
        self._maps: OrderedDict[tuple[int, int, int], Window] = OrderedDict()
        self._reading: dict[int, int] = {}
        """Bytes that are read in place, by the process that sent them."""
        self._dropped: deque[tuple[Window, int, int, int]] = deque()
        """Leases that nobody uses any more: window, offset, sender, bytes."""
        self._lock = threading.Lock()
        self._looks = 0

    def read(
        self, descriptor: tuple[int, ...], dtype: np.dtype[Any] | str, shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Return the array that `Arena.share` or `Lease.forward` described, read-only.

        It lies where its sender put it, and stays as it is as long as it or a view of it lives; or
        it is a copy, where that cannot be.

        Args:
            descriptor: What they returned, as it came over the wire.
            dtype: A plain dtype (bool, integer, float, complex) or its text, such as "<f4".
            shape: Non-negative sizes, at most 8; together they must be exactly as large as shared.

        Raises:
            MessageError: the descriptor, dtype or shape is odd, or the sender has let go of the
                array.  Nothing was allocated that is larger than the shared block.
            SenderGoneError: the sender has ended.
        """
        pid, where, cookie, offset, nbytes, block = _check_descriptor(descriptor)
        checked = checked_dtype(dtype)
        checked_shape(shape, checked.itemsize, nbytes)
        window = self._window(pid, where, cookie)
        if offset % segment.PAGE or offset + max(nbytes, 1) > window.data:
            raise MessageError(
                f"{nbytes} bytes at {offset} do not lie inside a segment of {window.data} bytes. "
                "The sender's descriptor is wrong."
            )
        lease = self._lease(window, pid, offset, nbytes, block) if nbytes else None
        if lease is not None:
            return lease.array(shape, checked)
        return _copied(window, offset, block, shape, checked)

    def tidy(self) -> None:
        """Detach what nobody reads and its owner has closed, or died with: it takes memory still.

        And what was not read during the last `IDLE_LOOKS` calls: it counts as memory of this
        process.  Call it now and then.
        """
        with self._lock:
            self._looks += 1
            for key, window in list(self._maps.items()):
                if window.held:
                    window.used = self._looks
                idle = window.used <= self._looks - IDLE_LOOKS
                if idle or not (window.held or segment.is_open(*key, self._directory)):
                    del self._maps[key]
                    window.close()
        self._settle()

    def close(self) -> None:
        """Detach everything.  Arrays stay valid; closing twice is fine."""
        with self._lock:
            while self._maps:
                self._maps.popitem()[1].close()
        self._settle()

    def _window(self, pid: int, where: int, cookie: int) -> Window:
        key = (pid, where, cookie)
        with self._lock:
            window = self._maps.get(key)
            if window is not None:
                self._maps.move_to_end(key)
                window.used = self._looks
                return window
        window = attach_window(pid, where, cookie, self._directory)
        with self._lock:
            window.used = self._looks
            if key in self._maps:  # by another thread meanwhile
                window.close()
                return self._maps[key]
            idle = (one for one, other in self._maps.items() if not other.held)
            old = next(idle, None) if len(self._maps) >= self._most else None
            if old is not None:
                # Its memory is dropped, not closed: another thread may be copying from it.
                self._maps.pop(old).close()
            if len(self._maps) < self._most:
                self._maps[key] = window
            else:
                window.close()  # good for one copy
        return window

    def _lease(
        self, window: Window, pid: int, offset: int, nbytes: int, block: int
    ) -> Lease | None:
        try:
            with self._lock:
                self._end_dropped()  # before anything is held: see there
                reading = self._reading.get(pid, 0) + nbytes
                if reading > self._leased or not window.hold(offset, block):
                    return None
                self._reading[pid] = reading
        finally:
            self._settle()
        return Lease(window, offset, block, partial(self._drop, window, offset, pid, nbytes))

    def _drop(self, window: Window, offset: int, pid: int, nbytes: int) -> None:
        """A lease is over, in the midst of anything: perhaps this thread has the lock."""
        if os.getpid() == self._pid:
            self._dropped.append((window, offset, pid, nbytes))
            self._settle()

    def _settle(self) -> None:
        """End the leases that nobody uses; whoever has the lock now does it afterwards."""
        while self._dropped and take_turn(self._lock, self._end_dropped):
            pass

    def _end_dropped(self) -> None:
        """End the leases that nobody uses; with the lock held.

        Ctrl-C may interrupt it in a finalizer, where that is printed and forgotten.  What was not
        done then is done by the next one, and before anything is held anew.
        """
        while self._dropped:
            window, offset, pid, nbytes = self._dropped[0]
            window.unlock(offset)  # twice is fine
            # No call from here on, so no Ctrl-C in between: all of it is done, or nothing.
            window.claims[offset] -= 1
            if not window.claims[offset]:
                del window.claims[offset]
            self._reading[pid] -= nbytes
            if not self._reading[pid]:
                del self._reading[pid]
            del self._dropped[0]


def _copied(
    window: Window, offset: int, block: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    window.check(offset, block)
    try:
        copy = np.ndarray(shape, dtype, buffer=window.memory, offset=offset).copy()
    except (ValueError, MemoryError) as error:
        # numpy refuses some shapes that hold nothing, such as (0, 2**62).
        raise MessageError(f"no array of shape {shape} can be made here: {error}.") from error
    # A sender whose message expired may have given the block away while it was copied.
    window.check(offset, block)
    copy.flags.writeable = False
    return copy


def can_attach(pid: int, where: int, cookie: int, directory: Path | None = None) -> bool:
    """Whether this process can read that segment; the numbers are those of `Arena.probe`."""
    try:
        open_window(*_check_descriptor((pid, where, cookie, 0, 0, 1))[:3], directory)
    except MessageError:
        return False
    return True


def open_window(pid: int, where: int, cookie: int, directory: Path | None = None) -> Window:
    """Map another process's segment to look at, without leases.

    Raises `MessageError` with the reason when it cannot be.
    """
    window = attach_window(pid, where, cookie, directory)
    window.close()
    return window


def attach_window(pid: int, where: int, cookie: int, directory: Path | None = None) -> Window:
    """Map another process's segment to hold what is in it; it is the caller's to close.

    Raises `MessageError` with the reason when it cannot be.
    """
    try:
        return Window(*segment.attach(pid, where, cookie, directory), (pid, where, cookie))
    except (OSError, ValueError) as error:
        raise SenderGoneError(
            f"the shared array of process {pid} cannot be attached: {error}. "
            "Its process has ended, or it runs as another user or in another container; "
            "send it again."
        ) from error


def _check_descriptor(descriptor: tuple[Any, ...]) -> tuple[int, int, int, int, int, int]:
    """Return the six numbers; their meaning is checked where they are used."""
    if type(descriptor) is not tuple or len(descriptor) != _FIELDS:
        raise MessageError("a shared array's descriptor is six integers; this is something else.")
    for index, number in enumerate(descriptor):
        # `where` alone may be negative: it then names a file (see `segment`).
        lowest = -_LARGEST_INT if index == 1 else 0
        if type(number) is not int or not lowest <= number <= _LARGEST_INT:
            raise MessageError(
                "a shared array's descriptor has a part that is no integer or out of range. "
                "The sender's descriptor is wrong."
            )
    pid, where, cookie, offset, nbytes, block = descriptor
    if not pid or not block:
        raise MessageError("a shared array's descriptor names no process or no block.")
    return pid, where, cookie, offset, nbytes, block


def checked_dtype(dtype: np.dtype[Any] | str) -> np.dtype[Any]:
    """Return a dtype that another process named; raises `MessageError` for one of no fixed form."""
    if isinstance(dtype, str):
        known = _known.get(dtype)
        if known is not None:
            return known
        # Text is matched before numpy parses it: "V2147483648" or 100,000 fields cost memory there.
        if _DTYPE.fullmatch(dtype):
            with suppress(TypeError):
                known = _known[dtype] = checked_dtype(np.dtype(dtype))
                return known
    if (
        not isinstance(dtype, np.dtype)
        or dtype.kind not in segment.SHAREABLE_KINDS
        or dtype.itemsize > segment.LARGEST_ITEM
    ):
        raise MessageError(
            "only arrays of bool, integers, floats and complex numbers of at most 16 bytes "
            "can be shared. The sender's dtype is something else."
        )
    return dtype


def checked_shape(shape: tuple[Any, ...], itemsize: int, nbytes: int) -> None:
    """Raise `MessageError` unless items in this shape fill exactly `nbytes`."""
    if type(shape) is not tuple or len(shape) > MOST_DIMENSIONS:
        raise MessageError(f"a shared array's shape is a tuple of at most {MOST_DIMENSIONS} sizes.")
    if not all(type(size) is int and 0 <= size <= _LARGEST_INT for size in shape):
        raise MessageError("a shared array's shape has a size that is negative or no integer.")
    # Python's integers do not overflow, numpy's would.
    if prod(shape) * itemsize != nbytes:
        raise MessageError(
            f"shape {shape} of {itemsize}-byte items does not fill the {nbytes} shared bytes. "
            "The sender's descriptor is wrong."
        )
