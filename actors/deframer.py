"""Words on a lifeline, which is a stream of bytes: where one ends and the next begins.  Pure.

u32 length (big-endian) │ the word
"""

from __future__ import annotations

import struct
from typing import Final

from actors.control import Word, decode_word, encode_word
from actors.errors import MessageError

MAX_WORD: Final = 64 << 20
"""Bytes in one lifeline word; a longer one means that the stream is out of step."""

_LENGTH = struct.Struct(">I")


def frame(word: Word) -> bytes:
    """Return `word` with its length in front, for a lifeline."""
    data = encode_word(word)
    return _LENGTH.pack(len(data)) + data


class Deframer:
    """Cuts a lifeline's bytes into words again."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Word]:
        """Take what the socket gave; return the words that are complete now."""
        pending = self._pending
        pending += data
        words: list[Word] = []
        start = 0
        while len(pending) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(pending, start)
            if length > MAX_WORD:
                raise MessageError(f"a lifeline word of {length} bytes: the stream is out of step")
            end = start + _LENGTH.size + length
            if len(pending) < end:
                break
            words.append(decode_word(bytes(pending[start + _LENGTH.size : end])))
            start = end
        del pending[:start]
        return words
