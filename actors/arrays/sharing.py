"""What a process shares at one moment: six words on its page, and in its account."""

from __future__ import annotations

import math
import struct
from typing import Final, final

import attrs

WORDS: Final = 6

_FORM: Final = struct.Struct("=QQdQQQ")
_AS_WORDS: Final = struct.Struct(f"={WORDS}Q")


@final
@attrs.frozen
class Sharing:
    """Counts from its start, and what is in use now."""

    size: int = 0  # bytes of the blocks in use, and of all slots of its rings
    arrays: int = 0  # on their way, kept by it, or read by others; a ring counts as one
    since: float = 0.0  # monotonic seconds; when the oldest of them was made, 0.0 for none
    copied: int = 0  # arrays copied into shared memory when they were sent
    copied_bytes: int = 0
    refused: int = 0  # arrays, and frames of rings, that found no room

    def __add__(self, other: Sharing) -> Sharing:
        """Return what both are together."""
        return Sharing(
            self.size + other.size,
            self.arrays + other.arrays,
            min((one.since for one in (self, other) if one.since), default=0.0),
            self.copied + other.copied,
            self.copied_bytes + other.copied_bytes,
            self.refused + other.refused,
        )

    def write(self, words: memoryview, at: int) -> None:
        """Put it into memory that others read, from the word `at` on; each word is whole."""
        for n, word in enumerate(_AS_WORDS.unpack(_FORM.pack(*attrs.astuple(self)))):
            words[at + n] = word

    @classmethod
    def read(cls, page: bytes, offset: int) -> Sharing:
        """Return what was written there; a time that is no number counts as none."""
        size, arrays, since, *counts = _FORM.unpack_from(page, offset)
        return cls(size, arrays, since if math.isfinite(since) else 0.0, *counts)


NOTHING: Final = Sharing()
