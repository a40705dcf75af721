"""Arrays that are born in shared memory, and how to know them again."""

from __future__ import annotations

from math import prod
from typing import Any, cast, final

import numpy as np
import numpy.typing as npt

from actors.arrays.segment import check_shareable
from actors.arrays.spec import checked_lengths


@final
class Birth:
    """Where an array was born.  Whatever views of it there are, they all hold this one."""

    def __init__(
        self,
        block: int,
        place: object,
        start: npt.NDArray[np.uint8],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.block = block
        self.place = place  # what the ledger knows it by: no other arena has the same
        self._start = start  # it holds the memory, which outlives the segment if the array does
        self.address = start.ctypes.data
        # numpy's way of taking memory as it is: the array's base is then this object.
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (self.address, False),
            "version": 3,
        }

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Birth | None:
        """Return where `array`, or what it is a view of, was born; None for any other array."""
        base = cast("object", root(array).base)
        return base if isinstance(base, cls) else None

    def holds(self, array: npt.NDArray[Any]) -> bool:
        """Whether `array` lies at the start of the block, in the order in which it would travel."""
        return bool(array.flags.c_contiguous and array.ctypes.data == self.address)


def born_alone(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array as `Arena.empty` does, in ordinary memory, where nothing is shared.

    It is refused, and frozen when it is sent, as the one in shared memory is.
    """
    kind = np.dtype(dtype)
    check_shareable(kind)
    lengths = checked_lengths(shape)
    start = np.empty(max(1, kind.itemsize * prod(lengths)), np.uint8)
    return np.asarray(Birth(0, None, start, lengths, kind))


def freeze(array: npt.NDArray[Any]) -> None:
    """Make an array read-only, and what it is a view of, but no other view made before."""
    array.flags.writeable = root(array).flags.writeable = False


def root(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array that this one, or what it is a view of, is a view of at last."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
