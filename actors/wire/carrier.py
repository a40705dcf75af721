"""What travels beside the bytes of a message: arrays, and references that must be bound.

    Frame(pixels=<array>)  ──▶  payload  [[0, "<f4", [480, 640]]]   the Part: where and what
                                frames   [1,228,800 bytes]          the array's bytes, untouched

The codec hands every array to a carrier and writes the Part it gets back; the receiver's codec
checks the Part first and then asks its own carrier for the array. So a Part is a claim of a
stranger until the carrier has compared it with the bytes there really are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, final

import msgspec
import numpy as np

from actors.address import Address
from actors.arrays.spec import byte_count, wire_dtype
from actors.errors import InvalidMessage


@final
class Part(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where an array's bytes are, and how to read them (C order)."""

    where: int  # index of the frame, -1 for shared memory
    dtype: str  # numpy's word, byte order included
    shape: tuple[int, ...]
    shared: tuple[int, ...] | None = None  # the arena's own words when `where` is -1


class Carrier(Protocol):
    """The out-of-band side of one message; one object serves either its sending or its receipt."""

    def put(self, array: np.ndarray[Any, Any], /) -> Part:
        """Take an array that is sent, any strides, and say where the receiver finds it."""
        ...

    def get(self, part: Part, /) -> np.ndarray[Any, Any]:
        """Return the array that was received, read-only; MessageError if it is not there.

        Its dtype and shape were checked: allowed ones, no negative length, no overflow.
        """
        ...

    def bind(self, address: Address, /) -> Any:
        """Return a live reference to an address found in a field."""
        ...


@final
class FrameCarrier:
    """Carries every array as a frame of bytes of its own: for tcp, small arrays and tests."""

    __slots__ = ("_bind", "frames")

    def __init__(
        self,
        frames: Iterable[bytes | memoryview] = (),
        *,
        bind: Callable[[Address], Any] | None = None,
    ) -> None:
        self.frames: list[bytes | memoryview] = list(frames)  # in the order of the Parts
        self._bind = bind  # makes references; None where no message holds one

    def put(self, array: np.ndarray[Any, Any], /) -> Part:
        """Copy the array, so that the sender may change it at once."""
        self.frames.append(array.tobytes())
        return Part(len(self.frames) - 1, array.dtype.str, array.shape)

    def get(self, part: Part, /) -> np.ndarray[Any, Any]:
        """Return a read-only view of the frame; no byte is copied."""
        if part.shared is not None or not 0 <= part.where < len(self.frames):
            raise InvalidMessage(reason=f"there is no array frame {part.where}")
        dtype, frame = wire_dtype(part.dtype), memoryview(self.frames[part.where]).toreadonly()
        if frame.nbytes != byte_count(dtype, part.shape):
            raise InvalidMessage(
                reason=f"array frame {part.where} has {frame.nbytes} bytes, "
                f"{part.dtype} {part.shape} needs {byte_count(dtype, part.shape)}"
            )
        if not frame.nbytes:
            return np.ndarray(part.shape, dtype, buffer=b"")  # frombuffer refuses empty memory
        # Not ndarray(buffer=): it looks through the read-only view and lets users write again.
        return np.frombuffer(frame, dtype).reshape(part.shape)

    def bind(self, address: Address, /) -> Any:
        """Make a reference with the function given at construction."""
        if self._bind is None:
            raise InvalidMessage(reason=f"a reference to {address} where none can be made")
        return self._bind(address)
