"""Reading other processes' arrays: a descriptor from the wire becomes an array of our own.

    descriptor = (pid, where, cookie, offset, nbytes, block)
                  └── which segment ──┘  └─ which piece ─┘

    check numbers ─► check dtype and shape ─► map (cached) ─► block there? ─► copy ─► still there?

Whoever sends a descriptor may be mistaken or malicious: everything odd is a `MessageError`.
"""

from __future__ import annotations

import mmap
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from actors.arrays import segment
from actors.errors import MessageError

MOST_MAPS: Final = 32
"""Segments a mapper keeps attached; one more takes the place of the one not used longest."""

MOST_DIMENSIONS: Final = 8

_FIELDS: Final = 6
_LARGEST_INT: Final = 2**63 - 1
_DTYPE: Final = re.compile(r"[<>=|]?(\?|[biufc][0-9]{1,2})")


@final
class Mapper:
    """Copies shared arrays out of other processes' segments.  Safe to use from any thread."""

    def __init__(self, directory: Path | None = None, *, most: int = MOST_MAPS) -> None:
        """Create a mapper that has nothing attached yet.

        Args:
            directory: The session directory, for senders on systems without memfd.
            most: Segments kept attached.  An attached segment keeps the memory of a dead owner
                alive, so this also bounds what a crash can pin.
        """
        self._directory = directory
        self._most = most
        self._maps: OrderedDict[tuple[int, int, int], Window] = OrderedDict()
        self._lock = threading.Lock()

    def copy_out(
        self, descriptor: tuple[int, ...], dtype: np.dtype[Any] | str, shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Return a read-only copy of the array that `Arena.share` described.

        Args:
            descriptor: What `Arena.share` returned, as it came over the wire.
            dtype: A plain dtype (bool, integer, float, complex) or its text, such as "<f4".
            shape: Non-negative sizes, at most 8; together they must be exactly as large as shared.

        Raises:
            MessageError: the descriptor, dtype or shape is odd, or the sender has let go of the
                array.  Nothing was allocated that is larger than the shared block.
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
        window.check(offset, block)
        try:
            copy = np.ndarray(shape, checked, buffer=window.memory, offset=offset).copy()
        except (ValueError, MemoryError) as error:
            # numpy refuses some shapes that hold nothing, such as (0, 2**62).
            raise MessageError(f"no array of shape {shape} can be made here: {error}.") from error
        # A sender whose message expired may have given the block away while it was copied.
        window.check(offset, block)
        copy.flags.writeable = False
        return copy

    def forget(self, pid: int) -> None:
        """Detach every segment of a process, for example because it died."""
        with self._lock:
            for key in [key for key in self._maps if key[0] == pid]:
                del self._maps[key]

    def close(self) -> None:
        """Detach everything.  Copies stay valid; closing twice is fine."""
        with self._lock:
            self._maps.clear()

    def _window(self, pid: int, where: int, cookie: int) -> Window:
        key = (pid, where, cookie)
        with self._lock:
            window = self._maps.get(key)
            if window is not None:
                self._maps.move_to_end(key)
                return window
        window = open_window(pid, where, cookie, self._directory)
        with self._lock:
            self._maps[key] = window
            while len(self._maps) > self._most:
                # Dropped, not closed: another thread may be copying from it.
                self._maps.popitem(last=False)
        return window


@final
class Window:
    """One attached segment, read-only."""

    __slots__ = ("data", "memory", "table")

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.data = segment.data_size(len(memory))
        self.table = memoryview(memory)[self.data :].cast("Q")

    def check(self, offset: int, block: int) -> None:
        """Raise `MessageError` unless this block starts there now."""
        if self.table[offset // segment.PAGE] != block:
            raise MessageError(
                "the sender has let go of this shared array, or never shared it. "
                "Its message was probably given up meanwhile; send it again."
            )


def can_attach(pid: int, where: int, cookie: int, directory: Path | None = None) -> bool:
    """Whether this process can read that segment; the numbers are those of `Arena.probe`."""
    try:
        open_window(*_check_descriptor((pid, where, cookie, 0, 0, 1))[:3], directory)
    except MessageError:
        return False
    return True


def open_window(pid: int, where: int, cookie: int, directory: Path | None = None) -> Window:
    """Map another process's segment; raises `MessageError` with the reason when it cannot be."""
    try:
        return Window(segment.attach(pid, where, cookie, directory))
    except (OSError, ValueError) as error:
        raise MessageError(
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
    # Text is matched before numpy parses it: "V2147483648" or 100,000 fields cost memory there.
    if isinstance(dtype, str) and _DTYPE.fullmatch(dtype):
        with suppress(TypeError):
            dtype = np.dtype(dtype)
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
