"""Images of a stream in one HDF5 file, readable while it grows (SWMR).  Needs the extra `hdf5`.

    /images    number of images x shape    in the order in which they came
    /numbers   number of images            which image of its sequence each is

A file that grows has its name from the start.  Who needs every image looks at /numbers: packets
may have been missed, and with several readers they come in any order.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

import numpy as np

from actors.errors import InvalidMessage
from actors.streams.packet import Packet
from actors.streams.sequence import MetaKeyword, PacketType, image_of

IMAGES: Final = "images"
NUMBERS: Final = "numbers"


@final
class Hdf5Sink:
    """Appends images to a new HDF5 file; other programs may read it meanwhile.

        with Hdf5Sink("run-1.h5") as sink:
            for packet in reader:
                sink.write(packet)

    A reader opens the file with `h5py.File(path, "r", swmr=True)` once the first image is there.
    """

    def __init__(self, path: str | Path) -> None:
        """Make the file.

        Raises:
            ImportError: h5py is not installed.
            FileExistsError: there is a file of this name.
        """
        try:
            # By name: who never writes HDF5 needs no h5py.
            h5py: Any = importlib.import_module("h5py")
        except ImportError as error:
            raise ImportError("h5py is missing: pip install 'understudy[hdf5]'") from error
        self._path = Path(path)
        self._file: Any = h5py.File(self._path, "x", libver="latest")
        self._images: Any = None
        self._numbers: Any = None

    @property
    def written(self) -> int:
        """Images in the file."""
        return 0 if self._numbers is None else len(self._numbers)

    def write(self, packet: Packet) -> bool:
        """Append the image of a FRAME; return whether it was one.

        Readers see it when this returns.

        Raises:
            InvalidMessage: it does not fit its own meta, or the images before it.
            OSError: there is no room; the file is then no longer to be trusted.
            RuntimeError: the sink is closed.
        """
        if packet.meta.get(MetaKeyword.PACKET_TYPE) != PacketType.FRAME:
            return False
        if not self._file:
            raise RuntimeError(f"{self._path} is closed: make a new sink")
        image = image_of(packet)
        number = packet.meta.get(MetaKeyword.IMAGE_SEQUENCE_NUMBER)
        if type(number) is not int or not 0 <= number < 1 << 63:
            reason = f"expected a whole number, got {number!r:.80}"
            raise InvalidMessage(
                message="packet", field=MetaKeyword.IMAGE_SEQUENCE_NUMBER, reason=reason
            )
        stored = self._stored(image)
        count = len(self._numbers)
        stored.resize(count + 1, axis=0)
        stored[count] = image
        stored.flush()
        self._numbers.resize(count + 1, axis=0)  # after the image: a number has its image
        self._numbers[count] = number
        self._numbers.flush()
        return True

    def close(self) -> None:
        """Complete the file.  Twice is fine."""
        self._file.close()

    def _stored(self, image: np.ndarray[Any, Any]) -> Any:
        """Return what images like this one are stored in; the first says what they are like."""
        stored = self._images or self._begin(image)
        if (image.shape, image.dtype) != (stored.shape[1:], stored.dtype):
            before = f"{stored.shape[1:]} of {stored.dtype}"
            reason = f"{image.shape} of {image.dtype} after {before}"
            raise InvalidMessage(message="packet", field=MetaKeyword.SHAPE, reason=reason)
        return stored

    def _begin(self, image: np.ndarray[Any, Any]) -> Any:
        if 0 in image.shape:
            reason = f"{image.shape} holds nothing"
            raise InvalidMessage(message="packet", field=MetaKeyword.SHAPE, reason=reason)
        self._images = self._file.create_dataset(
            IMAGES,
            shape=(0, *image.shape),
            maxshape=(None, *image.shape),
            chunks=(1, *image.shape),
            dtype=image.dtype,
        )
        self._numbers = self._file.create_dataset(
            NUMBERS, shape=(0,), maxshape=(None,), chunks=(1024,), dtype=np.int64
        )
        self._file.swmr_mode = True
        return self._images

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
