"""Leases: readers' claims on blocks of other processes, so that arrays are read where they lie.

    Window.hold ─► lock the block's first byte ─► still marked? ─► Lease ─► array, read-only
    the array, its views and messages with it are gone ─► Mapper ─► Window.release

The locks are the ledger: the kernel keeps it, per segment, where owner and readers all meet.  So a
reader that dies gives back at once what it held, whoever gave it the descriptor; a reader that
forwards an array holds it until the next one does; and no word about it is ever on its way, late or
lost.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from typing import Any, Final, cast, final

import numpy as np
import numpy.typing as npt

from actors.arrays import segment
from actors.arrays.birth import root
from actors.errors import MessageError


@final
class Window:
    """One attached segment, read-only."""

    __slots__ = ("_address", "_fd", "_key", "claims", "data", "memory", "table", "used")

    def __init__(self, memory: mmap.mmap, fd: int, key: tuple[int, int, int]) -> None:
        self.memory = memory
        self._key = key  # process, where, cookie: how this process has found it
        self._fd = fd
        self.data = segment.data_size(len(memory))
        self.table = memoryview(memory)[self.data :].cast("Q")
        self._address = np.frombuffer(memory, np.uint8, 1).ctypes.data
        self.used = 0
        """At which look of its mapper it was needed last."""
        self.claims: dict[int, int] = {}
        """Claims on each block that is held, by its offset; `hold` makes one."""

    @property
    def held(self) -> bool:
        """Whether an array lies in it."""
        return bool(self.claims)

    def check(self, offset: int, block: int) -> None:
        """Raise `MessageError` unless this block starts there now."""
        if self.table[offset // segment.PAGE] != block:
            raise MessageError(
                "the sender has let go of this shared array, or never shared it. "
                "Its message was probably given up meanwhile; send it again."
            )

    def hold(self, offset: int, block: int) -> bool:
        """Keep a block as it is until `release`; False when it must be copied instead.

        Raises:
            MessageError: another block, or none, starts there.
        """
        count = self.claims.get(offset, 0)
        if self._fd < 0 or not (count or segment.hold(self._fd, offset)):
            return False
        self.claims[offset] = count + 1
        try:
            # Looked at under the lock: from now on the owner leaves the mark where it is.
            self.check(offset, block)
        except MessageError:
            self.release(offset)
            raise
        return True

    def release(self, offset: int) -> None:
        """End one claim on a block."""
        self.unlock(offset)
        count = self.claims.pop(offset) - 1
        if count:
            self.claims[offset] = count

    def unlock(self, offset: int) -> None:
        """Let the owner have a block back if its last claim is about to end."""
        if self.claims[offset] == 1 and self._fd >= 0:
            segment.let_go(self._fd, offset)

    def address(self, offset: int) -> int:
        """Return where in this process a block lies."""
        return self._address + offset

    def described(self, offset: int, nbytes: int, block: int) -> tuple[int, ...] | None:
        """Return what another process finds the block by; None when this window is closed."""
        if self._fd < 0:
            return None
        pid, where, cookie = self._key
        # Through our own descriptor it is found even if the owner has ended; a file has its name.
        place = (pid, where) if where < 0 else (os.getpid(), self._fd)
        return *place, cookie, offset, nbytes, block

    def close(self) -> None:
        """Attach no more.  Arrays that lie in it stay what they are. Twice is fine."""
        # Locks belong to the open file, of which the map has a descriptor too as long as it lives.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


@final
class Lease:
    """A claim on one block.  Whatever views there are of its array, they all hold this one."""

    __slots__ = ("__array_interface__", "_block", "_end", "_offset", "_window")

    def __init__(self, window: Window, offset: int, block: int, end: Callable[[], None]) -> None:
        """Stand for a claim that `window.hold` has made; `end` ends it, at any time."""
        self._end = end
        self._window: Final = window
        self._offset: Final = offset
        self._block: Final = block
        self.__array_interface__: dict[str, Any]

    def __del__(self) -> None:
        # `weakref.finalize` would cost as much as all the rest; the end of the process ends locks.
        self._end()

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Lease | None:
        """Return the claim under which `array` is read; None for any other array."""
        base = cast("object", root(array).base)
        return base if isinstance(base, cls) else None

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the block as a read-only array; ValueError for a shape that numpy refuses."""
        # numpy's way of taking memory as it is: the array's base is then this object, and nobody
        # can make it writeable.
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (self._window.address(self._offset), True),
            "version": 3,
        }
        return np.asarray(self)

    def forward(self, array: npt.NDArray[Any]) -> tuple[int, ...] | None:
        """Return the descriptor of an array read under this claim, for a third process.

        None when it does not lie at the start of the block in the order in which it would travel.
        It can be attached as long as this claim lives.
        """
        lies = array.flags.c_contiguous and array.ctypes.data == self._window.address(self._offset)
        if not lies:
            return None
        return self._window.described(self._offset, array.nbytes, self._block)
