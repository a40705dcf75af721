"""Image sequences: the words of their meta, and what must hold between them.

    START_OF_SEQUENCE   packet 1
    FRAME               packet 2   image 1   dtype, shape, length
    FRAME               packet 3   image 2
    END_OF_SEQUENCE     packet 4             may overtake the last frames: count, do not look

The words are Valkyrie's own, to the letter.  A stream carries any meta; these are for those who
send pictures and want every program to read them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Final, cast, final

import attrs
import numpy as np
import numpy.typing as npt

from actors.arrays.spec import MOST_DIMENSIONS, wire_dtype
from actors.errors import InvalidMessage, MessageError
from actors.streams.packet import Packet


@final
class MetaKeyword:
    """Keys of the meta of an image sequence."""

    STREAM_ID: Final = "MAXIV_VALKYRIE_STREAM_ID"
    PACKET_TYPE: Final = "MAXIV_VALKYRIE_PACKET_TYPE"
    PACKET_ENQUEUED_TIME: Final = "MAXIV_VALKYRIE_PACKET_ENQUEUED_TIME"
    PACKET_UNIQUE_ID: Final = "MAXIV_VALKYRIE_PACKET_UNIQUE_ID"
    PACKET_SEQUENCE_NUMBER: Final = "MAXIV_VALKYRIE_PACKET_SEQUENCE_NUMBER"
    IMAGE_SEQUENCE_NUMBER: Final = "MAXIV_VALKYRIE_IMAGE_SEQUENCE_NUMBER"
    DATA_LENGTH: Final = "MAXIV_VALKYRIE_DATA_LENGTH"
    DTYPE: Final = "MAXIV_VALKYRIE_DTYPE"
    SHAPE: Final = "MAXIV_VALKYRIE_SHAPE"
    TIMESTAMP: Final = "MAXIV_VALKYRIE_TIMESTAMP"
    ORIGIN_ENQUEUED_TIME: Final = "MAXIV_VALKYRIE_ORIGIN_ENQUEUED_TIME"
    DAQ_RECEIVED_TIME: Final = "MAXIV_VALKYRIE_DAQ_RECEIVED_TIME"
    DAQ_REPUBLISHED_TIME: Final = "MAXIV_VALKYRIE_DAQ_REPUBLISHED_TIME"
    LIVEVIEW_RECEIVED_TIME: Final = "MAXIV_VALKYRIE_LIVEVIEW_RECEIVED_TIME"


@final
class PacketType:
    """What `MetaKeyword.PACKET_TYPE` may say."""

    SERVER_CAME_UP: Final = "MAXIV_VALKYRIE_SERVER_CAME_UP"
    SERVER_WENT_DOWN: Final = "MAXIV_VALKYRIE_SERVER_WENT_DOWN"
    START_OF_SEQUENCE: Final = "MAXIV_VALKYRIE_START_OF_SEQUENCE"
    END_OF_SEQUENCE: Final = "MAXIV_VALKYRIE_END_OF_SEQUENCE"
    EVENT: Final = "MAXIV_VALKYRIE_EVENT"
    FRAME: Final = "MAXIV_VALKYRIE_FRAME"


@final
@attrs.define
class ImageSequence:
    """Writes the meta of one sequence: packets and images are numbered from 1.

        images = ImageSequence()
        writer.write(images.start(now), None)
        writer.write(images.frame(image, now), image)
        writer.write(images.end(now), None)

    `now` is seconds since the epoch, for those who measure delays.
    """

    packets: int = attrs.field(default=0, init=False)
    images: int = attrs.field(default=0, init=False)

    def start(self, now: float) -> dict[str, Any]:
        """Return the meta of the first packet."""
        return self._next(PacketType.START_OF_SEQUENCE, now)

    def frame(self, image: npt.NDArray[Any], now: float) -> dict[str, Any]:
        """Return the meta of the packet whose data is `image`.

        Raises:
            InvalidMessage: elements that have no meaning elsewhere, or more than 8 dimensions.
        """
        try:
            wire_dtype(image.dtype.str)
        except MessageError as error:
            raise _wrong(MetaKeyword.DTYPE, str(error)) from None
        if image.ndim > MOST_DIMENSIONS:
            raise _wrong(MetaKeyword.SHAPE, f"{image.ndim} dimensions, {MOST_DIMENSIONS} at most")
        meta = self._next(PacketType.FRAME, now)
        self.images += 1
        native = image.dtype.isnative
        return meta | {
            MetaKeyword.IMAGE_SEQUENCE_NUMBER: self.images,
            MetaKeyword.DATA_LENGTH: image.nbytes,
            MetaKeyword.DTYPE: image.dtype.name if native else image.dtype.str,
            MetaKeyword.SHAPE: list(image.shape),
        }

    def end(self, now: float) -> dict[str, Any]:
        """Return the meta of the last packet."""
        return self._next(PacketType.END_OF_SEQUENCE, now)

    def _next(self, kind: str, now: float) -> dict[str, Any]:
        self.packets += 1
        return {
            MetaKeyword.PACKET_TYPE: kind,
            MetaKeyword.PACKET_ENQUEUED_TIME: now,
            MetaKeyword.PACKET_SEQUENCE_NUMBER: self.packets,
        }


def image_of(packet: Packet) -> npt.NDArray[Any]:
    """Return the image of a FRAME packet, read-only, not copied.

    Raises:
        InvalidMessage: it is no frame, or type, shape and length do not agree with its data.
    """
    meta = packet.meta
    if meta.get(MetaKeyword.PACKET_TYPE) != PacketType.FRAME:
        found = meta.get(MetaKeyword.PACKET_TYPE)
        raise _wrong(MetaKeyword.PACKET_TYPE, f"expected {PacketType.FRAME}, got {found!r:.80}")
    dtype = _dtype(meta)
    shape = _shape(meta)
    needed = prod(shape) * dtype.itemsize
    length = meta.get(MetaKeyword.DATA_LENGTH, packet.data.nbytes)
    if length != packet.data.nbytes:
        found = f"{length!r:.80}, but {packet.data.nbytes:,} bytes came"
        raise _wrong(MetaKeyword.DATA_LENGTH, found)
    if needed != packet.data.nbytes:
        said = f"{shape} of {dtype} is {needed:,} bytes, but {packet.data.nbytes:,} came"
        raise _wrong(MetaKeyword.SHAPE, said)
    try:
        if not needed:
            return np.ndarray(shape, dtype, buffer=b"")
        return np.frombuffer(packet.data, dtype).reshape(shape)
    except ValueError as error:  # numpy refuses some shapes that hold nothing, such as (0, 2**62)
        raise _wrong(MetaKeyword.SHAPE, f"no array can have it: {error}") from None


def _dtype(meta: Mapping[str, Any]) -> np.dtype[Any]:
    name: object = meta.get(MetaKeyword.DTYPE)
    if not isinstance(name, str) or len(name) > len("complex128"):
        raise _wrong(MetaKeyword.DTYPE, f"expected a word such as 'uint32', got {name!r:.80}")
    try:
        return wire_dtype(_NAMED.get(name, name))
    except MessageError as error:
        raise _wrong(MetaKeyword.DTYPE, str(error)) from None


def _shape(meta: Mapping[str, Any]) -> tuple[int, ...]:
    shape: object = meta.get(MetaKeyword.SHAPE)
    if (
        not isinstance(shape, list)
        or len(cast("list[object]", shape)) > MOST_DIMENSIONS
        or any(type(n) is not int or not 0 <= n < 1 << 63 for n in cast("list[object]", shape))
    ):
        allowed = f"a list of at most {MOST_DIMENSIONS} lengths from 0"
        raise _wrong(MetaKeyword.SHAPE, f"expected {allowed}, got {shape!r:.80}")
    return tuple(cast("list[int]", shape))


def _wrong(field: str, reason: str) -> InvalidMessage:
    return InvalidMessage(message="packet", field=field, reason=reason)


_WIDTHS: Final = {"int": (8, 16, 32, 64), "uint": (8, 16, 32, 64), "float": (16, 32, 64)}

_NAMES: Final = (
    *(f"{kind}{bits}" for kind, widths in _WIDTHS.items() for bits in widths),
    *("bool", "complex64", "complex128"),
)

_NAMED: Final = {name: np.dtype(name).str for name in _NAMES}
"""Names that other programs write, and the word for the same type on this machine."""
