"""Where a computation shows its frames: a ring for each array, and the moment with each frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import msgspec

from actors.arrays.ring import MOST_META, SharedRing
from actors.compute.settings import Settings
from actors.compute.words import Moment

_moments: Final = msgspec.msgpack.Decoder(Moment)


def moment_of(meta: bytes) -> Moment:
    """Read what goes with a frame in a ring of a computation.

    Raises `msgspec.MsgspecError` for anything else.
    """
    return _moments.decode(meta)


@final
class Stage:
    """The rings of one life."""

    def __init__(
        self,
        settings: Settings,
        ring: Callable[[str], SharedRing],
        moment: Callable[[int], Moment],
    ) -> None:
        self._settings = settings
        self._moment = moment
        self._rings = {name: ring(name) for name in settings.arrays}

    def show(self, frame: int) -> None:
        """Write a frame of each array."""
        meta = self.check(frame)
        for name, ring in self._rings.items():
            ring.write(self._settings.array(name), meta)

    def check(self, frame: int = 0) -> bytes:
        """Return what goes with a frame.

        Raises `ValueError` when that is too much, and `TypeError` when a scalar is none.
        """
        meta: Any = msgspec.msgpack.encode(self._moment(frame))
        if len(meta) > MOST_META:
            raise ValueError(
                f"parameters and scalars take {len(meta)} bytes, and {MOST_META} go with a frame: "
                "make texts shorter, or a long list an array output"
            )
        return bytes(meta)
